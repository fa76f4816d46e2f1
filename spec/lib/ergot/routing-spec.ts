import { expect } from 'chai';
import * as fc from 'fast-check';
import { UsageError } from '../../../lib/core/errors.js';
import { SeededRandom } from '../../../lib/core/random.js';
import {
  type LinkKind,
  OWN_SOCKETS,
  PhoneAddress,
  RouteDecision,
  type RouteQuery,
  RoutingTable,
} from '../../../lib/ergot/index.js';

let sequence = 0;

/** A packet that no table has seen. */
function query(destination: string, more: Partial<RouteQuery> = {}): RouteQuery {
  const { value, bits } = PhoneAddress.parse(destination);
  return { value, bits, source: 1, sequence: sequence++, ttl: 16, broadcast: false, ...more };
}

/** What the table says, as one line. */
function said(table: RoutingTable, packet: RouteQuery, from = OWN_SOCKETS): string {
  const { verdict, own, links } = table.decide(packet, from, new RouteDecision());
  return [verdict, ...(own ? ['own'] : []), ...links.toSorted((a, b) => a - b)].join(' ');
}

/** A device of a simulated network. */
class Device {
  readonly table: RoutingTable;
  readonly name: number;
  readonly wires: { to: Device; at: number; base: number; kind: LinkKind }[] = [];
  got = 0;

  constructor(name: number, bits: number) {
    this.name = name;
    this.table = new RoutingTable(bits);
  }

  /** A cable; `base` is where a child lies in this device's scope. */
  connect(other: Device, kind: 'child' | 'sibling', base = 0): void {
    const [mine, theirs] = [this.wires.length, other.wires.length];
    this.wires.push({ to: other, at: theirs, base, kind });
    other.wires.push({ to: this, at: mine, base, kind: kind === 'child' ? 'parent' : 'sibling' });
    this.table.addLink(mine, kind);
    other.table.addLink(theirs, kind === 'child' ? 'parent' : 'sibling');
    if (kind === 'child') expect(this.table.add(base, other.table.bits, mine)).to.equal(true);
  }
}

/** Sends a packet through the network, addresses rewritten as `translation.ts` says (by offset-add); returns how many hops were made. */
function send(from: Device, packet: RouteQuery): number {
  const queue: { at: Device; from: number; packet: RouteQuery }[] = [{ at: from, from: OWN_SOCKETS, packet }];
  let hops = 0;
  for (let one = queue.shift(); one !== undefined; one = queue.shift()) {
    const { at, packet } = one;
    const { own, links } = at.table.decide(packet, one.from, new RouteDecision());
    if (own) at.got++;
    for (const link of links) {
      const wire = at.wires[link];
      if (wire === undefined) throw new Error('no such link');
      hops++;
      const next = { ...packet, ttl: packet.ttl - 1 };
      if (wire.kind === 'parent') next.source += wire.base;
      if (wire.kind === 'child' && packet.bits <= at.table.bits) {
        next.value = packet.broadcast && packet.value === 0 ? 0 : packet.value - wire.base;
        next.bits = wire.to.table.bits;
      } else if (wire.kind === 'child' && packet.broadcast) {
        [next.value, next.bits] = [0, wire.to.table.bits];
      }
      queue.push({ at: wire.to, from: wire.at, packet: next });
    }
  }
  return hops;
}

/** A tree of devices: each has own sockets at 0 and two children above them. */
function tree(depth: number, all: Device[] = []): Device[] {
  const device = new Device(all.length, 4 + 2 * depth);
  all.push(device);
  if (depth === 0) return all;
  for (const place of [1, 2]) {
    const child = all.length;
    tree(depth - 1, all);
    const root = all[child];
    if (root !== undefined) device.connect(root, 'child', place * 2 ** (2 + 2 * depth) + (place - 1) * 3);
  }
  return all;
}

