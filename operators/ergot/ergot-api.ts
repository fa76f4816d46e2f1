/** What an ergot node is to those that use it. */

import type { Observable, OperatorFunction, Subscription } from 'rxjs';
import type { Device } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import type { RxFrame, TxFrame } from '../../lib/core/frame.js';
import type { Endpoint } from '../../lib/ergot/endpoint.js';
import type { ErgotError } from '../../lib/ergot/error.js';
import type {
  Incoming,
  NetStackApi,
  PublishOptions,
  RequestOptions,
  SendOptions,
  ServeOptions,
  SubscribeOptions,
} from '../../lib/ergot/net-stack-api.js';
import type { NetStackOptions } from '../../lib/ergot/net-stack.js';
import type { LinkStatus, Profile } from '../../lib/ergot/profile.js';
import type { Topic } from '../../lib/ergot/topic.js';

/** Options of `ergot`. */
export interface ErgotOptions extends NetStackOptions {
  /** The links whose frames are piped through the node. Those that are plugged in are not among them. Default: none. */
  readonly links?: readonly Device[];
}

/** A request that can be answered, once. */
export interface ErgotRequest<Request, Response, A> extends Incoming<Request, A> {
  /**
   * Answers. Returns why the answer did not leave: it was too large for the link, say; nobody is told of that otherwise.
   *
   * @throws UsageError `ERR_BAD_MESSAGE` for a value that the endpoint's schema does not have
   */
  answer(response: Response): ErgotError | undefined;
}

/** A device that failed, and is plugged in no more. */
export interface LinkFailure {
  readonly link: Device;
  readonly error: unknown;
}

/** A node: an operator from the frames of its links to frames for them, and sockets. */
export interface ErgotNode<A> extends OperatorFunction<RxFrame, TxFrame>, Disposable {
  readonly env: Env;
  readonly profile: Profile<A>;
  /** The sockets by callbacks. */
  readonly stack: NetStackApi<A>;
  /** The links now, and after each change of their states. Completes with the node. */
  readonly links$: Observable<readonly LinkStatus<A>[]>;
  /** Devices that failed while they were plugged in. Completes with the node. */
  readonly failures$: Observable<LinkFailure>;

  /**
   * Attaches a link: its frames come in, and what goes by it is given to its sink. Unsubscribing detaches it, and so does its end or its failure.
   *
   * @throws UsageError `ERR_INVALID_OPTION` for a device that the profile has, cannot use, or has no room for
   */
  plug(link: Device): Subscription;

  /**
   * The requests to an endpoint, which is served as long as somebody is subscribed: each subscription is a socket of its own. Completes with the node.
   *
   *     socket  ---q----q---(node ends)
   *     out     ---r----r---|            r: value, source, answer()
   *
   * **Errors** UsageError `ERR_INVALID_OPTION` for a port that is taken or none; ErgotError `ERR_ERGOT_NO_PORT`, `ERR_ERGOT_CLOSED`.
   */
  serve<Request, Response>(
    endpoint: Endpoint<Request, Response>,
    options?: ServeOptions,
  ): Observable<ErgotRequest<Request, Response, A>>;

  /**
   * Asks once for each subscription. Unsubscribing gives up.
   *
   *     out  -----(a|)     or, after `timeout`,  --------#
   *
   * **Errors** ErgotError; UsageError `ERR_BAD_MESSAGE` for a value that the endpoint's schema does not have.
   */
  request<Request, Response>(
    endpoint: Endpoint<Request, Response>,
    to: A,
    value: Request,
    options?: RequestOptions,
  ): Observable<Incoming<Response, A>>;

  /** Asks all nodes, for each subscription, and emits each answer until it is unsubscribed. Completes with the node. */
  requestAll<Request, Response>(
    endpoint: Endpoint<Request, Response>,
    to: A,
    value: Request,
    options?: SendOptions,
  ): Observable<Incoming<Response, A>>;

  /** What is published under a topic: each subscription is a socket. Completes with the node. **Errors** as {@link ErgotNode.serve}. */
  topic<T>(topic: Topic<T>, options?: SubscribeOptions): Observable<Incoming<T, A>>;

  /** Says something under a topic. @throws ErgotError why it did not leave */
  publish<T>(topic: Topic<T>, to: A, value: T, options?: PublishOptions): void;

  /** Ends the node: detaches links, closes sockets, leaves no timer. Open requests fail with `ERR_ERGOT_CLOSED`. */
  dispose(): void;
}
