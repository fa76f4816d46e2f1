/**
 * Who wants what is sent to multicast addresses: this device, its children, its siblings. An address of the device's own scope must have been given as one
 * that several may subscribe to; for one of a longer scope the parent is asked, by the first who wants it, and told by the last who does not. Where
 * another link leads up than before, who is there is asked for all that is wanted, and who was asked before is told that it is not. That
 * something is wanted no more is said until it is heard, also where the link to who did not hear it leads up again.
 */

import type { Timers } from '../../core/timers.js';
import type { PhoneAddress } from '../address.js';
import { isScope, scopeSize } from '../address-text.js';
import { ErgotError } from '../error.js';
import type { Incoming, NetStackApi } from '../net-stack-api.js';
import { OWN_SOCKETS, type RoutingTable } from '../routing.js';
import type { Serve } from './grants.js';
import type { PhoneLink } from './link.js';
import {
  type Answer,
  err,
  ok,
  type ScopedAddress,
  type SubscribeRefusal,
  subscribeMulticast,
  unsubscribeMulticast,
} from './messages.js';
import { Renewals } from './renewals.js';
import { atLink } from './target.js';

/** How many addresses a device keeps account of, so that none can take its memory. */
export const MAX_GROUPS = 1024;
const TIMEOUT = 3000;
/** Each request that waits for the parent takes a socket of the device: children that ask for very much are not to take all of them. */
const WAITING = { unanswered: 16 } as const;

/** What came of a subscription. */
export type SubscribeAnswer = Answer<undefined, SubscribeRefusal>;

/** What came of asking a parent. */
type Heard = Incoming<SubscribeAnswer, PhoneAddress> | ErgotError;

/** The device as its groups see it. */
export interface GroupsHost {
  readonly timers: Timers;
  readonly table: RoutingTable;
  readonly stack: NetStackApi<PhoneAddress>;
  /** Whether an address of the device's scope may be subscribed to. */
  isMulticast(value: number): boolean;
  /** The child, or sibling, at the other end of the link that a message came by. */
  askerOf(source: PhoneAddress): PhoneLink | undefined;
  /** The link to the parent, or to the sibling that leads there, that leads up now. */
  parent(): PhoneLink | undefined;
}

/** A multicast address. */
interface GroupAddress {
  readonly value: number;
  readonly bits: number;
}

/** Who waits for the parent's answer. */
interface Wish extends GroupAddress {
  readonly member: number;
}

interface Group extends GroupAddress {
  /** Numbers of links, or {@link OWN_SOCKETS}. */
  readonly members: Set<number>;
}

/** The subscriptions of a device and of those below it. */
export class Groups {
  private readonly host: GroupsHost;
  private readonly groups: Group[] = [];
  /** Those of who does not want it any more, or is gone, are taken out before they are answered. */
  private readonly wishes = new Set<Wish>();
  /** The link to who is asked: what led up when that was last looked at. */
  private parent: PhoneLink | undefined = undefined;
  /** What the parent, and those that were asked before, are still to be told: whether it is wanted of them. */
  private readonly renewals = new Map<PhoneLink, Renewals<GroupAddress>>();

  constructor(host: GroupsHost) {
    this.host = host;
  }

  /** Begins to answer children. */
  serve(serve: Serve): void {
    serve(
      subscribeMulticast,
      (request, answer) => {
        const link = this.askerOf(request);
        if (link === undefined) answer(err('NotMulticast'));
        else this.subscribe(request.value, link.number, answer);
      },
      WAITING,
    );
    serve(unsubscribeMulticast, (request, answer) => answer(this.unsubscribed(request)));
  }

  /** Lets own sockets, or a link, have what is sent to an address; `answer` is called once, at once or later. */
  subscribe({ bits: scope, address }: ScopedAddress, member: number, answer: (answer: SubscribeAnswer) => void): void {
    const { table } = this.host;
    const bits = Math.max(scope, table.bits);
    if (!isScope(bits) || address === 0 || address >= scopeSize(bits)) return answer(err('NotMulticast'));
    if (bits === table.bits && !this.host.isMulticast(address)) return answer(err('NotMulticast'));
    if (bits === table.bits || this.find(address, bits) !== undefined) return answer(this.add(address, bits, member));
    if (this.groups.length >= MAX_GROUPS) return answer(err('Full'));
    const { parent } = this;
    if (parent === undefined) return answer(err('ParentUnavailable'));
    const wish: Wish = { value: address, bits, member };
    this.wishes.add(wish);
    this.askFor(address, bits, parent, (result) => {
      const isWanted = this.wishes.delete(wish);
      const leadsUp = parent === this.parent;
      let outcome = result;
      if (result.kind === 'Ok') {
        outcome = isWanted && leadsUp ? this.add(address, bits, member) : err('ParentUnavailable');
        if (outcome.kind !== 'Ok') this.renewals.get(parent)?.add([wish]);
      }
      // Another link leads up since then.
      if (isWanted && !leadsUp) this.subscribe({ bits, address }, member, answer);
      else answer(outcome);
    });
  }

  /** Takes a subscription back. */
  unsubscribe({ bits: scope, address }: ScopedAddress, member: number): void {
    const bits = Math.max(scope, this.host.table.bits);
    this.withdraw((wish) => wish.value === address && wish.bits === bits && wish.member === member);
    const group = this.find(address, bits);
    if (group?.members.delete(member) !== true) return;
    this.host.table.unsubscribe(group.value, group.bits, member);
    if (group.members.size === 0) this.end(group);
  }

