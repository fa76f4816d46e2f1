import { Observable } from 'rxjs';
import { PassingSubscriber } from './packet-subscriber.js';

/**
 * Brings the packets of several sources into one stream: RxJS's `merge`, made for very many packets.
 *
 *     a    --1-----2---|
 *     b    ----x-----------y--|
 *     out  --1-x---2-------y--|
 *
 * Sources are subscribed to in their order. The first error ends the stream; else it ends with the last of them.
 *
 * **Drops** none.
 * **State and timers** none.
 *
 * @example
 * funnel(net4$.on(IpProtocol.Tcp), net6$.on(IpProtocol.Tcp)).pipe(tcp(host))
 */
export function funnel<T>(...sources: readonly Observable<T>[]): Observable<T> {
  return new Observable((subscriber) => {
    let left = sources.length;
    const ends = {
      error: (error: unknown) => subscriber.error(error),
      complete: () => {
        if (--left === 0) subscriber.complete();
      },
    };
    if (left === 0) subscriber.complete();
    for (const source of sources) {
      if (subscriber.closed) return;
      const inlet = new PassingSubscriber<T>(ends, subscriber);
      subscriber.add(inlet);
      source.subscribe(inlet);
    }
  });
}
