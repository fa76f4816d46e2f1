/** The iperf3 of the distribution against us, as the client and as the server. */

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'chai';
import { parseIp } from '../../lib/core/address.js';
import { anyEndpoint } from '../../lib/l4/udp.js';
import { IperfClient } from '../../lib/l7/iperf3/client.js';
import { IPERF_PORT } from '../../lib/l7/iperf3/messages.js';
import { DEFAULT_PARAMETERS, type IperfParameters } from '../../lib/l7/iperf3/parameters.js';
import { IperfServer } from '../../lib/l7/iperf3/server.js';
import type { IperfOutside } from '../../lib/l7/iperf3/stream.js';
import { Log } from '../lib/l7/iperf3/bench.js';
import { LIVE, listening, LiveHost } from './live-host.js';
import { until } from '../until.js';
import { describeNetns, type Namespace, type Netns } from './namespace.js';

const MAIN = new URL('../../cli/main.ts', import.meta.url).pathname;

/** What is looked at in the program's JSON. */
interface Sum {
  readonly seconds: number;
  readonly bytes: number;
  readonly bits_per_second: number;
  readonly packets: number;
  readonly lost_packets: number;
  readonly jitter_ms: number;
}
interface Report {
  readonly error?: string;
  readonly start: { readonly connected: readonly object[] };
  readonly intervals: readonly { readonly sum: Sum }[];
  readonly end: Readonly<Record<string, Sum>> & { readonly streams: readonly object[] };
  readonly server_output_text?: string;
}

function describeWithIperf3(title: string, body: (netns: Netns) => void): void {
  try {
    execFileSync('iperf3', ['--version'], { stdio: 'ignore' });
  } catch {
    console.warn(`SKIPPED: ${title}: needs iperf3`);
    describe.skip(`${title} (needs iperf3)`, () =>
      body({ namespace: undefined as never, make: () => undefined as never }));
    return;
  }
  describeNetns(title, body);
}

const outside = ({ env }: LiveHost): IperfOutside => ({ env, soon: (work) => void setImmediate(work) });

/** Runs the program as a client, once; it has to end well. */
async function measure(namespace: Namespace, host: string, ...args: readonly string[]): Promise<Report> {
  const { code, stdout, stderr } = await namespace.run('iperf3', ['-c', host, '-t', '1', '-J', ...args], {
    timeout: 20_000,
  });
  const report = JSON.parse(stdout) as Report;
  expect(report.error, stderr).to.equal(undefined);
  expect(code).to.equal(0);
  return report;
}

/** The two sides of a transfer over TCP: what was sent and not received was still on its way. */
function expectTransfer(sent: Sum | undefined, received: Sum | undefined, streams: number): void {
  expect(received?.seconds).to.be.within(0.9, 4);
  expect(received?.bits_per_second).to.be.above(1e6);
  const buffers = streams * (16 << 20);
  expect(sent?.bytes).to.be.within((received?.bytes ?? 0) - (128 << 10) * streams, (received?.bytes ?? 0) + buffers);
}

