import { expect } from 'chai';
import * as fc from 'fast-check';
import { ChecksumState, Frame, FramePool, GsoType } from '../../../lib/core/frame.js';
import { Coalescer, type CoalescerOptions } from '../../../lib/wire/coalescing.js';
import { refreshIpv4Checksum } from '../../../lib/wire/ipv4.js';
import { networkOffset } from '../../../lib/wire/network-offset.js';
import { completeChecksum, segment } from '../../../lib/wire/segmentation.js';
import { TcpFlag } from '../../../lib/wire/tcp.js';
import { TransportHeaders } from '../../../lib/wire/transport-headers.js';
import { hexOf } from './frames.js';
import { type Description, descriptions, parse, superSegment } from './super-segments.js';

const BULK: Description = {
  version: 4,
  udp: false,
  tags: [],
  ipOptions: 0,
  tcpOptions: 12,
  sequence: 0xffff_ff00,
  identification: 0xfffe,
  dontFragment: true,
  flags: TcpFlag.Ack,
  gsoSize: 100,
  payload: Uint8Array.from({ length: 450 }, (_, i) => i),
};

const mediumOf = ({ tags }: Description) => (tags === undefined ? 'ip' : 'ethernet');

/** The packets that a super-segment stands for, as a wire brings them: with nothing known of their checksums. */
function packets(of: Description, pool: FramePool): Frame[] {
  const frame = superSegment(of, pool);
  const out: Frame[] = [];
  segment(frame, networkOffset(frame, mediumOf(of)), pool, (piece) => out.push(piece));
  frame.release();
  for (const packet of out) packet.checksum = ChecksumState.None;
  return out;
}

/** What comes out of a coalescer that is given these frames in one batch. */
function coalesce(frames: readonly Frame[], pool: FramePool, medium: 'ethernet' | 'ip', options?: CoalescerOptions) {
  const out: Frame[] = [];
  const coalescer = new Coalescer(pool, (frame) => out.push(frame), options);
  for (const frame of frames) coalescer.push(frame, networkOffset(frame, medium));
  coalescer.flush();
  expect(coalescer.waiting).to.equal(0);
  return out;
}

/** The packets on the wire that frames stand for. */
function expand(frames: readonly Frame[], pool: FramePool, medium: 'ethernet' | 'ip'): string[] {
  return frames.flatMap((frame) => {
    if (frame.gsoType === GsoType.None) return [hexOf(frame)];
    const out: string[] = [];
    segment(frame, networkOffset(frame, medium), pool, (piece) => {
      out.push(hexOf(piece));
      piece.release();
    });
    return out;
  });
}

const payloads = (frames: readonly Frame[]): number[] => frames.map((frame) => parse(frame, 'ethernet').payload.length);

/** Lengths of payloads, of frames that may be super-segments. */
function lengths(frames: readonly Frame[]): number[] {
  return frames.map((frame) => {
    const found = new TransportHeaders();
    found.find(frame, networkOffset(frame, 'ethernet'));
    return found.end - found.payload;
  });
}

/** Pushes the packets of BULK, one of them changed, and gives the lengths of what comes out. */
function withChange(index: number, change: (frame: Frame, ip: number, tcp: number) => void, mend = true): number[] {
  const pool = new FramePool({ poison: true });
  const all = packets(BULK, pool);
  const frame = all[index] as Frame;
  const ip = frame.start + 14;
  change(frame, ip, ip + 20);
  if (mend) mendChecksums(frame);
  const wanted = all.map(hexOf);
  const out = coalesce(all, pool, 'ethernet');
  expect(expand(out, pool, 'ethernet')).to.deep.equal(wanted);
  return lengths(out);
}

