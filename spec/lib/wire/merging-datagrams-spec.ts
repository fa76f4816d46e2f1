import { expect } from 'chai';
import * as fc from 'fast-check';
import type { Medium } from '../../../lib/core/device.js';
import { ChecksumState, type Frame, FramePool, GsoType } from '../../../lib/core/frame.js';
import { Ipv4Packet, refreshIpv4Checksum } from '../../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../../lib/wire/ipv6.js';
import { leavesChecksumOfUdp, MAX_DATAGRAMS, mergeDatagram } from '../../../lib/wire/merging-datagrams.js';
import { networkOffset } from '../../../lib/wire/network-offset.js';
import { completeChecksum, segment } from '../../../lib/wire/segmentation.js';
import { VIRTIO_NET_HEADER } from '../../../lib/wire/virtio-net.js';
import { hexOf } from './frames.js';
import { type Description, descriptions, superSegment } from './super-segments.js';

const RUN: Description = {
  version: 4,
  udp: true,
  tags: [],
  ipOptions: 0,
  tcpOptions: 0,
  sequence: 0,
  identification: 0xfffe,
  dontFragment: false,
  flags: 0,
  gsoSize: 100,
  payload: Uint8Array.from({ length: 450 }, (_, i) => i),
};
const RUN6: Description = { ...RUN, version: 6 };

const mediumOf = ({ tags }: Description): Medium => (tags === undefined ? 'ip' : 'ethernet');

/** Takes the sum of a packet back to that of the pseudo-header, as its sender leaves it to the device. */
function open(frame: Frame, medium: Medium): Frame {
  const network = networkOffset(frame, medium);
  const { view } = frame.slab;
  const isIpv4 = view.getUint8(network) >>> 4 === 4;
  const ip = isIpv4 ? new Ipv4Packet(frame, network) : new Ipv6Packet(frame, network);
  frame.checksum = ChecksumState.Partial;
  // No options of IPv6 in what these specs open, or a description's 16 bytes at most.
  frame.checksumStart = network + (isIpv4 ? ip.headerLength : headers6(view, network));
  frame.checksumField = frame.checksumStart + 6;
  view.setUint16(frame.checksumField, ip.pseudoHeaderSum(17, frame.end - frame.checksumStart));
  return frame;
}

function headers6(view: DataView, network: number): number {
  return view.getUint8(network + 6) === 0 ? 48 + 8 * view.getUint8(network + 41) : 40;
}

/** The datagrams that a super-segment stands for, as their sender sends them one by one. */
function datagrams(of: Description, pool: FramePool): Frame[] {
  const frame = superSegment(of, pool);
  const out: Frame[] = [];
  segment(frame, networkOffset(frame, mediumOf(of)), pool, (piece) => out.push(open(piece, mediumOf(of))));
  frame.release();
  return out;
}

/** What a queue holds that takes these frames one after the other. */
function queueOf(frames: readonly Frame[], medium: Medium, pool: FramePool): Frame[] {
  const queue: Frame[] = [];
  for (const frame of frames) {
    const last = queue.at(-1);
    const whole = last && mergeDatagram(last, frame, medium, pool);
    if (whole === undefined) {
      queue.push(frame);
    } else {
      queue[queue.length - 1] = whole;
      frame.release();
    }
  }
  return queue;
}

/** The packets on the wire that frames stand for; releases them. */
function onWire(frames: readonly Frame[], medium: Medium, pool: FramePool): string[] {
  return frames.flatMap((frame) => {
    const out: string[] = [];
    if (frame.gsoType === GsoType.None) {
      const copy = pool.copy(frame);
      completeChecksum(copy);
      out.push(hexOf(copy));
      copy.release();
    } else {
      const wrong = segment(frame, networkOffset(frame, medium), pool, (piece) => {
        out.push(hexOf(piece));
        piece.release();
      });
      expect(wrong).to.equal(undefined);
    }
    frame.release();
    return out;
  });
}

/** How many datagrams each frame stands for that comes of these, which are on the wire what went in, and leave no slot behind. */
function merged(frames: readonly Frame[], medium: Medium, pool: FramePool): number[] {
  for (const frame of frames) frame.retain();
  const wanted = onWire(frames, medium, pool);
  const queue = queueOf(frames, medium, pool);
  const counts = queue.map((frame) => {
    if (frame.gsoType === GsoType.None) return 1;
    return Math.ceil((frame.end - frame.checksumStart - 8) / frame.gsoSize);
  });
  expect(onWire(queue, medium, pool)).to.deep.equal(wanted);
  expect(pool.outstanding).to.equal(0);
  return counts;
}

/** Counts of what comes of a run one datagram of which was changed. */
function withChange(of: Description, index: number, change: (frame: Frame, ip: number) => void): number[] {
  const pool = new FramePool({ poison: true });
  const frames = datagrams(of, pool);
  const frame = frames[index] as Frame;
  const ip = frame.start + 14;
  change(frame, ip);
  if (of.version === 4) refreshIpv4Checksum(frame.slab.view, ip);
  return merged(frames, 'ethernet', pool);
}

