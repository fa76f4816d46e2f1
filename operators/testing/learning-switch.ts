import { bridge, type BridgeOptions } from '../l2/bridge.js';
import type { NetworkNode } from './network-options.js';

/**
 * A switch for `nodes` of a simulated network: a {@link bridge} between all links that it is on.
 *
 * @example
 * network({
 *   hosts: { a: '10.0.0.1/24', b: '10.0.0.2/24' },
 *   nodes: { sw: learningSwitch() },
 *   links: { left: { between: ['a', 'sw'] }, right: { between: ['b', 'sw'] } },
 * });
 */
export function learningSwitch(options: BridgeOptions = {}): NetworkNode {
  return (devices, env) => bridge(Object.values(devices), options, env);
}
