import { expect } from 'chai';
import { Subject } from 'rxjs';
import { type Frame, FramePool } from '../../../lib/core/frame.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import { rateLimit, type RateLimitOptions } from '../../../operators/filter/rate-limit.js';
import { VERSIONS } from '../../both-versions.js';
import { virtualEnv } from '../../lib/l2/fake-device.js';
import { letters, marbles, passesOn, sunk } from '../flow/marbles.js';

describe('rateLimit', () => {
  passesOn((env) => rateLimit({ rate: 1000, per: 'second', burst: 10 }, env));

  it('lets a burst through, and then as much as the rate allows', () => {
    marbles(({ env, rx, expectObservable, flush }) => {
      const limited = rx('-(abc)d 490ms e 500ms fg|').pipe(
        rateLimit({ rate: 2, per: 'second', burst: 2 }, env),
        letters(),
      );
      expectObservable(limited).toBe('-(ab)-- 490ms - 500ms f-|');
      flush();
      expect(env.drops.toJSON()).to.deep.equal({ 'rate-limited': 4 });
    });
  });

  it('releases what is too much on the way out', () => {
    marbles(({ env, tx, expectObservable }) => {
      const limited = tx('-ab|').pipe(rateLimit({ rate: 1, per: 'hour', burst: 1, outgoing: true }, env), sunk());
      expectObservable(limited).toBe('-a-|');
    });
  });

  it('has a bucket for each subscription', () => {
    marbles(({ env, rx, expectObservable }) => {
      const limit = rateLimit<Frame>({ rate: 1, per: 'hour', burst: 1 }, env);
      expectObservable(rx('-ab|').pipe(limit, letters())).toBe('-a-|');
      expectObservable(rx('-ab|').pipe(limit, letters())).toBe('-a-|');
    });
  });

  for (const version of VERSIONS) {
    it(`tells senders of IPv${version} apart, and counts bytes`, () => {
      const env = virtualEnv();
      const send = senders(version, { rate: 100, per: 'second', burst: 100, unit: 'bytes', by: 'source' }, env);
      const size = version === 4 ? 40 : 60;
      expect(size).to.equal(send.size);
      const most = Math.floor(200 / size);
      for (const host of [1, 2]) {
        for (let i = 0; i < most; i++) expect(send(host)).to.equal(true);
        expect(send(host)).to.equal(false);
      }
      env.scheduler.runFor(1000);
      expect([send(1), send(2)]).to.deep.equal([true, true]);
    });

    it(`tells networks of IPv${version} apart where it is told to`, () => {
      const bits = { 4: 24, 6: 48 };
      const send = senders(version, { rate: 1, per: 'hour', burst: 1, by: { by: 'source', bits } }, virtualEnv());
      expect([send(1), send(2)]).to.deep.equal([true, false]);
    });
  }

  it('tells a mapped address of IPv6 from the one of IPv4', () => {
    const packets$ = new Subject<Frame>();
    const by = { by: 'source', bits: { 6: 128 } } as const;
    let passed = 0;
    packets$.pipe(rateLimit({ rate: 1, per: 'hour', burst: 1, by }, virtualEnv())).subscribe(() => passed++);
    for (const from of ['10.0.0.1', '::ffff:10.0.0.1', '10.0.0.1']) {
      const version = from.includes(':') ? 6 : 4;
      const frame = new PacketNotation({ version, linkType: 'ip', remote: from }).build('< udp 1 > 9 (12)');
      frame.network = frame.start;
      packets$.next(frame);
    }
    expect(passed).to.equal(2);
  });

  it('refuses options that cannot be', () => {
    const good = { rate: 1, per: 'second' } as const;
    const wrong: readonly RateLimitOptions[] = [
      { ...good, rate: 0 },
      { ...good, rate: 1.5 },
      { ...good, burst: 0 },
      { ...good, per: 'fortnight' as 'week' },
      { ...good, by: { by: 'source', size: 0 } },
      { ...good, by: { by: 'source', bits: { 4: 33 } } },
    ];
    for (const options of wrong) {
      expect(() => rateLimit(options))
        .to.throw()
        .with.property('code', 'ERR_INVALID_OPTION');
    }
  });
});

/** The last byte of an IPv4 source, and of the first 64 bits of an IPv6 one: behind those there is one host. */
const SOURCE_BYTE = 15;

/** Sends a packet of 20 bytes of payload from a host; returns whether it passed. */
function senders(version: 4 | 6, options: RateLimitOptions, env: ReturnType<typeof virtualEnv>) {
  const packets$ = new Subject<Frame>();
  let passed = false;
  packets$.pipe(rateLimit(options, env)).subscribe(() => {
    passed = true;
  });
  const notation = new PacketNotation({ version, linkType: 'ip' });
  const build = (host: number) => {
    const frame = notation.build('< udp 1 > 9 (12)', '<', new FramePool());
    frame.network = frame.start;
    frame.slab.bytes[frame.start + SOURCE_BYTE] = host;
    return frame;
  };
  const send = (host: number): boolean => {
    passed = false;
    packets$.next(build(host));
    return passed;
  };
  return Object.assign(send, { size: build(1).length });
}
