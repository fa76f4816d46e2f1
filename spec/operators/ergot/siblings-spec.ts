import { expect } from 'chai';
import type { Impairments } from '../../../drivers/link.js';
import type { Device } from '../../../lib/core/device.js';
import { UsageError } from '../../../lib/core/errors.js';
import { endpoint, PhoneAddress, u32 } from '../../../lib/ergot/index.js';
import {
  type SiblingOptions,
  type SiblingProfile,
  siblingProfile,
} from '../../../lib/ergot/phone-patterns/siblings.js';
import { type PhoneLinkOptions, type PhoneProfile, phoneProfile } from '../../../lib/ergot/phone/index.js';
import { type Cable, type WatchedNode, WatchedNetwork } from './watched-network.js';

type Node = WatchedNode<PhoneAddress>;

/** Of each router. */
const LOCAL = 8;
const LAYER = LOCAL + 2;
const TOP = 12;
const whoAreYou = endpoint('test/who', u32, u32);
const GOOD: Impairments = { delay: 1 };
const BAD: Impairments = { delay: 5, jitter: 3, loss: 0.1, duplicate: 0.05, reorder: 0.1, reorderDelay: 10 };
/** Longer than it takes to see that somebody is dead. */
const NOTICED = 4_000;

interface DeviceBelow {
  readonly node: Node;
  readonly router: number;
  readonly address: PhoneAddress;
}

/** What to build. */
interface Plan {
  readonly seed: number;
  readonly routers?: number;
  readonly children?: number;
  readonly impair?: Impairments;
  /** Whether two routers are joined. Default: all are. */
  readonly joined?: (a: number, b: number) => boolean;
  /** Routers that have a cable to the device at the top, where the layer then lies at 400 plus as many times 400 (hexadecimal). */
  readonly parents?: readonly number[];
}

/** Routers, and below each some devices of ^4 that are hard-coded to lie from 40 (hexadecimal) on. */
class Layer {
  readonly net: WatchedNetwork<PhoneAddress>;
  readonly routers: Node[] = [];
  readonly profiles: SiblingProfile[] = [];
  readonly devices: DeviceBelow[] = [];
  readonly cables = new Map<string, Cable>();
  top: { readonly node: Node; readonly profile: PhoneProfile } | undefined;
  private readonly impair: Impairments;

  constructor({ seed, routers = 4, children = 1, impair = GOOD, joined = () => true, parents = [] }: Plan) {
    this.net = new WatchedNetwork(seed);
    this.impair = impair;
    for (let id = 0; id < routers; id++) this.addRouter(id);
    for (let a = 0; a < routers; a++) for (let b = a + 1; b < routers; b++) if (joined(a, b)) this.join(a, b);
    for (let id = 0; id < routers; id++) for (let child = 0; child < children; child++) this.addDevice(id, child);
    if (parents.length > 0) this.addTop(parents);
  }

  private addRouter(id: number): void {
    const link = ({ name }: Device): PhoneLinkOptions => {
      if (name.endsWith('-top'))
        return { kind: 'parent', bits: TOP, blocks: [{ first: (id + 1) * 0x400, len: LAYER }] };
      const child = /-d(\d)$/.exec(name)?.[1];
      if (child === undefined) return { kind: 'sibling' };
      return { kind: 'child', blocks: [{ first: id * 2 ** LOCAL + (Number(child) + 4) * 16, len: 4 }] };
    };
    const profile = siblingProfile({ id, bits: LOCAL, sockets: 5, link });
    this.profiles[id] = profile;
    this.routers[id] = this.net.add(`r${id}`, profile);
    this.routers[id].node.serve(whoAreYou, { port: 1 }).subscribe((request) => request.answer(id));
  }

  private join(a: number, b: number): void {
    this.cables.set(`${a}${b}`, this.net.connect(this.router(a), this.router(b), { impair: this.impair }));
  }

