/**
 * What devices with phone-number addresses say to their neighbours (ergot proposal 0146, "Messages"): ordinary endpoints and topics, under paths of our
 * own. They go to address 0 of the link's scope, by key, so that a child can ask before it has any address.
 *
 * To what the proposal says are added: the scope that addresses are of, leases, and a number by which a request that is repeated is known.
 */

import type { AllocError, Allocation } from '../allocator-pool.js';
import { type Endpoint, endpoint } from '../endpoint.js';
import { type Schema, u8, u16, u32, unit } from '../schema.js';
import { seq, struct } from '../schema-compound.js';
import { enumeration, result, unitVariant, type Variant } from '../schema-enum.js';
import { type Topic, topic } from '../topic.js';

const PATH = 'ergot/.well-known/pna';

/** What an endpoint answers. */
export type Answer<T, E extends string> =
  | (undefined extends T ? { readonly kind: 'Ok'; readonly value?: T } : { readonly kind: 'Ok'; readonly value: T })
  | { readonly kind: 'Err'; readonly value: { readonly kind: E; readonly value?: undefined } };

/** Asks for addresses. */
export interface AllocMessage {
  /** The same when it is repeated since no answer came: it is not given twice then. */
  readonly nonce: number;
  /** Ranges of 2^`len` addresses; `flags` are those of `AllocFlag`. All are given, or none. */
  readonly allocs: readonly { readonly len: number; readonly flags: number }[];
}

/** Addresses that were given. */
export interface AllocSuccess {
  /** The scope that they are of. */
  readonly bits: number;
  readonly expires_seconds: number;
  /** In the order asked; `len` may be more than what was asked for. */
  readonly allocs: readonly { readonly address: number; readonly len: number }[];
}

/** Why addresses are refused, in the order of their numbers on the wire: that of `AllocError`, and one more. */
const ALLOC_ERRORS = [
  'InvalidLength',
  'InvalidFlags',
  'TooMany',
  'NoSpace',
  'ParentRefused',
  'ParentUnavailable',
  'Busy',
  /** Who asks is no child. */
  'NotAChild',
] as const;
export type AllocRefusal = (typeof ALLOC_ERRORS)[number];

/** What {@link AllocError} is called on the wire. */
export function allocRefusal(error: AllocError): AllocRefusal {
  return ALLOC_ERRORS[error] ?? 'NoSpace';
}

/** What a lease is extended to. */
export interface RefreshSuccess {
  readonly expires_seconds: number;
  /** It is not extended while more is left. */
  readonly min_refresh_seconds: number;
}

export type LeaseRefusal = 'Unknown' | 'TooSoon';
export type SubscribeRefusal = 'NotMulticast' | 'ParentRefused' | 'ParentUnavailable' | 'Full';

/** Some addresses, by their first numbers; none for all that the link has. */
export interface AddressList {
  readonly addresses: readonly number[];
}

/** An address in its scope. */
export interface ScopedAddress {
  readonly bits: number;
  readonly address: number;
}

/** Where a subnet lies in its parent's scope. */
export interface PrefixLevel {
  /** The parent's scope. */
  readonly bits: number;
  /** How addresses become the parent's: a {@link PrefixKind}. */
  readonly kind: number;
  readonly ranges: readonly { readonly local: number; readonly address: number; readonly len: number }[];
}

/** Translations that others can compute; `Custom` they cannot. */
export const PrefixKind = { OffsetAdd: 0, Wrap: 1, Custom: 2 } as const;

/** Where the sender's scope lies in its parent's, that in its own parent's, and so on. */
export interface Prefix {
  readonly levels: readonly PrefixLevel[];
}

/** An enum of variants that hold nothing. */
type Refusal<E extends string> = { readonly kind: E; readonly value?: undefined };

/** Whether two prefixes, or none, say the same. */
export function isSamePrefix(a: Prefix | undefined, b: Prefix | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.levels.length === b.levels.length &&
    a.levels.every((level, index) => {
      const other = b.levels[index];
      return (
        level.bits === other?.bits &&
        level.kind === other.kind &&
        level.ranges.length === other.ranges.length &&
        level.ranges.every((range, i) => {
          const { local, address, len } = other.ranges[i] ?? { local: -1, address: -1, len: -1 };
          return range.local === local && range.address === address && range.len === len;
        })
      );
    })
  );
}

function refusals<E extends string>(names: readonly E[]): Schema<Refusal<E>> {
  const variants: Record<string, Variant<undefined>> = {};
  for (const name of names) variants[name] = unitVariant;
  return enumeration(variants) as Schema<Refusal<string>> as Schema<Refusal<E>>;
}

function answer<T, E extends string>(ok: Schema<T>, ...errors: readonly E[]): Schema<Answer<T, E>> {
  return result(ok, refusals(errors)) as unknown as Schema<Answer<T, E>>;
}

const scoped = struct({ bits: u8, address: u32 });
const list = struct({ addresses: seq(u32) });

/** Child to parent: asks for ranges of addresses. */
export const allocAddresses: Endpoint<AllocMessage, Answer<AllocSuccess, AllocRefusal>> = endpoint(
  `${PATH}/alloc`,
  struct({ nonce: u32, allocs: seq(struct({ len: u8, flags: u8 })) }),
  answer(struct({ bits: u8, expires_seconds: u16, allocs: seq(struct({ address: u32, len: u8 })) }), ...ALLOC_ERRORS),
);

/** Child to parent: extends the leases of its ranges. */
export const refreshAddresses: Endpoint<AddressList, Answer<RefreshSuccess, LeaseRefusal>> = endpoint(
  `${PATH}/refresh`,
  list,
  answer(struct({ expires_seconds: u16, min_refresh_seconds: u16 }), 'Unknown', 'TooSoon'),
);

/** Child to parent: gives ranges back. */
export const releaseAddresses: Endpoint<AddressList, Answer<undefined, LeaseRefusal>> = endpoint(
  `${PATH}/release`,
  list,
  answer(unit, 'Unknown', 'TooSoon'),
);

const SUBSCRIBE_ERRORS = ['NotMulticast', 'ParentRefused', 'ParentUnavailable', 'Full'] as const;

/** Child to parent: wants what is sent to a multicast address. */
export const subscribeMulticast: Endpoint<ScopedAddress, Answer<undefined, SubscribeRefusal>> = endpoint(
  `${PATH}/subscribe`,
  scoped,
  answer(unit, ...SUBSCRIBE_ERRORS),
);

/** Child to parent: does not want it any more. */
export const unsubscribeMulticast: Endpoint<ScopedAddress, Answer<undefined, SubscribeRefusal>> = endpoint(
  `${PATH}/unsubscribe`,
  scoped,
  answer(unit, ...SUBSCRIBE_ERRORS),
);

/** Parent to all children: where they lie has changed. */
export const publishPrefix: Topic<Prefix> = topic(
  `${PATH}/prefix`,
  struct({
    levels: seq(struct({ bits: u8, kind: u8, ranges: seq(struct({ local: u32, address: u32, len: u8 })) })),
  }),
);

export function ok<T>(value: T): { readonly kind: 'Ok'; readonly value: T } {
  return { kind: 'Ok', value };
}

export function err<E extends string>(kind: E): { readonly kind: 'Err'; readonly value: { readonly kind: E } } {
  return { kind: 'Err', value: { kind } };
}

/** What an allocation is on the wire. */
export function toWire(
  allocations: readonly Allocation[],
): readonly { readonly address: number; readonly len: number }[] {
  return allocations.map(({ first, len }) => ({ address: first, len }));
}
