/** A device of a TAP over a stand-in for the C library. */

import { constants } from 'node:os';
import { TunDevice } from '../../../drivers/native/tun-device.js';
import type { TunDeviceOptions } from '../../../drivers/native/tun-options.js';
import { MacAddress } from '../../../lib/core/address.js';
import type { Env } from '../../../lib/core/env.js';
import { asTx, FramePool, type TxFrame } from '../../../lib/core/frame.js';
import { environment } from '../../../operators/time/environment.js';
import { StandInLibc } from './stand-in-libc.js';

const { EAGAIN } = constants.errno;

/** See {@link make}. */
export interface TunDeviceRig {
  readonly c: StandInLibc;
  readonly env: Env;
  readonly device: TunDevice;
  /** Its descriptor. */
  readonly fd: number;
  /** Sends frames of these lengths; resolves when they have been written, if they can be. */
  readonly send: (...lengths: readonly number[]) => Promise<void>;
}

/** Makes a device, with an io_uring or without, that has nothing to read yet. */
export function make(
  options: TunDeviceOptions = {},
  vnetHeader = false,
  uring = false,
  c: StandInLibc = new StandInLibc(),
): TunDeviceRig {
  c.uring = uring;
  c.reads.push(-EAGAIN);
  const env = environment({ pool: new FramePool({ poison: !vnetHeader }) });
  const fd = StandInLibc.descriptor();
  const settings = {
    fd,
    name: 'tap0',
    medium: 'ethernet',
    mac: MacAddress.parse('02:00:00:00:00:01'),
    offloads: { vnetHeader, udpSegmentation: false },
    isOwn: false,
  } as const;
  const device = new TunDevice(settings, { io: 'calls', ...options }, env, c.libc);
  // One made sure that the ring serves.
  c.enters = 0;
  /** A frame that its length tells from others. */
  const frame = (length: number): TxFrame => {
    const made = env.pool.alloc(length);
    made.put(length);
    made.slab.bytes.fill(0, made.start, made.end);
    return asTx(made);
  };
  const send = (...lengths: readonly number[]) => {
    for (const length of lengths) device.sink.next(frame(length));
    return Promise.resolve();
  };
  return { c, env, device, fd, send };
}

/** Clears the slots of a pool: what is read from a stand-in is what lies there already, and no virtio-net header is one of zeros. */
export function zero(pool: FramePool): void {
  const frames = Array.from({ length: 256 }, (_, i) => pool.alloc(i < 192 ? 1 : 65_535));
  for (const frame of frames) {
    frame.slab.bytes.fill(0, frame.base, frame.limit);
    frame.release();
  }
}
