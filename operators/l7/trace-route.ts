import { Observable } from 'rxjs';
import { type IpAddress, ipOf } from '../../lib/core/address.js';
import type { Env } from '../../lib/core/env.js';
import { RouteTracer, type TraceOptions, type TraceProbe, type TraceTransports } from '../../lib/l7/trace-route.js';
import { defaultEnvironment } from '../time/environment.js';

/**
 * Traces the way to a host while subscribed: what became of each probe, in their order. A source rather than an operator, hence it makes its
 * Observable.
 *
 *     probes  --111222333--
 *     out     ----aaabbbccc|     a, b: routers on the way, c: the destination
 *
 * Completes when the destination, or a router that knows no way to it, has answered, or `maxHops` is used up; errors with the NetError where
 * a probe cannot be sent at all. Every subscription traces anew.
 *
 * @param transports a host
 * @throws UsageError (errors) `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS`
 * @example
 * traceRoute(me, '192.0.2.1', { probes: 'icmp' }, me.env).subscribe(({ hop, from }) => console.log(hop, String(from)));
 */
export function traceRoute(
  transports: TraceTransports,
  destination: IpAddress | string,
  options: TraceOptions = {},
  env: Env = defaultEnvironment(),
): Observable<TraceProbe> {
  return new Observable((subscriber) => {
    const tracer = new RouteTracer(
      transports,
      ipOf(destination),
      options,
      {
        probe: (probe) => subscriber.next(probe),
        done: (error) => (error === undefined ? subscriber.complete() : subscriber.error(error)),
      },
      env,
    );
    return () => tracer.stop();
  });
}
