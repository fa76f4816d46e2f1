/** A learning bridge with a port of its own: a device that a host, a router or another virtual device sits on. */

import type { Subscription } from 'rxjs';
import { MacAddress } from '../lib/core/address.js';
import { type Device, type DeviceFeatures, NO_FEATURES } from '../lib/core/device.js';
import { DropReason } from '../lib/core/drops.js';
import type { Env } from '../lib/core/env.js';
import { UsageError } from '../lib/core/errors.js';
import { asTx, type Frame, type RxFrame, type TxFrame } from '../lib/core/frame.js';
import { Bridging, type BridgingOptions } from '../lib/l2/bridging.js';
import type { StationInfo } from '../lib/l2/station-table.js';
import { anyMac, unhandled } from './port.js';
import { checkEthernet, checkMtu, countsTags, MOST_MTU, VirtualDevice } from './virtual-device.js';

/** Options of {@link bridgeDevice}. */
export interface BridgeDeviceOptions extends BridgingOptions {
  /** Default `bridge0`. */
  readonly name?: string;
  /** Of the bridge's own port. Default: a locally administered one, drawn from the environment. */
  readonly mac?: MacAddress | string;
  /** Largest IP packet, in bytes. Default: the smallest of the ports', also when they change; 1500 without ports. */
  readonly mtu?: number;
  /** Whether the own port receives everything, also what goes from one port to another. Default false. */
  readonly promiscuous?: boolean;
  /** Told of a port whose `frames$` failed, which no longer is one. Default: the error goes where RxJS sends what nobody handles. */
  readonly failed?: (port: Device, error: unknown) => void;
}

/** A bridge, and the device that is its own port. */
export interface BridgeDevice extends Device {
  /** The ports, without its own. */
  readonly ports: readonly Device[];
  /** Stations that it knows, and where; its own address leads to itself. */
  readonly stations: readonly StationInfo<Device>[];
  /** Adds a port. @throws UsageError `ERR_INVALID_OPTION` for one that it has, that is no Ethernet device or too narrow for IP, or that is itself or made of it */
  add(port: Device): void;
  /** Takes a port away, which stays open; says whether it was one. */
  remove(port: Device): boolean;
  /** Says that a station is behind a port, or behind the bridge's own, wherever it is heard. @throws UsageError `ERR_INVALID_OPTION` */
  pin(mac: MacAddress | string, port: Device): void;
  /** Undoes {@link BridgeDevice.pin}; says whether there was something to undo. */
  unpin(mac: MacAddress | string): boolean;
}

const ALL: DeviceFeatures = { checksum: true, segmentation: true, udpSegmentation: true };
const DEFAULT_MTU = 1500;

class OwnPort extends VirtualDevice implements BridgeDevice {
  ports: readonly Device[] = [];
  mtu: number = DEFAULT_MTU;
  features: DeviceFeatures = NO_FEATURES;
  private readonly bridging: Bridging<Device>;
  private readonly options: BridgeDeviceOptions;
  private readonly isPromiscuous: boolean;
  private readonly subscriptions = new Map<Device, Subscription>();

  constructor(options: BridgeDeviceOptions, env: Env) {
    const { name = 'bridge0', mac, promiscuous = false } = options;
    super(name, mac === undefined ? anyMac(env) : MacAddress.of(mac), ALL, env);
    this.options = options;
    this.isPromiscuous = promiscuous;
    this.bridging = new Bridging(options, env.random.uint32());
    this.bridging.stations.pin(this.mac.value, this);
    this.have([]);
  }

  override get countsTags(): boolean {
    return this.ports.some(countsTags);
  }

  get stations(): readonly StationInfo<Device>[] {
    return this.bridging.stations.list(this.env.timers.now());
  }

  add(port: Device): void {
    checkEthernet(port, 'the port');
    if (this.carries(port)) throw new UsageError('ERR_INVALID_OPTION', 'a bridge is no port of itself');
    if (this.ports.includes(port)) throw new UsageError('ERR_INVALID_OPTION', `'${port.name}' is a port already`);
    if (!this.open) throw new UsageError('ERR_INVALID_STATE', `the bridge '${this.name}' is closed`);
    this.have([...this.ports, port]);
    this.sitOn(port);
    const subscription = port.frames$.subscribe({
      next: (frame) => this.receive(frame, port),
      error: (error) => this.lost(port, error),
      complete: () => void this.remove(port),
    });
    if (this.ports.includes(port)) this.subscriptions.set(port, subscription);
  }

  remove(port: Device): boolean {
    if (!this.ports.includes(port)) return false;
    this.leave(port);
    this.have(this.ports.filter((other) => other !== port));
    this.subscriptions.get(port)?.unsubscribe();
    this.subscriptions.delete(port);
    this.bridging.stations.forget(port);
    return true;
  }

