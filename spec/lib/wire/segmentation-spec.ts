import { expect } from 'chai';
import * as fc from 'fast-check';
import { DropReason } from '../../../lib/core/drops.js';
import { ChecksumState, Frame, FramePool, GsoType } from '../../../lib/core/frame.js';
import { networkOffset } from '../../../lib/wire/network-offset.js';
import { completeChecksum, longestSegment, segment, tallyOnWire } from '../../../lib/wire/segmentation.js';
import { TcpFlag, type TcpSegment } from '../../../lib/wire/tcp.js';
import { UdpDatagram } from '../../../lib/wire/udp.js';
import { hexOf } from './frames.js';
import { type Description, descriptions, parse, superSegment } from './super-segments.js';

const BULK: Description = {
  version: 4,
  udp: false,
  tags: [],
  ipOptions: 0,
  tcpOptions: 12,
  sequence: 1000,
  identification: 0xfffe,
  dontFragment: true,
  flags: TcpFlag.Ack | TcpFlag.Psh | TcpFlag.Fin | TcpFlag.Cwr | TcpFlag.Ece | TcpFlag.Ae,
  gsoSize: 100,
  payload: Uint8Array.from({ length: 250 }, (_, i) => i),
};

const mediumOf = ({ tags }: Description) => (tags === undefined ? 'ip' : 'ethernet');

function cut(of: Description, pool: FramePool = new FramePool({ poison: true })): Frame[] {
  const frame = superSegment(of, pool);
  const before = hexOf(frame);
  const pieces: Frame[] = [];
  expect(segment(frame, networkOffset(frame, mediumOf(of)), pool, (piece) => pieces.push(piece))).to.equal(undefined);
  expect(hexOf(frame)).to.equal(before);
  frame.release();
  expect(pool.outstanding).to.equal(pieces.length);
  return pieces;
}

