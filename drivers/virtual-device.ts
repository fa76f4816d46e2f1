/** What devices that are made of other devices have in common: their two halves, and their end. */

import type { Observable, Observer } from 'rxjs';
import type { MacAddress } from '../lib/core/address.js';
import type { Device, DeviceFeatures, Medium } from '../lib/core/device.js';
import { DropReason } from '../lib/core/drops.js';
import type { Env } from '../lib/core/env.js';
import { UsageError } from '../lib/core/errors.js';
import type { RxFrame, TxFrame } from '../lib/core/frame.js';
import { Intake, Outlet, unhandled } from './port.js';

/** The least MTU that every link of IPv4 has (RFC 791 3.2), and the most that a packet's length field can say. */
export const LEAST_MTU = 68;
export const MOST_MTU = 65_535;

/** A device in software. Those who make one say where its frames go, and hand it those that come. */
export abstract class VirtualDevice implements Device {
  readonly name: string;
  readonly mac: MacAddress;
  readonly medium: Medium;
  readonly frames$: Observable<RxFrame>;
  readonly sink: Observer<TxFrame>;
  /** Until it is closed, or has failed. */
  open = true;
  protected readonly env: Env;
  protected readonly intake: Intake;
  /** Devices that are made of this one. */
  private readonly above = new Set<VirtualDevice>();

  /** @param able what `transmit` heeds of the metadata of frames */
  constructor(name: string, mac: MacAddress, able: DeviceFeatures, env: Env, medium: Medium = 'ethernet') {
    this.name = name;
    this.mac = mac;
    this.medium = medium;
    this.env = env;
    this.intake = new Intake(this, env);
    this.frames$ = this.intake.frames$;
    const outlet = new Outlet(this, env, (frame) => this.transmit(frame), able);
    const next = (frame: TxFrame): void => {
      if (this.open) outlet.next(frame);
      else env.drops.refuse(DropReason.DeviceDown, frame, name);
    };
    this.sink = { next, error: unhandled, complete: () => undefined };
  }

  /** Whether the tags of its frames count against its MTU, since they take room of a packet around them. */
  get countsTags(): boolean {
    return false;
  }

  abstract get mtu(): number;
  abstract get features(): DeviceFeatures;

  /** Completes `frames$`. What the device is made of stays open. */
  close(): Promise<void> {
    if (this.end()) this.intake.complete();
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Ends as what it is made of did: with an error. */
  fail(error: unknown): void {
    if (this.end()) this.intake.fail(error);
  }

  /** Takes over the reference of a frame that fits. */
  protected abstract transmit(frame: TxFrame): void;

  /** Lets go of what it is made of. */
  protected abstract detach(): void;

  /** From now on it is fitted anew when the MTU or the features of that device change. */
  protected sitOn(device: Device): void {
    if (device instanceof VirtualDevice) device.above.add(this);
  }

  /** Whether that device is this one, or made of it. */
  protected carries(device: Device): boolean {
    return device === this || [...this.above].some((one) => one.carries(device));
  }

  protected leave(device: Device): void {
    if (device instanceof VirtualDevice) device.above.delete(this);
  }

  /** Takes the MTU and the features that follow from those of what it is made of. */
  protected fit(): void {
    this.fitAbove();
  }

  /** To be called whenever its own have changed. */
  protected fitAbove(): void {
    for (const device of this.above) device.fit();
  }

  private end(): boolean {
    const { open } = this;
    this.open = false;
    if (open) this.detach();
    return open;
  }
}

/** Whether tags count against the MTU of a device: of most they do not. */
export function countsTags(device: Device): boolean {
  return device instanceof VirtualDevice && device.countsTags;
}

/** @throws UsageError `ERR_INVALID_OPTION` for a device that frames of Ethernet cannot go through */
export function checkEthernet(device: Device, role: string): void {
  if (device.medium === 'ethernet') return;
  throw new UsageError('ERR_INVALID_OPTION', `${role} '${device.name}' is no Ethernet device`);
}

/** @throws UsageError `ERR_INVALID_OPTION` for an MTU that no link has */
export function checkMtu(mtu: number, most: number = MOST_MTU): number {
  if (Number.isInteger(mtu) && mtu >= LEAST_MTU && mtu <= most) return mtu;
  throw new UsageError('ERR_INVALID_OPTION', `an MTU is a whole number from ${LEAST_MTU} to ${most}, not ${mtu}`);
}
