import { expect } from 'chai';
import * as fc from 'fast-check';
import { UsageError } from '../../../lib/core/errors.js';
import { PhoneAddress, PhoneRange } from '../../../lib/ergot/index.js';

const parse = (text: string) => PhoneAddress.parse(text);
const range = (text: string) => PhoneRange.parse(text);

function invalid(run: () => unknown): void {
  expect(run).to.throw(UsageError).with.property('code', 'ERR_INVALID_ADDRESS');
}

const anyAddress = fc
  .integer({ min: 1, max: 32 })
  .chain((bits) => fc.integer({ min: 0, max: 2 ** bits - 1 }).map((value) => new PhoneAddress(value, bits)));

/** An address and widths that make up its scope. */
const grouped = fc.array(fc.integer({ min: 1, max: 16 }), { minLength: 1, maxLength: 12 }).chain((all) => {
  const widths: number[] = [];
  for (const width of all) if (widths.reduce((a, b) => a + b, 0) + width <= 32) widths.push(width);
  const bits = widths.reduce((a, b) => a + b, 0);
  return fc
    .integer({ min: 0, max: 2 ** bits - 1 })
    .map((value) => ({ widths, address: new PhoneAddress(value, bits) }));
});

describe('PhoneAddress', () => {
  describe('as text', () => {
    const examples: readonly (readonly [string, number, number, string])[] = [
      ['3A0^10', 928, 10, '3A0^10'],
      ['001^10', 1, 10, '001^10'],
      ['1^10', 1, 10, '001^10'],
      ['08A^10', 0x8a, 10, '08A^10'],
      ['3a.22^16', 0x3a22, 16, '3A22^16'],
      ['3A22^16', 0x3a22, 16, '3A22^16'],
      ['23^8', 0x23, 8, '23^8'],
      ['3b.20^16', 0x3b20, 16, '3B20^16'],
      ['1.7^2.4', 0x17, 6, '17^6'],
      ['3.4^2.4', 0x34, 6, '34^6'],
      ['1^2', 1, 2, '1^2'],
      ['0^2', 0, 2, '0^2'],
      ['0^1', 0, 1, '0^1'],
      ['ff.ff.ff.ff^32', 0xffff_ffff, 32, 'FFFFFFFF^32'],
      ['1.7F.3^1.7.2', 0b1_1111111_11, 10, '3FF^10'],
      ['3.A0^10', 0x3a0, 10, '3A0^10'],
      ['000003^2', 3, 2, '3^2'],
    ];
    for (const [text, value, bits, canonical] of examples) {
      it(`reads ${text}`, () => {
        expect(parse(text)).to.deep.equal(new PhoneAddress(value, bits));
        expect(String(parse(text))).to.equal(canonical);
        expect(JSON.stringify(parse(text))).to.equal(`"${canonical}"`);
        expect(PhoneAddress.isCanonical(text)).to.equal(text === canonical);
      });
    }

    const wrong = [
      '',
      '^',
      '^10',
      '3A0',
      '3A0^',
      '3A0^^10',
      '3A0^10^10',
      ' 3A0^10',
      '3A0^10 ',
      '3A0^ 10',
      '3A0^1e1',
      '3A0^-1',
      '0x3^10',
      'G^8',
      '-1^8',
      '0^0',
      '1^0',
      '0^33',
      '0^99',
      '0^032',
      '0^08',
      '0^4294967328',
      '1.1^0.4',
      '1.1^16.17',
      '400^10',
      '2^1',
      '100000000^32',
      `${'F'.repeat(40)}^32`,

      '4.0^2.4',
      '1.10^2.4',
      '1^2.4',
      '1.2.3^2.4',
      '.7^2.4',
      '1.^2.4',
      '1.7^2.',
      '1.7^.4',
      '1..7^2.4',
      '1.7^2..4',
      '3A.2^16',
      '3A.222^16',
      '3A.^16',
      '1'.repeat(200),
      `${'0'.repeat(300)}1^10`,
    ];
    for (const text of wrong) {
      it(`refuses "${text.slice(0, 48)}"`, () => {
        invalid(() => parse(text));
        expect(PhoneAddress.isValid(text)).to.equal(false);
        expect(PhoneAddress.isCanonical(text)).to.equal(false);
      });
    }

    it('writes bytes and groups', () => {
      expect(parse('3A22^16').toBytes()).to.equal('3A.22^16');
      expect(parse('3A0^10').toBytes()).to.equal('3.A0^10');
      expect(parse('F^4').toBytes()).to.equal('F^4');
      expect(parse('17^6').toGroups([2, 4])).to.equal('1.7^2.4');
      expect(parse('3FF^10').toGroups([1, 7, 2])).to.equal('1.7F.3^1.7.2');
      for (const widths of [[], [2, 5], [6, 0], [7, -1], [5.5, 0.5]]) {
        expect(() => parse('17^6').toGroups(widths))
          .to.throw(UsageError)
          .with.property('code', 'ERR_INVALID_OPTION');
      }
    });

    it('reads back what it writes, however it writes it', () => {
      fc.assert(
        fc.property(grouped, ({ address, widths }) => {
          for (const text of [
            String(address),
            address.toBytes(),
            address.toGroups(widths),
            String(address).toLowerCase(),
          ]) {
            expect(parse(text).equals(address), text).to.equal(true);
          }
          expect(PhoneAddress.isCanonical(String(address))).to.equal(true);
        }),
      );
    });

    it('never fails otherwise than by its code', () => {
      const near = fc.string({ unit: fc.constantFrom(...'0123aF.^^.-g '.split('')), maxLength: 24 });
      fc.assert(
        fc.property(fc.oneof(near, fc.string()), (text) => {
          if (PhoneAddress.isValid(text)) expect(parse(String(parse(text))).equals(parse(text))).to.equal(true);
          else invalid(() => parse(text));
        }),
        { numRuns: 2000 },
      );
    });
  });

  it('holds numbers of its scope only', () => {
    for (const [value, bits] of [
      [0, 0],
      [0, 33],
      [0, 1.5],
      [0, Number.NaN],
      [4, 2],
      [-1, 8],
      [1.5, 8],
      [Number.NaN, 8],
      [2 ** 32, 32],
    ] as const) {
      invalid(() => new PhoneAddress(value, bits));
    }
    expect(new PhoneAddress(2 ** 32 - 1, 32).value).to.equal(0xffff_ffff);
  });

  it('compares by scope, then by number', () => {
    const sorted = ['0^2', '3^2', '00^8', '80^8', '001^10', '3A0^10', 'FFFFFFFF^32'].map(parse);
    expect(sorted.toReversed().sort((a, b) => a.compare(b))).to.deep.equal(sorted);
    expect(parse('01^8').equals(parse('001^10'))).to.equal(false);
    expect(parse('001^10').equals(parse('1^10'))).to.equal(true);
    expect(parse('00^8').isAny).to.equal(true);
    expect(parse('01^8').isAny).to.equal(false);
  });

  it('has its local form as a suffix', () => {
    const global = parse('17^6');
    expect(String(global.suffix(4))).to.equal('7^4');
    expect(String(global.prefix(4))).to.equal('1^2');
    expect(String(parse('1^2').join(parse('7^4')))).to.equal('17^6');
    expect(parse('7^4').isSuffixOf(global)).to.equal(true);
    expect(global.isSuffixOf(global)).to.equal(true);
    expect(parse('8^4').isSuffixOf(global)).to.equal(false);
    expect(global.isSuffixOf(parse('7^4'))).to.equal(false);
    for (const bits of [7, 0, -1]) invalid(() => global.suffix(bits));
    for (const bits of [6, 7, 0, 1.5]) invalid(() => global.prefix(bits));
    invalid(() => new PhoneAddress(0, 32).join(parse('0^1')));
  });

  it('is made of its prefix and its suffix', () => {
    fc.assert(
      fc.property(anyAddress, fc.integer({ min: 1, max: 31 }), (address, bits) => {
        fc.pre(bits < address.bits);
        const local = address.suffix(bits);
        expect(address.prefix(bits).join(local).equals(address)).to.equal(true);
        expect(local.isSuffixOf(address)).to.equal(true);
      }),
    );
  });

  it('knows the smallest scope that two addresses share', () => {
    expect(parse('08A^10').commonScope(parse('303^10'))).to.equal(10);
    expect(parse('303^10').commonScope(parse('202^10'))).to.equal(9);
    expect(parse('0^2').commonScope(parse('0^2'))).to.equal(1);
    expect(parse('FFFFFFFF^32').commonScope(parse('0^32'))).to.equal(32);
    invalid(() => parse('0^2').commonScope(parse('0^3')));
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.integer({ min: 0, max: 2 ** 32 - 1 }), (a, b) => {
        const bits = new PhoneAddress(a, 32).commonScope(new PhoneAddress(b, 32));
        const above = (value: number, at: number) =>
          value
            .toString(2)
            .padStart(32, '0')
            .slice(0, 32 - at);
        expect(above(a, bits)).to.equal(above(b, bits));
        if (bits > 1) expect(above(a, bits - 1)).not.to.equal(above(b, bits - 1));
      }),
    );
  });
});

