/** The sockets of an ergot node as Observables. Sources rather than operators: each subscription opens a socket, and closes it. */

import { Observable, takeUntil } from 'rxjs';
import type { Endpoint } from '../../lib/ergot/endpoint.js';
import { ErgotError } from '../../lib/ergot/error.js';
import type {
  Incoming,
  NetStackApi,
  PublishOptions,
  RequestOptions,
  SendOptions,
  ServeOptions,
  SubscribeOptions,
} from '../../lib/ergot/net-stack-api.js';
import type { Topic } from '../../lib/ergot/topic.js';
import type { ErgotRequest } from './ergot-api.js';

/** What is opened and closed over a net stack that ends when `ended$` emits. */
export class ErgotSockets<A> {
  private readonly stack: NetStackApi<A>;
  private readonly ended$: Observable<void>;

  constructor(stack: NetStackApi<A>, ended$: Observable<void>) {
    this.stack = stack;
    this.ended$ = ended$;
  }

  serve<Request, Response>(
    endpoint: Endpoint<Request, Response>,
    options?: ServeOptions,
  ): Observable<ErgotRequest<Request, Response, A>> {
    const requests$ = new Observable<ErgotRequest<Request, Response, A>>((out) => {
      const socket = this.stack.serve(
        endpoint,
        ({ value, source, sequence }, answer) => out.next({ value, source, sequence, answer }),
        options,
      );
      return () => socket.close();
    });
    return requests$.pipe(takeUntil(this.ended$));
  }

  request<Request, Response>(
    endpoint: Endpoint<Request, Response>,
    to: A,
    value: Request,
    options?: RequestOptions,
  ): Observable<Incoming<Response, A>> {
    return new Observable((out) => {
      const done = (result: Incoming<Response, A> | ErgotError): void => {
        if (result instanceof ErgotError) return out.error(result);
        out.next(result);
        out.complete();
      };
      return this.stack.request(endpoint, to, value, done, options);
    });
  }

  requestAll<Request, Response>(
    endpoint: Endpoint<Request, Response>,
    to: A,
    value: Request,
    options?: SendOptions,
  ): Observable<Incoming<Response, A>> {
    const answers$ = new Observable<Incoming<Response, A>>((out) =>
      this.stack.requestAll(endpoint, to, value, (answer) => out.next(answer), options),
    );
    return answers$.pipe(takeUntil(this.ended$));
  }

  topic<T>(topic: Topic<T>, options?: SubscribeOptions): Observable<Incoming<T, A>> {
    const messages$ = new Observable<Incoming<T, A>>((out) => {
      const socket = this.stack.subscribe(topic, (message) => out.next(message), options);
      return () => socket.close();
    });
    return messages$.pipe(takeUntil(this.ended$));
  }

  publish<T>(topic: Topic<T>, to: A, value: T, options?: PublishOptions): void {
    this.stack.publish(topic, to, value, options);
  }
}