/** Makes both checksums right again after a change of the headers. */
function mendChecksums(frame: Frame): void {
  const found = new TransportHeaders();
  if (!found.find(frame, frame.start + 14)) return;
  const { view } = frame.slab;
  if (found.version === 4) refreshIpv4Checksum(view, found.network);
  Object.assign(frame, { checksum: 2, checksumStart: found.transport, checksumField: found.transport + 16 });
  const sum = 6 + found.end - found.transport;
  const source = view.getUint32(found.network + 12);
  const destination = view.getUint32(found.network + 16);
  const pseudo = [source >>> 16, source & 0xffff, destination >>> 16, destination & 0xffff].reduce(
    (a, b) => a + b,
    sum,
  );
  view.setUint16(frame.checksumField, (pseudo & 0xffff) + (pseudo >>> 16));
  completeChecksum(frame);
  frame.checksum = ChecksumState.None;
}

const set16 = (at: number, value: number) => (frame: Frame) => frame.slab.view.setUint16(frame.start + at, value);

describe('Coalescer', () => {
  it('makes one super-segment of the packets of one, its sequence number and identification wrapping around', () => {
    const pool = new FramePool({ poison: true });
    const original = superSegment({ ...BULK, flags: TcpFlag.Ack | TcpFlag.Psh | TcpFlag.Cwr });
    const [whole, ...rest] = coalesce(
      packets({ ...BULK, flags: TcpFlag.Ack | TcpFlag.Psh | TcpFlag.Cwr }, pool),
      pool,
      'ethernet',
    );
    expect(rest).to.deep.equal([]);
    expect(hexOf(whole as Frame)).to.equal(hexOf(original));
    expect(whole).to.include({ gsoType: GsoType.TcpV4, gsoSize: 100, checksum: ChecksumState.Partial });
    whole?.release();
    expect(pool.outstanding).to.equal(0);
  });

  it('undoes what segment() did, wherever there was more than one packet', () => {
    fc.assert(
      fc.property(descriptions, (of) => {
        const pool = new FramePool({ poison: true });
        const plain = { ...of, ipOptions: 0 };
        const original = superSegment(plain);
        const out = coalesce(packets(plain, pool), pool, mediumOf(of), { udp: true });
        expect(out).to.have.lengthOf(1);
        const [whole] = out as [Frame];
        if (plain.payload.length > plain.gsoSize) {
          expect(hexOf(whole)).to.equal(hexOf(original));
          const { gsoType, gsoSize } = original;
          const shift = whole.start - original.start;
          const start = original.checksumStart + shift;
          const field = original.checksumField + shift;
          const partial = { checksum: ChecksumState.Partial, checksumStart: start, checksumField: field };
          expect(whole).to.include({ gsoType, gsoSize, ...partial, wholeEnd: whole.end });
        } else expect(whole.gsoType).to.equal(GsoType.None);
        whole.release();
        expect(pool.outstanding).to.equal(0);
      }),
    );
  });

  it('leaves one packet of a flow as it came', () => {
    const pool = new FramePool();
    const [first] = packets(BULK, pool) as [Frame];
    expect(coalesce([first], pool, 'ethernet')).to.deep.equal([first]);
    expect(first).to.include({ gsoType: GsoType.None, checksum: ChecksumState.None });
  });

  it('ends a super-segment with a short packet, with PSH, and with FIN', () => {
    expect(withChange(1, (frame) => set16(46, 0x8018)(frame))).to.deep.equal([200, 250]);
    expect(withChange(2, (frame) => set16(46, 0x8011)(frame))).to.deep.equal([300, 150]);
    expect(withChange(0, (frame) => set16(46, 0x8018)(frame))).to.deep.equal([100, 350]);
    const pool = new FramePool();
    const short = packets({ ...BULK, payload: new Uint8Array(150) }, pool);
    const next = packets({ ...BULK, sequence: 0xffff_ff00 + 150, identification: 0 }, pool);
    expect(lengths(coalesce([...short, ...next], pool, 'ethernet'))).to.deep.equal([150, 450]);
  });

  it('does not merge a packet that differs in anything that segment() repeats', () => {
    const apart = [200, 100, 150];
    const changes: [string, (frame: Frame, ip: number, tcp: number) => void][] = [
      ['class', (frame, ip) => frame.slab.view.setUint8(ip + 1, 3)],
      ['identification', (frame, ip) => frame.slab.view.setUint16(ip + 4, 77)],
      ['DF', (frame, ip) => frame.slab.view.setUint16(ip + 6, 0)],
      ['TTL', (frame, ip) => frame.slab.view.setUint8(ip + 8, 60)],
      ['sequence', (frame, _, tcp) => frame.slab.view.setUint32(tcp + 4, 99)],
      ['acknowledgment', (frame, _, tcp) => frame.slab.view.setUint32(tcp + 8, 99)],
      ['window', (frame, _, tcp) => frame.slab.view.setUint16(tcp + 14, 99)],
      ['urgent pointer', (frame, _, tcp) => frame.slab.view.setUint16(tcp + 18, 99)],
      ['ECE', (frame, _, tcp) => frame.slab.view.setUint16(tcp + 12, 0x8050)],
      ['AE', (frame, _, tcp) => frame.slab.view.setUint16(tcp + 12, 0x8110)],
      ['a reserved bit', (frame, _, tcp) => frame.slab.view.setUint16(tcp + 12, 0x8810)],
      ['an option', (frame, _, tcp) => frame.slab.view.setUint8(tcp + 31, 99)],
      ['the link header', (frame) => frame.slab.view.setUint8(frame.start + 11, 99)],
    ];
    for (const [title, change] of changes) expect(withChange(2, change), title).to.deep.equal(apart);
    // CWR may stand in the first segment only: that packet can begin another.
    expect(withChange(2, (frame) => set16(46, 0x8090)(frame))).to.deep.equal([200, 250]);
  });

  it('does not merge what it cannot vouch for', () => {
    const flip = (frame: Frame, at: number): void => frame.slab.view.setUint8(at, frame.slab.view.getUint8(at) ^ 1);
    expect(withChange(2, (frame) => flip(frame, frame.end - 1), false)).to.deep.equal([200, 100, 150]);
    expect(withChange(0, (frame) => flip(frame, frame.end - 1), false)).to.deep.equal([100, 350]);
    expect(withChange(2, (frame, ip) => flip(frame, ip + 10), false)).to.deep.equal([200, 100, 150]);
    expect(withChange(2, (frame) => void frame.put(2), false)).to.deep.equal([200, 100, 150]);
    for (const flags of [0x8012, 0x8014, 0x8030]) {
      expect(withChange(2, (frame) => set16(46, flags)(frame))).to.deep.equal([200, 100, 150]);
    }
  });

  it('gives back one packet, whose checksum it has seen to be right, where the next is wrong', () => {
    const pool = new FramePool({ poison: true });
    const [first, second] = packets(BULK, pool).slice(0, 2) as [Frame, Frame];
    const wanted = [hexOf(first)];
    second.slab.view.setUint8(second.end - 1, 0xee);
    wanted.push(hexOf(second));
    const out = coalesce([first, second], pool, 'ethernet');
    expect(out.map(hexOf)).to.deep.equal(wanted);
    expect(out.map(({ gsoType, gsoSize }) => [gsoType, gsoSize])).to.deep.equal([
      [0, 0],
      [0, 0],
    ]);
    expect(out.map(({ checksum }) => checksum)).to.deep.equal([ChecksumState.Valid, ChecksumState.None]);
    expect(out[0]?.wholeEnd).to.equal(out[0]?.end);
  });

  it('takes the word of a device that has verified a checksum, but not of one that has left it to others', () => {
    const pool = new FramePool();
    const all = packets(BULK, pool);
    for (const packet of all) packet.checksum = ChecksumState.Valid;
    expect(lengths(coalesce(all, pool, 'ethernet'))).to.deep.equal([450]);
    const others = packets(BULK, pool);
    for (const packet of others) packet.checksum = ChecksumState.Partial;
    expect(lengths(coalesce(others, pool, 'ethernet'))).to.deep.equal([100, 100, 100, 100, 50]);
  });

  it('lets a packet without data of the same flow come after the data in front of it', () => {
    const pool = new FramePool();
    const all = packets(BULK, pool);
    const [ack] = packets({ ...BULK, payload: new Uint8Array(0) }, pool);
    all.splice(2, 0, ack as Frame);
    expect(lengths(coalesce(all, pool, 'ethernet'))).to.deep.equal([200, 0, 250]);
  });

  it('works on several flows at once, and emits in the order of arrival', () => {
    const pool = new FramePool({ poison: true });
    const flow = (port: number, payload: Uint8Array): Frame[] => packets({ ...BULK, port, payload }, pool);
    const flows = Array.from({ length: 8 }, (_, i) => flow(1000 + i, new Uint8Array(400)));
    const mixed = [0, 1, 2, 3].flatMap((round) => flows.map((one) => one[round] as Frame));
    const out = coalesce(mixed, pool, 'ethernet');
    expect(lengths(out)).to.deep.equal(Array.from({ length: 8 }, () => 400));
    expect(out.map((frame) => frame.slab.view.getUint16(frame.start + 34))).to.deep.equal(
      flows.map((_, i) => 1000 + i),
    );
    // A ninth flow makes the first give up its place.
    const nine = Array.from({ length: 9 }, (_, i) => flow(1000 + i, new Uint8Array(200)));
    const some = [0, 1].flatMap((round) => nine.map((one) => one[round] as Frame));
    expect(payloads(coalesce(some, pool, 'ethernet'))).to.deep.equal(Array.from({ length: 18 }, () => 100));
    for (const frame of out) frame.release();
  });

  it('makes packets of at most 65,535 bytes', () => {
    const pool = new FramePool();
    const parts = Array.from({ length: 50 }, (_, i) => {
      const sequence = (BULK.sequence + i * 1460) >>> 0;
      return packets(
        { ...BULK, sequence, identification: i, gsoSize: 1460, payload: new Uint8Array(1460), tcpOptions: 0 },
        pool,
      );
    });
    // 44 segments and 40 bytes of headers make 64,280.
    expect(lengths(coalesce(parts.flat(), pool, 'ethernet'))).to.deep.equal([44 * 1460, 6 * 1460]);
  });

  it('merges datagrams only where that is asked for, and only of one length', () => {
    const pool = new FramePool();
    const udp = { ...BULK, udp: true };
    expect(lengths(coalesce(packets(udp, pool), pool, 'ethernet'))).to.deep.equal([100, 100, 100, 100, 50]);
    const [whole, ...rest] = coalesce(packets(udp, pool), pool, 'ethernet', { udp: true });
    expect(rest).to.deep.equal([]);
    expect(whole).to.include({ gsoType: GsoType.UdpL4, gsoSize: 100 });
    const unsummed = packets(udp, pool);
    for (const frame of unsummed) frame.slab.view.setUint16(frame.start + 40, 0);
    expect(lengths(coalesce(unsummed, pool, 'ethernet', { udp: true }))).to.have.lengthOf(5);
  });
});

