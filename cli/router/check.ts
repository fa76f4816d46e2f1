/** What is wrong with a configuration whose values are right one by one, but do not go together. */

import type { Cidr, IpAddress } from '../../lib/core/address.js';
import { UsageError } from '../../lib/core/errors.js';
import { RoutingTables } from '../../lib/l3/routing-tables.js';
import { RuleError } from '../../lib/filter/rule-error.js';
import { environment } from '../../operators/time/environment.js';
import type {
  DeviceConfiguration,
  NextHopConfiguration,
  PolicyConfiguration,
  RouteConfiguration,
  RouterConfiguration,
} from './configuration.js';
import { tooNarrowForIpv6, whyNoAddress } from '../interface-address.js';
import { NetworkFunctions } from './network-functions.js';
import type { Path, Problem } from './problem.js';

/** What only devices that are the kernel's have. */
const NATIVE = ['peer', 'offload', 'io', 'busyPoll', 'wakeLatency', 'receiveProcessors'] as const;
/** What only Ethernet devices have. */
const ETHERNET = ['dhcp', 'advertise', 'proxy', 'mac'] as const;
const VIRTUAL = ['vlan', 'bridge', 'vxlan'] as const;
/** Tables that there are in any case. */
const TABLES: readonly (string | number)[] = ['main', 'default', 254, 253];

/** In bytes. */
const DEFAULT_MTU = 1500;

type Kind = NonNullable<DeviceConfiguration['kind']>;

/** What a device is: what it says, or what it has. */
export function kindOf(device: DeviceConfiguration): Kind {
  return device.kind ?? VIRTUAL.find((kind) => device[kind] !== undefined) ?? 'tap';
}

/** The devices, each behind those that it stands on. Those that stand on themselves are left out. */
export function inOrder(devices: RouterConfiguration['devices']): readonly string[] {
  const ordered: string[] = [];
  let left = Object.keys(devices);
  for (;;) {
    const ready = left.filter((name) => basis(devices[name]).every((one) => ordered.includes(one)));
    if (ready.length === 0) return ordered;
    ordered.push(...ready);
    left = left.filter((name) => !ready.includes(name));
  }
}

/** The network that a device leases addresses of, with our address. */
export function leaseNetwork({ dhcp, addresses = [] }: DeviceConfiguration): Cidr<4> | undefined {
  if (dhcp === undefined) return undefined;
  const holds = (own: Cidr): own is Cidr<4> => own.version === 4 && own.contains(dhcp.first) && own.contains(dhcp.last);
  return addresses.find(holds);
}

function basis(device: DeviceConfiguration | undefined): readonly string[] {
  return [...(device?.vlan === undefined ? [] : [device.vlan.parent]), ...(device?.bridge?.ports ?? [])];
}

/** All that is wrong, in the order of the text as far as that is easy. */
export function checkConfiguration(configuration: RouterConfiguration): readonly Problem[] {
  return new Check(configuration).run();
}

class Check {
  private readonly configuration: RouterConfiguration;
  private readonly problems: Problem[] = [];

  constructor(configuration: RouterConfiguration) {
    this.configuration = configuration;
  }

  run(): readonly Problem[] {
    const { devices, routes = [], policy = [] } = this.configuration;
    for (const [name, device] of Object.entries(devices)) this.device(name, device);
    this.sharing();
    for (const [index, route] of routes.entries()) this.route(route, ['routes', index]);
    for (const [index, rule] of policy.entries()) this.policy(rule, ['policy', index]);
    this.translation();
    if (this.problems.length === 0) this.functions();
    return this.problems;
  }

  private wrong(path: Path, message: string, rest: Omit<Problem, 'path' | 'message'> = {}): void {
    this.problems.push({ path, message, ...rest });
  }

