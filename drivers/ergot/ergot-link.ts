/** What all devices of medium `ergot` are: without addresses of their own, and one frame at a time. */

import { MacAddress } from '../../lib/core/address.js';
import { type DeviceFeatures, NO_FEATURES } from '../../lib/core/device.js';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { checkMtu, VirtualDevice } from '../virtual-device.js';

/** Largest frame in bytes where nothing else says so: that of ergot's own links over TCP. */
export const ERGOT_MTU = 1024;

/** A link of an ergot node. Those who make one say where its frames go, and hand it those that come. */
export abstract class ErgotLink extends VirtualDevice {
  readonly mtu: number;
  readonly features: DeviceFeatures = NO_FEATURES;

  /** @throws UsageError `ERR_INVALID_OPTION` for an MTU that no link has */
  constructor(name: string, mtu: number, env: Env) {
    super(name, MacAddress.ZERO, NO_FEATURES, env, 'ergot');
    this.mtu = checkMtu(mtu);
  }

  /** Delivers the first `length` of these bytes, which came as one frame, or drops them as `ErgotTooLarge`. */
  protected deliver(bytes: Uint8Array, length: number): void {
    const { pool, drops, timers } = this.env;
    if (length > this.mtu) return drops.report(DropReason.ErgotTooLarge, undefined, this.name);
    const frame = pool.alloc(length);
    frame.slab.bytes.set(length === bytes.length ? bytes : bytes.subarray(0, length), frame.put(length));
    return this.intake.deliver(frame, timers.now());
  }
}
