import { expect } from 'chai';
import * as fc from 'fast-check';
import { DropReason } from '../../../../lib/core/drops.js';
import { asTx } from '../../../../lib/core/frame.js';
import { SeededRandom } from '../../../../lib/core/random.js';
import { UsageError } from '../../../../lib/core/errors.js';
import * as e from '../../../../lib/ergot/index.js';
import { news, type PhoneCable, type PhoneDevice, PhoneNet } from './phone-net.js';

/** A chain of devices, each the only child of the one before. */
function chain(length: number, mtu = 1500): { net: PhoneNet; all: PhoneDevice[]; cables: PhoneCable[] } {
  const net = new PhoneNet();
  const all: PhoneDevice[] = [];
  const cables: PhoneCable[] = [];
  for (let i = 0; i < length; i++) {
    const device = net.device(`N${i}`, { bits: 4 + length - i, sockets: 3 });
    const above = all.at(-1);
    if (above !== undefined) cables.push(net.cable(above, device, 'child', i === length - 1 ? { mtu } : {}));
    all.push(device);
    net.scheduler.runFor(10);
  }
  return { net, all, cables };
}

/** Sends a frame by one end of a cable, as if its device had. */
function inject(net: PhoneNet, from: PhoneCable['upper'], fields: Partial<e.PhoneHeader>, body = 0): void {
  const frame = net.env.pool.alloc(body);
  frame.slab.bytes.fill(1, frame.put(body), frame.end);
  Object.assign(new e.PhoneHeader(), fields).push(frame);
  from.sink.next(asTx(frame));
  net.scheduler.runFor(10);
}

