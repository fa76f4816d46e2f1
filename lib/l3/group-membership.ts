/**
 * Group membership as a host tells it to the routers of one link: IGMP versions 1, 2 and 3 and MLD versions 1 and 2 in one machine
 * (RFC 1112, RFC 2236, RFC 3376, RFC 2710, RFC 3810). It counts generations, by IGMP's versions: MLDv1 is what IGMPv2 is, MLDv2 what
 * IGMPv3 is. What goes out, and whereto, is the business of its {@link GroupPort}. Routers' sides of the protocols are left out.
 */

import type { IpAddress } from '../core/address.js';
import type { Env } from '../core/env.js';
import type { Timer } from '../core/timers.js';
import type { GroupRecord } from '../wire/group-records.js';
import { GroupState } from './group-state.js';
import { addressKey, isNothing, NOTHING, type SourceFilter } from './source-filter.js';

/** IGMPv1; IGMPv2 and MLDv1; IGMPv3 and MLDv2. */
export type GroupGeneration = 1 | 2 | 3;

/** A received query. Times are in milliseconds. */
export interface GroupQuery<A extends IpAddress> {
  readonly generation: GroupGeneration;
  /** `undefined` asks for all groups. */
  readonly group: A | undefined;
  /** Of the third generation: the sources that it asks about; none asks about the whole group. */
  readonly sources: readonly A[];
  readonly maximumResponse: number;
  /** The querier's robustness variable; 0 where it does not say. */
  readonly robustness: number;
  /** The querier's interval; 0 where it does not say. */
  readonly interval: number;
}

/** How memberships are told on one link, in one IP version. */
export interface GroupPort<A extends IpAddress> {
  /**
   * Whether of the second generation only general queries say that there is a querier of it: so in IGMP (RFC 3376 7.2.1), while in MLD all of
   * them do (RFC 3810 8.2.1).
   */
  readonly onlyGeneralCounts: boolean;
  /** Whether memberships of this group are reported at all: not those that every host has, nor those that never leave it. */
  reports(group: A): boolean;
  /** Sends reports of the third generation with these records. */
  report(records: readonly GroupRecord<A>[]): void;
  /** Sends a report of an older generation. */
  reportOld(group: A, generation: 1 | 2): void;
  /** Sends what ends a membership in the second generation: a leave, or done. */
  leave(group: A): void;
}

/** Options of {@link GroupMembership}. */
export interface GroupMembershipOptions {
  /** The newest generation to speak. Default 3. */
  readonly generation?: GroupGeneration;
}

const NEVER = Number.POSITIVE_INFINITY;
// RFC 3376 8.1, 8.2 and RFC 3810 9.1, 9.2: until a query says otherwise.
const ROBUSTNESS = 2;
const QUERY_INTERVAL = 125_000;
// RFC 3376 8.11, RFC 3810 9.11; and before, RFC 2236 8.10, RFC 2710 7.10.
const UNSOLICITED_INTERVAL = 1_000;
const OLD_UNSOLICITED_INTERVAL = 10_000;

/** The memberships of one interface. Between `stop` and `start` they are only remembered. */
export class GroupMembership<A extends IpAddress> {
  private readonly port: GroupPort<A>;
  private readonly env: Env;
  private readonly newest: GroupGeneration;
  private readonly timer: Timer;
  private readonly groups = new Map<string, GroupState<A>>();
  private spoken: GroupGeneration;
  private started = false;
  private robustness = ROBUSTNESS;
  private interval = QUERY_INTERVAL;
  /** When the answer to a general query is due; of the third generation. */
  private generalDue = NEVER;
  /** Until when queriers of the first and of the second generation count as present (RFC 3376 7.2.1, RFC 3810 8.2.1). */
  private firstUntil = 0;
  private secondUntil = 0;

  constructor(port: GroupPort<A>, env: Env, options: GroupMembershipOptions = {}) {
    this.port = port;
    this.env = env;
    this.newest = this.spoken = options.generation ?? 3;
    this.timer = env.timers.timer(() => this.fire());
  }

  /** The generation that is spoken now: the querier's, if that is older. */
  get generation(): GroupGeneration {
    return this.spoken;
  }

  /** Tells of all groups that are wanted, from now on. */
  start(): void {
    this.started = true;
    this.announce();
  }