  pin(mac: MacAddress | string, port: Device): void {
    if (port !== this && !this.ports.includes(port)) {
      throw new UsageError('ERR_INVALID_OPTION', `'${port.name}' is no port of '${this.name}'`);
    }
    const { value, isGroup } = MacAddress.of(mac);
    if (isGroup) throw new UsageError('ERR_INVALID_OPTION', 'a group is behind no port');
    this.bridging.stations.pin(value, port);
  }

  unpin(mac: MacAddress | string): boolean {
    const { value } = MacAddress.of(mac);
    return value !== this.mac.value && this.bridging.stations.unpin(value);
  }

  /** What hosts on it send: a frame of ours. */
  protected override transmit(frame: TxFrame): void {
    const { bridging, env, ports } = this;
    const refusal =
      bridging.decide(frame, this, env.timers.now()) ?? (ports.length === 0 ? DropReason.DeviceUnknown : undefined);
    if (refusal !== undefined) return env.drops.refuse(refusal, frame, this.name);
    if (bridging.to !== undefined) return hand(frame, bridging.to);
    this.copyTo(ports.length - 1, frame, undefined);
    const last = ports[ports.length - 1];
    if (last !== undefined) hand(frame, last);
  }

  protected override detach(): void {
    for (const port of this.ports) this.remove(port);
  }

  protected override fit(): void {
    this.have(this.ports);
  }

  private lost(port: Device, error: unknown): void {
    this.remove(port);
    const { failed = (_: Device, what: unknown) => unhandled(what) } = this.options;
    failed(port, error);
  }

  /** Takes these as its ports, with the MTU and the features that follow from them. */
  private have(ports: readonly Device[]): void {
    const { mtu = ports.length === 0 ? DEFAULT_MTU : Math.min(MOST_MTU, ...ports.map((port) => port.mtu)) } =
      this.options;
    this.mtu = checkMtu(mtu);
    this.ports = ports;
    // What one port does is worth making: the others do it in software, no later than whoever makes the frame would have.
    this.features = {
      checksum: ports.some(({ features }) => features.checksum),
      segmentation: ports.some(({ features }) => features.segmentation),
      udpSegmentation: ports.some(({ features }) => features.udpSegmentation),
    };
    this.fitAbove();
  }

  /** What a port received: a frame that its driver releases. */
  private receive(frame: RxFrame, from: Device): void {
    const { bridging, env, intake } = this;
    const refusal = bridging.decide(frame, from, env.timers.now());
    if (refusal !== undefined) return env.drops.report(refusal, frame, this.name);
    const { to } = bridging;
    if (to === this) return intake.pass(frame);
    // The own port is given the frame itself, whose range it narrows, and so comes last.
    const isOurs = intake.observed && (this.isPromiscuous || bridging.isToGroup);
    const isAlone = to === undefined && !isOurs && this.ports.length < 2;
    if (isAlone) return env.drops.report(DropReason.DeviceUnknown, frame, this.name);
    if (to !== undefined) hand(isOurs ? env.pool.copy(frame) : frame.handOver(), to);
    else this.flood(frame, from, isOurs);
    if (isOurs) intake.pass(frame);
  }

  private flood(frame: Frame, from: Device, isOurs: boolean): void {
    const { ports } = this;
    const final = ports.length - 1;
    const last = isOurs ? ports.length : ports[final] === from ? final - 1 : final;
    this.copyTo(last, frame, from);
    const port = isOurs ? undefined : ports[last];
    if (port !== undefined) hand(frame.handOver(), port);
  }

  /** Sends copies by the first so many ports. */
  private copyTo(count: number, frame: Frame, from: Device | undefined): void {
    const { ports, env } = this;
    for (let i = 0; i < count; i++) {
      const port = ports[i];
      if (port !== undefined && port !== from) hand(env.pool.copy(frame), port);
    }
  }
}

function hand(frame: Frame, port: Device): void {
  frame.device = port;
  port.sink.next(asTx(frame));
}

/**
 * Makes a learning bridge between Ethernet devices that is a device itself: what it receives are the frames to its own address, to everybody
 * and to groups; what it sends goes to the port behind which the destination was last heard of, or to all of them.
 *
 * It passes frames on as they are, with open checksums and as super-segments: the ports do what their wires need. It never sends a
 * frame back where it came from, and keeps addresses that are for one segment only on it. There is no spanning tree. A port that
 * ends is one no more; the bridge and its ports are closed each on their own.
 *
 * **Drops** `EthernetTruncated`, `EthernetBadSource`, `BridgeSamePort`, `BridgeReserved`; `DeviceUnknown` what is sent without ports.
 * **State and timers** the table of stations; no timer.
 *
 * @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS`
 * @example
 * const lan = bridgeDevice([tap0, tap1], {}, env);
 * lan.frames$.pipe(host({ device: lan, addresses: ['10.0.0.1/24'] }, env)).subscribe(lan.sink);
 */
export function bridgeDevice(ports: readonly Device[], options: BridgeDeviceOptions, env: Env): BridgeDevice {
  const bridge = new OwnPort(options, env);
  for (const port of ports) bridge.add(port);
  return bridge;
}