describe('phoneProfile', () => {
  it('ends frames whose time to live is over, and tells their sender: 15 hops and no more', () => {
    const { net, all } = chain(18);
    const [first] = all;
    if (first === undefined) throw new Error('no device');
    const reach = (device: PhoneDevice) => device.profile.locate(new e.PhoneAddress(1, device.profile.bits), 22);
    const said = all.slice(14).map((device) => {
      const address = reach(device);
      return address === undefined ? 'nowhere' : net.ask(first, address).split(' ')[0];
    });
    expect(said).to.deep.equal(['N14', 'N15', 'N16', 'IseTtlExpired']);
    expect(net.env.drops.count(DropReason.ErgotTtlExpired)).to.equal(1);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('says how large a frame may be where it was too large', () => {
    const { net, all } = chain(4, 100);
    const [first, , above, last] = all;
    if (first === undefined || last === undefined || above === undefined) throw new Error('no device');
    const long = e.endpoint('test/long', e.string, e.u8);
    last.node.serve(long, { port: 6 }).subscribe((request) => request.answer(request.value.length));
    const send = (from: PhoneDevice, length: number): string => {
      let said = 'nothing';
      const to = last.profile.locate(new e.PhoneAddress(6, last.profile.bits), from.profile.bits);
      if (to === undefined) throw new Error('nowhere');
      from.node.stack.request(long, to, 'x'.repeat(length), (answer) => {
        said = answer instanceof e.ErgotError ? answer.message : `${answer.value}`;
      });
      net.scheduler.runFor(10);
      return said;
    };
    const header = 2 + 2 + 1 + 3;
    for (const [from, size] of [
      [first, header - 1],
      [above, header - 1],
    ] as const) {
      const fits = 100 - 1 - size - 8;
      expect(send(from, 20)).to.equal('20');
      expect(send(from, 100)).to.equal('IsePacketTooBig, of 100 bytes at most');
      expect(send(from, fits - 8)).to.equal(`${fits - 8}`);
    }
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('leaves those out of a broadcast that it is too large for', () => {
    const net = new PhoneNet();
    const [a, b, c] = [net.device('A', { bits: 10 }), net.device('B', { bits: 5 }), net.device('C', { bits: 5 })];
    net.cable(a, b, 'child', { mtu: 90 });
    net.cable(a, c);
    net.scheduler.runFor(10);
    a.node.publish(news, e.allOf(e.PhoneAddress.parse('000^10')), 'x'.repeat(100));
    net.scheduler.runFor(10);
    expect([b.heard.length, c.heard.length, net.env.drops.count(DropReason.ErgotTooLarge)]).to.deep.equal([0, 1, 1]);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('sends nothing up again that came from above', () => {
    const { net, all, cables } = chain(2);
    const [upper] = cables;
    if (upper === undefined) throw new Error('no cable');
    net.tap(upper);
    inject(net, upper.upper, { sourceBits: 6, source: 1, bits: 9, destination: 0x101, sequence: 5, kind: 1, ttl: 9 });
    expect(net.trace).to.deep.equal(['N0>N1 01^6 101^9', 'N1>N0 20^6 01^6 error']);
    expect(net.env.drops.count(DropReason.ErgotRoutingLoop)).to.equal(1);
    expect(all.length).to.equal(2);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('tells the sender of a packet that came back from a sibling, not that of a copy', () => {
    const net = new PhoneNet();
    const part = (id: number) => ({ first: id * 16, len: 4 });
    const router = (id: number) =>
      net.device(`R${id}`, {
        bits: 6,
        sockets: { first: id * 16, len: 3 },
        pool: [part(id)],
        ask: [{ first: 0, len: 6 }],
      });
    const [r0, r1] = [router(0), router(1)];
    const cable = net.cable(r0, r1, 'sibling', { upper: { blocks: [part(1)] }, lower: { blocks: [part(0)] } });
    net.scheduler.runFor(10);
    expect(net.ask(r0, '11^6')).to.match(/^R1 0.\^6 from 11\^6$/);
    expect(net.ask(r1, e.anyOf(e.PhoneAddress.parse('00^6')))).to.match(/^R0 1.\^6 from 01\^6$/);
    expect(net.ask(r1, '21^6')).to.equal('IseNoRouteToDest');
    net.tap(cable);
    const packet = { sourceBits: 6, source: 2, bits: 6, destination: 0x19, sequence: 77, kind: 3, ttl: 9 };
    inject(net, cable.upper, packet);
    inject(net, cable.upper, packet);
    inject(net, cable.upper, { ...packet, ttl: 7 });
    expect(net.trace.filter((line) => line.endsWith('error'))).to.deep.equal([
      'R1>R0 10^6 02^6 error',
      'R1>R0 10^6 02^6 error',
    ]);
    // The third is the second error, which to R0 is a copy of the first.
    expect(net.env.drops.count(DropReason.ErgotRoutingLoop)).to.equal(3);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('passes over a link that does not work, and comes back to it', () => {
    const { net, all, cables } = chain(3);
    const [top, middle] = all;
    const [upper] = cables;
    if (top === undefined || middle === undefined || upper === undefined) throw new Error('no device');
    const states = () => top.profile.links.map(({ state, address }) => `${state} ${address?.toString() ?? ''}`);
    expect(states()).to.deep.equal(['active 00^7?']);
    top.profile.setWorking(upper.upper, false);
    expect([states()[0], net.ask(top, '41^7')]).to.deep.equal(['down 00^7?', 'IseNoRouteToDest']);
    expect(net.ask(middle, '01^7')).to.equal('ERR_ERGOT_TIMEOUT');
    top.profile.setWorking(upper.upper, true);
    expect(net.ask(top, '41^7').slice(0, 3)).to.equal('N1 ');
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('lets no child speak for others, nor a neighbour for who is further away', () => {
    const { net, cables } = chain(3);
    const [upper, lower] = cables;
    if (upper === undefined || lower === undefined) throw new Error('no cable');
    const count = () => net.env.drops.count(DropReason.ErgotBadSource);
    const from = (source: number, sourceBits: number) => ({
      source,
      sourceBits,
      bits: 7,
      destination: 1,
      kind: 3,
      ttl: 9,
    });
    inject(net, upper.lower, from(0x41, 7));
    expect(count()).to.equal(0);
    inject(net, upper.lower, from(0x01, 7));
    inject(net, upper.lower, from(0x21, 6));
    inject(net, upper.lower, from(0x41, 8));
    inject(net, upper.upper, { ...from(0x01, 6), bits: 7 });
    expect(count()).to.equal(4);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('has addresses of all 32 bits right', () => {
    const net = new PhoneNet();
    const apex = net.device('A', { bits: 32, sockets: 4 });
    const [low, high] = [net.device('L', { bits: 31, sockets: 4 }), net.device('H', { bits: 30, sockets: 4 })];
    net.cable(apex, low);
    net.scheduler.runFor(10);
    net.cable(apex, high, 'child', {
      upper: { blocks: [{ first: 0x40000000, len: 30 }] },
      lower: { blocks: [{ first: 0x40000000, len: 30 }], bits: 32 },
    });
    net.scheduler.runFor(10);
    expect(net.ask(apex, '80000001^32')).to.match(/^L 0000000.\^32 from 80000001\^32$/);
    expect(net.ask(high, '80000001^32')).to.match(/^L 4000000.\^32 from 80000001\^32$/);
    expect(net.ask(low, '40000001^32')).to.match(/^H 8000000.\^32 from 40000001\^32$/);
    expect(net.ask(low, 'FFFFFFFF^32')).to.equal('IseNoRouteToDest');
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('ends every frame, whatever is in it', () => {
    const { net, cables } = chain(3);
    const [upper, lower] = cables;
    if (upper === undefined || lower === undefined) throw new Error('no cable');
    const random = new SeededRandom(7);
    const ends = [upper.upper, upper.lower, lower.upper, lower.lower];
    for (let i = 0; i < 5000; i++) {
      const frame = net.env.pool.alloc(64);
      const length = random.below(40);
      const at = frame.put(length);
      random.fill(frame.slab.bytes.subarray(at, at + length));
      if (length > 2 && random.below(4) > 0) {
        frame.slab.bytes[at] = random.below(9);
        frame.slab.bytes[at + 1] = (random.below(4) << 6) | random.below(9);
      }
      ends[random.below(4)]?.sink.next(asTx(frame));
      net.scheduler.runFor(1);
    }
    expect(net.ask(net.devices.get('N0') as PhoneDevice, '41^7').slice(0, 3)).to.equal('N1 ');
    expect(net.env.drops.count(DropReason.ErgotBadHeader)).to.be.above(100);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  const wrong: readonly (readonly [string, e.PhoneOptions])[] = [
    ['a scope of ^0', { bits: 0 }],
    ['a scope of ^33', { bits: 33 }],
    ['own sockets beyond the scope', { bits: 4, sockets: { first: 8, len: 4 } }],
    ['more sockets than ports', { bits: 20, sockets: 17 }],
    ['own sockets outside the pool', { bits: 8, pool: [{ first: 128, len: 7 }] }],
    [
      'a pool that overlaps itself',
      {
        bits: 8,
        pool: [
          { first: 0, len: 7 },
          { first: 64, len: 6 },
        ],
      },
    ],
    ['nothing to ask a place for', { bits: 8, ask: [] }],
    ['groups among own sockets', { bits: 8, groups: [{ first: 64, len: 4 }] }],
    ['a growth of ^0', { bits: 8, growBy: 0 }],
  ];
  for (const [what, options] of wrong) {
    it(`refuses ${what}`, () => {
      expect(() => e.phoneProfile(options))
        .to.throw(UsageError)
        .with.property('code', 'ERR_INVALID_OPTION');
    });
  }

  it('refuses links with addresses that there are not, and keeps none of them', () => {
    const net = new PhoneNet();
    const [a, b] = [net.device('A', { bits: 8 }), net.device('B', { bits: 4 })];
    const code = (options: Parameters<PhoneNet['cable']>[3]) => {
      expect(() => net.cable(a, b, 'child', options))
        .to.throw(UsageError)
        .with.property('code', 'ERR_INVALID_OPTION');
    };
    code({ upper: { blocks: [{ first: 0, len: 4 }] } });
    code({ upper: { blocks: [{ first: 250, len: 4 }] } });
    code({
      upper: {
        blocks: [
          { first: 128, len: 4 },
          { first: 136, len: 3 },
        ],
      },
    });
    code({ lower: { blocks: [{ first: 0, len: 4 }], bits: 4 } });
    code({ lower: { blocks: [{ first: 250, len: 4 }], bits: 8 } });
    code({ lower: { blocks: [{ first: 0, len: 4 }], bits: 33 } });
    expect([a.profile.links.length, b.profile.links.length]).to.deep.equal([3, 0]);
    expect(net.end()).to.deep.equal([0, 0]);
  });
});

describe('PhoneTarget', () => {
  const link = { name: 'up.0' } as never;
  const parse = (text: string) => e.parseTarget(text, (name) => (name === 'up.0' ? link : undefined));

  it('is written as an address and what it stands for', () => {
    for (const text of ['180^9', '180^9?', '180^9*', '382^10+', '0@up.0?', '0@up.0*', '1F@up.0']) {
      expect(parse(text).toString()).to.equal(text);
    }
    expect([e.castOf(parse('180^9')), e.castOf(parse('000^9')), e.castOf(parse('000^9*'))]).to.deep.equal([0, 1, 2]);
    expect(parse('180^9?').equals(parse('180^9'))).to.equal(false);
    expect(parse('180^9?').equals(e.anyOf(parse('180^9')))).to.equal(true);
    expect([parse('180^9*').isAny, parse('382^10+').isAny, parse('180^9').isAny]).to.deep.equal([true, false, false]);
  });

  it('is equal to what means the same, whichever of the two is asked', () => {
    const addressing = e.phoneProfile({ bits: 9 }).addressing;
    const plain = [new e.PhoneAddress(0x180, 9), new e.PhoneAddress(0, 9), new e.PhoneAddress(0x180, 10)];
    const casts = [e.PhoneCast.One, e.PhoneCast.Any, e.PhoneCast.All];
    const said = plain.flatMap(({ value, bits }) => casts.map((cast) => new e.PhoneTarget(value, bits, cast)));
    const all = [...plain, ...said, e.atLink(link), e.atLink(link, 1), new e.PhoneTarget(1, 32, e.PhoneCast.One)];
    // An address that says no more than its number is written like it.
    const meaning = (address: e.PhoneAddress) =>
      `${address.value}^${address.bits} ${e.castOf(address)} ${e.linkOf(address) === undefined}`;
    for (const one of all) {
      for (const other of all) {
        const isSame = meaning(one) === meaning(other);
        expect(one.equals(other), `${one.toString()} and ${other.toString()}`).to.equal(isSame);
        expect(addressing.equals(one, other)).to.equal(isSame);
      }
    }
  });

  for (const text of ['', '?', '180^9??', '000^9+', '1@elsewhere', '1@up.0+', '100000000@up.0', '180^9!']) {
    it(`refuses "${text}"`, () => {
      expect(() => parse(text))
        .to.throw(UsageError)
        .with.property('code', 'ERR_INVALID_ADDRESS');
    });
  }
});

describe('PhoneUplink', () => {
  it('takes each address of each piece up and down again, by each translation', () => {
    const pieces = fc.uniqueArray(fc.nat(7), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(
        pieces,
        fc.integer({ min: 1, max: 4 }),
        fc.nat(15),
        fc.constantFrom(e.offsetAdd, e.wrap),
        (places, len, shift, translation) => {
          const segments = places.map((place, index) => ({ local: index * 2 ** len, first: place * 32 + shift, len }));
          const uplink = new e.PhoneUplink(10, segments, translation);
          const seen = new Set<number>();
          for (let local = 0; local < places.length * 2 ** len; local++) {
            const above = uplink.up(local);
            expect(uplink.down(above)).to.equal(local);
            seen.add(above);
          }
          expect(seen.size).to.equal(places.length * 2 ** len);
          expect([uplink.up(places.length * 2 ** len), uplink.down(1023)]).to.deep.equal([-1, -1]);
        },
      ),
    );
  });
});
