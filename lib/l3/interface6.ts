/**
 * The IPv6 side of one Ethernet: its addresses are verified to be unique before they are used (RFC 4862 5.4), are made of what routers
 * advertise where that is wanted (RFC 4862 5.5), and what else routers say is brought into the routing table and the neighbour cache
 * (RFC 4861 6.3.4). A gateway advertises instead.
 */

import { Cidr, type Ipv6Address, Ipv6Address as Address } from '../core/address.js';
import type { Env } from '../core/env.js';
import { DuplicateAddressDetection, type DadVerdict } from '../l2/dad.js';
import type { EthernetLink } from '../l2/ethernet-link.js';
import type { NdpEvent } from '../l2/ndp.js';
import { solicitedNode } from '../wire/ipv6.js';
import {
  NeighbourAdvertisement,
  NeighbourSolicitation,
  RouterAdvertisement,
  type RouterAdvertisementFields,
  RouterSolicitation,
} from '../wire/ndp.js';
import type { NdpOption } from '../wire/ndp-options.js';
import type { Ipv6AddressState } from './addresses6.js';
import type { IpTables } from './ip-tables.js';
import type { Multicast } from './multicast.js';
import { RouterAdvertiser, type RouterAdvertiserOptions } from './router-advertiser.js';
import { RouterDiscovery, type RouterEvent } from './router-discovery.js';
import { RouterRoutes } from './router-routes.js';
import { ALL_NODES, ALL_ROUTERS, eui64LinkLocal } from './scope.js';
import { Slaac, type SlaacEvent, type SlaacOptions } from './slaac.js';

const INTERFACE_BITS = 64;

/** Where an address comes from. */
export type AddressOrigin = 'static' | 'dhcp' | 'link-local' | 'stable' | 'temporary';

/** What {@link Interface6} tells. */
export type Interface6Event =
  /** An address may be used from now on; `deprecated` and `preferred` may follow each other until it is `removed`. */
  | {
      readonly kind: 'added' | 'deprecated' | 'preferred' | 'removed';
      readonly address: Ipv6Address;
      readonly origin: AddressOrigin;
    }
  /** Somebody else has the address, and we gave it up; `failed`: and there will be no other in its place. */
  | { readonly kind: 'duplicate' | 'failed'; readonly address: Ipv6Address; readonly origin: AddressOrigin }
  /** Another host answers for an address that we use: one of both is to be changed by hand. */
  | { readonly kind: 'conflict'; readonly address: Ipv6Address; readonly mac: number }
  /** The link returns our own probes, so that nothing can be verified (RFC 7527). */
  | { readonly kind: 'looped'; readonly address: Ipv6Address }
  /** Without a link-local address there is no IPv6 here (RFC 4862 5.4.5): everything was given up. */
  | { readonly kind: 'disabled'; readonly address: Ipv6Address }
  | Exclude<RouterEvent, { readonly kind: 'prefix' }>;

/** How addresses are made of advertised prefixes. */
export type SlaacSettings = Partial<Omit<SlaacOptions, 'eui64' | 'interfaceName'>> & {
  /** Make identifiers of the MAC address instead of the secret (RFC 4291 appendix A). Default false. */
  readonly eui64?: boolean;
};

/** How uniqueness is verified. */
export interface DadSettings {
  /** How often to ask whether somebody has an IPv6 address; 0: not at all. Default 1. */
  readonly transmits?: number;
  /** From one question to the next, and from the last to the verdict, in milliseconds. Default 1,000. */
  readonly retransmitTimer?: number;
  /** Wait up to a second before the first question, since other hosts may come up at the same moment (RFC 4862 5.4.2). Default true. */
  readonly delay?: boolean;
}

/** Options of {@link Interface6}. */
export interface Interface6Options {
  readonly link: EthernetLink;
  readonly tables: IpTables;
  /** Who tells routers of the groups that addresses bring along. */
  readonly multicast?: Multicast | undefined;
  readonly on: (event: Interface6Event) => void;
  /** Make addresses of what routers advertise, and go by them. Default: no. */
  readonly slaac?: SlaacSettings | undefined;
  readonly dad?: DadSettings | undefined;
  /** Be a router, as far as this link is to believe that. Default: no. */
  readonly advertise?: RouterAdvertiserOptions | undefined;
}

