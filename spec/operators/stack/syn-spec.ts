import { expect } from 'chai';
import { Observable, type OperatorFunction, type Subscriber, tap } from 'rxjs';
import type { IpVersion } from '../../../lib/core/address.js';
import type { Device } from '../../../lib/core/device.js';
import type { NetError } from '../../../lib/core/errors.js';
import type { Frame, RxFrame } from '../../../lib/core/frame.js';
import { IpTables } from '../../../lib/l3/ip-tables.js';
import type { TcpConnection, TcpHandler, TcpListener } from '../../../lib/l4/tcp/api.js';
import { TcpHost } from '../../../lib/l4/tcp/tcp-host.js';
import type { LinkPacket } from '../../../lib/wire/ethernet.js';
import type { IpPacket } from '../../../lib/wire/ip.js';
import { rawIp } from '../../../operators/l2/raw-ip.js';
import { ipv4 } from '../../../operators/l3/ipv4.js';
import { ipv6 } from '../../../operators/l3/ipv6.js';
import { tcp } from '../../../operators/l4/tcp.js';
import { host } from '../../../operators/stack/host.js';
import { type NetHelpers, net, network } from '../../../operators/testing/index.js';
import { TimerWheel } from '../../../operators/time/timer-wheel.js';
import { forBothVersions } from '../../both-versions.js';

/** The addresses that go without saying in the packet notation, and a router. */
const NOTATION = {
  4: { own: '192.168.0.1/16', router: '192.168.0.9' },
  6: { own: 'fd3d:a0b:17d6::1/64', router: 'fd3d:a0b:17d6::9' },
} as const;

/** The seed's example needs one of these: a pipeline from frames to what is sent, and the TCP in it. */
interface Subject {
  readonly operator: OperatorFunction<RxFrame, Frame>;
  readonly tcp: TcpHost;
  readonly dispose?: () => void;
}

// What is tested is TCP's alone.
const SILENT = { silent: true };

const subjects: Record<string, (version: IpVersion, helpers: NetHelpers, device: Device) => Subject> = {
  'a whole host': (version, { env }, device) => {
    const me = host(
      { device, addresses: [NOTATION[version].own], gateway: NOTATION[version].router, multicast: SILENT },
      env,
    );
    return { operator: me, tcp: me.tcp };
  },
  'tcp() alone, behind its IP layer': (version, { env }, device) => {
    const tables = new IpTables(env);
    tables.addAddress(device, NOTATION[version].own);
    tables.addRoute({ destination: 'default', gateway: NOTATION[version].router, device });
    const tcpHost = new TcpHost(tables, {}, env);
    const ip: OperatorFunction<LinkPacket, IpPacket> =
      version === 4 ? ipv4({ addresses: tables.addresses }, env) : ipv6({ addresses: tables.addresses6 }, env);
    const operator = (frames$: Observable<RxFrame>) => frames$.pipe(rawIp(env), ip, tcp(tcpHost));
    return { operator, tcp: tcpHost, dispose: () => tcpHost.dispose() };
  },
};

/** Notes when a frame goes in, and when that call returns, with the timers that are armed then. */
function around(calls: string[], timers: () => number): OperatorFunction<RxFrame, RxFrame> {
  return (source) =>
    new Observable((subscriber: Subscriber<RxFrame>) =>
      source.subscribe((frame) => {
        calls.push('SYN in');
        subscriber.next(frame);
        calls.push(`returned, ${timers()} timer armed`);
      }),
    );
}

