import { expect } from 'chai';
import { concat, EMPTY, from, NEVER, type Observable, Subject, throwError } from 'rxjs';
import { parseIp } from '../../../lib/core/address.js';
import { UsageError } from '../../../lib/core/errors.js';
import type { Env } from '../../../lib/core/env.js';
import { Frame, FramePool } from '../../../lib/core/frame.js';
import { Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../../lib/wire/ipv6.js';
import { type Nat64, nat64, siit } from '../../../operators/l3/nat64.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';
import { type PlainEnds, plainIp, type PlainPacket, plainSegment } from '../../lib/wire/plain-packets.js';

type Packet = Ipv4Packet | Ipv6Packet;

const PACKET: PlainPacket = { protocol: 'udp', body: new Uint8Array(5), checksum: 'full', options: 0 };

function packet(
  source: string,
  destination: string,
  sourcePort: number,
  destinationPort: number,
  more: Partial<PlainPacket> = {},
): Packet {
  const ends: PlainEnds = { source: parseIp(source), destination: parseIp(destination), sourcePort, destinationPort };
  const plain = { ...PACKET, ...more };
  const frame = Frame.from(plainIp(plain, ends, plainSegment(plain, ends)));
  return ends.source.version === 4 ? new Ipv4Packet(frame, frame.start) : new Ipv6Packet(frame, frame.start);
}

const out = (port = 4000) => packet('2001:db8::5', '64:ff9b::101:101', port, 53);
const back = (port = 4000) => packet('1.1.1.1', '9.9.9.9', 53, port);
const text = ({ version, sourceAddress, destinationAddress }: Packet): string =>
  `${version}: ${sourceAddress.toString()} > ${destinationAddress.toString()}`;

interface World {
  readonly scheduler: SimulationScheduler;
  readonly env: Env;
  readonly translate: Nat64;
}

function world(): World {
  const scheduler = new SimulationScheduler();
  const env = environment({ scheduler, seed: 1, pool: new FramePool({ poison: true }) });
  return { scheduler, env, translate: nat64({ pool: ['9.9.9.9'] }, env) };
}

/** What an operator makes of packets. */
function through(operator: (source: Observable<Packet>) => Observable<Packet>, packets: readonly Packet[]): string[] {
  const got: string[] = [];
  from(packets)
    .pipe(operator)
    .subscribe((one) => got.push(text(one)));
  return got;
}

describe('nat64', () => {
  it('turns what goes to IPv4, and what comes back; what is for others passes as it is', () => {
    const { translate } = world();
    const others = [packet('2001:db8::5', '2001:db8::6', 1, 2), packet('1.1.1.1', '8.8.8.8', 1, 2)];
    const got: (Packet | string)[] = [];
    from([out(), back(), ...others])
      .pipe(translate)
      .subscribe((one) => got.push(others.includes(one) ? 'passed' : text(one)));
    expect(got).to.deep.equal(['4: 9.9.9.9 > 1.1.1.1', '6: 64:ff9b::101:101 > 2001:db8::5', 'passed', 'passed']);
  });

  it('hands on whole packets, translated in place', () => {
    const { translate } = world();
    const before = out();
    from([before])
      .pipe(translate)
      .subscribe(({ frame, offset }) => {
        expect(frame).to.equal(before.frame);
        expect([offset, frame.network]).to.deep.equal([frame.start, frame.start]);
        expect(frame.length).to.equal(20 + 8 + 5);
      });
  });

  it('leaves an observed frame untouched, and frees its copy', () => {
    const { translate, env } = world();
    const before = out();
    before.frame.shared = true;
    const bytes = Buffer.from(before.frame.bytes()).toString('hex');
    expect(through(translate, [before])).to.have.length(1);
    expect(Buffer.from(before.frame.bytes()).toString('hex')).to.equal(bytes);
    expect(env.pool.outstanding).to.equal(0);
  });

  it('sends errors by replies$ if anybody listens, and else none', () => {
    const { translate, env } = world();
    const stranger = () => packet('1.1.1.1', '9.9.9.9', 53, 4000);
    expect(through(translate, [stranger()])).to.deep.equal([]);
    const replies: string[] = [];
    const listening = translate.replies$.subscribe((frame) => {
      replies.push(text(new Ipv4Packet(frame, frame.start)));
      frame.release();
    });
    expect(through(translate, [stranger()])).to.deep.equal([]);
    listening.unsubscribe();
    expect(through(translate, [stranger()])).to.deep.equal([]);
    expect(replies).to.deep.equal(['4: 9.9.9.9 > 1.1.1.1']);
    expect(env.drops.toJSON()).to.deep.equal({ 'nat-no-mapping': 3 });
    expect(env.pool.outstanding).to.equal(0);
  });

  it('has one table for all subscriptions, and no timer when they have left', () => {
    const { translate, scheduler } = world();
    const [one, other] = [new Subject<Packet>(), new Subject<Packet>()];
    const got: string[] = [];
    const subscriptions = [one, other].map((source) =>
      source.pipe(translate).subscribe((each) => got.push(text(each))),
    );
    one.next(out());
    other.next(back());
    expect(got).to.have.length(2);
    subscriptions[0]?.unsubscribe();
    expect(scheduler.pending).to.equal(1);
    other.complete();
    expect(scheduler.pending).to.equal(0);
    expect(translate.list()).to.have.length(1);
  });

  it('forgets what is over though nobody was there meanwhile', () => {
    const { translate, scheduler } = world();
    through(translate, [out()]);
    scheduler.runFor(10 * 60_000);
    expect(through(translate, [back()])).to.deep.equal([]);
    expect(translate.list()).to.have.length(0);
  });

  it('gives up connections from IPv4 whose openers acknowledge nothing, and forgets them in the time of those that open', () => {
    const scheduler = new SimulationScheduler();
    const env = environment({ scheduler, seed: 1, pool: new FramePool({ poison: true }) });
    const forwards = [{ protocol: 'tcp', port: 80, to: { address: '2001:db8::5', port: 80 } }] as const;
    const translate = nat64({ pool: ['9.9.9.9'], forwards, capacity: 4 }, env);
    const input = new Subject<Packet>();
    const got: string[] = [];
    const running = input.pipe(translate).subscribe((one) => got.push(text(one)));
    const [SYN, RST, ACK] = [0x02, 0x04, 0x10];
    const from4 = (port: number, flags: number) =>
      input.next(packet('1.1.1.1', '9.9.9.9', port, 80, { protocol: 'tcp', flags }));
    const knock = (port: number, ...more: readonly number[]): void => {
      from4(port, SYN);
      input.next(packet('2001:db8::5', '64:ff9b::101:101', 80, port, { protocol: 'tcp', flags: SYN | ACK }));
      for (const flags of more) from4(port, flags);
    };
    const sessions = () => translate.list().map((one) => one.sessions);
    knock(1000, ACK);
    knock(1001, RST);
    for (let port = 1; port <= 20; port++) knock(port, SYN);
    input.next(packet('2001:db8::6', '64:ff9b::808:808', 4000, 80, { protocol: 'tcp', flags: SYN }));
    expect(got.at(-1)).to.equal('4: 9.9.9.9 > 8.8.8.8');
    // A forwarded port counts one more.
    expect(sessions()).to.deep.equal([4, 1]);
    scheduler.runFor(4 * 60_000);
    expect(sessions()).to.deep.equal([2]);
    scheduler.runFor(119 * 60_000);
    from4(1000, ACK);
    scheduler.runFor(119 * 60_000);
    expect(sessions()).to.deep.equal([2]);
    running.unsubscribe();
  });

  describe('with a connection that was idle for long', () => {
    const IDLE = 125 * 60_000;
    const tcp = (flags: number) => ({ protocol: 'tcp', flags }) as const;

    /** Opens a connection of 2001:db8::5, port 80, a forwarded one. */
    function connected() {
      const scheduler = new SimulationScheduler();
      const env = environment({ scheduler, seed: 1, pool: new FramePool({ poison: true }) });
      const forwards = [{ protocol: 'tcp', port: 80, to: { address: '2001:db8::5', port: 80 } }] as const;
      const translate = nat64({ pool: ['9.9.9.9'], forwards }, env);
      const opening = [
        packet('1.1.1.1', '9.9.9.9', 7, 80, tcp(0x02)),
        packet('2001:db8::5', '64:ff9b::101:101', 80, 7, tcp(0x12)),
        packet('1.1.1.1', '9.9.9.9', 7, 80, tcp(0x10)),
      ];
      const open = (source: Observable<Packet>) => concat(from(opening), source).pipe(translate);
      return { scheduler, env, translate, open };
    }

    it('lets the host answer a probe at once, while another packet goes through', () => {
      const { scheduler, translate, open } = connected();
      open(EMPTY).subscribe();
      scheduler.runFor(IDLE);
      const input = new Subject<Packet>();
      const got: string[] = [];
      const listening = translate.replies$.subscribe((probe) => {
        got.push(`probe of ${text(new Ipv6Packet(probe, probe.start))}`);
        probe.release();
        input.next(packet('2001:db8::5', '64:ff9b::101:101', 80, 7, tcp(0x10)));
      });
      const running = input.pipe(translate).subscribe((one) => got.push(text(one)));
      input.next(packet('2001:db8::6', '64:ff9b::808:808', 4000, 53));
      expect(got).to.deep.equal([
        'probe of 6: 64:ff9b::101:101 > 2001:db8::5',
        '4: 9.9.9.9 > 1.1.1.1',
        '4: 9.9.9.9 > 8.8.8.8',
      ]);
      running.unsubscribe();
      listening.unsubscribe();
      expect(scheduler.pending).to.equal(0);
    });

    for (const [when, isThere] of [
      ['in time', true],
      ['by a packet that comes later', false],
    ] as const) {
      it(`leaves no timer to whoever leaves when it is probed ${when}`, () => {
        const { scheduler, translate, open } = connected();
        const input = new Subject<Packet>();
        let running = open(isThere ? NEVER : EMPTY).subscribe();
        let probes = 0;
        const listening = translate.replies$.subscribe((probe) => {
          probes++;
          probe.release();
          running.unsubscribe();
        });
        scheduler.runFor(IDLE);
        if (!isThere) {
          running = input.pipe(translate).subscribe();
          input.next(packet('2001:db8::6', '64:ff9b::808:808', 4000, 53));
        }
        expect([probes, scheduler.pending]).to.deep.equal([1, 0]);
        listening.unsubscribe();
      });
    }
  });

  it('ends and fails with its source', () => {
    const { translate } = world();
    const seen: string[] = [];
    EMPTY.pipe(translate).subscribe({ complete: () => seen.push('complete') });
    throwError(() => new Error('broken'))
      .pipe(translate)
      .subscribe({ error: () => seen.push('error') });
    expect(seen).to.deep.equal(['complete', 'error']);
  });

  it('refuses options at once', () => {
    expect(() => nat64({ pool: [] }))
      .to.throw(UsageError)
      .with.property('code', 'ERR_INVALID_OPTION');
  });
});

describe('siit', () => {
  const env = environment({ seed: 1 });
  const options = {
    prefix: '2001:db8:64::/96',
    mappings: [
      { ipv4: '192.0.2.33', ipv6: 'fd00::33' },
      { ipv4: '192.0.2.34', ipv6: 'fd00::34' },
    ],
  };

  it('turns packets either way by mappings and prefix', () => {
    const got = through(siit(options, env), [
      packet('203.0.113.9', '192.0.2.33', 1, 2),
      packet('fd00::33', '2001:db8:64::cb00:7109', 2, 1),
      packet('203.0.113.9', '192.0.2.99', 1, 2),
    ]);
    expect(got).to.deep.equal([
      '6: 2001:db8:64::cb00:7109 > fd00::33',
      '4: 192.0.2.33 > 203.0.113.9',
      '4: 203.0.113.9 > 192.0.2.99',
    ]);
  });

  it('keeps the pieces of a packet together, whatever is sent through when the first one comes out', () => {
    const translate = siit(options, env);
    const [net4, net6] = [new Subject<Packet>(), new Subject<Packet>()];
    const got: string[] = [];
    net6.pipe(translate).subscribe((one) => got.push(`of net6 ${text(one)}`));
    net4.pipe(translate).subscribe((one) => {
      got.push(`of net4 ${text(one)}`);
      if (got.length === 1) net6.next(packet('fd00::34', '2001:db8:64::cb00:7109', 2, 1));
    });
    net4.next(packet('203.0.113.9', '192.0.2.33', 1, 2, { body: new Uint8Array(2000) }));
    const piece = 'of net4 6: 2001:db8:64::cb00:7109 > fd00::33';
    expect(got).to.deep.equal([piece, 'of net6 4: 192.0.2.34 > 203.0.113.9', piece]);
    expect(env.pool.outstanding).to.equal(0);
  });

  it('still tells who listens of errors when it was left and is used again', () => {
    const translate = siit(options, env);
    const replies: string[] = [];
    const listening = translate.replies$.subscribe((frame) => {
      replies.push(text(new Ipv4Packet(frame, frame.start)));
      frame.release();
    });
    const last = () => {
      const one = packet('203.0.113.9', '192.0.2.33', 1, 2);
      one.frame.slab.view.setUint8(one.offset + 8, 1);
      return one;
    };
    for (let use = 1; use <= 2; use++) {
      expect(through(translate, [last()])).to.deep.equal([]);
      expect(replies).to.have.length(use);
    }
    listening.unsubscribe();
  });

  it('brings mapped hosts together so that answers come the same way (RFC 7757 4)', () => {
    expect(through(siit(options, env), [packet('fd00::33', '2001:db8:64::c000:222', 1, 2)])).to.deep.equal([
      '6: 2001:db8:64::c000:221 > fd00::34',
    ]);
    expect(through(siit(options, env), [packet('fd00::34', '2001:db8:64::c000:221', 2, 1)])).to.deep.equal([
      '6: 2001:db8:64::c000:222 > fd00::33',
    ]);
  });

  it('refuses options at once', () => {
    expect(() => siit({}))
      .to.throw(UsageError)
      .with.property('code', 'ERR_INVALID_OPTION');
    expect(() => siit({ translatable: ['10.0.0.0/8'], mappings: options.mappings })).to.throw(UsageError);
  });
});
