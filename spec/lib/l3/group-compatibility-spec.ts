import { expect } from 'chai';
import { type IpAddress, parseIp } from '../../../lib/core/address.js';
import type { GroupMembership, GroupMembershipOptions, GroupQuery } from '../../../lib/l3/group-membership.js';
import { EVERYTHING, NOTHING, type SourceFilter, sourceFilter } from '../../../lib/l3/source-filter.js';
import type { VirtualEnv } from '../l2/fake-device.js';
import { FAMILIES, GroupMachine } from './group-machine.js';

for (const family of FAMILIES) {
  describe(`group membership with older queriers, ${family.name}`, () => {
    const group = parseIp(family.group);
    const other = parseIp(family.other);
    const s1 = parseIp(family.sources[0] ?? '');
    const [g, o] = [family.group, family.other];
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

    it(`3376-1: a query of the second generation of one group ${family.name === 'IGMP' ? 'says nothing of the querier (RFC 3376 7.2.1)' : 'counts like any other (RFC 3810 8.2.1)'}`, () => {
      joined();
      ask({ generation: 2, group, robustness: 0, interval: 0, maximumResponse: 1000 });
      expect(machine.generation).to.equal(family.name === 'IGMP' ? 3 : 2);
      wait(1000);
      expect(told()).to.deep.equal([family.name === 'IGMP' ? `is_ex ${g}` : `report2 ${g}`]);
    });

    for (const generation of family.generations) {
      describe(`with a querier of generation ${generation} (RFC 3376 7.2, RFC 3810 8.2)`, () => {
        const old = (fields: Partial<GroupQuery<IpAddress>> = {}) =>
          ask({ generation, robustness: 0, interval: 0, ...fields });
        const report = `report${generation} ${g}`;

        it('3376-1: answers as that generation does, each group for itself', () => {
          joined();
          joined(other, sourceFilter('include', [s1]));
          const from = env.timers.now();
          old({ maximumResponse: 10_000 });
          expect(machine.generation).to.equal(generation);
          wait(10_000);
          expect(log.map(({ what }) => what)).to.have.members([report, `report${generation} ${o}`]);
          expect(log[0]?.at).not.to.equal(log[1]?.at);
          expect(log.every(({ at }) => at >= from && at <= from + 10_000)).to.equal(true);
        });

        it('until nothing was heard of it for the older-version querier timeout, 2 * 125 s + 10 s', () => {
          old();
          wait(259_999);
          expect(machine.generation).to.equal(generation);
          wait(1);
          expect(machine.generation).to.equal(3);
          machine.listen(one, group, EVERYTHING);
          wait(60_000);
          expect(told()).to.deep.equal([`to_ex ${g}`, `to_ex ${g}`]);
        });

        it('each query makes the timeout begin anew; its length follows what the last new querier said', () => {
          ask({ robustness: 3, interval: 20_000 });
          old({ maximumResponse: 5000 });
          wait(30_000);
          old({ maximumResponse: 5000 });
          wait(64_999);
          expect(machine.generation).to.equal(generation);
          wait(1);
          expect(machine.generation).to.equal(3);
        });

        it('newer queries do not change that', () => {
          joined();
          old({ maximumResponse: 1000 });
          wait(1000);
          told();
          ask({ maximumResponse: 1000 });
          expect(machine.generation).to.equal(generation);
          wait(1000);
          expect(told()).to.deep.equal([report]);
        });

        it('what was pending in the newer version is forgotten', () => {
          machine.listen(one, group, EVERYTHING);
          machine.listen(one, other, EVERYTHING);
          wait(0);
          told();
          machine.listen(one, other, NOTHING);
          ask({ maximumResponse: 20_000 });
          old({ maximumResponse: 1000 });
          wait(120_000);
          expect(told(), 'neither retransmissions nor the newer answer').to.deep.equal([report]);
        });

        it('a join is reported at once, and again within 10 s (RFC 2236 3, RFC 2710 4)', () => {
          old();
          machine.listen(one, group, EVERYTHING);
          wait(0);
          expect(told()).to.deep.equal([report]);
          const from = env.timers.now();
          wait(60_000);
          expect(log.map(({ what }) => what)).to.deep.equal([report]);
          expect(log[0]?.at).to.be.within(from, from + 10_000);
        });

        it('changes of sources are not told', () => {
          old();
          joined();
          machine.listen(one, group, sourceFilter('exclude', [s1]));
          machine.listen(two, group, sourceFilter('include', [s1]));
          machine.listen(one, group, NOTHING);
          wait(60_000);
          expect(told()).to.deep.equal([]);
        });

        it(`a leave is ${generation === 1 ? 'not told' : 'told once'}`, () => {
          old();
          joined();
          machine.listen(one, group, NOTHING);
          wait(60_000);
          expect(told()).to.deep.equal(generation === 1 ? [] : [`leave ${g}`]);
        });

        it("another's report makes ours unnecessary, also the repeated one, and then a leave is not ours to tell", () => {
          joined();
          old({ maximumResponse: 10_000 });
          expect(machine.heard(group)).to.equal(true);
          expect(machine.heard(other)).to.equal(false);
          wait(60_000);
          machine.listen(one, group, NOTHING);
          wait(60_000);
          expect(told()).to.deep.equal([]);
          machine.listen(one, group, EVERYTHING);
          wait(0);
          expect(told()).to.deep.equal([report]);
          expect(machine.heard(group)).to.equal(true);
          wait(60_000);
          machine.listen(one, group, NOTHING);
          expect(told()).to.deep.equal([]);
        });

        it("another's report of a group that we are not about to report changes nothing", () => {
          old();
          joined();
          expect(machine.heard(group)).to.equal(false);
          machine.listen(one, group, NOTHING);
          expect(told()).to.deep.equal(generation === 1 ? [] : [`leave ${g}`]);
        });

        it('a query moves the report to be earlier, never later (RFC 2236 3)', () => {
          joined();
          old({ maximumResponse: 100 });
          old({ maximumResponse: 25_000 });
          wait(100);
          expect(told()).to.deep.equal([report]);
          old({ maximumResponse: 25_000 });
          old({ maximumResponse: 100 });
          wait(100);
          expect(told()).to.deep.equal([report]);
          wait(60_000);
          expect(told()).to.deep.equal([]);
        });

        it('a query of a group is answered for that group', () => {
          joined();
          joined(other);
          old();
          wait(10_000);
          told();
          old({ group, maximumResponse: 1000 });
          wait(1000);
          expect(told()).to.deep.equal([report]);
        });

        it('4862-1: the first report may be made to wait', () => {
          old();
          machine.listen(two, group, EVERYTHING);
          machine.listen(one, group, EVERYTHING, 700);
          wait(699);
          expect(told()).to.deep.equal([]);
          wait(1);
          expect(told()).to.deep.equal([report]);
        });

        it('can be all that is spoken', () => {
          make({ generation });
          machine.start();
          machine.listen(one, group, EVERYTHING);
          wait(0);
          ask({ maximumResponse: 1000 });
          wait(500_000);
          expect(machine.generation).to.equal(generation);
          expect(new Set(told())).to.deep.equal(new Set([report]));
          expect(env.scheduler.pending).to.equal(0);
        });
      });
    }
  });
}
