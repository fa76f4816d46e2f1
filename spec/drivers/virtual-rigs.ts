/** Rigs of virtual devices over cables in memory, for the compliance suite. */

import { bridgeDevice } from '../../drivers/bridge.js';
import type { Rig } from '../../drivers/compliance.js';
import { link, type LinkEnd } from '../../drivers/link.js';
import { vlanDevice, type VlanDeviceOptions } from '../../drivers/vlan.js';
import type { Device } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import { asTx, Frame, FramePool, type TxFrame } from '../../lib/core/frame.js';
import { popVlanTag, pushVlanTag } from '../../lib/wire/vlan.js';
import { environment } from '../../operators/time/environment.js';
import { SimulationScheduler } from '../../operators/time/simulation-scheduler.js';

export interface VirtualBench {
  readonly env: Env;
  readonly scheduler: SimulationScheduler;
}

export function virtualBench(seed = 1): VirtualBench {
  const scheduler = new SimulationScheduler();
  return { scheduler, env: environment({ scheduler, seed, pool: new FramePool({ poison: true }) }) };
}

/** A frame to send that holds a copy of these bytes. */
export function txOf(bytes: Uint8Array, env: Env): TxFrame {
  const frame = env.pool.alloc(bytes.length);
  frame.slab.bytes.set(bytes, frame.put(bytes.length));
  return asTx(frame);
}

/** How the frames of a virtual device look on the wire under it. */
interface Wrapping {
  readonly wrap: (frame: Frame) => void;
  /** Says whether the frame is of the device. */
  readonly unwrap: (frame: Frame) => boolean;
}

/** A device that `make` builds on the near end of a cable. */
export function virtualRig(make: (near: LinkEnd, env: Env) => Device, { wrap, unwrap }: Wrapping): Rig {
  const { env, scheduler } = virtualBench();
  const wire = link({}, env);
  const [near, far] = wire.ends;
  const sent: Uint8Array[] = [];
  far.frames$.subscribe((frame) => {
    const copy = Frame.from(frame.bytes());
    if (unwrap(copy)) sent.push(Uint8Array.from(copy.bytes()));
  });
  const injectFrame = (frame: TxFrame): void => {
    wrap(frame);
    far.sink.next(frame);
  };
  return {
    device: make(near, env),
    env,
    inject: (bytes) => injectFrame(txOf(bytes, env)),
    injectFrame,
    sent: () => sent,
    settle: () => Promise.resolve(scheduler.runFor(1000)),
    pendingTimers: () => scheduler.pending,
    dispose: () => wire.close(),
  };
}

/** VLAN devices one on the other, the outermost tag's first. */
export function vlanRig(...layers: readonly VlanDeviceOptions[]): Rig {
  return virtualRig((near, env) => layers.reduce<Device>((parent, options) => vlanDevice(parent, options, env), near), {
    wrap(frame) {
      for (const { vid, protocol } of layers.toReversed()) pushVlanTag(frame, { vid, priority: 5 }, protocol);
    },
    unwrap: (frame) => layers.every(() => popVlanTag(frame)),
  });
}

/** A bridge of two cables, of which the tests see one. */
export function bridgeRig(): Rig {
  const plain = { wrap: () => undefined, unwrap: () => true };
  return virtualRig((near, env) => bridgeDevice([link({}, env).ends[0], near], {}, env), plain);
}
