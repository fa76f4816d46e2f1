/**
 * The options that make a host of ours on a TAP interface: the same for every command that is one (`host`, `ping`, `traceroute`, `iperf3`,
 * `resolve`), with what is wrong about them said in one line.
 */

import { type Cidr, type IpAddress, ipOf, type MacAddress } from '../lib/core/address.js';
import { PROCESSOR_SETS, type Processors, processorsIn } from '../drivers/native/receive-steering.js';
import { IO_KINDS, type IoKind } from '../drivers/native/tun-io.js';
import type { Endpoint } from '../lib/l4/tcp/api.js';
import {
  address,
  ArgumentError,
  type Flag,
  flag,
  mac,
  type Many,
  many,
  prefix,
  text,
  type Value,
  type Values,
  whole,
} from './args.js';
import { tooNarrowForIpv6, whyNoAddress } from './interface-address.js';

const DNS_PORT = 53;
const DEFAULT_MTU = 1500;

/** What the table of options has. */
export interface HostOptionTable {
  readonly tap: Value<string>;
  readonly address: Many<Cidr>;
  readonly peer: Many<Cidr>;
  readonly gateway: Many<IpAddress>;
  readonly dhcp: Flag;
  readonly slaac: Flag;
  readonly 'no-dad': Flag;
  readonly dns: Many<Endpoint>;
  readonly search: Many<string>;
  readonly mac: Value<MacAddress>;
  readonly mtu: Value<number>;
  readonly 'no-offload': Flag;
  readonly io: Value<IoKind>;
  readonly 'busy-poll': Value<number>;
  readonly 'wake-latency': Value<number>;
  readonly 'receive-processors': Value<Processors>;
  readonly pcap: Value<string>;
}

/** The table of options. */
export const HOST_OPTIONS: HostOptionTable = {
  tap: text('NAME', 'The TAP interface: opened if it is there, else made, and removed at the end.'),
  address: many(prefix('ADDRESS/LENGTH', 'Our address and its network, IPv4 or IPv6; may be repeated.')),
  peer: many(prefix('ADDRESS/LENGTH', "An address for the kernel's side; may be repeated.")),
  gateway: many(address('IP', 'The router to everywhere else; one for each version.')),
  dhcp: flag(
    'Get an IPv4 address, router and name servers by DHCP; with --slaac by DHCPv6, too, where routers say so.',
  ),
  slaac: flag('Make IPv6 addresses of what routers advertise; take routes and name servers from there.'),
  'no-dad': flag('Use given addresses at once, without asking first whether other hosts have them.'),
  dns: many(nameServer('SERVER', 'A DNS server: IP, IPv4:PORT or [IPv6]:PORT; may be repeated.')),
  search: many(text('DOMAIN', 'A domain to complete names with; may be repeated.')),
  mac: mac('MAC', 'Our MAC address; otherwise one is drawn.'),
  mtu: whole('N', 'Largest IP packet in bytes, on both sides; 1500 otherwise.', 576, 65_521),
  'no-offload': flag('Do not leave checksums and segmentation to the kernel, and take no super-segments from it.'),
  io: ioKind('WAY', `How frames are read and written: ${IO_KINDS.join(', ')}; auto otherwise.`),
  'busy-poll': whole(
    'US',
    'After traffic look on for so many microseconds before going to sleep; 0 otherwise.',
    0,
    1_000_000,
  ),
  'wake-latency': whole(
    'US',
    'While packets come a few at a time no processor may take longer to wake up, in microseconds; 0: none sleeps.',
    0,
    1_000_000,
  ),
  'receive-processors': processors(
    'LIST',
    'Processors on which the kernel takes in what we send: such as 0-2,5 (RPS), all, readers (RFS), adaptive, none. Otherwise adaptive with --no-offload, on an interface that is made for this.',
  ),
  pcap: text('FILE', 'Write all packets, both directions, to a pcapng file.'),
};

/** The part of a usage line that these options are. */
export const HOST_USAGE: string =
  `--tap NAME [--address ADDRESS/LENGTH]... [--dhcp] [--slaac] [--no-dad] [--peer ADDRESS/LENGTH]... [--gateway IP]... [--dns SERVER]...
    [--search DOMAIN]... [--mac MAC] [--mtu N] [--no-offload]
    [--io ${IO_KINDS.join('|')}] [--busy-poll US] [--wake-latency US] [--receive-processors LIST] [--pcap FILE]`.replace(
    /\n\s+/g,
    ' ',
  );

