import { expect } from 'chai';
import * as fc from 'fast-check';
import { arena } from '../../../lib/core/arena.js';
import type { Frame } from '../../../lib/core/frame.js';
import { Slab } from '../../../lib/core/slab.js';
import {
  complement,
  copyAndSum,
  fold,
  joinSums,
  sum16,
  sumInScript,
  updateChecksum,
  updateChecksum32,
} from '../../../lib/wire/checksum.js';
import { frameInArena, giveBack } from '../core/arena-room.js';
import { hexBytes } from './frames.js';

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** RFC 1071 section 1, word by word, as slow as it is plain: the oracle. */
function slowSum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

describe('checksum', () => {
  let frame: Frame;

  before(async () => {
    frame = await frameInArena(67_000);
  });
  after(() => giveBack(frame));

  it('sums the example of RFC 1071 section 3', () => {
    expect(sum16(viewOf(hexBytes('0001 f203 f4f5 f6f7')), 0, 8)).to.equal(0xddf2);
  });

  it('counts an odd last byte as if a zero followed', () => {
    expect(sum16(viewOf(hexBytes('01')), 0, 1)).to.equal(0x0100);
    expect(sum16(viewOf(hexBytes('0001f2')), 0, 3)).to.equal(0xf201);
  });

  it('is 0 for nothing, and only then or for zeros', () => {
    expect(sum16(viewOf(new Uint8Array(9)), 0, 9)).to.equal(0);
    expect(sum16(viewOf(hexBytes('ffff')), 0, 2)).to.equal(0xffff);
    expect(sum16(viewOf(hexBytes('ff')), 1, 1)).to.equal(0);
  });

  it('does not overflow over 64 KiB of ones', () => {
    const bytes = new Uint8Array(65535).fill(0xff);
    expect(sum16(viewOf(bytes), 0, bytes.length)).to.equal(slowSum(bytes));
  });

  it('equals the sum word by word, at any offset and length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(20), fc.nat(0xffff), (bytes, skip, initial) => {
        const from = Math.min(skip, bytes.length);
        const expected = fold(slowSum(bytes.subarray(from)) + initial);
        expect(sum16(viewOf(bytes), from, bytes.length, initial)).to.equal(expected);
      }),
    );
  });

  it('sums with WebAssembly what it sums in script, at any alignment, length and initial sum', () => {
    const { base, slab } = frame;
    expect(slab).to.equal(arena?.slab);
    const content = fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ minLength: 1000, maxLength: 1600 }));
    fc.assert(
      fc.property(content, fc.nat(70), fc.nat(0x1_ffff_ffff), (bytes, skip, initial) => {
        const from = base + skip;
        slab.bytes.set(bytes, from);
        const expected = fold(slowSum(bytes) + initial);
        expect(arena && fold(initial + arena.functions.sum(from, bytes.length))).to.equal(expected);
        expect(sum16(slab.view, from, from + bytes.length, initial)).to.equal(expected);
        expect(sumInScript(slab.view, from, from + bytes.length, initial)).to.equal(expected);
        expect(sumInScript(viewOf(bytes), 0, bytes.length, initial)).to.equal(expected);
      }),
      { numRuns: 500 },
    );
  });

  it('sums every length of ones and of zeros up to the longest packet', () => {
    const { base, slab } = frame;
    for (const value of [0, 0xff]) {
      slab.bytes.fill(value, base, base + 67_000);
      for (let length = 0; length < 67_000; length += 1 + (length >> 4)) {
        const expected = sumInScript(slab.view, base, base + length);
        expect(sum16(slab.view, base, base + length)).to.equal(expected);
        expect(expected === 0).to.equal(value === 0 || length === 0);
      }
    }
  });

  it('copies and sums in one go, in the arena and outside of it, and leaves what is around alone', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(40), fc.nat(40), (bytes, skip, shift) => {
        const outside = { slab: new Slab(500), start: 0 };
        const inside = { slab: frame.slab, start: frame.base + 1000 };
        frame.slab.bytes.set(bytes, frame.base + skip);
        for (const { slab, start } of [inside, outside]) {
          slab.bytes.fill(0xee, start, start + 400);
          const at = start + 10 + shift;
          expect(copyAndSum(frame.slab, frame.base + skip, slab, at, bytes.length)).to.equal(slowSum(bytes));
          const expected = new Uint8Array(400).fill(0xee);
          expected.set(bytes, 10 + shift);
          expect(Buffer.compare(slab.bytes.subarray(start, start + 400), expected)).to.equal(0);
        }
      }),
    );
  });

  it('joins the sums of ranges cut anywhere, odd places included', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 99 }), fc.nat(99), fc.nat(99), (bytes, a, b) => {
        const view = viewOf(bytes);
        const [first = 0, second = 0] = [a % bytes.length, b % bytes.length].sort((x, y) => x - y);
        const head = joinSums(sum16(view, 0, first), first, sum16(view, first, second));
        expect(joinSums(head, second, sum16(view, second, bytes.length))).to.equal(slowSum(bytes));
      }),
    );
  });

  it('updates the example of RFC 1624 section 4 to 0x0000, not 0xffff', () => {
    expect(updateChecksum(0xdd2f, 0x5555, 0x3285)).to.equal(0x0000);
  });

  it('1624: updates incrementally to what a full computation gives', () => {
    const words = fc.uint8Array({ minLength: 8, maxLength: 40 }).filter((bytes) => bytes.some((byte) => byte !== 0));
    fc.assert(
      fc.property(words, fc.nat(), fc.nat(0xffff), fc.nat(0xffff), (original, index, high, low) => {
        const bytes = Uint8Array.from([...original, 1]);
        const view = viewOf(bytes);
        const before = complement(sum16(view, 0, bytes.length));
        const at = (index % ((bytes.length - 4) >> 1)) * 2;
        const was16 = view.getUint16(at);
        view.setUint16(at, high);
        const after = updateChecksum(before, was16, high);
        expect(after).to.equal(complement(sum16(view, 0, bytes.length)));
        const was32 = view.getUint32(at);
        const now = ((high << 16) | low) >>> 0;
        view.setUint32(at, now);
        expect(updateChecksum32(after, was32, now)).to.equal(complement(sum16(view, 0, bytes.length)));
      }),
    );
  });
});