describe('RoutingTable', () => {
  /** C of proposal 0145: its parent by link 0, D by 1, E by 2. */
  function tableOfC(): RoutingTable {
    const table = new RoutingTable(9);
    table.addLink(0, 'parent');
    table.addLink(1, 'child');
    table.addLink(2, 'child');
    expect([table.add(0x080, 8, 1), table.add(0x180, 6, 2)]).to.deep.equal([true, true]);
    return table;
  }

  it('decides as the device C of proposal 0145', () => {
    const table = tableOfC();
    expect(said(table, query('08A^10'), 2)).to.equal('route 0');
    expect(said(table, query('183^9'), 0)).to.equal('route 2');
    expect(said(table, query('1BF^9'), 1)).to.equal('route 2');
    expect(said(table, query('080^9'), 2)).to.equal('route 1');
    expect(said(table, query('17F^9'), 2)).to.equal('route 1');
    expect(said(table, query('07F^9'), 2)).to.equal('route own');
    expect(said(table, query('1C0^9'), 0)).to.equal('route own');
    expect(said(table, query('05^7'), 1)).to.equal('route own');
  });

  it('sends nothing up again that came down, and lets near addresses be said in long forms', () => {
    const table = tableOfC();
    expect(said(table, query('183^9'), 2)).to.equal('route 2');
    expect(said(table, query('183^9', { ttl: 0 }), 2)).to.equal('ttl-expired');
    expect(said(table, query('08A^10'), 0)).to.equal('loop');
    expect(said(table, query('000^10', { broadcast: true }), 0)).to.equal('loop');
    expect(said(new RoutingTable(9), query('08A^10'))).to.equal('no-route');
  });

  it('counts hops, but not the last inch', () => {
    const table = tableOfC();
    expect(said(table, query('08A^10', { ttl: 0 }), 2)).to.equal('ttl-expired');
    expect(said(table, query('08A^10', { ttl: 1 }), 2)).to.equal('route 0');
    expect(said(table, query('005^9', { ttl: 0 }), 2)).to.equal('route own');
    expect(said(table, query('000^9', { ttl: 0, broadcast: true }), 2)).to.equal('route own');
  });

  it('tells a copy that was made on the way from a packet that came back, and forgets both', () => {
    const table = tableOfC();
    table.addLink(3, 'sibling');
    const packet = query('0A0^9', { ttl: 9, time: 2 ** 41 });
    expect(said(table, packet, 3)).to.equal('route 1');
    expect(said(table, packet, 3)).to.equal('copy');
    expect(said(table, { ...packet, ttl: 7, time: 2 ** 41 + 5000 }, 3)).to.equal('loop');
    expect(said(table, { ...packet, ttl: 9, time: 2 ** 41 + 5001 }, 3)).to.equal('route 1');
    expect(said(table, { ...packet, time: 2 ** 41 + 9000 }, 2)).to.equal('route 1');
  });

  it('knows which links lead to a number, and who subscribed to it', () => {
    const table = tableOfC();
    expect([0x07f, 0x080, 0x17f, 0x180].map((value) => table.leadsTo(value, 1))).to.deep.equal([
      false,
      true,
      true,
      false,
    ]);
    table.subscribe(0x1c0, 9, 2);
    expect([table.isSubscribed(0x1c0, 9, 2), table.isSubscribed(0x1c0, 10, 2)]).to.deep.equal([true, false]);
  });

  it('passes over links that fail, by the next nearest, and comes back', () => {
    const table = tableOfC();
    table.addLink(3, 'sibling');
    expect(table.add(0x080, 8, 3, 1)).to.equal(true);
    expect(table.addUpward(3, 1)).to.equal(true);
    expect([table.addUpward(1, 1), table.addUpward(9, 1)]).to.deep.equal([false, false]);
    const both = () => [said(table, query('0A0^9'), 2), said(table, query('08A^10'), 2)];
    expect(both()).to.deep.equal(['route 1', 'route 0']);
    table.setLink(1, false);
    table.setLink(0, false);
    expect(both()).to.deep.equal(['route 3', 'route 3']);
    expect(said(table, query('0A0^9'), 3)).to.equal('loop');
    table.setLink(3, false);
    expect(both()).to.deep.equal(['no-route', 'no-route']);
    for (const link of [0, 1, 3, 7]) table.setLink(link, true);
    expect(both()).to.deep.equal(['route 1', 'route 0']);
    table.removeLink(1);
    table.removeLink(0);
    expect(both()).to.deep.equal(['route 3', 'route 3']);
    table.removeLink(3);
    expect(both()).to.deep.equal(['route own', 'no-route']);
    expect(table.size).to.equal(1);
  });

  it('takes nobody for another who has the same number in another scope', () => {
    const table = tableOfC();
    table.addLink(3, 'sibling');
    const one = { source: 0x55, sequence: 7, broadcast: true };
    expect(said(table, query('000^9', { ...one, sourceBits: 11 }), 0)).to.equal('route own 1 2 3');
    expect(said(table, query('000^9', { ...one, sourceBits: 9 }), 3)).to.equal('route own 1 2');
    expect(said(table, query('000^9', { ...one, sourceBits: 9 }), 3)).to.equal('copy');
  });

  it('refuses what is no route', () => {
    const table = tableOfC();
    for (const [first, len, link] of [
      [0x100, 8, 2],
      [0x17f, 1, 2],
      [0x1c0, 7, 2],
      [0, 0, 2],
      [-2, 1, 2],
      [0, 1, 9],
      [0x1c0, 6, 9],
      [0.5, 1, 1],
    ] as const) {
      expect(table.add(first, len, link), `${first} ^${len}`).to.equal(false);
    }
    expect([
      table.remove(0x081, 1),
      table.remove(0x080, 2),
      table.remove(0x080, 1),
      table.remove(0x080, 1),
    ]).to.deep.equal([false, false, true, false]);
    for (const link of [0, -1, 0.5]) {
      expect(() => table.addLink(link, 'child'))
        .to.throw(UsageError)
        .with.property('code', 'ERR_INVALID_OPTION');
    }
    for (const bits of [0, 33])
      expect(() => new RoutingTable(bits))
        .to.throw(UsageError)
        .with.property('code', 'ERR_INVALID_ADDRESS');
  });

  it('sends multicast to who subscribed, and up as long as its scope is further up', () => {
    const table = tableOfC();
    expect(table.subscribe(0x1f0, 9, 1)).to.equal(true);
    expect(table.subscribe(0x1f0, 9, 2)).to.equal(false);
    expect(table.subscribe(0x1f0, 9, OWN_SOCKETS)).to.equal(false);
    expect(said(table, query('1F0^9'), 0)).to.equal('route own 1 2');
    expect(said(table, query('1F0^9'), 1)).to.equal('route own 2');
    expect(table.subscribe(0x3f0, 10, 2)).to.equal(true);
    expect(said(table, query('3F0^10'), 1)).to.equal('route 0 2');
    expect(said(table, query('3F0^10'), 0)).to.equal('route 2');
    expect(said(table, query('3F0^10'), 2)).to.equal('route 0');
    expect([
      table.unsubscribe(0x1f0, 9, 1),
      table.unsubscribe(0x1f0, 9, 1),
      table.unsubscribe(0x1f0, 9, 2),
    ]).to.deep.equal([false, false, false]);
    expect([table.unsubscribe(0x1f0, 9, OWN_SOCKETS), table.unsubscribe(0x1f0, 9, 1)]).to.deep.equal([true, false]);
    table.removeLink(2);
    expect(table.subscribe(0x3f0, 10, 1)).to.equal(true);
    for (const [value, bits] of [
      [0, 9],
      [512, 9],
      [1, 0],
      [1, 33],
      [1.5, 9],
    ] as const) {
      expect(() => table.subscribe(value, bits, 1))
        .to.throw(UsageError)
        .with.property('code', 'ERR_INVALID_ADDRESS');
    }
    expect(() => table.subscribe(1, 9, 2))
      .to.throw(UsageError)
      .with.property('code', 'ERR_INVALID_OPTION');
  });

  it('sends a broadcast to its scope and no further', () => {
    const table = tableOfC();
    expect(said(table, query('000^9', { broadcast: true }), 2)).to.equal('route own 1');
    expect(said(table, query('000^9', { broadcast: true }), 0)).to.equal('route own 1 2');
    expect(said(table, query('000^10', { broadcast: true }), 2)).to.equal('route own 0 1');
    expect(said(table, query('180^9', { broadcast: true }), 1)).to.equal('route 2');
    expect(said(table, query('380^10', { broadcast: true }), 1)).to.equal('route 0');
    expect(said(table, query('000^9'), 2)).to.equal('route own');
  });

  it('finds what a search of all ranges finds', () => {
    const range = fc.record({ first: fc.nat({ max: 255 }), len: fc.integer({ min: 1, max: 6 }), remove: fc.boolean() });
    fc.assert(
      fc.property(fc.array(range, { maxLength: 60 }), (steps) => {
        const table = new RoutingTable(8);
        const naive: { first: number; end: number; link: number }[] = [];
        steps.forEach(({ first, len, remove }, link) => {
          table.addLink(link, 'child');
          const end = first + 2 ** len;
          const clash = naive.some(
            (one) => first < one.end && one.first < end && !(one.first === first && one.end === end),
          );
          const known = naive.find((one) => one.first === first);
          if (remove && known !== undefined) {
            expect(table.remove(first, known.link)).to.equal(true);
            naive.splice(naive.indexOf(known), 1);
          } else if (known === undefined) {
            expect(table.add(first, len, link)).to.equal(end <= 256 && !clash);
            if (end <= 256 && !clash) naive.push({ first, end, link });
          }
        });
        expect(table.size).to.equal(naive.length);
        for (let value = 0; value < 256; value++) {
          const found = naive.find((one) => value >= one.first && value < one.end);
          const packet = { value, bits: 8, source: 0, sequence: value, ttl: 1, broadcast: false };
          expect(said(table, packet)).to.equal(found === undefined ? 'route own' : `route ${found.link}`);
        }
      }),
    );
  });
});

