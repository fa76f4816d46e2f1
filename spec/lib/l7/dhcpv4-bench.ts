/** A DHCPv4 client on a wire of the test's own, in virtual time: what it sends and what it configures is on record. */

import { type Cidr, Ipv4Address, MacAddress } from '../../../lib/core/address.js';
import type { Env } from '../../../lib/core/env.js';
import { SeededRandom } from '../../../lib/core/random.js';
import type { AddressConflict } from '../../../lib/l2/arp-claims.js';
import {
  type AddressClaims,
  type DhcpEvent,
  Dhcpv4Client,
  type Dhcpv4ClientOptions,
} from '../../../lib/l7/dhcpv4-client.js';
import type { InterfaceConfiguration } from '../../../lib/l7/dhcpv4-lease.js';
import type { DhcpPort } from '../../../lib/l7/dhcpv4-port.js';
import { type DhcpMessage, dhcpMessage, DhcpType, parseDhcp } from '../../../lib/wire/dhcpv4.js';
import type { DhcpOptions } from '../../../lib/wire/dhcpv4-options.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';

export const ip = (text: string): Ipv4Address => Ipv4Address.parse(text);
export const MAC: MacAddress = MacAddress.parse('02:00:00:00:00:07');
export const SERVER: Ipv4Address = ip('10.0.0.1');
export const OURS: Ipv4Address = ip('10.0.0.50');

const TYPES: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(DhcpType).map(([name, code]) => [code, name.toLowerCase()]),
);

/** A message that the client sent. */
export interface Said {
  readonly at: number;
  readonly type: string;
  /** `broadcast` from where, or unicast to where. */
  readonly way: string;
  readonly message: DhcpMessage;
}

/** A port that keeps what is sent, and lets tests answer. */
export class FakePort implements DhcpPort {
  readonly mac: MacAddress = MAC;
  received: ((message: DhcpMessage, from: Ipv4Address) => void) | undefined = undefined;
  ended: (() => void) | undefined = undefined;
  readonly said: Said[] = [];
  /** Called with all that is sent. */
  heard: (said: Said) => void = () => undefined;
  address: Ipv4Address | undefined = undefined;
  closed = false;
  private readonly scheduler: SimulationScheduler;

  constructor(scheduler: SimulationScheduler) {
    this.scheduler = scheduler;
  }

  broadcast(bytes: Uint8Array, source: Ipv4Address): void {
    this.note(bytes, `broadcast from ${source.toString()}`);
  }
  sendTo(bytes: Uint8Array, destination: Ipv4Address, mac: MacAddress): void {
    this.note(bytes, `to ${destination.toString()} at ${mac.toString()}`);
  }
  send(bytes: Uint8Array, destination: Ipv4Address, port?: number): void {
    this.note(bytes, `to ${destination.toString()}${port === undefined ? '' : ` port ${port}`}`);
  }
  setAddress(address: Ipv4Address | undefined): void {
    this.address = address;
  }
  close(): void {
    this.closed = true;
  }

  private note(bytes: Uint8Array, way: string): void {
    const message = parseDhcp(bytes);
    const said = { at: this.scheduler.now(), type: TYPES[message.options.messageType ?? 0] ?? '', way, message };
    this.said.push(said);
    this.heard(said);
  }
}

/** Claims whose outcome the test decides. */
export class FakeClaims implements AddressClaims {
  free = true;
  readonly told: string[] = [];
  private readonly listeners = new Set<(conflict: AddressConflict) => void>();
  private readonly env: Env;

  constructor(env: Env) {
    this.env = env;
  }

  probe(address: number, done: (free: boolean) => void): () => void {
    this.told.push(`probe ${new Ipv4Address(address).toString()}`);
    const timer = this.env.timers.timer(() => done(this.free));
    timer.arm(this.env.timers.now() + 5000);
    return () => timer.cancel();
  }
  announce(address: number): void {
    this.told.push(`announce ${new Ipv4Address(address).toString()}`);
  }
  release(address: number): void {
    this.told.push(`release ${new Ipv4Address(address).toString()}`);
  }
  observe(listener: (conflict: AddressConflict) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }
  conflict(address: Ipv4Address, kind: AddressConflict['kind']): void {
    for (const listener of this.listeners) listener({ address: address.value, mac: 1, kind });
  }
  get observers(): number {
    return this.listeners.size;
  }
}

