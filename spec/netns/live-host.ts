/** A host of ours on a TAP or TUN in a namespace, in the test's process, with the services of `rx-netstack host` on it. */

import type { ChildProcess } from 'node:child_process';
import { expect } from 'chai';
import type { TunOptions } from '../../drivers/tun.js';
import { asyncScheduler, type SchedulerAction, type SchedulerLike, type Subscription } from 'rxjs';
import { type RunningServices, SERVICE_NAMES, startServices } from '../../cli/services.js';
import type { IpVersion } from '../../lib/core/address.js';
import type { Device } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import { FramePool } from '../../lib/core/frame.js';
import { type NodeNet, nodeNet } from '../../lib/socket/net.js';
import { impair, impairOutgoing, type Impairments } from '../../operators/flow/impair.js';
import { host, type Host, type HostOptions } from '../../operators/stack/host.js';
import { environment } from '../../operators/time/environment.js';
import { TimerWheel } from '../../operators/time/timer-wheel.js';
import type { Namespace } from './namespace.js';
import { complaints, type Recording } from './recording.js';
import { until } from '../until.js';

export const OUR_MAC = '02:77:00:00:00:02';
export const OURS = '10.77.0.2';
export const THEIRS = '10.77.0.1';
export const OURS6 = 'fd77::2';
export const THEIRS6 = 'fd77::1';
/** Made of {@link OUR_MAC}. */
export const OUR_LINK_LOCAL = 'fe80::77:ff:fe00:2';
/** Options of a {@link LiveHost} that speaks both versions. */
export const DUAL: { readonly addresses: readonly string[]; readonly peer: readonly string[] } = {
  addresses: [`${OURS}/24`, `${OURS6}/64`],
  peer: [`${THEIRS}/24`, `${THEIRS6}/64`],
};

/** What a test of both versions needs to know of the one that it runs over. */
export interface LiveFacts {
  readonly version: IpVersion;
  readonly ours: string;
  readonly theirs: string;
  /** Ours and theirs, as they stand in URLs and in addresses of socat. */
  readonly at: string;
  readonly from: string;
  /** Options of a {@link LiveHost} that speaks this version only. */
  readonly options: { readonly addresses: readonly string[]; readonly peer: readonly string[] };
}

/** The facts of each version. */
export const LIVE: Readonly<Record<IpVersion, LiveFacts>> = {
  4: {
    version: 4,
    ours: OURS,
    theirs: THEIRS,
    at: OURS,
    from: THEIRS,
    options: { addresses: [`${OURS}/24`], peer: [`${THEIRS}/24`] },
  },
  6: {
    version: 6,
    ours: OURS6,
    theirs: THEIRS6,
    at: `[${OURS6}]`,
    from: `[${THEIRS6}]`,
    options: { addresses: [`${OURS6}/64`], peer: [`${THEIRS6}/64`] },
  },
};

/** Options of {@link LiveHost}. */
export interface LiveOptions extends Omit<HostOptions, 'device' | 'interfaces'> {
  readonly medium?: 'ethernet' | 'ip';
  /** Name of the interface. Default `tap0`. */
  readonly name?: string;
  readonly mac?: string;
  readonly mtu?: number;
  /** Addresses of the kernel's side. Default 10.77.0.1/24. */
  readonly peer?: readonly string[];
  /** Further options of the driver. */
  readonly driver?: Pick<
    TunOptions,
    'offload' | 'coalesce' | 'io' | 'busyPoll' | 'wakeLatency' | 'persist' | 'receiveProcessors'
  >;
  /** Where what is sent is recorded. */
  readonly recording?: Recording;
  /** Whether to record what is received as well. */
  readonly both?: boolean;
  /** What is wrong with the wire, each way. */
  readonly impairments?: Impairments;
  /** The clock under our timers; see `fastClock`. Default: that of the wall. */
  readonly clock?: SchedulerLike;
  /** Default: all. */
  readonly services?: readonly string[];
}

/** See the module. */
export class LiveHost {
  readonly env: Env;
  readonly timers: TimerWheel;
  readonly device: Device;
  readonly me: Host;
  readonly net: NodeNet;
  private readonly namespace: Namespace;
  private readonly services: RunningServices;
  private readonly subscription: Subscription;

