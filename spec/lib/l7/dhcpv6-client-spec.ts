import { expect } from 'chai';
import { optionOf } from '../../../lib/l7/dhcpv6-lease.js';
import { Dhcpv6Type } from '../../../lib/wire/dhcpv6.js';
import { Dhcpv6Status } from '../../../lib/wire/dhcpv6-options.js';
import { ClientBench6, DUID, type Given, IAID, ip, OTHER, OURS, type Said, SERVER, status } from './dhcpv6-bench.js';

const HOUR = 3_600_000;
const SECOND = 1000;

const gaps = (said: readonly Said[]) => said.slice(1).map(({ at }, index) => at - (said[index]?.at ?? 0));
const serverIn = ({ message }: Said) => optionOf(message.options, 'server-id')?.duid;
const elapsedIn = ({ message }: Said) => optionOf(message.options, 'elapsed-time')?.milliseconds;

describe('Dhcpv6Client', () => {
  describe('getting addresses (8415-1)', () => {
    it('solicits, requests, verifies, and configures the interface', () => {
      const bench = new ClientBench6();
      bench.client.start();
      bench.scheduler.runFor(SECOND);
      const solicit = bench.port.one('solicit');
      expect(solicit.at).to.be.within(0, SECOND);
      expect(optionOf(solicit.message.options, 'client-id')?.duid).to.deep.equal(DUID);
      expect(optionOf(solicit.message.options, 'ia-na')).to.include({ iaid: IAID, t1: 0, t2: 0 });
      expect(optionOf(solicit.message.options, 'rapid-commit')).not.to.equal(undefined);
      expect(optionOf(solicit.message.options, 'option-request')?.codes).to.deep.equal([23, 24, 82]);
      expect(elapsedIn(solicit)).to.equal(0);
      expect(serverIn(solicit)).to.equal(undefined);

      bench.advertise(solicit);
      expect(bench.port.types(), 'before the first wait is over').to.deep.equal([]);
      bench.scheduler.runFor(1100);
      const request = bench.port.one('request');
      // The first wait is never shorter, so that all servers can answer.
      expect(request.at - solicit.at).to.be.within(1000, 1100);
      expect(request.addresses).to.deep.equal([OURS]);
      expect(serverIn(request)).to.deep.equal(SERVER);
      expect(request.message.transaction).not.to.equal(solicit.message.transaction);

      const settings = [
        { kind: 'dns-servers', servers: [ip('2001:db8::53')] },
        { kind: 'domain-list', domains: ['home.test'] },
      ] as const;
      bench.reply(request, { more: settings });
      expect(bench.events).to.deep.equal([]);
      expect(bench.interface.told).to.deep.equal(['dns 2001:db8::53 home.test', `?${OURS}`]);
      bench.scheduler.runFor(SECOND);
      expect(bench.events).to.deep.equal([`bound ${OURS}`]);
      expect(bench.interface.told.at(-1)).to.equal(`unique ${OURS}`);
      expect(bench.client.state).to.equal('BOUND');
    });

    it('takes the server with the highest preference, 255 at once, and later whichever comes first', () => {
      const better: readonly (readonly [preferences: readonly number[], chosen: number])[] = [
        [[0, 5, 3], 1],
        [[7, 7], 0],
        [[1, 255], 1],
      ];
      for (const [preferences, chosen] of better) {
        const bench = new ClientBench6();
        bench.client.start();
        bench.scheduler.runFor(SECOND);
        const solicit = bench.port.one('solicit');
        for (const [index, value] of preferences.entries()) {
          const server = Uint8Array.of(0, 3, index);
          bench.advertise(solicit, { server, more: [{ kind: 'preference', value }] });
        }
        if (!preferences.includes(255)) {
          expect(bench.port.said).to.have.length(0);
          bench.scheduler.runFor(1100);
        }
        expect(serverIn(bench.port.one('request'))?.[2]).to.equal(chosen);
      }
      const bench = new ClientBench6();
      bench.client.start();
      bench.scheduler.runFor(5000);
      const [last] = bench.port.said.splice(0).slice(-1);
      if (last === undefined) throw new Error('nothing was said');
      bench.advertise(last);
      bench.port.one('request');
    });

    it('commits rapidly where the server wants to, and only then', () => {
      const bench = new ClientBench6();
      bench.client.start();
      bench.scheduler.runFor(SECOND);
      const solicit = bench.port.one('solicit');
      bench.reply(solicit);
      expect(bench.client.state).to.equal('SOLICITING');
      bench.reply(solicit, { more: [{ kind: 'rapid-commit' }] });
      expect(bench.client.state).to.equal('BOUND');

      const plain = new ClientBench6({ rapidCommit: false });
      plain.client.start();
      plain.scheduler.runFor(SECOND);
      const first = plain.port.one('solicit');
      expect(optionOf(first.message.options, 'rapid-commit')).to.equal(undefined);
      plain.reply(first, { more: [{ kind: 'rapid-commit' }] });
      expect(plain.client.state).to.equal('SOLICITING');
    });

    it('ignores what is not for it, and advertisements of nothing', () => {
      const bench = new ClientBench6();
      bench.client.start();
      bench.scheduler.runFor(SECOND);
      const solicit = bench.port.one('solicit');
      const { transaction } = solicit.message;
      const ia = { kind: 'ia-na', iaid: IAID, t1: 0, t2: 0, options: [] } as const;
      const own = { kind: 'client-id', duid: DUID } as const;
      const server = { kind: 'server-id', duid: SERVER } as const;
      const wrong = [
        [own, ia],
        [server, ia],
        [{ ...own, duid: OTHER }, server, ia],
        [own, { ...server, duid: new Uint8Array() }],
      ];
      for (const options of wrong) bench.port.received?.({ type: Dhcpv6Type.Advertise, transaction, options });
      bench.port.received?.({ type: Dhcpv6Type.Advertise, transaction: transaction ^ 1, options: [own, server, ia] });
      bench.answer(solicit, Dhcpv6Type.Advertise, []);
      bench.answer(solicit, Dhcpv6Type.Advertise, [status(Dhcpv6Status.NoAddrsAvail)]);
      bench.answer(solicit, Dhcpv6Type.Advertise, undefined, { more: [status(Dhcpv6Status.NoAddrsAvail)] });
      // T1 behind T2, preferred longer than valid, not a host's address, without life.
      bench.advertise(solicit, { t1: 9, t2: 8 });
      bench.advertise(solicit, {}, [OURS, 2, 1], ['ff02::1', 1, 2], ['fe80::1', 1, 2], ['::', 1, 2], [OURS, 0, 0]);
      bench.scheduler.runFor(1100);
      expect(bench.port.types()).to.deep.equal(['solicit']);
    });

    it('sends again as RFC 8415 15 says: about twice as long each time, up to SOL_MAX_RT of the server', () => {
      for (let seed = 1; seed <= 10; seed++) {
        const bench = new ClientBench6({}, seed);
        bench.client.start();
        bench.scheduler.runFor(5 * HOUR);
        const said = bench.port.said.splice(0);
        const waits = gaps(said);
        expect(waits[0]).to.be.within(1000, 1100);
        for (const [index, wait] of waits.slice(1).entries()) {
          const before = waits[index] ?? 0;
          if (before * 2.1 < HOUR) expect(wait / before).to.be.within(1.9, 2.1);
          else expect(wait).to.be.within(1.8 * before < 0.9 * HOUR ? 1.8 * before : 0.9 * HOUR, 1.1 * HOUR);
        }
        expect(new Set(said.map(({ message }) => message.transaction)).size).to.equal(1);
        expect(elapsedIn(said[3] as Said)).to.be.closeTo((said[3]?.at ?? 0) - (said[0]?.at ?? 0), 10);
        // What the option cannot say is cut off when it is written (RFC 8415 21.9).
        expect(elapsedIn(said.at(-1) as Said)).to.be.above(4 * HOUR);
      }
      const bench = new ClientBench6();
      bench.client.start();
      bench.scheduler.runFor(SECOND);
      const more = [status(Dhcpv6Status.NoAddrsAvail), { kind: 'sol-max-rt', seconds: 60 }] as const;
      bench.answer(bench.port.one('solicit'), Dhcpv6Type.Advertise, undefined, { more });
      // RFC 8415 18.2.9: the message is ignored otherwise. This solicitation goes on by the new limit, and so does the next one.
      bench.scheduler.runFor(HOUR);
      bench.client.linkChanged();
      bench.scheduler.runFor(HOUR);
      expect(Math.max(...gaps(bench.port.said))).to.be.within(50_000, 66_000);
    });

    it('gives a server that does not answer requests up after ten of them', () => {
      const bench = new ClientBench6();
      bench.client.start();
      bench.scheduler.runFor(SECOND);
      bench.advertise(bench.port.one('solicit'));
      bench.scheduler.runFor(HOUR / 10);
      const types = bench.port.types();
      expect(types.slice(0, 11)).to.deep.equal([...Array.from({ length: 10 }, () => 'request'), 'solicit']);
    });

    it('takes several addresses, and a new one of a renewal', () => {
      const bench = new ClientBench6();
      const first: Given[] = [
        ['2001:db8::1', 600, 1200],
        ['2001:db8::2', 300, 1200],
      ];
      bench.bind({}, ...first);
      expect(bench.events).to.deep.equal(['bound 2001:db8::1 2001:db8::2']);
      // T1 of the shortest preferred lifetime.
      expect((bench.client.lease?.renewAt ?? 0) - bench.scheduler.now()).to.be.closeTo(150_000, 1100);
      bench.client.renew();
      const renew = bench.port.one('renew');
      expect(renew.addresses).to.deep.equal(['2001:db8::1', '2001:db8::2']);
      // The first is not spoken of, the second ends, the third is new.
      bench.reply(renew, {}, ['2001:db8::2', 0, 0], ['2001:db8::3', 600, 1200]);
      bench.scheduler.runFor(SECOND);
      expect(bench.events.slice(1)).to.deep.equal(['bound 2001:db8::1 2001:db8::3']);
      expect(bench.interface.told).to.include('-2001:db8::2').and.not.to.include('-2001:db8::1');
    });

    it('keeps sixteen at most, however many renewals bring others', () => {
      const bench = new ClientBench6();
      bench.bind({}, ['2001:db8:1::1', 600, 1200]);
      for (let round = 2; round <= 4; round++) {
        bench.client.renew();
        const more = Array.from({ length: 10 }, (_, i): Given => [`2001:db8:${round}::${i + 1}`, 600, 1200]);
        bench.reply(bench.port.one('renew'), {}, ...more);
        bench.scheduler.runFor(SECOND);
      }
      const held = bench.client.lease?.addresses.map(({ address }) => address.toString()) ?? [];
      expect(held).to.have.length(16);
      expect(held.filter((address) => address.startsWith('2001:db8:4:'))).to.have.length(10);
    });
  });

  describe('keeping them (8415-2)', () => {
    it('renews at T1 with the server, rebinds at T2 with any, and lets the addresses end', () => {
      const bench = new ClientBench6();
      bench.bind({ t1: 900, t2: 1440 });
      const { renewAt = 0, rebindAt = 0, addresses = [] } = bench.client.lease ?? {};
      const granted = renewAt - 900 * SECOND;
      bench.scheduler.runUntil(renewAt - 1);
      expect(bench.port.said).to.have.length(0);
      bench.scheduler.runFor(1);
      const renew = bench.port.one('renew');
      expect(renew.addresses).to.deep.equal([OURS]);
      expect(serverIn(renew)).to.deep.equal(SERVER);
      bench.scheduler.runUntil(rebindAt);
      const said = bench.port.said.splice(0);
      const waits = gaps([renew, ...said.slice(0, -1)]);
      expect(waits[0]).to.be.within(9000, 11_000);
      expect(waits[1]).to.be.within(18_000, 23_100);
      const rebind = said.at(-1);
      expect(rebind?.type).to.equal('rebind');
      expect(rebind && serverIn(rebind)).to.equal(undefined);
      bench.port.said.length = 0;
      bench.scheduler.runUntil(granted + 1800 * SECOND);
      // To be deprecated is no reason to ask at once.
      expect(bench.port.said.every(({ at }) => at < granted + 1800 * SECOND)).to.equal(true);
      expect(bench.events.slice(1)).to.deep.equal([`deprecated ${OURS}`]);
      expect(bench.interface.told.at(-1)).to.equal(`deprecated ${OURS}`);
      bench.scheduler.runUntil(granted + HOUR);
      expect(addresses[0]?.validUntil).to.equal(granted + HOUR);
      expect(bench.events.slice(2)).to.deep.equal(['expired']);
      expect(bench.interface.told.slice(-2)).to.deep.equal([`-${OURS}`, 'dns']);
      bench.port.said.length = 0;
      bench.scheduler.runFor(SECOND);
      bench.reply(bench.port.one('solicit'), { more: [{ kind: 'rapid-commit' }] });
      bench.scheduler.runFor(SECOND);
      expect(bench.events.slice(3), 'the same address, verified again').to.deep.equal([`bound ${OURS}`]);
    });

    it('lets addresses end one by one', () => {
      const bench = new ClientBench6();
      bench.bind({ t1: 900, t2: 900 }, ['2001:db8::1', 300, 600], ['2001:db8::2', 300, 1200]);
      bench.scheduler.runFor(600 * SECOND);
      expect(bench.events.slice(1)).to.deep.equal(['deprecated 2001:db8::1 2001:db8::2', 'expired 2001:db8::2']);
      expect(bench.interface.told.at(-1)).to.equal('-2001:db8::1');
      // T1 is no sooner than T2: any server may extend it.
      bench.scheduler.runFor(300 * SECOND);
      expect(bench.port.one('rebind').addresses).to.deep.equal(['2001:db8::2']);
    });

    it('prefers an address again that was deprecated', () => {
      const bench = new ClientBench6();
      bench.bind();
      bench.scheduler.runFor(1800 * SECOND);
      const rebind = bench.port.said.splice(0).at(-1);
      if (rebind === undefined) throw new Error('nothing was said');
      bench.reply(rebind, { server: OTHER });
      expect(bench.interface.told.slice(-3)).to.deep.equal([`deprecated ${OURS}`, 'dns', `preferred ${OURS}`]);
      expect(bench.events.slice(-2)).to.deep.equal([`deprecated ${OURS}`, `renewed ${OURS}`]);
      expect(bench.client.lease?.server).to.deep.equal(OTHER);
      expect(bench.interface.told.filter((line) => line.startsWith('?'))).to.have.length(1);
    });

    it('chooses T1 and T2 itself where the server leaves that open, and never soon', () => {
      const times = (t1: number, t2: number, preferred: number, valid = 0xffff_ffff) => {
        const bench = new ClientBench6();
        bench.bind({ t1, t2 }, [OURS, preferred, valid]);
        const { renewAt = 0, rebindAt = 0, addresses = [] } = bench.client.lease ?? {};
        const granted = (addresses[0]?.preferredUntil ?? 0) - preferred * SECOND;
        return [(renewAt - granted) / SECOND, (rebindAt - granted) / SECOND];
      };
      expect(times(0, 0, 1000)).to.deep.equal([500, 800]);
      expect(times(100, 0, 1000)).to.deep.equal([100, 800]);
      expect(times(0, 0, 4)).to.deep.equal([10, 10]);
      expect(times(3, 5, 1000)).to.deep.equal([10, 10]);
      // An address that ends sooner must be extended sooner.
      expect(times(3, 5, 8, 8)).to.deep.equal([4, 5]);
      const bench = new ClientBench6();
      bench.bind({ t1: 0xffff_ffff, t2: 0xffff_ffff }, [OURS, 0xffff_ffff, 0xffff_ffff]);
      expect(bench.scheduler.pending).to.equal(0);
    });

    it('chooses T1 and T2 by the addresses that are to last, not by one that the server lets go', () => {
      const bench = new ClientBench6();
      bench.bind({}, ['2001:db8::1', 0, 1800], ['2001:db8::2', 3600, 7200]);
      const { renewAt = 0, rebindAt = 0, addresses = [] } = bench.client.lease ?? {};
      const granted = (addresses[1]?.preferredUntil ?? 0) - HOUR;
      expect([renewAt - granted, rebindAt - granted]).to.deep.equal([1800 * SECOND, 2880 * SECOND]);
      bench.scheduler.runFor(1800 * SECOND);
      bench.reply(bench.port.one('renew'), {}, ['2001:db8::2', 0, 1000]);
      expect(bench.client.lease?.renewAt, 'none is to last').to.equal(bench.scheduler.now() + 500 * SECOND);
    });

    it('requests what a server has no binding for, and rebinds if it does not answer', () => {
      const bench = new ClientBench6();
      bench.bind();
      bench.client.renew();
      bench.answer(bench.port.one('renew'), Dhcpv6Type.Reply, [status(Dhcpv6Status.NoBinding)], { server: OTHER });
      const request = bench.port.one('request');
      expect(serverIn(request)).to.deep.equal(OTHER);
      expect(request.addresses).to.deep.equal([OURS]);
      bench.answer(request, Dhcpv6Type.Reply, [status(Dhcpv6Status.NoBinding)], { server: OTHER });
      expect(bench.port.types(), 'nonsense').to.deep.equal([]);
      bench.scheduler.runFor(400 * SECOND);
      expect(bench.port.types().slice(0, 10)).to.deep.equal([...Array.from({ length: 9 }, () => 'request'), 'rebind']);
      expect(bench.events).to.deep.equal([`bound ${OURS}`]);
    });

    it('goes on asking where the server fails, or says nothing of our addresses', () => {
      const bench = new ClientBench6();
      bench.bind();
      bench.client.renew();
      const renew = bench.port.one('renew');
      bench.answer(renew, Dhcpv6Type.Reply, undefined, { more: [status(Dhcpv6Status.UnspecFail)] });
      bench.answer(renew, Dhcpv6Type.Reply, undefined, { more: [status(Dhcpv6Status.UseMulticast)] });
      bench.answer(renew, Dhcpv6Type.Reply, undefined);
      bench.answer(renew, Dhcpv6Type.Reply, []);
      bench.answer(renew, Dhcpv6Type.Reply, [status(Dhcpv6Status.NoAddrsAvail)]);
      bench.scheduler.runFor(11_000);
      expect(bench.port.types()).to.deep.equal(['renew']);
    });

    it('drops them when the server says that they are not of this link, and begins anew after a pause', () => {
      const bench = new ClientBench6();
      bench.bind();
      bench.client.renew();
      bench.answer(bench.port.one('renew'), Dhcpv6Type.Reply, [status(Dhcpv6Status.NotOnLink)]);
      expect(bench.events.slice(1)).to.deep.equal(['refused']);
      bench.scheduler.runFor(9999);
      expect(bench.port.said).to.have.length(0);
      bench.scheduler.runFor(1001);
      expect(bench.port.one('solicit').addresses).to.deep.equal([]);
    });

    it('begins anew after a pause where the server that advertised has no addresses left', () => {
      const bench = new ClientBench6();
      bench.client.start();
      bench.scheduler.runFor(SECOND);
      bench.advertise(bench.port.one('solicit'));
      bench.scheduler.runFor(1100);
      const request = bench.port.one('request');
      bench.answer(request, Dhcpv6Type.Reply, [status(Dhcpv6Status.NoAddrsAvail)]);
      expect(bench.events).to.deep.equal([]);
      bench.scheduler.runFor(11_000);
      expect(bench.port.one('solicit').at - request.at).to.be.within(10_000, 11_000);
    });
  });

  describe('duplicates (8415-3)', () => {
    it('declines an address that somebody has until the server has heard, then looks for another one', () => {
      const bench = new ClientBench6();
      bench.interface.taken.add(OURS);
      bench.bind();
      const decline = bench.port.one('decline');
      expect(decline.addresses).to.deep.equal([OURS]);
      expect(serverIn(decline)).to.deep.equal(SERVER);
      expect(bench.events).to.deep.equal(['conflict']);
      expect(bench.interface.told.slice(-2)).to.deep.equal([`duplicate ${OURS}`, 'dns']);
      bench.scheduler.runFor(1100);
      const again = bench.port.one('decline');
      bench.answer(again, Dhcpv6Type.Reply, undefined, { more: [status(Dhcpv6Status.Success)] });
      bench.scheduler.runFor(11_000);
      bench.port.one('solicit');
    });

    it('keeps the addresses that nobody has', () => {
      const bench = new ClientBench6();
      bench.interface.taken.add('2001:db8::2');
      bench.bind({}, ['2001:db8::1', 600, 1200], ['2001:db8::2', 600, 1200]);
      expect(bench.port.one('decline').addresses).to.deep.equal(['2001:db8::2']);
      expect(bench.events).to.deep.equal(['conflict 2001:db8::1']);
      // Nobody answers: four times, and no more.
      bench.scheduler.runFor(30_000);
      expect(bench.port.types()).to.deep.equal(['decline', 'decline', 'decline']);
      expect(bench.client.state).to.equal('BOUND');
      bench.scheduler.runUntil(bench.client.lease?.renewAt ?? 0);
      expect(bench.port.one('renew').addresses).to.deep.equal(['2001:db8::1']);
    });
  });

  describe('a link that comes back (8415-4)', () => {
    it('confirms, and goes on', () => {
      const bench = new ClientBench6();
      bench.bind();
      bench.client.linkChanged();
      bench.scheduler.runFor(SECOND);
      const confirm = bench.port.one('confirm');
      expect(confirm.addresses).to.deep.equal([OURS]);
      expect(serverIn(confirm)).to.equal(undefined);
      bench.answer(confirm, Dhcpv6Type.Reply, undefined, { server: OTHER, more: [status(Dhcpv6Status.Success)] });
      expect(bench.client.state).to.equal('BOUND');
      expect(bench.events).to.have.length(1);
    });

    it('begins anew in another network, and goes on where nobody answers within ten seconds', () => {
      const bench = new ClientBench6();
      bench.bind();
      bench.client.linkChanged();
      bench.scheduler.runFor(SECOND);
      const first = bench.port.one('confirm');
      bench.scheduler.runUntil(first.at + 9999);
      expect(bench.client.state).to.equal('CONFIRMING');
      bench.scheduler.runFor(1);
      expect(bench.port.said.length).to.be.within(2, 4);
      bench.port.said.length = 0;
      expect(bench.client.state).to.equal('BOUND');
      bench.client.linkChanged();
      bench.scheduler.runFor(SECOND);
      const more = [status(Dhcpv6Status.NotOnLink)];
      bench.answer(bench.port.one('confirm'), Dhcpv6Type.Reply, undefined, { more });
      expect(bench.events.slice(1)).to.deep.equal(['refused']);
      bench.scheduler.runFor(SECOND);
      bench.port.one('solicit');
    });

    it('still ages while it confirms', () => {
      const bench = new ClientBench6();
      bench.bind({}, [OURS, 5, 8]);
      bench.client.linkChanged();
      bench.scheduler.runFor(8000);
      expect(bench.events).to.deep.equal([`bound ${OURS}`, `deprecated ${OURS}`, 'expired']);
    });
  });

  describe('the end', () => {
    it('releases until the server has heard, four times at most; the addresses go at once', () => {
      const bench = new ClientBench6();
      bench.bind();
      let done = 0;
      bench.client.release(() => done++);
      const release = bench.port.one('release');
      expect(release.addresses).to.deep.equal([OURS]);
      expect(serverIn(release)).to.deep.equal(SERVER);
      expect(bench.interface.told.slice(-2)).to.deep.equal([`-${OURS}`, 'dns']);
      expect(bench.events.slice(1)).to.deep.equal(['released']);
      bench.scheduler.runFor(1100);
      expect(done).to.equal(0);
      bench.answer(bench.port.one('release'), Dhcpv6Type.Reply, undefined, { more: [status(Dhcpv6Status.NoBinding)] });
      expect([done, bench.scheduler.pending, bench.client.state]).to.deep.equal([1, 0, 'STOPPED']);

      const alone = new ClientBench6();
      alone.bind();
      alone.client.release(() => done++);
      alone.scheduler.run();
      expect(alone.port.types()).to.deep.equal(['release', 'release', 'release', 'release']);
      expect(done).to.equal(2);
      alone.client.release(() => done++);
      expect([done, alone.port.said.length]).to.deep.equal([3, 0]);
    });

    it('leaves no timer and no address, in whichever state; also when told to stop from within an event', () => {
      for (const changes of [0, 1, 2]) {
        const bench = new ClientBench6();
        let left = changes;
        bench.changed = () => {
          if (left-- === 0) bench.client.dispose();
        };
        bench.client.start();
        bench.scheduler.runFor(SECOND);
        bench.advertise(bench.port.one('solicit'));
        bench.scheduler.runFor(1100);
        bench.reply(bench.port.one('request'), {}, [OURS, 5, 8]);
        bench.scheduler.run();
        expect(bench.port.closed).to.equal(true);
        expect(bench.client.state).to.equal('STOPPED');
        expect(bench.interface.told).to.include(`-${OURS}`);
        expect(bench.scheduler.pending).to.equal(0);
      }
      const early = new ClientBench6();
      early.client.start();
      early.client.stop();
      expect(early.scheduler.pending).to.equal(0);
      const verifying = new ClientBench6();
      verifying.client.start();
      verifying.scheduler.runFor(SECOND);
      verifying.reply(verifying.port.one('solicit'), { more: [{ kind: 'rapid-commit' }] });
      verifying.client.stop();
      expect(verifying.interface.told).to.deep.equal(['dns', `?${OURS}`, `-${OURS}`, 'dns']);
      expect(verifying.scheduler.pending).to.equal(0);
    });

    it('leaves no address when told to stop by a verdict that came at once', () => {
      const held: string[] = [];
      const bench = new ClientBench6({
        configuration: {
          claim: (address, done) => {
            held.push(address.toString());
            done('unique');
            return () => void held.splice(held.indexOf(address.toString()), 1);
          },
          setPreferred: () => undefined,
        },
      });
      bench.changed = () => bench.client.stop();
      bench.bind();
      expect(bench.events).to.deep.equal([`bound ${OURS}`, 'stopped']);
      expect(held).to.deep.equal([]);
    });
  });
});
