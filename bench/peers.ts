/** Who is compared on the wire, and how each of them is made. */

import { type ChildProcess, execFileSync } from 'node:child_process';
import { LatencyRequest } from '../drivers/native/wake-latency.js';
import type { IpVersion } from '../lib/core/address.js';
import type { ForwarderOptions } from './forward-plan.js';
import type { Namespace } from './namespace.js';
import { PORTS } from './ports.js';
import { node, type Program, said, type Workshop } from './programs.js';
import type { ServiceOptions } from './service.js';

/** What is compared. Its network is 10.78.N.0/24, and fd78:N::/64 for ours; the load is at 1, the peer at 2. */
export interface Peer {
  readonly name: string;
  /** Names of those that it is compared with; ours only. */
  readonly against: readonly string[];
  /** The version of IP that the load speaks. Default 4. */
  readonly version?: IpVersion;
  /** Whether its code is compiled while it runs. */
  readonly compiles?: boolean;
  /**
   * Whether no processor of the machine sleeps while it is measured, and who asks the kernel for that. The kernel may keep them awake for a while after it, so that
   * such are measured when all others have been.
   */
  readonly awake?: 'peer' | 'benchmark';
  readonly make: Make;
}

/** Sets a peer up and starts it; `undefined` with what is missing if it cannot be here. */
type Make = (place: Place) => ChildProcess | { readonly missing: string };

/** Where a peer is made. */
export interface Place {
  readonly client: Namespace;
  readonly workshop: Workshop;
  /** N of its network. */
  readonly net: number;
  /** A namespace of its own. */
  readonly server: (label: string) => Namespace;
}

const KERNEL = 'kernel, veth, offloads';
const KERNEL_PLAIN = 'kernel, veth, no offload';
const RESPONDER = 'bare C responder, TAP, offloads';
const RESPONDER_PLAIN = 'bare C responder, TAP, no offload';
const LWIP = 'lwIP, TAP, no offload';
const GVISOR = 'gVisor, TAP, offloads';
const GVISOR_PLAIN = 'gVisor, TAP, no offload';

const OFFLOADS = [KERNEL, LWIP, GVISOR, RESPONDER];
const PLAIN = [KERNEL_PLAIN, LWIP, GVISOR_PLAIN, RESPONDER_PLAIN];

const AWAKE = [KERNEL, LWIP];
/** What those are called that are measured once more, with processors that do not sleep. */
const awakened = (name: string): string => `${name}, awake`;
const AWAKENED = AWAKE.map(awakened);

/** Names of interfaces on the load's side. */
const interfaceOf = (net: number): string => `tap${net}`;

/** The address of a peer. */
export function addressOf(net: number, version: IpVersion = 4): string {
  return version === 4 ? `10.78.${net}.2` : `fd78:${net}::2`;
}

/** A program on a TAP that is there before it. */
function onTap(client: Namespace, net: number, program: Program, args: readonly string[]): ChildProcess {
  const name = interfaceOf(net);
  client.ip('tuntap', 'add', 'dev', name, 'mode', 'tap');
  client.ip('addr', 'add', `10.78.${net}.1/24`, 'dev', name);
  client.ip('link', 'set', name, 'up');
  return client.start(program.command, [...program.args, name, ...args]);
}

