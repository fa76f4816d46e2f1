/**
 * What every driver does the same way: delivering received frames to subscribers, refusing frames that cannot be sent, and
 * the end of both. For those who write a driver of their own, too.
 */

import { Observable, type Subscriber, throwError } from 'rxjs';
import { MacAddress } from '../lib/core/address.js';
import type { Device, Medium } from '../lib/core/device.js';
import { DropReason } from '../lib/core/drops.js';
import type { Env } from '../lib/core/env.js';
import { asRx, type Frame, GsoType, type RxFrame } from '../lib/core/frame.js';
import { ETHERNET_HEADER, EtherType } from '../lib/wire/ethernet.js';

const VLAN_TAG = 4;
const MOST_TAGS = 2;

/** Longest link header of a medium, in bytes. */
export function longestLinkHeader(medium: Medium): number {
  return medium === 'ethernet' ? ETHERNET_HEADER + MOST_TAGS * VLAN_TAG : 0;
}

/** Length of a frame's link header, its VLAN tags (at most two) included. */
function linkHeader(frame: Frame): number {
  const { view } = frame.slab;
  let length = ETHERNET_HEADER;
  for (let tags = 0; tags < MOST_TAGS; tags++) {
    const type = view.getUint16(frame.start + length - 2);
    if (type !== EtherType.Vlan && type !== EtherType.QinQ) break;
    length += VLAN_TAG;
    if (length > frame.length) break;
  }
  return length;
}

/** Why a frame does not fit a device, or `undefined`; super-segments are for the device to cut. */
export function misfit(frame: Frame, medium: Medium, mtu: number): DropReason | undefined {
  const { length } = frame;
  if (medium === 'ip') {
    const version = length === 0 ? 0 : frame.slab.view.getUint8(frame.start) >>> 4;
    if (version !== 4 && version !== 6) return DropReason.IpUnknownVersion;
    return length > mtu && frame.gsoType === GsoType.None ? DropReason.DeviceTooBig : undefined;
  }
  if (length < ETHERNET_HEADER) return DropReason.EthernetTruncated;
  if (length <= mtu + ETHERNET_HEADER || frame.gsoType !== GsoType.None) return undefined;
  return length > mtu + linkHeader(frame) ? DropReason.DeviceTooBig : undefined;
}

/** Ends an outgoing frame's way: see `Drops.refuse`. */
export function refuse(env: Env, reason: DropReason, frame: Frame, operator: string): void {
  env.drops.refuse(reason, frame, operator);
}

/** A locally administered unicast MAC address (IEEE 802 8.4), drawn from the environment. */
export function anyMac(env: Env): MacAddress {
  return new MacAddress(0x0200_0000_0000 + env.random.below(0x100_0000) * 0x1_0000 + env.random.below(0x1_0000));
}

/** The receiving half of a device: its subscribers. */
export class Intake {
  readonly frames$: Observable<RxFrame>;
  private subscribers: readonly Subscriber<RxFrame>[] = [];
  private ended = false;
  private failure: unknown = undefined;
  private readonly env: Env;
  private readonly device: Device;

  constructor(device: Device, env: Env) {
    this.device = device;
    this.env = env;
    this.frames$ = new Observable((subscriber) => this.add(subscriber));
  }

  /** Whether anybody is subscribed. */
  get observed(): boolean {
    return this.subscribers.length > 0;
  }

  /**
   * Delivers a received frame, takes over its reference, and releases it when the subscribers have returned. Each of several
   * subscribers gets a frame of its own, since layers narrow frames and may change them; the last one gets the original.
   */
  deliver(frame: Frame, time: number): void {
    frame.device = this.device;
    frame.time = time;
    frame.wholeEnd = frame.end;
    const { subscribers } = this;
    const last = subscribers.length - 1;
    if (last < 0) this.env.drops.report(DropReason.DeviceUnwatched, frame, this.device.name);
    for (let i = 0; i < last; i++) {
      const copy = this.env.pool.copy(frame);
      subscribers[i]?.next(asRx(copy));
      copy.release();
    }
    if (last >= 0) subscribers[last]?.next(asRx(frame));
    frame.release();
  }

  /** Completes `frames$`, for later subscribers too. */
  complete(): void {
    if (this.ended) return;
    this.ended = true;
    for (const subscriber of this.take()) subscriber.complete();
  }

  /** Errors `frames$`, for later subscribers too. */
  fail(error: unknown): void {
    if (this.ended) return;
    this.ended = true;
    this.failure = error;
    for (const subscriber of this.take()) subscriber.error(error);
  }

  private take(): readonly Subscriber<RxFrame>[] {
    const { subscribers } = this;
    this.subscribers = [];
    return subscribers;
  }

  private add(subscriber: Subscriber<RxFrame>): (() => void) | undefined {
    if (this.failure !== undefined) subscriber.error(this.failure);
    else if (this.ended) subscriber.complete();
    else this.subscribers = [...this.subscribers, subscriber];
    return () => {
      this.subscribers = this.subscribers.filter((other) => other !== subscriber);
    };
  }
}

/**
 * For `sink.error`: a pipeline that failed does not close the device, but its error is not swallowed either: it goes where RxJS
 * sends errors that nobody handles. To handle it, subscribe with `{ ...device.sink, error(e) { ... } }`.
 */
export function unhandled(error: unknown): void {
  throwError(() => error).subscribe();
}
