import { expect } from 'chai';
import * as fc from 'fast-check';
import { DropReason } from '../../../../lib/core/drops.js';
import { Frame } from '../../../../lib/core/frame.js';
import { FrameKind, Key, scopeSize } from '../../../../lib/ergot/index.js';
import { LINK_SCOPE, MAX_PHONE_HEADER, PhoneCast, PhoneHeader } from '../../../../lib/ergot/phone/header.js';
import { hex, unhex } from '../bytes.js';

type Plain = Pick<
  PhoneHeader,
  | 'sourceBits'
  | 'source'
  | 'bits'
  | 'destination'
  | 'cast'
  | 'sequence'
  | 'kind'
  | 'ttl'
  | 'keyLow'
  | 'keyHigh'
  | 'name'
>;

const header = (fields: Partial<Plain>): PhoneHeader => Object.assign(new PhoneHeader(), fields);

const plain = (from: PhoneHeader): Plain => {
  const { sourceBits, source, bits, destination, cast, sequence, kind, ttl, keyLow, keyHigh, name } = from;
  return { sourceBits, source, bits, destination, cast, sequence, kind, ttl, keyLow, keyHigh, name };
};

function readHeader(bytes: Uint8Array): PhoneHeader | DropReason {
  const out = new PhoneHeader();
  return out.read(Frame.from(bytes)) ?? out;
}

const key = Key.of('ergot/.well-known/ping', Uint8Array.of(0xd3));

