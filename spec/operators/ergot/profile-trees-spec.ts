import { expect } from 'chai';
import type { Impairments } from '../../../drivers/link.js';
import { SeededRandom } from '../../../lib/core/random.js';
import {
  bridgeProfile,
  edgeProfile,
  type LinkStatus,
  LinkState,
  networkOf,
  netAddressText,
  type Profile,
  routerProfile,
  withPort,
} from '../../../lib/ergot/index.js';
import { discover, ping, services } from '../../../operators/ergot/services/index.js';
import { type Cable, type WatchedNode, WatchedNetwork } from './watched-network.js';

const SEEDS = 20;
const UPLINK = 'up';
const BAD: Impairments = { delay: 4, jitter: 2, loss: 0.05, duplicate: 0.05, reorder: 0.05, reorderDelay: 8 };
/** Milliseconds until all links of a tree of bridges have their networks, some questions lost. */
const SEEDED = 60_000;
/** Longer than a lease lasts, and than its number is kept for nobody else. */
const EXPIRED = 160_000;

type Node = WatchedNode<number>;

interface Place {
  readonly node: Node;
  readonly depth: number;
  readonly parent: Place | undefined;
  readonly cable: Cable | undefined;
  readonly kind: 'root' | 'bridge' | 'edge';
}

/** A root, and below it bridges and edges, as chance has it. */
class Tree {
  readonly net: WatchedNetwork<number>;
  readonly places: Place[] = [];

  constructor(seed: number) {
    const random = new SeededRandom(seed);
    this.net = new WatchedNetwork(seed);
    const root = this.add('root', 0, undefined);
    const open = [root];
    for (let left = 3 + random.below(9); left > 0; left--) {
      const parent = open[random.below(open.length)] ?? root;
      const place = this.add(parent.depth < 3 && random.below(2) === 0 ? 'bridge' : 'edge', parent.depth + 1, parent);
      if (place.kind === 'bridge') open.push(place);
    }
  }

  private add(kind: Place['kind'], depth: number, parent: Place | undefined): Place {
    const name = `${kind}${this.places.length}`;
    const profile: Profile<number> =
      kind === 'root' ? routerProfile() : kind === 'bridge' ? bridgeProfile({ upstream: UPLINK }) : edgeProfile();
    const node = this.net.add(name, profile);
    services(node.node, { device: { name, id: BigInt(this.places.length) } });
    const names = [`to-${name}`, UPLINK] as const;
    const cable = parent === undefined ? undefined : this.net.connect(parent.node, node, { impair: BAD }, names);
    const place = { node, depth, parent, cable, kind };
    this.places.push(place);
    return place;
  }

  get links(): readonly LinkStatus<number>[] {
    return this.places.flatMap(({ node }) => node.node.profile.links);
  }

  /** Whom a node finds, by their names, asking until it has heard `wanted`, or often enough. */
  discovered(from: Place, wanted: number): Map<string, number> {
    const found = new Map<string, number>();
    for (let tries = 0; tries < 15 && found.size < wanted; tries++) {
      discover(from.node.node, { timeout: 400 }).subscribe({
        next: ({ name, address }) => {
          if (name !== undefined) found.set(name, address);
        },
        error: () => undefined,
      });
      this.net.run(500);
    }
    return found;
  }

  /** Pairs of which one never got a reply from the other, at the address that it found it by. */
  silent(): string[] {
    const all = this.places.map(({ node }) => node.name);
    const pairs = this.places.flatMap((from) => {
      const found = this.discovered(from, all.length);
      expect([...found.keys()].sort(), `found by ${from.node.name}`).to.deep.equal([...all].sort());
      return [...found].map(([to, address]) => ({ from, to, address: withPort(address, 0) }));
    });
    const open = new Set(pairs);
    for (let tries = 0; tries < 12 && open.size > 0; tries++) {
      for (const pair of open) {
        const to = netAddressText(pair.address);
        ping(pair.from.node.node, to, { count: 1, timeout: 300 }).subscribe((event) => {
          if (event.kind === 'reply') open.delete(pair);
        });
      }
      this.net.run(400);
    }
    return Array.from(open, ({ from, to }) => `${from.node.name} > ${to}`);
  }

  /** The networks of all links; each must be that of one cable. */
  expectNetworks(): void {
    const links = this.places
      .filter(({ kind }) => kind !== 'edge')
      .flatMap(({ node }) => node.node.profile.links.filter(({ link }) => link.name !== UPLINK));
    expect(links.map(({ state }) => state)).to.deep.equal(links.map(() => LinkState.Active));
    const networks = links.map(({ address }) => networkOf(address ?? 0));
    expect(new Set(networks).size, 'networks').to.equal(networks.length);
    expect(networks.length).to.equal(this.places.length - 1);
  }
}

describe('trees of a root, bridges and edges', () => {
  it(`find and reach each other over bad cables, in ${SEEDS} of them, with leases that bridges keep`, () => {
    for (let seed = 0; seed < SEEDS; seed++) {
      const tree = new Tree(seed);
      tree.net.run(SEEDED);
      tree.expectNetworks();
      expect(tree.silent(), `seed ${seed}`).to.deep.equal([]);
      // Leases were extended in the meantime, and lost by nobody.
      const before = tree.links.map(({ address }) => address);
      tree.net.run(EXPIRED);
      tree.expectNetworks();
      expect(tree.links.map(({ address }) => address)).to.deep.equal(before);
      tree.net.end();
    }
  }).timeout(60_000);

  it('lose the networks below a cable that is cut for long, and have some again when it is whole', () => {
    for (let seed = 0; seed < SEEDS; seed++) {
      const tree = new Tree(seed);
      const bridge = tree.places.find(({ kind, node }) => kind === 'bridge' && node.node.profile.links.length > 1);
      if (bridge?.cable !== undefined) {
        tree.net.run(SEEDED);
        bridge.cable.link.partition();
        tree.net.run(EXPIRED);
        const below = bridge.node.node.profile.links.filter(({ link }) => link.name !== UPLINK);
        expect(below.map(({ state }) => state === LinkState.Active)).to.deep.equal(below.map(() => false));
        bridge.cable.link.heal();
        tree.net.run(SEEDED);
        tree.expectNetworks();
        expect(tree.silent(), `seed ${seed}`).to.deep.equal([]);
      }
      tree.net.end();
    }
  }).timeout(60_000);
});
