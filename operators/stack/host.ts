/**
 * A host: an operator from received frames to frames to send. It is nothing but a composition of public operators; read
 * `host-pipeline` and take it apart, re-order it or replace its parts as you need.
 */

import type { Env } from '../../lib/core/env.js';
import { defaultEnvironment } from '../time/environment.js';
import type { Host, HostOptions } from './host-api.js';
import { hostOf, hostParts } from './host-parts.js';
import { endSystem, hostPipeline } from './host-pipeline.js';

export type { Host, HostConflict, HostInterface, HostOptions, HostStats } from './host-api.js';

/**
 * Makes a host: ARP, neighbour discovery, IPv4, IPv6, ICMP, UDP and TCP over one or more devices.
 *
 *     in   --a--e--s-----|     a: who has our address? e: echo request, s: SYN to a listener
 *     out  --A--E--S-----|     A: it is at our MAC, E: echo reply, S: SYN-ACK
 *
 * Give the frames of all its devices in (`merge` them; each knows its device), and send what comes out by `frame.device` (with
 * one device that is its sink). The host lives as long as the subscription, of which there is one: when it ends, connections end
 * with `ENETDOWN`, and no timer and no frame is left. Listeners and sockets may be made before.
 *
 * **Drops** those of its operators. **State and timers** those of its operators.
 *
 * @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS`; when subscribed twice, `ERR_INVALID_STATE`
 * @example
 * const me = host({ device: tap, addresses: ['10.77.0.2/24', 'fd77::2/64'], gateway: '10.77.0.1' });
 * tap.frames$.pipe(me).subscribe(tap.sink);
 * nodeNet(me.tcp).createServer((socket) => socket.on('error', () => socket.destroy()).pipe(socket)).listen(7);
 */
export function host(options: HostOptions, env: Env = defaultEnvironment()): Host {
  const parts = hostParts(options, env);
  return hostOf(parts, hostPipeline(parts, endSystem(parts)));
}