describe('a tree of routers', () => {
  it('has ways from each device to each, up, over and down, also to itself', () => {
    const all = tree(3);
    const apex = all[0];
    const addressOf = (device: Device): number => {
      const up = device.wires.find(({ kind }) => kind === 'parent');
      return up === undefined ? 1 : addressOf(up.to) + up.base;
    };
    for (const from of all) {
      for (const to of all) {
        for (const device of all) device.got = 0;
        send(from, {
          value: addressOf(to),
          bits: apex?.table.bits ?? 0,
          source: 1,
          sequence: sequence++,
          ttl: 16,
          broadcast: false,
        });
        expect(all.filter(({ got }) => got > 0).map(({ name }) => name)).to.deep.equal([to.name]);
        expect(to.got).to.equal(1);
      }
    }
  });

  it('brings a broadcast to every device once, from wherever it comes', () => {
    const all = tree(3);
    for (const from of all) {
      for (const device of all) device.got = 0;
      expect(send(from, { value: 0, bits: 10, source: 1, sequence: sequence++, ttl: 16, broadcast: true })).to.equal(
        all.length - 1,
      );
      expect(all.map(({ got }) => got)).to.deep.equal(all.map(() => 1));
    }
  });
});

/** Siblings of ^4 each in a layer of ^6, with the cables between them that work; a device of ^3 below each, at 8. */
function layer(works: (a: number, b: number) => boolean): { routers: Device[]; leaves: Device[] } {
  const routers = [0, 1, 2, 3].map((name) => new Device(name, 6));
  const leaves = routers.map((router, name) => {
    const leaf = new Device(10 + name, 4);
    router.connect(leaf, 'child', name * 16);
    return leaf;
  });
  routers.forEach((one, a) =>
    routers.forEach((other, b) => {
      if (a < b && works(a, b)) one.connect(other, 'sibling');
    }),
  );
  // The nearest first: how many cables away a router is without going back through this one.
  for (const one of routers) {
    one.wires.forEach((wire, link) => {
      if (wire.kind !== 'sibling') return;
      const far = new Map([[wire.to, 0]]);
      for (const [at, distance] of far) {
        for (const next of at.wires)
          if (next.kind === 'sibling' && next.to !== one && !far.has(next.to)) far.set(next.to, distance + 1);
      }
      for (const [to, distance] of far) one.table.add(to.name * 16, 4, link, distance);
    });
  }
  return { routers, leaves };
}

