import { Observable } from 'rxjs';
import { type IpAddress, ipOf } from '../../lib/core/address.js';
import type { Env } from '../../lib/core/env.js';
import type { PingSockets } from '../../lib/l4/ping-api.js';
import { type PingEvent, Pinger, type PingOptions } from '../../lib/l7/ping.js';
import { defaultEnvironment } from '../time/environment.js';

/** Options of {@link ping}. */
export interface PingObservableOptions extends PingOptions {
  /** Told of each request, as it leaves. */
  readonly onSent?: (sequence: number) => void;
}

/**
 * Pings a host while subscribed: what became of each echo request. A source rather than an operator, hence it makes its Observable.
 *
 *     requests  --1---2---3--
 *     out       ---r----e---t|     r: a reply, e: an ICMP error, t: neither came in time
 *
 * Completes when `count` requests have been settled; errors with the NetError where one cannot be sent at all. Every subscription pings anew.
 *
 * @throws UsageError (errors) `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS`
 * @example
 * ping(me.ping, '10.77.0.1', { count: 3 }, me.env).subscribe((event) => console.log(event));
 */
export function ping(
  sockets: PingSockets,
  destination: IpAddress | string,
  options: PingObservableOptions = {},
  env: Env = defaultEnvironment(),
): Observable<PingEvent> {
  return new Observable((subscriber) => {
    const { onSent, ...rest } = options;
    const pinger = new Pinger(
      sockets,
      ipOf(destination),
      rest,
      {
        ...(onSent === undefined ? {} : { sent: onSent }),
        event: (event) => subscriber.next(event),
        done: (error) => (error === undefined ? subscriber.complete() : subscriber.error(error)),
      },
      env,
    );
    return () => pinger.stop();
  });
}