/** The IPv6 side of one Ethernet. */
export class Interface6 {
  readonly dad: DuplicateAddressDetection;
  /** What routers said, if they are listened to. */
  readonly discovery: RouterDiscovery | undefined;
  readonly slaac: Slaac | undefined;
  readonly advertiser: RouterAdvertiser | undefined;
  private readonly link: EthernetLink;
  private readonly tables: IpTables;
  private readonly multicast: Multicast | undefined;
  private readonly env: Env;
  private readonly on: (event: Interface6Event) => void;
  private readonly routes: RouterRoutes;
  private readonly delay: boolean;
  private readonly undo: (() => void)[] = [];
  /** Undoes what being a router brought along. */
  private readonly resign: (() => void)[] = [];
  private running = false;
  /** Whether it is a router, where there is one to advertise. */
  private advertising = true;

  /** @throws UsageError `ERR_INVALID_OPTION` */
  constructor(options: Interface6Options, env: Env) {
    const { link, tables, multicast, slaac, dad = {}, advertise } = options;
    this.link = link;
    this.tables = tables;
    this.multicast = multicast;
    this.env = env;
    this.on = options.on;
    this.delay = dad.delay ?? true;
    this.dad = new DuplicateAddressDetection(
      {
        solicit: (target, nonce) => this.probe(target, nonce),
        // The group comes and goes with the address; only the report of it may have to wait.
        join: (group, delay) => multicast?.postpone(link.device, group, delay),
        leave: () => {},
      },
      env,
      dad,
    );
    this.routes = new RouterRoutes(link, tables, env);
    const { device } = link;
    if (slaac !== undefined) {
      const port = { solicit: () => this.solicitRouters(), on: (event: RouterEvent) => this.heard(event) };
      this.discovery = new RouterDiscovery(port, env, device.mtu);
      this.slaac = new Slaac(this.slaacPort(), env, slaacOptions(slaac, dad, link, env));
    }
    if (advertise !== undefined) {
      const port = {
        advertise: (to: Ipv6Address, fields: Partial<RouterAdvertisementFields>, more: readonly NdpOption[]) =>
          this.advertise(to, fields, more),
      };
      this.advertiser = new RouterAdvertiser(port, env, advertise);
    }
  }

  /** Begins: listens, makes a link-local address where addresses are to be made, asks for routers or advertises one. */
  start(): void {
    this.running = true;
    const { ndp, device } = this.link;
    ndp.routerGone = (neighbour) => this.discovery?.routerGone(withZone(neighbour, device.name));
    this.undo.push(
      ndp.observe((event) => this.receive(event)),
      () => (ndp.routerGone = undefined),
      this.dad.observeLoops((address) => this.on({ kind: 'looped', address })),
    );
    this.slaac?.start();
    // Who was told of an address at once may have ended everything.
    if (!this.running) return;
    this.discovery?.start();
    if (this.advertising) this.startAdvertising();
  }

  /** Is a router, where there is one to advertise: from when it runs, unless it ceases to be one before, and again after that. */
  startAdvertising(): void {
    this.advertising = true;
    if (!this.running || this.advertiser === undefined || this.resign.length > 0) return;
    const { ndp, device } = this.link;
    ndp.isRouter = true;
    this.tables.addresses6.join(ALL_ROUTERS);
    this.multicast?.join(device, ALL_ROUTERS);
    this.resign.push(
      this.tables.addresses6.observe(() => this.beRouter()),
      () => this.tables.addresses6.leave(ALL_ROUTERS),
      () => this.multicast?.leave(device, ALL_ROUTERS),
    );
    this.beRouter();
  }

  /**
   * Takes an address into use once it is known that nobody else has it: `done` is told, unless the returned function, which gives the
   * address up, is called before.
   *
   * @param delayed whether to wait up to a second first, since others may begin at the same moment (RFC 4862 5.4.2)
   * @throws UsageError `ERR_INVALID_ADDRESS`
   */
  claim(
    cidr: Cidr<6>,
    origin: AddressOrigin,
    done: (verdict: DadVerdict) => void = () => {},
    delayed = true,
  ): () => void {
    const { address } = cidr;
    return this.verify(cidr, {}, delayed, (verdict) => {
      this.on({ kind: verdict === 'unique' ? 'added' : 'duplicate', address, origin });
      const isFinal = verdict === 'duplicate' && origin !== 'dhcp';
      if (isFinal) this.on({ kind: 'failed', address, origin });
      // RFC 4862 5.4.5: it is made of the MAC address, so that no other one is to be had.
      const isInterface = isFinal && address.isLinkLocal && isSame(address, eui64LinkLocal(this.link.device.mac.value));
      if (isInterface) this.disable(address);
      done(verdict);
    });
  }

