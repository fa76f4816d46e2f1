import { expect } from 'chai';
import * as fc from 'fast-check';
import { Ipv4Address, Ipv6Address } from '../../../../lib/core/address.js';
import { ChecksumState, Frame, GsoType, Slab } from '../../../../lib/core/frame.js';
import { Ipv4Packet } from '../../../../lib/wire/ipv4.js';
import {
  type PlainEnds,
  plainFrame,
  plainIp,
  type PlainPacket,
  type PlainProtocol,
  plainSegment,
} from '../../wire/plain-packets.js';
import { hex, isSound, Rig } from './rig.js';
import { four, rig, stateless, to6 } from './stateless-rig.js';

const ENDS4: PlainEnds = {
  source: four('203.0.113.9'),
  destination: four('192.0.2.33'),
  sourcePort: 4321,
  destinationPort: 53,
};
const ENDS6 = to6(ENDS4);
const packet = (protocol: PlainProtocol, body = 8, more: Partial<PlainPacket> = {}): PlainPacket => ({
  protocol,
  body: new Uint8Array(body).map((_, at) => at * 7),
  checksum: 'full',
  options: 0,
  ...more,
});
const bytesOf = (one: PlainPacket, ends: PlainEnds) => plainIp(one, ends, plainSegment(one, ends));
const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** An IPv4 packet whose identification, flags and header checksum do not count. */
const loosely = (bytes: Uint8Array): string => {
  const copy = Uint8Array.from(bytes);
  copy.fill(0, 4, 8);
  copy.fill(0, 10, 12);
  return hex(copy);
};

const protocols: readonly PlainProtocol[] = ['tcp', 'udp', 'udp-lite', 'dccp', 'icmp'];
const packets = fc.record({
  protocol: fc.constantFrom(...protocols),
  body: fc.uint8Array({ maxLength: 1200 }),
  checksum: fc.constant('full' as const),
  options: fc.constant(0),
});
const hosts = fc.tuple(fc.nat(0xffff_ffff), fc.nat(255), fc.nat(0xffff), fc.nat(0xffff));
const endsOf = ([source, host, sourcePort, destinationPort]: [number, number, number, number]): PlainEnds => ({
  source: new Ipv4Address((source & 0x1fff_ffff) | 0x4000_0000),
  destination: new Ipv4Address(0xc000_0200 | host),
  sourcePort,
  destinationPort,
});

