/** Rigs of virtual devices over cables in memory, for the compliance suite. */

import { bridgeDevice } from '../../drivers/bridge.js';
import type { Rig } from '../../drivers/compliance.js';
import { link, type LinkEnd } from '../../drivers/link.js';
import { vlanDevice, type VlanDeviceOptions } from '../../drivers/vlan.js';
import { vxlanDevice } from '../../drivers/vxlan.js';
import type { Device } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import { asTx, Frame, FramePool, type TxFrame } from '../../lib/core/frame.js';
import { popVlanTag, pushVlanTag } from '../../lib/wire/vlan.js';
import { host } from '../../operators/stack/host.js';
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

/** One end of a VXLAN of two hosts; the tests see the other end. */
export function vxlanRig(version: 4 | 6): Rig {
  const { env, scheduler } = virtualBench();
  const wire = link({}, env);
  const addresses = version === 4 ? ['192.0.2.1', '192.0.2.2'] : ['2001:db8::1', '2001:db8::2'];
  const ends = wire.ends.map((device, i) => {
    const me = host({ device, addresses: [`${addresses[i]}/${version === 4 ? 24 : 64}`] }, env);
    const on = device.frames$.pipe(me).subscribe(device.sink);
    const end = vxlanDevice({ vni: 42, underlay: me, peers: [addresses[1 - i] ?? ''] }, env);
    return { on, end };
  });
  const [near, far] = ends;
  if (near === undefined || far === undefined) throw new Error('a cable has two ends');
  scheduler.runFor(5000);
  // The hosts find each other: only few frames wait for that.
  near.end.sink.next(txOf(new Uint8Array(14).fill(2), env));
  scheduler.runFor(100);
  const sent: Uint8Array[] = [];
  far.end.frames$.subscribe((frame) => void sent.push(Uint8Array.from(frame.bytes())));
  return {
    device: near.end,
    env,
    inject: (bytes) => far.end.sink.next(txOf(bytes, env)),
    injectFrame: (frame) => far.end.sink.next(frame),
    sent: () => sent,
    settle: () => Promise.resolve(scheduler.runFor(1000)),
    dispose: () => {
      for (const { on } of ends) on.unsubscribe();
    },
  };
}
