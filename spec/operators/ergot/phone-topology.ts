/**
 * Random networks of phone-number addresses: a tree of layers, each of them one device or up to four sibling routers with random cables between
 * them, at places that are hard-coded, aligned or not. And what a naive search says of who reaches whom.
 */

import type { Device } from '../../../lib/core/device.js';
import type { SeededRandom } from '../../../lib/core/random.js';
import { PhoneAddress } from '../../../lib/ergot/index.js';
import { type SiblingProfile, siblingProfile } from '../../../lib/ergot/phone-patterns/siblings.js';
import {
  type PhoneBlock,
  type PhoneLinkOptions,
  type PhoneProfile,
  phoneProfile,
} from '../../../lib/ergot/phone/index.js';
import { type Cable, type WatchedNode, WatchedNetwork } from './watched-network.js';

/** Own sockets of every device: 2^4, of which five serve its neighbours. */
const SOCKETS = 4;
/** Multicast addresses of every layer: 2^1, the second of which is used. */
const GROUPS = 1;
/** Of the routers, in virtual milliseconds: seldom, so that there is quiet in between. */
export const HELLO_INTERVAL = 2_000;

/** A device of the network. */
export interface Station {
  readonly name: string;
  readonly watched: WatchedNode<PhoneAddress>;
  /** Its first socket, in the scope of the top. */
  readonly first: number;
  /** The layers that it is in, from the top on to its own. */
  readonly path: readonly LayerPlan[];
  readonly profile: PhoneProfile | SiblingProfile;
}

/** A cable between two of them. */
export interface Wire {
  readonly a: Station;
  readonly b: Station;
  readonly cable: Cable;
  readonly among: 'siblings' | 'parent and child';
  up: boolean;
}

interface RouterPlan {
  readonly children: readonly { readonly layer: LayerPlan; readonly offset: number }[];
}

/** A device alone, or sibling routers. */
export interface LayerPlan {
  readonly routers: readonly RouterPlan[];
  /** The router whose cable leads up. */
  readonly upward: number;
  /** Its scope. */
  readonly bits: number;
  /** The scope of each router alone. */
  readonly part: number;
  /** Where its multicast addresses are, in the part of its first router. */
  readonly groups: PhoneBlock;
}

function planRouter(random: SeededRandom, depth: number): { readonly router: RouterPlan; readonly need: number } {
  const children: { layer: LayerPlan; offset: number }[] = [];
  let cursor = 2 ** SOCKETS;
  for (let count = depth > 0 ? random.below(4) : 0; count > 0; count--) {
    const layer = plan(random, depth - 1);
    const size = 2 ** layer.bits;
    const offset = random.below(2) === 0 ? cursor : Math.ceil(cursor / size) * size;
    children.push({ layer, offset });
    cursor = offset + size;
  }
  return { router: { children }, need: cursor };
}

/** Draws a layer with at most `depth` others below it. */
export function plan(random: SeededRandom, depth: number, count: number = 1 + random.below(4)): LayerPlan {
  const routers = Array.from({ length: depth === 0 ? 1 : count }, () => planRouter(random, depth));
  const groups = { first: routers[0]?.need ?? 0, len: GROUPS };
  const part = Math.ceil(Math.log2(Math.max(groups.first + 2 ** GROUPS, ...routers.map(({ need }) => need))));
  const bits = routers.length === 1 ? part : part + 2;
  return { routers: routers.map(({ router }) => router), upward: random.below(routers.length), bits, part, groups };
}

/** The network of a plan. */
export class Topology {
  readonly net: WatchedNetwork<PhoneAddress>;
  readonly stations: Station[] = [];
  readonly wires: Wire[] = [];
  private readonly random: SeededRandom;
  /** Where layers begin, in the scope of the top. */
  private readonly bases = new Map<LayerPlan, number>();
  /** What devices call their links, by the names of the cables' ends. */
  private readonly linkOptions = new Map<string, PhoneLinkOptions>();

  constructor(seed: number, random: SeededRandom, top: LayerPlan) {
    this.net = new WatchedNetwork(seed);
    this.random = random;
    this.build(top, 0, []);
  }

  /** The address of a socket of a station, in the scope of one of the layers that it is in. */
  addressOf(station: Station, port: number, layer: LayerPlan): PhoneAddress {
    return new PhoneAddress(station.first + port - (this.bases.get(layer) ?? 0), layer.bits);
  }

  /** The multicast address of a layer, in its scope. */
  groupOf(layer: LayerPlan): PhoneAddress {
    return new PhoneAddress(layer.groups.first + 1, layer.bits);
  }

  /** Cuts a wire, or mends it; nobody is told. */
  set(wire: Wire, up: boolean): void {
    wire.up = up;
    if (up) wire.cable.link.heal();
    else wire.cable.link.partition();
  }

  /** All that a station reaches, itself included, by wires that are not cut. */
  reachable(from: Station): Set<Station> {
    const found = new Set([from]);
    for (const at of found) {
      for (const { a, b, up } of this.wires) {
        if (up && a === at) found.add(b);
        if (up && b === at) found.add(a);
      }
    }
    return found;
  }

  private build(layer: LayerPlan, base: number, above: readonly LayerPlan[]): Station[] {
    const path = [...above, layer];
    this.bases.set(layer, base);
    const made = layer.routers.map((_, id) => this.station(layer, id, base, path));
    this.mesh(made);
    for (const [id, { children }] of layer.routers.entries()) {
      for (const { layer: child, offset } of children) {
        const place = id * 2 ** layer.part + offset;
        const below = this.build(child, base + place, path);
        this.join(made[id], below[child.upward], { first: place, len: child.bits }, layer.bits);
      }
    }
    return made;
  }

  private station(layer: LayerPlan, id: number, base: number, path: readonly LayerPlan[]): Station {
    const name = `s${this.stations.length}`;
    const link = (device: Device): PhoneLinkOptions => this.linkOptions.get(device.name) ?? { kind: 'child' };
    const alone = layer.routers.length === 1;
    const options = { bits: layer.part, sockets: SOCKETS, groups: [layer.groups], link };
    const profile = alone ? phoneProfile(options) : siblingProfile({ ...options, id, interval: HELLO_INTERVAL });
    const first = base + id * 2 ** layer.part;
    const station = { name, watched: this.net.add(name, profile), profile, first, path };
    this.stations.push(station);
    return station;
  }

  /** Joins routers with each other: each with one before it, and some more. */
  private mesh(routers: readonly Station[]): void {
    for (const [id, b] of routers.entries()) {
      const needed = id === 0 ? -1 : this.random.below(id);
      for (const [other, a] of routers.slice(0, id).entries()) {
        if (other === needed || this.random.below(2) === 0) this.wire(a, b, 'siblings');
      }
    }
  }

  private join(a: Station | undefined, b: Station | undefined, block: PhoneBlock, bits: number): void {
    if (a === undefined || b === undefined) throw new Error('no such router');
    this.linkOptions.set(`${a.name}-${b.name}`, { kind: 'child', blocks: [block] });
    this.linkOptions.set(`${b.name}-${a.name}`, { kind: 'parent', blocks: [block], bits });
    this.wire(a, b, 'parent and child');
  }

  private wire(a: Station, b: Station, among: Wire['among']): void {
    if (among === 'siblings') {
      for (const name of [`${a.name}-${b.name}`, `${b.name}-${a.name}`])
        this.linkOptions.set(name, { kind: 'sibling' });
    }
    const cable = this.net.connect(a.watched, b.watched, { impair: { delay: 1 } });
    this.wires.push({ a, b, cable, among, up: true });
  }
}
