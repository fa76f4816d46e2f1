import { expect } from 'chai';
import type { Impairments } from '../../../drivers/link.js';
import type { Device } from '../../../lib/core/device.js';
import { UsageError } from '../../../lib/core/errors.js';
import {
  apexProfile,
  endpoint,
  fixedGroup,
  groupOf,
  leafProfile,
  PhoneAddress,
  type PhoneProfile,
  type SiblingProfile,
  siblingProfile,
  topic,
  u32,
} from '../../../lib/ergot/index.js';
import { type Cable, type WatchedNode, WatchedNetwork } from './watched-network.js';

type Node = WatchedNode<PhoneAddress>;
interface Made<P> {
  readonly node: Node;
  readonly profile: P;
}

const whoAreYou = endpoint('test/who', u32, u32);
const news = topic('test/news', u32);
const LOCAL = 8;
const LAYER = LOCAL + 2;
const BAD: Impairments = { delay: 5, jitter: 3, loss: 0.1, duplicate: 0.05, reorder: 0.1, reorderDelay: 10 };
/** A group of the layer, at the end of router 3's part. */
const GROUPS = [{ first: 0x3f0, len: 4 }];

const kindOf = ({ name }: Device) => {
  if (name.startsWith('up')) return 'parent';
  return name.startsWith('side') ? 'sibling' : 'child';
};

/** Networks whose devices ask for their addresses. */
class Asking {
  readonly net: WatchedNetwork<PhoneAddress>;
  private readonly impair: Impairments;
  private count = 0;

  constructor(seed: number, impair: Impairments = { delay: 1 }) {
    this.net = new WatchedNetwork(seed);
    this.impair = impair;
  }

  add<P extends PhoneProfile | SiblingProfile>(name: string, profile: P): Made<P> {
    const node = this.net.add(name, profile);
    const id = this.count++;
    node.node.serve(whoAreYou, { port: 1 }).subscribe((request) => request.answer(id));
    return { node, profile };
  }

  /** A cable from a parent, or sibling, to a child, or sibling. */
  join(a: Made<unknown>, b: Made<unknown>, kind: 'down' | 'side', name = `${a.node.name}${b.node.name}`): Cable {
    const names = kind === 'side' ? ([`side${name}a`, `side${name}b`] as const) : ([name, `up${name}`] as const);
    return this.net.connect(a.node, b.node, { impair: this.impair }, names);
  }

  /** Four siblings in full mesh, with some leaves each. */
  layer(leaves: number): { routers: Made<SiblingProfile>[]; leaves: Made<PhoneProfile>[] } {
    const routers = [0, 1, 2, 3].map((id) =>
      this.add(`r${id}`, siblingProfile({ id, bits: LOCAL, sockets: 4, groups: GROUPS, link: kindOf })),
    );
    routers.forEach((a, i) => routers.slice(i + 1).forEach((b) => this.join(a, b, 'side')));
    const below = routers.flatMap((router, id) =>
      Array.from({ length: leaves }, (_, i) => {
        const leaf = this.add(`leaf${id}${i}`, leafProfile({ bits: 4 }));
        this.join(router, leaf, 'down');
        return leaf;
      }),
    );
    return { routers, leaves: below };
  }

  /** Which of the pairs that ask each other never get an answer of the right device. */
  missing(all: readonly Made<PhoneProfile>[], bits: number, tries: number): string[] {
    let open = all.flatMap((from) => all.filter((to) => to !== from).map((to) => ({ from, to })));
    for (let round = 0; round < tries && open.length > 0; round++) {
      const answered = new Set<unknown>();
      for (const pair of open) {
        const address = addressOf(pair.to, bits, 1);
        if (address === undefined) continue;
        const id = this.net.nodes.indexOf(pair.to.node);
        pair.from.node.node.request(whoAreYou, address, 0, { timeout: 400 }).subscribe({
          next: ({ value }) => value === id && answered.add(pair),
          error: () => undefined,
        });
      }
      this.net.run(500);
      open = open.filter((pair) => !answered.has(pair));
    }
    return open.map(({ from, to }) => `${from.node.name} > ${to.node.name}`);
  }
}