describe('segmentation', () => {
  it('counts what it would cut, from wherever the range of the frame begins', () => {
    fc.assert(
      fc.property(descriptions, (of) => {
        const pool = new FramePool({ poison: true });
        const frame = superSegment(of, pool);
        const network = networkOffset(frame, mediumOf(of));
        const pieces = cut(of);
        const whole = { packets: 0, bytes: 0 };
        tallyOnWire(frame, network, whole);
        expect(whole).to.deep.equal({
          packets: pieces.length,
          bytes: pieces.reduce((sum, piece) => sum + piece.length, 0),
        });
        const behind = { packets: 0, bytes: 0 };
        const link = network - frame.start;
        frame.start = network;
        tallyOnWire(frame, network, behind);
        expect(behind).to.deep.equal({ packets: pieces.length, bytes: whole.bytes - pieces.length * link });
        for (const each of [frame, ...pieces]) each.release();
      }),
    );
  });

  it('cuts TCP: sequence, identification, flags, lengths and checksums of each segment are its own', () => {
    const segments = cut(BULK).map((frame) => parse(frame, 'ethernet'));
    const ips = segments.map(({ ip }) => ip);
    const tcps = segments.map(({ transport }) => transport as TcpSegment);
    const always = TcpFlag.Ack | TcpFlag.Ece | TcpFlag.Ae;
    expect(tcps.map(({ sequence }) => sequence)).to.deep.equal([1000, 1100, 1200]);
    expect(ips.map((ip) => ip.version === 4 && ip.identification)).to.deep.equal([0xfffe, 0xffff, 0]);
    expect(ips.map(({ totalLength }) => totalLength)).to.deep.equal([152, 152, 102]);
    expect(tcps.map(({ flags }) => flags)).to.deep.equal([
      always | TcpFlag.Cwr,
      always,
      always | TcpFlag.Psh | TcpFlag.Fin,
    ]);
    expect(segments.map(({ payload }) => payload[0])).to.deep.equal([0, 100, 200]);
  });

  it('cuts anything into packets that are right and whose payloads in a row are what they were cut from', () => {
    fc.assert(
      fc.property(descriptions, (of) => {
        const pieces = cut(of);
        const parsed = pieces.map((piece) => parse(piece, mediumOf(of)));
        expect(Buffer.concat(parsed.map(({ payload }) => payload)).equals(of.payload)).to.equal(true);
        expect(pieces).to.have.lengthOf(Math.max(1, Math.ceil(of.payload.length / of.gsoSize)));
        parsed.forEach(({ link, ip, transport }, i) => {
          expect(link).to.equal(parsed[0]?.link);
          expect(ip.sourceAddress.toString()).to.equal(parsed[0]?.ip.sourceAddress.toString());
          expect(ip).to.include({ hopLimit: 61, trafficClass: 2 });
          if (ip.version === 4) {
            expect(ip.identification).to.equal((of.identification + i) & 0xffff);
            expect(ip.dontFragment).to.equal(of.dontFragment);
            expect(ip.options()).to.have.lengthOf(of.ipOptions > 0 ? 1 : 0);
          } else expect(ip.flowLabel).to.equal(0xabcde);
          if (transport instanceof UdpDatagram) return;
          const isLast = i === pieces.length - 1;
          const flags = of.flags & (isLast ? 0x1ff : ~0x09) & (i === 0 ? 0x1ff : ~0x80);
          const sequence = (of.sequence + i * of.gsoSize) >>> 0;
          expect(transport).to.include({ flags, sequence, acknowledgment: 0x0102_0304, window: 0x1234 });
          expect(transport.headerLength).to.equal(20 + of.tcpOptions);
        });
      }),
    );
  });

  it('knows the length of the longest packet beforehand', () => {
    fc.assert(
      fc.property(descriptions, (of) => {
        const frame = superSegment(of);
        const longest = longestSegment(frame, networkOffset(frame, mediumOf(of)));
        expect(longest).to.equal(Math.max(...cut(of).map((piece) => parse(piece, mediumOf(of)).ip.totalLength)));
      }),
    );
  });

  it('makes checksums anew, whatever stands in their place, and says that they are right', () => {
    const frame = superSegment(BULK);
    const pieces = (): string[] => {
      const out: string[] = [];
      segment(frame, frame.start + 14, new FramePool(), (piece) => {
        expect(piece).to.include({ checksum: ChecksumState.Valid, gsoType: GsoType.None, gsoSize: 0 });
        out.push(hexOf(piece));
      });
      return out;
    };
    const right = pieces();
    frame.slab.view.setUint16(frame.start + 24, 0xbeef);
    frame.slab.view.setUint16(frame.checksumField, 0xbeef);
    frame.checksum = ChecksumState.None;
    expect(pieces()).to.deep.equal(right);
  });

  it('keeps what is known of the packet, and leaves padding behind', () => {
    const frame = superSegment(BULK);
    Object.assign(frame, { mark: 7, flow: 8, time: 9, linkCast: 1 });
    frame.put(6);
    segment(frame, frame.start + 14, new FramePool(), (piece) => {
      expect(piece).to.include({ mark: 7, flow: 8, time: 9, linkCast: 1 });
      expect(piece.link).to.equal(piece.start);
      expect(piece.network).to.equal(piece.start + 14);
      expect(piece.wholeEnd).to.equal(piece.end);
      parse(piece, 'ethernet');
    });
  });

  it('forgets a link header that is not in the range', () => {
    const frame = superSegment(BULK);
    frame.start += 14;
    segment(frame, frame.start, new FramePool(), (piece) => {
      expect(piece.link).to.equal(-1);
      expect(piece.network).to.equal(piece.start);
      parse(piece, 'ip');
    });
  });

  it('writes a UDP checksum of 0 as all ones', () => {
    const base: Description = { ...BULK, udp: true, gsoSize: 2, identification: 0 };
    const [probe] = cut({ ...base, payload: Uint8Array.of(0, 0) });
    const sum = (parse(probe as Frame, 'ethernet').transport as UdpDatagram).checksum;
    // The checksum is the complement of the sum, so that adding it makes the sum all ones.
    const [piece] = cut({ ...base, payload: Uint8Array.of(sum >> 8, sum & 0xff) });
    expect((parse(piece as Frame, 'ethernet').transport as UdpDatagram).checksum).to.equal(0xffff);
  });

  it('refuses what it cannot cut, and emits nothing', () => {
    const bad: [string, Partial<Description>, (frame: Frame) => void][] = [
      ['no segment size', {}, (frame) => (frame.gsoSize = 0)],
      ['no kind', {}, (frame) => (frame.gsoType = GsoType.None)],
      ['another version', {}, (frame) => (frame.gsoType = GsoType.TcpV6)],
      ['another protocol', {}, (frame) => (frame.gsoType = GsoType.UdpL4)],
      ['UDP as TCP', { udp: true }, (frame) => (frame.gsoType = GsoType.TcpV4)],
      ['fragmentation offload', { udp: true }, (frame) => (frame.gsoType = GsoType.Udp)],
      ['a cut end', {}, (frame) => (frame.end -= 1)],
      ['a fragment', {}, (frame) => frame.slab.view.setUint16(frame.start + 20, 0x2000)],
      ['a data offset below 5', {}, (frame) => frame.slab.view.setUint8(frame.start + 46, 0x40)],
      [
        'a data offset beyond',
        { payload: Uint8Array.of(1) },
        (frame) => frame.slab.view.setUint8(frame.start + 46, 0xf0),
      ],
      ['SYN', { flags: TcpFlag.Syn }, () => undefined],
      ['RST', { flags: TcpFlag.Rst }, () => undefined],
      ['urgent data', { flags: TcpFlag.Ack | TcpFlag.Urg }, () => undefined],
    ];
    for (const [title, change, spoil] of bad) {
      const frame = superSegment({ ...BULK, ...change });
      spoil(frame);
      const emitted = (): never => expect.fail(title);
      expect(segment(frame, frame.start + 14, new FramePool(), emitted), title).to.equal(DropReason.SuperSegmentBad);
      expect(longestSegment(frame, frame.start + 14), title).to.equal(-1);
    }
  });

  it('lets a SYN with little data pass as one packet', () => {
    expect(cut({ ...BULK, flags: TcpFlag.Syn, gsoSize: 250 })).to.have.lengthOf(1);
  });

  it('never throws, whatever the bytes', () => {
    const kinds = fc.constantFrom(...Object.values(GsoType));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), kinds, fc.nat(70_000), fc.nat(40), (bytes, kind, size, at) => {
        const frame = Frame.from(bytes);
        Object.assign(frame, { gsoType: kind, gsoSize: size });
        segment(frame, frame.start + at, new FramePool(), () => undefined);
        segment(frame, networkOffset(frame, 'ethernet'), new FramePool(), () => undefined);
      }),
    );
    fc.assert(
      fc.property(descriptions, fc.array(fc.tuple(fc.nat(79), fc.nat(255)), { maxLength: 4 }), (of, changes) => {
        const frame = superSegment(of);
        for (const [at, value] of changes) frame.slab.bytes[frame.start + at] = value;
        segment(frame, networkOffset(frame, mediumOf(of)), new FramePool(), () => undefined);
      }),
    );
  });
});

