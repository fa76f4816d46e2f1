/**
 * Translators between the versions of IP as devices: a packet that is routed to one comes out of it again, in the other version. Whatever a router does for
 * other packets (routes, firewall, connection tracking, NAT, path MTUs, ICMP errors) it does for these, too, once on each side.
 */

import type { Observable, Observer } from 'rxjs';
import { MacAddress } from '../lib/core/address.js';
import type { Device, DeviceFeatures } from '../lib/core/device.js';
import { DropReason } from '../lib/core/drops.js';
import type { Env } from '../lib/core/env.js';
import { type Frame, type RxFrame, type TxFrame, UNDER_WAY } from '../lib/core/frame.js';
import type { Timer } from '../lib/core/timers.js';
import { Nat64Machine, type Nat64Mapping, type Nat64Options, type PacketTranslator } from '../lib/l4/nat64/nat64.js';
import { StatelessMapper, type StatelessOptions } from '../lib/l4/nat64/stateless.js';
import { Translator, type TranslatorOptions } from '../lib/l4/nat64/translator.js';
import { Intake, Outlet, unhandled } from './port.js';

/** What a packet may be at most. */
const MTU = 65_535;
const FEATURES: DeviceFeatures = { checksum: true, segmentation: true, udpSegmentation: true };
/** Frames that wait at most. */
const QUEUE = 4096;

/** Options that all translator devices have. */
export interface TranslatorDeviceOptions {
  /** Default `nat64` or `siit`. */
  readonly name?: string;
  /**
   * Runs deliveries soon. Default: a timer of the environment that is due at once, which is exact in virtual time; on the wall clock
   * a timer takes about a millisecond, and `queueMicrotask` is the faster choice.
   */
  readonly defer?: (run: () => void) => void;
}

/** A NAT64 as a device. */
export interface Nat64Device extends Device {
  /** The mappings as they are now. */
  list(): Nat64Mapping[];
}

class TranslatorDevice implements Device {
  readonly name: string;
  readonly mac: MacAddress = MacAddress.ZERO;
  readonly mtu: number = MTU;
  readonly medium = 'ip';
  readonly features: DeviceFeatures = FEATURES;
  readonly frames$: Observable<RxFrame>;
  readonly sink: Observer<TxFrame>;
  private readonly machine: PacketTranslator;
  private readonly env: Env;
  private readonly intake: Intake;
  private readonly timer: Timer;
  private readonly defer: (run: () => void) => void;
  private readonly keep: (frame: Frame) => void;
  private waiting: Frame[] = [];
  private deferred = false;
  private open = true;

  constructor(name: string, machine: PacketTranslator, options: TranslatorDeviceOptions, env: Env) {
    this.name = options.name ?? name;
    this.machine = machine;
    this.env = env;
    this.intake = new Intake(this, env);
    this.frames$ = this.intake.frames$;
    this.timer = env.timers.timer(() => this.deliver());
    this.defer = options.defer ?? (() => this.timer.arm(env.timers.now()));
    this.keep = (frame) => this.enqueue(frame.retain());
    machine.reply = (packet) => this.enqueue(packet);
    const outlet = new Outlet(this, env, (frame) => this.transmit(frame), FEATURES);
    const next = (frame: TxFrame): void => {
      if (this.open) outlet.next(frame);
      else env.drops.refuse(DropReason.DeviceDown, frame, this.name);
    };
    this.sink = { next, error: unhandled, complete: () => undefined };
  }

  close(): Promise<void> {
    if (this.open) {
      this.open = false;
      this.timer.cancel();
      this.machine.reply = undefined;
      this.machine.dispose();
      for (const frame of this.waiting.splice(0)) this.env.drops.refuse(DropReason.DeviceDown, frame, this.name);
      this.intake.complete();
    }
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Takes over the reference of a packet. */
  private transmit(frame: TxFrame): void {
    const { drops } = this.env;
    // What it met with on its way to this device has been told.
    if (frame.exclusive) frame.fate = UNDER_WAY;
    if (this.machine.translate(frame, frame.start, this.keep)) frame.release();
    else drops.refuse(DropReason.NatNoMapping, frame, this.name);
  }

  /** Takes over a reference. */
  private enqueue(frame: Frame): void {
    if (this.waiting.length >= QUEUE) return this.env.drops.refuse(DropReason.DeviceQueueFull, frame, this.name);
    this.waiting.push(frame);
    if (this.deferred) return undefined;
    this.deferred = true;
    return this.defer(() => this.deliver());
  }

  private deliver(): void {
    this.deferred = false;
    const { waiting } = this;
    if (waiting.length === 0) return;
    this.waiting = [];
    const time = this.env.timers.now();
    for (const frame of waiting) {
      arrived(frame);
      this.intake.deliver(frame, time);
    }
  }
}

/** A packet that is about to come in: of its way here nothing counts but what is known of its checksum and its segments. */
function arrived(frame: Frame): void {
  frame.renew();
  frame.fate = UNDER_WAY;
  frame.fragmentSize = frame.translation = 0;
}

/**
 * Makes a NAT64 as a device, for routers and hosts: what is sent to it by IPv6, to `prefix`, comes in from it by IPv4, from an address of `pool`, and the
 * other way round (RFC 6146, RFC 7915). Route both to it; see `nat64` of the operators for what it does and drops. It is no hop of its own: the router
 * takes one off the hop limit on each side.
 *
 * @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS`
 * @example
 * const device = nat64Device({ pool: ['192.0.2.64'] }, env);
 * const me = router({ interfaces: [lan, wan, { device }], routes: [
 *   { destination: '64:ff9b::/96', device },
 *   { destination: '192.0.2.64/32', device },
 * ] }, env);
 */
export function nat64Device(options: Nat64Options & TranslatorDeviceOptions, env: Env): Nat64Device {
  const machine = new Nat64Machine({ decrementHopLimit: false, ...options }, env);
  return Object.assign(new TranslatorDevice('nat64', machine, options, env), { list: () => machine.list() });
}

/**
 * Makes a stateless translator as a device: see {@link nat64Device}, and `siit` of the operators.
 *
 * @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS`
 */
export function siitDevice(options: StatelessOptions & TranslatorOptions & TranslatorDeviceOptions, env: Env): Device {
  const translator = new Translator(new StatelessMapper(options), { decrementHopLimit: false, ...options }, env);
  return new TranslatorDevice('siit', translator, options, env);
}
