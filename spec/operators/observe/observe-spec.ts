import { expect } from 'chai';
import { from, Subject } from 'rxjs';
import { DropReason, Drops, dropReasonName } from '../../../lib/core/drops.js';
import type { Frame } from '../../../lib/core/frame.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import { countPackets, PacketCounter } from '../../../operators/observe/count.js';
import { drops$ } from '../../../operators/observe/drops.js';
import { logPackets } from '../../../operators/observe/log.js';
import { environment } from '../../../operators/time/environment.js';
import { letterOf, letters, marbles, passesOn, sunk } from '../flow/marbles.js';

describe('countPackets', () => {
  passesOn(() => countPackets(new PacketCounter()));

  it('counts packets and the bytes of their ranges, readable at any time', () => {
    const env = environment({ seed: 1 });
    const counter = new PacketCounter();
    const source$ = new Subject<Frame>();
    const subscription = source$.pipe(countPackets(counter)).subscribe();
    for (const size of [60, 1500]) {
      const frame = env.pool.alloc(size);
      frame.put(size);
      frame.start += 10;
      source$.next(frame);
      frame.release();
    }
    expect(JSON.parse(JSON.stringify(counter))).to.deep.equal({ packets: 2, bytes: 1540 });
    counter.reset();
    expect(counter.toJSON()).to.deep.equal({ packets: 0, bytes: 0 });
    subscription.unsubscribe();
  });

  it('keeps two counters apart, and lets two pipelines share one', () => {
    const env = environment({ seed: 1 });
    const [one, both] = [new PacketCounter(), new PacketCounter()];
    const [a$, b$] = [new Subject<Frame>(), new Subject<Frame>()];
    a$.pipe(countPackets(one), countPackets(both)).subscribe();
    b$.pipe(countPackets(both)).subscribe();
    for (const source$ of [a$, b$]) {
      const frame = env.pool.alloc(1);
      source$.next(frame);
      frame.release();
    }
    expect([one.packets, both.packets]).to.deep.equal([1, 2]);
  });
});

describe('logPackets', () => {
  passesOn((env) =>
    logPackets(
      () => '',
      () => {},
      {},
      env,
    ),
  );

  it('writes a line per packet', () => {
    marbles(({ env, rx, expectObservable, flush }) => {
      const lines: string[] = [];
      const log = logPackets(
        (frame: Frame) => `${env.timers.now()} ${letterOf(frame)}`,
        (line) => lines.push(line),
        {},
        env,
      );
      expectObservable(rx('-a--b-|').pipe(log, letters())).toBe('-a--b-|');
      flush();
      expect(lines).to.deep.equal(['1 a', '4 b']);
    });
  });

  it('writes only of what the filter wants', () => {
    const notation = new PacketNotation();
    const lines: string[] = [];
    const packets = ['> udp 1024 > 53 (4)', '> udp 1024 > 54 (4)'].map((line) => notation.build(line));
    const log = (filter: string | ((frame: Frame) => boolean)) =>
      logPackets(
        (frame: Frame) => `${frame.length}`,
        (line) => lines.push(line),
        { filter },
      );
    let passed = 0;
    from(packets)
      .pipe(
        log('udp dst port 53'),
        log((frame) => frame === packets[1]),
      )
      .subscribe(() => passed++);
    expect([passed, lines.length]).to.deep.equal([2, 2]);
    expect(() => log('udp or')).to.throw('column 7');
  });

  it('leaves a line out, never a packet, where a callback throws, on the way in and on the way out', () => {
    marbles(({ env, rx, tx, expectObservable, flush }) => {
      const failing = (line: string) => {
        if (line === 'a') throw new Error('mine');
      };
      expectObservable(rx('-a--b-|').pipe(logPackets(letterOf, failing, {}, env), letters())).toBe('-a--b-|');
      expectObservable(tx('-a--b-|').pipe(logPackets(letterOf, failing, {}, env), sunk())).toBe('-a--b-|');
      flush();
      expect(env.drops.toJSON()).to.deep.equal({ 'callback-threw': 2 });
    });
  });
});

describe('drops$', () => {
  it('tells of drops while it is subscribed to, and of the packet', () => {
    const env = environment({ seed: 1 });
    const seen: string[] = [];
    const frame = env.pool.alloc(1);
    const subscription = drops$(env).subscribe((drop) => {
      seen.push(`${drop.operator} ${dropReasonName(drop.reason)} ${drop.frame === frame}`);
    });
    env.drops.report(DropReason.Filtered, frame, 'where');
    env.drops.report(DropReason.RateLimited, frame, 'where');
    env.drops.report(DropReason.DeviceDown);
    subscription.unsubscribe();
    env.drops.report(DropReason.DeviceDown);
    expect(seen).to.deep.equal(['where filtered true', ' device-down false']);
    expect(env.drops.total).to.equal(3);
  });

  it('observes an account by itself, for several subscribers', () => {
    const drops = new Drops();
    let seen = 0;
    const both = [drops$(drops).subscribe(() => seen++), drops$(drops).subscribe(() => seen++)];
    drops.report(DropReason.Filtered);
    expect(seen).to.equal(2);
    for (const each of both) each.unsubscribe();
  });
});
