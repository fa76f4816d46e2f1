import { expect } from 'chai';
import * as fc from 'fast-check';
import { map, type Subscription } from 'rxjs';
import { DropReason } from '../../../lib/core/drops.js';
import { ChecksumState, Frame, FramePool, GsoType } from '../../../lib/core/frame.js';
import { fragmentIpv4, mendIpv4Header } from '../../../lib/l3/fragment.js';
import { Reassembler } from '../../../lib/l3/reassembly.js';
import { EtherType } from '../../../lib/wire/ethernet.js';
import { IpProtocol } from '../../../lib/wire/ip.js';
import { Ipv4OptionType, Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { UdpDatagram } from '../../../lib/wire/udp.js';
import { ipv4 } from '../../../operators/l3/ipv4.js';
import { reassemble, type ReassembleOptions } from '../../../operators/l3/reassemble.js';
import { Cast } from '../../../lib/core/frame.js';
import { type FakeDevice, fakeDevice, type VirtualEnv, virtualEnv } from '../../lib/l2/fake-device.js';
import { BULK, superSegment } from '../../lib/wire/super-segments.js';
import { ipPacket, pattern, US } from './packets.js';

interface Piece {
  readonly from: number;
  readonly to: number;
}

/** The pieces of a packet of `data`, as packets. */
function piece(data: Uint8Array, { from, to }: Piece, more: boolean = to < data.length, id = 7): Uint8Array {
  return ipPacket({ fragmentOffset: from, moreFragments: more, identification: id }, data.slice(from, to));
}

describe('Reassembler', () => {
  it('has the checksum of a whole verified, whatever a device said of its fragments', () => {
    const env = virtualEnv();
    const reassembler = new Reassembler({}, env);
    const source = superSegment({ ...BULK, tags: undefined, udp: true, dontFragment: false, gsoSize: 0 }, env.pool);
    source.gsoType = GsoType.None;
    const wholes: Frame[] = [];
    fragmentIpv4(source, 1500, env.pool, (piece) => {
      const packet = new Ipv4Packet(piece, piece.start);
      piece.checksum = ChecksumState.Valid;
      piece.start += packet.headerLength;
      const { identification, fragmentOffset: offset, moreFragments: more } = packet;
      const whole = reassembler.add(packet, { identification, offset, more });
      if (whole !== undefined) wholes.push(whole);
      piece.release();
    });
    source.release();
    const [whole] = wholes as [Frame];
    expect(wholes).to.have.lengthOf(1);
    expect(whole).to.include({ checksum: ChecksumState.None, gsoType: GsoType.None });
    mendIpv4Header(whole);
    const packet = new Ipv4Packet(whole, whole.network);
    // The checksum that was left to a device was completed before the packet was cut.
    expect(UdpDatagram.check(packet)).to.equal(undefined);
    const last = whole.end - 1;
    whole.slab.view.setUint8(last, whole.slab.view.getUint8(last) ^ 1);
    expect(UdpDatagram.check(packet)).to.equal(DropReason.UdpBadChecksum);
    whole.release();
    reassembler.dispose();
    expect(env.pool.outstanding).to.equal(0);
  });
});

describe('reassemble', () => {
  let env: VirtualEnv;
  let device: FakeDevice;
  let running: Subscription;
  let got: Uint8Array[];
  let classes: number[];
  let expired: Uint8Array[];

  function run(options: ReassembleOptions = {}): void {
    const addresses = {
      accepts: (to: number) => (to === US.ip ? Cast.Unicast : undefined),
      refusesSource: () => false,
    };
    running = device.frames$
      .pipe(
        map((frame) => ({ frame, etherType: EtherType.Ipv4 })),
        ipv4({ addresses }, env),
        reassemble(
          {
            expired: (first) =>
              expired.push(first.frame.slab.bytes.slice(first.offset, first.offset + first.totalLength)),
            ...options,
          },
          env,
        ),
      )
      .subscribe((packet) => {
        const { frame, offset } = packet;
        expect(Ipv4Packet.check(Frame.from(frame.slab.bytes.slice(offset, frame.end)), 160)).to.equal(undefined);
        expect(packet.isFragment).to.equal(false);
        expect(frame.network).to.equal(offset);
        expect(packet.totalLength).to.equal(frame.end - offset);
        env.drops.deliver(frame);
        got.push(Uint8Array.from(frame.bytes()));
        classes.push(packet.trafficClass);
      });
  }
  beforeEach(() => {
    env = virtualEnv();
    device = fakeDevice(env, { medium: 'ip' });
    got = [];
    classes = [];
    expired = [];
  });
  afterEach(() => {
    running.unsubscribe();
    expect(env.pool.outstanding).to.equal(0);
    expect(env.scheduler.pending).to.equal(0);
  });
  const data = pattern(3_000);
  const receive = (...pieces: Piece[]) => pieces.map((one) => device.receive(piece(data, one)));

  it('lets whole packets pass', () => {
    run();
    device.receive(ipPacket({ dontFragment: true }, data));
    expect(got).to.deep.equal([data]);
  });
  it('GP-01 815: puts 0, 1000, 2000 together', () => {
    run();
    receive({ from: 0, to: 1000 }, { from: 1000, to: 2000 }, { from: 2000, to: 3000 });
    expect(got).to.deep.equal([data]);
  });
  it('GP-02 815: also with the last one first', () => {
    run();
    receive({ from: 2000, to: 3000 }, { from: 1000, to: 2000 }, { from: 0, to: 1000 });
    expect(got).to.deep.equal([data]);
  });
  it('GP-03: ignores exact duplicates', () => {
    run();
    receive({ from: 0, to: 1000 }, { from: 0, to: 1000 }, { from: 2000, to: 3000 }, { from: 2000, to: 3000 });
    receive({ from: 1000, to: 2000 });
    expect(got).to.deep.equal([data]);
    expect(env.drops.total).to.equal(0);
  });
  it('GP-04: a fragment inside another, earlier or later, does no harm', () => {
    run();
    receive({ from: 512, to: 768 }, { from: 0, to: 1000 }, { from: 256, to: 512 }, { from: 1000, to: 3000 });
    expect(got).to.deep.equal([data]);
  });
  it('GP-05 5722: a partial overlap discards the datagram, in any order, until its time is over', () => {
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
      for (const i of order) receive(pieces[i] ?? { from: 0, to: 8 });
      expect(got).to.deep.equal([]);
      receive(...pieces.slice(0, 3));
      expect(got).to.deep.equal([]);
      env.scheduler.runFor(30_000);
    }
    receive(...pieces.slice(0, 3));
    expect(got).to.deep.equal([data]);
  });
  it('5722: discards a datagram whose duplicates differ', () => {
    run();
    receive({ from: 0, to: 1000 });
    const forged = piece(pattern(3_000, 1), { from: 0, to: 1000 });
    expect(device.receive(forged)).to.equal(DropReason.FragmentOverlap);
    receive({ from: 1000, to: 3000 });
    expect(got).to.deep.equal([]);
  });
  it('discards a datagram with two ends, or with something behind its end', () => {
    run();
    device.receive(piece(data, { from: 1000, to: 2000 }, false));
    expect(device.receive(piece(data, { from: 2000, to: 2008 }, true))).to.equal(DropReason.FragmentOverlap);
    device.receive(piece(data, { from: 1000, to: 2000 }, false, 8));
    expect(device.receive(piece(data, { from: 2000, to: 2500 }, false, 8))).to.equal(DropReason.FragmentOverlap);
    device.receive(piece(data, { from: 2000, to: 3000 }, true, 9));
    expect(device.receive(piece(data, { from: 1000, to: 2000 }, false, 9))).to.equal(DropReason.FragmentOverlap);
  });
  it('1858: refuses impossible fragments, and those that hide a TCP header', () => {
    run();
    expect(device.receive(piece(data, { from: 0, to: 1001 }))).to.equal(DropReason.FragmentBad);
    expect(device.receive(piece(data, { from: 8, to: 8 }))).to.equal(DropReason.FragmentBad);
    const far = ipPacket({ fragmentOffset: 65_528, identification: 1 }, pattern(100));
    expect(device.receive(far)).to.equal(DropReason.FragmentBad);
    const hiding = { protocol: IpProtocol.Tcp, fragmentOffset: 8, identification: 1 };
    expect(device.receive(ipPacket(hiding, pattern(8)))).to.equal(DropReason.FragmentBad);
  });
  const cut = (codepoints: readonly number[], identification: number) =>
    codepoints.forEach((codepoint, i) => {
      const place = { identification, fragmentOffset: i * 1000, moreFragments: i < 2 };
      device.receive(ipPacket({ ...place, tos: 0xb8 | codepoint }, data.slice(i * 1000, (i + 1) * 1000)));
    });

  it('RFC 3168 5.3: a mark on any fragment is one on the packet, and the rest of its traffic class stays', () => {
    run();
    cut([2, 3, 2], 1);
    cut([3, 1, 1], 2);
    cut([1, 2, 3], 3);
    cut([2, 1, 2], 4);
    cut([0, 0, 0], 5);
    cut([3, 3, 3], 6);
    expect(classes).to.deep.equal([0xbb, 0xbb, 0xbb, 0xba, 0xb8, 0xbb]);
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
  it('keeps datagrams apart by identification, protocol and source', () => {
    run();
    device.receive(piece(data, { from: 0, to: 1000 }, true, 1));
    device.receive(piece(data, { from: 1000, to: 3000 }, false, 2));
    device.receive(ipPacket({ fragmentOffset: 1000, identification: 1, protocol: 252 }, data.slice(1000)));
    device.receive(ipPacket({ fragmentOffset: 1000, identification: 1, source: 0x0a00_0003 }, data.slice(1000)));
    expect(got).to.deep.equal([]);
    device.receive(piece(data, { from: 1000, to: 3000 }, false, 1));
    expect(got).to.have.length(1);
  });
  it('1122-I6: gives up after 30 s, and shows the first fragment, as it came', () => {
    run();
    const first = piece(data, { from: 0, to: 1000 });
    device.receive(first);
    receive({ from: 2000, to: 3000 });
    env.scheduler.runFor(29_999);
    expect(expired).to.deep.equal([]);
    env.scheduler.runFor(1);
    expect(expired).to.deep.equal([first]);
    expect(env.drops.count(DropReason.FragmentTimeout)).to.equal(1);
  });
  it('GP-11: shows nothing if the first fragment never came', () => {
    run();
    receive({ from: 1000, to: 2000 });
    env.scheduler.runFor(60_000);
    expect(expired).to.deep.equal([]);
    expect(env.drops.count(DropReason.FragmentTimeout)).to.equal(1);
  });
  it('gives the oldest up when memory runs out', () => {
    run({ memory: 20_000 });
    for (let id = 0; id < 20; id++) device.receive(piece(data, { from: 0, to: 1000 }, true, id));
    expect(env.drops.count(DropReason.FragmentMemory)).to.be.within(10, 15);
    device.receive(piece(data, { from: 1000, to: 3000 }, false, 0));
    expect(got).to.deep.equal([]);
    device.receive(piece(data, { from: 1000, to: 3000 }, false, 19));
    expect(got).to.deep.equal([data]);
  });
  it('bounds what one source may begin: its oldest is given up, so that what it lost does not hold up what follows', () => {
    run({ perSource: 3 });
    const other = { identification: 1, source: 0x0a00_0003 };
    device.receive(ipPacket({ ...other, moreFragments: true }, data.slice(0, 1000)));
    for (let id = 0; id < 100; id++) device.receive(piece(data, { from: 0, to: 1000 }, true, id));
    expect(env.drops.count(DropReason.FragmentMemory)).to.equal(97);
    expect(env.pool.outstanding).to.equal(4);
    for (const id of [97, 98, 99]) device.receive(piece(data, { from: 1000, to: 3000 }, false, id));
    device.receive(ipPacket({ ...other, fragmentOffset: 1000 }, data.slice(1000)));
    expect(got).to.deep.equal([data, data, data, data]);
    // One that is known to be none counts as well, and is forgotten the first.
    for (const from of [0, 512]) device.receive(piece(data, { from, to: from + 1000 }, true, 200));
    for (const id of [201, 202, 203]) device.receive(piece(data, { from: 0, to: 1000 }, true, id));
    receive({ from: 0, to: 1000 });
    expect(env.drops.count(DropReason.FragmentMemory)).to.equal(98);
    env.scheduler.runFor(30_000);
    expect(env.drops.count(DropReason.FragmentTimeout)).to.equal(3);
  });
  it('1122-I6: takes the largest packet there is', () => {
    run();
    const large = pattern(65_515);
    for (let from = 65_280; from >= 0; from -= 1_280) {
      device.receive(piece(large, { from, to: Math.min(from + 1_280, large.length) }));
    }
    expect(got).to.deep.equal([large]);
  });

  it('1812-5, 815: property: what is cut, and cut again, comes together in any order, with duplicates', () => {
    const pool = new FramePool({ poison: true });
    const packets = fc.record({
      length: fc.integer({ min: 1, max: 9_000 }),
      mtu: fc.integer({ min: 68, max: 3_000 }),
      again: fc.integer({ min: 68, max: 3_000 }),
      order: fc.array(fc.nat(), { minLength: 5, maxLength: 50 }),
      options: fc.boolean(),
    });
    run();
    let id = 0;
    fc.assert(
      fc.property(packets, ({ length, mtu, again, order, options }) => {
        const payload = pattern(length, id);
        const some = [
          { type: Ipv4OptionType.RouterAlert, data: Uint8Array.of(0, 0) },
          { type: Ipv4OptionType.RecordRoute, data: Uint8Array.of(4, 0, 0, 0, 0) },
        ];
        const fields = { identification: ++id & 0xffff, ...(options ? { options: some } : {}) };
        const frame = Frame.from(ipPacket(fields, payload));
        const pieces: Uint8Array[] = [];
        const collect = (one: Frame) => {
          expect(one.length).to.be.at.most(again);
          expect(Ipv4Packet.check(one, one.start)).to.equal(undefined);
          pieces.push(Uint8Array.from(one.bytes()));
          one.release();
        };
        fragmentIpv4(frame, mtu, pool, (one) => {
          expect(one.length).to.be.at.most(mtu);
          fragmentIpv4(one, again, pool, collect);
          one.release();
        });
        if (pieces.length > 1) pieces.push(...pieces.slice(0, 3));
        const shuffled = pieces.map((one, i) => ({ one, key: order[i % order.length] ?? 0 }));
        shuffled.sort((a, b) => a.key - b.key);
        got = [];
        for (const { one } of shuffled) device.receive(one);
        expect(got[0]).to.deep.equal(payload);
        // Duplicates that came after the packet was complete wait for a packet of their own.
        env.scheduler.runFor(30_000);
      }),
      { numRuns: 60 },
    );
    expect(pool.outstanding).to.equal(0);
  });
  it('property: any fragments at all leave nothing behind and throw nothing', () => {
    const any = fc.record({
      from: fc.integer({ min: 0, max: 8_191 }).map((n) => n * 8),
      length: fc.integer({ min: 0, max: 200 }),
      more: fc.boolean(),
      id: fc.integer({ min: 0, max: 3 }),
    });
    run();
    fc.assert(
      fc.property(fc.array(any, { maxLength: 30 }), (pieces) => {
        for (const { from, length, more, id } of pieces) {
          const fields = { fragmentOffset: from, moreFragments: more, identification: id };
          expect(device.receive(ipPacket(fields, pattern(length, from)))).to.not.equal(0);
        }
        env.scheduler.runFor(30_000);
        expect(env.pool.outstanding).to.equal(0);
      }),
      { numRuns: 100 },
    );
  });
});
