/** What of a TAP or TUN adapts to its traffic, by its options. */

import type { Timers } from '../../lib/core/timers.js';
import { BulkSteering } from './bulk-steering.js';
import { type Adaptive, TrafficWatch } from './traffic.js';
import type { TunDeviceOptions } from './tun-options.js';
import { WakeLatency } from './wake-latency.js';

/**
 * Watches the traffic of an interface of this thread's network namespace, where anything adapts to it.
 *
 * @param offload whether the kernel's side gets super-segments: with few long frames there is nothing to gain by other processors
 * @throws NetError what is asked for cannot be had: see `WakeLatency`, `BulkSteering`
 */
export function watchTraffic(
  name: string,
  offload: boolean,
  { wakeLatency, receiveProcessors }: TunDeviceOptions,
  timers: Timers,
): TrafficWatch | undefined {
  const adaptive: Adaptive[] = [];
  try {
    if (wakeLatency !== undefined) adaptive.push(new WakeLatency(wakeLatency));
    if (receiveProcessors === 'adaptive' && !offload) adaptive.push(new BulkSteering(name));
  } catch (error) {
    for (const one of adaptive) one.close();
    throw error;
  }
  return adaptive.length === 0 ? undefined : new TrafficWatch(adaptive, timers);
}
