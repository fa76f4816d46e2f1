import { expect } from 'chai';
import {
  NO_POINTER,
  NOTHING_ALIKE,
  toIcmpv4,
  toIcmpv6,
  toMtu4,
  toMtu6,
  toPointer4,
  toPointer6,
} from '../../../../lib/l4/nat64/icmp-types.js';

/** RFC 7915 4.2: type and code of ICMPv4, and of ICMPv6. All others are dropped. */
const FROM_4: readonly (readonly [number, number, number, number])[] = [
  [0, 0, 129, 0],
  [8, 0, 128, 0],
  [3, 0, 1, 0],
  [3, 1, 1, 0],
  [3, 2, 4, 1],
  [3, 3, 1, 4],
  [3, 4, 2, 0],
  [3, 5, 1, 0],
  [3, 6, 1, 0],
  [3, 7, 1, 0],
  [3, 8, 1, 0],
  [3, 9, 1, 1],
  [3, 10, 1, 1],
  [3, 11, 1, 0],
  [3, 12, 1, 0],
  [3, 13, 1, 1],
  [3, 15, 1, 1],
  [11, 0, 3, 0],
  [11, 1, 3, 1],
  [12, 0, 4, 0],
  [12, 2, 4, 0],
];

/** RFC 7915 5.2. */
const FROM_6: readonly (readonly [number, number, number, number])[] = [
  [128, 0, 8, 0],
  [129, 0, 0, 0],
  [1, 0, 3, 1],
  [1, 1, 3, 10],
  [1, 2, 3, 1],
  [1, 3, 3, 1],
  [1, 4, 3, 3],
  [2, 0, 3, 4],
  [3, 0, 11, 0],
  [3, 1, 11, 1],
  [4, 0, 12, 0],
  [4, 1, 3, 2],
];

const NO_MTU = { ipv4: Infinity, ipv6: Infinity };

describe('messages of one ICMP in the other', () => {
  for (const [title, table, translate] of [
    ['ICMPv4 to ICMPv6', FROM_4, toIcmpv6],
    ['ICMPv6 to ICMPv4', FROM_6, toIcmpv4],
  ] as const) {
    for (const [type, code, newType, newCode] of table) {
      it(`${title}: type ${type} code ${code} is type ${newType} code ${newCode}`, () => {
        expect(translate(type, code)).to.equal(newType * 256 + newCode);
      });
    }

    it(`${title}: nothing else has a counterpart`, () => {
      for (let type = 0; type < 256; type++) {
        for (let code = 0; code < 32; code++) {
          const isListed = table.some((row) => row[0] === type && row[1] === code);
          // The code of an echo and of "packet too big" is 0, and ignored (RFC 4443 3.2, 4).
          const isIgnored = code > 0 && table.some((row) => row[0] === type && [0, 8, 128, 129, 2].includes(type));
          if (!isListed && !isIgnored) expect(translate(type, code), `${type}/${code}`).to.equal(NOTHING_ALIKE);
        }
      }
    });
  }

  it('moves the pointer of a parameter problem as figure 3 of RFC 7915 says', () => {
    const none = NO_POINTER;
    expect(Array.from({ length: 22 }, (_, at) => toPointer6(at))).to.deep.equal(
      // biome-ignore format: by the rows of the header
      [0, 1, 4, 4, none, none, none, none, 7, 6, none, none, 8, 8, 8, 8, 24, 24, 24, 24, none, none],
    );
    expect(toPointer6(255)).to.equal(none);
  });

  it('moves it back as figure 6 says', () => {
    const expected = [0, 1, NO_POINTER, NO_POINTER, 2, 2, 9, 8];
    for (let at = 8; at < 24; at++) expected.push(12);
    for (let at = 24; at < 40; at++) expected.push(16);
    expected.push(NO_POINTER);
    expect(expected.map((_, at) => toPointer4(at))).to.deep.equal(expected);
    expect(toPointer4(0xffff_ffff)).to.equal(NO_POINTER);
  });

  it('adjusts MTUs by the difference of the headers, and to the links at hand', () => {
    expect(toMtu6(1400, 1500, NO_MTU)).to.equal(1420);
    expect(toMtu6(1500, 9000, { ipv4: 1480, ipv6: Infinity })).to.equal(1500);
    expect(toMtu6(1500, 9000, { ipv4: 9000, ipv6: 1490 })).to.equal(1490);
    expect(toMtu4(1420, false, NO_MTU)).to.equal(1400);
    expect(toMtu4(1420, true, NO_MTU)).to.equal(1392);
    expect(toMtu4(9000, false, { ipv4: 1400, ipv6: 9000 })).to.equal(1400);
    expect(toMtu4(9000, false, { ipv4: 9000, ipv6: 1400 })).to.equal(1380);
  });

  it('never states less than what every link of IPv6 carries', () => {
    expect(toMtu6(576, 1500, NO_MTU)).to.equal(1280);
    expect(toMtu6(68, 1500, NO_MTU)).to.equal(1280);
  });

  it('takes the next plateau where a router did not say (RFC 1191 7.1)', () => {
    expect(toMtu6(0, 1500, NO_MTU)).to.equal(1512);
    expect(toMtu6(0, 1492, NO_MTU)).to.equal(1280);
    expect(toMtu6(0, 9000, NO_MTU)).to.equal(8186);
  });
});