/** What happens to a packet on its way. */
type Accident =
  | { readonly kind: 'none' | 'lose' | 'duplicate' | 'delay' | 'pad' | 'batch' }
  | { readonly kind: 'corrupt'; readonly at: number; readonly bit: number; readonly mend: boolean };

const accidents: fc.Arbitrary<Accident> = fc.oneof(
  { weight: 20, arbitrary: fc.constant({ kind: 'none' } as const) },
  fc.record({ kind: fc.constantFrom('lose' as const, 'duplicate', 'delay', 'pad', 'batch') }),
  fc.record({ kind: fc.constant('corrupt' as const), at: fc.nat(80), bit: fc.nat(7), mend: fc.boolean() }),
);

interface Wire {
  readonly flows: readonly Description[];
  readonly order: readonly number[];
  readonly accidents: readonly Accident[];
}

const flows: fc.Arbitrary<readonly Description[]> = fc
  .array(fc.tuple(descriptions, fc.uint8Array({ minLength: 200, maxLength: 600 })), { minLength: 1, maxLength: 5 })
  .map((all) =>
    all.map(([of, payload], i) => {
      return { ...of, tags: [], port: 80 + (i % 4), gsoSize: (of.gsoSize % 60) + 1, payload };
    }),
  );

const wires: fc.Arbitrary<Wire> = fc.record({
  flows,
  order: fc.array(fc.nat(4), { minLength: 50, maxLength: 50 }),
  accidents: fc.array(accidents, { minLength: 50, maxLength: 50 }),
});