  /** A link is gone, and its subscriptions with it. */
  forget(link: PhoneLink): void {
    this.renewals.get(link)?.stop();
    this.renewals.delete(link);
    if (this.parent === link) this.parent = undefined;
    this.withdraw((wish) => wish.member === link.number);
    for (const group of this.groups.slice()) this.unsubscribe({ bits: group.bits, address: group.value }, link.number);
    this.follow();
  }

  /**
   * Looks again which link leads up. If it is another one than before, or `moved`, which is another place's since, who is there is told what is
   * wanted here. What it refuses is not heard any more.
   */
  follow(moved?: PhoneLink): void {
    const { parent: before } = this;
    const parent = this.host.parent();
    this.parent = parent;
    if (parent !== before) {
      for (const link of [before, parent]) if (link !== undefined) this.tellAnew(link);
    } else if (parent !== undefined && parent === moved) this.tellAnew(parent);
  }

  /** Asks nothing more. */
  stop(): void {
    for (const renewals of this.renewals.values()) renewals.stop();
    this.renewals.clear();
  }

  private unsubscribed(request: Incoming<ScopedAddress, PhoneAddress>): SubscribeAnswer {
    const link = this.askerOf(request);
    if (link === undefined) return err('NotMulticast');
    this.unsubscribe(request.value, link.number);
    return ok(undefined);
  }

  /** Who may ask for an address. Of a scope that is none of a device above the asker none is: what is sent there says the scope of one of these. */
  private askerOf({ source, value }: Incoming<ScopedAddress, PhoneAddress>): PhoneLink | undefined {
    return value.bits < this.host.table.bits ? undefined : this.host.askerOf(source);
  }

  private askFor(address: number, bits: number, parent: PhoneLink, answer: (answer: SubscribeAnswer) => void): void {
    this.ask(subscribeMulticast, parent, { bits, address }, (result) => {
      const refusal = refusalOf(result);
      answer(refusal === undefined ? ok(undefined) : err(refusal));
    });
  }

  /** Asks the parent for what is wanted already, or lets another link have none of it. */
  private tellAnew(link: PhoneLink): void {
    let renewals = this.renewals.get(link);
    if (renewals === undefined) {
      renewals = new Renewals(this.host.timers, (group, said) => this.tell(group, link, said));
      this.renewals.set(link, renewals);
    }
    renewals.again(this.groups.filter(({ bits }) => bits > this.host.table.bits));
  }

  private tell({ value, bits }: GroupAddress, link: PhoneLink, said: (said: boolean) => void): () => void {
    const isWanted = link === this.parent && this.isWanted(value, bits);
    const endpoint = isWanted ? subscribeMulticast : unsubscribeMulticast;
    return this.ask(endpoint, link, { bits, address: value }, (result) =>
      said(refusalOf(result) !== 'ParentUnavailable'),
    );
  }

  /** @returns what gives it up */
  private ask(
    endpoint: typeof subscribeMulticast,
    { device }: PhoneLink,
    address: ScopedAddress,
    heard: (result: Heard) => void,
  ): () => void {
    try {
      return this.host.stack.request(endpoint, atLink(device), address, heard, { timeout: TIMEOUT });
    } catch (error) {
      // All sockets are taken, which passes; or the node has ended.
      if (!(error instanceof ErgotError)) throw error;
      heard(error);
      return () => {};
    }
  }

  private add(value: number, bits: number, member: number): SubscribeAnswer {
    const group = this.find(value, bits);
    if (group === undefined && this.groups.length >= MAX_GROUPS) return err('Full');
    if (group === undefined) this.groups.push({ value, bits, members: new Set([member]) });
    else group.members.add(member);
    this.host.table.subscribe(value, bits, member);
    return ok(undefined);
  }

  private end(group: Group): void {
    this.groups.splice(this.groups.indexOf(group), 1);
    if (this.parent === undefined || group.bits === this.host.table.bits) return;
    this.renewals.get(this.parent)?.add([group]);
  }

  private withdraw(isMeant: (wish: Wish) => boolean): void {
    for (const wish of this.wishes) if (isMeant(wish)) this.wishes.delete(wish);
  }

  private isWanted(value: number, bits: number): boolean {
    if (this.find(value, bits) !== undefined) return true;
    for (const wish of this.wishes) if (wish.value === value && wish.bits === bits) return true;
    return false;
  }

  private find(value: number, bits: number): Group | undefined {
    return this.groups.find((group) => group.value === value && group.bits === bits);
  }
}

/** Why a parent does not pass on what was asked for; `undefined` if it does. That it was not heard, or that one above it has none to ask, passes. */
function refusalOf(result: Heard): SubscribeRefusal | undefined {
  if (result instanceof ErgotError) return 'ParentUnavailable';
  const { value: answer } = result;
  if (answer.kind === 'Ok') return undefined;
  return answer.value.kind === 'ParentUnavailable' ? 'ParentUnavailable' : 'ParentRefused';
}

/** What own sockets are to {@link Groups}. */
export const OWN_MEMBER: number = OWN_SOCKETS;
