import { expect } from 'chai';
import * as fc from 'fast-check';
import { LinkType } from '../../../lib/capture/capture.js';
import { MAX_BLOCK, PcapngReader } from '../../../lib/capture/pcapng.js';
import { PcapngWriter } from '../../../lib/capture/pcapng-writer.js';
import { CaptureReader, readCapture } from '../../../lib/capture/reader.js';
import { UsageError } from '../../../lib/core/errors.js';
import { concat, expected, Gathered, packets, readOut } from './capture-bytes.js';

/** Blocks by hand, in one byte order, independent of the writer. */
function layout(littleEndian: boolean) {
  const number = (size: 2 | 4) => (value: number) => {
    const bytes = Array.from({ length: size }, (_, i) => Math.floor(value / 256 ** i) % 256);
    return littleEndian ? bytes : bytes.toReversed();
  };
  const u16 = number(2);
  const u32 = number(4);
  const pad = (bytes: number[]) => [...bytes, ...Array.from({ length: -bytes.length & 3 }, () => 0)];
  const block = (type: number, ...body: number[][]) => {
    const flat = body.flat();
    return [...u32(type), ...u32(flat.length + 12), ...flat, ...u32(flat.length + 12)];
  };
  const option = (code: number, value: number[]) => [...u16(code), ...u16(value.length), ...pad(value)];
  const section = block(0x0a0d0d0a, u32(0x1a2b3c4d), u16(1), u16(0), u32(0xffffffff), u32(0xffffffff));
  const device = (...options: number[][]) => block(1, u16(1), u16(0), u32(0), ...options);
  const packet = (high: number, low: number, data: number[], ...options: number[][]) =>
    block(6, u32(0), u32(high), u32(low), u32(data.length), u32(data.length), pad(data), ...options);
  return { u16, u32, pad, block, option, section, device, packet };
}

const ORDERS = [true, false];

