import { Observable, type OperatorFunction, type Subscriber } from 'rxjs';

/**
 * The same operator, which subscribes to its source last: when all that it consists of is subscribed to. So nothing that a source emits at once, its end
 * included, is lost where the operator divides its input into branches, and these again (`demux`).
 *
 *     in        (ab|)
 *     out       (AB|)     where the branch of b is subscribed to after that of a
 *
 * Nothing stands between the source and the operator afterwards.
 *
 * **Drops** none. **State and timers** who waits for the source; none.
 *
 * @example
 * source$.pipe(subscribeLast((frames$) => {
 *   const link$ = demux(frames$.pipe(ethernet({ mac })), (frame) => frame.etherType);
 *   const net$ = demux(link$.on(EtherType.Ipv4).pipe(ipv4({ addresses })), (packet) => packet.protocol);
 *   return merge(net$.on(IpProtocol.Udp), net$.on(IpProtocol.Tcp));
 * }));
 */
export function subscribeLast<In, Out>(operator: OperatorFunction<In, Out>): OperatorFunction<In, Out> {
  return (source) =>
    new Observable((subscriber) => {
      const waiting: Subscriber<In>[] = [];
      let isOpen = false;
      const late$ = new Observable<In>((inlet) => {
        if (isOpen) source.subscribe(inlet);
        else waiting.push(inlet);
      });
      operator(late$).subscribe(subscriber);
      isOpen = true;
      for (const inlet of waiting.splice(0)) if (!inlet.closed) source.subscribe(inlet);
    });
}
