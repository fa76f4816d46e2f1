/**
 * A pool of phone-number addresses to give out (ergot proposals 0145 and 0146): ranges of a device's own scope, wherever they lie. An
 * allocation is a run of 2^n addresses, n at least 1; allocations of different sizes coexist; those of one request are given all or none.
 *
 * Places are chosen from low to high, of one request the largest first, since then what fits at all fits. Aligned places are preferred, and an
 * unaligned one is given only to who allows it; a pool that is `packed` gives those who allow it the lowest run there is.
 */

import { UsageError } from '../core/errors.js';
import { isScope, MAX_ADDRESS_BITS, scopeSize } from './address-text.js';
import { AddressSpace } from './allocator-space.js';

/** Flags of a request (ergot proposal 0146). */
export const AllocFlag = {
  /** The addresses may be such as several devices can subscribe to. A permission: who grants it need not use it. */
  AllowMulticast: 1,
  /** The range may begin at a number that is no multiple of its size. */
  AllowUnaligned: 2,
} as const;

/** Why a request for addresses is refused; the numbers go over the wire. */
export const AllocError = {
  /** A length other than 1..32; `^0` is no range. */
  InvalidLength: 0,
  /** A flag that nobody knows. */
  InvalidFlags: 1,
  /** More allocations than one request may have. */
  TooMany: 2,
  /** No room, and no parent to ask for more. */
  NoSpace: 3,
  /** The parent has no room either, or gave what is of no use. */
  ParentRefused: 4,
  /** The parent does not answer. */
  ParentUnavailable: 5,
  /** As many requests as may be are waiting for the parent. */
  Busy: 6,
} as const;
export type AllocError = (typeof AllocError)[keyof typeof AllocError];

/** One allocation that is asked for. */
export interface AllocRequest {
  /** The exponent n of the size 2^n. */
  readonly len: number;
  /** {@link AllocFlag}s. */
  readonly flags: number;
}

/** One allocation that was given. */
export interface Allocation {
  /** The first number, in the scope of the pool. */
  readonly first: number;
  /** The exponent of the size; it may be more than what was asked for. */
  readonly len: number;
  readonly flags: number;
}

/** Options of {@link AddressPool}. */
export interface PoolOptions {
  /** Nobody is given less than 2^`minimum` addresses: 1..32, 1 by default. */
  readonly minimum?: number;
  /** Whether unaligned requests get the lowest run rather than, where there is one, an aligned place. */
  readonly packed?: boolean;
}

/** A request has at most as many allocations. */
export const MAX_ALLOCS = 64;

const KNOWN_FLAGS = AllocFlag.AllowMulticast | AllocFlag.AllowUnaligned;
/** In the table of what was given, a length has the low six bits. */
const LEN_BITS = 6;

/** What is free, and what was given to whom asked. */
export class AddressPool {
  private readonly space = new AddressSpace();
  private readonly given = new Map<number, number>();
  private readonly parts: { readonly first: number; readonly size: number }[] = [];
  private readonly minimum: number;
  private readonly packed: boolean;
  private room = 0;
  private total = 0;

  /** @throws UsageError `ERR_INVALID_OPTION` for a minimum other than 1..32 */
  constructor(options: PoolOptions = {}) {
    const { minimum = 1, packed = false } = options;
    if (!isScope(minimum)) throw new UsageError('ERR_INVALID_OPTION', `minimum must be within 1..32, not ${minimum}`);
    this.minimum = minimum;
    this.packed = packed;
  }

  /** How many addresses are free. */
  get free(): number {
    return this.room;
  }

  /** How many addresses there are. */
  get size(): number {
    return this.total;
  }

  /** How many allocations are given. */
  get allocations(): number {
    return this.given.size;
  }

  /** Nodes of the tree of free numbers: what the pool's memory goes by, beside the allocations. */
  get nodes(): number {
    return this.space.nodes;
  }

  /** Adds 2^`len` addresses from `first` on. False, and nothing changes, if they are not below 2^32, or some are in the pool already. */
  add(first: number, len: number): boolean {
    const size = scopeSize(len);
    if (!isScope(len) || !isWithin(first, size)) return false;
    if (this.parts.some((part) => first < part.first + part.size && part.first < first + size)) return false;
    this.parts.push({ first, size });
    this.space.release(first, size);
    this.room += size;
    this.total += size;
    return true;
  }

