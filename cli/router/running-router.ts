/** A router that runs by a configuration, which may change while it does. */

import { merge, type Subscription } from 'rxjs';
import type { Cidr, IpAddress } from '../../lib/core/address.js';
import type { Device } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import type { TxFrame } from '../../lib/core/frame.js';
import { DEFAULT_HOP_LIMIT } from '../../lib/l3/ip-output.js';
import type { DhcpOptions } from '../../lib/wire/dhcpv4-options.js';
import { dhcpv4Server } from '../../operators/l7/dhcpv4.js';
import { countFrame, countPackets, PacketCounter } from '../../operators/observe/count.js';
import { router } from '../../operators/stack/router.js';
import type { Router, RouterInterface } from '../../operators/stack/router-api.js';
import { toDevices } from '../../operators/stack/to-devices.js';
import { CommandError, messageOf } from '../command.js';
import { leaseNetwork } from './check.js';
import type {
  AdvertiseConfiguration,
  DeviceConfiguration,
  DhcpConfiguration,
  RouterConfiguration,
} from './configuration.js';
import { type OpenDevices, openDevices } from './devices.js';
import { isSame, NetworkFunctions } from './network-functions.js';
import { StaticRouting } from './routing.js';

/** A configuration, with the text that it was read from. */
export interface LoadedConfiguration extends RouterConfiguration {
  readonly source: string;
}

/** Between two advertisements, as a rule and at least, in milliseconds (RFC 4861 6.2.1). */
const DEFAULT_INTERVAL = 600_000;
const LEAST_INTERVAL = 4000;
/** What is said about devices that may change while the router runs. */
const SWITCHES = ['forwarding', 'redirects', 'clampMss'] as const;

/** See the module. */
export class RunningRouter {
  readonly env: Env;
  readonly devices: ReadonlyMap<string, Device>;
  readonly me: Router;
  readonly functions: NetworkFunctions;
  /** The one that it runs by. */
  configuration: LoadedConfiguration;
  /** What came and went by each interface. */
  readonly traffic: ReadonlyMap<Device, { readonly received: PacketCounter; readonly sent: PacketCounter }>;
  private readonly opened: OpenDevices;
  private readonly routing: StaticRouting;
  private readonly subscriptions: Subscription[] = [];

  /**
   * Opens the devices and starts.
   *
   * @param failed is told of a device that failed: the router has then ended
   * @throws CommandError, UsageError; nothing is left open
   */
  static async start(
    configuration: LoadedConfiguration,
    env: Env,
    failed: (error: unknown) => void,
    warn: (message: string) => void,
  ): Promise<RunningRouter> {
    const opened = await openDevices(configuration, env);
    try {
      return new RunningRouter(configuration, opened, env, failed, warn);
    } catch (error) {
      await opened.close();
      throw error;
    }
  }

  private constructor(
    configuration: LoadedConfiguration,
    opened: OpenDevices,
    env: Env,
    failed: (error: unknown) => void,
    warn: (message: string) => void,
  ) {
    this.env = env;
    this.opened = opened;
    this.devices = opened.byName;
    this.configuration = configuration;
    const interfaces = this.interfaces();
    this.functions = new NetworkFunctions(env);
    const { hopLimit } = configuration;
    const { hooks, replies$ } = this.functions;
    const settings = { interfaces, hooks, replies: [replies$], ...(hopLimit === undefined ? {} : { hopLimit }) };
    this.me = router(settings, env);
    this.functions.attach(this.me);
    const owner = (address: IpAddress) => this.onLink(address);
    this.routing = new StaticRouting(this.me.routing, (name) => this.device(name), owner);
    this.functions.change(configuration);
    this.routing.change(configuration);
    const used = interfaces.map(({ device }) => device);
    this.traffic = new Map(
      used.map((device) => [device, { received: new PacketCounter(), sent: new PacketCounter() }]),
    );
    const frames$ = used.map((device) => device.frames$.pipe(countPackets(this.count(device).received)));
    const send = toDevices(...used);
    const next = (frame: TxFrame) => {
      if (frame.device !== undefined) countFrame(frame, this.count(frame.device).sent);
      send.next(frame);
    };
    this.subscriptions.push(
      merge(...frames$)
        .pipe(this.me)
        .subscribe({ next, error: failed }),
    );
    for (const tunnel of opened.tunnels) tunnel.attach(this.me);
    for (const [name, device] of Object.entries(configuration.devices)) this.serve(name, device, warn);
  }

  /**
   * Goes on by another configuration, from one packet to the next.
   *
   * @throws CommandError, UsageError, RuleError why it cannot; it then goes on by the old one
   */
  change(next: LoadedConfiguration): void {
    this.checkSame(next);
    this.functions.change(next);
    this.routing.change(next);
    for (const [name, wanted] of Object.entries(next.devices)) this.adjust(name, wanted);
    this.me.tables.hopLimit = next.hopLimit ?? DEFAULT_HOP_LIMIT;
    this.configuration = next;
  }

