import { expect } from 'chai';
import * as fc from 'fast-check';
import { UsageError } from '../../../lib/core/errors.js';
import {
  type AddressPair,
  customTranslation,
  offsetAdd,
  PhoneAddress,
  PhoneRange,
  Subnet,
  type Translation,
  Uplink,
  wrap,
} from '../../../lib/ergot/index.js';

const parse = (text: string) => PhoneAddress.parse(text);
const mirror = customTranslation({ up: (local, n) => 2 ** n - 1 - local, down: (offset, n) => 2 ** n - 1 - offset });

/** The network of proposal 0145. */
function worked() {
  const subnets = {
    A: new Subnet('A', 10),
    B: new Subnet('B', 8),
    C: new Subnet('C', 9),
    D: new Subnet('D', 8),
    E: new Subnet('E', 6),
    F: new Subnet('F', 7),
  };
  const { A, B, C, D, E, F } = subnets;
  B.attach(A, 0x080);
  C.attach(A, 0x180);
  F.attach(A, 0x380);
  D.attach(C, 0x080);
  E.attach(C, 0x180);
  return subnets;
}

/** Follows a packet: at each device its name and what the addresses are there. */
function follow(from: Subnet, source: string, destination: string): string[] {
  let packet: AddressPair | undefined = { source: parse(source), destination: parse(destination) };
  let at: Subnet | undefined = from;
  const hops: string[] = [];
  while (at !== undefined && packet !== undefined) {
    hops.push(`${at.name}: ${packet.source.toString()} > ${packet.destination.toString()}`);
    if (packet.destination.bits > at.bits) {
      packet = at.uplink?.climb(packet);
      at = at.parent;
    } else {
      const child = at.childAt(packet.destination);
      if (child === undefined) return hops;
      packet = child.uplink?.descend({ ...packet, destination: new PhoneAddress(packet.destination.value, at.bits) });
      at = child;
    }
  }
  return [...hops, 'lost'];
}

/** Who gets the packet in the end, and what it says then. */
function lastHop(hops: readonly string[]): { at: string; source: string; destination: string } {
  const [, at = '', source = '', destination = ''] = /^(\w+): (\S+) > (\S+)$/.exec(hops.at(-1) ?? '') ?? [];
  return { at, source, destination };
}

describe('translation', () => {
  const place = new PhoneRange(parse('3a.22^16'), 8);
  const examples: readonly (readonly [Translation, string, string])[] = [
    [offsetAdd, '23^8', '3a.45^16'],
    [offsetAdd, '00^8', '3a.22^16'],
    [offsetAdd, 'ff^8', '3b.21^16'],
    [wrap, '20^8', '3b.20^16'],
    [wrap, '25^8', '3a.25^16'],
    [wrap, '22^8', '3a.22^16'],
    [wrap, '21^8', '3b.21^16'],
    [mirror, '00^8', '3b.21^16'],
    [mirror, 'ff^8', '3a.22^16'],
  ];
  for (const [translation, local, global] of examples) {
    it(`${translation.name}: ${local} in 3a.22^16 is ${global}`, () => {
      const uplink = new Uplink(place, translation);
      expect(String(uplink.up(parse(local)))).to.equal(String(parse(global)));
      expect(String(uplink.down(parse(global)))).to.equal(String(parse(local)));
    });
  }

  it('is one to one onto the range, and the suffix in aligned ranges', () => {
    const anywhere = fc
      .record({
        bits: fc.integer({ min: 2, max: 12 }),
        length: fc.integer({ min: 1, max: 6 }),
        at: fc.nat(),
        how: fc.constantFrom(offsetAdd, wrap, mirror),
      })
      .filter(({ bits, length }) => length < bits);
    fc.assert(
      fc.property(anywhere, ({ bits, length, at, how }) => {
        const first = at % (2 ** bits - 2 ** length + 1);
        const uplink = new Uplink(new PhoneRange(new PhoneAddress(first, bits), length), how);
        const seen = new Set<number>();
        for (let local = 0; local < 2 ** length; local++) {
          const address = new PhoneAddress(local, length);
          const above = uplink.up(address);
          if (above === undefined) throw new Error('no address above');
          expect(uplink.range.contains(above)).to.equal(true);
          expect(uplink.down(above)?.equals(address)).to.equal(true);
          if (how === wrap || (how === offsetAdd && uplink.range.isAligned))
            expect(address.isSuffixOf(above)).to.equal(true);
          seen.add(above.value);
        }
        expect(seen.size).to.equal(2 ** length);
      }),
    );
  });

  it('works at the end of the space', () => {
    const uplink = new Uplink(new PhoneRange(parse('FFFFFFFE^32'), 1), wrap);
    expect(String(uplink.up(parse('1^1')))).to.equal('FFFFFFFF^32');
    expect(String(uplink.down(parse('FFFFFFFE^32')))).to.equal('0^1');
    expect(String(new Uplink(new PhoneRange(parse('7FFFFFFF^32'), 31), wrap).up(parse('0^31')))).to.equal(
      '80000000^32',
    );
  });

  it('knows nothing of addresses elsewhere', () => {
    const uplink = new Uplink(place);
    expect(uplink.up(parse('023^10'))).to.equal(undefined);
    for (const outside of ['3a.21^16', '3b.22^16', '45^8', '00003A45^32'])
      expect(uplink.down(parse(outside))).to.equal(undefined);
    expect(String(uplink.up(parse('3^2')))).to.equal('3A25^16');
    expect(uplink.climb({ source: parse('3a.45^16'), destination: parse('00^16') })).to.equal(undefined);
    expect(uplink.descend({ source: parse('0^2'), destination: parse('3b.22^16') })).to.equal(undefined);
  });

  it('loses the packets of a wrong mapping only', () => {
    const wrong = [
      customTranslation({ up: () => 256, down: () => -1 }),
      customTranslation({ up: () => 0.5, down: () => Number.NaN }),
      customTranslation({ up: (n) => n >> 1, down: (n) => n << 1 }),
      customTranslation({
        up() {
          throw new Error('up');
        },
        down() {
          throw new Error('down');
        },
      }),
    ];
    for (const translation of wrong) {
      const uplink = new Uplink(place, translation);
      expect(uplink.up(parse('23^8'))).to.equal(undefined);
      expect(uplink.down(parse('3b.21^16'))).to.equal(undefined);
    }
  });
});