/** What a device believes that the address of a socket of its own is in the scope of `bits`. */
function addressOf({ profile }: Made<PhoneProfile>, bits: number, port: number): PhoneAddress | undefined {
  return profile.locate(new PhoneAddress(port, profile.bits), bits);
}

const text = (all: readonly Made<PhoneProfile>[], bits: number): string[] =>
  all.map((one) => String(addressOf(one, bits, 0)));

describe('a layer of siblings whose devices ask for their addresses', () => {
  it('reaches every device from every other over bad cables, and goes on when routers die', () => {
    const net = new Asking(1, BAD);
    const { routers, leaves } = net.layer(2);
    net.net.run(30_000);
    expect(new Set(text(leaves, LAYER)).size).to.equal(8);
    leaves.forEach((leaf, i) => expect((addressOf(leaf, LAYER, 0)?.value ?? 0) >> LOCAL).to.equal(i >> 1));
    expect(net.missing(leaves, LAYER, 40)).to.deep.equal([]);
    const before = text(leaves, LAYER);
    for (const dead of [0, 2]) {
      routers[dead]?.node.node.dispose();
      net.net.run(10_000);
      const alive = leaves.filter((_, i) => ![0, dead].includes(i >> 1));
      expect(net.missing(alive, LAYER, 40)).to.deep.equal([]);
    }
    // Longer than any lease: who lives keeps its addresses.
    net.net.run(300_000);
    const kept = [2, 3, 6, 7];
    expect(kept.map((i) => text(leaves, LAYER)[i])).to.deep.equal(kept.map((i) => before[i]));
    net.net.end();
  });

  it('is one child to its parent, by one router and then by another; all devices know where they lie', () => {
    const net = new Asking(2);
    const apex = net.add('apex', apexProfile({ bits: 14, given: 12 }));
    const { routers, leaves } = net.layer(1);
    for (const id of [1, 2]) net.join(apex, routers[id] ?? apex, 'down', `top${id}`);
    net.net.run(10_000);
    expect(routers.map(({ profile }) => profile.chosen)).to.deep.equal([1, 1, 1, 1]);
    const [first] = routers.map(({ profile }) => profile.prefix?.levels[0]?.ranges[0]?.address);
    expect(first).to.equal(0x400);
    const local = text(leaves, LAYER);
    const global = text(leaves, 14);
    leaves.forEach((leaf) =>
      expect(addressOf(leaf, 14, 0)?.value).to.equal((first ?? 0) + (addressOf(leaf, LAYER, 0)?.value ?? 0)),
    );
    expect(net.missing([...leaves, apex], 14, 1)).to.deep.equal([]);
    routers[1]?.node.node.dispose();
    net.net.run(10_000);
    const alive = [0, 2, 3].flatMap((i) => leaves[i] ?? []);
    expect([0, 2, 3].map((id) => routers[id]?.profile.chosen)).to.deep.equal([2, 2, 2]);
    expect(text(alive, LAYER)).to.deep.equal([0, 2, 3].map((i) => local[i]));
    for (const [i, address] of text(alive, 14).entries()) expect(address).to.not.equal(global[[0, 2, 3][i] ?? 0]);
    expect(net.missing([...alive, apex], 14, 1)).to.deep.equal([]);
    net.net.end();
  });

  it('moves to another parent: local addresses and conversations stay, and the new prefix is published to all', () => {
    const net = new Asking(3);
    const [one, other] = [12, 16].map((bits) => net.add(`apex${bits}`, apexProfile({ bits })));
    if (one === undefined || other === undefined) throw new Error('no apex');
    const { routers, leaves } = net.layer(1);
    const [gate = one] = routers;
    const cable = net.join(one, gate, 'down', 'first');
    net.net.run(10_000);
    const local = text(leaves, LAYER);
    expect(net.missing([...leaves, one], 12, 1)).to.deep.equal([]);
    for (const plug of cable.plugs) plug.unsubscribe();
    net.net.run(5_000);
    expect(text(leaves, 12)).to.deep.equal(leaves.map(() => 'undefined'));
    expect(net.missing(leaves, LAYER, 1)).to.deep.equal([]);
    net.join(other, gate, 'down', 'second');
    net.net.run(10_000);
    expect(text(leaves, LAYER)).to.deep.equal(local);
    expect(net.missing([...leaves, other], 16, 1)).to.deep.equal([]);
    net.net.end();
  });

  it('brings what is for a group to who subscribed, once, and to own sockets of who says it, until they do not want it any more', () => {
    const net = new Asking(4);
    const wide = [{ first: 0xff00, len: 8 }];
    const apex = net.add('apex', apexProfile({ bits: 16, groups: wide }));
    const { routers, leaves } = net.layer(2);
    net.join(apex, routers[3] ?? apex, 'down', 'top');
    net.net.run(10_000);
    const heard = new Map<string, number>();
    for (const { node } of [...leaves, ...routers, apex]) {
      node.node.topic(news).subscribe(() => heard.set(node.name, (heard.get(node.name) ?? 0) + 1));
    }
    const say = (from: Made<unknown>, to: PhoneAddress): string[] => {
      heard.clear();
      from.node.node.publish(news, groupOf(to), 1);
      net.net.run(200);
      return Array.from(heard, ([name, times]) => (times === 1 ? name : `${name} ${times} times`)).sort();
    };
    const expectHeard = (from: Made<unknown>, group: PhoneAddress, names: readonly string[]) => {
      const all = new Set([...names, from.node.name]);
      expect(say(from, group), `${from.node.name} to ${group.toString()}`).to.deep.equal([...all].sort());
    };
    for (const group of [new PhoneAddress(0x3f1, LAYER), new PhoneAddress(0xff01, 16)]) {
      const members = [0, 3, 5].flatMap((i) => leaves[i] ?? []);
      const names = members.map(({ node }) => node.name).sort();
      const answers: string[] = [];
      for (const { profile } of members) profile.subscribe(group, ({ kind }) => answers.push(kind));
      net.net.run(1_000);
      expect(answers).to.deep.equal(['Ok', 'Ok', 'Ok']);
      const within = group.bits === LAYER ? [...leaves, ...routers] : [...leaves, ...routers, apex];
      for (const from of within) expectHeard(from, group, names);
      members[1]?.profile.unsubscribe(group);
      net.net.run(1_000);
      const left = names.filter((name) => name !== members[1]?.node.name);
      for (const from of within) expectHeard(from, group, left);
    }
    net.net.end();
  });

  it('has what is for a group go on by other cables, and is asked for it no more where nobody wants it', () => {
    const net = new Asking(8);
    const apex = net.add('apex', apexProfile({ bits: 16, groups: [{ first: 0xff00, len: 8 }] }));
    const { routers, leaves } = net.layer(1);
    const [r0 = apex, r1 = apex] = routers;
    const tops = [r0, r1].map((router, id) => net.join(apex, router, 'down', `top${id}`));
    net.net.run(10_000);
    const group = groupOf(new PhoneAddress(0xff01, 16));
    const heard: string[] = [];
    for (const { node } of leaves) node.node.topic(news).subscribe(() => heard.push(node.name));
    const told = () => {
      heard.length = 0;
      net.net.run(10_000);
      apex.node.node.publish(news, group, 1);
      net.net.run(200);
      return heard.sort();
    };
    const asked = () => [0, 1].map((link) => apex.profile.table.isSubscribed(group.value, 16, link));
    leaves[2]?.profile.subscribe(group);
    expect(told()).to.deep.equal(['leaf20']);
    expect(asked()).to.deep.equal([true, false]);
    const pull = (cable: Cable | undefined) => cable?.plugs.forEach((plug) => plug.unsubscribe());
    pull(net.net.cables.find(({ ends }) => ends[0].name === 'sider0r2a'));
    expect(told()).to.deep.equal(['leaf20']);
    leaves[1]?.profile.subscribe(group);
    expect(told()).to.deep.equal(['leaf10', 'leaf20']);
    pull(tops[0]);
    expect(told()).to.deep.equal(['leaf10', 'leaf20']);
    expect(asked()).to.deep.equal([false, true]);
    for (const { profile } of leaves) profile.unsubscribe(group);
    expect(told()).to.deep.equal([]);
    expect(asked()).to.deep.equal([false, false]);
    net.net.end();
  });
});

