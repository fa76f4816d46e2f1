/** Reassembly of IPv6; what both versions share is in `reassemble-spec` as well. */

import { expect } from 'chai';
import * as fc from 'fast-check';
import { map, type Subscription } from 'rxjs';
import { DropReason, dropReasonName } from '../../../lib/core/drops.js';
import { SeededRandom } from '../../../lib/core/random.js';
import { Cast, Frame, FramePool, HEADROOM } from '../../../lib/core/frame.js';
import { fragmentIpv6 } from '../../../lib/l3/fragment.js';
import { EtherType } from '../../../lib/wire/ethernet.js';
import { HOP_BY_HOP, IpProtocol } from '../../../lib/wire/ip.js';
import { Ipv6Packet } from '../../../lib/wire/ipv6.js';
import { ipv6 } from '../../../operators/l3/ipv6.js';
import { reassemble, type ReassembleOptions } from '../../../operators/l3/reassemble.js';
import { type FakeDevice, fakeDevice, type VirtualEnv, virtualEnv } from '../../lib/l2/fake-device.js';
import { pattern } from './packets.js';
import { chain, chained, echo6Message, fragment6, ip6, ip6Packet, type Piece6 } from './packets6.js';

const NOTHING = [0, 1, 4, 0, 0, 0, 0] as const;
const PROTOCOL = 253;

