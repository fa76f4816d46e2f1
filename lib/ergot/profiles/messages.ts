/**
 * What routers and the nodes below them say to each other about networks and node numbers: the well-known endpoints of ergot 0.12. Names of
 * fields are those that its keys are made of.
 */

import { type Endpoint, endpoint } from '../endpoint.js';
import { u8, u16, u64, unit } from '../schema.js';
import { struct, u8Array } from '../schema-compound.js';
import { enumeration, result, unitVariant } from '../schema-enum.js';
import { type LeaseTerms, TOKEN_LENGTH } from './leases.js';

/** What an endpoint answers: what was asked for, or why not. */
export type Answer<T, E extends string> =
  | { readonly kind: 'Ok'; readonly value: T }
  | { readonly kind: 'Err'; readonly value: { readonly kind: E } };

/** Which lease of a network is to be extended. */
export interface SeedRefresh {
  readonly refresh_net: number;
  readonly refresh_token: Uint8Array;
}
/** Which lease of a network is given back. */
export interface SeedRelease {
  readonly release_net: number;
  readonly refresh_token: Uint8Array;
}
export interface AddressClaim {
  readonly candidate_node_id: number;
  /** Who claims it: the same one gets the same answer again. */
  readonly nonce: bigint;
}
/** Which lease of a node number is to be extended. */
export interface AddressRefresh {
  readonly node_id: number;
  readonly refresh_token: Uint8Array;
}

export interface SeedNetAssignment extends LeaseTerms {
  readonly net_id: number;
}
/** A network, and the ports where its lease is extended and given back. */
export interface SeedRouterAssignment {
  readonly assignment: SeedNetAssignment;
  readonly refresh_port: number;
  readonly release_port: number;
}
export interface NodeClaimAssignment extends LeaseTerms {
  readonly node_id: number;
  readonly net_id: number;
}
/** A node number, and the port where its lease is extended. */
export interface AddressClaimGranted {
  readonly assignment: NodeClaimAssignment;
  readonly refresh_port: number;
}
export type SeedAssignmentError =
  /** It gives out no networks. */
  | 'ProfileCantSeed'
  | 'NetIdsExhausted'
  /** Who asks is not on a link of it. */
  | 'UnknownSource'
  /** The router above does not answer. */
  | 'UpstreamUnavailable'
  /** So many routers are above that there would be no time to extend it. */
  | 'DelegationDepthExceeded'
  /** The router above gave out a network that is another one here. */
  | 'NetIdCollision';
export type SeedRefreshError =
  | 'ProfileCantSeed'
  | 'UnknownNetId'
  /** It is the network of a link, and not leased. */
  | 'NotAssigned'
  | 'AlreadyExpired'
  /** Not the token, or not whose lease it is. */
  | 'BadRequest'
  | 'TooSoon'
  | 'UpstreamUnavailable'
  | 'DelegationDepthExceeded';
export type AddressClaimError =
  /** Another one has it, or had it until a short while ago. */
  | 'Conflict'
  | 'Exhausted'
  | 'UnknownSource'
  | 'NotSupported'
  /** 0, 1, 2 or 255. */
  | 'InvalidNodeId';
export type AddressRefreshError = 'UnknownNodeId' | 'AlreadyExpired' | 'BadRequest' | 'TooSoon' | 'NotSupported';

const token = u8Array(TOKEN_LENGTH);

const terms = {
  expires_seconds: u16,
  max_refresh_seconds: u16,
  min_refresh_seconds: u16,
  refresh_token: token,
} as const;

const seedNet = struct({ net_id: u16, ...terms });

const seedAssignmentError = enumeration({
  ProfileCantSeed: unitVariant,
  NetIdsExhausted: unitVariant,
  UnknownSource: unitVariant,
  UpstreamUnavailable: unitVariant,
  DelegationDepthExceeded: unitVariant,
  NetIdCollision: unitVariant,
});

const seedRefreshError = enumeration({
  ProfileCantSeed: unitVariant,
  UnknownNetId: unitVariant,
  NotAssigned: unitVariant,
  AlreadyExpired: unitVariant,
  BadRequest: unitVariant,
  TooSoon: unitVariant,
  UpstreamUnavailable: unitVariant,
  DelegationDepthExceeded: unitVariant,
});

const nodeClaim = struct({ node_id: u8, net_id: u16, ...terms });

const addressClaimError = enumeration({
  Conflict: unitVariant,
  Exhausted: unitVariant,
  UnknownSource: unitVariant,
  NotSupported: unitVariant,
  InvalidNodeId: unitVariant,
});

const addressRefreshError = enumeration({
  UnknownNodeId: unitVariant,
  AlreadyExpired: unitVariant,
  BadRequest: unitVariant,
  TooSoon: unitVariant,
  NotSupported: unitVariant,
});

const seedRouterAssignment = struct({ assignment: seedNet, refresh_port: u8, release_port: u8 });
const assigned = result(seedRouterAssignment, seedAssignmentError);
const refreshed = result(seedNet, seedRefreshError);
const released = result(unit, seedRefreshError);
const granted = result(struct({ assignment: nodeClaim, refresh_port: u8 }), addressClaimError);
const kept = result(nodeClaim, addressRefreshError);

const refresh = struct({ refresh_net: u16, refresh_token: token });
const release = struct({ release_net: u16, refresh_token: token });
const claim = struct({ candidate_node_id: u8, nonce: u64 });
const keep = struct({ node_id: u8, refresh_token: token });

/** Asks for a network. */
export const seedRequest: Endpoint<undefined, Answer<SeedRouterAssignment, SeedAssignmentError>> = endpoint(
  'ergot/.well-known/seed-router/request',
  unit,
  assigned,
);
/** Extends the lease of a network. */
export const seedRefresh: Endpoint<SeedRefresh, Answer<SeedNetAssignment, SeedRefreshError>> = endpoint(
  'ergot/.well-known/seed-router/refresh',
  refresh,
  refreshed,
);
/** Gives a network back. */
export const seedRelease: Endpoint<SeedRelease, Answer<undefined, SeedRefreshError>> = endpoint(
  'ergot/.well-known/seed-router/release',
  release,
  released,
);
/** Asks for a node number of one's own choice. */
export const addressClaim: Endpoint<AddressClaim, Answer<AddressClaimGranted, AddressClaimError>> = endpoint(
  'ergot/.well-known/address/claim',
  claim,
  granted,
);
/** Extends the lease of a node number. */
export const addressRefresh: Endpoint<AddressRefresh, Answer<NodeClaimAssignment, AddressRefreshError>> = endpoint(
  'ergot/.well-known/address/refresh',
  keep,
  kept,
);

/** The answer that something went well. */
export function ok<T>(value: T): Answer<T, never> {
  return { kind: 'Ok', value };
}

/** The answer that it did not, and why. */
export function err<E extends string>(kind: E): Answer<never, E> {
  return { kind: 'Err', value: { kind } };
}
