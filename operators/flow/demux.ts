/**
 * Publish-subscribe with send-side filtering: one source, and for each key the subscribers that asked for it. A table finds
 * them in constant time, however many keys there are; a thousand `filter`s would each look at every packet.
 */

import {
  asapScheduler,
  Observable,
  type Observer,
  type OperatorFunction,
  Subscriber,
  Subscription,
  type UnaryFunction,
} from 'rxjs';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { defaultEnvironment } from '../time/environment.js';
import { HeldPacket } from './held-packet.js';
import { frameOf, type Packet } from './packet.js';
import { unhandled } from './packet-subscriber.js';

// Keys below this, such as IP protocols, are looked up in an array; others, such as EtherTypes, in a Map.
const SMALL_KEYS = 256;

/** What is connected to a source and has branches; {@link Demux} says which. */
export interface Branches {
  /** Subscribes to the source now, if that is not done yet, and stays subscribed without branches, until unsubscribed. */
  connect(): Subscription;
}

/** The branches of a {@link demux}. */
export interface Demux<T> extends Branches {
  /** The packets of one key. Any number of subscribers may come and go at any time, also from within a `next`. */
  on(key: number): Observable<T>;
  /** The packets of keys that nobody is subscribed to. */
  readonly rest$: Observable<T>;
}

/** Options of {@link demux}. */
export interface DemuxOptions {
  /** Why packets of unwanted keys are dropped, e.g. `EthernetUnknownType`. Default: `NotSubscribed`. */
  readonly reason?: DropReason;
  /** Whether the first subscriber of a branch connects the source. Default: true; otherwise only `connect()` does. */
  readonly autoConnect?: boolean;
}

// What an operator of type `any` yields: as good an Observable as without the overloads below.
type AnyBranches = Branches & Observable<unknown>;

// RxJS lets `pipe` return whatever its last function returns; its types know only Observables. `Branches` is not generic, so
// that an Observable of a packet stays one of its base type.
declare module 'rxjs' {
  interface Observable<T> {
    pipe<D extends Branches = AnyBranches>(op1: UnaryFunction<Observable<T>, D>): D;
    pipe<A, D extends Branches = AnyBranches>(op1: OperatorFunction<T, A>, op2: UnaryFunction<Observable<A>, D>): D;
    pipe<A, B, D extends Branches = AnyBranches>(
      op1: OperatorFunction<T, A>,
      op2: OperatorFunction<A, B>,
      op3: UnaryFunction<Observable<B>, D>,
    ): D;
    pipe<A, B, C, D extends Branches = AnyBranches>(
      op1: OperatorFunction<T, A>,
      op2: OperatorFunction<A, B>,
      op3: OperatorFunction<B, C>,
      op4: UnaryFunction<Observable<C>, D>,
    ): D;
    pipe<A, B, C, E, D extends Branches = AnyBranches>(
      op1: OperatorFunction<T, A>,
      op2: OperatorFunction<A, B>,
      op3: OperatorFunction<B, C>,
      op4: OperatorFunction<C, E>,
      op5: UnaryFunction<Observable<E>, D>,
    ): D;
  }
}

/**
 * Hands each packet to the subscribers of its key, and to nobody else.
 *
 *     source  --1--2--3--1--|
 *     on(1)   --1--------1--|
 *     on(2)   -----2--------|
 *     rest$   --------3-----|
 *
 * The source is shared: the first subscriber of a branch connects it, the last to leave disconnects it, and after it ended a
 * new subscriber starts it again. Packets that the source emits synchronously while it is being connected wait until all
 * branches that were asked for are subscribed, at the latest until the next microtask: so in a `merge` of branches none misses
 * any, whatever the source. Where branches are divided again, `subscribeLast` sees to that for all of them. Where several
 * subscribers share a key each sees the frame with the range it came with, and as `shared`.
 *
 * **Drops** `options.reason` where neither the key nor `rest$` has a subscriber; `CallbackThrew`.
 * **State and timers** the branches; packets held while connecting; none.
 *
 * @example
 * const link$ = tap.frames$.pipe(ethernet({ mac }), demux((frame) => frame.etherType));
 * merge(link$.on(EtherType.Arp).pipe(arp(neighbours)), link$.on(EtherType.Ipv4).pipe(ipv4({ addresses }), icmpEcho()));
 *
 * @param key - an integer of the packet; if it throws, that packet is dropped
 * @returns the last function of a `pipe`; given the source, too, the branches themselves
 */