describe('PhoneRange', () => {
  it('reads and writes its first and last address', () => {
    expect(String(range('080-17f^10'))).to.equal('080-17F^10');
    expect(range('080-17F^10')).to.deep.include({ length: 8, size: 256, last: 0x17f, isAligned: false });
    expect(range('200-3FF^10')).to.deep.include({ length: 9, isAligned: true });
    expect(range('0-FFFFFFFF^32').size).to.equal(2 ** 32);
    expect(JSON.stringify(range('00-7F^7'))).to.equal('"00-7F^7"');
    for (const text of [
      '',
      '080-17F',
      '080^10',
      '080-17E^10',
      '17F-080^10',
      '080-080^10',
      '000-400^10',
      '0-1^0',
      '0-1^33',
      '-1^3',
      'x-y^8',
    ]) {
      invalid(() => range(text));
    }
    invalid(() => new PhoneRange(parse('200^10'), 10));
    invalid(() => new PhoneRange(parse('200^10'), 0));
  });

  it('contains and overlaps', () => {
    const outer = range('180-37F^10');
    expect(outer.contains(parse('303^10'))).to.equal(true);
    for (const outside of ['17F^10', '380^10', '180^9']) expect(outer.contains(parse(outside))).to.equal(false);
    expect(outer.containsRange(range('200-2FF^10'))).to.equal(true);
    expect(outer.containsRange(range('300-3FF^10'))).to.equal(false);
    expect(outer.overlaps(range('300-3FF^10'))).to.equal(true);
    expect(outer.overlaps(range('380-3FF^10'))).to.equal(false);
    expect(outer.overlaps(range('080-17F^10'))).to.equal(false);
    expect(outer.equals(range('180-37F^10'))).to.equal(true);
    expect(String(outer.at(0x183))).to.equal('303^10');
    for (const offset of [-1, 512, 0.5])
      expect(() => outer.at(offset))
        .to.throw(UsageError)
        .with.property('code', 'ERR_INVALID_OPTION');
  });

  it('agrees with sets of numbers', () => {
    const anyRange = fc
      .record({ first: fc.integer({ min: 0, max: 63 }), length: fc.integer({ min: 1, max: 6 }) })
      .filter(({ first, length }) => first + 2 ** length <= 64)
      .map(({ first, length }) => new PhoneRange(new PhoneAddress(first, 6), length));
    const members = (it: PhoneRange) =>
      Array.from({ length: 64 }, (_, value) => value).filter((value) => it.contains(new PhoneAddress(value, 6)));
    fc.assert(
      fc.property(anyRange, anyRange, (a, b) => {
        expect(members(a)).to.have.length(a.size);
        expect(a.overlaps(b)).to.equal(members(a).some((value) => members(b).includes(value)));
        expect(a.containsRange(b)).to.equal(members(b).every((value) => members(a).includes(value)));
        expect(PhoneRange.parse(String(a)).equals(a)).to.equal(true);
      }),
    );
  });
});
