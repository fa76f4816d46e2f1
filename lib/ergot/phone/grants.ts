/**
 * What a device gives its children: ranges of its pool, each with a route to the child from the same moment on, and with a lease. A lease is 30 s at
 * first and 120 s once it is extended, as the child does when 62 s are left; a child that vanishes has its ranges kept from others for 30 s more, in
 * which nothing leads there, and then they are free. (The times are those of ergot 0.12.)
 */

import type { Device } from '../../core/device.js';
import type { Timer, Timers } from '../../core/timers.js';
import type { PhoneAddress } from '../address.js';
import { type AllocError, type Allocation, AllocFlag, type AllocRequest } from '../allocator-pool.js';
import { scopeSize } from '../address-text.js';
import type { AddressAllocator } from '../allocator.js';
import type { Endpoint } from '../endpoint.js';
import type { Incoming, ServeOptions } from '../net-stack-api.js';
import { LEASE_TIMES } from '../profiles/leases.js';
import type { RoutingTable } from '../routing.js';
import type { PhoneLink } from './link.js';
import {
  type AddressList,
  type AllocMessage,
  type AllocRefusal,
  type AllocSuccess,
  allocAddresses,
  allocRefusal,
  type Answer,
  err,
  type LeaseRefusal,
  ok,
  refreshAddresses,
  releaseAddresses,
  type RefreshSuccess,
  toWire,
} from './messages.js';

const SECOND = 1000;
/** A child has at most as many leases at a time, so that none can take a device's memory. */
export const MAX_GRANTS = 64;
/** So many repetitions of a request may wait for its answer: a child asks no more often before it gives up. */
const MAX_ANSWERS = 8;

/** The device as what gives its addresses sees it. */
export interface GrantsHost {
  readonly timers: Timers;
  readonly table: RoutingTable;
  readonly allocator: AddressAllocator;
  /** The child at the other end of the link that a message came by; `undefined` if it came from further away, or is no child. */
  childOf(source: PhoneAddress): PhoneLink | undefined;
  /** The link of a device; `undefined` for one that is attached no more. */
  linkOf(device: Device): PhoneLink | undefined;
  /** A link has got ranges, or lost them. */
  granted(): void;
  /** A link has extended its leases. */
  refreshed(link: PhoneLink): void;
}

/** Serves an endpoint of the device's own. @throws UsageError `ERR_INVALID_OPTION` where no socket is left for it */
export type Serve = <Request, Response>(
  endpoint: Endpoint<Request, Response>,
  handler: (request: Incoming<Request, PhoneAddress>, answer: (response: Response) => void) => void,
  options?: Pick<ServeOptions, 'unanswered'>,
) => void;

/** What one request was given. */
class Grant {
  device: Device;
  readonly nonce: number;
  readonly allocations: readonly Allocation[];
  /** In milliseconds; after it the grant is a tombstone. */
  end: number;
  isTombstone = false;
  readonly timer: Timer;

  constructor(grants: Grants, device: Device, nonce: number, allocations: readonly Allocation[], timers: Timers) {
    this.device = device;
    this.nonce = nonce;
    this.allocations = allocations;
    this.end = timers.now() + LEASE_TIMES.first * SECOND;
    this.timer = timers.timer((grant: Grant) => grants.ended(grant), this);
    this.timer.arm(this.end);
  }

  has(address: number): boolean {
    return this.allocations.some(({ first }) => first === address);
  }
}

type AllocAnswer = (answer: Answer<AllocSuccess, AllocRefusal>) => void;

/** A request that waits for the device's own parent. */
interface Waiting {
  readonly link: PhoneLink;
  readonly nonce: number;
  readonly answers: AllocAnswer[];
}

/** The ranges that children have. */
export class Grants {
  private readonly host: GrantsHost;
  private readonly grants = new Map<Device, Set<Grant>>();
  private readonly waiting: Waiting[] = [];

  constructor(host: GrantsHost) {
    this.host = host;
  }

