import { map, type MonoTypeOperatorFunction, type Observable } from 'rxjs';
import type { Env } from '../../lib/core/env.js';
import type { Ipv4Packet } from '../../lib/wire/ipv4.js';
import type { Ipv6Packet } from '../../lib/wire/ipv6.js';
import { findPayload, isExtension } from '../../lib/wire/ipv6-extensions.js';
import { demux } from '../flow/demux.js';
import { funnel } from '../flow/funnel.js';
import { layer } from '../flow/layer.js';
import { defaultEnvironment } from '../time/environment.js';
import { reassemble, type ReassembleOptions } from './reassemble.js';

/**
 * Puts fragmented packets together on their way, so that what looks at ports sees whole packets; others pass. What was in pieces leaves in pieces
 * that are no larger (`frame.fragmentSize`).
 *
 *     in   --1--3--2--p--|     1, 2, 3: fragments of one packet
 *     out  --------W--p--|
 *
 * Packets come, and go, as whole IP packets, as `ip` reads them. A router has this in front of its hooks.
 *
 * **Drops** those of `reassemble`. **State and timers** those of `reassemble`, for each IP version.
 *
 * @example
 * packets$.pipe(defragment(), tracked, firewall(rules))
 */
export function defragment(
  options: Omit<ReassembleOptions, 'transit'> = {},
  env: Env = defaultEnvironment(),
): MonoTypeOperatorFunction<Ipv4Packet | Ipv6Packet> {
  const reassembly = { ...options, transit: true };
  return (packets$) => {
    const versions$ = demux(packets$, ({ version }) => version, {}, env);
    // Of its version, by the key.
    const ipv4$ = versions$.on(4) as Observable<Ipv4Packet>;
    const ipv6$ = versions$.on(6) as Observable<Ipv6Packet>;
    return funnel<Ipv4Packet | Ipv6Packet>(
      ipv4$.pipe(narrow4(), reassemble(reassembly, env), widen()),
      ipv6$.pipe(narrow6(), reassemble(reassembly, env), widen()),
    );
  };
}

/** The range of a fragment becomes its payload. */
function narrow4(): MonoTypeOperatorFunction<Ipv4Packet> {
  return layer(() => (packet) => {
    if (packet.isFragment) packet.frame.start = packet.offset + packet.headerLength;
    return packet;
  });
}

function narrow6(): MonoTypeOperatorFunction<Ipv6Packet> {
  return layer(() => (packet) => {
    if (!isExtension(packet.nextHeader) || !findPayload(packet, packet.frame.end)) return packet;
    if (packet.isFragment) packet.frame.start = packet.offset + packet.headerLength;
    return packet;
  });
}

/** The range becomes the whole packet again. */
function widen<P extends Ipv4Packet | Ipv6Packet>(): MonoTypeOperatorFunction<P> {
  return map((packet) => {
    packet.frame.start = packet.frame.network;
    return packet;
  });
}
