import { expect } from 'chai';
import * as fc from 'fast-check';
import type { Device } from '../../../lib/core/device.js';
import {
  asRx,
  asTx,
  asTxPacket,
  Cast,
  ChecksumState,
  DELIVERED,
  Frame,
  FramePool,
  GsoType,
  HEADROOM,
  NOT_PARSED,
  UNDER_WAY,
} from '../../../lib/core/frame.js';

function code(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
  return undefined;
}

const pristine = {
  device: undefined,
  time: 0,
  link: NOT_PARSED,
  network: NOT_PARSED,
  linkCast: Cast.Unicast,
  ipCast: Cast.Unicast,
  checksum: ChecksumState.None,
  checksumStart: 0,
  checksumField: 0,
  gsoType: GsoType.None,
  gsoSize: 0,
  mark: 0,
  flow: 0,
  fate: UNDER_WAY,
  shared: false,
  views: 0,
};

/** Sets every field of the metadata to something else. */
function soil(frame: Frame): void {
  Object.assign(frame, {
    device: { name: 'x' } as Device,
    time: 5,
    link: frame.start,
    network: frame.start + 14,
    linkCast: Cast.Broadcast,
    ipCast: Cast.Multicast,
    checksum: ChecksumState.Partial,
    checksumStart: frame.start + 34,
    checksumField: frame.start + 50,
    gsoType: GsoType.TcpV4,
    gsoSize: 1448,
    mark: 3,
    flow: 4,
    fate: DELIVERED,
    shared: true,
    views: 7,
  });
}

describe('Frame', () => {
  it('holds a copy of bytes, with headroom in front', () => {
    const bytes = Uint8Array.of(1, 2, 3);
    const frame = Frame.from(bytes);
    bytes[0] = 9;
    expect([...frame.bytes()]).to.deep.equal([1, 2, 3]);
    expect(frame.start - frame.base).to.equal(HEADROOM);
    expect(frame.wholeEnd).to.equal(frame.end);
    expect(frame).to.include(pristine);
  });

  it('makes room in front and behind, no further than its slot', () => {
    const frame = new FramePool().alloc(10);
    expect(frame.length).to.equal(0);
    const at = frame.put(4);
    expect(frame.push(14)).to.equal(at - 14);
    expect(frame.length).to.equal(18);
    expect(frame.push(HEADROOM - 14)).to.equal(frame.base);
    expect(code(() => frame.push(1))).to.equal('ERR_NO_HEADROOM');
    frame.put(frame.limit - frame.end);
    expect(code(() => frame.put(1))).to.equal('ERR_FRAME_TOO_LARGE');
    expect([frame.start, frame.end]).to.deep.equal([frame.base, frame.limit]);
  });

  it('pads with zeros, and only what is missing', () => {
    const pool = new FramePool({ poison: true });
    const frame = pool.alloc(60);
    frame.slab.bytes[frame.put(1)] = 7;
    frame.pad(5);
    expect([...frame.bytes()]).to.deep.equal([7, 0, 0, 0, 0]);
    frame.pad(3);
    expect(frame.length).to.equal(5);
  });

  it('may be changed by the one that it was handed over to, until anybody else has it', () => {
    const pool = new FramePool();
    const frame = pool.alloc(10);
    expect(frame.handOver().writable).to.equal(true);
    expect(frame.exclusive).to.equal(false);
    frame.retain();
    expect(frame.writable).to.equal(false);
    frame.release();
    // Who has the second reference now is not known.
    expect(frame.writable).to.equal(false);
    frame.release();
    expect(frame.writable).to.equal(true);
    frame.retain().handOver();
    expect(frame.writable).to.equal(false);
    for (let i = 0; i < 3; i++) frame.release();
    const next = pool.alloc(10);
    expect(next.retain().writable).to.equal(false);
    next.release();
    next.shared = true;
    expect(next.handOver().writable).to.equal(false);
    next.release();
    next.release();
    expect(pool.outstanding).to.equal(0);
  });

  it('is exclusive to its one holder, unless it is shared', () => {
    const frame = new FramePool().alloc(1);
    expect(frame.exclusive).to.equal(true);
    frame.retain();
    expect(frame.exclusive).to.equal(false);
    frame.release();
    frame.shared = true;
    expect(frame.exclusive).to.equal(false);
  });

  it('has headroom of its own although a queue keeps its payload, until anybody else has it', () => {
    const pool = new FramePool();
    const frame = pool.alloc(1);
    expect(frame.ownsHeadroom).to.equal(true);
    frame.retain();
    expect(frame.ownsHeadroom).to.equal(false);
    frame.isKept = true;
    expect([frame.ownsHeadroom, frame.exclusive, frame.writable]).to.deep.equal([true, false, false]);
    frame.shared = true;
    expect(frame.ownsHeadroom).to.equal(false);
    frame.shared = false;
    frame.retain();
    expect(frame.ownsHeadroom).to.equal(false);
    for (let i = 0; i < 3; i++) frame.release();
    const next = pool.alloc(1);
    expect([next === frame, next.isKept, next.retain().ownsHeadroom]).to.deep.equal([true, false, false]);
  });

  it('is the same object under each brand', () => {
    const frame = Frame.from(new Uint8Array(1));
    expect([asRx(frame), asTx(frame), asTxPacket(frame)]).to.deep.equal([frame, frame, frame]);
  });
});