  constructor(namespace: Namespace, options: LiveOptions = {}) {
    const { medium = 'ethernet', name = 'tap0', mac = OUR_MAC, mtu = 1500, peer = [`${THEIRS}/24`] } = options;
    const { recording, impairments, services = SERVICE_NAMES, both = false, clock = asyncScheduler } = options;
    const { driver = {}, ...rest } = options;
    this.namespace = namespace;
    this.timers = new TimerWheel(clock);
    this.env = environment({ scheduler: this.timers, pool: new FramePool({ poison: true }) });
    const { env } = this;
    this.device =
      medium === 'ip'
        ? namespace.openTun({ ...driver, name, mtu, peer }, env)
        : namespace.openTap({ ...driver, name, mac, mtu, peer }, env);
    this.me = host({ addresses: [`${OURS}/24`], ...rest, device: this.device }, env);
    let received$ = this.device.frames$;
    if (impairments !== undefined) received$ = received$.pipe(impair(impairments, env));
    if (recording !== undefined && both) received$ = received$.pipe(recording.incoming(env));
    let sent$ = received$.pipe(this.me);
    if (recording !== undefined) sent$ = sent$.pipe(recording.outgoing(env));
    if (impairments !== undefined) sent$ = sent$.pipe(impairOutgoing(impairments, env));
    this.subscription = sent$.subscribe(this.device.sink);
    this.net = nodeNet(this.me.tcp);
    this.services = startServices(services, { tcp: this.me.tcp, udp: this.me.udp }, () => this.me.stats());
  }

  /** Connections of ours by state. */
  get connections(): Readonly<Record<string, number>> {
    return this.me.stats().connections;
  }

  /** Waits until no connection is left, or only some in TIME-WAIT. */
  async quiet(options: { readonly timeWait?: boolean; readonly timeout?: number } = {}): Promise<void> {
    const { timeWait = false, timeout = 5000 } = options;
    const open = () => Object.keys(this.connections).filter((state) => !(timeWait && state === 'TIME-WAIT'));
    await until(() => open().length === 0, timeout).catch(() => undefined);
    const { connections } = this;
    const expected =
      timeWait && connections['TIME-WAIT'] !== undefined ? { 'TIME-WAIT': connections['TIME-WAIT'] } : {};
    expect(connections).to.deep.equal(expected);
    expect(this.env.pool.outstanding, 'frames held').to.equal(0);
  }

  /** Stops everything and holds that nothing is left: no connection, socket, timer or frame, and no complaint of the kernel. */
  async close(options: { readonly complaints?: boolean } = {}): Promise<void> {
    if (options.complaints !== true) expect(await complaints(this.namespace), 'the kernel').to.deep.equal({});
    await this.services.close();
    this.subscription.unsubscribe();
    await this.device.close();
    expect(this.me.tcp.size, 'connections').to.equal(0);
    expect(this.me.udp.size, 'UDP sockets').to.equal(0);
    expect(this.timers.pending, 'timers').to.equal(0);
    expect(this.env.pool.outstanding, 'frames').to.equal(0);
    expect(this.env.drops.toJSON()['callback-threw'], 'exceptions').to.equal(undefined);
  }
}

/** A clock that goes so many times as fast as that of the wall: for what takes minutes. */
export function fastClock(pace: number): SchedulerLike {
  const wall: SchedulerLike = asyncScheduler;
  return {
    now: () => wall.now() * pace,
    schedule: <T>(work: (this: SchedulerAction<T>, state: T) => void, delay: number, state: T) =>
      wall.schedule(work, delay / pace, state),
  };
}

/** Starts a server of the kernel's, and waits until it listens. */
export async function listening(
  namespace: Namespace,
  port: number,
  command: string,
  ...args: string[]
): Promise<ChildProcess> {
  const child = namespace.start(command, args);
  for (;;) {
    const { stdout } = await namespace.run('ss', ['-Hltn', `sport = :${port}`]);
    if (stdout !== '') return child;
  }
}