  /** Ceases to be a router, and says so (RFC 4861 6.2.5). */
  stopAdvertising(): void {
    this.advertising = false;
    for (const resign of this.resign.splice(0)) resign();
    this.advertiser?.stop();
    this.link.ndp.isRouter = false;
  }

  /** Ends everything without a word: timers are cancelled, what routers said is forgotten. */
  dispose(): void {
    if (!this.running) return;
    this.running = false;
    for (const undo of [...this.resign.splice(0), ...this.undo.splice(0)]) undo();
    this.advertiser?.dispose();
    this.dad.dispose();
    this.slaac?.dispose();
    this.discovery?.dispose();
    this.routes.dispose();
  }

  /** Makes an address tentative, and takes it into use or away when the verdict comes. */
  private verify(
    cidr: Cidr<6>,
    state: Ipv6AddressState,
    delayed: boolean,
    done: (verdict: DadVerdict) => void,
  ): () => void {
    const { device } = this.link;
    const { address } = cidr;
    this.tables.addAddress(device, cidr, { ...state, tentative: true });
    const stop = this.dad.start(
      address,
      (verdict) => {
        if (verdict === 'unique') this.tables.addresses6.update(device, address, { tentative: false });
        else this.tables.removeAddress(device, address);
        done(verdict);
      },
      delayed && this.delay,
    );
    return () => {
      stop();
      this.tables.removeAddress(device, address);
    };
  }

  private slaacPort(): ConstructorParameters<typeof Slaac>[0] {
    const { device } = this.link;
    return {
      detect: (address, done, delayed) => {
        // One that the user gave us is in use already: to us that is as good as another host's.
        if (this.tables.addresses6.find(device, address) === undefined) {
          return this.verify(new Cidr<6>(address, INTERFACE_BITS), { noPrefixRoute: true }, delayed, done);
        }
        const timer = this.env.timers.timer(() => done('duplicate'));
        timer.arm(this.env.timers.now());
        return () => timer.cancel();
      },
      release: (address) => this.tables.removeAddress(device, address),
      on: (event) => this.autoconfigured(event),
    };
  }

  private autoconfigured({ kind, address: { address, kind: origin, state } }: SlaacEvent): void {
    const { addresses6 } = this.tables;
    const { device } = this.link;
    if (kind === 'added') {
      addresses6.update(device, address, { deprecated: state === 'deprecated', temporary: origin === 'temporary' });
    } else if (kind === 'deprecated' || kind === 'preferred') {
      addresses6.update(device, address, { deprecated: kind === 'deprecated' });
    }
    if (this.running || kind !== 'removed') this.on({ kind, address, origin });
    if (kind === 'failed' && origin === 'link-local') this.disable(address);
  }

  private disable(address: Ipv6Address): void {
    const { device } = this.link;
    if (!this.running) return;
    this.dispose();
    for (const { device: owner, cidr } of this.tables.addresses6.list()) {
      if (owner === device) this.tables.removeAddress(device, cidr.address);
    }
    this.on({ kind: 'disabled', address });
  }

  private heard(event: RouterEvent): void {
    if (event.kind === 'prefix') {
      this.slaac?.received(event.prefix);
      return;
    }
    if (event.kind === 'route-added') this.routes.add(event.route);
    else if (event.kind === 'route-removed') this.routes.remove(event.route);
    else if (event.kind === 'parameters') {
      const { mtu, hopLimit, reachableTime: baseReachable, retransmitTimer: retransTimer } = event.parameters;
      this.tables.limitMtu6(this.link.device, mtu);
      if (hopLimit > 0) this.tables.adviseHopLimit6(this.link.device, hopLimit);
      this.link.neighbours.configure6({ baseReachable, retransTimer });
      this.dad.retransmitTimer = retransTimer;
    }
    if (this.running) this.on(event);
  }

