/**
 * What every driver does the same way: delivering received frames to subscribers, refusing frames that cannot be sent, and
 * the end of both. For those who write a driver of their own, too.
 */

import { Observable, type Subscriber, throwError } from 'rxjs';
import { MacAddress } from '../lib/core/address.js';
import { type Device, type DeviceFeatures, type Medium, NO_FEATURES } from '../lib/core/device.js';
import { DropReason } from '../lib/core/drops.js';
import type { Env } from '../lib/core/env.js';
import {
  asRx,
  asTx,
  ChecksumState,
  type Frame,
  type FramePool,
  GsoType,
  type RxFrame,
  type TxFrame,
  UNDER_WAY,
} from '../lib/core/frame.js';
import { asOnWire, withChecksum } from '../lib/wire/as-on-wire.js';
import { ETHERNET_HEADER, EtherType } from '../lib/wire/ethernet.js';
import { networkOffset } from '../lib/wire/network-offset.js';
import { longestSegment } from '../lib/wire/segmentation.js';
import { VLAN_TAG } from '../lib/wire/vlan.js';

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

/** Why a frame does not fit a device, or `undefined`. Of a super-segment it is the segments that must fit. */
export function misfit(frame: Frame, medium: Medium, mtu: number): DropReason | undefined {
  const { length } = frame;
  if (frame.gsoType !== GsoType.None) return misfitSegments(frame, medium, mtu);
  if (medium === 'ergot') return length > mtu ? DropReason.DeviceTooBig : undefined;
  if (medium === 'ip') {
    const version = length === 0 ? 0 : frame.slab.view.getUint8(frame.start) >>> 4;
    if (version !== 4 && version !== 6) return DropReason.IpUnknownVersion;
    return length > mtu ? DropReason.DeviceTooBig : undefined;
  }
  if (length < ETHERNET_HEADER) return DropReason.EthernetTruncated;
  if (length <= mtu + ETHERNET_HEADER) return undefined;
  return length > mtu + linkHeader(frame) ? DropReason.DeviceTooBig : undefined;
}

function misfitSegments(frame: Frame, medium: Medium, mtu: number): DropReason | undefined {
  const longest = longestSegment(frame, networkOffset(frame, medium));
  if (longest < 0) return DropReason.SuperSegmentBad;
  return longest > mtu ? DropReason.DeviceTooBig : undefined;
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
    frame.time = time;
    frame.wholeEnd = frame.end;
    this.pass(frame);
    frame.release();
  }

  /** Delivers a frame that another device received, and that it releases. */
  pass(frame: Frame): void {
    frame.device = this.device;
    const { subscribers } = this;
    const last = subscribers.length - 1;
    if (last < 0) this.env.drops.report(DropReason.DeviceUnwatched, frame, this.device.name);
    for (let i = 0; i < last; i++) {
      const copy = this.env.pool.copy(frame);
      subscribers[i]?.next(asRx(copy));
      copy.release();
    }
    if (last >= 0) subscribers[last]?.next(asRx(frame));
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
 * The sending half of a device: it takes any frame, whatever its metadata say, and hands on what the device itself can send. What does
 * not fit is refused; checksums are completed and super-segments cut where the device does not do it.
 */
export class Outlet {
  private readonly device: Device;
  private readonly env: Env;
  private readonly send: (frame: TxFrame) => void;
  private readonly sendPiece: (piece: Frame) => void;
  private readonly able: DeviceFeatures;

  /**
   * @param send takes over the reference of each frame that it is given; they come in order, within `next`
   * @param able what is left to the device: of frames that it is given `send` has to heed the metadata. Not the same as the features that
   * the device shows to those that make frames, which may well leave to the outlet what the device cannot do. Default: nothing
   */
  constructor(device: Device, env: Env, send: (frame: TxFrame) => void, able: DeviceFeatures = NO_FEATURES) {
    this.device = device;
    this.env = env;
    this.send = send;
    this.sendPiece = (piece) => send(asTx(piece));
    this.able = able;
  }

  /** Sends a frame, or what it stands for; takes over its reference. */
  next(frame: TxFrame): void {
    const { device, able } = this;
    const wrong = misfit(frame, device.medium, device.mtu);
    if (wrong !== undefined) this.env.drops.refuse(wrong, frame, device.name);
    else if (frame.gsoType !== GsoType.None) this.nextSuperSegment(frame);
    else if (frame.checksum !== ChecksumState.Partial || able.checksum) this.send(frame);
    else this.send(asTx(withChecksum(frame, this.env.pool)));
  }

  private nextSuperSegment(frame: TxFrame): void {
    const { device, env, able } = this;
    const isUdp = frame.gsoType === GsoType.UdpL4;
    const taken = isUdp ? able.udpSegmentation : able.segmentation;
    // A device that cuts also makes checksums anew, which it cannot if they are complete.
    if (taken && frame.checksum === ChecksumState.Partial) {
      this.send(frame);
      return;
    }
    const wrong = asOnWire(frame, device.medium, env.pool, this.sendPiece);
    if (wrong !== undefined) env.drops.refuse(wrong, frame, device.name);
  }
}

/**
 * For `sink.error`: a pipeline that failed does not close the device, but its error is not swallowed either: it goes where RxJS
 * sends errors that nobody handles. To handle it, subscribe with `{ ...device.sink, error(e) { ... } }`.
 */
export function unhandled(error: unknown): void {
  throwError(() => error).subscribe();
}

/** The frame with room for so many bytes in front, and nobody else's: a copy, where it is not. Takes over its reference. */
export function withHeadroom(frame: TxFrame, length: number, pool: FramePool): TxFrame {
  if (frame.writable && frame.start - frame.base >= length) return frame;
  const copy = asTx(pool.copy(frame));
  frame.release();
  return copy;
}

/** Gives back the copy of a received frame, if it is one that was delivered in its place: what became of that became of the frame. */
export function endCopy(own: Frame, frame: Frame): void {
  if (own === frame) return;
  if (frame.fate === UNDER_WAY) frame.fate = own.fate;
  own.release();
}
