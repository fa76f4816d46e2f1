import { expect } from 'chai';
import * as fc from 'fast-check';
import { ByteQueue, captureMilliseconds, captureTime, LinkType, MAX_PACKET } from '../../../lib/capture/capture.js';
import { PCAP_HEADER, PcapReader, PcapWriter, type PcapWriterOptions } from '../../../lib/capture/pcap.js';
import { UsageError } from '../../../lib/core/errors.js';
import { concat, expected, Gathered, packets, readOut } from './capture-bytes.js';

const SHAPES = [true, false].flatMap((littleEndian) =>
  (['us', 'ns'] as const).map((precision) => ({ littleEndian, precision })),
);

function be32(...values: number[]): number[] {
  return values.flatMap((value) => [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff]);
}

describe('pcap', () => {
  it('reads what it wrote, in both byte orders and precisions, in chunks of any size', () => {
    for (const shape of SHAPES) {
      const arbitrary = packets(shape.precision === 'ns' ? 1 : 1000);
      fc.assert(
        fc.property(arbitrary, fc.integer({ min: 1, max: 99 }), fc.nat({ max: 300 }), (list, size, linkType) => {
          const file = new Gathered();
          const writer = new PcapWriter(file, { ...shape, linkType });
          for (const packet of list) writer.write(packet);
          const { records, end } = readOut(file.bytes, size);
          const plain = list.map((packet) =>
            expected({ ...packet, direction: undefined, comment: undefined }, linkType),
          );
          expect(records).to.deep.equal(plain);
          expect(end).to.equal('complete');
        }),
        { numRuns: 40 },
      );
    }
  });

  it('gives the complete records of a file cut at any byte, and says that it is cut', () => {
    const file = new Gathered();
    const writer = new PcapWriter(file);
    for (const length of [0, 5, 60]) writer.write({ seconds: 1, nanoseconds: 0, data: new Uint8Array(length) });
    const { bytes, borders } = file;
    for (let cut = 0; cut <= bytes.length; cut++) {
      const { records, end } = readOut(bytes.subarray(0, cut));
      expect(records.length, `cut at ${cut}`).to.equal(Math.max(0, borders.filter((at) => at <= cut).length - 1));
      expect(end, `cut at ${cut}`).to.equal(borders.includes(cut) ? 'complete' : 'truncated');
    }
  });

  it('throws nothing but ERR_BAD_CAPTURE on mutated bytes, and never reads more than there is', () => {
    const file = new Gathered();
    const writer = new PcapWriter(file);
    for (const length of [3, 60, 0]) writer.write({ seconds: 1, nanoseconds: 0, data: new Uint8Array(length) });
    const mutations = fc.array(fc.tuple(fc.nat(file.bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(mutations, fc.integer({ min: 1, max: 200 }), (changes, size) => {
        const { bytes } = file;
        for (const [at, value] of changes) bytes[at] = value;
        const { records } = readOut(bytes, size);
        for (const { data, capturedLength } of records) expect(data.length).to.equal(capturedLength);
        expect(records.reduce((sum, { data }) => sum + data.length + 16, PCAP_HEADER)).to.be.at.most(bytes.length);
      }),
      { numRuns: 500 },
    );
  });

  it('reads the byte layout of the draft, and carries an impossible fraction over', () => {
    const header = [...be32(0xa1b2c3d4), 0, 2, 0, 4, ...be32(0, 0, 1000, 0xf000_0001)];
    const reader = new PcapReader();
    reader.push(concat(header, be32(7, 1_500_000, 2, 9), [0xaa, 0xbb]));
    expect(reader.next()).to.deep.equal({
      interfaceId: 0,
      linkType: LinkType.Ethernet,
      seconds: 8,
      nanoseconds: 500_000_000,
      capturedLength: 2,
      originalLength: 9,
      data: Uint8Array.of(0xaa, 0xbb),
    });
    expect(reader.interfaces).to.deep.equal([{ linkType: 1, snapLength: 1000, digits: 6 }]);
    expect(reader.offset).to.equal(42);
  });

  it('swaps the lengths of old versions as libpcap does', () => {
    const file = (minor: number, ...lengths: number[]) =>
      readOut(concat(be32(0xa1b2c3d4), [0, 2, 0, minor], be32(0, 0, 99, 1), be32(1, 2, ...lengths), [1, 2])).records[0];
    expect(file(2, 9, 2)).to.include({ capturedLength: 2, originalLength: 9 });
    expect(file(3, 9, 2)).to.include({ capturedLength: 2, originalLength: 9 });
    expect(file(3, 2, 9)).to.include({ capturedLength: 2, originalLength: 9 });
  });

  it('refuses other magics, other versions and impossible lengths, with the offset', () => {
    const header = [...be32(0xa1b2c3d4), 0, 2, 0, 4, ...be32(0, 0, 0, 1)];
    expect(readOut(new TextEncoder().encode('GET / HTTP/1.1')).message).to.match(/offset 0: neither/);
    expect(readOut(concat(be32(0xa1b2c3d4), [0, 3, 0, 4], be32(0, 0, 0, 1))).message).to.match(
      /offset 4: pcap version 3.4/,
    );
    expect(readOut(concat(header, be32(0, 0, MAX_PACKET + 1, 1))).message).to.match(/offset 32: .*262145/);
    expect(readOut(concat(header, be32(0, 0, MAX_PACKET, 1))).end).to.equal('truncated');
    expect(readOut(Uint8Array.of()).end).to.equal('truncated');
  });

  it('appends in the byte order and precision of the file, and refuses another link type or no capture', () => {
    for (const shape of SHAPES) {
      const file = new Gathered();
      new PcapWriter(file, shape).write({ seconds: 1, nanoseconds: 2000, data: Uint8Array.of(1) });
      const append = file.bytes;
      new PcapWriter(file, { append }).write({ seconds: 3, nanoseconds: 4000, data: Uint8Array.of(2, 3) });
      const { records, end } = readOut(file.bytes);
      expect(records.map(({ seconds, nanoseconds, data }) => [seconds, nanoseconds, data.length])).to.deep.equal([
        [1, 2000, 1],
        [3, 4000, 2],
      ]);
      expect(end).to.equal('complete');
      const refused = (options: PcapWriterOptions) => expect(() => new PcapWriter(file, options)).to.throw(UsageError);
      refused({ append, linkType: LinkType.RawIp }).with.property('code', 'ERR_BAD_CAPTURE');
      refused({ append: append.subarray(0, 20) }).with.property('code', 'ERR_BAD_CAPTURE');
      refused({ append: new Uint8Array(30) }).with.property('code', 'ERR_BAD_CAPTURE');
    }
  });

  it('cuts packets to the snapshot length, and keeps the original one', () => {
    const file = new Gathered();
    new PcapWriter(file, { snapLength: 4 }).write({ seconds: 0, nanoseconds: 0, data: new Uint8Array(10) });
    expect(readOut(file.bytes).records[0]).to.include({ capturedLength: 4, originalLength: 10 });
  });

  it('refuses impossible options and times', () => {
    const sink = new Gathered();
    expect(() => new PcapWriter(sink, { snapLength: 0 })).to.throw(UsageError, 'snapLength');
    expect(() => new PcapWriter(sink, { linkType: 70000 })).to.throw(UsageError, 'link type');
    const writer = new PcapWriter(sink);
    for (const seconds of [-1, 2 ** 32, Number.NaN]) {
      expect(() => writer.write({ seconds, nanoseconds: 0, data: new Uint8Array(1) })).to.throw(UsageError, 'time');
    }
  });
});

describe('capture times', () => {
  it('splits milliseconds and puts them together again', () => {
    expect(captureTime(1234.567891)).to.deep.equal({ seconds: 1, nanoseconds: 234_567_891 });
    expect(captureTime(1999.9999999)).to.deep.equal({ seconds: 2, nanoseconds: 0 });
    expect(captureMilliseconds({ seconds: 2, nanoseconds: 500_000 })).to.equal(2000.5);
  });
});

describe('ByteQueue', () => {
  it('holds what was pushed and not skipped, and never changes what it handed out', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.uint8Array({ maxLength: 9 }), fc.nat(9)), { maxLength: 30 }), (steps) => {
        const queue = new ByteQueue();
        let model: number[] = [];
        const out: [Uint8Array, number[]][] = [];
        for (const [chunk, skip] of steps) {
          queue.push(chunk);
          model.push(...chunk);
          const all = queue.bytes.subarray(queue.start, queue.end);
          out.push([all, [...model]]);
          const length = Math.min(skip, queue.length);
          queue.skip(length);
          model = model.slice(length);
        }
        for (const [bytes, was] of out) expect([...bytes]).to.deep.equal(was);
      }),
      { numRuns: 100 },
    );
  });
});
