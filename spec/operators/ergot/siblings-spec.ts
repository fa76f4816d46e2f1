import { expect } from 'chai';
import type { Impairments } from '../../../drivers/link.js';
import type { Device } from '../../../lib/core/device.js';
import { endpoint, PhoneAddress, u32 } from '../../../lib/ergot/index.js';
import { type SiblingProfile, siblingProfile } from '../../../lib/ergot/phone-patterns/siblings.js';
import { type PhoneLinkOptions, phoneProfile } from '../../../lib/ergot/phone/index.js';
import { type Cable, type WatchedNode, WatchedNetwork } from './watched-network.js';

type Node = WatchedNode<PhoneAddress>;

const LOCAL = 8;
const whoAreYou = endpoint('test/who', u32, u32);

/** Four routers, and below each some devices of ^4 that are hard-coded to lie from 4.0 on. */
class Layer {
  readonly net: WatchedNetwork<PhoneAddress>;
  readonly routers: Node[] = [];
  readonly profiles: SiblingProfile[] = [];
  readonly devices: { readonly node: Node; readonly address: PhoneAddress }[] = [];
  readonly cables = new Map<string, Cable>();

  constructor(seed: number, count: number, children: number, impair: Impairments) {
    this.net = new WatchedNetwork(seed);
    for (let id = 0; id < count; id++) this.router(id);
    for (let a = 0; a < count; a++) for (let b = a + 1; b < count; b++) this.join(a, b, impair);
    for (let id = 0; id < count; id++) {
      for (let child = 0; child < children; child++) this.device(id, child, impair);
    }
  }

  private router(id: number): void {
    const link = ({ name }: Device): PhoneLinkOptions => {
      const child = /-d(\d)$/.exec(name)?.[1];
      if (child === undefined) return { kind: name.includes('top') ? 'parent' : 'sibling' };
      return { kind: 'child', blocks: [{ first: id * 2 ** LOCAL + (Number(child) + 4) * 16, len: 4 }] };
    };
    const profile = siblingProfile({ id, bits: LOCAL, sockets: 5, link });
    this.profiles.push(profile);
    this.routers.push(this.net.add(`r${id}`, profile));
  }

  private join(a: number, b: number, impair: Impairments): void {
    const [one, other] = [this.routers[a], this.routers[b]];
    if (one !== undefined && other !== undefined) this.cables.set(`${a}${b}`, this.net.connect(one, other, { impair }));
  }

  private device(id: number, child: number, impair: Impairments): void {
    const first = id * 2 ** LOCAL + (child + 4) * 16;
    const blocks = [{ first, len: 4 }];
    const profile = phoneProfile({ bits: 4, link: () => ({ kind: 'parent', blocks, bits: LOCAL + 2 }) });
    const node = this.net.add(`d${id}${child}`, profile);
    const address = new PhoneAddress(first + 1, LOCAL + 2);
    node.node.serve(whoAreYou, { port: 1 }).subscribe((request) => request.answer(first));
    this.devices.push({ node, address });
    const router = this.routers[id];
    if (router === undefined) throw new Error('no router');
    this.net.connect(router, node, { impair }, [`r${id}-d${child}`, `d${id}${child}-up`]);
  }

  /** Asks from each device each other, up to `tries` times; those pairs that never got an answer. */
  missing(tries: number): string[] {
    const pairs = this.devices.flatMap((from) => this.devices.filter((to) => to !== from).map((to) => ({ from, to })));
    let open = pairs;
    for (let round = 0; round < tries && open.length > 0; round++) {
      const answered = new Set<unknown>();
      for (const pair of open) {
        const { from, to } = pair;
        from.node.node.request(whoAreYou, to.address, 0, { timeout: 500 }).subscribe({
          next: ({ value }) => value + 1 === to.address.value && answered.add(pair),
          error: () => undefined,
        });
      }
      this.net.run(600);
      open = open.filter((pair) => !answered.has(pair));
    }
    return open.map(({ from, to }) => `${from.node.name} > ${to.node.name}`);
  }
}

describe('sibling routers', () => {
  it('reach every device from every other, four in full mesh, over good cables', () => {
    const layer = new Layer(1, 4, 2, { delay: 1 });
    layer.net.run(3_000);
    expect(layer.missing(1)).to.deep.equal([]);
    layer.net.end();
  });

  it('reach every device from every other, four in full mesh, over bad cables', () => {
    const impair = { delay: 5, jitter: 3, loss: 0.1, duplicate: 0.05, reorder: 0.1, reorderDelay: 10 };
    const layer = new Layer(2, 4, 2, impair);
    layer.net.run(3_000);
    expect(layer.missing(40)).to.deep.equal([]);
    layer.net.end();
  });
});
