import type { MonoTypeOperatorFunction } from 'rxjs';
import type { Device } from '../../lib/core/device.js';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { defaultEnvironment } from '../time/environment.js';
import { layer } from './layer.js';
import { frameOf, type Packet } from './packet.js';

/** What {@link tag} and {@link tagOutgoing} set: values, or functions of the packet. What is absent stays as it is. */
export interface Tags<T> {
  readonly mark?: number | ((packet: T) => number);
  readonly flow?: number | ((packet: T) => number);
  /** The device that a frame came in by or is to leave by. */
  readonly device?: Device | ((packet: T) => Device | undefined);
}

/**
 * Sets mark, flow or device of each received packet's frame, which later layers keep.
 *
 *     in   --a--b--|
 *     out  --a--b--|     marked
 *
 * **Drops** `CallbackThrew`.
 * **State and timers** none.
 *
 * @example
 * merge(a.frames$.pipe(tag({ device: a })), b.frames$.pipe(tag({ device: b, mark: 2 })))
 */
export function tag<T extends Packet>(tags: Tags<T>, env: Env = defaultEnvironment()): MonoTypeOperatorFunction<T> {
  const isSet = setting(tags);
  return layer(() => (packet) => {
    if (isSet(packet)) return packet;
    return env.drops.report(DropReason.CallbackThrew, frameOf(packet), 'tag');
  });
}

/**
 * The same for outgoing packets, which come with their reference: one that cannot be marked is released.
 *
 *     in   --a--b--|
 *     out  --a--b--|     marked
 *
 * **Drops** `CallbackThrew`.
 * **State and timers** none.
 *
 * @example
 * frames$.pipe(host, tagOutgoing({ device: (frame) => (frame.mark === 2 ? b : a) })).subscribe(toDevices(a, b))
 */
export function tagOutgoing<T extends Packet>(
  tags: Tags<T>,
  env: Env = defaultEnvironment(),
): MonoTypeOperatorFunction<T> {
  const isSet = setting(tags);
  return layer(() => (packet) => {
    if (isSet(packet)) return packet;
    env.drops.refuse(DropReason.CallbackThrew, frameOf(packet), 'tagOutgoing');
    return undefined;
  });
}

/** Sets what is to be set of a packet; false where a function threw. */
function setting<T extends Packet>({ mark, flow, device }: Tags<T>): (packet: T) => boolean {
  return (packet) => {
    const frame = frameOf(packet);
    try {
      if (mark !== undefined) frame.mark = typeof mark === 'function' ? mark(packet) : mark;
      if (flow !== undefined) frame.flow = typeof flow === 'function' ? flow(packet) : flow;
      if (device !== undefined) frame.device = typeof device === 'function' ? device(packet) : device;
    } catch {
      return false;
    }
    return true;
  };
}
