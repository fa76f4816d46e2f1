import type { OperatorFunction } from 'rxjs';
import type { TxFrame } from '../../lib/core/frame.js';
import type { EthernetLink } from '../../lib/l2/ethernet-link.js';
import type { EthernetFrame } from '../../lib/wire/ethernet.js';
import { responder } from '../flow/responder.js';

/**
 * Answers ARP requests for our addresses and published ones, and learns neighbours (RFC 826, RFC 5227).
 *
 *     in   --q--p--r--|     q asks for us, p is a reply to our query, r asks for somebody else
 *     out  --R--------|
 *
 * A request is answered in its own frame where nobody else looks at it. Packets that waited for a neighbour, queries and defences of
 * our addresses leave through the link, that is through `routeAndResolve`; where there is none, they leave here.
 *
 * **Drops** `ArpTruncated`, `ArpUnsupported`, `ArpBadSender`, `ArpNotForUs`, `ArpUnsolicited`.
 * **State and timers** are the link's: `link.dispose()` ends them.
 *
 * @example
 * ```ts
 * const link = new EthernetLink({ device: tap, addresses: tables.arpAddresses(tap) }, env);
 * link$.on(EtherType.Arp).pipe(arp(link)).subscribe(tap.sink);
 * ```
 */
export function arp(link: EthernetLink): OperatorFunction<EthernetFrame, TxFrame> {
  return responder((emit) => {
    const alone = link.emit === undefined;
    if (alone) link.emit = emit;
    return {
      next(frame) {
        const reply = link.arp.receive(frame);
        if (reply !== undefined) emit(reply);
      },
      teardown() {
        if (alone && link.emit === emit) link.emit = undefined;
      },
    };
  });
}