describe('reassemble, IPv6', () => {
  let env: VirtualEnv;
  let device: FakeDevice;
  let running: Subscription;
  let got: Uint8Array[];
  let classes: number[];
  /** Whole packets. */
  let packets: Uint8Array[];
  let expired: Uint8Array[];
  let problems: string[];

  function run(options: ReassembleOptions = {}): void {
    const addresses = { accepts: () => Cast.Unicast, has: () => false };
    const problem: ReassembleOptions['problem'] = (_packet, { action, code, pointer }) =>
      problems.push(`${action} ${code} ${pointer}`);
    const note: ReassembleOptions['expired'] = (first) =>
      expired.push(first.frame.slab.bytes.slice(first.offset, first.offset + first.totalLength));
    running = device.frames$
      .pipe(
        map((frame) => ({ frame, etherType: EtherType.Ipv6 })),
        ipv6({ addresses, problem }, env),
        reassemble<Ipv6Packet>({ expired: note, problem, ...options }, env),
      )
      .subscribe((packet) => {
        const { frame, offset } = packet;
        const whole = Frame.from(frame.slab.bytes.slice(offset, frame.end));
        expect(Ipv6Packet.check(whole, whole.start)).to.equal(undefined);
        expect(packet.isFragment).to.equal(false);
        expect(frame.network).to.equal(offset);
        expect(packet.totalLength).to.equal(frame.end - offset);
        expect(packet.headerLength).to.equal(frame.start - offset);
        env.drops.deliver(frame);
        packets.push(Uint8Array.from(whole.bytes()));
        got.push(Uint8Array.from(frame.bytes()));
        classes.push(packet.trafficClass);
      });
  }
  function fate(bytes: Uint8Array): string {
    const reason = device.receive(bytes);
    return reason < 0 ? 'taken' : dropReasonName(reason as DropReason);
  }
  beforeEach(() => {
    env = virtualEnv();
    device = fakeDevice(env, { medium: 'ip' });
    got = [];
    classes = [];
    packets = [];
    expired = [];
    problems = [];
  });
  afterEach(() => {
    running.unsubscribe();
    expect(env.pool.outstanding).to.equal(0);
    expect(env.scheduler.pending).to.equal(0);
  });
  const data = pattern(3_000);
  const receive = (...pieces: Piece6[]) => pieces.map((one) => fate(fragment6(data, PROTOCOL, one)));

  it('lets whole packets pass, and 6946: atomic fragments, on their own, whatever is under way with the same identification', () => {
    run();
    expect(fate(ip6Packet({ protocol: PROTOCOL }, data))).to.equal('taken');
    receive({ from: 0, to: 1000 });
    expect(receive({ from: 0, to: 1000, more: false })).to.deep.equal(['taken']);
    expect(got).to.deep.equal([data, data.slice(0, 1000)]);
    receive({ from: 1000, to: 3000 });
    expect(got.at(-1)).to.deep.equal(data);
  });

  const cut = (codepoints: readonly number[], id: number) =>
    codepoints.map((codepoint, i) =>
      fate(
        fragment6(
          data,
          PROTOCOL,
          { from: i * 1000, to: (i + 1) * 1000, id },
          { trafficClass: 0xb8 | codepoint, flowLabel: 0xfffff },
        ),
      ),
    );

  it('RFC 3168 5.3: a mark on any fragment is one on the packet, and the rest of its traffic class stays', () => {
    run();
    cut([2, 3, 2], 1);
    cut([3, 1, 1], 2);
    cut([1, 2, 3], 3);
    cut([2, 1, 2], 4);
    cut([0, 0, 0], 5);
    cut([3, 3, 3], 6);
    expect(classes).to.deep.equal([0xbb, 0xbb, 0xbb, 0xba, 0xb8, 0xbb]);
    for (const packet of packets) expect(packet.slice(2, 4)).to.deep.equal(Uint8Array.of(0xff, 0xff));
    expect(got).to.deep.equal([data, data, data, data, data, data]);
  });

  it('RFC 3168 5.3: refuses a packet of which some fragments may be marked, and others may not', () => {
    run();
    cut([0, 3, 0], 1);
    cut([3, 0, 2], 2);
    cut([2, 0, 2], 3);
    expect(got).to.deep.equal([]);
    expect(env.drops.count(DropReason.FragmentBad)).to.equal(3);
  });

  it('GP-09, GP-15: puts fragments together in every order', () => {
    const pieces = [
      { from: 0, to: 800 },
      { from: 800, to: 1600 },
      { from: 1600, to: 2400 },
      { from: 2400, to: 3000 },
    ];
    run();
    const orders = (left: readonly number[]): number[][] =>
      left.length === 0
        ? [[]]
        : left.flatMap((one) => orders(left.filter((n) => n !== one)).map((rest) => [one, ...rest]));
    for (const order of orders([0, 1, 2, 3])) {
      for (const at of order) receive(pieces[at] ?? { from: 0, to: 8 });
    }
    expect(got).to.have.length(24);
    for (const one of got) expect(one).to.deep.equal(data);
    expect(env.drops.total).to.equal(0);
  });

  it('GP-15: ignores exact duplicates, and fragments inside others that say the same', () => {
    run();
    receive({ from: 0, to: 1000 }, { from: 0, to: 1000 }, { from: 2000, to: 3000 }, { from: 2000, to: 3000 });
    receive({ from: 1000, to: 2000 });
    receive({ from: 512, to: 768 }, { from: 0, to: 1000 }, { from: 256, to: 512 }, { from: 1000, to: 3000 });
    expect(got).to.deep.equal([data, data]);
    expect(env.drops.total).to.equal(0);
  });

  it('GP-16, 5722: an overlap discards the datagram in silence, in any order, until its time is over', () => {
    const pieces = [
      { from: 0, to: 1000 },
      { from: 1000, to: 2000 },
      { from: 2000, to: 3000 },
      { from: 1512, to: 2512 },
    ];
    run();
    for (const order of [
      [0, 1, 3, 2],
      [3, 1, 2, 0],
      [1, 2, 3, 0],
      [2, 3, 0, 1],
    ]) {
      for (const at of order) receive(pieces[at] ?? { from: 0, to: 8 });
      receive(...pieces.slice(0, 3));
      env.scheduler.runFor(60_000);
    }
    expect([got, problems, expired]).to.deep.equal([[], [], []]);
    receive(...pieces.slice(0, 3));
    expect(got).to.deep.equal([data]);
  });

  it('discards a datagram whose duplicates differ, that has two ends, or something behind its end', () => {
    run();
    receive({ from: 0, to: 1000 });
    expect(fate(fragment6(pattern(3_000, 1), PROTOCOL, { from: 0, to: 1000 }))).to.equal('fragment-overlap');
    expect(receive({ from: 1000, to: 2000, more: false, id: 8 })).to.deep.equal(['taken']);
    expect(receive({ from: 2000, to: 2008, more: true, id: 8 })).to.deep.equal(['fragment-overlap']);
    receive({ from: 1000, to: 2000, more: false, id: 9 });
    expect(receive({ from: 2000, to: 2500, more: false, id: 9 })).to.deep.equal(['fragment-overlap']);
    receive({ from: 1000, to: 3000 });
    expect(got).to.deep.equal([]);
  });

  it('GP-10: without the rest the first fragment is reported after 60 seconds, and not earlier', () => {
    run();
    const first = fragment6(data, PROTOCOL, { from: 0, to: 1000 });
    fate(first);
    env.scheduler.runFor(59_999);
    expect(expired).to.deep.equal([]);
    env.scheduler.runFor(1);
    expect(expired).to.deep.equal([first]);
    expect(env.drops.toJSON()).to.deep.equal({ 'fragment-timeout': 1 });
  });
  it('GP-11: without the first nothing is', () => {
    run();
    receive({ from: 1000, to: 2000 });
    env.scheduler.runFor(60_000);
    expect(expired).to.deep.equal([]);
    expect(env.drops.toJSON()).to.deep.equal({ 'fragment-timeout': 1 });
  });
  it('GP-12: with a gap the first is reported, as it came', () => {
    run();
    const first = fragment6(data, PROTOCOL, { from: 0, to: 1000 });
    receive({ from: 2000, to: 3000 });
    env.scheduler.runFor(1_000);
    fate(first);
    env.scheduler.runFor(59_000);
    expect(expired).to.deep.equal([first]);
  });

  it('GP-13: a size that is no multiple of 8 is a parameter problem that points to the payload length', () => {
    run();
    expect(receive({ from: 0, to: 1001 })).to.deep.equal(['fragment-bad']);
    expect(problems).to.deep.equal(['parameter-problem-unless-multicast 0 4']);
  });
  it('GP-14: more than 65,535 bytes are a parameter problem that points to the fragment offset', () => {
    run();
    const far = fragment6(pattern(65_536), PROTOCOL, { from: 65_528, to: 65_536, more: false });
    expect(fate(far)).to.equal('fragment-bad');
    expect(problems).to.deep.equal(['parameter-problem-unless-multicast 0 42']);
    // The largest that there is.
    const largest = pattern(65_535);
    for (const [from, to] of [
      [0, 40_000],
      [40_000, 65_535],
    ] as const) {
      expect(fate(fragment6(largest, PROTOCOL, { from, to, id: 8 }))).to.equal('taken');
    }
    expect(got).to.deep.equal([largest]);
  });
  it('7112: a first fragment without all headers is a parameter problem', () => {
    run();
    const whole = chain([[IpProtocol.DestinationOptions, NOTHING]], IpProtocol.Tcp, pattern(100));
    for (const to of [8, 16, 24]) {
      expect(fate(fragment6(whole.bytes, whole.protocol, { from: 0, to }))).to.equal('fragment-bad');
    }
    expect(problems).to.deep.equal(Array.from({ length: 3 }, () => 'parameter-problem-unless-multicast 3 0'));
    expect(fate(fragment6(whole.bytes, whole.protocol, { from: 0, to: 32 }))).to.equal('taken');
  });

  it('refuses fragments without anything', () => {
    run();
    expect(receive({ from: 8, to: 8, more: true })).to.deep.equal(['fragment-bad']);
  });

  it('takes the fragment header out, and keeps the headers in front of it; what is behind is walked then', () => {
    run();
    const inner = chain([[IpProtocol.DestinationOptions, NOTHING]], PROTOCOL, data);
    const whole = chained([[HOP_BY_HOP, NOTHING]], inner.protocol, inner.bytes);
    const pieces: Uint8Array[] = [];
    const pool = new FramePool({ poison: true });
    const fragmented = fragmentIpv6(Frame.from(whole), 1280, 0xabcd, pool, (one) => {
      pieces.push(Uint8Array.from(one.bytes()));
      one.release();
    });
    expect(fragmented).to.equal(true);
    for (const one of pieces) expect(one.length).to.be.at.most(1280);
    for (const one of pieces.toReversed()) expect(fate(one)).to.equal('taken');
    expect(packets).to.deep.equal([whole]);
    expect(got).to.deep.equal([data]);
    expect(pool.outstanding).to.equal(0);
  });

  it('RFC 8200 4.5: a fragment repeats what is read on the way, up to the routing header, and nothing behind it', () => {
    const { DestinationOptions, Routing, Fragment } = IpProtocol;
    const routing = [0, 2, 0, 0, 0, 0, 0];
    for (const [front, behind] of [
      [[], [DestinationOptions]],
      [[HOP_BY_HOP], [DestinationOptions]],
      [[Routing], []],
      [[HOP_BY_HOP, DestinationOptions, Routing], [DestinationOptions]],
      [[DestinationOptions, Routing, Routing], []],
    ] as const) {
      const headers = [...front, ...behind].map((kind) => [kind, kind === Routing ? routing : NOTHING] as const);
      const whole = chained(headers, PROTOCOL, data);
      const pool = new FramePool({ poison: true });
      const cutOne = fragmentIpv6(Frame.from(whole), 1280, 0xabcd, pool, (one) => {
        const bytes = one.bytes();
        const kinds = [bytes[6]];
        for (let at = 40; kinds.at(-1) !== Fragment; at += 8) kinds.push(bytes[at]);
        expect(kinds).to.deep.equal([...front, Fragment]);
        const next = bytes[40 + 8 * front.length];
        expect(next).to.equal(behind[0] ?? PROTOCOL);
        one.release();
      });
      expect(cutOne).to.equal(true);
    }
  });

  describe('options in front of the fragment header that are longer than the headroom', () => {
    // PadN options, of which nobody limits the bytes: 8 + 8 * units in all.
    const padded = (units: number): readonly number[] => {
      const rest = [units];
      for (let left = 6 + 8 * units; left > 0; ) {
        const length = Math.min(left, 257);
        rest.push(...(length === 1 ? [0] : [1, length - 2, ...new Uint8Array(length - 2)]));
        left -= length;
      }
      return rest;
    };
    const piece = (units: number, { from, to, more = to < data.length }: Piece6): Uint8Array => {
      const place = [0, from >>> 8, (from & 0xf8) | Number(more), 0, 0, 0, 7];
      const headers = [
        [IpProtocol.DestinationOptions, padded(units)],
        [IpProtocol.Fragment, place],
      ] as const;
      return chained(headers, PROTOCOL, data.slice(from, to));
    };
    const whole = (units: number, payload: Uint8Array): Uint8Array =>
      chained([[IpProtocol.DestinationOptions, padded(units)]], PROTOCOL, payload);
    const neighbours = (): Frame[] => {
      const all = Array.from({ length: 200 }, () => env.pool.alloc(1_000));
      for (const one of all) one.slab.bytes.fill(0x77, one.base, one.limit);
      // Every second one is for others.
      return all.filter((one, i) => i % 2 === 0 || one.release());
    };

    for (const units of [6, 7, 8, 14, 40, 150, 255]) {
      it(`are kept, and nobody else's memory is touched: ${8 * units + 8} bytes`, () => {
        run();
        const pieces = [
          { from: 0, to: 800 },
          { from: 800, to: 1600 },
          { from: 1600, to: 3000 },
        ];
        const others = neighbours();
        for (const order of [pieces, pieces.toReversed(), [pieces[1], pieces[0], pieces[2]]]) {
          for (const one of order) if (one !== undefined) expect(fate(piece(units, one))).to.equal('taken');
          expect(packets.pop()).to.deep.equal(whole(units, data));
        }
        for (const one of others) {
          expect(one.slab.bytes.subarray(one.base, one.limit).every((byte) => byte === 0x77)).to.equal(true);
          one.release();
        }
      });

      it(`are repeated in fragments: ${8 * units + 8} bytes`, () => {
        const long = chained([[HOP_BY_HOP, padded(units)]], PROTOCOL, data);
        run();
        const cutOne = fragmentIpv6(Frame.from(long), 2_500, 7, env.pool, (one) => {
          // What a link, a tag and a tunnel push in front of it.
          expect(one.start - one.base).to.be.at.least(HEADROOM);
          fate(Uint8Array.from(one.bytes()));
          one.release();
        });
        expect(cutOne).to.equal(true);
        expect(packets).to.deep.equal([long]);
      });
    }

    it('are refused where they and the payload are longer than a packet can be, whichever comes first', () => {
      run();
      const last = { from: 65_000, to: 65_400, more: false };
      const end = fragment6(pattern(65_400), PROTOCOL, last);
      expect([piece(255, { from: 0, to: 800, more: true }), end].map(fate)).to.deep.equal(['taken', 'fragment-bad']);
      const other = fragment6(pattern(65_400), PROTOCOL, last, { source: ip6('fd00::3') });
      expect(fate(other)).to.equal('taken');
      expect(fate(piece(255, { from: 0, to: 800, more: true }))).to.equal('fragment-overlap');
      expect(env.pool.outstanding).to.equal(1);
    });
  });

  it('an unknown option behind the fragment header is a problem of the whole packet', () => {
    run();
    const inner = chain([[IpProtocol.DestinationOptions, [0, 0x9e, 4, 0, 0, 0, 0]]], PROTOCOL, data);
    fate(fragment6(inner.bytes, inner.protocol, { from: 0, to: 1000 }));
    fate(fragment6(inner.bytes, inner.protocol, { from: 1000, to: 3008 }));
    expect(problems).to.deep.equal(['parameter-problem 2 42']);
    expect(env.drops.toJSON()).to.deep.equal({ 'ipv6-unknown-option': 1 });
  });

  it('fragments of fragments are dropped', () => {
    run();
    const inner = chain([[IpProtocol.Fragment, [0, 0, 1, 0, 0, 0, 1]]], PROTOCOL, data);
    fate(fragment6(inner.bytes, inner.protocol, { from: 0, to: 1000 }));
    fate(fragment6(inner.bytes, inner.protocol, { from: 1000, to: 3008 }));
    expect(env.drops.toJSON()).to.deep.equal({ 'fragment-bad': 1 });
    expect(got).to.deep.equal([]);
  });

  it('remembers that a packet came in fragments (RFC 6980)', () => {
    const seen: boolean[] = [];
    running = device.frames$
      .pipe(
        map((frame) => ({ frame, etherType: EtherType.Ipv6 })),
        ipv6({ addresses: { accepts: () => Cast.Unicast, has: () => false } }, env),
        reassemble<Ipv6Packet>({}, env),
      )
      .subscribe((packet) => seen.push(packet.fragmented));
    const message = echo6Message();
    receive({ from: 0, to: 1000 }, { from: 1000, to: 3000 });
    fate(fragment6(message, IpProtocol.Icmpv6, { from: 0, to: message.length, more: false }));
    fate(ip6Packet({ protocol: IpProtocol.Icmpv6 }, message));
    expect(seen).to.deep.equal([true, true, false]);
  });

  it('keeps datagrams of different senders, receivers and identifications apart, but not of different next headers', () => {
    run();
    const half = (fields: object, id: number, from: number, protocol = PROTOCOL) =>
      fate(fragment6(data, protocol, { from, to: from + 1504, more: from === 0, id }, fields));
    half({}, 1, 0);
    half({}, 2, 1504);
    half({ source: ip6('fd00::3') }, 1, 1504);
    half({ destination: ip6('fd00::4') }, 1, 1504);
    expect(got).to.deep.equal([]);
    // RFC 8200 4.5: only the first fragment's next header counts.
    half({}, 1, 1504, 17);
    expect(got).to.deep.equal([data]);
  });

  it('a flood stays within its memory, and honest datagrams get through', () => {
    const memory = 256 * 1024;
    run({ memory, perSource: 1_000_000 });
    const random = new SeededRandom(3);
    const noise = pattern(2_000);
    let most = 0;
    for (let n = 0; n < 1_500; n++) {
      const source = ip6(`fd00::${(1 + random.below(0xffff)).toString(16)}`);
      const from = random.below(100) * 8;
      fate(fragment6(noise, PROTOCOL, { from, to: from + 8 * (1 + random.below(100)), more: true, id: n }, { source }));
      most = Math.max(most, env.pool.outstanding);
      if (n % 100 === 0) {
        for (const from of [0, 1000, 2000]) receive({ from, to: from + 1000, id: 1_000_000 + n });
      }
    }
    expect(got).to.have.length(15);
    // A slot for a small frame takes 2048 bytes.
    expect(most).to.be.within(10, memory / 2048 + 1);
    expect(env.drops.toJSON()['fragment-memory']).to.be.greaterThan(1_000);
  });

  it('one source has no more datagrams under way than it may: its oldest are given up', () => {
    run({ perSource: 4 });
    for (let id = 0; id < 6; id++) receive({ from: 0, to: 1000, id });
    expect(env.drops.toJSON()).to.deep.equal({ 'fragment-memory': 2 });
    receive({ from: 1000, to: 3000, id: 5 }, { from: 1000, to: 3000, id: 2 });
    expect(got).to.deep.equal([data, data]);
    receive({ from: 1000, to: 3000, id: 0 });
    expect(got).to.have.length(2);
  });

  it('property: any fragments at all make the packet that they are of, or nothing, and leave nothing behind', () => {
    run();
    let whole = 0;
    const piece = fc.record({
      from: fc.nat(12),
      size: fc.integer({ min: 0, max: 12 }),
      id: fc.nat(1),
      odd: fc.nat(20),
    });
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 20 }), (pieces) => {
        got.length = 0;
        const short = pattern(96);
        for (const { from, size, id, odd } of pieces) {
          const to = Math.min(96, (from + size) * 8) - (odd === 0 ? 3 : 0);
          // Mostly the truth about what follows.
          const more = odd === 1 ? to === 96 : to < 96;
          if (to >= from * 8) fate(fragment6(short, PROTOCOL, { from: from * 8, to, more, id }));
        }
        for (const one of got) expect([short, short.subarray(0, one.length)]).to.deep.include(one);
        whole += got.length;
        env.scheduler.runFor(60_000);
        expect(env.pool.outstanding).to.equal(0);
      }),
      { numRuns: 200 },
    );
    expect(whole).to.be.greaterThan(5);
  });

  it('property: what is cut for any MTU comes together again, in any order, with duplicates', () => {
    run();
    fc.assert(
      fc.property(
        fc.integer({ min: 1280, max: 2000 }),
        fc.integer({ min: 1, max: 9_000 }),
        fc.infiniteStream(fc.nat()),
        (mtu, length, order) => {
          got.length = 0;
          const packet = ip6Packet({ protocol: PROTOCOL }, pattern(length));
          const pieces: Uint8Array[] = [];
          fragmentIpv6(Frame.from(packet), mtu, env.random.uint32(), new FramePool(), (one) =>
            pieces.push(Uint8Array.from(one.bytes())),
          );
          const again = pieces.slice(0, pieces.length - 1);
          const mixed = [...pieces, ...again].map((bytes) => ({ bytes, key: order.next().value ?? 0 }));
          mixed.sort((one, other) => one.key - other.key);
          let whole = 0;
          for (const { bytes } of mixed) {
            expect(bytes.length).to.be.at.most(mtu);
            fate(bytes);
            // What comes after it was complete begins anew, and ends by its time.
            whole = got.length;
          }
          expect(whole).to.be.at.least(1);
          expect(got[0]).to.deep.equal(pattern(length));
          env.scheduler.runFor(60_000);
        },
      ),
      { numRuns: 60 },
    );
  });
});