const set8 = (at: number, value: number) => (frame: Frame, ip: number) => frame.slab.view.setUint8(ip + at, value);
const set16 = (at: number, value: number) => (frame: Frame, ip: number) => frame.slab.view.setUint16(ip + at, value);

describe('mergeDatagram', () => {
  for (const of of [RUN, RUN6]) {
    it(`makes one super-segment of a run over IPv${of.version}, in the room of the first one, its checksum left to the device`, () => {
      const pool = new FramePool({ poison: true });
      const original = superSegment(of);
      const all = datagrams(of, pool);
      const [whole, ...rest] = queueOf(all, 'ethernet', pool);
      expect(rest).to.deep.equal([]);
      expect(whole).to.equal(all[0]);
      expect(hexOf(whole as Frame)).to.equal(hexOf(original));
      expect(whole).to.include({ gsoType: GsoType.UdpL4, gsoSize: 100, checksum: ChecksumState.Partial });
      whole?.release();
      expect(pool.outstanding).to.equal(0);
    });
  }

  it('takes a larger slot where the room of the first one is used up, and for what others hold, too', () => {
    const pool = new FramePool({ poison: true });
    const long = { ...RUN, gsoSize: 1400, payload: new Uint8Array(1400 * 46).fill(7) };
    expect(merged(datagrams(long, pool), 'ethernet', pool)).to.deep.equal([46]);
    const all = datagrams(RUN, pool);
    const first = (all[0] as Frame).retain();
    const before = hexOf(first);
    const queue = queueOf(all, 'ethernet', pool);
    expect(queue).to.have.lengthOf(1);
    expect(hexOf(first)).to.equal(before);
    expect(first).to.include({ gsoType: GsoType.None, holders: 1 });
    for (const frame of [first, ...queue]) frame.release();
    expect(pool.outstanding).to.equal(0);
  });

  it('leaves room for a virtio-net header in front', () => {
    const pool = new FramePool();
    const [whole] = queueOf(
      datagrams({ ...RUN, gsoSize: 1000, payload: new Uint8Array(5000) }, pool),
      'ethernet',
      pool,
    );
    expect((whole as Frame).start - (whole as Frame).base).to.be.greaterThanOrEqual(VIRTIO_NET_HEADER);
  });

  it('puts so many datagrams in one, and so many bytes, as the kernel takes', () => {
    const pool = new FramePool({ poison: true });
    const many = { ...RUN, gsoSize: 2, payload: new Uint8Array(2 * 150) };
    expect(merged(datagrams(many, pool), 'ethernet', pool)).to.deep.equal([MAX_DATAGRAMS, MAX_DATAGRAMS, 22]);
    for (const of of [RUN, RUN6]) {
      const large = { ...of, gsoSize: 1450, payload: new Uint8Array(1450 * 45) };
      const all = [...datagrams(large, pool), ...datagrams(large, pool)];
      // Identifications go on.
      for (const [i, frame] of all.entries()) {
        if (of.version === 6) continue;
        frame.slab.view.setUint16(frame.start + 18, i);
        refreshIpv4Checksum(frame.slab.view, frame.start + 14);
      }
      expect(merged(all, 'ethernet', pool)).to.deep.equal([45, 45]);
    }
  });

  it('ends with a shorter datagram, and does not begin with one', () => {
    const pool = new FramePool({ poison: true });
    const all = [...datagrams({ ...RUN6, payload: new Uint8Array(250) }, pool), ...datagrams(RUN6, pool)];
    expect(merged(all, 'ethernet', pool)).to.deep.equal([3, 5]);
    const growing = [50, 60, 60].flatMap((n) => datagrams({ ...RUN6, payload: new Uint8Array(n) }, pool));
    expect(merged(growing, 'ethernet', pool)).to.deep.equal([1, 2]);
  });

  it('goes on with the super-segments of an application', () => {
    const pool = new FramePool({ poison: true });
    const whole = superSegment({ ...RUN, payload: new Uint8Array(300) }, pool);
    const [next] = datagrams({ ...RUN, identification: 1, payload: new Uint8Array(100) }, pool);
    expect(mergeDatagram(whole, next as Frame, 'ethernet', pool)).to.equal(whole);
    expect(hexOf(whole)).to.equal(hexOf(superSegment({ ...RUN, payload: new Uint8Array(400) })));
  });

  const DIFFERENCES: readonly (readonly [string, Description, (frame: Frame, ip: number) => void])[] = [
    ['identification', RUN, set16(4, 7)],
    ['class', RUN, set8(1, 0)],
    ['flag that forbids fragments', RUN, set16(6, 0x4000)],
    ['place among fragments', RUN, set16(6, 0x2000)],
    ['hop limit', RUN, set8(8, 60)],
    ['source port', RUN, set16(20, 81)],
    ['destination port', RUN, set16(22, 81)],
    ['link address', RUN, set8(-1 - 13, 0x06)],
    ['class', RUN6, set16(0, 0x6000)],
    ['flow label', RUN6, set8(3, 1)],
    ['hop limit', RUN6, set8(7, 60)],
    ['source port', RUN6, set16(40, 81)],
  ];
  for (const [what, of, change] of DIFFERENCES) {
    it(`keeps apart what has another ${what} over IPv${of.version}`, () => {
      expect(withChange(of, 2, change)).to.deep.equal([2, 1, 2]);
    });
  }

  it('keeps apart what goes to another address', () => {
    const move = (at: number) => (frame: Frame, ip: number) => {
      frame.slab.view.setUint8(ip + at, frame.slab.view.getUint8(ip + at) ^ 1);
      open(frame, 'ethernet');
    };
    for (const at of [12, 19]) expect(withChange(RUN, 2, move(at))).to.deep.equal([2, 1, 2]);
    for (const at of [8, 39]) expect(withChange(RUN6, 2, move(at))).to.deep.equal([2, 1, 2]);
  });

  it('leaves alone datagrams whose checksum is complete, or whose pseudo-header’s sum is another', () => {
    const pool = new FramePool({ poison: true });
    const all = datagrams(RUN, pool);
    for (const frame of all) completeChecksum(frame);
    expect(all.map(leavesChecksumOfUdp)).to.deep.equal([false, false, false, false, false]);
    expect(merged(all, 'ethernet', pool)).to.deep.equal([1, 1, 1, 1, 1]);
    expect(withChange(RUN, 2, set16(26, 1))).to.deep.equal([2, 1, 2]);
  });

  it('leaves alone datagrams with padding, without payload, and of which the IPv4 header is wrong', () => {
    expect(withChange(RUN, 2, (frame) => frame.put(4))).to.deep.equal([2, 1, 2]);
    const pool = new FramePool({ poison: true });
    const empty = [0, 1, 2].flatMap((i) => datagrams({ ...RUN, identification: i, payload: new Uint8Array(0) }, pool));
    expect(merged(empty, 'ethernet', pool)).to.deep.equal([1, 1, 1]);
    const all = datagrams(RUN, pool);
    const { slab, start } = all[2] as Frame;
    slab.view.setUint16(start + 24, 0x1234);
    expect(merged(all, 'ethernet', pool)).to.deep.equal([2, 1, 2]);
  });

  it('leaves alone what is no datagram of UDP', () => {
    const pool = new FramePool({ poison: true });
    const tcp = superSegment({ ...RUN, udp: false }, pool);
    const other = superSegment({ ...RUN, udp: false }, pool);
    const [datagram] = datagrams(RUN, pool);
    expect(leavesChecksumOfUdp(tcp)).to.equal(false);
    expect(mergeDatagram(tcp, other, 'ethernet', pool)).to.equal(undefined);
    expect(mergeDatagram(tcp, datagram as Frame, 'ethernet', pool)).to.equal(undefined);
    expect(mergeDatagram(datagram as Frame, tcp, 'ethernet', pool)).to.equal(undefined);
  });

  it('gives back by segment() exactly what went in, whatever headers, lengths and flows', () => {
    const one = fc.record({
      of: fc.nat(2),
      gap: fc.constantFrom(0, 0, 0, 1),
      length: fc.oneof(fc.constant(20), fc.nat(600)),
      byte: fc.oneof(fc.constant(-1), fc.nat(69)),
    });
    const three = fc.array(descriptions, { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(three, fc.array(one, { maxLength: 90 }), (bases, steps) => {
        const pool = new FramePool({ poison: true });
        const tags = bases[0]?.tags;
        const medium: Medium = tags === undefined ? 'ip' : 'ethernet';
        let identification = bases[0]?.identification ?? 0;
        const frames = steps.flatMap(({ of, gap, length, byte }) => {
          identification = (identification + 1 + gap) & 0xffff;
          const base = { ...(bases[of] as Description), udp: true, tags, identification };
          const made = datagrams({ ...base, gsoSize: 65_000, payload: new Uint8Array(length).fill(length) }, pool);
          for (const frame of made) spoil(frame, byte, medium);
          return made;
        });
        merged(frames, medium, pool);
      }),
      { numRuns: 200 },
    );
  });
});

/** Changes one byte of a header in a way that leaves a packet that can be read. */
function spoil(frame: Frame, byte: number, medium: Medium): void {
  const network = networkOffset(frame, medium);
  const at = frame.start + byte;
  const { checksumStart } = frame;
  const isLink = at < network && at < frame.start + 12;
  const isPort = at >= checksumStart && at < checksumStart + 4;
  if (byte < 0 || !(isLink || isPort)) return;
  frame.slab.view.setUint8(at, frame.slab.view.getUint8(at) ^ 1);
}