describe('a layer of siblings', () => {
  it('carries 1.7^2.4 to 3.4^2.4 by routers 1 and 3', () => {
    const { routers, leaves } = layer(() => true);
    const [, leaf, , other] = leaves;
    if (leaf === undefined || other === undefined) throw new Error('no leaves');
    const { value, bits } = PhoneAddress.parse('3.4^2.4');
    expect(send(leaf, { value, bits, source: 7, sequence: sequence++, ttl: 16, broadcast: false })).to.equal(3);
    expect([...routers, ...leaves].map(({ got }) => got)).to.deep.equal([0, 0, 0, 0, 0, 0, 0, 1]);
  });

  it('reaches whom it can whatever cables fail, once, and nothing circulates', () => {
    for (let seed = 0; seed < 200; seed++) {
      const random = new SeededRandom(seed);
      const dead = new Set(Array.from({ length: random.below(5) }, () => random.below(16)));
      const { routers, leaves } = layer((a, b) => !dead.has(a * 4 + b));
      const reach = (from: Device | undefined) => {
        const seen = new Set(from === undefined ? [] : [from]);
        for (const at of seen) for (const { to } of at.wires) seen.add(to);
        return seen;
      };
      for (const from of leaves) {
        for (const to of leaves) {
          if (to === from) continue;
          for (const device of leaves) device.got = 0;
          const packet = {
            value: (to.name - 10) * 16 + 4,
            bits: 6,
            source: 7,
            sequence: sequence++,
            ttl: 1000,
            broadcast: false,
          };
          expect(send(from, packet)).to.be.below(8);
          expect(leaves.filter(({ got }) => got > 0)).to.deep.equal(reach(from).has(to) ? [to] : []);
          expect(to.got).to.be.below(2);
        }
        for (const device of [...routers, ...leaves]) device.got = 0;
        expect(
          send(from, { value: 0, bits: 6, source: 7, sequence: sequence++, ttl: 1000, broadcast: true }),
        ).to.be.below(20);
        expect([...routers, ...leaves].map(({ got }) => got)).to.deep.equal(
          [...routers, ...leaves].map((device) => (reach(from).has(device) ? 1 : 0)),
        );
      }
    }
  });
});
