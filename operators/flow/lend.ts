import type { OperatorFunction } from 'rxjs';
import { type TxPacket, UNDER_WAY } from '../../lib/core/frame.js';
import { Ipv4Packet } from '../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../lib/wire/ipv6.js';
import { responder } from './responder.js';

/**
 * Shows IP packets that are to be sent to operators of packets that came in, which keep none of them: the reverse of `outgoing`. A packet is valid during
 * `next`, and released after it, whether it was let through or dropped.
 *
 *     in   --p--q--|
 *     out  --p--q--|
 *
 * **Drops** nothing. **State and timers** none.
 *
 * @example
 * local$.pipe(lend(), firewall(rules), outgoing(), routeAndResolve(options))
 */
export function lend(): OperatorFunction<TxPacket, Ipv4Packet | Ipv6Packet> {
  return responder((emit) => ({
    next(frame) {
      const { start, fate } = frame;
      frame.network = start;
      // Its way out has an account of its own: one that answers in place was delivered before.
      frame.fate = UNDER_WAY;
      const version = frame.slab.view.getUint8(start) >>> 4;
      emit(version === 4 ? Ipv4Packet.of(frame, start) : Ipv6Packet.of(frame, start));
      if (fate !== UNDER_WAY) frame.fate = fate;
      frame.release();
    },
  }));
}