  private device(name: string, device: DeviceConfiguration): void {
    const path = ['devices', name];
    const kind = kindOf(device);
    for (const one of VIRTUAL) {
      if (device[one] !== undefined && one !== kind)
        this.wrong([...path, one], `a ${kind} device has no ${one}`, { atKey: true });
      if (one === kind && device[one] === undefined) this.wrong(path, `expected ${one}: what it consists of`);
    }
    const isNative = kind === 'tap' || kind === 'tun';
    for (const key of NATIVE) {
      if (!isNative && device[key] !== undefined)
        this.wrong([...path, key], 'only TAP and TUN devices have this', { atKey: true });
    }
    for (const key of ETHERNET) {
      if (kind === 'tun' && device[key] !== undefined && device[key] !== false)
        this.wrong([...path, key], 'only Ethernet devices have this', { atKey: true });
    }
    const { mtu = DEFAULT_MTU, advertise = false, addresses = [] } = device;
    for (const [index, one] of addresses.entries()) {
      const why = whyNoAddress(one, mtu);
      if (why !== undefined) this.wrong([...path, 'addresses', index], why);
    }
    const narrow = advertise === false ? undefined : tooNarrowForIpv6(mtu);
    if (narrow !== undefined) this.wrong([...path, 'advertise'], narrow, { atKey: true });
    this.basis(name, device, path);
    this.lease(device, path);
  }

  private basis(name: string, device: DeviceConfiguration, path: Path): void {
    const { devices } = this.configuration;
    const { vlan, bridge, vxlan } = device;
    if (vlan !== undefined) this.carrier(vlan.parent, [...path, 'vlan', 'parent']);
    for (const [index, port] of (bridge?.ports ?? []).entries())
      this.carrier(port, [...path, 'bridge', 'ports', index]);
    if (!inOrder(devices).includes(name) && basis(device).every((one) => devices[one] !== undefined))
      this.wrong(path, 'it stands on itself', { atKey: true });
    if (vxlan === undefined) return;
    const isOurs = Object.values(devices).some(({ addresses = [] }) =>
      addresses.some((own) => own.address.equals(vxlan.local)),
    );
    if (!isOurs) this.wrong([...path, 'vxlan', 'local'], `no device has the address ${vxlan.local.toString()}`);
    for (const [index, peer] of (vxlan.peers ?? []).entries()) {
      if (peer.version !== vxlan.local.version)
        this.wrong(
          [...path, 'vxlan', 'peers', index],
          `expected an IPv${vxlan.local.version} address, as the local one`,
        );
    }
  }

  /** A device that carries another one. */
  private carrier(name: string, path: Path): void {
    const device = this.configuration.devices[name];
    if (device === undefined) this.wrong(path, `there is no device ${name}`);
    else if (kindOf(device) === 'tun') this.wrong(path, `${name} is no Ethernet device`);
  }

