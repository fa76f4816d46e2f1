/** What of a TAP or TUN adapts to its traffic, by its options. */

import type { Timers } from '../../lib/core/timers.js';
import { BulkSteering } from './bulk-steering.js';
import type { OpenedTun } from './open-tun.js';
import { type Adaptive, TrafficWatch } from './traffic.js';
import type { TunDeviceOptions } from './tun-options.js';
import { WakeLatency } from './wake-latency.js';

/** Of an interface that has one queue, and no super-segments: with few long frames there is nothing to gain by other processors. */
function steering({ name, offloads, isOwn }: OpenedTun, options: TunDeviceOptions): BulkSteering | undefined {
  const { receiveProcessors, multiQueue } = options;
  if (offloads.vnetHeader) return undefined;
  if (receiveProcessors === 'adaptive') return new BulkSteering(name);
  if (receiveProcessors !== undefined || !isOwn || multiQueue === true) return undefined;
  try {
    return new BulkSteering(name);
  } catch {
    // Nobody asked for it, and everything goes without, too.
    return undefined;
  }
}

/**
 * Watches the traffic of an interface of this thread's network namespace, where anything adapts to it.
 *
 * @throws NetError what is asked for cannot be had: see `WakeLatency`, `BulkSteering`
 */
export function watchTraffic(opened: OpenedTun, options: TunDeviceOptions, timers: Timers): TrafficWatch | undefined {
  const adaptive: Adaptive[] = [];
  try {
    if (options.wakeLatency !== undefined) adaptive.push(new WakeLatency(options.wakeLatency));
    const bulk = steering(opened, options);
    if (bulk !== undefined) adaptive.push(bulk);
  } catch (error) {
    for (const one of adaptive) one.close();
    throw error;
  }
  return adaptive.length === 0 ? undefined : new TrafficWatch(adaptive, timers);
}