  /** Takes a range that was added out of the pool. False, and nothing changes, if there is none such, or some of it is given. */
  remove(first: number, len: number): boolean {
    const size = scopeSize(len);
    const index = this.parts.findIndex((part) => part.first === first && part.size === size);
    if (index < 0 || !this.space.isFree(first, size)) return false;
    this.parts.splice(index, 1);
    this.space.take(first, size);
    this.room -= size;
    this.total -= size;
    return true;
  }

  /** Gives all that is asked for, in the order asked, or says why not and gives nothing. */
  allocate(requests: readonly AllocRequest[]): readonly Allocation[] | AllocError {
    const wrong = checkRequests(requests);
    if (wrong !== undefined) return wrong;
    const order = requests.map((_, index) => index).sort((a, b) => lenOf(requests, b) - lenOf(requests, a) || a - b);
    const made: (Allocation | undefined)[] = requests.map(() => undefined);
    for (const index of order) {
      const one = this.place(requests[index]);
      if (one === undefined) {
        for (const other of made) if (other !== undefined) this.release(other.first);
        return AllocError.NoSpace;
      }
      made[index] = one;
    }
    return made.filter((one) => one !== undefined);
  }

  /** Gives just the 2^`len` addresses from `first` on: for own sockets, and where addresses are hard-coded. False if they are not all free. */
  reserve(first: number, len: number, flags = 0): boolean {
    if (!this.isFree(first, len)) return false;
    this.give(first, len, flags);
    return true;
  }

  /** Whether {@link reserve} would give the 2^`len` addresses from `first` on. */
  isFree(first: number, len: number): boolean {
    const size = scopeSize(len);
    return isScope(len) && isWithin(first, size) && this.space.isFree(first, size);
  }

  /** The allocation that begins at `first`. */
  at(first: number): Allocation | undefined {
    const record = this.given.get(first);
    return record === undefined
      ? undefined
      : { first, len: record & ((1 << LEN_BITS) - 1), flags: record >>> LEN_BITS };
  }

  /** Takes the allocation that begins at `first` back. False if there is none. */
  release(first: number): boolean {
    const allocation = this.at(first);
    if (allocation === undefined) return false;
    const size = scopeSize(allocation.len);
    this.given.delete(first);
    this.space.release(first, size);
    this.room += size;
    return true;
  }

  /** The exponent of the smallest power of two that holds all of a sound request, 1..32 or a little more. */
  lenFor(requests: readonly AllocRequest[]): number {
    const total = requests.reduce((sum, { len }) => sum + scopeSize(Math.max(len, this.minimum)), 0);
    return Math.ceil(Math.log2(Math.max(2, total)));
  }

  private place(request: AllocRequest | undefined): Allocation | undefined {
    if (request === undefined) return undefined;
    const { flags } = request;
    const len = Math.max(request.len, this.minimum);
    const unaligned = (flags & AllocFlag.AllowUnaligned) !== 0;
    let first = unaligned && this.packed ? -1 : this.space.findAligned(len);
    if (first < 0 && unaligned) first = this.space.findRun(scopeSize(len));
    if (first < 0) return undefined;
    this.give(first, len, flags);
    return { first, len, flags };
  }

  private give(first: number, len: number, flags: number): void {
    const size = scopeSize(len);
    this.space.take(first, size);
    this.given.set(first, (flags << LEN_BITS) | len);
    this.room -= size;
  }
}

function isWithin(first: number, size: number): boolean {
  return Number.isInteger(first) && first >= 0 && first + size <= scopeSize(MAX_ADDRESS_BITS);
}

function lenOf(requests: readonly AllocRequest[], index: number): number {
  return requests[index]?.len ?? 0;
}

/** What is wrong with a request, whatever the pool. */
function checkRequests(requests: readonly AllocRequest[]): AllocError | undefined {
  if (requests.length > MAX_ALLOCS) return AllocError.TooMany;
  for (const { len, flags } of requests) {
    if (!isScope(len)) return AllocError.InvalidLength;
    if (!Number.isInteger(flags) || flags < 0 || (flags & ~KNOWN_FLAGS) !== 0 || flags > KNOWN_FLAGS)
      return AllocError.InvalidFlags;
  }
  return undefined;
}
