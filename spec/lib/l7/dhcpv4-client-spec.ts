import { expect } from 'chai';
import { Cidr, MacAddress } from '../../../lib/core/address.js';
import { DHCP_FOREVER, DhcpType } from '../../../lib/wire/dhcpv4.js';
import type { DhcpOptions } from '../../../lib/wire/dhcpv4-options.js';
import { ClientBench, ip, MAC, OURS, type Said, SERVER } from './dhcpv4-bench.js';

const HOUR = 3_600_000;

function gaps(said: readonly Said[]): number[] {
  return said.slice(1).map(({ at }, index) => at - (said[index]?.at ?? 0));
}

describe('Dhcpv4Client', () => {
  describe('getting a lease (2131-1)', () => {
    it('discovers, requests, checks, and configures the interface', () => {
      const bench = new ClientBench({ hostName: 'guest' });
      bench.client.start();
      bench.scheduler.runFor(1000);
      const discover = bench.one('discover');
      expect(discover.way).to.equal('broadcast from 0.0.0.0');
      expect(discover.message).to.include({ request: true, broadcast: true, secs: 0 });
      expect(discover.message.mac.equals(MAC)).to.equal(true);
      expect(discover.message.options).to.deep.include({ hostName: 'guest' });
      expect([...(discover.message.options.clientId ?? [])]).to.deep.equal([1, 2, 0, 0, 0, 0, 7]);
      // RFC 3442: the routes of option 121 are asked for before those of option 3.
      const asked = discover.message.options.parameterList ?? [];
      expect(asked.indexOf(121)).to.be.within(0, asked.indexOf(3));
      expect(asked).to.include.members([1, 3, 6, 26, 119]);

      bench.offer(discover);
      const request = bench.one('request');
      expect(request.way).to.equal('broadcast from 0.0.0.0');
      expect(request.message.xid).to.equal(discover.message.xid);
      expect(request.message.secs).to.equal(discover.message.secs);
      expect(request.message.ciaddr.isUnspecified).to.equal(true);
      expect(request.message.options.requestedAddress?.equals(OURS)).to.equal(true);
      expect(request.message.options.serverId?.equals(SERVER)).to.equal(true);

      bench.ack(request, { routers: [SERVER], dnsServers: [ip('10.0.0.53')], domainName: 'home.test', mtu: 1400 });
      expect(bench.client.state).to.equal('CHECKING');
      expect(bench.events).to.deep.equal([]);
      bench.scheduler.runFor(5000);
      expect(bench.client.state).to.equal('BOUND');
      expect(bench.events).to.deep.equal(['bound 10.0.0.50/24']);
      expect(bench.claims.told).to.deep.equal(['probe 10.0.0.50', 'announce 10.0.0.50']);
      expect(bench.interface.told).to.deep.equal([
        '+10.0.0.50/24',
        'mtu 1400',
        '+0.0.0.0/0 by 10.0.0.1',
        'dns 10.0.0.53 search home.test',
      ]);
      expect(bench.port.address?.equals(OURS)).to.equal(true);
    });

    it('takes the routes of option 121 instead of the router of option 3 (RFC 3442)', () => {
      const bench = new ClientBench();
      const route = (to: string, gateway: string) => ({ destination: Cidr.parse(to) as Cidr<4>, gateway: ip(gateway) });
      const classlessRoutes = [route('10.8.0.0/16', '10.0.0.2'), route('10.9.0.0/16', '0.0.0.0')];
      bench.bind({ routers: [SERVER], classlessRoutes });
      expect(bench.interface.told).to.include.members(['+10.8.0.0/16 by 10.0.0.2', '+10.9.0.0/16 by 0.0.0.0']);
      expect(bench.interface.told.join()).not.to.contain('0.0.0.0/0');
    });

    it('takes the domains that names can end in', () => {
      const searched = (options: DhcpOptions) => {
        const bench = new ClientBench();
        bench.bind(options);
        return bench.client.lease?.search.join(' ');
      };
      expect(searched({ domainName: 'one.test two.test ' })).to.equal('one.test two.test');
      expect(searched({ domainName: 'bad..test' })).to.equal('');
      expect(searched({ domainName: `${'x'.repeat(64)}.test ok.test` })).to.equal('ok.test');
      expect(searched({ domainName: 'one.test', domainSearch: ['two.test', 'three.test'] })).to.equal(
        'two.test three.test',
      );
    });

    it('guesses the mask from the class where there is none', () => {
      const bench = new ClientBench({ claims: undefined });
      bench.client.start();
      bench.scheduler.runFor(1000);
      bench.offer(bench.one('discover'));
      bench.answer(bench.one('request'), DhcpType.Ack, { leaseTime: 60 }, { yiaddr: ip('172.20.0.9') });
      expect(bench.events).to.deep.equal(['bound 172.20.0.9/16']);
    });

    it('sends again after 4, 8, 16, 32, 64, 64 s, each give or take one (RFC 2131 4.1)', () => {
      for (let seed = 1; seed <= 20; seed++) {
        const bench = new ClientBench({}, seed);
        bench.client.start();
        bench.scheduler.runFor(200_000);
        const said = bench.port.said.splice(0);
        expect(said[0]?.at).to.be.within(0, 1000);
        expect(gaps(said)).to.have.length(6);
        for (const [index, gap] of gaps(said).entries()) {
          const middle = Math.min(4000 * 2 ** index, 64_000);
          expect(gap).to.be.within(middle - 1000, middle + 1000);
        }
        expect(new Set(said.map(({ message }) => message.xid)).size).to.equal(1);
        // Relays and servers look at how long the client has waited.
        expect(said[3]?.message.secs).to.equal(Math.floor(((said[3]?.at ?? 0) - 0) / 1000));
      }
    });

    it('draws the jitter: not all clients send at the same time', () => {
      const starts = Array.from({ length: 20 }, (_, seed) => {
        const bench = new ClientBench({}, seed);
        bench.client.start();
        bench.scheduler.runFor(10_000);
        return bench.port.said.map(({ at }) => Math.round(at)).join();
      });
      expect(new Set(starts).size).to.be.above(15);
    });

    it('ignores what is not for it, and what makes no sense', () => {
      const bench = new ClientBench();
      bench.client.start();
      bench.scheduler.runFor(1000);
      const discover = bench.one('discover');
      const { xid } = discover.message;
      bench.answer(discover, DhcpType.Offer, {}, { yiaddr: OURS, xid: xid ^ 1 });
      bench.answer(discover, DhcpType.Offer, {}, { yiaddr: OURS, mac: MacAddress.BROADCAST });
      bench.answer(discover, DhcpType.Offer, {}, { yiaddr: OURS, request: true });
      bench.answer(discover, DhcpType.Offer, { serverId: undefined } as never, { yiaddr: OURS });
      for (const bad of ['0.0.0.0', '127.0.0.1', '224.0.0.1', '255.255.255.255']) {
        bench.answer(discover, DhcpType.Offer, {}, { yiaddr: ip(bad) });
      }
      bench.ack(discover);
      bench.nak(discover);
      expect(bench.port.said).to.deep.equal([]);
      expect(bench.client.state).to.equal('SELECTING');
      bench.offer(discover);
      const request = bench.one('request');
      // Another server's answer, and one without a lease time.
      bench.ack(request, { serverId: ip('10.0.0.9') });
      bench.answer(request, DhcpType.Nak, { serverId: ip('10.0.0.9') });
      bench.answer(request, DhcpType.Ack, {}, { yiaddr: OURS });
      bench.ack(request, { leaseTime: 0 });
      expect(bench.client.state).to.equal('REQUESTING');
      bench.ack(request);
      expect(bench.client.state).to.equal('CHECKING');
    });

    it('begins anew when the server forgets its offer', () => {
      const bench = new ClientBench();
      bench.client.start();
      bench.scheduler.runFor(1000);
      const discover = bench.one('discover');
      bench.offer(discover);
      bench.scheduler.runFor(70_000);
      const types = bench.types();
      expect(types.slice(0, 5)).to.deep.equal(['request', 'request', 'request', 'request', 'discover']);
    });
  });

  describe('keeping it (2131-2)', () => {
    it('renews at T1 by unicast, at half the time by default, and counts from the request', () => {
      const bench = new ClientBench();
      bench.bind();
      const bound = bench.client.lease?.obtained ?? 0;
      bench.scheduler.runUntil(bound + HOUR / 2 - 1);
      expect(bench.types()).to.deep.equal([]);
      bench.scheduler.runFor(1);
      const request = bench.one('request');
      expect(bench.client.state).to.equal('RENEWING');
      expect(request.way).to.equal('to 10.0.0.1');
      expect(request.message.broadcast).to.equal(false);
      expect(request.message.ciaddr.equals(OURS)).to.equal(true);
      // RFC 2131 4.3.2: neither of these in RENEWING.
      expect(request.message.options.requestedAddress).to.equal(undefined);
      expect(request.message.options.serverId).to.equal(undefined);
      bench.scheduler.runFor(3000);
      bench.ack(request);
      expect(bench.events).to.deep.equal(['bound 10.0.0.50/24', 'renewed 10.0.0.50/24']);
      expect(bench.client.lease?.expiresAt).to.equal(request.at + HOUR);
      // The address stayed, so connections do.
      expect(bench.interface.told.filter((line) => line.includes('10.0.0.50'))).to.deep.equal(['+10.0.0.50/24']);
    });

    it('asks again at half of the time left, a minute at least; rebinds at T2 by broadcast; gives up at the end', () => {
      const bench = new ClientBench();
      bench.bind();
      const { obtained = 0, rebindAt, expiresAt } = bench.client.lease ?? {};
      expect(rebindAt).to.equal(obtained + HOUR * 0.875);
      bench.scheduler.runUntil(obtained + HOUR - 1);
      const said = bench.port.said.splice(0);
      const renewals = said.filter(({ way }) => way === 'to 10.0.0.1');
      const rebinds = said.filter(({ way }) => way === 'broadcast from 10.0.0.50');
      expect(renewals.map(({ at }) => Math.round((at - obtained) / 1000))).to.deep.equal([
        1800, 2475, 2813, 2981, 3066, 3126,
      ]);
      expect(rebinds[0]?.at).to.equal(rebindAt);
      expect(Math.min(...gaps(rebinds))).to.be.at.least(60_000);
      expect(renewals.length + rebinds.length).to.equal(said.length);
      expect(bench.client.state).to.equal('REBINDING');
      bench.scheduler.runFor(1);
      expect(bench.scheduler.now()).to.equal(expiresAt);
      expect(bench.events.slice(1)).to.deep.equal(['expired']);
      expect(bench.interface.told).to.include('-10.0.0.50');
      expect(bench.claims.told).to.include('release 10.0.0.50');
      expect(bench.port.address).to.equal(undefined);
      expect(bench.one('discover').message.options.requestedAddress).to.equal(undefined);
    });

    it('takes T1 and T2 from the server, unless they are out of order', () => {
      const times = (renewalTime: number, rebindingTime: number) => {
        const bench = new ClientBench();
        bench.bind({ renewalTime, rebindingTime, leaseTime: 1000 });
        const { obtained = 0, renewAt = 0, rebindAt = 0 } = bench.client.lease ?? {};
        return [(renewAt - obtained) / 1000, (rebindAt - obtained) / 1000];
      };
      expect(times(100, 200)).to.deep.equal([100, 200]);
      expect(times(300, 200)).to.deep.equal([200, 200]);
      expect(times(100, 2000)).to.deep.equal([100, 875]);
      expect(times(0, 0)).to.deep.equal([500, 875]);
    });

    it('rebinds to another server', () => {
      const bench = new ClientBench();
      bench.bind();
      bench.scheduler.runUntil(bench.client.lease?.rebindAt ?? 0);
      const [rebind] = bench.port.said.splice(0).slice(-1);
      if (rebind === undefined) throw new Error('nothing was said');
      bench.ack(rebind, { serverId: ip('10.0.0.9') });
      expect(bench.client.lease?.server.toString()).to.equal('10.0.0.9');
      expect(bench.events.slice(1)).to.deep.equal(['renewed 10.0.0.50/24']);
    });

    it('changes routes, DNS and MTU with a renewal, and the address where the server insists', () => {
      const bench = new ClientBench();
      bench.bind({ routers: [SERVER], dnsServers: [SERVER] });
      bench.interface.told.length = 0;
      bench.client.renew();
      bench.ack(bench.one('request'), { routers: [ip('10.0.0.2')], mtu: 1300 });
      expect(bench.interface.told).to.deep.equal([
        '-0.0.0.0/0 by 10.0.0.1',
        'mtu 1300',
        '+0.0.0.0/0 by 10.0.0.2',
        'dns ',
      ]);
      bench.client.renew();
      const mask = { leaseTime: 60, subnetMask: ip('255.255.255.0') };
      bench.answer(bench.one('request'), DhcpType.Ack, mask, { yiaddr: ip('10.0.0.60') });
      bench.scheduler.runFor(5000);
      expect(bench.events.slice(1)).to.deep.equal(['renewed 10.0.0.50/24', 'refused', 'bound 10.0.0.60/24']);
      expect(bench.interface.told.slice(-3)).to.deep.equal(['+10.0.0.60/24', 'mtu undefined', 'dns ']);
    });

    it('never renews a lease without an end, but may when asked', () => {
      const bench = new ClientBench();
      bench.bind({ leaseTime: DHCP_FOREVER });
      expect(bench.scheduler.pending).to.equal(0);
      bench.client.renew();
      bench.ack(bench.one('request'), { leaseTime: DHCP_FOREVER });
      expect(bench.scheduler.pending).to.equal(0);
      expect(bench.events).to.deep.equal(['bound 10.0.0.50/24', 'renewed 10.0.0.50/24']);
    });

    it('loses it to a NAK and begins anew at once; slower when that goes on', () => {
      const bench = new ClientBench();
      bench.bind();
      bench.client.renew();
      bench.nak(bench.one('request'));
      expect(bench.events.slice(1)).to.deep.equal(['refused']);
      bench.scheduler.runFor(0);
      const times: number[] = [];
      for (let round = 0; round < 5; round++) {
        const before = bench.scheduler.now();
        while (bench.port.said.length === 0) bench.scheduler.step();
        times.push(bench.scheduler.now() - before);
        const discover = bench.one('discover');
        bench.offer(discover);
        bench.nak(bench.one('request'));
      }
      expect(times[0]).to.equal(0);
      expect(times[1]).to.be.within(3000, 5000);
      expect(times[2]).to.be.within(7000, 9000);
      expect(times[4]).to.be.within(31_000, 33_000);
      // A lease makes up for it.
      while (bench.port.said.length === 0) bench.scheduler.step();
      bench.offer(bench.one('discover'));
      bench.ack(bench.one('request'));
      bench.scheduler.runFor(5000);
      bench.client.renew();
      bench.nak(bench.one('request'));
      bench.scheduler.runFor(0);
      bench.one('discover');
    });
  });

  describe('conflicts (2131-2, 5227-1, 5227-3)', () => {
    it('declines an address that somebody has, waits ten seconds, and begins anew', () => {
      const bench = new ClientBench();
      bench.claims.free = false;
      bench.bind();
      const decline = bench.one('decline');
      expect(decline.way).to.equal('broadcast from 0.0.0.0');
      expect(decline.message.ciaddr.isUnspecified).to.equal(true);
      expect(decline.message.options.requestedAddress?.equals(OURS)).to.equal(true);
      expect(decline.message.options.serverId?.equals(SERVER)).to.equal(true);
      expect(decline.message.options.parameterList).to.equal(undefined);
      expect(bench.interface.told).to.deep.equal([]);
      bench.scheduler.runUntil(decline.at + 9999);
      expect(bench.types()).to.deep.equal([]);
      bench.scheduler.runFor(1);
      expect(bench.one('discover').message.options.requestedAddress).to.equal(undefined);
    });

    it('gives an address in use up when another host insists, not when it was defended', () => {
      const bench = new ClientBench();
      bench.bind();
      bench.claims.conflict(OURS, 'defended');
      bench.claims.conflict(ip('10.0.0.51'), 'persistent');
      expect(bench.client.state).to.equal('BOUND');
      bench.claims.conflict(OURS, 'persistent');
      expect(bench.one('decline').message.options.requestedAddress?.equals(OURS)).to.equal(true);
      expect(bench.events.slice(1)).to.deep.equal(['conflict']);
      expect(bench.interface.told).to.include('-10.0.0.50');
    });
  });

  describe('a link that comes back (RFC 2131 3.2, 3.7)', () => {
    it('asks for the same address, and keeps it', () => {
      const bench = new ClientBench();
      bench.bind();
      bench.client.linkChanged();
      const request = bench.one('request');
      expect(bench.client.state).to.equal('REBOOTING');
      expect(request.way).to.equal('broadcast from 0.0.0.0');
      expect(request.message.ciaddr.isUnspecified).to.equal(true);
      expect(request.message.options.requestedAddress?.equals(OURS)).to.equal(true);
      expect(request.message.options.serverId).to.equal(undefined);
      bench.ack(request);
      expect(bench.client.state).to.equal('CHECKING');
      bench.scheduler.runFor(5000);
      expect(bench.events.slice(1)).to.deep.equal(['renewed 10.0.0.50/24']);
      expect(bench.claims.told.slice(2)).to.deep.equal(['probe 10.0.0.50', 'announce 10.0.0.50']);
      // The address stayed, so connections do.
      expect(bench.interface.told.filter((line) => line.includes('10.0.0.50'))).to.deep.equal(['+10.0.0.50/24']);
    });

    it('declines it where somebody else has it there, whether a server answers or not (RFC 5227 2.1)', () => {
      for (const answers of [true, false]) {
        const bench = new ClientBench();
        bench.bind();
        bench.claims.free = false;
        bench.client.linkChanged();
        if (answers) bench.ack(bench.one('request'));
        bench.scheduler.runFor(20_000);
        expect(bench.types()).to.include('decline');
        expect(bench.events.slice(1)).to.deep.equal(['conflict']);
        expect(bench.interface.told).to.include('-10.0.0.50');
        expect(bench.client.lease).to.equal(undefined);
      }
    });

    it('begins anew in another network', () => {
      const bench = new ClientBench();
      bench.bind();
      bench.client.linkChanged();
      bench.nak(bench.one('request'));
      expect(bench.events.slice(1)).to.deep.equal(['refused']);
      bench.scheduler.runFor(0);
      bench.one('discover');
    });

    it('uses the lease for as long as it lasts where nobody answers', () => {
      const bench = new ClientBench();
      bench.bind();
      const { renewAt = 0, expiresAt = 0 } = bench.client.lease ?? {};
      bench.client.linkChanged();
      bench.scheduler.runFor(20_000);
      expect(bench.types()).to.deep.equal(['request', 'request']);
      expect(bench.client.state).to.equal('BOUND');
      bench.scheduler.runUntil(renewAt);
      expect(bench.one('request').way).to.equal('to 10.0.0.1');
      bench.scheduler.runUntil(expiresAt);
      expect(bench.events.slice(1)).to.deep.equal(['expired']);
    });

    it('lets it end while it asks', () => {
      const bench = new ClientBench();
      bench.bind({ leaseTime: 10 });
      bench.client.linkChanged();
      bench.scheduler.runUntil(bench.client.lease?.expiresAt ?? 0);
      expect(bench.events).to.deep.equal(['bound 10.0.0.50/24', 'expired']);
    });

    it('begins with the address of the last time (INIT-REBOOT), and without it if nobody knows that', () => {
      const bench = new ClientBench({ previous: OURS });
      bench.client.start();
      expect(bench.one('request').message.options.requestedAddress?.equals(OURS)).to.equal(true);
      bench.scheduler.runFor(14_000);
      expect(bench.types()).to.deep.equal(['request', 'discover']);
    });
  });

  describe('the end', () => {
    it('releases by unicast, and is silent afterwards', () => {
      const bench = new ClientBench();
      bench.bind({ routers: [SERVER] });
      bench.client.release();
      const release = bench.one('release');
      expect(release.way).to.equal('to 10.0.0.1');
      expect(release.message.ciaddr.equals(OURS)).to.equal(true);
      expect(release.message.options.serverId?.equals(SERVER)).to.equal(true);
      expect(bench.events.slice(1)).to.deep.equal(['released']);
      expect(bench.interface.told.slice(-4)).to.deep.equal([
        '-0.0.0.0/0 by 10.0.0.1',
        '-10.0.0.50',
        'mtu undefined',
        'dns ',
      ]);
      expect(bench.scheduler.pending).to.equal(0);
      bench.client.dispose();
      expect(bench.port.closed).to.equal(true);
      expect(bench.claims.observers).to.equal(0);
    });

    it('leaves no timer in any state, and may be told to stop from within an event', () => {
      const states = ['INIT', 'SELECTING', 'REQUESTING', 'CHECKING', 'BOUND', 'RENEWING', 'REBINDING', 'REBOOTING'];
      for (const state of states) {
        const bench = new ClientBench(state === 'REBOOTING' ? { previous: OURS } : {});
        bench.port.heard = (said) => {
          const before = said.type === 'discover' ? ['SELECTING'] : ['SELECTING', 'REQUESTING', 'REBOOTING'];
          if (before.includes(state)) return;
          const timer = bench.env.timers.timer(() => (said.type === 'discover' ? bench.offer(said) : bench.ack(said)));
          if (bench.client.lease === undefined) timer.arm(bench.scheduler.now() + 10);
        };
        bench.client.start();
        while (bench.client.state !== state) expect(bench.scheduler.step(), state).to.equal(true);
        bench.client.stop();
        expect(bench.scheduler.pending, state).to.equal(0);
        expect(bench.interface.told.filter((line) => /^[+-]10/.test(line)).length % 2, state).to.equal(0);
      }
      for (const last of ['bound', 'expired']) {
        const bench = new ClientBench();
        bench.changed = (event) => void (event === last && bench.client.dispose());
        bench.bind({ leaseTime: 60 });
        bench.scheduler.runFor(60_000);
        expect(bench.events.slice(0, 2)).to.deep.equal([
          'bound 10.0.0.50/24',
          last === 'bound' ? 'stopped' : 'expired',
        ]);
        expect(bench.client.state).to.equal('STOPPED');
        expect(bench.scheduler.pending).to.equal(0);
      }
    });

    it('tells a fallback that nobody answers, and when somebody does', () => {
      const told: string[] = [];
      const fallback = { start: () => void told.push('start'), stop: () => void told.push('stop') };
      const bench = new ClientBench({ fallback });
      bench.client.start();
      bench.scheduler.runFor(20_000);
      expect(told).to.deep.equal([]);
      bench.scheduler.runFor(15_000);
      expect(told).to.deep.equal(['start']);
      bench.scheduler.runFor(100_000);
      const [last] = bench.port.said.splice(0).slice(-1);
      if (last === undefined) throw new Error('it gave up');
      bench.offer(last);
      bench.ack(bench.one('request'));
      expect(told).to.deep.equal(['start']);
      bench.scheduler.runFor(5000);
      expect(told).to.deep.equal(['start', 'stop']);
    });
  });
});
