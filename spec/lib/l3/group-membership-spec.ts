import { expect } from 'chai';
import * as fc from 'fast-check';
import { type IpAddress, parseIp } from '../../../lib/core/address.js';
import type { GroupMembership, GroupMembershipOptions, GroupQuery } from '../../../lib/l3/group-membership.js';
import {
  EVERYTHING,
  type FilterMode,
  NOTHING,
  type SourceFilter,
  sourceFilter,
} from '../../../lib/l3/source-filter.js';
import type { VirtualEnv } from '../l2/fake-device.js';
import { FAMILIES, GroupMachine } from './group-machine.js';

for (const family of FAMILIES) {
  describe(`group membership, ${family.name}`, () => {
    const group = parseIp(family.group);
    const other = parseIp(family.other);
    const silent = parseIp(family.silent);
    const [s1, s2, s3] = family.sources.map((text) => parseIp(text)) as [IpAddress, IpAddress, IpAddress];
    const [g, o] = [family.group, family.other];
    const [n1, n2, n3] = family.sources as [string, string, string];
    const one = { name: 'socket 1' };
    const two = { name: 'socket 2' };
    let fixture: GroupMachine;
    let env: VirtualEnv;
    let machine: GroupMembership<IpAddress>;
    let log: GroupMachine['log'];

    function make(options: GroupMembershipOptions = {}, seed = 1): GroupMembership<IpAddress> {
      fixture = new GroupMachine(family, options, seed);
      ({ env, machine, log } = fixture);
      return machine;
    }
    const wait = (ms: number) => fixture.wait(ms);
    const told = () => fixture.told();
    const ask = (fields: Partial<GroupQuery<IpAddress>> = {}) => fixture.ask(fields);
    const joined = (address = group, filter: SourceFilter = EVERYTHING) => {
      machine.listen(one, address, filter);
      wait(60_000);
      told();
    };

    beforeEach(() => {
      make();
      machine.start();
    });
    afterEach(() => {
      machine.stop();
      expect(env.scheduler.pending, 'timers left').to.equal(0);
    });

    describe('state-change reports (RFC 3376 5.1, RFC 3810 6.1)', () => {
      it('3376-1: a join is told at once, and once more within a second', () => {
        machine.listen(one, group, EVERYTHING);
        wait(0);
        expect(log).to.deep.equal([{ at: 0, what: `to_ex ${g}` }]);
        wait(60_000);
        expect(log.map(({ what }) => what)).to.deep.equal([`to_ex ${g}`, `to_ex ${g}`]);
        expect(log[1]?.at).to.be.within(0, 1000);
        expect(env.scheduler.pending).to.equal(0);
      });

      it('draws the delay of the second report at random', () => {
        const delays = [1, 2, 3, 4, 5, 6, 7, 8].map((seed) => {
          make({}, seed).start();
          machine.listen(one, group, EVERYTHING);
          wait(60_000);
          return log[1]?.at ?? -1;
        });
        expect(new Set(delays).size).to.equal(8);
        expect(Math.max(...delays)).to.be.within(300, 1000);
      });

      it('a leave is told twice, too', () => {
        joined();
        machine.listen(one, group, NOTHING);
        wait(60_000);
        expect(told()).to.deep.equal([`to_in ${g}`, `to_in ${g}`]);
        expect(machine.list()).to.deep.equal([]);
      });

      it('source-specific membership is told by its sources', () => {
        machine.listen(one, group, sourceFilter('include', [s1, s2]));
        wait(60_000);
        expect(told()).to.deep.equal([`allow ${g} {${n1} ${n2}}`, `allow ${g} {${n1} ${n2}}`]);
        machine.listen(one, group, sourceFilter('include', [s2, s3]));
        wait(60_000);
        const change = `allow ${g} {${n3}}, block ${g} {${n1}}`;
        expect(told()).to.deep.equal([change, change]);
        machine.listen(one, group, NOTHING);
        wait(60_000);
        expect(told()).to.deep.equal([`block ${g} {${n2} ${n3}}`, `block ${g} {${n2} ${n3}}`]);
      });

      it('blocking a source of an any-source membership, and allowing it again', () => {
        joined();
        machine.listen(one, group, sourceFilter('exclude', [s1]));
        wait(60_000);
        expect(told()).to.deep.equal([`block ${g} {${n1}}`, `block ${g} {${n1}}`]);
        machine.listen(one, group, EVERYTHING);
        wait(60_000);
        expect(told()).to.deep.equal([`allow ${g} {${n1}}`, `allow ${g} {${n1}}`]);
      });

      it('a change of mode says everything there is', () => {
        joined(group, sourceFilter('include', [s1]));
        machine.listen(one, group, sourceFilter('exclude', [s2]));
        wait(60_000);
        expect(told()).to.deep.equal([`to_ex ${g} {${n2}}`, `to_ex ${g} {${n2}}`]);
        machine.listen(one, group, sourceFilter('include', [s3]));
        wait(60_000);
        expect(told()).to.deep.equal([`to_in ${g} {${n3}}`, `to_in ${g} {${n3}}`]);
      });

      it('what a second socket wants is told only where it makes a difference', () => {
        joined();
        machine.listen(two, group, EVERYTHING);
        machine.listen(two, group, sourceFilter('include', [s1]));
        machine.listen(two, group, NOTHING);
        wait(60_000);
        expect(told()).to.deep.equal([]);
        machine.listen(two, group, sourceFilter('include', [s1]));
        machine.listen(one, group, NOTHING);
        wait(60_000);
        expect(told()).to.deep.equal([`to_in ${g} {${n1}}`, `to_in ${g} {${n1}}`]);
      });

      it('a change before the last one was repeated is merged with it', () => {
        machine.listen(one, group, sourceFilter('include', [s1]));
        wait(0);
        machine.listen(one, group, sourceFilter('include', [s2]));
        wait(0);
        expect(told()).to.deep.equal([`allow ${g} {${n1}}`, `allow ${g} {${n2}}, block ${g} {${n1}}`]);
        wait(60_000);
        expect(told()).to.deep.equal([`allow ${g} {${n2}}, block ${g} {${n1}}`]);
      });

      it('changes of sources wait while a change of mode is being told, then have their reports', () => {
        machine.listen(one, group, EVERYTHING);
        wait(0);
        machine.listen(one, group, sourceFilter('exclude', [s1]));
        wait(0);
        expect(told()).to.deep.equal([`to_ex ${g}`, `to_ex ${g} {${n1}}`]);
        wait(60_000);
        expect(told()).to.deep.equal([`block ${g} {${n1}}`]);
      });

      it('several changes of one moment go in one report', () => {
        machine.listen(one, group, EVERYTHING);
        machine.listen(two, other, sourceFilter('include', [s1]));
        wait(60_000);
        const both = `to_ex ${g}, allow ${o} {${n1}}`;
        expect(told()).to.deep.equal([both, both]);
      });

      it("follows the querier's robustness variable", () => {
        ask({ robustness: 4, maximumResponse: 0 });
        wait(0);
        machine.listen(one, group, EVERYTHING);
        wait(60_000);
        expect(told()).to.deep.equal(Array(4).fill(`to_ex ${g}`));
        ask({ robustness: 0, maximumResponse: 0 });
        wait(0);
        told();
        machine.listen(one, group, NOTHING);
        wait(60_000);
        expect(told()).to.deep.equal([`to_in ${g}`, `to_in ${g}`]);
      });

      it('4862-1: the first report may be made to wait (RFC 4862 5.4.2)', () => {
        machine.listen(one, group, EVERYTHING, 700);
        wait(699);
        expect(told()).to.deep.equal([]);
        wait(1);
        expect(told()).to.deep.equal([`to_ex ${g}`]);
      });

      it('4862-1: also where the group was joined for another reason in the same moment, but not later', () => {
        machine.listen(one, group, EVERYTHING);
        machine.listen(two, group, EVERYTHING, 700);
        wait(699);
        expect(told()).to.deep.equal([]);
        wait(60_000);
        expect(told()).to.deep.equal([`to_ex ${g}`, `to_ex ${g}`]);
        machine.listen(two, group, NOTHING);
        machine.listen(two, group, EVERYTHING, 700);
        wait(60_000);
        expect(told()).to.deep.equal([]);
      });
    });

    describe('silence', () => {
      it('3376-1: the group of all hosts is never reported, whatever is asked (RFC 3376 5, RFC 3810 6)', () => {
        machine.listen(one, silent, EVERYTHING);
        ask();
        ask({ group: silent });
        wait(60_000);
        machine.listen(one, silent, NOTHING);
        ask({ generation: 2 });
        machine.listen(one, silent, EVERYTHING);
        ask({ generation: 2, group: silent });
        wait(60_000);
        expect(told()).to.deep.equal([]);
      });

      it('nothing is told before the start nor after the stop, and what is wanted is remembered', () => {
        make();
        machine.listen(one, group, sourceFilter('exclude', [s1]), 300);
        machine.listen(one, other, sourceFilter('include', [s2]));
        expect(ask()).to.equal(false);
        wait(60_000);
        expect(told()).to.deep.equal([]);
        machine.start();
        wait(0);
        expect(told()).to.deep.equal([`allow ${o} {${n2}}`]);
        wait(300);
        expect(log[0]?.what).to.equal(`to_ex ${g} {${n1}}`);
        machine.stop();
        told();
        machine.listen(one, other, NOTHING);
        wait(60_000);
        expect(told()).to.deep.equal([]);
        machine.start();
        wait(60_000);
        expect(told()).to.deep.equal([`to_ex ${g} {${n1}}`, `to_ex ${g} {${n1}}`]);
      });
    });

    describe('queries (RFC 3376 5.2, RFC 3810 6.2, 6.3)', () => {
      it('3376-1: a general query is answered with all groups, once, within the time that it gives', () => {
        joined(group, sourceFilter('exclude', [s1]));
        joined(other, sourceFilter('include', [s2]));
        const from = env.timers.now();
        ask({ maximumResponse: 5000 });
        wait(60_000);
        expect(log.map(({ what }) => what)).to.deep.equal([`is_ex ${g} {${n1}}, is_in ${o} {${n2}}`]);
        expect(log[0]?.at).to.be.within(from, from + 5000);
      });

      it('the delay is drawn anew', () => {
        const delays = [1, 2, 3, 4, 5, 6, 7, 8].map((seed) => {
          make({}, seed).start();
          joined();
          const from = env.timers.now();
          ask({ maximumResponse: 8000 });
          wait(60_000);
          return (log[0]?.at ?? 0) - from;
        });
        expect(new Set(delays).size).to.equal(8);
        expect(Math.max(...delays)).to.be.within(3000, 8000);
      });

      it('a host without groups says nothing', () => {
        ask();
        ask({ group });
        wait(60_000);
        expect(told()).to.deep.equal([]);
      });

      it('a query of a group is answered for that group', () => {
        joined();
        joined(other);
        ask({ group: other, maximumResponse: 1000 });
        wait(1000);
        expect(told()).to.deep.equal([`is_ex ${o}`]);
      });

      const answerTo = (filter: ReturnType<typeof sourceFilter>, ...sources: IpAddress[]) => {
        joined(group, filter);
        ask({ group, sources, maximumResponse: 1000 });
        wait(1000);
        return told();
      };
      it('a query of sources: of an include filter, those that are in it', () => {
        expect(answerTo(sourceFilter('include', [s1, s2]), s2, s3)).to.deep.equal([`is_in ${g} {${n2}}`]);
      });
      it('a query of sources: of an exclude filter, those that are not', () => {
        expect(answerTo(sourceFilter('exclude', [s1, s2]), s2, s3)).to.deep.equal([`is_in ${g} {${n3}}`]);
      });
      it('a query of sources of which none is wanted is not answered', () => {
        expect(answerTo(sourceFilter('include', [s1]), s2, s3)).to.deep.equal([]);
      });

      it('sources of several queries are collected into one answer', () => {
        joined();
        ask({ group, sources: [s1], maximumResponse: 1000 });
        ask({ group, sources: [s2], maximumResponse: 1000 });
        wait(60_000);
        expect(told()).to.deep.equal([`is_in ${g} {${n1} ${n2}}`]);
      });

      it('a query of the whole group says more than one of sources, in either order', () => {
        joined();
        ask({ group, sources: [s1], maximumResponse: 1000 });
        ask({ group, maximumResponse: 1000 });
        wait(60_000);
        expect(told()).to.deep.equal([`is_ex ${g}`]);
        ask({ group, maximumResponse: 1000 });
        ask({ group, sources: [s1], maximumResponse: 1000 });
        wait(60_000);
        expect(told()).to.deep.equal([`is_ex ${g}`]);
      });

      it('a pending answer becomes earlier, never later', () => {
        joined();
        const from = env.timers.now();
        ask({ group, maximumResponse: 100 });
        ask({ group, maximumResponse: 25_000 });
        wait(100);
        expect(told(), 'in the time of the first').to.deep.equal([`is_ex ${g}`]);
        ask({ group, maximumResponse: 25_000 });
        ask({ group, maximumResponse: 100 });
        wait(100);
        expect(told(), 'in the time of the second').to.deep.equal([`is_ex ${g}`]);
        expect(env.timers.now()).to.equal(from + 200);
        wait(60_000);
        expect(told()).to.deep.equal([]);
      });

      it('while the answer to a general query comes first, other queries need none', () => {
        joined();
        ask({ maximumResponse: 0 });
        ask({ group, maximumResponse: 25_000 });
        ask({ maximumResponse: 25_000 });
        wait(60_000);
        expect(told()).to.deep.equal([`is_ex ${g}`]);
      });

      it('queries of thousands of sources are answered for the whole group', () => {
        joined();
        const many = Array.from({ length: 400 }, (_, n) =>
          parseIp(family.name === 'IGMP' ? `10.1.${n >> 8}.${n & 255}` : `fd01::${n.toString(16)}`),
        );
        ask({ group, sources: many, maximumResponse: 1000 });
        ask({ group, sources: [...many.slice(0, 300), s1], maximumResponse: 1000 });
        wait(60_000);
        expect(told()[0]).to.match(/^is_in /);
        const more = many.map((_, n) =>
          parseIp(family.name === 'IGMP' ? `10.2.${n >> 8}.${n & 255}` : `fd02::${n.toString(16)}`),
        );
        ask({ group, sources: many, maximumResponse: 1000 });
        ask({ group, sources: more, maximumResponse: 1000 });
        wait(60_000);
        expect(told()).to.deep.equal([`is_ex ${g}`]);
      });

      it('a group that was left before the answer is due is not in it', () => {
        joined();
        ask({ group, maximumResponse: 10_000 });
        machine.listen(one, group, NOTHING);
        wait(60_000);
        expect(told().filter((what) => what.startsWith('is_'))).to.deep.equal([]);
      });
    });

    it("another's report of an older version is nothing to us in the newest", () => {
      joined();
      ask();
      expect(machine.heard(group)).to.equal(false);
      wait(60_000);
      expect(told()).to.deep.equal([`is_ex ${g}`]);
    });

    it('3590: what was told can be told anew', () => {
      joined();
      joined(other, sourceFilter('include', [s1]));
      machine.announce();
      wait(0);
      expect(told()).to.deep.equal([`to_ex ${g}, allow ${o} {${n1}}`]);
    });

    it('property: whoever hears all reports, in any run of changes, knows in the end what is wanted', () => {
      const sources = [s1, s2, s3];
      const filters = fc
        .tuple(fc.constantFrom<FilterMode>('include', 'exclude'), fc.subarray(sources))
        .map(([mode, some]) => sourceFilter(mode, some));
      const steps = fc.array(fc.tuple(fc.boolean(), filters, fc.constantFrom(0, 0, 100, 5000)), { maxLength: 12 });
      fc.assert(
        fc.property(steps, fc.integer({ min: 1, max: 1000 }), (changes, seed) => {
          make({}, seed).start();
          // A router's view without timers: which sources are forwarded (RFC 3376 6.4).
          let router: { mode: FilterMode; sources: Set<string> } = { mode: 'include', sources: new Set() };
          for (const [isFirst, filter, pause] of changes) {
            machine.listen(isFirst ? one : two, group, filter);
            wait(pause);
          }
          wait(60_000);
          for (const record of log.flatMap(({ what }) => what.split(', '))) {
            router = routerAfter(router, record);
          }
          const { mode, sources: wanted } = machine.filter(group);
          const view = sources.map(String).map((name) => router.sources.has(name) === (router.mode === 'include'));
          const truth = sources.map((source) => [...wanted.values()].includes(source) === (mode === 'include'));
          expect(view).to.deep.equal(truth);
        }),
        { numRuns: 150 },
      );
    });
  });
}

/** What a router that has no timers makes of a record. */
function routerAfter(
  state: { mode: FilterMode; sources: Set<string> },
  record: string,
): { mode: FilterMode; sources: Set<string> } {
  const [, type = '', list = ''] = /^(\S+) \S+(?: \{(.*)\})?$/.exec(record) ?? [];
  const names = list === '' ? [] : list.split(' ');
  if (type === 'to_in' || type === 'to_ex') {
    return { mode: type === 'to_in' ? 'include' : 'exclude', sources: new Set(names) };
  }
  const sources = new Set(state.sources);
  for (const name of names) {
    if ((type === 'allow') === (state.mode === 'include')) sources.add(name);
    else sources.delete(name);
  }
  return { mode: state.mode, sources };
}