  /** Tells of all groups anew, as if they had just been joined: after the address to report from has changed (RFC 3590 4). */
  announce(): void {
    if (!this.started) return;
    for (const state of this.groups.values()) {
      if (isNothing(state.filter) || !this.port.reports(state.group)) continue;
      this.change(state, NOTHING);
      this.delay(state, state.firstDelay);
      state.firstDelay = 0;
    }
    this.rearm();
  }

  /** The interface is down: nothing is told, and what queriers said is forgotten. */
  stop(): void {
    this.started = false;
    this.firstUntil = this.secondUntil = 0;
    this.robustness = ROBUSTNESS;
    this.interval = QUERY_INTERVAL;
    this.speak(this.newest);
    this.forget();
    this.rearm();
  }

  /**
   * Sets what `listener`, an object that stands for a socket, wants of `group`; {@link NOTHING} ends it (RFC 3376 2). The first report
   * may wait for `delay` milliseconds.
   */
  listen(listener: object, group: A, filter: SourceFilter<A>, delay = 0): void {
    const key = addressKey(group);
    const state = this.groups.get(key) ?? new GroupState(group);
    this.groups.set(key, state);
    const before = state.set(listener, filter);
    if (this.started && this.port.reports(group)) this.change(state, before);
    if (delay > 0) this.delay(state, delay);
    if (state.isOver) this.groups.delete(key);
    this.rearm();
  }

  /** The report that a group has just been joined may wait for `delay` milliseconds, if it was not sent yet (RFC 4862 5.4.2). */
  postpone(group: A, delay: number): void {
    const state = this.groups.get(addressKey(group));
    if (state === undefined) return;
    this.delay(state, delay);
    this.rearm();
  }

  /** What `listener` wants of `group`, if it wants anything. */
  of(listener: object, group: A): SourceFilter<A> | undefined {
    return this.groups.get(addressKey(group))?.of(listener);
  }

  /** What all listeners together want of `group`. */
  filter(group: A): SourceFilter<A> {
    return this.groups.get(addressKey(group))?.filter ?? NOTHING;
  }

  /** The groups that somebody wants. */
  list(): A[] {
    return [...this.groups.values()].filter(({ filter }) => !isNothing(filter)).map(({ group }) => group);
  }

  /** Takes a query; returns whether it was heeded. */
  query(query: GroupQuery<A>): boolean {
    if (!this.started) return false;
    const now = this.env.timers.now();
    const { generation, maximumResponse } = query;
    if (generation === 3) {
      this.robustness = query.robustness || ROBUSTNESS;
      this.interval = query.interval || QUERY_INTERVAL;
    } else {
      const until = now + this.robustness * this.interval + maximumResponse;
      if (generation === 1) this.firstUntil = until;
      else if (query.group === undefined || !this.port.onlyGeneralCounts) this.secondUntil = until;
    }
    this.adapt(now);
    if (this.spoken === 3) this.askAbout(query, now + this.env.random.float() * maximumResponse);
    else this.askOld(query, now);
    this.rearm();
    return true;
  }

  /** Somebody else reported `group` in an older generation: we need not (RFC 2236 3, RFC 2710 4). Returns whether we were about to. */
  heard(group: A): boolean {
    const state = this.groups.get(addressKey(group));
    if (this.spoken === 3 || state === undefined || state.answerDue === NEVER) return false;
    state.answerDue = NEVER;
    state.repeats = 0;
    state.lastReporter = false;
    this.rearm();
    return true;
  }

  // --- changes of what is wanted

  private change(state: GroupState<A>, before: SourceFilter<A>): void {
    const now = this.env.timers.now();
    if (isNothing(before)) state.announced = false;
    if (before === state.filter) return;
    if (this.spoken === 3) {
      state.changed(before, this.robustness);
      state.changeDue = now;
    } else this.changeOld(state, before, now);
  }

  private delay(state: GroupState<A>, delay: number): void {
    if (!this.started) {
      state.firstDelay = Math.max(state.firstDelay, delay);
      return;
    }
    if (delay === 0 || state.announced) return;
    const due = this.env.timers.now() + delay;
    if (state.changeDue !== NEVER) state.changeDue = due;
    if (state.answerDue !== NEVER && this.spoken !== 3) state.answerDue = due;
  }