/** An interface that writes down what it is told. */
export class FakeInterface implements InterfaceConfiguration {
  readonly told: string[] = [];
  addAddress(address: Cidr<4>): void {
    this.told.push(`+${address.toString()}`);
  }
  removeAddress(address: Ipv4Address): void {
    this.told.push(`-${address.toString()}`);
  }
  addRoute({ destination, gateway }: Parameters<InterfaceConfiguration['addRoute']>[0]): void {
    this.told.push(`+${destination.toString()} by ${gateway.toString()}`);
  }
  removeRoute({ destination, gateway }: Parameters<InterfaceConfiguration['addRoute']>[0]): void {
    this.told.push(`-${destination.toString()} by ${gateway.toString()}`);
  }
  setMtu(mtu: number | undefined): void {
    this.told.push(`mtu ${mtu}`);
  }
  setDns(servers: readonly Ipv4Address[], search: readonly string[]): void {
    this.told.push(`dns ${servers.join(' ')}${search.length === 0 ? '' : ` search ${search.join(' ')}`}`);
  }
}

/** See the module. */
export class ClientBench {
  readonly scheduler: SimulationScheduler = new SimulationScheduler();
  readonly env: Env;
  readonly port: FakePort;
  readonly claims: FakeClaims;
  readonly interface: FakeInterface = new FakeInterface();
  readonly events: string[] = [];
  readonly client: Dhcpv4Client;
  /** Called after each event. */
  changed: (event: DhcpEvent) => void = () => undefined;

  constructor(options: Partial<Dhcpv4ClientOptions> = {}, seed = 1) {
    this.env = environment({ scheduler: this.scheduler, random: new SeededRandom(seed) });
    this.port = new FakePort(this.scheduler);
    this.claims = new FakeClaims(this.env);
    this.client = new Dhcpv4Client(
      {
        port: this.port,
        configuration: this.interface,
        claims: this.claims,
        changed: (lease, event) => {
          this.events.push(`${event}${lease === undefined ? '' : ` ${lease.address.toString()}`}`);
          this.changed(event);
        },
        ...options,
      },
      this.env,
    );
  }

  /** Types of what was said since the last call. */
  types(): string[] {
    return this.port.said.splice(0).map(({ type }) => type);
  }

  /** What was said since the last call; holds that it was one message of this type. */
  one(type: string): Said {
    const said = this.port.said.splice(0);
    const [first] = said;
    if (first?.type === type && said.length === 1) return first;
    throw new Error(`not one ${type}, but ${said.map((one) => one.type).join(', ') || 'nothing'}`);
  }

  answer(to: Said, type: number, options: DhcpOptions = {}, fields: Partial<DhcpMessage> = {}): void {
    const { xid, mac } = to.message;
    const all = { messageType: type, serverId: SERVER, ...options };
    this.port.received?.(dhcpMessage({ request: false, xid, mac, ...fields, options: all }), SERVER);
  }

  offer(to: Said, options: DhcpOptions = {}): void {
    this.answer(to, DhcpType.Offer, { leaseTime: 3600, ...options }, { yiaddr: OURS });
  }

  ack(to: Said, options: DhcpOptions = {}): void {
    const all = { leaseTime: 3600, subnetMask: ip('255.255.255.0'), ...options };
    this.answer(to, DhcpType.Ack, all, { yiaddr: OURS });
  }

  nak(to: Said): void {
    this.answer(to, DhcpType.Nak);
  }

  /** Goes through all of it until the lease is there. */
  bind(options: DhcpOptions = {}): void {
    this.client.start();
    this.scheduler.runFor(1000);
    this.offer(this.one('discover'));
    this.ack(this.one('request'), options);
    this.scheduler.runFor(5000);
  }
}
