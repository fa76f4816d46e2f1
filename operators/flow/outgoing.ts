import type { OperatorFunction } from 'rxjs';
import { asTxPacket, NOT_PARSED, type TxPacket } from '../../lib/core/frame.js';
import { layer } from './layer.js';
import { frameOf, type Packet } from './packet.js';

/**
 * Makes packets that came in packets to be sent: whoever is given one from here on owns its reference.
 *
 *     in   --p--q--|
 *     out  --p--q--|
 *
 * The frame's range is the IP packet; its link header is forgotten, and its bytes may be changed from here on.
 *
 * **Drops** nothing. **State and timers** none.
 *
 * @example
 * transit$.pipe(forward(options), firewall(rules), outgoing(), routeAndResolve(options))
 */
export function outgoing(): OperatorFunction<Packet, TxPacket> {
  return layer(() => (packet) => {
    const frame = frameOf(packet).handOver();
    frame.link = NOT_PARSED;
    return asTxPacket(frame);
  });
}