describe('PhoneHeader', () => {
  const vectors: readonly (readonly [string, PhoneHeader, string])[] = [
    [
      'a request of 183^9 to 08A^10, as the link from C to A of proposal 0145 has it',
      header({
        sourceBits: 9,
        source: 0x183,
        bits: 10,
        destination: 0x08a,
        sequence: 7,
        kind: FrameKind.Request,
        ttl: 15,
      }),
      '090a83038a0107010f',
    ],
    [
      'a request to any socket of 180^9',
      header({
        sourceBits: 8,
        source: 1,
        bits: 9,
        destination: 0x180,
        cast: PhoneCast.Any,
        kind: 1,
        ttl: 3,
        keyLow: key.low,
        keyHigh: key.high,
      }),
      '0849018003000103595266702593fff000',
    ],
    [
      'a topic to all of ^16, by a name',
      header({
        sourceBits: 4,
        source: 2,
        bits: 16,
        cast: PhoneCast.All,
        kind: 3,
        ttl: 1,
        keyLow: -1,
        keyHigh: 1,
        name: 0x80,
      }),
      '04900200000301ffffffff010000008001',
    ],
    [
      'a topic to the group FFFFFFFF^32',
      header({ sourceBits: 32, source: 0xffffffff, bits: 32, destination: 0xffffffff, cast: PhoneCast.Group, kind: 3 }),
      '20e0' + 'ffffffff0f'.repeat(2) + '000300' + '00'.repeat(9),
    ],
    [
      'a question to whoever is at the other end of the link',
      header({
        sourceBits: LINK_SCOPE,
        source: 1,
        bits: LINK_SCOPE,
        cast: PhoneCast.Any,
        sequence: 300,
        kind: 1,
        ttl: 1,
      }),
      '00400100ac020101' + '00'.repeat(9),
    ],
  ];
  for (const [what, fields, wire] of vectors) {
    it(`writes and reads ${what}`, () => {
      const frame = Frame.from(unhex('2a'));
      fields.push(frame);
      expect(hex(frame.bytes())).to.equal(`${wire}2a`);
      const again = new PhoneHeader();
      expect(again.read(frame)).to.equal(undefined);
      expect(plain(again)).to.deep.equal(plain(fields));
      expect([again.body, again.size]).to.deep.equal([frame.end - 1, wire.length / 2]);
    });
  }

  it('takes 30 bytes at most', () => {
    const largest = header({
      sourceBits: 32,
      source: 2 ** 32 - 1,
      bits: 32,
      destination: 2 ** 32 - 1,
      cast: PhoneCast.Group,
      sequence: 65_535,
      kind: 7,
      ttl: 255,
      keyLow: -1,
      keyHigh: -1,
      name: -1,
    });
    const frame = Frame.from(new Uint8Array());
    largest.push(frame);
    expect([largest.size, frame.length, MAX_PHONE_HEADER]).to.deep.equal([30, 30, 30]);
  });

  const signed = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  const anyScoped = fc
    .integer({ min: 1, max: 32 })
    .chain((bits) =>
      fc.tuple(fc.constant(bits), fc.oneof(fc.constantFrom(0, 1, scopeSize(bits) - 1), fc.nat(scopeSize(bits) - 1))),
    );
  const anyHeader = fc
    .record({
      from: anyScoped,
      to: anyScoped,
      cast: fc.constantFrom(...Object.values(PhoneCast)),
      sequence: fc.nat(65_535),
      kind: fc.nat(254),
      ttl: fc.nat(255),
      keyLow: signed,
      keyHigh: signed,
      name: signed,
    })
    .filter(({ to, cast }) => cast !== PhoneCast.Group || to[1] !== 0)
    .map(({ from, to, ...rest }) => {
      const keyed = rest.cast === PhoneCast.One ? { keyLow: 0, keyHigh: 0, name: 0 } : {};
      return header({ sourceBits: from[0], source: from[1], bits: to[0], destination: to[1], ...rest, ...keyed });
    });

  it('comes back as it was, of all scopes', () => {
    fc.assert(
      fc.property(anyHeader, fc.uint8Array({ maxLength: 20 }), (fields, body) => {
        const frame = Frame.from(body);
        fields.push(frame);
        expect(frame.length).to.equal(fields.size + body.length);
        const again = new PhoneHeader();
        expect(again.read(frame)).to.equal(undefined);
        expect(plain(again)).to.deep.equal(plain(fields));
        expect(hex(frame.slab.bytes.subarray(again.body, frame.end))).to.equal(hex(body));
      }),
      { numRuns: 500 },
    );
  });

  it('says of each header that is cut short that it is', () => {
    fc.assert(
      fc.property(anyHeader, (fields) => {
        const frame = Frame.from(new Uint8Array());
        fields.push(frame);
        for (let length = 0; length < frame.length; length++) {
          expect(readHeader(frame.bytes().slice(0, length))).to.equal(DropReason.ErgotTruncated);
        }
      }),
    );
  });

  const bad: readonly (readonly [string, string])[] = [
    ['a source of scope ^33', '2109010100010f'],
    ['a source with a bit beside its scope', '4909010100010f'],
    ['a destination of scope ^33', '0921010100010f'],
    ['a source that its scope does not have', '090980040100010f'],
    ['a destination that its scope does not have', '090901800400010f'],
    ['a destination of one to ^1', '0801010200010f'],
    ['an address of 33 bits', '2020ffffffff1f0100010f'],
    ['an address of six bytes', '2020ffffffff8f000100010f'],
    ['a sequence number of 17 bits', '09090101808004010f'],
    ['an error to any', '0949010000ff0f' + '00'.repeat(9)],
    ['an error to all', '0989010000ff0f' + '00'.repeat(9)],
    ['a group of address 0', '09c9010000030f' + '00'.repeat(9)],
    ['a group of a link', '00c0010100030f' + '00'.repeat(9)],
    ['a source of the link, and a destination that is not', '0009010100010f'],
    ['a destination of the link, and a source that is not', '0900010100010f'],
  ];
  for (const [what, wire] of bad) {
    it(`refuses ${what}`, () => {
      expect(readHeader(unhex(`${wire}2a`))).to.equal(DropReason.ErgotBadHeader);
    });
  }

  it('never throws on any bytes, and writes what it took as it was', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 48 }), (bytes) => {
        const found = readHeader(bytes);
        if (!(found instanceof PhoneHeader)) {
          expect(found).to.be.oneOf([DropReason.ErgotTruncated, DropReason.ErgotBadHeader]);
          return;
        }
        const frame = Frame.from(new Uint8Array());
        found.push(frame);
        expect(plain(readHeader(frame.bytes()) as PhoneHeader)).to.deep.equal(plain(found));
      }),
      { numRuns: 5000 },
    );
  });
});