describe('pcapng', () => {
  it('reads what it wrote, in both byte orders, with comments and directions, in chunks of any size', () => {
    for (const littleEndian of ORDERS) {
      fc.assert(
        fc.property(packets(1), fc.integer({ min: 1, max: 99 }), (list, size) => {
          const file = new Gathered();
          const writer = new PcapngWriter(file, { littleEndian, application: 'spec', comment: 'all' });
          writer.addInterface({ name: 'a0' });
          writer.addInterface({ linkType: LinkType.RawIp, name: 'b1', description: 'ä', comment: 'c' });
          list.forEach((packet, i) => writer.write({ ...packet, interfaceId: i % 2 }));
          const reader = new CaptureReader();
          const { records, end } = readOut(file.bytes, size, reader);
          expect(records).to.deep.equal(list.map((packet, i) => expected(packet, i % 2 === 0 ? 1 : 101, i % 2)));
          expect(end).to.equal('complete');
          expect(reader.interfaces).to.deep.equal([
            { linkType: 1, snapLength: 262_144, digits: 9, name: 'a0' },
            { linkType: 101, snapLength: 262_144, digits: 9, name: 'b1', description: 'ä', comment: 'c' },
          ]);
        }),
        { numRuns: 40 },
      );
    }
  });

  it('gives the complete records of a file cut at any byte, and says that it is cut', () => {
    const file = new Gathered();
    const writer = new PcapngWriter(file, { comment: 'a section' });
    writer.addInterface({ name: 'x' });
    for (const length of [0, 5, 60]) {
      writer.write({
        seconds: 1,
        nanoseconds: 0,
        data: new Uint8Array(length),
        comment: 'hello',
        direction: 'inbound',
      });
    }
    const { bytes, borders } = file;
    for (let cut = 0; cut <= bytes.length; cut++) {
      const { records, end } = readOut(bytes.subarray(0, cut));
      expect(records.length, `cut at ${cut}`).to.equal(Math.max(0, borders.filter((at) => at <= cut).length - 2));
      expect(end, `cut at ${cut}`).to.equal(borders.includes(cut) ? 'complete' : 'truncated');
    }
  });

  it('throws nothing but ERR_BAD_CAPTURE on mutated bytes', () => {
    const file = new Gathered();
    const writer = new PcapngWriter(file, { comment: 'a section' });
    writer.addInterface({ name: 'x' });
    for (const length of [3, 60, 0]) {
      writer.write({
        seconds: 1,
        nanoseconds: 0,
        data: new Uint8Array(length),
        comment: 'hello',
        direction: 'inbound',
      });
    }
    const { bytes: whole } = file;
    const ends = new Set<string>();
    const mutations = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(mutations, fc.integer({ min: 1, max: 400 }), (changes, size) => {
        const bytes = whole.slice();
        for (const [at, value] of changes) bytes[at] = value;
        const { records, end } = readOut(bytes, size);
        ends.add(end);
        for (const { data, capturedLength } of records) expect(data.length).to.equal(capturedLength);
      }),
      { numRuns: 1000 },
    );
    expect([...ends].sort()).to.deep.equal(['bad', 'complete', 'truncated']);
  });

  it('reads time stamps of decimal and binary resolutions and of an offset, exactly', () => {
    for (const littleEndian of ORDERS) {
      const { section, device, packet, option } = layout(littleEndian);
      const offset = littleEndian ? [100, 0, 0, 0, 0, 0, 0, 0] : [0, 0, 0, 0, 0, 0, 0, 100];
      const negative = Array.from({ length: 8 }, () => 255);
      const time = (...options: number[][]) => {
        const bytes = concat(section, device(...options), packet(0x17_0c5e6b, 0x9abc_def1, [1]));
        const [record] = readOut(bytes).records;
        return [record?.seconds, record?.nanoseconds];
      };
      const stamp = (0x17_0c5e6bn << 32n) | 0x9abc_def1n;
      const split = (unit: bigint, scale: bigint, more = 0) => [
        Number(stamp / unit) + more,
        Number(((stamp % unit) * scale) / (unit * scale > 10n ** 9n ? (unit * scale) / 10n ** 9n : 1n)),
      ];
      expect(time()).to.deep.equal(split(10n ** 6n, 1000n));
      expect(time(option(9, [9]))).to.deep.equal(split(10n ** 9n, 1n));
      expect(time(option(9, [3]))).to.deep.equal([Number(stamp / 1000n), Number(stamp % 1000n) * 1e6]);
      expect(time(option(9, [0]))).to.deep.equal([Number(stamp), 0]);
      expect(time(option(9, [12]))).to.deep.equal([Number(stamp / 10n ** 12n), Number((stamp % 10n ** 12n) / 1000n)]);
      expect(time(option(9, [0x80 | 10]))).to.deep.equal([
        Number(stamp / 1024n),
        Number(((stamp % 1024n) * 10n ** 9n) / 1024n),
      ]);
      expect(time(option(9, [9]), option(14, offset))).to.deep.equal(split(10n ** 9n, 1n, 100));
      expect(time(option(9, [9]), option(14, negative))).to.deep.equal(split(10n ** 9n, 1n, -1));
      expect(() => time(option(9, [0x7f]))).not.to.throw();
      expect(() => time(option(9, [0xff]))).not.to.throw();
    }
  });

  it('says how many digits a second of an interface has', () => {
    const { section, device, option } = layout(true);
    const reader = new PcapngReader();
    reader.push(concat(section, device(), ...[9, 3, 12, 0x80 | 20, 0x80].map((n) => device(option(9, [n])))));
    expect(reader.next()).to.equal(undefined);
    expect(reader.interfaces.map(({ digits }) => digits)).to.deep.equal([6, 9, 3, 9, 7, 0]);
  });

  it('reads enhanced, simple and obsolete packets, and skips statistics, names and what it does not know', () => {
    for (const littleEndian of ORDERS) {
      const { section, block, device, packet, option, u16, u32, pad } = layout(littleEndian);
      const bytes = concat(
        section,
        block(4, u32(0)),
        block(1, u16(1), u16(0), u32(4)),
        device(),
        block(5, u32(0), u32(0), u32(0)),
        block(0xbad, u32(1), [1, 2, 3, 4]),
        block(0x1234_5678),
        packet(0, 5, [1, 2, 3], option(1, [65]), option(1, [66, 67]), option(2, u32(2)), option(0, [])),
        block(3, u32(6), [1, 2, 3, 4]),
        block(2, u16(1), u16(7), u32(0), u32(9), u32(2), u32(3), pad([8, 9]), option(2, u32(1))),
      );
      const { records, end } = readOut(bytes);
      expect(end).to.equal('complete');
      expect(records).to.deep.equal([
        {
          ...at(0, 5000),
          capturedLength: 3,
          originalLength: 3,
          data: Uint8Array.of(1, 2, 3),
          direction: 'outbound',
          comment: 'A\nBC',
        },
        { ...at(0, 0), capturedLength: 4, originalLength: 6, data: Uint8Array.of(1, 2, 3, 4), untimed: true },
        { ...at(1, 9000), capturedLength: 2, originalLength: 3, data: Uint8Array.of(8, 9), direction: 'inbound' },
      ]);
    }
    function at(interfaceId: number, nanoseconds: number) {
      return { interfaceId, linkType: 1, seconds: 0, nanoseconds };
    }
  });

  it('reads several sections, each of its own byte order, with interfaces numbered through', () => {
    const little = layout(true);
    const big = layout(false);
    const bytes = concat(
      little.section,
      little.device(),
      little.packet(0, 1, [1]),
      big.section,
      big.device(),
      big.packet(0, 2, [2]),
    );
    const { records } = readOut(bytes, 7);
    expect(records.map(({ interfaceId, nanoseconds }) => [interfaceId, nanoseconds])).to.deep.equal([
      [0, 1000],
      [1, 2000],
    ]);
    const forgetful = concat(little.section, little.device(), big.section, big.packet(0, 2, [2]));
    expect(readOut(forgetful).message, 'interfaces end with their section').to.match(/no interface 0/);
  });

  it('refuses what cannot be, with the offset', () => {
    const { section, block, device, packet, option, u16, u32 } = layout(true);
    const bad = (...parts: number[][]) => readOut(concat(section, ...parts)).message;
    expect(bad([...u32(6), ...u32(13), 0, 0, 0, 0])).to.match(/offset 32: a block cannot be 13/);
    expect(bad([...u32(6), ...u32(8), 0, 0, 0, 0])).to.match(/a block cannot be 8/);
    expect(bad([...u32(6), ...u32(MAX_BLOCK + 4), 0, 0, 0, 0])).to.match(/a block cannot be/);
    expect(bad([...u32(9), ...u32(12), ...u32(16)])).to.match(/offset 36: .* says 16/);
    expect(bad(packet(0, 0, []))).to.match(/no interface 0/);
    expect(bad(block(3, u32(0)))).to.match(/before any interface/);
    expect(bad(block(1, u16(1), u16(0)))).to.match(/too short/);
    expect(bad(device(), block(6, u32(0), u32(0), u32(0), u32(5), u32(5), [1, 2, 3, 4]))).to.match(/packet of 5/);
    expect(bad(device([...u16(2), ...u16(5), 1, 2, 3, 4]))).to.match(/offset 44: an option longer/);
    expect(bad(device(), packet(0, 0, [], [...u16(1), ...u16(9)]))).to.match(/an option longer/);
    expect(bad(block(0x0a0d0d0a, u32(0x1a2b3c4d)))).to.match(/section header too short/);
    expect(bad(block(0x0a0d0d0a, u32(1)))).to.match(/byte-order magic/);
    expect(bad(block(0x0a0d0d0a, u32(0x1a2b3c4d), u16(2), u16(0), u32(0), u32(0)))).to.match(/version 2/);
    const reader = new PcapngReader();
    reader.push(Uint8Array.from(device(option(0, []))));
    expect(() => reader.next()).to.throw(UsageError, 'not a pcapng file');
  });

  it('cuts packets to the snapshot length of their interface', () => {
    const file = new Gathered();
    const writer = new PcapngWriter(file);
    writer.addInterface({ snapLength: 4, precision: 'us' });
    writer.write({ seconds: 1, nanoseconds: 2999, data: new Uint8Array(10) });
    expect(readOut(file.bytes).records[0]).to.include({ capturedLength: 4, originalLength: 10, nanoseconds: 2000 });
  });

  it('cuts a comment that is too long for an option at the border of a character', () => {
    const file = new Gathered();
    const writer = new PcapngWriter(file);
    writer.addInterface();
    writer.write({ seconds: 1, nanoseconds: 0, data: new Uint8Array(1), comment: 'ö'.repeat(40_000) });
    expect(readOut(file.bytes).records[0]?.comment).to.equal('ö'.repeat(32_767));
  });

  it('writes times up to the last tick that 64 bits can count, in either precision', () => {
    for (const [precision, seconds, nanoseconds] of [
      ['ns', 18_446_744_073, 709_551_615],
      ['us', 18_446_744_073_709, 551_615_000],
    ] as const) {
      const file = new Gathered();
      const writer = new PcapngWriter(file);
      writer.addInterface({ precision });
      const packet = { seconds, nanoseconds, data: new Uint8Array(1) };
      writer.write(packet);
      expect(readOut(file.bytes).records).to.deep.equal([expected(packet, LinkType.Ethernet)]);
      expect(() => writer.write({ ...packet, nanoseconds: nanoseconds + 1000 })).to.throw(UsageError, 'time');
    }
  });

  it('refuses to write for an interface that was not added, or at impossible times', () => {
    const writer = new PcapngWriter(new Gathered());
    const packet = { seconds: 0, nanoseconds: 0, data: new Uint8Array(1) };
    expect(() => writer.write(packet)).to.throw(UsageError, 'no interface 0');
    writer.addInterface();
    for (const seconds of [-1, 0.5, Number.NaN, 2 ** 40]) {
      expect(() => writer.write({ ...packet, seconds })).to.throw(UsageError, 'time');
    }
  });
});

describe('readCapture', () => {
  it('yields the records of either format and returns how it ended', () => {
    const file = new Gathered();
    const writer = new PcapngWriter(file);
    writer.addInterface();
    writer.write({ seconds: 0, nanoseconds: 7, data: new Uint8Array(1) });
    const records = readCapture(file.bytes.subarray(0, file.bytes.length - 1));
    expect(records.next()).to.deep.equal({ done: true, value: 'truncated' });
    expect([...readCapture(file.bytes)].length).to.equal(1);
  });
});