describe('an apex', () => {
  it('gives out what it means to give, keeps the rest, and asks nobody', () => {
    const net = new Asking(5);
    const apex = net.add('apex', apexProfile({ bits: 16, given: 6, sockets: 3 }));
    const leaves = [0, 1, 2, 3].map((i) => net.add(`leaf${i}`, leafProfile({ bits: 4 })));
    leaves.forEach((leaf, i) => net.join(apex, leaf, 'down', `l${i}`));
    net.net.run(10_000);
    // Three times 16 addresses beside its own eight of 64.
    const placed = text(leaves, 16).filter((one) => one !== 'undefined');
    expect(placed.sort()).to.deep.equal(['0010^16', '0020^16', '0030^16']);
    // It has two sockets left to ask with.
    const all = [apex, ...leaves.filter((leaf) => addressOf(leaf, 16, 0) !== undefined)];
    expect(net.missing(all, 16, 4)).to.deep.equal([]);
    net.net.end();
  });
});

describe('a leaf', () => {
  it('has one link, to its parent', () => {
    const net = new Asking(6);
    const apex = net.add('apex', apexProfile({ bits: 8, sockets: 3 }));
    const leaf = net.add('leaf', leafProfile({ bits: 4 }));
    const first = net.join(apex, leaf, 'down', 'one');
    expect(() => net.join(apex, leaf, 'down', 'two'))
      .to.throw(UsageError)
      .with.property('code', 'ERR_INVALID_OPTION');
    net.net.run(5_000);
    expect(text([leaf], 8)).to.deep.equal(['10^8']);
    // It may be plugged in elsewhere.
    for (const plug of first.plugs) plug.unsubscribe();
    net.join(apex, leaf, 'down', 'three');
    net.net.run(60_000);
    expect(net.missing([apex, leaf], 8, 1)).to.deep.equal([]);
    net.net.end();
  });
});