/** A short form of it, for the commands that are used from the same place again and again. */
export const PLACE = '--tap tap0 --address 10.77.0.2/24 --peer 10.77.0.1/24';

/** The values of the table's options. */
export type HostValues = Values<{ readonly [K in keyof HostOptionTable]: HostOptionTable[K] }>;

/** What the options say, once they make sense together. */
export interface HostSetting {
  readonly tap: string;
  readonly addresses: readonly Cidr[];
  readonly gateways: readonly IpAddress[];
  readonly values: HostValues;
}

/**
 * Holds that the options make a host.
 *
 * @throws ArgumentError
 */
export function hostSetting(values: HostValues): HostSetting {
  const { tap, address: addresses, gateway: gateways } = values;
  if (tap === undefined) throw new ArgumentError('name an interface with --tap');
  if (addresses.length === 0 && !values.dhcp && !values.slaac)
    throw new ArgumentError('give our address with --address, or have one found with --dhcp or --slaac');
  const { mtu = DEFAULT_MTU, slaac } = values;
  for (const one of addresses) {
    const why = whyNoAddress(one, mtu);
    if (why !== undefined) throw new ArgumentError(`--address ${one.toString()}: ${why}`);
  }
  const narrow = slaac ? tooNarrowForIpv6(mtu) : undefined;
  if (narrow !== undefined) throw new ArgumentError(`--slaac: ${narrow}`);
  const twice = addresses.find((one, at) => addresses.findIndex((other) => other.address.equals(one.address)) < at);
  if (twice !== undefined) throw new ArgumentError(`--address ${twice.toString()} is there twice`);
  for (const [at, gateway] of gateways.entries()) {
    if (gateways.slice(0, at).some(({ version }) => version === gateway.version))
      throw new ArgumentError(`there are two gateways for IPv${gateway.version}`);
    checkGateway(gateway, addresses, gateway.version === 4 ? values.dhcp : slaac);
  }
  return { tap, addresses, gateways, values };
}

/** Routers have link-local addresses more often than not, which every interface with IPv6 can reach. */
function checkGateway(gateway: IpAddress, addresses: readonly Cidr[], automatic: boolean): void {
  const own = addresses.filter(({ version }) => version === gateway.version);
  if (
    own.some((one) => one.contains(gateway)) ||
    (gateway.version === 6 && gateway.isLinkLocal && (automatic || own.length > 0))
  )
    return;
  const where =
    own.length === 0 ? `: we have no IPv${gateway.version} address` : ` in the network of ${own.join(', ')}`;
  throw new ArgumentError(`--gateway ${gateway.toString()} is not${own.length === 0 ? ' in reach' : ''}${where}`);
}

function ioKind(placeholder: string, help: string): Value<IoKind> {
  const read = (written: string): IoKind => {
    const kind = IO_KINDS.find((one) => one === written);
    if (kind === undefined) throw new ArgumentError(`there is no way of input and output called ${written}`);
    return kind;
  };
  return { help, placeholder, read };
}

function processors(placeholder: string, help: string): Value<Processors> {
  const read = (written: string): Processors => {
    const named = PROCESSOR_SETS.find((one) => one === written);
    if (named !== undefined) return named;
    if (!/^\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*$/.test(written))
      throw new ArgumentError(`${written} is no list of processors`);
    return processorsIn(written);
  };
  return { help, placeholder, read };
}

function nameServer(placeholder: string, help: string): Value<Endpoint> {
  const read = (written: string): Endpoint => {
    const match = /^\[([^\]]+)\]:(\d{1,5})$|^([\d.]+):(\d{1,5})$/.exec(written);
    const port = Number(match?.[2] ?? match?.[4] ?? DNS_PORT);
    if (port < 1 || port > 0xffff) throw new ArgumentError(`there is no port ${port}`);
    return { address: ipOf(match?.[1] ?? match?.[3] ?? written), port };
  };
  return { help, placeholder, read };
}
