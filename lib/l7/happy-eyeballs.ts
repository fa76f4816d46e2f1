/**
 * Happy eyeballs (RFC 8305 4 to 6): connects to a host of several addresses without waiting long for those that do not answer. Attempts
 * start one after the other, each a little after the last or at once when that has failed; the first to succeed wins, the others are
 * given up. It knows no transport: it is given a function that connects.
 */

import type { IpAddress, IpVersion } from '../core/address.js';
import type { Env } from '../core/env.js';
import { NetError } from '../core/errors.js';
import type { Timer, Timers } from '../core/timers.js';

// RFC 8305 5 and 8, in milliseconds.
const ATTEMPT_DELAY = 250;
const MIN_ATTEMPT_DELAY = 10;
const MAX_ATTEMPT_DELAY = 2000;

/** What a connection attempt reports, once, never from within the call that started it. */
export interface AttemptHandler<C> {
  connected(connection: C): void;
  failed(error: Error): void;
}

/** Starts an attempt; returns how to give it up. What it throws counts as its failure. */
export type Attempt<C> = (address: IpAddress, handler: AttemptHandler<C>) => () => void;

/** Options of {@link HappyEyeballs}. */
export interface HappyEyeballsOptions<C> {
  readonly connect: Attempt<C>;
  /** All is over: the connection that won, or why none did. Called once, unless it was aborted. */
  readonly done: (result: { readonly connection: C; readonly address: IpAddress } | { readonly error: Error }) => void;
  /** Milliseconds between attempts, 10 to 2000. Default 250. */
  readonly delay?: number;
  /** The family to begin with. Default: that of the first address. */
  readonly prefer?: IpVersion;
  /** Whether more addresses will come by `add`: until `complete` nothing has failed for good. Default false. */
  readonly more?: boolean;
}

/** Addresses with the families taking turns, each in its own order (RFC 8305 4). */
export function alternate(addresses: readonly IpAddress[], prefer?: IpVersion): IpAddress[] {
  const first = prefer ?? addresses[0]?.version;
  const mine = addresses.filter(({ version }) => version === first);
  const others = addresses.filter(({ version }) => version !== first);
  const turns: IpAddress[] = [];
  for (let i = 0; i < Math.max(mine.length, others.length); i++) {
    turns.push(...mine.slice(i, i + 1), ...others.slice(i, i + 1));
  }
  return turns;
}

/** One race. The first attempt starts as soon as the clock's owner gets control, or with {@link HappyEyeballs.start}. */
export class HappyEyeballs<C> {
  private readonly options: HappyEyeballsOptions<C>;
  private readonly timers: Timers;
  private readonly timer: Timer;
  private readonly delay: number;
  private waiting: IpAddress[];
  private last: IpVersion | undefined = undefined;
  private more: boolean;
  private over = false;
  private readonly running = new Map<IpAddress, () => void>();
  private readonly errors: Error[] = [];

  constructor(addresses: readonly IpAddress[], options: HappyEyeballsOptions<C>, env: Pick<Env, 'timers'>) {
    this.options = options;
    this.timers = env.timers;
    this.delay = Math.min(Math.max(options.delay ?? ATTEMPT_DELAY, MIN_ATTEMPT_DELAY), MAX_ATTEMPT_DELAY);
    this.waiting = alternate(addresses, options.prefer);
    this.more = options.more ?? false;
    this.timer = this.timers.timer(() => this.next());
    this.timer.arm(this.timers.now());
  }

  /** Attempts under way. */
  get attempts(): number {
    return this.running.size;
  }

  /** Starts the first attempt in this call. `done` may be called within it, where no address can be tried at all. */
  start(): void {
    if (!this.over && this.last === undefined) this.next();
  }

  /** More addresses, those of the other family, say: they take turns with those that still wait (RFC 8305 3). */
  add(addresses: readonly IpAddress[]): void {
    if (this.over) return;
    const other = this.last === 4 ? 6 : this.last === 6 ? 4 : this.options.prefer;
    this.waiting = alternate([...this.waiting, ...addresses], other);
    if (!this.timer.armed) this.timer.arm(this.timers.now());
  }

  /** No more addresses will come. */
  complete(): void {
    this.more = false;
    this.settle();
  }

  /** Gives all attempts up; `done` is not called. */
  abort(): void {
    this.over = true;
    this.timer.cancel();
    const attempts = [...this.running.values()];
    this.running.clear();
    for (const giveUp of attempts) giveUp();
  }

  private next(): void {
    const address = this.waiting.shift();
    if (address === undefined) return this.settle();
    this.last = address.version;
    this.timer.arm(this.timers.now() + this.delay);
    try {
      const giveUp = this.options.connect(address, {
        connected: (connection) => this.won(address, connection),
        failed: (error) => this.failed(address, error),
      });
      this.running.set(address, giveUp);
    } catch (error) {
      this.failed(address, error instanceof Error ? error : new Error(String(error)));
    }
  }

  private won(address: IpAddress, connection: C): void {
    if (this.over) return;
    this.running.delete(address);
    this.abort();
    this.options.done({ connection, address });
  }

  private failed(address: IpAddress, error: Error): void {
    if (this.over) return;
    this.running.delete(address);
    this.errors.push(error);
    // The next one need not wait (RFC 8305 5).
    this.timer.arm(this.timers.now());
  }

  /** Nothing waits: it has failed once nothing runs, and no more will come. */
  private settle(): void {
    if (this.over || this.more || this.waiting.length > 0 || this.running.size > 0) return;
    this.over = true;
    this.timer.cancel();
    const [first] = this.errors;
    const error =
      first === undefined
        ? NetError.of('EADDRNOTAVAIL', 'connect')
        : this.errors.length === 1
          ? first
          : new AggregateError(this.errors, 'no address could be connected to');
    this.options.done({ error });
  }
}
