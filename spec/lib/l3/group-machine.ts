/** A {@link GroupMembership} in virtual time whose port writes down what it is asked to send, for both families. */

import { type IpAddress, parseIp } from '../../../lib/core/address.js';
import { GroupMembership, type GroupMembershipOptions, type GroupQuery } from '../../../lib/l3/group-membership.js';
import { EVERYTHING, type SourceFilter } from '../../../lib/l3/source-filter.js';
import type { GroupRecord } from '../../../lib/wire/group-records.js';
import { type VirtualEnv, virtualEnv } from '../l2/fake-device.js';

const RECORD_NAMES = ['', 'is_in', 'is_ex', 'to_in', 'to_ex', 'allow', 'block'];

function wordsOf({ type, group, sources }: GroupRecord<IpAddress>): string {
  const names = sources.map(String).sort();
  return `${RECORD_NAMES[type]} ${group.toString()}${names.length > 0 ? ` {${names.join(' ')}}` : ''}`;
}

/** Addresses of a protocol, and the older generations that it has. */
export interface Family {
  readonly name: 'IGMP' | 'MLD';
  readonly group: string;
  readonly other: string;
  /** Every host is a member. */
  readonly silent: string;
  readonly sources: readonly string[];
  readonly generations: readonly (1 | 2)[];
}

/** The protocols that run through the one machine. */
export const FAMILIES: readonly Family[] = [
  {
    name: 'IGMP',
    group: '239.1.1.1',
    other: '239.2.2.2',
    silent: '224.0.0.1',
    sources: ['10.0.0.1', '10.0.0.2', '10.0.0.3'],
    generations: [1, 2],
  },
  {
    name: 'MLD',
    group: 'ff15::1',
    other: 'ff15::2',
    silent: 'ff02::1',
    sources: ['fd00::1', 'fd00::2', 'fd00::3'],
    generations: [2],
  },
];

/** See the module. */
export class GroupMachine {
  readonly group: IpAddress;
  readonly other: IpAddress;
  /** A socket. */
  readonly one = {};
  readonly env: VirtualEnv;
  readonly machine: GroupMembership<IpAddress>;
  /** What was sent, and when. */
  readonly log: { at: number; what: string }[] = [];

  constructor(family: Family, options: GroupMembershipOptions = {}, seed = 1) {
    const silent = parseIp(family.silent);
    this.group = parseIp(family.group);
    this.other = parseIp(family.other);
    this.env = virtualEnv(seed);
    const note = (what: string) => this.log.push({ at: this.env.timers.now(), what });
    this.machine = new GroupMembership<IpAddress>(
      {
        onlyGeneralCounts: family.name === 'IGMP',
        reports: (address) => !address.equals(silent),
        report: (records) => note(records.map(wordsOf).join(', ')),
        reportOld: (address, generation) => note(`report${generation} ${address.toString()}`),
        leave: (address) => note(`leave ${address.toString()}`),
      },
      this.env,
      options,
    );
  }

  wait(ms: number): void {
    this.env.scheduler.runFor(ms);
  }

  /** What was sent since it was last asked. */
  told(): string[] {
    return this.log.splice(0).map(({ what }) => what);
  }

  /** Brings a query; by default a general one of the newest version. */
  ask(fields: Partial<GroupQuery<IpAddress>> = {}): boolean {
    return this.machine.query({
      generation: 3,
      group: undefined,
      sources: [],
      maximumResponse: 10_000,
      robustness: 2,
      interval: 125_000,
      ...fields,
    });
  }

  /** Joins, and lets the reports of that go by. */
  joined(address: IpAddress = this.group, filter: SourceFilter = EVERYTHING): void {
    this.machine.listen(this.one, address, filter);
    this.wait(60_000);
    this.told();
  }
}
