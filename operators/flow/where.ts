import type { MonoTypeOperatorFunction } from 'rxjs';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { defaultEnvironment } from '../time/environment.js';
import { layer } from './layer.js';
import { frameOf, type Packet } from './packet.js';

/**
 * Lets through the received packets that fulfil a condition, and accounts for the others: the `filter` of packets.
 *
 *     in     --a--b--c--|
 *     out    --a-----c--|
 *     drops  -----b------
 *
 * **Drops** `reason` where the condition is not fulfilled, `CallbackThrew` where it throws.
 * **State and timers** none.
 *
 * @example
 * link$.on(EtherType.Ipv4).pipe(ipv4({ addresses }), where((packet) => packet.hopLimit > 1))
 */
export function where<T extends Packet>(
  predicate: (packet: T) => boolean,
  reason: DropReason = DropReason.Filtered,
  env: Env = defaultEnvironment(),
): MonoTypeOperatorFunction<T> {
  return layer(() => (packet) => {
    const wrong = refuse(packet, predicate, reason);
    return wrong === undefined ? packet : env.drops.report(wrong, frameOf(packet), 'where');
  });
}

/**
 * The same for outgoing packets, which come with their reference: a refused one is released.
 *
 *     in     --a--b--c--|
 *     out    --a-----c--|
 *     drops  -----b------
 *
 * **Drops** `reason` where the condition is not fulfilled, `CallbackThrew` where it throws.
 * **State and timers** none.
 *
 * @example
 * frames$.pipe(host, whereOutgoing((frame) => frame.length < 1000)).subscribe(tap.sink)
 */
export function whereOutgoing<T extends Packet>(
  predicate: (packet: T) => boolean,
  reason: DropReason = DropReason.Filtered,
  env: Env = defaultEnvironment(),
): MonoTypeOperatorFunction<T> {
  return layer(() => (packet) => {
    const wrong = refuse(packet, predicate, reason);
    if (wrong === undefined) return packet;
    const frame = frameOf(packet);
    env.drops.report(wrong, frame, 'whereOutgoing');
    frame.release();
    return undefined;
  });
}

function refuse<T>(packet: T, predicate: (packet: T) => boolean, reason: DropReason): DropReason | undefined {
  try {
    return predicate(packet) ? undefined : reason;
  } catch {
    return DropReason.CallbackThrew;
  }
}