forBothVersions('a SYN for a listening port', ({ version, any, headers }) => {
  for (const [name, make] of Object.entries(subjects)) {
    it(`is answered within the call, the listener is told, the timer is armed and repeats the answer: ${name}`, () => {
      net(
        (helpers) => {
          const { rx, expectTx, env } = helpers;
          const { operator, tcp: tcpHost, dispose } = make(version, helpers, helpers.device());
          const calls: string[] = [];
          const listener: TcpListener = tcpHost.listen({ address: any, port: 8080 });
          listener.incoming = ({ port }) => calls.push(`listener told of port ${port}`);
          listener.acceptable = () => calls.push('acceptable');
          const timers = () => (env.timers instanceof TimerWheel ? env.timers.pending : -1);
          const in$ = rx('   -s 3999ms a', { s: '< S 0:0(0) win 65535 <mss 1460>', a: '< . 1:1(0) ack 1 win 65535' });
          const out$ = in$.pipe(
            around(calls, timers),
            operator,
            tap(() => calls.push('SYN-ACK out')),
          );
          expectTx(out$).toBe('-s 999ms s 1999ms s', { s: `> S. 0:0(0) ack 1 <mss ${1500 - headers}>` });
          env.scheduler.schedule(() => {
            const [first, answered, told, returned] = calls;
            expect(first).to.equal('SYN in');
            expect(answered).to.equal('SYN-ACK out');
            expect(told).to.match(/^listener told of port \d+$/);
            expect(returned).to.equal('returned, 1 timer armed');
            expect(calls.slice(4)).to.deep.equal(['SYN-ACK out', 'SYN-ACK out']);
            expect(listener.accept()).to.equal(undefined);
          }, 3999);
          env.scheduler.schedule(() => {
            expect(calls.slice(6)).to.deep.equal(['SYN in', 'acceptable', 'returned, 0 timer armed']);
            expect(listener.accept()?.state).to.equal('ESTABLISHED');
            dispose?.();
          }, 4002);
        },
        { version, linkType: 'ip', until: 4003 },
      );
    });
  }
});

class Ends implements TcpHandler {
  readonly errors: (NetError | undefined)[] = [];
  readonly at: number[] = [];
  private readonly now: () => number;
  constructor(now: () => number) {
    this.now = now;
  }
  connected(): void {}
  readable(): void {}
  writable(): void {}
  flushed(): void {}
  closed(error: NetError | undefined): void {
    this.errors.push(error);
    this.at.push(this.now());
  }
}

forBothVersions('keepalive', ({ version, any, a: here, b: there, cidr, headers }) => {
  it('asks after two hours, nine times in 75 s, and gives up with ETIMEDOUT', () => {
    let ends: Ends | undefined;
    net(
      ({ rx, expectTx, env, device }) => {
        const me = host(
          {
            device: device(),
            addresses: [NOTATION[version].own],
            gateway: NOTATION[version].router,
            multicast: SILENT,
          },
          env,
        );
        const listener = me.tcp.listen({ address: any, port: 8080 }, { keepAlive: true });
        listener.acceptable = () => {
          const connection = listener.accept();
          if (connection !== undefined) connection.handler = ends = new Ends(() => env.timers.now());
        };
        const in$ = rx('   sa', { s: '< S 0:0(0) win 65535 <mss 1460>', a: '< . 1:1(0) ack 1 win 65535' });
        const silence = ' 74999ms p'.repeat(8);
        expectTx(in$.pipe(me)).toBe(`s 7200000ms p ${silence} 74999ms r`, {
          s: `> S. 0:0(0) ack 1 <mss ${1500 - headers}>`,
          p: '> . 0:0(0) ack 1',
          r: '> R. 1:1(0) ack 1',
        });
      },
      { version, linkType: 'ip' },
    );
    expect(ends?.errors.map((error) => error?.code)).to.deep.equal(['ETIMEDOUT']);
    expect(ends?.at).to.deep.equal([1 + 7_200_000 + 9 * 75_000]);
  }).timeout(500);

  it('keeps a connection for a day over which nothing is said, and notices within the time that the peer is gone', () => {
    const net = network({ hosts: { a: cidr(here), b: cidr(there) }, links: { lan: { impair: { delay: 5 } } } });
    const { a, b } = net.hosts;
    const accepted: TcpConnection[] = [];
    const listener = b.tcp.listen({ address: any, port: 80 });
    listener.acceptable = () => {
      const connection = listener.accept();
      if (connection !== undefined) accepted.push(connection);
    };
    const ends = new Ends(() => net.now);
    const connection = a.tcp.connect({ address: there, port: 80 }, ends, { keepAlive: true });
    net.runFor(86_400_000);
    expect([connection.state, accepted[0]?.state]).to.deep.equal(['ESTABLISHED', 'ESTABLISHED']);
    expect(a.tcp.counters.keepaliveProbes).to.equal(11);
    net.links.lan.partition();
    net.runFor(7_200_000 + 9 * 75_000);
    expect(ends.errors.map((error) => error?.code)).to.deep.equal(['ETIMEDOUT']);
    expect(a.tcp.size).to.equal(0);
    net.dispose();
    net.assertIdle();
  }).timeout(500);
});