  private addDevice(id: number, child: number): void {
    const first = id * 2 ** LOCAL + (child + 4) * 16;
    const blocks = [{ first, len: 4 }];
    const profile = phoneProfile({ bits: 4, link: () => ({ kind: 'parent', blocks, bits: LAYER }) });
    const node = this.net.add(`d${id}${child}`, profile);
    const address = new PhoneAddress(first + 1, LAYER);
    node.node.serve(whoAreYou, { port: 1 }).subscribe((request) => request.answer(address.value));
    this.devices.push({ node, router: id, address });
    const names = [`r${id}-d${child}`, `d${id}${child}-up`] as const;
    this.net.connect(this.router(id), node, { impair: this.impair }, names);
  }

  /** A device ends, and begins anew with the address that it had. */
  restart(id: number): void {
    this.device(id).node.node.dispose();
    this.net.cables.findLast(({ ends }) => ends[0].name === `r${id}-d0`)?.plugs[0].unsubscribe();
    this.devices.splice(this.devices.indexOf(this.device(id)), 1);
    this.addDevice(id, 0);
  }

  private addTop(parents: readonly number[]): void {
    const link = ({ name }: Device): PhoneLinkOptions => {
      return { kind: 'child', blocks: [{ first: (Number(name.slice(-1)) + 1) * 0x400, len: LAYER }] };
    };
    const profile = phoneProfile({ bits: TOP, link });
    const node = this.net.add('top', profile);
    this.top = { node, profile };
    node.node.serve(whoAreYou, { port: 1 }).subscribe((request) => request.answer(999));
    for (const id of parents) {
      const cable = this.net.connect(node, this.router(id), { impair: this.impair }, [`top-${id}`, `r${id}-top`]);
      this.cables.set(`top${id}`, cable);
    }
  }

  router(id: number): Node {
    const found = this.routers[id];
    if (found === undefined) throw new Error('no such router');
    return found;
  }

  device(id: number): DeviceBelow {
    const found = this.devices.find(({ router }) => router === id);
    if (found === undefined) throw new Error('no such device');
    return found;
  }

  cut(name: string): void {
    this.cables.get(name)?.link.partition();
  }

  mend(name: string): void {
    this.cables.get(name)?.link.heal();
  }

  /** Ends a router as power does: without a word. */
  kill(id: number): void {
    this.router(id).node.dispose();
  }

  /** Asks once; the answer, or why there is none. */
  ask(from: Node, to: PhoneAddress): number | string {
    let heard: number | string = 'nothing';
    from.node.request(whoAreYou, to, 0, { timeout: 400 }).subscribe({
      next: ({ value }) => (heard = value),
      error: ({ code }: { readonly code: string }) => (heard = code),
    });
    this.net.run(450);
    return heard;
  }

  /** Asks from each device each other, up to `tries` times; those pairs that never got an answer. */
  missing(tries: number, among = this.devices): string[] {
    let open = among.flatMap((from) => among.filter((to) => to !== from).map((to) => ({ from, to })));
    for (let round = 0; round < tries && open.length > 0; round++) {
      const answered = new Set<unknown>();
      for (const pair of open) {
        const { from, to } = pair;
        from.node.node.request(whoAreYou, to.address, 0, { timeout: 500 }).subscribe({
          next: ({ value }) => value === to.address.value && answered.add(pair),
          error: () => undefined,
        });
      }
      this.net.run(600);
      open = open.filter((pair) => !answered.has(pair));
    }
    return open.map(({ from, to }) => `${from.node.name} > ${to.node.name}`);
  }

  /** Which router each one takes for the one that speaks with the parent. */
  chosen(): (number | undefined)[] {
    return this.profiles.map(({ chosen }) => chosen);
  }
}