  /** Begins to answer children. */
  serve(serve: Serve): void {
    serve(allocAddresses, (request, answer) => this.alloc(request, answer));
    serve(refreshAddresses, (request, answer) => answer(this.refresh(request)));
    serve(releaseAddresses, (request, answer) => answer(this.release(request)));
  }

  /** Whether a link leads to ranges. */
  leadTo(link: PhoneLink): boolean {
    for (const grant of this.of(link.device)) if (!grant.isTombstone) return true;
    return false;
  }

  /** Whether an address of the device's scope was given as one that several may subscribe to. */
  isMulticast(value: number): boolean {
    for (const grants of this.grants.values()) {
      for (const { allocations, isTombstone } of grants) {
        if (!isTombstone && allocations.some((one) => isMulticast(one, value))) return true;
      }
    }
    return false;
  }

  /** A link is there again: what its device has leads there once more. */
  attached(link: PhoneLink): void {
    for (const grant of this.of(link.device)) if (!grant.isTombstone) this.addRoutes(grant, link);
  }

  /** Ends all at once. */
  stop(): void {
    for (const grants of this.grants.values()) for (const { timer } of grants) timer.cancel();
    this.grants.clear();
    this.waiting.length = 0;
  }

  /** For {@link Grant}: its lease, or its time as a tombstone, is over. */
  ended(grant: Grant): void {
    if (grant.isTombstone) return this.free(grant);
    grant.isTombstone = true;
    this.removeRoutes(grant);
    grant.timer.arm(grant.end + LEASE_TIMES.tombstone * SECOND);
    this.host.granted();
  }

  private alloc({ source, value }: Incoming<AllocMessage, PhoneAddress>, answer: AllocAnswer): void {
    const link = this.host.childOf(source);
    if (link === undefined) return answer(err('NotAChild'));
    const { nonce } = value;
    const given = this.given(link, nonce);
    if (given !== undefined) return answer(this.success(given));
    const asked = this.waiting.find((one) => one.link === link && one.nonce === nonce);
    if (asked !== undefined) {
      asked.answers.push(answer);
      if (asked.answers.length > MAX_ANSWERS) asked.answers.shift()?.(err('Busy'));
      return;
    }
    if (this.of(link.device).size >= MAX_GRANTS) return answer(err('TooMany'));
    const waiting = { link, nonce, answers: [answer] };
    this.waiting.push(waiting);
    this.host.allocator.request(value.allocs, (result) => this.answer(waiting, result, value.allocs));
  }

  /** Answers a request, and each repetition of it: whoever waits for the first does not hear of the others. */
  private answer(waiting: Waiting, result: readonly Allocation[] | AllocError, asked: readonly AllocRequest[]): void {
    const answer = this.settle(waiting, result, asked);
    for (const each of waiting.answers) each(answer);
  }

  private settle(
    waiting: Waiting,
    result: readonly Allocation[] | AllocError,
    asked: readonly AllocRequest[],
  ): Answer<AllocSuccess, AllocRefusal> {
    const index = this.waiting.indexOf(waiting);
    const { link, nonce } = waiting;
    if (index >= 0) this.waiting.splice(index, 1);
    if (typeof result === 'number') return err(allocRefusal(result));
    if (index < 0 || this.host.linkOf(link.device) !== link || asked.length === 0) {
      for (const { first } of result) this.host.allocator.release(first);
      return err(asked.length === 0 ? 'InvalidLength' : 'Busy');
    }
    const grant = new Grant(this, link.device, nonce, result, this.host.timers);
    this.add(grant, link);
    return this.success(grant);
  }

  /**
   * What a request was given already: when its answer was lost, when its lease ran out, or by a link that has gone since, whose child now has this one. By
   * its number it can be known, which nobody else was told.
   */
  private given(link: PhoneLink, nonce: number): Grant | undefined {
    for (const [device, grants] of this.grants) {
      if (device !== link.device && this.host.linkOf(device) !== undefined) continue;
      for (const grant of grants) {
        if (grant.nonce !== nonce) continue;
        if (grant.isTombstone || device !== link.device) this.revive(grant, link);
        return grant;
      }
    }
    return undefined;
  }