describe('Translator', () => {
  it('makes of each packet what the other version would have been, and back', () => {
    const made = rig();
    fc.assert(
      fc.property(packets, hosts, (one, host) => {
        const ends = endsOf(host);
        const before = bytesOf(one, ends);
        const between = made.one(Uint8Array.from(before));
        expect(hex(between)).to.equal(hex(bytesOf(one, to6(ends))));
        const after = made.one(between);
        expect(isSound(after)).to.equal(true);
        expect(loosely(after)).to.equal(loosely(before));
      }),
    );
  });

  it('leaves out options and extension headers', () => {
    for (const protocol of protocols) {
      const one = packet(protocol, 20);
      expect(hex(rig().one(bytesOf({ ...one, options: 8 }, ENDS4)))).to.equal(hex(bytesOf(one, ENDS6)));
      expect(loosely(rig().one(bytesOf({ ...one, options: 16 }, ENDS6)))).to.equal(loosely(bytesOf(one, ENDS4)));
    }
  });

  it('keeps partial checksums partial', () => {
    for (const protocol of ['tcp', 'udp'] as const) {
      for (const ends of [ENDS4, ENDS6]) {
        const frame = plainFrame(packet(protocol, 300, { checksum: 'partial' }), ends);
        const { checksumStart, checksumField } = frame;
        rig().give(frame, (out) => {
          expect(out).to.equal(frame);
          expect(out.checksum).to.equal(ChecksumState.Partial);
          expect([out.checksumStart, out.checksumField]).to.deep.equal([checksumStart, checksumField]);
          expect(isSound(out.bytes(), ChecksumState.Partial)).to.equal(true);
        });
      }
    }
  });

  it('makes super-segments of one version those of the other', () => {
    for (const [ends, before, after] of [
      [ENDS4, GsoType.TcpV4, GsoType.TcpV6],
      [ENDS6, GsoType.TcpV6, GsoType.TcpV4],
    ] as const) {
      const frame = plainFrame(packet('tcp', 9000, { checksum: 'partial' }), ends);
      frame.gsoType = before;
      frame.gsoSize = 1000;
      rig().give(frame, (out) => {
        expect([out.gsoType, out.gsoSize, out.length]).to.deep.equal([after, 1000, frame.length]);
        expect(isSound(out.bytes(), ChecksumState.Partial)).to.equal(true);
      });
      expect(frame.gsoType).to.equal(after);
    }
  });

  it('translates a copy of what others see, too, and of what has no room in front', () => {
    const bytes = bytesOf(packet('udp'), ENDS4);
    const shared = Frame.from(bytes);
    shared.shared = true;
    expect(hex(rig().one(shared))).to.equal(hex(bytesOf(packet('udp'), ENDS6)));
    expect(hex(shared.bytes())).to.equal(hex(bytes));
    const tight = Frame.from(bytes);
    const narrow = new Frame(tight.slab, tight.start - 8, tight.limit);
    narrow.start = tight.start;
    narrow.end = tight.end;
    expect(hex(rig().one(narrow))).to.equal(hex(bytesOf(packet('udp'), ENDS6)));
  });

  it('writes nothing outside of its frame, however long the headers are and however little room is in front', () => {
    const quoted = bytesOf(packet('tcp', 200, { options: 40 }), { ...ENDS4, source: ENDS4.destination });
    const quoted6 = bytesOf(packet('tcp', 200, { options: 2048 }), { ...ENDS6, source: ENDS6.destination });
    const long4 = { options: 40 };
    const made = rig();
    for (const bytes of [
      bytesOf(packet('udp'), ENDS4),
      bytesOf(packet('udp', 1400, long4), ENDS4),
      plainIp(packet('udp', 24, long4), ENDS4, plainSegment(packet('udp', 24), ENDS4), 0x2000),
      bytesOf(packet('icmp-error', 0, { ...long4, body: quoted }), ENDS4),
      bytesOf(packet('udp', 300, { options: 2048 }), ENDS6),
      plainIp(packet('udp', 24, { options: 2048 }), ENDS6, plainSegment(packet('udp', 24), ENDS6), 0x2000),
      bytesOf(packet('icmp-error', 0, { options: 2048, body: quoted6 }), ENDS6),
    ]) {
      for (let room = 0; room <= 48; room += 4) {
        const [base, limit] = [100, 100 + room + bytes.length];
        const slab = new Slab(limit + 100);
        slab.bytes.fill(0xa5);
        slab.bytes.set(bytes, base + room);
        const frame = new Frame(slab, base, limit);
        frame.start = base + room;
        frame.end = limit;
        expect(made.all(frame)).to.not.deep.equal([]);
        const around = [...slab.bytes.subarray(0, base), ...slab.bytes.subarray(limit)];
        expect(around.every((byte) => byte === 0xa5)).to.equal(true);
      }
    }
  });

  it('lets packets pass that are for others', () => {
    const others = [
      bytesOf(packet('udp'), { ...ENDS4, destination: four('192.0.3.1') }),
      bytesOf(packet('udp'), { ...ENDS6, destination: Ipv6Address.parse('2001:db8::1') }),
      Uint8Array.of(0x45, 0, 0, 99),
    ];
    for (const bytes of others) {
      const frame = Frame.from(bytes);
      expect(rig().give(frame, () => expect.fail())).to.equal(false);
      expect(hex(frame.bytes())).to.equal(hex(bytes));
    }
  });

  describe('the header (RFC 7915 4.1, 5.1)', () => {
    it('takes one off the hop limit, and answers a packet whose last hop it was', () => {
      for (const ends of [ENDS4, ENDS6]) {
        const place = ends === ENDS4 ? 8 : 7;
        const hop = new Rig(stateless());
        const bytes = bytesOf(packet('udp'), ends);
        expect(view(hop.one(Uint8Array.from(bytes))).getUint8(ends === ENDS4 ? 7 : 8)).to.equal(63);
        bytes[place] = 1;
        expect(hop.dropped(bytes)).to.equal('hop-limit-exceeded');
        const [answer = new Uint8Array()] = hop.replies;
        expect(hop.replies).to.have.length(1);
        expect(isSound(answer)).to.equal(true);
        const message = view(answer).getUint8(ends === ENDS4 ? 20 : 40);
        expect(message).to.equal(ends === ENDS4 ? 11 : 3);
      }
    });

    it('copies the traffic class, unless it is told not to; the flow label is 0', () => {
      const bytes = bytesOf(packet('udp'), ENDS4);
      bytes[1] = 0xb9;
      const set = new Ipv4Packet(Frame.from(bytes), 160);
      expect(set.trafficClass).to.equal(0xb9);
      expect(view(rig().one(Uint8Array.from(bytes))).getUint32(0)).to.equal(0x6b90_0000);
      const other = new Rig(stateless(), { copyTrafficClass: false });
      expect(view(other.one(Uint8Array.from(bytes))).getUint32(0)).to.equal(0x6000_0000);
      const six = bytesOf(packet('udp'), ENDS6);
      view(six).setUint32(0, 0x6b91_2345);
      expect(view(rig().one(Uint8Array.from(six))).getUint8(1)).to.equal(0xb9);
      expect(view(other.one(six)).getUint8(1)).to.equal(0);
    });

    it('lets IPv4 fragment what fitted into every link of IPv6, and nothing larger', () => {
      for (const [body, flags] of [
        [1260 - 28, 0],
        [1261 - 28, 0x4000],
      ] as const) {
        const made = rig();
        const [one, other] = [0, 0].map(() => view(made.one(bytesOf(packet('udp', body), ENDS6))));
        expect(one?.getUint16(6)).to.equal(flags);
        expect(((one?.getUint16(4) ?? 0) + 1) & 0xffff).to.equal(other?.getUint16(4));
      }
    });

    it('answers what has stations of a route left, and forgets a route that is done', () => {
      const routed = bytesOf(packet('udp', 8, { options: 8 }), ENDS4);
      routed.set([131, 7, 4, 198, 51, 100, 7, 0], 20);
      const made = rig();
      expect(made.dropped(Uint8Array.from(routed))).to.equal('ipv4-source-routed');
      expect([...(made.replies[0] ?? new Uint8Array()).subarray(20, 22)]).to.deep.equal([3, 5]);
      routed[22] = 8;
      expect(hex(made.one(routed))).to.equal(hex(bytesOf(packet('udp'), ENDS6)));

      const six = bytesOf(packet('udp', 8, { options: 24 }), ENDS6);
      six[6] = 43;
      six.set([17, 2, 0, 1], 40);
      expect(made.dropped(Uint8Array.from(six))).to.equal('ipv6-source-routed');
      const problem = made.replies[1] ?? new Uint8Array();
      expect([...problem.slice(40, 42), view(problem).getUint32(44)]).to.deep.equal([4, 0, 43]);
      six[43] = 0;
      expect(loosely(made.one(six))).to.equal(loosely(bytesOf(packet('udp'), ENDS4)));
    });

    it('drops what belongs to one version alone, and what covers addresses', () => {
      for (const protocol of [0, 2, 43, 44, 51, 58, 60]) {
        const bytes = bytesOf(packet('udp'), ENDS4);
        bytes[9] = protocol;
        expect(rig().dropped(bytes), `${protocol}`).to.equal('nat-unsupported');
      }
      const icmp = bytesOf(packet('udp'), ENDS6);
      icmp[6] = 1;
      expect(rig().dropped(icmp)).to.equal('nat-unsupported');
      const ah = bytesOf(packet('udp', 8, { options: 24 }), ENDS6);
      ah[6] = 51;
      ah[41] = 4;
      expect(rig().dropped(ah)).to.equal('nat-unsupported');
    });
  });

  describe('checksums of UDP (RFC 7915 4.5)', () => {
    it('gives a datagram that has none one', () => {
      const none = bytesOf(packet('udp', 33, { checksum: 'none' }), ENDS4);
      expect(hex(rig().one(none))).to.equal(hex(bytesOf(packet('udp', 33), ENDS6)));
    });

    it('cannot do so for a fragment', () => {
      const segment = plainSegment(packet('udp', 24, { checksum: 'none' }), ENDS4);
      const first = plainIp(packet('udp'), ENDS4, segment.subarray(0, 16), 0x2000);
      expect(rig().dropped(first)).to.equal('translate-impossible');
      const later = plainIp(packet('udp'), ENDS4, segment.subarray(16), 2);
      expect(rig().all(later)).to.have.length(1);
    });
  });

  describe('fragments', () => {
    it('become fragments, each by itself', () => {
      const one = packet('udp', 64);
      const [segment4, segment6] = [plainSegment(one, ENDS4), plainSegment(one, ENDS6)];
      for (const [from, to, field] of [
        [0, 24, 0x2000],
        [24, 48, 0x2003],
        [48, 72, 6],
      ] as const) {
        const four = plainIp(one, ENDS4, segment4.subarray(from, to), field);
        const six = plainIp(one, ENDS6, segment6.subarray(from, to), field);
        view(six).setUint32(44, 0x1234);
        expect(hex(rig().one(Uint8Array.from(four)))).to.equal(hex(six));
        expect(hex(rig().one(six))).to.equal(hex(four));
      }
    });

    it('of ICMP are dropped, since nobody knows how long the whole is', () => {
      for (const ends of [ENDS4, ENDS6]) {
        const segment = plainSegment(packet('icmp', 64), ends);
        expect(rig().dropped(plainIp(packet('icmp'), ends, segment.subarray(0, 24), 0x2000))).to.equal(
          'translate-impossible',
        );
        expect(rig().dropped(plainIp(packet('icmp'), ends, segment.subarray(24), 3))).to.equal('translate-impossible');
      }
    });

    it('an atomic one is whole, and its identification is kept (RFC 7915 5.1.1)', () => {
      const segment = plainSegment(packet('icmp', 64), ENDS6);
      const bytes = plainIp(packet('icmp'), ENDS6, segment, 0x2000);
      view(bytes).setUint16(42, 0);
      view(bytes).setUint32(44, 0xabcd_1234);
      const out = rig().one(bytes);
      expect(hex(out)).to.equal(hex(bytesOf(packet('icmp', 64), ENDS4)));
    });

    it('are made of what may be fragmented and does not fit into every link of IPv6', () => {
      for (const checksum of ['full', 'none'] as const) {
        const out = rig().all(bytesOf(packet('udp', 1400, { checksum }), ENDS4));
        expect(out.map(({ length }) => length)).to.deep.equal([1280, 40 + 8 + 1408 - 1232]);
        const whole = Buffer.concat(out.map((bytes) => bytes.subarray(48)));
        expect(hex(whole)).to.equal(hex(plainSegment(packet('udp', 1400), ENDS6)));
        expect(out.map((bytes) => view(bytes).getUint16(42))).to.deep.equal([1, 1232]);
        expect(out.map((bytes) => view(bytes).getUint32(44))).to.deep.equal([0x1234, 0x1234]);
      }
    });

    it('are made of a long message of ICMP, whose checksum is that of the whole', () => {
      const out = rig().all(bytesOf(packet('icmp', 1400), ENDS4));
      const whole = Buffer.concat(out.map((bytes) => bytes.subarray(48)));
      expect(out.map((bytes) => [bytes.length, bytes[40]])).to.deep.equal([
        [1280, 58],
        [40 + 8 + 1408 - 1232, 58],
      ]);
      expect(hex(whole)).to.equal(hex(plainSegment(packet('icmp', 1400), ENDS6)));
    });

    it('are not made of what fits, or must not be fragmented', () => {
      expect(rig().one(bytesOf(packet('udp', 1232), ENDS4))).to.have.length(1280);
      const whole = bytesOf(packet('udp', 1400), ENDS4);
      view(whole).setUint16(6, 0x4000);
      expect(rig().one(whole)).to.have.length(1448);
    });

    it('are not made of a fragment that ends beyond what a packet can hold (RFC 791 3.1)', () => {
      const one = packet('udp', 1400);
      const far = (offset: number) => plainIp(one, ENDS4, plainSegment(one, ENDS4).subarray(0, 1300), offset >> 3);
      expect(rig().all(far(64_208))).to.have.length(2);
      expect(rig().dropped(far(64_216))).to.equal('fragment-bad');
    });

    it('are made of each segment of a super-segment that may be fragmented', () => {
      const frame = plainFrame(packet('tcp', 4000, { checksum: 'partial' }), ENDS4);
      frame.gsoType = GsoType.TcpV4;
      frame.gsoSize = 1400;
      const out = rig().all(frame);
      expect(out.map(({ length }) => length)).to.deep.equal([1280, 236, 1280, 236, 1260]);
    });
  });

  describe('MTUs of the links at hand', () => {
    it('are told to who may not fragment', () => {
      const small = new Rig(stateless(), { mtu: { ipv4: 1300, ipv6: 1400 } });
      const whole = bytesOf(packet('udp', 1373), ENDS4);
      view(whole).setUint16(6, 0x4000);
      expect(small.dropped(whole)).to.equal('ip-too-big');
      const needed = view(small.replies[0] ?? new Uint8Array(64));
      expect([needed.getUint16(20), needed.getUint16(26)]).to.deep.equal([0x0304, 1380]);
      expect(small.dropped(bytesOf(packet('udp', 1273), ENDS6))).to.equal('ip-too-big');
      const tooBig = view(small.replies[1] ?? new Uint8Array(64));
      expect([tooBig.getUint16(40), tooBig.getUint32(44)]).to.deep.equal([0x0200, 1320]);
      expect(small.all(bytesOf(packet('udp', 1272), ENDS6))).to.have.length(1);
    });
  });

  it('never throws, whatever the bytes, and keeps no frame', () => {
    const made = rig();
    const sizes = fc.uint8Array({ maxLength: 160 });
    fc.assert(
      fc.property(sizes, fc.boolean(), fc.nat(255), fc.nat(80), fc.boolean(), (noise, is4, value, at, fixed) => {
        const ends = is4 ? ENDS4 : ENDS6;
        const bytes = plainIp(packet('udp'), ends, noise);
        const protocols = [1, 6, 17, 58, 44, 43, 60, 0, 51];
        bytes[is4 ? 9 : 6] = protocols[value % protocols.length] ?? 0;
        if (!fixed && at < bytes.length) bytes[at] = value;
        made.give(Frame.from(bytes), (frame) => expect((frame.bytes()[0] ?? 0) >>> 4).to.equal(is4 ? 6 : 4));
        expect(made.env.pool.outstanding).to.equal(0);
      }),
      { numRuns: 3000 },
    );
  });
});