export function demux<T extends Packet>(
  key: (packet: NoInfer<T>) => number,
  options?: DemuxOptions,
  env?: Env,
): UnaryFunction<Observable<T>, Demux<T>>;
export function demux<T extends Packet>(
  source: Observable<T>,
  key: (packet: NoInfer<T>) => number,
  options?: DemuxOptions,
  env?: Env,
): Demux<T>;
export function demux<T extends Packet>(
  ...given: [Observable<T>, ...KeyArguments<T>] | KeyArguments<T>
): Demux<T> | UnaryFunction<Observable<T>, Demux<T>> {
  if (startsWithSource(given)) {
    const [source, ...rest] = given;
    return branchesOf(source, ...rest);
  }
  return (source) => branchesOf(source, ...given);
}

type KeyArguments<T> = [key: (packet: T) => number, options?: DemuxOptions | undefined, env?: Env | undefined];

function startsWithSource<T>(
  given: [Observable<T>, ...KeyArguments<T>] | KeyArguments<T>,
): given is [Observable<T>, ...KeyArguments<T>] {
  return typeof given[0] !== 'function';
}

function branchesOf<T extends Packet>(
  source: Observable<T>,
  key: (packet: T) => number,
  options: DemuxOptions = {},
  env: Env = defaultEnvironment(),
): Demux<T> {
  return new Dispatcher(source, key, options, env);
}

/** The subscribers of one key. The array is replaced, never changed, so that a packet under way sees the one it started with. */
class Outlet<T> {
  subscribers: readonly Subscriber<T>[] = [];
}

type Notification<T extends Packet> = HeldPacket<T> | ((subscriber: Subscriber<T>) => void);

class Dispatcher<T extends Packet> implements Demux<T> {
  private readonly source: Observable<T>;
  private readonly key: (packet: T) => number;
  private readonly reason: DropReason;
  private readonly autoConnect: boolean;
  private readonly env: Env;
  private readonly small: (Outlet<T> | undefined)[] = Array.from({ length: SMALL_KEYS }, () => undefined);
  private readonly outlets = new Map<number, Outlet<T>>();
  private readonly rest = new Outlet<T>();
  /** The last of the keys that are looked up in the Map, and what it led to. */
  private lastKey = -1;
  private lastOutlet: Outlet<T> | undefined = undefined;
  private connection: Subscription | undefined = undefined;
  /** Connected by `connect()`, not by a subscriber. */
  private kept = false;
  private users = 0;
  /** Branches that were asked for and have no subscriber. */
  private idle = 0;
  /** What came while connecting and waits for the other branches. */
  private held: Notification<T>[] | undefined = undefined;
  private flushing = false;

  constructor(source: Observable<T>, key: (packet: T) => number, options: DemuxOptions, env: Env) {
    this.source = source;
    this.key = key;
    this.reason = options.reason ?? DropReason.NotSubscribed;
    this.autoConnect = options.autoConnect ?? true;
    this.env = env;
  }

  on(key: number): Observable<T> {
    return this.branch(
      () => this.outletOf(key),
      () => this.forget(key),
    );
  }

  get rest$(): Observable<T> {
    return this.branch(
      () => this.rest,
      () => {},
    );
  }

  connect(): Subscription {
    this.kept = true;
    const connection = this.connection ?? this.open();
    this.kept = !connection.closed;
    return connection;
  }

  private branch(attach: () => Outlet<T>, detached: () => void): Observable<T> {
    let active = 0;
    this.idle++;
    return new Observable((subscriber) => {
      const outlet = attach();
      outlet.subscribers = [...outlet.subscribers, subscriber];
      this.users++;
      if (active++ === 0) this.idle--;
      subscriber.add(() => {
        outlet.subscribers = outlet.subscribers.filter((other) => other !== subscriber);
        detached();
        if (--active === 0) this.idle++;
        if (--this.users === 0 && !this.kept) this.connection?.unsubscribe();
      });
      if (this.held !== undefined && this.idle === 0) this.flush();
      else if (this.connection === undefined && this.autoConnect) this.open();
    });
  }

  private outletOf(key: number): Outlet<T> {
    let outlet = this.outlets.get(key);
    if (outlet === undefined) {
      outlet = new Outlet();
      this.outlets.set(key, outlet);
      if (key === this.lastKey) this.lastOutlet = outlet;
      if (key >= 0 && key < SMALL_KEYS) this.small[key] = outlet;
    }
    return outlet;
  }