  private revive(grant: Grant, link: PhoneLink): void {
    this.removeRoutes(grant);
    this.forget(grant);
    grant.device = link.device;
    if (grant.isTombstone) grant.end = this.host.timers.now() + LEASE_TIMES.first * SECOND;
    grant.isTombstone = false;
    grant.timer.arm(grant.end);
    this.add(grant, link);
  }

  private add(grant: Grant, link: PhoneLink): void {
    const grants = this.grants.get(grant.device);
    if (grants === undefined) this.grants.set(grant.device, new Set([grant]));
    else grants.add(grant);
    this.addRoutes(grant, link);
    this.host.granted();
  }

  private addRoutes({ allocations }: Grant, link: PhoneLink): void {
    for (const { first, len } of allocations) this.host.table.add(first, len, link.number);
  }

  private forget(grant: Grant): void {
    const grants = this.grants.get(grant.device);
    grants?.delete(grant);
    if (grants?.size === 0) this.grants.delete(grant.device);
  }

  private success(grant: Grant): Answer<AllocSuccess, AllocRefusal> {
    const { bits } = this.host.table;
    return ok({ bits, expires_seconds: this.left(grant), allocs: toWire(grant.allocations) });
  }

  private left({ end }: Grant): number {
    return Math.max(0, Math.ceil((end - this.host.timers.now()) / SECOND));
  }

  private refresh({ source, value }: Incoming<AddressList, PhoneAddress>): Answer<RefreshSuccess, LeaseRefusal> {
    const link = this.host.childOf(source);
    const grants = link === undefined ? undefined : this.named(link, value.addresses);
    if (link === undefined || grants === undefined || grants.size === 0) return err('Unknown');
    const now = this.host.timers.now();
    const due = [...grants].filter(({ end }) => end - now <= LEASE_TIMES.refreshBelow * SECOND);
    if (due.length === 0) return err('TooSoon');
    for (const grant of due) {
      grant.end = now + LEASE_TIMES.longest * SECOND;
      grant.timer.arm(grant.end);
    }
    this.host.refreshed(link);
    const expires = Math.min(...Array.from(grants, (grant) => this.left(grant)));
    return ok({ expires_seconds: expires, min_refresh_seconds: LEASE_TIMES.refreshBelow });
  }

  private release({ source, value }: Incoming<AddressList, PhoneAddress>): Answer<undefined, LeaseRefusal> {
    const link = this.host.childOf(source);
    if (link === undefined) return err('Unknown');
    const grants = value.addresses.length === 0 ? new Set(this.of(link.device)) : this.named(link, value.addresses);
    if (grants === undefined) return err('Unknown');
    for (const grant of grants) {
      this.removeRoutes(grant);
      this.free(grant);
    }
    if (grants.size > 0) this.host.granted();
    return ok(undefined);
  }

  /** The leases of the ranges that begin at `addresses`; `undefined` if one of them is none of the link's. */
  private named(link: PhoneLink, addresses: readonly number[]): Set<Grant> | undefined {
    const found = new Set<Grant>();
    for (const address of addresses) {
      const grant = [...this.of(link.device)].find((one) => !one.isTombstone && one.has(address));
      if (grant === undefined) return undefined;
      found.add(grant);
    }
    return found;
  }

  private of(device: Device): ReadonlySet<Grant> {
    return this.grants.get(device) ?? NO_GRANTS;
  }

  private removeRoutes({ allocations, device }: Grant): void {
    const link = this.host.linkOf(device);
    if (link !== undefined) for (const { first } of allocations) this.host.table.remove(first, link.number);
  }

  private free(grant: Grant): void {
    grant.timer.cancel();
    for (const { first } of grant.allocations) this.host.allocator.release(first);
    this.forget(grant);
  }
}

const NO_GRANTS: ReadonlySet<Grant> = new Set();

function isMulticast({ first, len, flags }: Allocation, value: number): boolean {
  return (flags & AllocFlag.AllowMulticast) !== 0 && value >= first && value < first + scopeSize(len);
}