  private lease(device: DeviceConfiguration, path: Path): void {
    const { dhcp } = device;
    if (dhcp === undefined) return;
    const network = leaseNetwork(device);
    if (network === undefined)
      this.wrong([...path, 'dhcp'], 'expected first and last in an IPv4 network of the device', { atKey: true });
    else if (dhcp.first.word(3) > dhcp.last.word(3)) this.wrong([...path, 'dhcp', 'last'], 'it comes before the first');
    for (const [mac, leased] of Object.entries(dhcp.reservations ?? {})) {
      if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(mac))
        this.wrong([...path, 'dhcp', 'reservations', mac], 'expected a MAC address', { atKey: true });
      if (network?.contains(leased) === false) {
        const { network: first, length } = network;
        this.wrong([...path, 'dhcp', 'reservations', mac], `expected an address of ${first.toString()}/${length}`);
      }
    }
  }

  /** What two devices cannot both have. */
  private sharing(): void {
    const owners = new Map<string, string>();
    const carriers = new Map<string, string>();
    for (const [name, { addresses = [], bridge }] of Object.entries(this.configuration.devices)) {
      for (const [index, { address }] of addresses.entries()) {
        const owner = owners.get(address.toString());
        if (owner !== undefined) this.wrong(['devices', name, 'addresses', index], `${owner} has that address, too`);
        owners.set(address.toString(), name);
      }
      for (const [index, port] of (bridge?.ports ?? []).entries()) {
        const path = ['devices', name, 'bridge', 'ports', index];
        const other = carriers.get(port);
        if (other !== undefined) this.wrong(path, `it is a port of ${other} already`);
        if ((this.configuration.devices[port]?.addresses ?? []).length > 0)
          this.wrong(path, `${port} has addresses: give them to the bridge`);
        carriers.set(port, name);
      }
    }
  }

  private route(route: RouteConfiguration, path: Path): void {
    const { to, via, through, type = 'unicast', device, weight } = route;
    const leads = via !== undefined || device !== undefined || through !== undefined;
    if (type !== 'unicast') {
      if (leads) this.wrong(path, `a route of type ${type} leads nowhere: neither via, device nor through`);
      if (to === 'default') this.wrong([...path, 'to'], 'say of which version: 0.0.0.0/0 or ::/0');
      return;
    }
    if (!leads) return this.wrong(path, 'expected via, device or through');
    if (through !== undefined) {
      if (via !== undefined || device !== undefined || weight !== undefined)
        this.wrong([...path, 'through'], 'each way says via, device and weight for itself', { atKey: true });
      for (const [index, hop] of through.entries()) this.hop(to, hop, [...path, 'through', index]);
      return;
    }
    if (weight !== undefined) this.wrong([...path, 'weight'], 'a single way has no weight', { atKey: true });
    this.hop(to, route, path);
  }

  private hop(to: Cidr | 'default', { via, device }: NextHopConfiguration, path: Path): void {
    if (device !== undefined) this.known(device, [...path, 'device']);
    if (via === undefined) {
      if (to === 'default') this.wrong(path, 'expected via: the version of default is that of its gateway');
      return;
    }
    if (to !== 'default' && to.version !== via.version)
      this.wrong([...path, 'via'], `expected an IPv${to.version} address, as the destination`);
    if (device === undefined && this.onLink(via) === undefined)
      this.wrong([...path, 'via'], `${via.toString()} is on no network of ours; say by which device`);
  }

  /** The device whose network an address is in. */
  private onLink(address: IpAddress): string | undefined {
    const { devices } = this.configuration;
    return Object.keys(devices).find((name) => devices[name]?.addresses?.some((own) => own.contains(address)));
  }

  private policy(rule: PolicyConfiguration, path: Path): void {
    const { table, action, device, from, to, mask, mark } = rule;
    if ((table === undefined) === (action === undefined)) this.wrong(path, 'expected either table or action');
    const tables = [...TABLES, ...(this.configuration.routes ?? []).flatMap((one) => one.table ?? [])];
    if (table !== undefined && !tables.includes(table)) this.wrong([...path, 'table'], `no route is in table ${table}`);
    if (device !== undefined) this.known(device, [...path, 'device']);
    if (from !== undefined && to !== undefined && from.version !== to.version)
      this.wrong(path, 'from and to are of two IP versions');
    if (mask !== undefined && mark === undefined)
      this.wrong([...path, 'mask'], 'a mask without a mark', { atKey: true });
    this.rule(rule, path);
  }

  /** Whether the tables take a rule, as far as it is not wrong otherwise. */
  private rule({ device: _device, ...rule }: PolicyConfiguration, path: Path): void {
    if (this.problems.length > 0) return;
    try {
      new RoutingTables((rule.from ?? rule.to)?.version ?? 4).addRule(rule);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      this.wrong(path, error.message);
    }
  }

  private known(device: string, path: Path): void {
    if (this.configuration.devices[device] === undefined) this.wrong(path, `there is no device ${device}`);
  }

  /** Builds what rules and NAT ask for, and throws it away. */
  private functions(): void {
    const functions = new NetworkFunctions(environment());
    try {
      functions.change(this.configuration);
    } catch (error) {
      if (error instanceof RuleError) {
        const { line, column } = error;
        // Where it stands is said in lines of the whole.
        this.wrong(['firewall'], error.message.replace(`${line}:${column}: `, ''), { within: { line, column } });
      } else if (error instanceof UsageError) this.wrong(['nat'], error.message);
      else throw error;
    } finally {
      functions.dispose();
    }
  }

  private translation(): void {
    const { masquerade = [], source = [], forward = [], static: fixed = [] } = this.configuration.nat ?? {};
    const named = [
      ...masquerade.map(({ out }, index) => [out, ['nat', 'masquerade', index, 'out']] as const),
      ...source.map(({ out }, index) => [out, ['nat', 'source', index, 'out']] as const),
      ...forward.map(({ on }, index) => [on, ['nat', 'forward', index, 'on']] as const),
      ...fixed.map(({ out }, index) => [out, ['nat', 'static', index, 'out']] as const),
    ];
    for (const [device, path] of named) if (device !== undefined) this.known(device, path);
  }
}
