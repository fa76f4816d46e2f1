/**
 * What one interface wants of one multicast group, and what of it has yet to be told to routers, in the records of IGMPv3 and MLDv2
 * (RFC 3376 5.1, 5.2, RFC 3810 6.1, 6.3). It has deadlines, but no timers: `GroupMembership` looks at them.
 */

import type { IpAddress } from '../core/address.js';
import { type GroupRecord, GroupRecordType } from '../wire/group-records.js';
import {
  addressKey,
  admits,
  intersection,
  isNothing,
  isSameFilter,
  mergeFilters,
  NOTHING,
  type SourceFilter,
  type SourceSet,
  without,
} from './source-filter.js';

const NEVER = Number.POSITIVE_INFINITY;
/** Sources that queries ask about are collected until the answer goes out; beyond this many the answer is about the whole group. */
const MAX_ASKED = 512;

interface PendingSource<A> {
  readonly source: A;
  left: number;
}

/** One group on one interface. */
export class GroupState<A extends IpAddress> {
  readonly group: A;
  /** What the listeners want together. */
  filter: SourceFilter<A> = NOTHING;
  /** When the next state-change report of this group is due, or never; in milliseconds of the clock. */
  changeDue: number = NEVER;
  /** When the answer to a query is due, or never. In the old versions this is the one timer of the group. */
  answerDue: number = NEVER;
  /** Old versions: unsolicited reports that are still to come after the one that is due. */
  repeats = 0;
  /** Old versions: whether nobody else has reported the group since we did. */
  lastReporter = false;
  /** Whether a report told of the group since it was joined. */
  announced = false;
  /** How long the first report is to wait, in milliseconds, for groups that were joined before the interface was up. */
  firstDelay = 0;
  private readonly listeners = new Map<object, SourceFilter<A>>();
  /** Reports that are still to say the filter's mode, since that changed. */
  private modeLeft = 0;
  /** Sources that are still to be told of, since they were added or taken away. */
  private readonly sourcesLeft = new Map<string, PendingSource<A>>();
  /** The sources that pending queries asked about; empty: about the whole group. */
  private asked: SourceSet<A> = NOTHING.sources;

  constructor(group: A) {
    this.group = group;
  }

  /** Sets what one listener wants; returns the filter that was in force before. */
  set(listener: object, filter: SourceFilter<A>): SourceFilter<A> {
    const before = this.filter;
    if (isNothing(filter)) this.listeners.delete(listener);
    else this.listeners.set(listener, filter);
    const merged = mergeFilters(this.listeners.values());
    if (!isSameFilter(before, merged)) this.filter = merged;
    return before;
  }

  /** What a listener wants. */
  of(listener: object): SourceFilter<A> | undefined {
    return this.listeners.get(listener);
  }

  /** Whether nobody wants it, and nothing has to be told. */
  get isOver(): boolean {
    return isNothing(this.filter) && this.changeDue === NEVER && this.answerDue === NEVER;
  }

  /** The filter changed from `before`: the next `robustness` reports are to say how. A change of mode says everything. */
  changed(before: SourceFilter<A>, robustness: number): void {
    const { mode, sources } = this.filter;
    if (before.mode !== mode) {
      this.sourcesLeft.clear();
      this.modeLeft = robustness;
      return;
    }
    for (const set of [without(sources, before.sources), without(before.sources, sources)]) {
      for (const [key, source] of set) this.sourcesLeft.set(key, { source, left: robustness });
    }
  }

  /** The records of the next state-change report; it counts as sent. */
  takeChanges(): GroupRecord<A>[] {
    const records = this.changes();
    if (this.modeLeft > 0) this.modeLeft--;
    for (const [key, pending] of this.sourcesLeft) {
      if (--pending.left <= 0) this.sourcesLeft.delete(key);
    }
    this.announced = true;
    return records;
  }

  /** Whether more state-change reports are to come. */
  get hasChanges(): boolean {
    return this.modeLeft > 0 || this.sourcesLeft.size > 0;
  }

  private changes(): GroupRecord<A>[] {
    const { group, filter } = this;
    if (this.modeLeft > 0) {
      const type = filter.mode === 'include' ? GroupRecordType.ChangeToInclude : GroupRecordType.ChangeToExclude;
      return [{ type, group, sources: [...filter.sources.values()] }];
    }
    const pending = [...this.sourcesLeft.values()].map(({ source }) => source);
    const allowed = pending.filter((source) => admits(filter, source));
    const blocked = pending.filter((source) => !admits(filter, source));
    const records: GroupRecord<A>[] = [];
    if (allowed.length > 0) records.push({ type: GroupRecordType.AllowNewSources, group, sources: allowed });
    if (blocked.length > 0) records.push({ type: GroupRecordType.BlockOldSources, group, sources: blocked });
    return records;
  }

  /** A query asks about `sources` of the group, or about all of it; the answer is due at `due`, unless an earlier one is (RFC 3376 5.2). */
  ask(sources: readonly A[], due: number): void {
    const isPending = this.answerDue !== NEVER;
    if (sources.length === 0 || (isPending && this.asked.size === 0)) this.asked = NOTHING.sources;
    else this.asked = collected(isPending ? this.asked : NOTHING.sources, sources);
    this.answerDue = Math.min(this.answerDue, due);
  }

  /** The record that answers the queries about the group, if there is one; they count as answered. */
  takeAnswer(): GroupRecord<A> | undefined {
    const { asked, filter, group } = this;
    this.answerDue = NEVER;
    this.asked = NOTHING.sources;
    if (asked.size === 0) return this.current();
    // Which of the sources that were asked about we want (RFC 3376 5.2, rule 3).
    const { mode, sources } = filter;
    const wanted = mode === 'include' ? intersection(asked, sources) : without(asked, sources);
    if (wanted.size === 0) return undefined;
    return { type: GroupRecordType.ModeIsInclude, group, sources: [...wanted.values()] };
  }

  /** The record that says what is wanted now; `undefined` if nothing is. */
  current(): GroupRecord<A> | undefined {
    const { filter, group } = this;
    if (isNothing(filter)) return undefined;
    const type = filter.mode === 'include' ? GroupRecordType.ModeIsInclude : GroupRecordType.ModeIsExclude;
    return { type, group, sources: [...filter.sources.values()] };
  }

  /** Forgets what was to be sent: the interface is down, or speaks another version now. */
  forget(): void {
    this.changeDue = this.answerDue = NEVER;
    this.repeats = 0;
    this.lastReporter = false;
    this.modeLeft = 0;
    this.sourcesLeft.clear();
    this.asked = NOTHING.sources;
  }
}

/** Both; or none, which means everything, where that would be too many. */
function collected<A extends IpAddress>(known: SourceSet<A>, more: readonly A[]): SourceSet<A> {
  const all = new Map(known);
  for (const source of more) all.set(addressKey(source), source);
  return all.size > MAX_ASKED ? NOTHING.sources : all;
}