  private large(key: number): Outlet<T> | undefined {
    if (key !== this.lastKey) {
      this.lastKey = key;
      this.lastOutlet = this.outlets.get(key);
    }
    return this.lastOutlet;
  }

  private forget(key: number): void {
    if (this.outlets.get(key)?.subscribers.length !== 0) return;
    this.outlets.delete(key);
    if (key === this.lastKey) this.lastOutlet = undefined;
    if (key >= 0 && key < SMALL_KEYS) this.small[key] = undefined;
  }

  private open(): Subscription {
    const connection = new Subscription(() => this.closed(connection));
    this.connection = connection;
    const held: Notification<T>[] = [];
    this.held = this.idle > 0 ? held : undefined;
    const ends = {
      error: (error: unknown) => this.end((subscriber) => subscriber.error(error)),
      complete: () => this.end((subscriber) => subscriber.complete()),
    };
    // An own subscriber, which can leave a source that emits while it is being subscribed to.
    const inlet = new Inlet(ends, this);
    connection.add(inlet);
    this.source.subscribe(inlet);
    if (this.held === held) {
      if (held.length === 0) this.held = undefined;
      else connection.add(asapScheduler.schedule(() => this.flush()));
    }
    return connection;
  }

  private closed(connection: Subscription): void {
    if (this.connection !== connection) return;
    this.connection = undefined;
    this.kept = false;
    for (const notification of this.held ?? []) if (notification instanceof HeldPacket) this.lose(notification);
    this.held = undefined;
  }

  private lose(held: HeldPacket<T>): void {
    this.env.drops.report(DropReason.Disposed, held.frame, 'demux');
    held.release();
  }

  private flush(): void {
    const { held } = this;
    if (held === undefined || this.flushing) return;
    this.flushing = true;
    // What comes meanwhile queues up behind; `held` is replaced if the last subscriber leaves.
    for (let first = held.shift(); first !== undefined; first = this.held === held ? held.shift() : undefined) {
      if (first instanceof HeldPacket) {
        this.dispatch(first.restore());
        first.release();
      } else this.finish(first);
    }
    this.flushing = false;
    if (this.held === held) this.held = undefined;
  }

  /** For its own {@link Inlet}. */
  next(packet: T): void {
    if (this.held === undefined) this.dispatch(packet);
    else this.held.push(new HeldPacket(packet));
  }

  private end(notify: (subscriber: Subscriber<T>) => void): void {
    if (this.held === undefined) this.finish(notify);
    else this.held.push(notify);
  }

  private finish(notify: (subscriber: Subscriber<T>) => void): void {
    const { connection } = this;
    this.connection = undefined;
    this.kept = false;
    this.held = undefined;
    const all = [...this.outlets.values(), this.rest].flatMap((outlet) => outlet.subscribers);
    for (const subscriber of all) notify(subscriber);
    connection?.unsubscribe();
  }

  private dispatch(packet: T): void {
    let key: number;
    try {
      key = this.key(packet);
    } catch {
      return this.env.drops.report(DropReason.CallbackThrew, frameOf(packet), 'demux');
    }
    const outlet = key >= 0 && key < SMALL_KEYS ? this.small[key] : this.large(key);
    const { subscribers } = outlet ?? this.rest;
    if (subscribers.length === 1) subscribers[0]?.next(packet);
    else if (subscribers.length > 1) share(packet, subscribers);
    else this.env.drops.report(this.reason, frameOf(packet), 'demux');
  }
}

/** A `PacketSubscriber` that has no function to call: the engine knows where its packets go. */
class Inlet<T extends Packet> extends Subscriber<T> {
  private readonly dispatcher: Dispatcher<T>;

  constructor(ends: Pick<Observer<never>, 'error' | 'complete'>, dispatcher: Dispatcher<T>) {
    super(ends as Subscriber<never>);
    this.dispatcher = dispatcher;
  }

  override next(packet: T): void {
    if (this.isStopped) return;
    try {
      this.dispatcher.next(packet);
    } catch (error) {
      unhandled(error);
    }
  }
}

/** Shows a packet to several subscribers, to each with the range that it came with. */
function share<T extends Packet>(packet: T, subscribers: readonly Subscriber<T>[]): void {
  const frame = frameOf(packet);
  const { start, end, shared } = frame;
  frame.shared = true;
  for (const subscriber of subscribers) {
    frame.start = start;
    frame.end = end;
    subscriber.next(packet);
  }
  frame.shared = shared;
}