/** The packets of a wire, in the order in which they arrive; `undefined` ends a batch. */
function arrivals({ flows, order, accidents }: Wire, pool: FramePool): (Frame | undefined)[] {
  const waiting = flows.map((of) => packets(of, pool));
  const out: (Frame | undefined)[] = [];
  const late: Frame[] = [];
  for (const [i, turn] of order.entries()) {
    const line = waiting[turn % waiting.length];
    const frame = line?.shift();
    const accident = accidents[i];
    if (frame === undefined || accident === undefined) continue;
    if (accident.kind === 'lose') frame.release();
    else if (accident.kind === 'delay') late.push(frame);
    else out.push(frame);
    if (accident.kind === 'duplicate') out.push(pool.copy(frame));
    if (accident.kind === 'pad') frame.pad(frame.length + 3);
    if (accident.kind === 'batch') out.push(undefined, ...late.splice(0));
    if (accident.kind === 'corrupt') corrupt(frame, accident);
  }
  for (const frame of waiting.flat()) frame.release();
  return [...out, ...late];
}

function corrupt(frame: Frame, { at, bit, mend }: Accident & { kind: 'corrupt' }): void {
  const place = frame.start + (at % frame.length);
  frame.slab.bytes[place] = (frame.slab.bytes[place] ?? 0) ^ (1 << bit);
  if (mend) mendChecksums(frame);
}

