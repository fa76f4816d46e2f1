/**
 * What the configuration of a router may say. This one schema checks it, gives it its type, and is the JSON Schema that editors are told of.
 *
 * What it can say of a single value is said here; what needs several of them (a device that is not there, a rule that does not parse) is in
 * `check`.
 */

import { z } from 'zod';
import { MOST_PROCESSORS, PROCESSOR_SETS } from '../../drivers/native/receive-steering.js';
import { IO_KINDS } from '../../drivers/native/tun-io.js';
import type { RouterConfiguration } from './configuration.js';
import {
  address,
  domainName,
  interfaceAddress,
  ipv4Address,
  ipv6Address,
  loopbackPlace,
  mac,
  name,
  prefix,
  readable,
  whole,
} from './text-types.js';

/** In seconds. */
const LEAST_LIFETIME = 4;
const MARK = 0xffff_ffff;
const PORTS = /^\d{1,5}(-\d{1,5})?$/;
const ports = readable('a port or a range of ports, e.g. 8000-8099', (text) => {
  if (!PORTS.test(text)) throw new RangeError(text);
  return text;
});
const portsOrOne = z.union([whole('a port', 1, 65_535), ports], { error: 'expected a port or a range of ports' });
const seconds = whole('a time in seconds', 1, 0xffff_fffe);
const mark = whole('a mark', 0, MARK);
const table = z.union([whole('the number of a table', 1, MARK), name], {
  error: 'expected the number or name of a table',
});

const vlan = z.strictObject({
  parent: name.meta({ description: 'The device that carries the tagged frames.' }),
  id: whole('a VLAN number', 1, 4094),
  priority: whole('a priority', 0, 7).exactOptional(),
  protocol: z.enum(['802.1Q', '802.1ad']).exactOptional(),
});

const bridge = z.strictObject({
  ports: z.array(name).min(1).meta({ description: 'Devices that are its ports.' }),
  ageing: seconds.exactOptional(),
});

const vxlan = z.strictObject({
  id: whole('a VXLAN network identifier', 1, 0xff_ffff),
  local: address.meta({ description: 'Our tunnel endpoint, an address of the router.' }),
  peers: z
    .array(address)
    .exactOptional()
    .meta({ description: 'Where frames to everybody, and to stations that are not known, go.' }),
  port: whole('a UDP port', 1, 65_535).exactOptional(),
});

const dhcp = z.strictObject({
  first: address,
  last: address,
  lease: seconds.exactOptional(),
  routers: z.array(ipv4Address).exactOptional().meta({ description: 'Default: our address on the network.' }),
  dns: z.array(ipv4Address).exactOptional(),
  domain: z.string().min(1).max(253).exactOptional(),
  reservations: z.record(z.string(), address).exactOptional().meta({ description: 'Addresses by MAC address.' }),
});

/** RFC 4861 6.2.1: no router is known for less time than there may be between two advertisements, which is 4 seconds at least. */
const lifetime = z.union([z.literal(0), whole('0, or a router lifetime in seconds', LEAST_LIFETIME, 9000)], {
  error: 'expected 0, or a router lifetime in seconds',
});

const advertise = z.union(
  [
    z.boolean(),
    z.strictObject({
      dns: z.array(ipv6Address).exactOptional().meta({ description: 'Name servers to tell hosts of (RFC 8106).' }),
      search: z.array(domainName).exactOptional(),
      lifetime: lifetime.exactOptional(),
    }),
  ],
  { error: 'expected true, false, or what to advertise' },
);

const device = z.strictObject({
  kind: z
    .enum(['tap', 'tun', 'vlan', 'bridge', 'vxlan'])
    .exactOptional()
    .meta({ description: 'What it is; by default a TAP, or what one of vlan, bridge and vxlan says.' }),
  vlan: vlan.exactOptional(),
  bridge: bridge.exactOptional(),
  vxlan: vxlan.exactOptional(),
  addresses: z.array(interfaceAddress).exactOptional(),
  peer: z
    .array(interfaceAddress)
    .exactOptional()
    .meta({ description: 'Addresses for the kernel on the other end of a TAP or TUN.' }),
  mac: mac.exactOptional(),
  mtu: whole('an MTU', 576, 65_521).exactOptional(),
  offload: z.boolean().exactOptional(),
  io: z.enum(IO_KINDS).exactOptional(),
  busyPoll: whole('microseconds', 0, 1_000_000).exactOptional(),
  wakeLatency: whole('microseconds', 0, 1_000_000).exactOptional().meta({
    description:
      'How long a processor that sleeps may take to wake up while a few packets at a time come by a TAP or TUN.',
  }),
  receiveProcessors: z
    .union([z.enum(PROCESSOR_SETS), z.array(whole('the number of a processor', 0, MOST_PROCESSORS - 1))], {
      error: 'expected none, all, readers, adaptive or a list of processors',
    })
    .exactOptional()
    .meta({ description: 'On which processors the kernel takes in what is sent by a TAP or TUN.' }),
  forwarding: z
    .boolean()
    .exactOptional()
    .meta({ description: 'Take what comes in by it further, and be a router to the neighbours there. Default true.' }),
  redirects: z.boolean().exactOptional(),
  clampMss: z
    .union([z.boolean(), whole('the size of a packet', 576, 65_535)], {
      error: 'expected true, false or a size in bytes',
    })
    .exactOptional(),
  reversePath: z.enum(['strict', 'loose']).exactOptional(),
  proxy: z
    .union([z.boolean(), z.array(prefix)], { error: 'expected true, false or a list of prefixes' })
    .exactOptional()
    .meta({ description: 'Answer for hosts behind us: all of them, or those in these networks.' }),
  dhcp: dhcp.exactOptional(),
  advertise: advertise.exactOptional(),
});