describe('completeChecksum', () => {
  it('completes what the sender left to the device', () => {
    fc.assert(
      fc.property(descriptions, (of) => {
        const frame = superSegment({ ...of, gsoSize: 4000 });
        completeChecksum(frame);
        expect(frame.checksum).to.equal(ChecksumState.Valid);
        parse(frame, mediumOf(of));
      }),
    );
  });

  it('leaves other frames alone', () => {
    const frame = superSegment(BULK);
    frame.checksum = ChecksumState.None;
    const before = hexOf(frame);
    completeChecksum(frame);
    expect(hexOf(frame)).to.equal(before);
  });

  it('writes 0 as all ones where 0 means that there is none, and only there', () => {
    const base = { ...BULK, tcpOptions: 0, payload: Uint8Array.of(0, 0) };
    for (const [udp, field, expected] of [
      [true, 6, 0xffff],
      [false, 16, 0],
    ] as const) {
      const probe = superSegment({ ...base, udp });
      completeChecksum(probe);
      const sum = probe.slab.view.getUint16(probe.checksumField);
      const frame = superSegment({ ...base, udp, payload: Uint8Array.of(sum >> 8, sum & 0xff) });
      completeChecksum(frame);
      expect(frame.checksumField - frame.checksumStart).to.equal(field);
      expect(frame.slab.view.getUint16(frame.checksumField)).to.equal(expected);
    }
  });
});