describe('the network of proposal 0145', () => {
  it('lies where the proposal says', () => {
    const { A, C, B, D, E, F } = worked();
    const ranges = [B, C, F, D, E].map(({ uplink }) => String(uplink?.range));
    expect(ranges).to.deep.equal(['080-17F^10', '180-37F^10', '380-3FF^10', '080-17F^9', '180-1BF^9']);
    const inA = (subnet: Subnet, low: string, high: string) =>
      [low, high].map((text) => String(subnet.offsetIn(parse(text), 10)));
    expect(inA(C, '00^7', '7F^7')).to.deep.equal(['180^10', '1FF^10']);
    expect(inA(D, '00^8', 'FF^8')).to.deep.equal(['200^10', '2FF^10']);
    expect(inA(D, '00^7', '7F^7')).to.deep.equal(['200^10', '27F^10']);
    expect(inA(E, '00^6', '3F^6')).to.deep.equal(['300^10', '33F^10']);
    expect(inA(F, '00^7', '7F^7')).to.deep.equal(['380^10', '3FF^10']);
    expect(['00^7', '7F^7'].map((text) => String(D.offsetIn(parse(text), 9)))).to.deep.equal(['080^9', '0FF^9']);
    expect(A.pathTo(parse('340^10')).map(({ name }) => name)).to.deep.equal(['A', 'C']);
  });

  it('answers what an address is in a wider scope', () => {
    const { B, C, E } = worked();
    expect(String(B.offsetIn(parse('0A^8'), 10))).to.equal('08A^10');
    expect(String(E.offsetIn(parse('03^6'), 6))).to.equal('03^6');
    expect(String(E.offsetIn(parse('03^6'), 9))).to.equal('183^9');
    expect(String(E.offsetIn(parse('03^6'), 10))).to.equal('303^10');
    expect(String(C.offsetIn(parse('183^9'), 10))).to.equal('303^10');
    for (const bits of [5, 7, 8, 11]) expect(E.offsetIn(parse('03^6'), bits)).to.equal(undefined);
    expect(() => E.offsetIn(parse('03^7'), 10))
      .to.throw(UsageError)
      .with.property('code', 'ERR_INVALID_ADDRESS');
  });

  it('answers what scope two addresses share, also where digits alone would not tell', () => {
    const { A } = worked();
    expect(A.commonScope(parse('08A^10'), parse('303^10'))).to.equal(10);
    expect(A.commonScope(parse('303^10'), parse('202^10'))).to.equal(9);
    expect(A.commonScope(parse('303^10'), parse('33F^10'))).to.equal(6);
    expect(A.commonScope(parse('17F^10'), parse('180^10'))).to.equal(10);
    expect(parse('17F^10').commonScope(parse('180^10'))).to.equal(8);
    expect(A.commonScope(parse('1FF^10'), parse('200^10'))).to.equal(9);
    expect(() => A.commonScope(parse('0A^8'), parse('200^10')))
      .to.throw(UsageError)
      .with.property('code', 'ERR_INVALID_ADDRESS');
  });

  it('carries the conversation of E and B, hop by hop', () => {
    const { B, E } = worked();
    expect(follow(E, '03^6', '08A^10')).to.deep.equal([
      'E: 03^6 > 08A^10',
      'C: 183^9 > 08A^10',
      'A: 303^10 > 08A^10',
      'B: 303^10 > 0A^8',
    ]);
    expect(follow(B, '0A^8', '303^10')).to.deep.equal([
      'B: 0A^8 > 303^10',
      'A: 08A^10 > 303^10',
      'C: 08A^10 > 183^9',
      'E: 08A^10 > 03^6',
    ]);
  });

  it('keeps what is local local', () => {
    const { D, E, C } = worked();
    expect(follow(E, '03^6', '082^9')).to.deep.equal(['E: 03^6 > 082^9', 'C: 183^9 > 082^9', 'D: 183^9 > 02^8']);
    expect(follow(D, '02^8', '183^9')).to.deep.equal(['D: 02^8 > 183^9', 'C: 082^9 > 183^9', 'E: 082^9 > 03^6']);
    expect(follow(E, '03^6', '04^6')).to.deep.equal(['E: 03^6 > 04^6']);
    expect(follow(C, '005^9', '05^7')).to.deep.equal(['C: 005^9 > 05^7']);
    expect(follow(E, '03^6', '000^11').at(-1)).to.equal('lost');
  });

  it('moves a subtree with its addresses and its conversations', () => {
    const { A, C, D, E } = worked();
    const conversation = [follow(E, '03^6', '082^9'), follow(D, '02^8', '183^9')];
    const other = new Subnet('G', 16);
    A.attach(other, 0x3a22, wrap);
    for (const [parent, first, translation] of [
      [other, 0x0100, offsetAdd],
      [other, 0x0123, wrap],
      [A, 0x180, mirror],
    ] as const) {
      C.attach(parent, first, translation);
      expect([follow(E, '03^6', '082^9'), follow(D, '02^8', '183^9')]).to.deep.equal(conversation);
      expect(String(E.offsetIn(parse('03^6'), 9))).to.equal('183^9');
    }
    C.detach();
    expect([follow(E, '03^6', '082^9'), follow(D, '02^8', '183^9')]).to.deep.equal(conversation);
    expect(E.offsetIn(parse('03^6'), 10)).to.equal(undefined);
    expect(A.childAt(parse('303^10'))).to.equal(undefined);
  });

  it('mixes translations freely, and answers always find back', () => {
    const { A, B, C, D, E, F } = worked();
    const all = [A, B, C, D, E, F];
    const how = fc.constantFrom(offsetAdd, wrap, mirror);
    const end = fc.record({ subnet: fc.constantFrom(...all), at: fc.nat() });
    fc.assert(
      fc.property(fc.array(how, { minLength: 5, maxLength: 5 }), end, end, (hows, one, two) => {
        const [b, c, f, d, e] = hows;
        B.attach(A, 0x080, b);
        C.attach(A, 0x180, c);
        F.attach(A, 0x380, f);
        D.attach(C, 0x080, d);
        E.attach(C, 0x180, e);
        const source = new PhoneAddress(one.at % 2 ** one.subnet.bits, one.subnet.bits);
        const destination = two.subnet.offsetIn(new PhoneAddress(two.at % 2 ** two.subnet.bits, two.subnet.bits), 10);
        const there = lastHop(follow(one.subnet, String(source), String(destination)));
        const receiver = A.pathTo(destination ?? source).at(-1);
        expect(there.at).to.equal(receiver?.name);
        expect(receiver?.offsetIn(parse(there.destination), 10)).to.deep.equal(destination);
        const back = lastHop(follow(receiver ?? A, there.destination, there.source));
        const sender = all.find(({ name }) => name === back.at);
        expect(sender?.offsetIn(parse(back.destination), 10)).to.deep.equal(one.subnet.offsetIn(source, 10));
      }),
    );
  });

  it('refuses what cannot lie there, and changes nothing', () => {
    const { A, B, C, D, E } = worked();
    const refused = (run: () => unknown, code: string) => expect(run).to.throw(UsageError).with.property('code', code);
    refused(() => new Subnet('X', 0), 'ERR_INVALID_ADDRESS');
    refused(() => new Subnet('X', 33), 'ERR_INVALID_ADDRESS');
    refused(() => E.attach(C, 0x1c1), 'ERR_INVALID_ADDRESS');
    refused(() => E.attach(C, 0x17f), 'ERR_INVALID_STATE');
    refused(() => A.attach(D, 0), 'ERR_INVALID_ADDRESS');
    refused(() => new Subnet('X', 10).attach(A, 0), 'ERR_INVALID_ADDRESS');
    refused(() => C.attach(C, 0), 'ERR_INVALID_ADDRESS');
    expect(String(E.uplink?.range)).to.equal('180-1BF^9');
    expect([...A.children].map(({ name }) => name)).to.deep.equal(['B', 'C', 'F']);
    expect(B.parent).to.equal(A);
    E.attach(C, 0x1c0);
    expect(String(E.offsetIn(parse('03^6'), 10))).to.equal('343^10');
  });
});
