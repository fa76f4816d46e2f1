import { expect } from 'chai';
import { Ipv4Address } from '../../../lib/core/address.js';
import { anyEndpoint } from '../../../lib/l4/udp.js';
import { type Host, host } from '../../../operators/stack/host.js';
import { net, type NetHelpers } from '../../../operators/testing/index.js';

const FAR = Ipv4Address.parse('192.0.2.1');
const ONE = '192.168.0.8';
const OTHER = '192.168.0.9';
const ONE_MAC = '02:00:00:00:00:08';
const OTHER_MAC = '02:00:00:00:00:09';

/** A host with two default gateways, the first of which it prefers, that sends a datagram to a far host at each of these times. */
function twoGateways(times: readonly number[], body: (helpers: NetHelpers, me: Host) => void, until = 0): void {
  net(
    (helpers) => {
      const { env } = helpers;
      const device = helpers.device();
      const way = { destination: 'default', device } as const;
      const routes = [
        { ...way, gateway: ONE },
        { ...way, gateway: OTHER, metric: 1 },
      ];
      const me = host({ device, addresses: ['192.168.0.1/24'], routes }, env);
      const socket = me.udp.bind(anyEndpoint(4, 1024), { message() {}, error() {} });
      for (const time of times)
        env.scheduler.schedule(() => socket.send(new Uint8Array(8), { address: FAR, port: 53 }), time);
      body(helpers, me);
    },
    { until },
  );
}

const query = (gateway: string) => `> arp who-has ${gateway} tell 192.168.0.1`;
const reply = (gateway: string, mac: string) => `< arp reply ${gateway} is-at ${mac} mac-from ${mac}`;
const sent = (mac: string) => `> udp 1024 > 53 (8) mac-to ${mac}`;

describe('a gateway that is dead', () => {
  it('1122-I9: is replaced by another one as soon as it has not answered', () => {
    twoGateways([1, 4_000], ({ rx, expectTx, expectDrops }, me) => {
      const in$ = rx('4002ms b-', { b: reply(OTHER, OTHER_MAC) });
      expectTx(in$.pipe(me)).toBe('-a 999ms a 999ms a 1998ms b-s', {
        a: query(ONE),
        b: query(OTHER),
        s: sent(OTHER_MAC),
      });
      expectDrops().toBe('3001ms u', { u: 'neighbour-unreachable' });
    });
  });

  it('1122-I9: is asked once a minute, and taken again when it answers', () => {
    twoGateways(
      [1, 70_000],
      ({ rx, expectTx }, me) => {
        const in$ = rx('63002ms a-', { a: reply(ONE, ONE_MAC) });
        expectTx(in$.pipe(me)).toBe('-a 999ms a 999ms a 60999ms a 6998ms s', { a: query(ONE), s: sent(ONE_MAC) });
      },
      70_001,
    );
  });

  it('1122-I9: is asked no more once no route goes by it, and is tried like any other when one does again', () => {
    twoGateways(
      [1, 200_000],
      ({ rx, expectTx, env }, me) => {
        const { routes } = me.tables;
        const [dead] = routes.list().filter(({ gateway }) => gateway?.toString() === ONE);
        env.scheduler.schedule(() => routes.remove((route) => route === dead), 70_000);
        env.scheduler.schedule(() => {
          expect(routes.avoided).to.deep.equal([]);
          if (dead !== undefined) routes.add(dead);
        }, 199_000);
        expectTx(rx('200s -').pipe(me)).toBe('-a 999ms a 999ms a 60999ms a 999ms a 999ms a 134998ms a', {
          a: query(ONE),
        });
      },
      200_001,
    );
  });

  it('1122-I9: is noticed, too, where it answered once, and was used since', () => {
    const times = [1, 50_000, ...Array.from({ length: 20 }, (_, i) => 50_000 + i * 1_000)];
    const macs: number[] = [];
    twoGateways(
      times,
      ({ rx, env }, me) => {
        const running = rx('--a 60s b-', { a: reply(ONE, ONE_MAC), b: reply(OTHER, OTHER_MAC) })
          .pipe(me)
          .subscribe((frame) => {
            const { view } = frame.slab;
            if (view.getUint16(frame.start + 12) === 0x0800) macs.push(view.getUint8(frame.start + 5));
            frame.release();
          });
        env.scheduler.schedule(() => running.unsubscribe(), 79_000);
      },
      80_000,
    );
    expect(macs.slice(0, 3)).to.deep.equal([8, 8, 8]);
    expect(macs.at(-1)).to.equal(9);
  });

  it('1122-I9: is used further where there is no other', () => {
    twoGateways([1, 4_000], ({ rx, expectTx }, me) => {
      me.tables.routes.remove((route) => route.metric === 1);
      expectTx(rx('4002ms --').pipe(me)).toBe('-a 999ms a 999ms a 1998ms a', { a: query(ONE) });
    });
  });

  it('1122-I9: is not redirected to any more', () => {
    net(
      ({ rx, expectTx, env, device }) => {
        const me = host(
          { device: device(), addresses: ['192.168.0.1/24'], gateway: ONE, icmp: { redirects: true } },
          env,
        );
        const socket = me.udp.bind(anyEndpoint(4, 1024), { message() {}, error() {} });
        const send = () => socket.send(new Uint8Array(8), { address: FAR, port: 53 });
        for (const time of [1, 5, 4_000]) env.scheduler.schedule(send, time);
        const redirect = `< icmp redirect host gateway ${OTHER} [udp 1024 > 53 (8)] from ${ONE} mac-from ${ONE_MAC}`;
        const in$ = rx('--ar-', { a: reply(ONE, ONE_MAC), r: redirect });
        expectTx(in$.pipe(me)).toBe('-qs--o 999ms o 999ms o 1994ms s', {
          q: query(ONE),
          s: sent(ONE_MAC),
          o: query(OTHER),
        });
      },
      { until: 4_001 },
    );
  });

  it('1122-I9: is asked as soon as TCP has retransmitted three times, although it answered just now (MUST-20, MUST-22, SHLD-10)', () => {
    twoGateways(
      [],
      ({ rx, expectTx, env }, me) => {
        const remote = { address: FAR, port: 80 };
        const quiet = { connected() {}, readable() {}, writable() {}, flushed() {}, closed() {} };
        env.scheduler.schedule(() => void me.tcp.connect(remote, quiet, { localPort: 8080 }), 1);
        const in$ = rx('--a 14999ms b', { a: reply(ONE, ONE_MAC), b: reply(OTHER, OTHER_MAC) });
        const syn = (mac: string) => `> 8080 > 80 S 0:0(0) <...> mac-to ${mac}`;
        expectTx(in$.pipe(me)).toBe('-qs 998ms s 1999ms s 3999ms (us) 996ms u 999ms u 5999ms ot', {
          q: query(ONE),
          u: `${query(ONE)} target-mac ${ONE_MAC} mac-to ${ONE_MAC}`,
          o: query(OTHER),
          s: syn(ONE_MAC),
          t: syn(OTHER_MAC),
        });
      },
      15_004,
    );
  });
});