describe('a fixed device group', () => {
  const robot = fixedGroup({ bits: 8, members: { arm: { first: 0x40, len: 6 }, eye: { first: 0x80, len: 6 } } });

  it('has its addresses without asking, alone as well as below whomever it travels to', () => {
    const net = new Asking(7);
    const gateway = net.add('gateway', robot.gateway());
    const arm = net.add('arm', robot.member('arm'));
    const eye = net.add('eye', robot.member('eye'));
    net.join(gateway, arm, 'down', 'arm');
    net.join(gateway, eye, 'down', 'eye');
    net.net.run(1_000);
    expect([String(robot.address('arm', 1)), String(robot.address('eye', 1))]).to.deep.equal(['41^8', '81^8']);
    expect(net.missing([gateway, arm, eye], 8, 1)).to.deep.equal([]);
    for (const bits of [12, 16]) {
      const apex = net.add(`apex${bits}`, apexProfile({ bits }));
      const cable = net.join(apex, gateway, 'down', `out${bits}`);
      net.net.run(10_000);
      expect(text([arm], 8)).to.deep.equal(['40^8']);
      expect(addressOf(arm, bits, 0)?.value).to.equal((addressOf(gateway, bits, 0)?.value ?? 0) + 0x40);
      expect(net.missing([gateway, arm, eye, apex], bits, 1)).to.deep.equal([]);
      expect(net.missing([gateway, arm, eye], 8, 1)).to.deep.equal([]);
      for (const plug of cable.plugs) plug.unsubscribe();
    }
    net.net.end();
  });

  it('has members that there are, and room in front of them', () => {
    const refused = (make: () => unknown) =>
      expect(make).to.throw(UsageError).with.property('code', 'ERR_INVALID_OPTION');
    refused(() => robot.member('leg' as 'arm'));
    refused(() => fixedGroup({ bits: 8, members: { arm: { first: 1, len: 6 } } }));
    refused(() => fixedGroup({ bits: 8, members: {} }));
  });
});