  async stop(): Promise<void> {
    for (const subscription of this.subscriptions.toReversed()) subscription.unsubscribe();
    this.functions.dispose();
    await this.opened.close();
  }

  /** What cannot change without a new start. */
  private checkSame(next: RouterConfiguration): void {
    const fixed = (configuration: RouterConfiguration) => {
      const devices = Object.entries(configuration.devices).map(([name, device]) => {
        const rest = Object.entries(device).filter(([key]) => !SWITCHES.some((one) => one === key));
        return [name, Object.fromEntries(rest)] as const;
      });
      return { control: configuration.control, metrics: configuration.metrics, devices: Object.fromEntries(devices) };
    };
    const [before, after] = [fixed(this.configuration), fixed(next)];
    for (const name of new Set([...Object.keys(before.devices), ...Object.keys(after.devices)])) {
      if (isSame(before.devices[name], after.devices[name])) continue;
      throw new CommandError(`device ${name}: only ${SWITCHES.join(', ')} can change while the router runs`);
    }
    for (const key of ['control', 'metrics'] as const) {
      if (!isSame(before[key], after[key])) throw new CommandError(`${key} cannot change while the router runs`);
    }
  }

  private adjust(name: string, { forwarding = true, redirects = true, clampMss = false }: DeviceConfiguration): void {
    const switches = this.me.switches(this.device(name));
    if (switches !== undefined) Object.assign(switches, { forwarding, redirects, clampMss });
  }

  private device(name: string): Device {
    const device = this.devices.get(name);
    if (device === undefined) throw new CommandError(`there is no device ${name}`);
    return device;
  }

  private count(device: Device): { readonly received: PacketCounter; readonly sent: PacketCounter } {
    return this.traffic.get(device) ?? { received: new PacketCounter(), sent: new PacketCounter() };
  }

  private onLink(address: IpAddress): Device | undefined {
    for (const [name, { addresses = [] }] of Object.entries(this.configuration.devices)) {
      if (addresses.some((own) => own.contains(address))) return this.device(name);
    }
    return undefined;
  }

  /** Devices that carry others only are no interfaces of the router. */
  private interfaces(): RouterInterface[] {
    const { devices } = this.configuration;
    const ports = new Set(Object.values(devices).flatMap(({ bridge }) => bridge?.ports ?? []));
    const entries = Object.entries(devices).filter(([name]) => !ports.has(name));
    return entries.map(([name, device]) => interfaceOf(this.device(name), device));
  }

  private serve(name: string, device: DeviceConfiguration, warn: (message: string) => void): void {
    const { dhcp } = device;
    const network = leaseNetwork(device);
    if (dhcp === undefined || network === undefined) return;
    const options = dhcpServerOptions(dhcp, network);
    const served$ = dhcpv4Server(this.me, { device: this.device(name), address: network, ...options });
    this.subscriptions.push(
      served$.subscribe({ error: (error: unknown) => warn(`DHCP on ${name}: ${messageOf(error)}`) }),
    );
  }
}

function interfaceOf(device: Device, configuration: DeviceConfiguration): RouterInterface {
  const { addresses = [], forwarding, redirects, clampMss, reversePath, proxy, advertise = false } = configuration;
  return {
    device,
    addresses,
    ...(forwarding === undefined ? {} : { forwarding }),
    ...(redirects === undefined ? {} : { redirects }),
    ...(clampMss === undefined ? {} : { clampMss }),
    ...(reversePath === undefined ? {} : { reversePath }),
    ...(proxy === undefined ? {} : { proxy }),
    advertise: typeof advertise === 'boolean' ? advertise : advertisement(advertise),
  };
}

function advertisement({
  dns = [],
  search = [],
  lifetime,
}: AdvertiseConfiguration): Exclude<RouterInterface['advertise'], boolean | undefined> {
  return {
    dnsServers: dns,
    searchDomains: search,
    ...(lifetime === undefined ? {} : { lifetime, maxInterval: intervalFor(lifetime) }),
  };
}

/** The longest time between advertisements, in milliseconds: two may be lost before hosts forget the router, unless it is known too shortly for that. */
function intervalFor(lifetime: number): number {
  if (lifetime === 0) return DEFAULT_INTERVAL;
  return Math.min(Math.max((lifetime * 1000) / 3, LEAST_INTERVAL), DEFAULT_INTERVAL);
}

function dhcpServerOptions(dhcp: DhcpConfiguration, network: Cidr<4>) {
  const { first, last, lease, routers = [network.address], dns = [], domain, reservations = {} } = dhcp;
  const options: DhcpOptions = {
    routers,
    dnsServers: dns,
    ...(domain === undefined ? {} : { domainName: domain }),
  };
  const reserved = Object.entries(reservations).map(([mac, address]) => [mac, address.toString()] as const);
  return {
    pool: [first.toString(), last.toString()] as const,
    options,
    reservations: Object.fromEntries(reserved),
    ...(lease === undefined ? {} : { leaseTime: lease }),
  };
}
