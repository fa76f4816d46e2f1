import { expect } from 'chai';
import * as fc from 'fast-check';
import { dropReasonName } from '../../../lib/core/drops.js';
import { UsageError } from '../../../lib/core/errors.js';
import { CobsDecoder, CobsResult, cobsEncode, cobsLength } from '../../../lib/ergot/index.js';
import { hex, unhex } from './bytes.js';

function stuff(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(cobsLength(bytes.length));
  return out.slice(0, cobsEncode(bytes, 0, bytes.length, out, 0));
}

/** What a decoder finds in a stream that comes in these pieces: frames in hexadecimal, and what was wrong. */
function events(decoder: CobsDecoder, ...pieces: readonly Uint8Array[]): readonly string[] {
  const out: string[] = [];
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      at = decoder.take(piece, at, piece.length);
      if (decoder.result === CobsResult.Frame) out.push(hex(decoder.frame.subarray(0, decoder.length)));
      else if (decoder.reason !== undefined) out.push(dropReasonName(decoder.reason));
    }
  }
  return out;
}

/** The encoding as its definition has it: cut at the zeros, and every 254 bytes. */
function naive(bytes: Uint8Array): Uint8Array {
  const out: number[] = [];
  const blocks = blocksOf(bytes);
  blocks.forEach((block, i) => {
    // At the end of the frame a full run needs no further code.
    const most = i === blocks.length - 1 ? 254 : 253;
    let rest = block;
    while (rest.length > most) {
      out.push(255, ...rest.slice(0, 254));
      rest = rest.slice(254);
    }
    out.push(rest.length + 1, ...rest);
  });
  return Uint8Array.from([...out, 0]);
}

function blocksOf(bytes: Uint8Array): readonly (readonly number[])[] {
  const blocks: number[][] = [[]];
  for (const byte of bytes) {
    if (byte === 0) blocks.push([]);
    else blocks.at(-1)?.push(byte);
  }
  return blocks;
}

const counting = (length: number, first = 1) => Uint8Array.from({ length }, (_, i) => ((i + first - 1) % 255) + 1);

const someBytes = fc.oneof(
  fc.uint8Array({ maxLength: 20 }),
  fc.array(fc.constantFrom(0, 1, 255), { maxLength: 40 }).map((bytes) => Uint8Array.from(bytes)),
  fc.integer({ min: 250, max: 520 }).map((length) => counting(length)),
  fc.tuple(fc.integer({ min: 250, max: 520 }), fc.nat(600)).map(([length, at]) => {
    const bytes = counting(length);
    if (at < length) bytes[at] = 0;
    return bytes;
  }),
);

describe('COBS', () => {
  const vectors: readonly (readonly [string, string])[] = [
    ['', '0100'],
    ['00', '010100'],
    ['0000', '01010100'],
    ['11220033', '031122023300'],
    ['11223344', '051122334400'],
    ['11000000', '021101010100'],
    ['85840483820407010f2a', '0b85840483820407010f2a00'],
    ['8104800200010f595266702593fff0002a', '05810480020b010f595266702593fff0022a00'],
    [hex(counting(254)), `ff${hex(counting(254))}00`],
    [`00${hex(counting(254))}`, `01ff${hex(counting(254))}00`],
    [hex(counting(255)), `ff${hex(counting(254))}02ff00`],
    [`${hex(counting(253, 2))}00`, `fe${hex(counting(253, 2))}0100`],
  ];
  for (const [plain, stuffed] of vectors) {
    it(`stuffs ${plain.length > 40 ? `${plain.length / 2} bytes` : plain || 'nothing'}`, () => {
      expect(hex(stuff(unhex(plain)))).to.equal(stuffed);
      expect(events(new CobsDecoder(300), unhex(stuffed))).to.deep.equal([plain]);
    });
  }

  it('stuffs by its definition, and finds every frame again in any pieces', () => {
    fc.assert(
      fc.property(fc.array(someBytes, { maxLength: 5 }), fc.array(fc.nat(3000), { maxLength: 10 }), (frames, cuts) => {
        const stuffed = frames.map(stuff);
        frames.forEach((frame, i) => {
          const length = stuffed[i]?.length ?? 0;
          expect(length).to.be.at.most(cobsLength(frame.length));
          const plainly = naive(frame);
          expect(hex(stuffed[i] ?? new Uint8Array())).to.equal(hex(plainly));
        });
        const stream = Buffer.concat(stuffed);
        const ends = [0, ...cuts.filter((cut) => cut < stream.length).sort((a, b) => a - b), stream.length];
        const pieces = ends.slice(1).map((end, i) => stream.subarray(ends[i], end));
        expect(events(new CobsDecoder(520), ...pieces)).to.deep.equal(frames.map(hex));
      }),
    );
  });

  it('reads the code for nothing that some writers put after 254 bytes at the end', () => {
    const full = hex(counting(254));
    expect(events(new CobsDecoder(254), unhex(`ff${full}0100`))).to.deep.equal([full]);
  });

  it('passes over zeros between frames', () => {
    expect(events(new CobsDecoder(4), unhex('0000021100000221000000'))).to.deep.equal(['11', '21']);
  });

  it('says that a frame ended early, and finds the next', () => {
    expect(events(new CobsDecoder(9), unhex('051122000211'), unhex('00'))).to.deep.equal(['ergot-bad-stuffing', '11']);
  });

  it('discards what is too large up to the next zero, whether it comes at once or not', () => {
    const large = stuff(counting(6));
    const good = stuff(Uint8Array.of(1, 0, 2, 3));
    for (const pieces of [
      [large, good],
      [Buffer.concat([large, good])],
      [large.subarray(0, 6), large.subarray(6), good],
    ]) {
      expect(events(new CobsDecoder(4), ...pieces)).to.deep.equal(['ergot-too-large', '01000203']);
    }
    expect(events(new CobsDecoder(4), stuff(counting(5)))).to.deep.equal(['ergot-too-large']);
    expect(events(new CobsDecoder(4), stuff(counting(4)))).to.deep.equal(['01020304']);
  });

  it('begins anew when told', () => {
    const decoder = new CobsDecoder(4);
    decoder.take(unhex('0411'), 0, 2);
    decoder.reset();
    expect(events(decoder, unhex('022200'))).to.deep.equal(['22']);
  });

  it('takes any bytes, gives no frame above its limit, and is in step after a zero', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 }), (pieces) => {
        const decoder = new CobsDecoder(8);
        for (const event of events(decoder, ...pieces)) {
          if (!event.startsWith('ergot')) expect(event.length).to.be.at.most(16);
        }
        const tail = events(decoder, Uint8Array.of(0), stuff(Uint8Array.of(7)));
        expect(tail.at(-1)).to.equal('07');
      }),
    );
  });

  it('refuses a limit that is none, and a buffer that is too small', () => {
    for (const limit of [0, -1, 1.5, Number.NaN]) {
      expect(() => new CobsDecoder(limit))
        .to.throw(UsageError)
        .with.property('code', 'ERR_INVALID_OPTION');
    }
    const run = () => cobsEncode(new Uint8Array(4), 0, 4, new Uint8Array(5), 0);
    expect(run).to.throw(UsageError).with.property('code', 'ERR_FRAME_TOO_LARGE');
  });
});
