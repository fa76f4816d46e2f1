import { expect } from 'chai';
import { Ipv4Address, Ipv6Address, type IpAddress } from '../../../lib/core/address.js';
import { DropReason } from '../../../lib/core/drops.js';
import type { Frame } from '../../../lib/core/frame.js';
import { type Advertisement, NeighbourCache } from '../../../lib/l2/neighbour.js';
import { NO_MAC, type NeighbourTimes } from '../../../lib/l2/neighbour-entry.js';
import { type VirtualEnv, virtualEnv } from './fake-device.js';

const MAC = 0x0200_0000_0002;
const OTHER = 0x0200_0000_0003;
const REPLY: Advertisement = { solicited: true, override: true };
const GRATUITOUS: Advertisement = { solicited: false, override: true };
const CAUTIOUS: Advertisement = { solicited: false, override: false };

const versions: readonly (readonly [string, (n: number) => IpAddress])[] = [
  ['IPv4', (n) => new Ipv4Address(0x0a00_0000 + n)],
  ['IPv6', (n) => new Ipv6Address(0xfe80_0000, 0, n, 7)],
];

for (const [name, addressOf] of versions) {
  describe(`neighbour cache, ${name}`, () => {
    const peer = addressOf(2);
    let env: VirtualEnv;
    let cache: NeighbourCache;
    let log: string[];
    let sent: [Frame, number][];

    function words(address: IpAddress): [number, number, number, number] {
      return [address.word(0), address.word(1), address.word(2), address.word(3)];
    }
    function make(times: Partial<NeighbourTimes> = {}): NeighbourCache {
      return new NeighbourCache(
        {
          solicit: (target, mac) => {
            log.push(`${env.timers.now()} ${mac === undefined ? 'all' : `only ${mac.toString(16)}`}`);
            expect(target.toString()).to.be.a('string');
          },
          resolved: (packet, mac) => {
            sent.push([packet, mac]);
            packet.release();
          },
          failed: (packet) => {
            log.push(`${env.timers.now()} failed`);
            packet.release();
          },
        },
        env,
        times,
      );
    }
    /** Sends a packet; the MAC address it goes to at once, or NO_MAC. */
    function send(to: IpAddress = peer): number {
      const packet = env.pool.alloc(100);
      const mac = cache.resolve(packet, ...words(to));
      if (mac !== NO_MAC) packet.release();
      return mac;
    }
    const state = () => cache.get(peer)?.state;
    const advertised = (mac: number, what: Advertisement) => cache.advertised(...words(peer), mac, what);
    const heard = (mac: number, create = true) => cache.heard(...words(peer), mac, create);
    const confirm = () => cache.confirm(...words(peer));
    const wait = (ms: number) => env.scheduler.runFor(ms);

    /** Brings the peer's entry into a state, and empties the log. */
    function given(wanted: string): void {
      heard(MAC);
      if (wanted === 'reachable') confirm();
      if (['delay', 'probe', 'unreachable'].includes(wanted)) send();
      if (['probe', 'unreachable'].includes(wanted)) wait(5_000);
      if (wanted === 'unreachable') wait(3_000);
      expect(state()).to.equal(wanted);
      log = [];
    }

    beforeEach(() => {
      env = virtualEnv();
      log = [];
      sent = [];
      cache = make();
    });
    afterEach(() => {
      cache.dispose();
      expect(cache.memory).to.equal(0);
      expect(env.pool.outstanding).to.equal(0);
      expect(env.scheduler.pending).to.equal(0);
    });

    describe('incomplete', () => {
      it('begins with the first packet: asks everybody, and keeps the packet', () => {
        expect(send()).to.equal(NO_MAC);
        expect(state()).to.equal('incomplete');
        expect(log).to.deep.equal(['0 all']);
        expect(cache.get(peer)).to.include({ mac: undefined, pending: 1 });
      });
      it('asks three times, a second apart, and then fails what waits and forgets the neighbour (4861-2)', () => {
        send();
        send();
        wait(10_000);
        expect(log).to.deep.equal(['0 all', '1000 all', '2000 all', '3000 failed', '3000 failed']);
        expect(cache.size).to.equal(0);
      });
      it('asks at most once a second, however many packets are sent (1122-L2)', () => {
        for (let i = 0; i < 50; i++) send();
        expect(log).to.deep.equal(['0 all']);
      });
      it('keeps ten packets, and drops the oldest for an eleventh (1122-L2)', () => {
        for (let i = 0; i < 12; i++) send();
        expect(cache.get(peer)?.pending).to.equal(10);
        expect(env.drops.count(DropReason.NeighbourQueueFull)).to.equal(2);
      });
      it('-> reachable by an answer to our query; what waited is sent, in order', () => {
        const first = env.pool.alloc(1);
        const second = env.pool.alloc(1);
        cache.resolve(first, ...words(peer));
        cache.resolve(second, ...words(peer));
        expect(advertised(MAC, REPLY)).to.equal('taken');
        expect(state()).to.equal('reachable');
        expect(sent).to.deep.equal([
          [first, MAC],
          [second, MAC],
        ]);
      });
      it('-> stale by an unsolicited advertisement, and at once -> delay, since packets waited', () => {
        send();
        advertised(MAC, GRATUITOUS);
        expect(state()).to.equal('delay');
        expect(sent).to.have.length(1);
      });
      it('-> learns although override is not set (4861-4)', () => {
        send();
        advertised(MAC, CAUTIOUS);
        expect(cache.get(peer)?.mac).to.equal(MAC);
      });
      it('-> stale, and on to delay, by a query of the neighbour', () => {
        send();
        heard(MAC);
        expect(state()).to.equal('delay');
        expect(sent).to.have.length(1);
      });
      it('is not confirmed by upper layers: there is no address yet', () => {
        send();
        confirm();
        expect(state()).to.equal('incomplete');
      });
      it('stays through a flush', () => {
        send();
        cache.flush();
        expect(state()).to.equal('incomplete');
      });
    });

    describe('reachable', () => {
      it('sends without a question', () => {
        given('reachable');
        expect(send()).to.equal(MAC);
        expect(log).to.deep.equal([]);
      });
      it('-> stale after 15 to 45 s (4861-3)', () => {
        given('reachable');
        wait(14_999);
        expect(state()).to.equal('reachable');
        wait(30_002);
        expect(state()).to.equal('stale');
      });
      it('the time is random', () => {
        const times = new Set<number>();
        for (let n = 2; n < 22; n++) cache.heard(...words(addressOf(n)), MAC, true);
        for (let n = 2; n < 22; n++) cache.confirm(...words(addressOf(n)));
        cache.observe((event) => times.add(event.time));
        wait(50_000);
        expect(times.size).to.be.above(15);
      });
      it('stays, for longer, by an answer', () => {
        given('reachable');
        wait(14_000);
        advertised(MAC, REPLY);
        wait(14_000);
        expect(state()).to.equal('reachable');
      });
      it('stays by an unsolicited advertisement of the same address', () => {
        given('reachable');
        advertised(MAC, GRATUITOUS);
        expect(state()).to.equal('reachable');
      });
      it('-> stale with the other address by an unsolicited advertisement that may override (4861-4)', () => {
        given('reachable');
        advertised(OTHER, GRATUITOUS);
        expect(cache.get(peer)).to.include({ state: 'stale', mac: OTHER });
      });
      it('-> stale with the known address by one that may not (4861-4)', () => {
        given('reachable');
        expect(advertised(OTHER, CAUTIOUS)).to.equal('refused');
        expect(cache.get(peer)).to.include({ state: 'stale', mac: MAC });
      });
      it('stays with the other address by an answer that may override (4861-4)', () => {
        given('reachable');
        advertised(OTHER, REPLY);
        expect(cache.get(peer)).to.include({ state: 'reachable', mac: OTHER });
      });
      it('-> stale by a query from another address; stays by one from the same', () => {
        given('reachable');
        heard(MAC);
        expect(state()).to.equal('reachable');
        heard(OTHER);
        expect(cache.get(peer)).to.include({ state: 'stale', mac: OTHER });
      });
    });

    describe('stale', () => {
      it('begins with a query of the neighbour, without a timer', () => {
        given('stale');
        expect(env.scheduler.pending).to.equal(0);
      });
      it('-> delay by a packet, which is sent at once', () => {
        given('stale');
        expect(send()).to.equal(MAC);
        expect(state()).to.equal('delay');
      });
      it('-> reachable by an answer, and by upper layers', () => {
        given('stale');
        advertised(MAC, REPLY);
        expect(state()).to.equal('reachable');
        cache.flush();
        given('stale');
        confirm();
        expect(state()).to.equal('reachable');
      });
      it('ignores another address that may not override (4861-4)', () => {
        given('stale');
        advertised(OTHER, CAUTIOUS);
        advertised(OTHER, { solicited: true, override: false });
        expect(cache.get(peer)).to.include({ state: 'stale', mac: MAC });
      });
    });

    describe('delay', () => {
      it('-> probe after 5 s: asks the neighbour alone (4861-3)', () => {
        given('delay');
        wait(4_999);
        expect(log).to.deep.equal([]);
        wait(1);
        expect(state()).to.equal('probe');
        expect(log).to.deep.equal([`5000 only ${MAC.toString(16)}`]);
      });
      it('-> reachable by upper layers, and then no probe', () => {
        given('delay');
        wait(4_000);
        confirm();
        wait(5_000);
        expect(state()).to.equal('reachable');
        expect(log).to.deep.equal([]);
      });
      it('-> reachable by an answer', () => {
        given('delay');
        advertised(MAC, REPLY);
        expect(state()).to.equal('reachable');
      });
      it('is not prolonged by further packets', () => {
        given('delay');
        wait(4_000);
        send();
        wait(1_000);
        expect(state()).to.equal('probe');
      });
      it('-> stale by an unsolicited advertisement of another address', () => {
        given('delay');
        advertised(OTHER, GRATUITOUS);
        expect(cache.get(peer)).to.include({ state: 'stale', mac: OTHER });
      });
    });

    describe('probe', () => {
      it('asks three times, a second apart, then -> unreachable (4861-3)', () => {
        given('delay');
        wait(8_000);
        expect(log.map((line) => line.split(' ')[0])).to.deep.equal(['5000', '6000', '7000']);
        expect(state()).to.equal('unreachable');
      });
      it('goes on sending to the known address', () => {
        given('probe');
        expect(send()).to.equal(MAC);
      });
      it('-> reachable by the answer, and by upper layers', () => {
        given('probe');
        advertised(MAC, REPLY);
        expect(state()).to.equal('reachable');
        cache.flush();
        given('probe');
        confirm();
        expect(state()).to.equal('reachable');
      });
      it('is not ended by an unsolicited advertisement of the same address', () => {
        given('probe');
        advertised(MAC, GRATUITOUS);
        expect(state()).to.equal('probe');
      });
      it('-> stale by a query from another address', () => {
        given('probe');
        heard(OTHER);
        expect(cache.get(peer)).to.include({ state: 'stale', mac: OTHER });
      });
    });

    describe('unreachable (RFC 7048)', () => {
      it('asks nobody while nobody sends', () => {
        given('unreachable');
        wait(300_000);
        expect(log).to.deep.equal([]);
      });
      it('still sends to the last address, and asks everybody, ever more seldom: 3, 9, 27, 60 s', () => {
        given('unreachable');
        const start = env.timers.now();
        for (let i = 0; i < 170; i++) {
          expect(send()).to.equal(MAC);
          wait(1_000);
        }
        const times = log.map((line) => Number(line.split(' ')[0]) - start);
        expect(times).to.deep.equal([0, 3_000, 12_000, 39_000, 99_000, 159_000]);
        expect(log.every((line) => line.endsWith('all'))).to.equal(true);
      });
      it('-> reachable by an answer from another address', () => {
        given('unreachable');
        advertised(OTHER, REPLY);
        expect(cache.get(peer)).to.include({ state: 'reachable', mac: OTHER });
      });
      it('-> stale by an unsolicited advertisement of another address; stays by the same', () => {
        given('unreachable');
        advertised(MAC, GRATUITOUS);
        expect(state()).to.equal('unreachable');
        advertised(OTHER, GRATUITOUS);
        expect(state()).to.equal('stale');
      });
      it('-> reachable by upper layers', () => {
        given('unreachable');
        confirm();
        expect(state()).to.equal('reachable');
      });
    });

    describe('static', () => {
      it('is not changed by the network, by time, or by a flush', () => {
        cache.setStatic(peer, MAC);
        advertised(OTHER, REPLY);
        heard(OTHER);
        confirm();
        send();
        wait(100_000);
        cache.flush();
        expect(cache.get(peer)).to.include({ state: 'static', mac: MAC });
        expect(log).to.deep.equal([]);
      });
      it('sends what waited', () => {
        send();
        cache.setStatic(peer, MAC);
        expect(sent).to.have.length(1);
        wait(5_000);
        expect(log).to.deep.equal(['0 all']);
      });
      it('can be removed', () => {
        cache.setStatic(peer, MAC);
        expect(cache.remove(peer)).to.equal(true);
        expect(cache.remove(peer)).to.equal(false);
        expect(cache.size).to.equal(0);
      });
    });

    describe('the table', () => {
      it('is not added to by advertisements, nor by queries to others', () => {
        expect(advertised(MAC, REPLY)).to.equal('unknown');
        expect(heard(MAC, false)).to.equal(false);
        expect(cache.size).to.equal(0);
      });
      it('above 512 entries forgets stale ones, the longest unused first, but not twice within 30 s', () => {
        for (let n = 0; n < 513; n++) {
          wait(1);
          cache.heard(...words(addressOf(n)), MAC, true);
        }
        expect(cache.size).to.equal(512);
        expect(cache.get(addressOf(0))).to.equal(undefined);
        for (let n = 600; n < 700; n++) cache.heard(...words(addressOf(n)), MAC, true);
        expect(cache.size).to.equal(612);
        wait(30_000);
        expect(cache.size).to.equal(511);
        expect(cache.get(addressOf(699))).to.not.equal(undefined);
      });
      it('at twice as many forgets unused ones at once, those not used for longest first (RFC 4861 7.3.3)', () => {
        cache = make({ maxEntries: 4 });
        for (let n = 0; n < 9; n++) cache.heard(...words(addressOf(n)), MAC, true);
        expect(cache.size).to.equal(8);
        cache.setStatic(addressOf(1), MAC);
        cache.confirm(...words(addressOf(2)));
        send(addressOf(3));
        cache.heard(...words(addressOf(3)), OTHER, true);
        expect(cache.get(addressOf(3))?.state).to.equal('stale');
        cache.heard(...words(addressOf(9)), MAC, true);
        expect([1, 2, 3, 9].every((n) => cache.get(addressOf(n)) !== undefined)).to.equal(true);
        expect(cache.size).to.equal(4);
      });
      it('forgets nobody for a scan, and still learns who asks (RFC 6583 7.1)', () => {
        cache = make({ maxEntries: 4 });
        given('reachable');
        for (let n = 10; n < 30; n++) send(addressOf(n));
        expect(cache.size).to.equal(9);
        expect(env.drops.count(DropReason.NeighbourTableFull)).to.equal(12);
        advertised(OTHER, CAUTIOUS);
        expect(send(addressOf(30))).to.equal(NO_MAC);
        expect(state()).to.equal('stale');
        cache.heard(...words(addressOf(3)), MAC, true);
        expect(send(addressOf(3))).to.equal(MAC);
        wait(30_000);
        for (let n = 10; n < 30; n++) send(addressOf(n));
        expect(send()).to.equal(MAC);
        expect(send(addressOf(3))).to.equal(MAC);
      });
      it('has as much room for a scan again when nobody answered it', () => {
        cache = make({ maxEntries: 2 });
        for (const from of [10, 20]) {
          for (let n = from; n < from + 5; n++) send(addressOf(n));
          expect(cache.size).to.equal(4);
          wait(3_000);
          expect(cache.size).to.equal(0);
        }
        expect(env.drops.count(DropReason.NeighbourTableFull)).to.equal(2);
      });
      it('above twice as many in use refuses new ones', () => {
        cache = make({ maxEntries: 2 });
        for (let n = 0; n < 4; n++) send(addressOf(n));
        expect(send(addressOf(4))).to.equal(NO_MAC);
        expect(env.drops.count(DropReason.NeighbourTableFull)).to.equal(1);
        expect(cache.size).to.equal(4);
      });
      it('tells what happens', () => {
        const events: string[] = [];
        const stop = cache.observe((event) => events.push(`${event.time} ${event.kind} ${event.state}`));
        send();
        wait(500);
        advertised(MAC, REPLY);
        advertised(MAC, REPLY);
        cache.flush();
        stop();
        send();
        expect(events).to.deep.equal(['0 added incomplete', '500 changed reachable', '500 removed reachable']);
      });
      it('forgets at a flush what it has learnt, and asks again (1122-L2)', () => {
        given('reachable');
        cache.flush();
        expect(cache.size).to.equal(0);
        expect(send()).to.equal(NO_MAC);
        expect(log).to.deep.equal(['0 all']);
      });
      it('asks at once whom upper layers doubt, if it does not know better (MUST-20)', () => {
        for (const wanted of ['reachable', 'stale', 'delay']) {
          given(wanted);
          cache.doubt(...words(peer));
          expect(state()).to.equal('probe');
          expect(log.map((line) => line.split(' ')[1])).to.deep.equal(['only']);
          cache.flush();
        }
        cache.doubt(...words(peer));
        expect(cache.size).to.equal(0);
        cache.setStatic(peer, MAC);
        cache.doubt(...words(peer));
        expect(state()).to.equal('static');
      });
      it('asks without a packet, too: who is not known, or did not answer', () => {
        cache.ask(...words(peer));
        expect(log).to.deep.equal(['0 all']);
        wait(3_000);
        expect(cache.size).to.equal(0);
        given('unreachable');
        cache.ask(...words(peer));
        expect(log).to.have.length(1);
      });
      it('heeds the times of routers for IPv6 alone (RFC 4861 6.3.4)', () => {
        cache.configure6({ retransTimer: 100, baseReachable: 1_000 });
        const isIpv6 = peer.version === 6;
        send();
        wait(10_000);
        expect(log.slice(0, 3)).to.deep.equal(
          isIpv6 ? ['0 all', '100 all', '200 all'] : ['0 all', '1000 all', '2000 all'],
        );
        given('reachable');
        wait(1_500);
        expect(state()).to.equal(isIpv6 ? 'stale' : 'reachable');
      });
      it('remembers who is a router (4861-4)', () => {
        given('stale');
        advertised(MAC, { solicited: true, override: false, isRouter: true });
        expect(cache.get(peer)?.isRouter).to.equal(true);
      });
    });
  });
}