for (const { version, ours, theirs, options } of Object.values(LIVE)) {
  describeWithIperf3(`iperf3 over IPv${version}, its client and our server`, (netns) => {
    /** A server for as long as `body` takes; nothing may be left of it. */
    const serve = async (
      body: (measured: (...args: readonly string[]) => Promise<Report>, tests: readonly Log[]) => Promise<void>,
    ) => {
      const { namespace } = netns;
      const tests: Log[] = [];
      const live = new LiveHost(namespace, { ...options, services: [] });
      const printer = () => {
        const log = new Log();
        tests.push(log);
        return log;
      };
      const server = new IperfServer(live.me, outside(live), { local: anyEndpoint(6, IPERF_PORT), printer });
      await body((...args) => measure(namespace, ours, ...args), tests);
      server.close();
      await live.quiet({ timeWait: true });
      // A kernel that cannot read as fast as we send counts that as errors of its own.
      await live.close({ complaints: true });
    };

    for (const streams of [1, 8]) {
      it(`TCP, ${streams} streams: both count the same`, function () {
        this.timeout(30_000);
        return serve(async (measured, tests) => {
          const { end, start, intervals } = await measured('-P', `${streams}`);
          expect(start.connected).to.have.length(streams);
          expect(end.streams).to.have.length(streams);
          expect(intervals).not.to.be.empty;
          expectTransfer(end['sum_sent'], end['sum_received'], streams);
          // We wait for what is on its way.
          expect(end['sum_received']?.bytes).to.be.closeTo(end['sum_sent']?.bytes ?? 0, (128 << 10) * streams);
          const { streams: counted = [] } = tests[0]?.end ?? {};
          const bytes = counted.reduce((sum, { received }) => sum + (received?.count.bytes ?? 0), 0);
          expect(bytes).to.equal(end['sum_received']?.bytes);
        });
      });

      it(`TCP, ${streams} streams, we send`, function () {
        this.timeout(30_000);
        return serve(async (measured) => {
          const { end } = await measured('-R', '-P', `${streams}`);
          expect(end.streams).to.have.length(streams);
          expectTransfer(end['sum_sent'], end['sum_received'], streams);
        });
      });
    }

    it('TCP, both send; what the server printed is handed over', function () {
      this.timeout(30_000);
      return serve(async (measured) => {
        const report = await measured('--bidir', '--get-server-output');
        const { end } = report;
        expectTransfer(end['sum_sent'], end['sum_received'], 1);
        expectTransfer(end['sum_sent_bidir_reverse'], end['sum_received_bidir_reverse'], 1);
        expect(report.server_output_text).to.contain('[RX-S]').and.to.contain('[TX-S]');
      });
    });

    it('UDP as fast as it goes, to us', function () {
      this.timeout(30_000);
      return serve(async (measured) => {
        const { sum, sum_received: received } = (await measured('-u', '-b', '0')).end;
        expect(received?.bytes).to.be.above(1e6);
        expect(received?.packets).to.be.at.most(sum?.packets ?? 0);
        expect(received?.lost_packets).to.be.below(received?.packets ?? 0);
        expect(received?.jitter_ms).to.be.within(0, 100);
      });
    });

    it('UDP as fast as it goes, and at a rate, from us', function () {
      this.timeout(30_000);
      return serve(async (measured) => {
        const fast = (await measured('-u', '-R', '-b', '0')).end['sum'];
        expect(fast?.bytes).to.be.above(1e6);
        const slow = (await measured('-u', '-R', '-b', '8M', '--udp-counters-64bit')).end['sum'];
        expect(slow?.bits_per_second).to.be.closeTo(8e6, 1.2e6);
      });
    });
  });

  describeWithIperf3(`iperf3 over IPv${version}, its server and our client`, (netns) => {
    const kinds: readonly (readonly [string, Partial<IperfParameters>])[] = [
      ['TCP', { parallel: 2 }],
      ['TCP, they send', { reverse: true }],
      ['TCP, both send', { bidirectional: true }],
      ['UDP', { protocol: 'udp', bitrate: 8e6, length: 0 }],
      ['UDP, they send', { protocol: 'udp', bitrate: 8e6, length: 0, reverse: true, counters64: true }],
    ];
    // What is different between the versions is below all this: a few do.
    for (const [name, parameters] of version === 4 ? kinds : kinds.slice(2, 4)) {
      it(name, async function () {
        this.timeout(30_000);
        const live = new LiveHost(netns.namespace, { ...options, services: [] });
        await listening(netns.namespace, IPERF_PORT, 'iperf3', '-s', '-1');
        const log = new Log();
        const server = { address: parseIp(theirs), port: IPERF_PORT };
        const asked: IperfParameters = { ...DEFAULT_PARAMETERS, time: 1, ...parameters };
        const client = new IperfClient(live.me, outside(live), { server, parameters: asked, observer: log });
        await until(() => log.over, 20_000);
        client.stop();
        expect(log.error).to.equal(undefined);
        const { streams = [] } = log.end ?? {};
        expect(streams).to.have.length(asked.parallel * (asked.bidirectional ? 2 : 1));
        for (const { sent, received } of streams) {
          expect(received?.count.bytes).to.be.above(100_000);
          expect(received?.count.bytes).to.be.at.most(sent?.count.bytes ?? 0);
          if (asked.protocol === 'udp') expect(received?.count.bytes).to.be.within(0.8e6, 1.2e6);
        }
        await live.quiet({ timeWait: true });
        await live.close();
      });
    }
  });
}

