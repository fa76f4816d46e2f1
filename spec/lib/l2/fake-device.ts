/** A device whose input is a Subject and whose output is a list, and an environment in virtual time. */

import { Subject } from 'rxjs';
import { MacAddress } from '../../../lib/core/address.js';
import { type Device, type Medium, NO_FEATURES } from '../../../lib/core/device.js';
import type { Env } from '../../../lib/core/env.js';
import { asRx, Frame, FramePool, type RxFrame, Slab, type TxFrame } from '../../../lib/core/frame.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';

export interface VirtualEnv extends Env {
  readonly scheduler: SimulationScheduler;
}

/** An environment in virtual time, with a poisoned pool. */
export function virtualEnv(seed = 1): VirtualEnv {
  const scheduler = new SimulationScheduler();
  return { ...environment({ scheduler, seed, pool: new FramePool({ poison: true }) }), scheduler };
}

export interface FakeDevice extends Device {
  readonly input: Subject<RxFrame>;
  /** Copies of the frames that were sent. */
  readonly sent: Uint8Array[];
  /** Delivers a frame as a driver does: from the pool, released when `next` returns. Returns its fate. */
  receive(bytes: Uint8Array): number;
}

export function fakeDevice(
  env: Env,
  options: { name?: string; mac?: string; mtu?: number; medium?: Medium } = {},
): FakeDevice {
  const input = new Subject<RxFrame>();
  const sent: Uint8Array[] = [];
  const device: FakeDevice = {
    name: options.name ?? 'fake0',
    mac: MacAddress.parse(options.mac ?? '02:00:00:00:00:01'),
    mtu: options.mtu ?? 1500,
    medium: options.medium ?? 'ethernet',
    features: NO_FEATURES,
    frames$: input,
    sink: {
      next(frame: TxFrame) {
        sent.push(Uint8Array.from(frame.bytes()));
        frame.release();
      },
      error() {},
      complete() {},
    },
    input,
    sent,
    receive(bytes) {
      const frame = env.pool.alloc(bytes.length);
      frame.slab.bytes.set(bytes, frame.put(bytes.length));
      frame.wholeEnd = frame.end;
      frame.device = device;
      frame.time = env.timers.now();
      input.next(asRx(frame));
      const { fate } = frame;
      frame.release();
      return fate;
    },
    close: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return device;
}

/** The bytes that `build` pushes into an empty frame; up to 64 KiB and more. */
export function bytesOf(build: (frame: Frame) => void): Uint8Array {
  const slab = new Slab(70_000);
  const frame = new Frame(slab, 0, slab.bytes.length);
  frame.start = frame.end = slab.bytes.length;
  build(frame);
  return Uint8Array.from(frame.bytes());
}
