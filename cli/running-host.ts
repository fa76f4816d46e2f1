/**
 * A host of ours on a TAP interface, for as long as a command needs it: opened, run, ended in an orderly way, whatever happens in between.
 */

import { PcapngWriter } from '../lib/capture/pcapng-writer.js';
import { type IpAddress, type IpVersion, Ipv4Address, MacAddress } from '../lib/core/address.js';
import type { Device } from '../lib/core/device.js';
import type { Env } from '../lib/core/env.js';
import { FileSink } from '../drivers/file-sink.js';
import { capture } from '../operators/observe/capture.js';
import { countPackets, PacketCounter } from '../operators/observe/count.js';
import { type Host, host as makeHost, type HostConflict } from '../operators/stack/host.js';
import { CommandError, type Io, messageOf } from './command.js';
import { Configuration, type ConfigurationNews, VERIFICATION } from './configuration.js';
import { later } from './later.js';
import type { HostSetting } from './host-options.js';
import type { Statistics } from './statistics.js';
import { wallEnvironment } from './wall-environment.js';

/** How long connections may take to end in an orderly way, in milliseconds. */
const FAREWELL = 300;
const FAREWELL_STEP = 20;
/** How long a DHCPv6 server may take to answer that a lease is given back, in milliseconds: it is asked again after a second (RFC 8415 7.6). */
const RELEASE = 1500;

/** A host that runs. */
export interface RunningHost {
  readonly env: Env;
  readonly device: Device;
  readonly me: Host;
  /** Aborted when the user wants it to end, or the interface is gone. */
  readonly signal: AbortSignal;
  statistics(): Statistics;
  /** Resolves when there is an address to send from, of a version or of any; at once, where addresses are given. @throws CommandError */
  configured(family: 0 | IpVersion): Promise<void>;
  /** Resolves when the given addresses have been verified. @throws CommandError where other hosts have all of them */
  settled(): Promise<void>;
  /** Resolves when the user wants it to end. @throws CommandError when the interface is gone */
  ended(): Promise<void>;
  /** Ends connections, then the stack. */
  stop(): Promise<void>;
}

/**
 * Runs a host while `work` goes on.
 *
 * @param program for messages, e.g. `rx-netstack ping`
 * @param news is told of what DHCP and routers configure
 * @throws CommandError that the interface or the capture cannot be opened; UsageError that a host cannot be made on it; what `work` throws
 */
export async function withHost<T>(
  setting: HostSetting,
  io: Io,
  program: string,
  work: (running: RunningHost) => Promise<T>,
  news: (news: ConfigurationNews) => void = () => undefined,
): Promise<T> {
  const { pcap } = setting.values;
  const warn = (message: string) => io.stderr.write(`${program}: warning: ${message}\n`);
  const env = wallEnvironment();
  const file = pcap === undefined ? undefined : openCapture(pcap, warn);
  try {
    const device = await openDevice(setting, env);
    try {
      const running = new LiveHost(setting, device, file, env, io, warn, news);
      try {
        return await work(running);
      } finally {
        await running.stop();
      }
    } finally {
      await device.close();
    }
  } finally {
    closeCapture(file, pcap, warn);
  }
}

class LiveHost implements RunningHost {
  readonly env: Env;
  readonly device: Device;
  readonly me: Host;
  readonly signal: AbortSignal;
  private readonly ending = new AbortController();
  private readonly started: number;
  private readonly received = new PacketCounter();
  private readonly sent = new PacketCounter();
  private readonly pipeline: { unsubscribe(): void };
  private readonly io: Io;
  private readonly configuration: Configuration;
  private failure: unknown = undefined;
  private stopped: Promise<void> | undefined = undefined;

  constructor(
    { addresses, gateways, values }: HostSetting,
    device: Device,
    file: FileSink | undefined,
    env: Env,
    io: Io,
    warn: (message: string) => void,
    news: (news: ConfigurationNews) => void,
  ) {
    this.env = env;
    this.device = device;
    this.io = io;
    this.signal = this.ending.signal;
    this.started = env.timers.now();
    const { dns: servers, search } = values;
    const routes = gateways.map((gateway) => ({
      destination: gateway.version === 4 ? '0.0.0.0/0' : '::/0',
      gateway,
      device,
    }));
    const { slaac } = values;
    const dad = values['no-dad'] ? false : VERIFICATION;
    this.me = makeHost({ device, addresses, routes, announce: true, slaac, dad, dns: { servers, search } }, env);
    this.me.conflicts$.subscribe((conflict) => warn(conflictText(conflict)));
    this.configuration = new Configuration({ me: this.me, device, values, news, warn }, env);
    this.pipeline = this.run(file);
    this.configuration.start();
    io.signal.addEventListener('abort', this.onAbort);
    if (io.signal.aborted) this.onAbort();
  }