describe('FramePool', () => {
  it('gets a frame back when it is released as often as it was retained, and then overwrites it with 0xdb', () => {
    const pool = new FramePool({ poison: true });
    const frame = pool.alloc(100);
    frame.slab.bytes.fill(1, frame.base, frame.limit);
    expect(frame.retain()).to.equal(frame);
    frame.release();
    expect(pool.outstanding).to.equal(1);
    expect(frame.slab.bytes[frame.start]).to.equal(1);
    frame.release();
    expect(pool.outstanding).to.equal(0);
    expect(frame.slab.bytes.subarray(frame.base, frame.limit).every((byte) => byte === 0xdb)).to.equal(true);
  });

  it('poisons that slot only', () => {
    const pool = new FramePool({ poison: true });
    const [one, other] = [pool.alloc(100), pool.alloc(100)];
    expect(one.slab).to.equal(other.slab);
    other.slab.bytes[other.put(1)] = 42;
    one.release();
    expect(other.slab.bytes[other.start]).to.equal(42);
  });

  it('refuses what no longer belongs to the caller', () => {
    for (const frame of [new FramePool().alloc(1), Frame.from(new Uint8Array(1))]) {
      frame.release();
      expect(code(() => frame.release())).to.equal('ERR_FRAME_RELEASED');
      expect(code(() => frame.retain())).to.equal('ERR_FRAME_RELEASED');
      expect(frame.exclusive).to.equal(false);
    }
  });

  it('recycles a slot as a new frame, whatever was known of the old one', () => {
    const pool = new FramePool();
    const frame = pool.alloc(100);
    frame.put(50);
    soil(frame);
    frame.retain().release();
    frame.release();
    const next = pool.alloc(100);
    expect(next).to.equal(frame);
    expect(next).to.include(pristine);
    expect([next.length, next.start - next.base, next.wholeEnd]).to.deep.equal([0, HEADROOM, next.start]);
    next.shared = false;
    expect(next.exclusive).to.equal(true);
  });

  it('has slots for a frame, a jumbo frame and a super-segment, which do not overlap', () => {
    const pool = new FramePool();
    const sizes = [0, 1, 1514, 2048 - HEADROOM, 2049 - HEADROOM, 9014, 16384 - HEADROOM, 65_549, 67_424];
    const frames = sizes.flatMap((size) => Array.from({ length: 70 }, () => ({ size, frame: pool.alloc(size) })));
    for (const { size, frame } of frames) expect(frame.limit - frame.start).to.be.at.least(size);
    expect(frames[0] && frames[0].frame.limit - frames[0].frame.base).to.equal(2048);
    frames.forEach(({ frame }, i) => frame.slab.bytes.fill(i & 0xff, frame.base, frame.limit));
    frames.forEach(({ frame }, i) => {
      expect(frame.slab.bytes[frame.base]).to.equal(i & 0xff);
      expect(frame.slab.bytes[frame.limit - 1]).to.equal(i & 0xff);
    });
    for (const { frame } of frames) frame.release();
    expect(pool.outstanding).to.equal(0);
    expect(code(() => pool.alloc(67_425))).to.equal('ERR_FRAME_TOO_LARGE');
    expect(pool.outstanding).to.equal(0);
  });

  it('copies the range and what describes the packet, with full headroom and the asked-for room', () => {
    const pool = new FramePool({ poison: true });
    const frame = Frame.from(Uint8Array.of(0, 0, 1, 2, 3, 4));
    frame.start += 2;
    soil(frame);
    const copy = pool.copy(frame, 1000);
    expect([...copy.bytes()]).to.deep.equal([1, 2, 3, 4]);
    expect(copy.start - copy.base).to.equal(HEADROOM);
    expect(copy.limit - copy.end).to.be.at.least(1000);
    expect(copy).to.include({ time: 5, mark: 3, flow: 4, gsoSize: 1448, checksum: ChecksumState.Partial });
    expect([copy.checksumStart - copy.start, copy.checksumField - copy.start]).to.deep.equal([34, 50]);
    // It is another packet: nothing is parsed, decided or shared yet.
    expect(copy).to.include({
      link: NOT_PARSED,
      network: NOT_PARSED,
      fate: UNDER_WAY,
      shared: false,
      wholeEnd: copy.end,
    });
    expect(copy.exclusive).to.equal(true);
    copy.slab.bytes[copy.start] = 9;
    expect(frame.bytes()[0]).to.equal(1);
  });

  it('counts what is outstanding right, whatever the order', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ take: fc.boolean(), size: fc.nat(67_000), which: fc.nat(100) })), (script) => {
        const pool = new FramePool();
        const held: Frame[] = [];
        for (const { take, size, which } of script) {
          if (take) held.push(pool.alloc(size));
          else held.splice(which % (held.length || 1), 1)[0]?.release();
          expect(pool.outstanding).to.equal(held.length);
          expect(new Set(held.map((frame) => frame)).size).to.equal(held.length);
        }
      }),
      { numRuns: 30 },
    );
  });
});