const nextHop = {
  via: address.exactOptional().meta({ description: 'The gateway; without one the destination is on the link.' }),
  device: name.exactOptional(),
  weight: whole('a weight', 1, 256).exactOptional(),
};

const route = z.strictObject({
  to: z.union([z.literal('default'), prefix], { error: 'expected a prefix, or default' }),
  ...nextHop,
  type: z.enum(['unicast', 'blackhole', 'unreachable', 'prohibit']).exactOptional(),
  through: z
    .array(z.strictObject(nextHop))
    .min(2)
    .exactOptional()
    .meta({ description: 'Several ways that share the flows.' }),
  metric: whole('a metric', 0, MARK).exactOptional(),
  mtu: whole('an MTU', 576, 65_535).exactOptional(),
  table: table.exactOptional(),
});

const policy = z.strictObject({
  priority: whole('a priority', 0, MARK),
  from: prefix.exactOptional(),
  to: prefix.exactOptional(),
  device: name.exactOptional(),
  mark: mark.exactOptional(),
  mask: mark.exactOptional(),
  dscp: whole('a DSCP', 0, 63).exactOptional(),
  origin: z.enum(['local', 'forwarded']).exactOptional(),
  invert: z.boolean().exactOptional(),
  table: table.exactOptional(),
  action: z.enum(['blackhole', 'unreachable', 'prohibit']).exactOptional(),
  suppressPrefixLength: whole('a prefix length', 0, 128).exactOptional(),
});

const firewall = z.string({ error: 'expected the text of rules' }).min(1).meta({
  description: 'Rules in the manner of nftables; the hooks of their base chains say where packets meet them.',
});

const source = {
  from: z.array(prefix).exactOptional().meta({ description: 'Internal prefixes. Default: all.' }),
  filter: z.enum(['endpoint-independent', 'address-dependent', 'address-and-port-dependent']).exactOptional(),
  ports: ports.exactOptional(),
  preservePorts: z.boolean().exactOptional(),
};

const nat = z.strictObject({
  masquerade: z
    .array(z.strictObject({ out: name, version: z.literal([4, 6]).exactOptional(), ...source }))
    .exactOptional()
    .meta({ description: 'Sources become the address of the device that packets leave by.' }),
  source: z
    .array(z.strictObject({ out: name.exactOptional(), to: z.array(z.string().min(1)).min(1), ...source }))
    .exactOptional()
    .meta({ description: 'Sources become addresses of a pool.' }),
  forward: z
    .array(
      z.strictObject({
        protocol: z.union([z.enum(['tcp', 'udp']), z.array(z.enum(['tcp', 'udp'])).min(1)], {
          error: 'expected tcp, udp or both in a list',
        }),
        address: address.exactOptional(),
        on: name.exactOptional(),
        ports: portsOrOne,
        to: address,
        toPort: whole('a port', 1, 65_535).exactOptional(),
      }),
    )
    .exactOptional()
    .meta({ description: 'Ports of an external address become those of an internal host.' }),
  static: z
    .array(z.strictObject({ internal: prefix, external: prefix, out: name.exactOptional() }))
    .exactOptional()
    .meta({ description: 'Addresses one to one, without state.' }),
  capacity: whole('how many sessions', 1, 4_194_304).exactOptional(),
  perHost: whole('how many sessions of one host', 1, 4_194_304).exactOptional(),
});

const conntrack = z.strictObject({
  capacity: whole('how many flows', 1, 4_194_304).exactOptional(),
  midStream: z.enum(['track', 'untracked', 'invalid']).exactOptional(),
  invalid: z.enum(['pass', 'drop']).exactOptional(),
});

/** The whole of it. */
export const CONFIGURATION: z.ZodType<RouterConfiguration> = z.strictObject({
  $schema: z.string().exactOptional(),
  devices: z
    .record(name, device)
    .refine((all) => Object.keys(all).length > 0, { error: 'expected at least one device' })
    .meta({ description: 'Devices by name.' }),
  routes: z.array(route).exactOptional(),
  policy: z.array(policy).exactOptional().meta({ description: 'Rules that choose between routing tables.' }),
  firewall: firewall.exactOptional(),
  conntrack: conntrack.exactOptional(),
  nat: nat.exactOptional(),
  hopLimit: whole('a hop limit', 1, 255).exactOptional(),
  control: z
    .string()
    .min(1)
    .max(107)
    .exactOptional()
    .meta({ description: 'Path of the Unix socket that `show` asks.' }),
  metrics: loopbackPlace
    .exactOptional()
    .meta({ description: 'Where metrics are served over HTTP, e.g. 127.0.0.1:9090.' }),
});

/** The JSON Schema (2020-12) of a configuration. */
export function jsonSchema(): object {
  const { $schema, ...rest } = z.toJSONSchema(CONFIGURATION, { io: 'input' });
  return { $schema, title: 'Configuration of rx-netstack router', ...rest };
}