describeWithIperf3('rx-netstack iperf3', (netns) => {
  const place = ['--no-dad', '--tap', 'tap0', '--address', '10.77.0.2/24', '--peer', '10.77.0.1/24'];

  it('is a server for one test, with JSON', async function () {
    this.timeout(60_000);
    const { namespace } = netns;
    const child = namespace.start(process.execPath, ['--import=tsx', MAIN, 'iperf3', '-s', '-1', '-J', ...place]);
    let out = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (out += text));
    const closed = once(child, 'close') as Promise<[number]>;
    await once(child.stderr as NonNullable<typeof child.stderr>, 'data');
    const theirs = await measure(namespace, '10.77.0.2', '-R');
    expect((await closed)[0]).to.equal(0);
    const ours = JSON.parse(out) as Report;
    expectTransfer(ours.end['sum_sent'], theirs.end['sum_received'], 1);
  });

  for (const [name, more, program] of [
    ['with the results of both sides', ['-J'], true],
    ['with its own where the server is gone', ['-J'], false],
    ['in text', [], true],
  ] as const) {
    it(`is a client that prints what was measured until Ctrl-C, ${name}`, async function () {
      this.timeout(60_000);
      const { namespace } = netns;
      const server = await listening(namespace, IPERF_PORT, 'iperf3', '-s', '-1', '--forceflush');
      let seen = '';
      server.stdout?.setEncoding('utf8').on('data', (text: string) => (seen += text));
      const args = ['--import=tsx', MAIN, 'iperf3', '-c', '10.77.0.1', '-t', '0', ...more, ...place];
      const child = namespace.start(process.execPath, args);
      let out = '';
      let complaints = '';
      child.stdout?.setEncoding('utf8').on('data', (text: string) => (out += text));
      child.stderr?.setEncoding('utf8').on('data', (text: string) => (complaints += text));
      const closed = once(child, 'close') as Promise<[number]>;
      await until(() => seen.includes(' sec '), 30_000);
      if (!program) server.kill('SIGSTOP');
      child.kill('SIGINT');
      expect((await closed)[0]).to.equal(1);
      if (more.length === 0) {
        expect(out).to.match(/ sender\n.* receiver\n$/);
        expect(complaints).to.equal('rx-netstack iperf3: interrupt - the client has terminated\n');
        return;
      }
      const { error, end } = JSON.parse(out) as Report;
      expect(error).to.equal('interrupt - the client has terminated');
      expect(end['sum_sent']?.bytes).to.be.above(100_000);
      expect((end['sum_received']?.bytes ?? 0) > 0).to.equal(program);
    });
  }

  it('is a server of the version that it is told', async function () {
    this.timeout(60_000);
    const { namespace } = netns;
    const both = [...place, '--address', 'fd77::2/64', '--peer', 'fd77::1/64'];
    const child = namespace.start(process.execPath, ['--import=tsx', MAIN, 'iperf3', '-s', '-6', ...both]);
    await once(child.stdout as NonNullable<typeof child.stdout>, 'data');
    await measure(namespace, 'fd77::2');
    const four = await namespace.run('iperf3', ['-c', '10.77.0.2', '-t', '1', '-J']);
    expect((JSON.parse(four.stdout) as Report).error).to.contain('Connection refused');
  });

  it('is a client that prints what the other one prints; and says why it cannot', async function () {
    this.timeout(60_000);
    const { namespace } = netns;
    const tool = (...args: readonly string[]) =>
      namespace.run(process.execPath, ['--import=tsx', MAIN, 'iperf3', '-c', '10.77.0.1', ...args, ...place], {
        timeout: 30_000,
      });
    const refused = await tool();
    expect(refused.stderr).to.match(/^rx-netstack iperf3: .*ECONNREFUSED.*\n$/);
    expect(refused.code).to.equal(1);
    await listening(namespace, IPERF_PORT, 'iperf3', '-s', '-1');
    const { code, stdout, stderr } = await tool('-n', '10M', '-i', '0');
    expect({ code, stderr }).to.deep.equal({ code: 0, stderr: '' });
    expect(stdout).to.match(/\n\[ {2}5\] {3}0\.00-[\d.]+ +sec {2}10\.0 MBytes .* sender\n/);
    expect(stdout).to.match(/\n\[ {2}5\] {3}0\.00-[\d.]+ +sec {2}10\.0 MBytes .* receiver\n/);
  });
});