  statistics(): Statistics {
    const { drops, connections, ...counters } = this.me.stats();
    const uptime = Math.round(this.env.timers.now() - this.started) / 1000;
    const received = this.received.toJSON();
    return { uptime, counters: { received, sent: this.sent.toJSON(), ...counters }, drops, connections };
  }

  async ended(): Promise<void> {
    if (!this.signal.aborted) {
      await new Promise((resolve) => this.signal.addEventListener('abort', resolve, { once: true }));
    }
    if (this.failure !== undefined) throw new CommandError(`${this.device.name}: ${messageOf(this.failure)}`);
  }

  settled(): Promise<void> {
    return this.configuration.settled(this.signal);
  }

  configured(family: 0 | IpVersion): Promise<void> {
    return this.configuration.ready(family, this.signal);
  }

  stop(): Promise<void> {
    return (this.stopped ??= this.finish());
  }

  private readonly onAbort = (): void => this.ending.abort();

  private run(file: FileSink | undefined): { unsubscribe(): void } {
    const { device, env, me } = this;
    const { name } = device;
    const writer = file === undefined ? undefined : new PcapngWriter(file, { application: 'rx-netstack' });
    const incoming$ = device.frames$.pipe(countPackets(this.received));
    const captured$ =
      writer === undefined ? incoming$ : incoming$.pipe(capture(writer, { name, direction: 'inbound' }, env));
    const outgoing$ = captured$.pipe(me, countPackets(this.sent));
    const frames$ =
      writer === undefined ? outgoing$ : outgoing$.pipe(capture(writer, { name, direction: 'outbound' }, env));
    return frames$.subscribe({
      ...device.sink,
      error: (error) => this.failed(error),
      complete: () => this.failed(new CommandError('the interface is gone')),
    });
  }

  private failed(error: unknown): void {
    this.failure ??= error;
    this.ending.abort();
  }

  private async finish(): Promise<void> {
    const { env, me, io } = this;
    io.signal.removeEventListener('abort', this.onAbort);
    const lingering = () => [...me.tcp.connections()].filter(({ state }) => state !== 'TIME-WAIT');
    const end = env.timers.now() + FAREWELL;
    while (lingering().length > 0 && env.timers.now() < end) await later(env, FAREWELL_STEP);
    for (const connection of lingering()) connection.abort();
    if (this.configuration.stop()) await this.released();
    // Resets leave with the microtask, before nobody is subscribed.
    await new Promise((resolve) => setImmediate(resolve));
    this.pipeline.unsubscribe();
  }

  /** Leaves servers the time to read that leases are given back: from an interface that is gone they take nothing. */
  private async released(): Promise<void> {
    const { env, me } = this;
    const end = env.timers.now() + RELEASE;
    // DHCPv4 has no answer to it.
    await later(env, FAREWELL);
    // All services are closed: what is left of UDP waits for the answer of DHCPv6.
    while (me.udp.size > 0 && env.timers.now() < end) await later(env, FAREWELL_STEP);
  }
}

async function openDevice({ tap, values }: HostSetting, env: Env): Promise<Device> {
  const { mac: own, mtu, peer, io, 'busy-poll': busyPoll, 'no-offload': noOffload } = values;
  const { 'wake-latency': wakeLatency, 'receive-processors': receiveProcessors } = values;
  try {
    const { openTap } = await import('../drivers/tap.js');
    return openTap(
      {
        name: tap,
        peer,
        offload: !noOffload,
        ...(own === undefined ? {} : { mac: own }),
        ...(mtu === undefined ? {} : { mtu }),
        ...(io === undefined ? {} : { io }),
        ...(busyPoll === undefined ? {} : { busyPoll }),
        ...(wakeLatency === undefined ? {} : { wakeLatency }),
        ...(receiveProcessors === undefined ? {} : { receiveProcessors }),
      },
      env,
    );
  } catch (error) {
    throw new CommandError(`cannot open ${tap}: ${messageOf(error)}`);
  }
}

function openCapture(path: string, warn: (message: string) => void): FileSink {
  try {
    return new FileSink(path, { onError: (error) => warn(`cannot write ${path}: ${messageOf(error)}`) });
  } catch (error) {
    throw new CommandError(`cannot write ${path}: ${messageOf(error)}`);
  }
}

function closeCapture(file: FileSink | undefined, path: string | undefined, warn: (message: string) => void): void {
  try {
    file?.close();
  } catch (error) {
    warn(`${path} is not complete: ${messageOf(error)}`);
  }
}

function conflictText({ address, mac, kind }: HostConflict): string {
  const outcome = {
    defended: 'we said again that it is ours',
    persistent: 'it goes on: one of the two hosts needs another address',
    probing: 'it must not be taken',
  };
  const claimed: IpAddress = new Ipv4Address(address);
  return `another host, ${new MacAddress(mac).toString()}, uses ${claimed.toString()}; ${outcome[kind]}`;
}