const NO_OFFLOADS = ['tx', 'off', 'rx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'off'];

function withoutOffloads(namespace: Namespace, device: string): void {
  execFileSync('ip', ['netns', 'exec', namespace.name, 'ethtool', '-K', device, ...NO_OFFLOADS], { stdio: 'pipe' });
}

/** The kernel in another namespace. */
function kernel(offloads: boolean): Make {
  return ({ client, workshop, net, server }) => {
    const other = server(offloads ? 'offload' : 'plain');
    const [near, far] = [`near${net}`, `far${net}`];
    client.ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', other.name);
    client.ip('addr', 'add', `10.78.${net}.1/24`, 'dev', near);
    other.ip('addr', 'add', `10.78.${net}.2/24`, 'dev', far);
    client.ip('link', 'set', near, 'up');
    other.ip('link', 'set', far, 'up');
    if (!offloads) {
      withoutOffloads(client, near);
      withoutOffloads(other, far);
    }
    const options: ServiceOptions = { api: 'kernel' };
    const { command, args } = workshop.c('kernel') ?? withOptions(node('service.ts'), options);
    return other.start(command, args);
  };
}

function responder(mode: 'plain' | 'vnet'): Make {
  return ({ client, workshop, net }) => {
    const program = workshop.c('responder');
    return program === undefined ? { missing: 'gcc' } : onTap(client, net, program, [mode]);
  };
}

const lwip: Make = ({ client, workshop, net }) => {
  const program = workshop.lwip();
  if (program === undefined) return { missing: 'gcc, or pkg-config and liblwip-dev' };
  return onTap(client, net, program, [addressOf(net)]);
};

function gvisor(mode: 'plain' | 'vnet'): Make {
  return ({ client, workshop, net }) => {
    const program = workshop.gvisor();
    if (program === undefined) return { missing: 'golang-go or golang-gvisor-gvisor-dev' };
    return onTap(client, net, program, [addressOf(net), mode, ...Object.values(PORTS).map(String)]);
  };
}

/** Adds what a service is to be told. */
export function withOptions({ command, args }: Program, options: ServiceOptions | ForwarderOptions): Program {
  return { command, args: [...args, JSON.stringify(options)] };
}

/** Options of a stack of ours. */
export function ours(net: number, options: Partial<ServiceOptions>): ServiceOptions {
  const tap = { name: interfaceOf(net), peer: [`10.78.${net}.1/24`, `fd78:${net}::1/64`], ...options.tap };
  return { api: 'handlers', addresses: [`10.78.${net}.2/24`, `fd78:${net}::2/64`], ...options, tap };
}

/** This stack. */
function stack(
  name: string,
  options: Partial<ServiceOptions>,
  against: readonly string[],
  version: IpVersion = 4,
): OwnPeer {
  const make: Make = ({ client, workshop, net }) => {
    const { command, args } = withOptions(workshop.stack('service'), ours(net, options));
    return client.start(command, args);
  };
  return { name, against, make, options, version, compiles: true };
}

function mayAsk(): boolean {
  try {
    new LatencyRequest().close();
    return true;
  } catch {
    return false;
  }
}

const NO_LATENCY = { missing: 'a kernel that is told by root how soon processors are to wake up' } as const;

/** A peer with processors that do not sleep, for which it asks, or the benchmark. */
function awake<P extends Peer>(peer: P, by: 'peer' | 'benchmark'): P {
  const make: Make = (place) => (mayAsk() ? peer.make(place) : NO_LATENCY);
  return { ...peer, name: awakened(peer.name), awake: by, make };
}

/** This stack, when it asks for processors that do not sleep. */
function alert(name: string, tap: ServiceOptions['tap'] = {}): OwnPeer {
  return awake(stack(name, { tap: { ...tap, wakeLatency: 0 } }, [...AWAKE, ...AWAKENED]), 'peer');
}

/** A peer that is this stack. */
export interface OwnPeer extends Peer {
  readonly options: Partial<ServiceOptions>;
}

/** Microseconds. */
const BUSY_POLL = 50;
const NO_OFFLOAD: Partial<ServiceOptions> = { tap: { offload: false } };
/** With the kernel receiving bulk, too, where it is written. */
const UNSTEERED: Partial<ServiceOptions> = { tap: { offload: false, receiveProcessors: 'none' } };

/** Our own. */
export const OWN: readonly OwnPeer[] = [
  stack('rx-netstack, offloads', {}, OFFLOADS),
  stack('rx-netstack, offloads, busy polling', { tap: { busyPoll: BUSY_POLL } }, OFFLOADS),
  stack('rx-netstack, offloads, Node sockets', { api: 'sockets' }, OFFLOADS),
  stack('rx-netstack, no offload', NO_OFFLOAD, PLAIN),
  stack('rx-netstack, no offload, unsteered', UNSTEERED, PLAIN),
  stack('rx-netstack, no offload, Node sockets', { ...NO_OFFLOAD, api: 'sockets' }, PLAIN),
  stack('rx-netstack, no offload, IPv6', NO_OFFLOAD, ['rx-netstack, no offload'], 6),
  alert('rx-netstack, offloads'),
  alert('rx-netstack, offloads, busy polling', { busyPoll: BUSY_POLL }),
];

const OTHERS: readonly Peer[] = [
  { name: KERNEL, against: [], make: kernel(true) },
  { name: KERNEL_PLAIN, against: [], make: kernel(false) },
  { name: RESPONDER_PLAIN, against: [], make: responder('plain') },
  { name: RESPONDER, against: [], make: responder('vnet') },
  { name: LWIP, against: [], make: lwip },
  { name: GVISOR_PLAIN, against: [], make: gvisor('plain') },
  { name: GVISOR, against: [], make: gvisor('vnet') },
];

/** Everybody, in the order of the table. */
export const PEERS: readonly Peer[] = [
  ...OWN,
  ...OTHERS,
  ...OTHERS.filter(({ name }) => AWAKE.includes(name)).map((peer) => awake(peer, 'benchmark')),
];

/** Versions of what others are made with, as far as it is here, and what the kernel's TCP uses. */
export function versions(): Readonly<Record<string, string>> {
  const packaged = (name: string) => said('dpkg-query', ['-W', '-f', '${Version}', name]);
  const all = {
    gcc: said('gcc', ['-dumpfullversion']),
    lwip: packaged('liblwip-dev'),
    go: said('go', ['env', 'GOVERSION']),
    gvisor: packaged('golang-gvisor-gvisor-dev'),
    congestion: said('sysctl', ['-n', 'net.ipv4.tcp_congestion_control']),
  };
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined));
}