describe('sibling routers', () => {
  for (const [cables, impair, tries] of [
    ['good', GOOD, 1],
    ['bad', BAD, 40],
  ] as const) {
    it(`reach every device from every other, four in full mesh, over ${cables} cables`, () => {
      const layer = new Layer({ seed: 1, children: 2, impair });
      layer.net.run(NOTICED);
      expect(layer.missing(tries)).to.deep.equal([]);
      layer.net.end();
    });
  }

  it('take nothing of a device that began anew for a copy of what it said before', () => {
    const layer = new Layer({ seed: 9 });
    layer.net.run(NOTICED);
    const { address } = layer.device(3);
    for (let life = 0; life < 5; life++) {
      expect(layer.ask(layer.device(1).node, address), `life ${life}`).to.equal(address.value);
      layer.restart(1);
    }
    layer.net.end();
  });

  it('go by another cable between the same two where one fails', () => {
    const layer = new Layer({ seed: 10, routers: 2 });
    const other = layer.net.connect(layer.router(0), layer.router(1), { impair: GOOD }, ['r0-r1b', 'r1-r0b']);
    layer.net.run(NOTICED);
    expect(layer.missing(1)).to.deep.equal([]);
    layer.cut('01');
    layer.net.run(NOTICED);
    expect(layer.missing(1)).to.deep.equal([]);
    layer.mend('01');
    other.link.partition();
    layer.net.run(NOTICED);
    expect(layer.missing(1)).to.deep.equal([]);
    layer.net.end();
  });

  it('may be one, two or three', () => {
    for (const routers of [1, 2, 3]) {
      const layer = new Layer({ seed: routers, routers, children: 2 });
      layer.net.run(NOTICED);
      expect(layer.missing(1)).to.deep.equal([]);
      layer.net.end();
    }
  });

  it('carry 1.7 to 3.4 by routers 1 and 3, and by another if these two are not joined', () => {
    const layer = new Layer({ seed: 3 });
    layer.net.run(NOTICED);
    const [from, to] = [layer.device(1), layer.device(3)];
    // Hellos are said at every half second; there is none for a while now.
    const count = () => layer.routers.map(({ received }) => received);
    const ways = () => {
      layer.net.run(500 - (layer.net.scheduler.now() % 500) + 50);
      const before = count();
      let heard = 0;
      from.node.node.request(whoAreYou, to.address, 0).subscribe(({ value }) => (heard = value));
      layer.net.run(50);
      expect(heard).to.equal(to.address.value);
      return count().map((received, id) => received - (before[id] ?? 0));
    };
    expect(ways()).to.deep.equal([0, 2, 0, 2]);
    layer.cut('13');
    layer.net.run(NOTICED);
    expect(ways()).to.deep.equal([2, 2, 0, 2]);
    layer.cut('03');
    layer.net.run(NOTICED);
    expect(ways()).to.deep.equal([0, 2, 2, 2]);
    layer.cut('23');
    layer.net.run(NOTICED);
    expect(layer.ask(from.node, to.address)).to.be.a('string');
    for (const cable of ['13', '03', '23']) layer.mend(cable);
    layer.net.run(NOTICED);
    expect(ways()).to.deep.equal([0, 2, 0, 2]);
    layer.net.end();
  });

  it('go on when one of them dies, and take it back when it lives again', () => {
    const layer = new Layer({ seed: 4, children: 2, impair: BAD });
    layer.net.run(NOTICED);
    for (const dead of [0, 3]) {
      layer.kill(dead);
      layer.net.run(NOTICED);
      const alive = layer.devices.filter(({ router }) => router !== 0 && router !== dead);
      expect(layer.missing(40, alive)).to.deep.equal([]);
      for (const id of [1, 2]) expect(layer.profiles[id]?.reaches(dead)).to.equal(false);
    }
    layer.net.end();
  });

  it('are in a ring as good as in a full mesh, whichever cable fails', () => {
    const layer = new Layer({ seed: 5, joined: (a, b) => b - a === 1 || b - a === 3 });
    layer.net.run(NOTICED);
    expect(layer.missing(1)).to.deep.equal([]);
    for (const cable of ['01', '12', '23', '03']) {
      layer.cut(cable);
      layer.net.run(NOTICED);
      expect(layer.missing(1), `without ${cable}`).to.deep.equal([]);
      layer.mend(cable);
      layer.net.run(NOTICED);
    }
    layer.net.end();
  });

  it('have one among them speak with the parent, and another when that one dies or has no parent any more', () => {
    const layer = new Layer({ seed: 6, parents: [1, 2] });
    const { net, top } = layer;
    if (top === undefined) throw new Error('no top');
    const inTop = (device: DeviceBelow, by: number) => new PhoneAddress((by + 1) * 0x400 + device.address.value, TOP);
    const check = (by: number, ids: readonly number[]) => {
      for (const id of ids) {
        const device = layer.device(id);
        expect(layer.profiles[id]?.chosen).to.equal(by);
        expect(layer.ask(device.node, new PhoneAddress(1, TOP)), `${id} asks the top by ${by}`).to.equal(999);
        expect(layer.ask(top.node, inTop(device, by)), `the top asks ${id}`).to.equal(device.address.value);
        // In its long form it turns around at the top, be it as near as can be.
        expect(layer.ask(layer.device(3).node, inTop(device, by))).to.equal(device.address.value);
      }
    };
    net.run(NOTICED);
    check(1, [0, 1, 2, 3]);
    expect(layer.profiles[0]?.links.map(({ state }) => state)).to.deep.equal(['active', 'active', 'active', 'active']);
    layer.cables.get('top1')?.plugs[1].unsubscribe();
    net.run(NOTICED);
    check(2, [0, 1, 2, 3]);
    layer.kill(0);
    net.run(NOTICED);
    check(2, [1, 2, 3]);
    layer.kill(2);
    net.run(NOTICED);
    expect([1, 3].map((id) => layer.profiles[id]?.chosen)).to.deep.equal([undefined, undefined]);
    expect(layer.missing(1, [layer.device(1), layer.device(3)])).to.deep.equal([]);
    net.end();
  });

  it('say to all of a scope what is said to all, once, whatever ways there are', () => {
    const layer = new Layer({ seed: 7, children: 2, parents: [0] });
    layer.net.run(NOTICED);
    const heard = new Map<string, number>();
    for (const { name, node } of layer.net.nodes) {
      node.serve(whoAreYou, { name: 'all' }).subscribe(() => heard.set(name, (heard.get(name) ?? 0) + 1));
    }
    const { node } = layer.device(2);
    const everyone = node.node.profile.addressing.everyone;
    node.node.requestAll(whoAreYou, everyone, 0, { name: 'all' }).subscribe();
    layer.net.run(100);
    const names = layer.net.nodes.map(({ name }) => name).sort();
    expect([...heard.keys()].sort()).to.deep.equal(names);
    expect([...heard.values()].every((times) => times === 1)).to.equal(true);
    layer.net.end();
  });

  it('refuse a parent where the layer cannot lie at once, and not when its time has come', () => {
    const net = new WatchedNetwork<PhoneAddress>(11);
    const link = (): PhoneLinkOptions => ({ kind: 'parent', bits: TOP, blocks: [{ first: 0xd00, len: LAYER }] });
    const profile = siblingProfile({ id: 0, bits: LOCAL, link });
    const router = net.add('r0', profile);
    const top = net.add('top', phoneProfile({ bits: TOP }));
    expect(() => net.connect(top, router))
      .to.throw(UsageError)
      .with.property('code', 'ERR_INVALID_OPTION');
    net.run(NOTICED);
    expect(profile.links).to.deep.equal([]);
    net.end();
  });

  it('refuses what is no router of a layer', () => {
    const wrong: Partial<SiblingOptions>[] = [
      { id: 4 },
      { id: -1 },
      { bits: 0 },
      { bits: 31 },
      { sockets: 9 },
      { interval: 0 },
    ];
    for (const options of wrong) {
      expect(() => siblingProfile({ id: 0, bits: LOCAL, link: () => 'child', ...options }))
        .to.throw(UsageError)
        .with.property('code', 'ERR_INVALID_OPTION');
    }
  });
});
