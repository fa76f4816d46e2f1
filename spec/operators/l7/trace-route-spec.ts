import { expect } from 'chai';
import { lastValueFrom, toArray } from 'rxjs';
import { type IpAddress, parseIp } from '../../../lib/core/address.js';
import { NetError, UsageError } from '../../../lib/core/errors.js';
import type { IcmpErrorKind } from '../../../lib/l3/icmp-report.js';
import type { EchoRequest, PingHandler } from '../../../lib/l4/ping-api.js';
import type { UdpHandler } from '../../../lib/l4/udp-api.js';
import type { Endpoint } from '../../../lib/l4/tcp/api.js';
import type { TraceOptions, TraceTransports } from '../../../lib/l7/trace-route.js';
import { traceRoute } from '../../../operators/l7/trace-route.js';
import { network } from '../../../operators/testing/network.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';
import { forBothVersions } from '../../both-versions.js';

const THERE = parseIp('10.9.0.1');
const router = (hop: number) => parseIp(`10.${hop}.0.1`);

interface Hop {
  /** Milliseconds to it and back; silent where left out. */
  readonly rtt?: number;
  /** What it says instead of `time-exceeded`. */
  readonly says?: IcmpErrorKind;
}

/** A path of routers, with the destination behind the last. */
class Path {
  readonly scheduler = new SimulationScheduler();
  readonly env = environment({ scheduler: this.scheduler, seed: 1 });
  readonly sent: string[] = [];
  open = 0;
  underWay = 0;
  most = 0;
  private readonly hops: readonly Hop[];
  private readonly rtt: number | undefined;

  constructor(hops: readonly Hop[], rtt?: number) {
    this.hops = hops;
    this.rtt = rtt;
  }

  private carry(hop: number, error: (kind: IcmpErrorKind, reporter: IpAddress) => void, arrived: () => void): void {
    const passed = this.hops[hop - 1];
    this.most = Math.max(this.most, ++this.underWay);
    const after = (rtt: number | undefined, tell: () => void) => {
      if (rtt === undefined) return;
      this.scheduler.schedule(() => {
        this.underWay--;
        tell();
      }, rtt);
    };
    const stop = this.hops.slice(0, hop).find(({ says }) => says !== undefined);
    if (stop?.says !== undefined) {
      const { says } = stop;
      after(stop.rtt, () => error(says, router(this.hops.indexOf(stop) + 1)));
    } else if (passed === undefined) after(this.rtt, arrived);
    else after(passed.rtt, () => error('time-exceeded', router(hop)));
  }

  get transports(): TraceTransports {
    const opened = () => {
      this.open++;
      return () => void this.open--;
    };
    const bind = (_local: Endpoint, handler: UdpHandler) => {
      const socket = {
        hopLimit: 0,
        close: opened(),
        send: (data: Uint8Array, to?: Endpoint) => {
          const { hopLimit } = socket;
          const port = to?.port ?? 0;
          this.sent.push(`${hopLimit} ${port} ${data.length}`);
          const destination = { address: THERE, port };
          const report = (kind: IcmpErrorKind, reporter: IpAddress) =>
            handler.report?.({ kind, code: 'EHOSTUNREACH', reporter, mtu: 0, destination });
          this.carry(hopLimit, report, () => report('port-unreachable', THERE));
        },
      };
      return socket as never;
    };
    const open = (_version: 4 | 6, handler: PingHandler) =>
      ({
        close: opened(),
        send: ({ sequence, hopLimit = 0, data = new Uint8Array(0) }: EchoRequest) => {
          this.sent.push(`${hopLimit} ${sequence} ${data.length}`);
          const error = (kind: IcmpErrorKind, reporter: IpAddress) =>
            handler.error({ kind, code: 'EHOSTUNREACH', reporter, mtu: 0, destination: THERE, sequence });
          this.carry(hopLimit, error, () =>
            handler.reply({ source: THERE, sequence, data, hopLimit: 64, trafficClass: 0 }),
          );
        },
      }) as never;
    return { udp: { bind }, ping: { open } };
  }

  /** Traces to the end; what was told, and when it ended. */
  trace(options: TraceOptions): string[] {
    const told: string[] = [];
    traceRoute(this.transports, THERE, options, this.env).subscribe({
      next: ({ hop, query, from, rtt, outcome }) =>
        told.push(`${hop}.${query} ${from?.toString() ?? '-'} ${rtt ?? '-'} ${outcome}`),
      complete: () => told.push(`${this.scheduler.now()} done`),
      error: (error: Error) => told.push(error.message),
    });
    this.scheduler.run();
    expect(this.open, 'sockets').to.equal(0);
    return told;
  }
}