/** Packets by flow: within one their order counts. Those that have no headers to tell it by are of no flow. */
function byFlow(frames: readonly string[]): Map<string, string[]> {
  const flows = new Map<string, string[]>();
  for (const hex of frames) {
    const frame = Frame.from(Uint8Array.from(Buffer.from(hex, 'hex')));
    const found = new TransportHeaders();
    const isKnown = found.find(frame, networkOffset(frame, 'ethernet'));
    const from = found.network - frame.start + (found.version === 4 ? 12 : 8);
    const addresses = hex.slice(2 * from, 2 * (from + (found.version === 4 ? 8 : 32)));
    const transport = 2 * (found.transport - frame.start);
    const key = isKnown ? `${found.protocol} ${addresses} ${hex.slice(transport, transport + 8)}` : 'none';
    flows.set(key, [...(flows.get(key) ?? []), hex]);
  }
  return flows;
}

describe('segment() of what a Coalescer made', () => {
  it('is what went in, byte for byte and in order, of several flows with every kind of accident', () => {
    let merged = 0;
    fc.assert(
      fc.property(wires, (wire) => {
        const pool = new FramePool({ poison: true });
        const input = arrivals(wire, pool);
        const wanted = byFlow(input.filter((frame) => frame !== undefined).map(hexOf));
        const out: Frame[] = [];
        const coalescer = new Coalescer(pool, (frame) => out.push(frame), { udp: true, flows: 3 });
        for (const frame of input) {
          if (frame === undefined) coalescer.flush();
          else coalescer.push(frame, networkOffset(frame, 'ethernet'));
        }
        coalescer.flush();
        merged += out.filter(({ gsoType }) => gsoType !== GsoType.None).length;
        expect(byFlow(expand(out, pool, 'ethernet'))).to.deep.equal(wanted);
        for (const frame of out) frame.release();
        expect(pool.outstanding).to.equal(0);
      }),
      { numRuns: 300 },
    );
    expect(merged).to.be.above(100);
  });

  it('is what went in for any bytes, without a throw', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 6 }), (all) => {
        const pool = new FramePool();
        const frames = all.map((bytes) => {
          const frame = pool.alloc(bytes.length);
          frame.slab.bytes.set(bytes, frame.put(bytes.length));
          return frame;
        });
        const wanted = frames.map(hexOf).sort();
        expect(expand(coalesce(frames, pool, 'ip', { udp: true }), pool, 'ip').sort()).to.deep.equal(wanted);
      }),
    );
  });
});