  /** Older generations know members of groups, and no sources. */
  private changeOld(state: GroupState<A>, before: SourceFilter<A>, now: number): void {
    const isMember = !isNothing(state.filter);
    if (isMember === !isNothing(before)) return;
    if (isMember) {
      state.answerDue = now;
      state.repeats = this.robustness - 1;
      return;
    }
    // Where somebody else reported last, there is another member (RFC 2236 3); IGMPv1 knows no leaving.
    if (state.lastReporter && this.spoken === 2) this.port.leave(state.group);
    state.forget();
  }

  // --- queries

  /** RFC 3376 5.2, RFC 3810 6.2. */
  private askAbout({ group, sources }: GroupQuery<A>, due: number): void {
    if (this.generalDue <= due) return;
    if (group === undefined) {
      this.generalDue = due;
      return;
    }
    const state = this.groups.get(addressKey(group));
    if (state !== undefined && !isNothing(state.filter) && this.port.reports(group)) state.ask(sources, due);
  }

  /** Each group has a timer of its own, which a query moves only to be earlier (RFC 2236 3, RFC 2710 4). */
  private askOld({ group, maximumResponse }: GroupQuery<A>, now: number): void {
    for (const state of this.groups.values()) {
      if (group !== undefined && addressKey(group) !== addressKey(state.group)) continue;
      if (isNothing(state.filter) || !this.port.reports(state.group)) continue;
      if (state.answerDue > now + maximumResponse) {
        state.answerDue = now + this.env.random.float() * maximumResponse;
      }
    }
  }

  /** Speaks the generation of the oldest querier that is present; what was to be sent in another is not. */
  private adapt(now: number): void {
    if (this.firstUntil > now) this.speak(1);
    else if (this.secondUntil > now) this.speak(2);
    else this.speak(this.newest);
  }

  private speak(generation: GroupGeneration): void {
    const spoken = generation < this.newest ? generation : this.newest;
    if (spoken === this.spoken) return;
    this.spoken = spoken;
    this.forget();
  }

  private forget(): void {
    this.generalDue = NEVER;
    for (const [key, state] of this.groups) {
      state.forget();
      if (state.isOver) this.groups.delete(key);
    }
  }

  // --- time

  private rearm(): void {
    let deadline = this.generalDue;
    if (this.started) {
      for (const { changeDue, answerDue } of this.groups.values()) deadline = Math.min(deadline, changeDue, answerDue);
      if (this.spoken < this.newest) deadline = Math.min(deadline, this.olderUntil);
    }
    this.timer.arm(deadline);
  }

  /** When the generation that is spoken may have to change. */
  private get olderUntil(): number {
    return this.spoken === 1 ? this.firstUntil : this.secondUntil;
  }

  private fire(): void {
    const now = this.env.timers.now();
    this.adapt(now);
    if (this.spoken === 3) {
      this.answer(now);
      this.tellChanges(now);
    } else this.reportOld(now);
    this.rearm();
  }

  private answer(now: number): void {
    const records: GroupRecord<A>[] = [];
    const isGeneral = this.generalDue <= now;
    if (isGeneral) this.generalDue = NEVER;
    for (const state of this.groups.values()) {
      const isDue = state.answerDue <= now;
      if (!isDue && !(isGeneral && this.port.reports(state.group))) continue;
      const answer = isDue ? state.takeAnswer() : undefined;
      const record = isGeneral ? state.current() : answer;
      if (record !== undefined) records.push(record);
    }
    if (records.length > 0) this.port.report(records);
  }

  /** The changes of all groups whose time has come, in one go; those that are to be repeated are from then on repeated together. */
  private tellChanges(now: number): void {
    const records: GroupRecord<A>[] = [];
    const next = now + this.env.random.float() * UNSOLICITED_INTERVAL;
    for (const [key, state] of this.groups) {
      if (state.changeDue > now) continue;
      records.push(...state.takeChanges());
      state.changeDue = state.hasChanges ? next : NEVER;
      if (state.isOver) this.groups.delete(key);
    }
    if (records.length > 0) this.port.report(records);
  }

  private reportOld(now: number): void {
    const generation = this.spoken === 1 ? 1 : 2;
    for (const state of this.groups.values()) {
      if (state.answerDue > now) continue;
      const isRepeated = state.repeats-- > 0;
      if (!isRepeated) state.repeats = 0;
      state.answerDue = isRepeated ? now + this.env.random.float() * OLD_UNSOLICITED_INTERVAL : NEVER;
      state.lastReporter = state.announced = true;
      this.port.reportOld(state.group, generation);
    }
  }
}
