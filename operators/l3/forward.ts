import type { OperatorFunction } from 'rxjs';
import type { Env } from '../../lib/core/env.js';
import type { Frame } from '../../lib/core/frame.js';
import { Forwarder, type ForwardOptions } from '../../lib/l3/forward.js';
import { Ipv4Packet } from '../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../lib/wire/ipv6.js';
import { responder } from '../flow/responder.js';
import { defaultEnvironment } from '../time/environment.js';

/**
 * Takes received packets one hop further: their hop limit falls by one, where they are, and those that may not go on are dropped, their
 * senders told (RFC 1812 5.2, RFC 8200 3).
 *
 *     in       --p--q-----|     q: its time to live ends here
 *     out      --p--------|
 *     complain -----e------     e: time exceeded
 *
 * A packet comes as `ip` reads it, its route chosen: `frame.route`. Where somebody else looks at its bytes, too, a copy goes on. What comes out is
 * on its way but has yet to be sent: it is valid during `next`, and `outgoing` makes it one to be sent.
 *
 * **Drops** `Ipv4NotForUs`, `Ipv6NotForUs` where its interface takes nothing further; `ForwardNotAllowed`, `HopLimitExceeded`, `IpNoRoute`,
 * `RouteBlackhole`, `RouteUnreachable`, `RouteProhibited`, `IpTooBig`; for options and headers `Ipv4SourceRouted`, `Ipv4BadOptions`,
 * `Ipv6BadExtension`, `Ipv6UnknownOption`.
 * **State and timers** counters; none.
 *
 * @example
 * transit$.pipe(forward({ interfaces, errors, complain: (error) => errors$.next(error) }), firewall(rules), outgoing(), routeAndResolve(options))
 */
export function forward(
  options: ForwardOptions | Forwarder,
  env: Env = defaultEnvironment(),
): OperatorFunction<Ipv4Packet | Ipv6Packet, Ipv4Packet | Ipv6Packet> {
  return responder((emit) => {
    const forwarder = options instanceof Forwarder ? options : new Forwarder(options, env);
    return {
      next(packet) {
        if (packet.frame.exclusive) {
          if (forwarder.take(packet)) emit(packet);
          return;
        }
        const copy = copyOf(packet.frame, env);
        const own = packet.version === 4 ? Ipv4Packet.of(copy, copy.start) : Ipv6Packet.of(copy, copy.start);
        if (forwarder.take(own)) emit(own);
        copy.release();
      },
    };
  });
}

function copyOf(frame: Frame, env: Env): Frame {
  const copy = env.pool.copy(frame);
  copy.network = copy.start;
  return copy;
}