  /** Looks at each message of neighbour discovery; returns whether it needs no more handling. */
  private receive({ message, packet, from }: NdpEvent): boolean {
    if (message instanceof NeighbourSolicitation) {
      const { target, nonceOffset, frame } = message;
      const { isUnspecified } = packet.sourceAddress;
      if (!this.dad.isTentative(target)) return false;
      return this.dad.solicited(target, isUnspecified, nonceAt(frame.slab.bytes, nonceOffset));
    }
    if (message instanceof NeighbourAdvertisement) return this.receiveAdvertisement(message, from);
    if (message instanceof RouterAdvertisement) this.receiveRouter(message, packet.sourceAddress);
    else if (message instanceof RouterSolicitation && this.advertiser !== undefined) {
      this.receiveSolicitation(message, packet.sourceAddress);
      return true;
    }
    return false;
  }

  private receiveAdvertisement(message: NeighbourAdvertisement, from: number): boolean {
    const { target, router, targetLinkAddress } = message;
    if (this.dad.advertised(target)) return true;
    const { device, ndp } = this.link;
    if (this.tables.addresses6.deviceHas(device, target)) {
      // Our own advertisements come back where the link returns them.
      const isEcho = from === device.mac.value;
      if (!isEcho) this.on({ kind: 'conflict', address: target, mac: from });
      return isEcho && !ndp.isRouter;
    }
    if (router) this.routes.answered(target, targetLinkAddress);
    return false;
  }

  private receiveRouter(message: RouterAdvertisement, source: Ipv6Address): void {
    if (this.discovery === undefined || this.advertiser !== undefined) return;
    this.discovery.received(withZone(source, this.link.device.name), message, message.options());
  }

  /** RFC 4861 6.2.6: who solicits is a host, and lives where it says. */
  private receiveSolicitation(message: RouterSolicitation, source: Ipv6Address): void {
    const { ndp, neighbours } = this.link;
    if (ndp.learn(source, message.sourceLinkAddress)) neighbours.knowRouter(source, false);
    this.advertiser?.solicited(source);
  }

  private probe(target: Ipv6Address, nonce: Uint8Array): void {
    this.link.ndp.send(Address.ANY, solicitedNode(target), (frame) =>
      NeighbourSolicitation.emit(frame, target, [{ kind: 'nonce', nonce }]),
    );
  }

  private solicitRouters(): void {
    const { ndp, device } = this.link;
    const source = this.tables.addresses6.sourceFor(device, ALL_ROUTERS);
    // RFC 4861 6.1.1: who has no address yet does not say where it lives.
    const options = source === undefined ? [] : [ndp.sourceLinkAddress];
    ndp.send(source ?? Address.ANY, ALL_ROUTERS, (frame) => RouterSolicitation.emit(frame, options));
  }

  /** Advertises as soon as there is a link-local address to do it from. */
  private beRouter(): void {
    if (this.linkLocal() !== undefined) this.advertiser?.start();
  }

  private linkLocal(): Ipv6Address | undefined {
    const source = this.tables.addresses6.sourceFor(this.link.device, ALL_NODES);
    return source?.isLinkLocal === true ? source : undefined;
  }

  private advertise(to: Ipv6Address, fields: Partial<RouterAdvertisementFields>, more: readonly NdpOption[]): void {
    const source = this.linkLocal();
    const { ndp } = this.link;
    if (source === undefined) return;
    ndp.send(source, to, (frame) => RouterAdvertisement.emit(frame, fields, [ndp.sourceLinkAddress, ...more]));
  }
}

function slaacOptions(settings: SlaacSettings, dad: DadSettings, { device }: EthernetLink, env: Env): SlaacOptions {
  const { eui64 = false, secret = Uint32Array.from({ length: 4 }, () => env.random.uint32()), ...rest } = settings;
  const detection = { transmits: dad.transmits ?? 1, retransmitTimer: dad.retransmitTimer ?? 1_000 };
  const mac = eui64 ? { eui64: device.mac.value } : {};
  return { ...detection, ...rest, ...mac, secret, interfaceName: device.name };
}

/** A copy of the nonce of the option at `offset`, if there is one. */
function nonceAt(bytes: Uint8Array, offset: number): Uint8Array | undefined {
  return offset < 0 ? undefined : bytes.slice(offset + 2, offset + (bytes[offset + 1] ?? 0) * 8);
}

function withZone({ a, b, c, d }: Ipv6Address, zone: string): Ipv6Address {
  return new Address(a, b, c, d, zone);
}

function isSame(one: Ipv6Address, other: Ipv6Address): boolean {
  return one.d === other.d && one.c === other.c && one.b === other.b && one.a === other.a;
}