for (const probes of ['udp', 'icmp'] as const) {
  describe(`trace route by ${probes}`, () => {
    it('tells each router in its order, though the answers come in another, and ends at the destination', () => {
      const path = new Path([{ rtt: 5 }, { rtt: 40 }], 10);
      expect(path.trace({ probes, queries: 2, size: 7 })).to.deep.equal([
        '1.1 10.1.0.1 5 passed',
        '1.2 10.1.0.1 5 passed',
        '2.1 10.2.0.1 40 passed',
        '2.2 10.2.0.1 40 passed',
        '3.1 10.9.0.1 10 reached',
        '3.2 10.9.0.1 10 reached',
        '45 done',
      ]);
      const number = probes === 'udp' ? 33_434 : 1;
      expect(path.sent.slice(0, 4)).to.deep.equal([
        `1 ${number} 7`,
        `1 ${number + 1} 7`,
        `2 ${number + 2} 7`,
        `2 ${number + 3} 7`,
      ]);
    });

    it('has one probe under way until the first is answered, then as many as it may', () => {
      const path = new Path(
        Array.from({ length: 9 }, () => ({ rtt: 100 })),
        100,
      );
      path.trace({ probes, parallel: 6 });
      expect(path.most).to.equal(6);
      const cautious = new Path([{ rtt: 100 }], 100);
      traceRoute(cautious.transports, THERE, { probes }, cautious.env).subscribe();
      cautious.scheduler.runFor(99);
      expect(cautious.sent).to.have.length(1);
      cautious.scheduler.run();
    });

    it('goes on behind those who say nothing, as far as it may', () => {
      const silent = new Path([{ rtt: 5 }, {}, { rtt: 8 }], 9);
      expect(silent.trace({ probes, queries: 1, timeout: 1000 })).to.deep.equal([
        '1.1 10.1.0.1 5 passed',
        '2.1 - - silent',
        '3.1 10.3.0.1 8 passed',
        '4.1 10.9.0.1 9 reached',
        '1005 done',
      ]);
      const endless = new Path(Array.from({ length: 40 }, () => ({})));
      const told = endless.trace({ probes, queries: 1, maxHops: 4, firstHop: 2, timeout: 1000 });
      expect(told).to.deep.equal(['2.1 - - silent', '3.1 - - silent', '4.1 - - silent', '2000 done']);
    });

    it('ends where somebody says that there is no way on', () => {
      const path = new Path([{ rtt: 5 }, { rtt: 6, says: 'host-unreachable' }], 9);
      expect(path.trace({ probes, queries: 1 })).to.deep.equal([
        '1.1 10.1.0.1 5 passed',
        '2.1 10.2.0.1 6 host-unreachable',
        '11 done',
      ]);
    });
  });
}

describe('trace route', () => {
  it('refuses options that make no sense, and tells what cannot be sent', () => {
    for (const options of [
      { maxHops: 0 },
      { firstHop: 31 },
      { queries: 0 },
      { timeout: 0 },
      { port: 65_500 },
      { parallel: 0.5 },
    ]) {
      const path = new Path([]);
      let failure: unknown;
      traceRoute(path.transports, THERE, options, path.env).subscribe({ error: (error: unknown) => (failure = error) });
      expect(failure).to.be.instanceOf(UsageError).with.property('code', 'ERR_INVALID_OPTION');
    }
    using net = network({ hosts: { us: '10.0.0.1/24', them: '10.0.0.2/24' } });
    let failure: unknown;
    traceRoute(net.hosts.us, THERE, {}, net.hosts.us.env).subscribe({ error: (error: unknown) => (failure = error) });
    net.run();
    expect(failure).to.be.instanceOf(NetError).with.property('code', 'ENETUNREACH');
    net.assertIdle();
  });

  it('ends when nobody listens any more', () => {
    const path = new Path([{ rtt: 5 }, { rtt: 5 }, { rtt: 5 }], 9);
    const told: number[] = [];
    const subscription = traceRoute(path.transports, THERE, { queries: 1 }, path.env).subscribe(({ hop }) => {
      told.push(hop);
      subscription.unsubscribe();
    });
    path.scheduler.run();
    expect(told).to.deep.equal([1]);
    expect([path.open, path.scheduler.pending]).to.deep.equal([0, 0]);
  });
});

forBothVersions('trace route of a host', ({ version, a, b, c, cidr }) => {
  for (const probes of ['udp', 'icmp'] as const) {
    it(`reaches a neighbour by ${probes}, and knows when nobody is there`, async () => {
      using net = network({ hosts: { us: cidr(a), them: cidr(b) }, links: { lan: { impair: { delay: 10 } } } });
      const { us } = net.hosts;
      const trace = (to: IpAddress) =>
        net.runUntilSettled(lastValueFrom(traceRoute(us, to, { probes }, us.env).pipe(toArray())));
      const reached = await trace(b);
      expect(reached.map(({ hop, query, outcome, from }) => [hop, query, outcome, String(from)])).to.deep.equal(
        [1, 2, 3].map((query) => [1, query, 'reached', String(b)]),
      );
      expect(reached.every(({ rtt = 0 }) => rtt >= 20)).to.equal(true);
      const lost = await trace(c);
      expect(lost[0]).to.include({ hop: 1, outcome: 'host-unreachable' });
      expect(String(lost[0]?.from), `IPv${version}`).to.equal(String(a));
      net.run();
      net.assertIdle();
    });
  }

  it('takes an answer of somebody who listens at the port for an arrival', async () => {
    using net = network({ hosts: { us: cidr(a), them: cidr(b) } });
    const { us, them } = net.hosts;
    const socket = them.udp.bind(
      { address: b, port: 33_434 },
      { message: ({ source }) => socket.send(Uint8Array.of(1), source), error: () => undefined },
    );
    const [probe] = await net.runUntilSettled(lastValueFrom(traceRoute(us, b, { queries: 1 }, us.env).pipe(toArray())));
    expect(probe).to.include({ hop: 1, outcome: 'reached' });
    socket.close();
    net.run();
    net.assertIdle();
  });
});
