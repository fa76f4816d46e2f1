/** `parallel()`: one host on two threads, with a kernel as the peer. */

import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { BroadcastChannel } from 'node:worker_threads';
import { expect } from 'chai';
import {
  type Counters,
  parallel,
  type Parallel,
  type ParallelOptions,
  type WorkerError,
} from '../../drivers/parallel.js';
import { LIVE, listening, OUR_MAC, OURS, THEIRS } from './live-host.js';
import { describeNetns, type Netns } from './namespace.js';
import type { Done, Order, WorkerData } from './parallel-worker.js';
import { digestOf, transfers } from './transfers.js';

const CHANNEL = `parallel-spec-${process.pid}`;
const MODULE = new URL('./parallel-worker.ts', import.meta.url);

interface Setup extends Partial<Omit<ParallelOptions, 'data'>> {
  readonly data?: Partial<WorkerData>;
}

function start({ namespace }: Netns, setup: Setup = {}): Promise<Parallel> {
  const { data, ...options } = setup;
  const peer = [`${THEIRS}/24`, ...LIVE[6].options.peer];
  return parallel({
    queues: 2,
    device: { kind: 'tap', name: 'tap0', mac: OUR_MAC, peer },
    namespace: namespace.name,
    worker: MODULE,
    ...options,
    data: { channel: CHANNEL, addresses: [`${OURS}/24`, ...LIVE[6].options.addresses], ...data },
  });
}

/** Asks one worker to do something. */
function ask(order: Order): Promise<string> {
  const channel = new BroadcastChannel(CHANNEL);
  // A worker that was told to end does not answer.
  channel.unref();
  return new Promise((resolve) => {
    channel.addEventListener('message', (event: unknown) => {
      const { data } = event as { readonly data: Order | Done };
      if (!('answer' in data) || data.worker !== order.worker) return;
      channel.close();
      resolve(data.answer);
    });
    channel.postMessage(order);
  });
}

function count(counters: Counters, ...path: readonly string[]): number {
  let at: number | Counters | undefined = counters;
  for (const name of path) at = typeof at === 'object' ? at[name] : undefined;
  return typeof at === 'number' ? at : 0;
}

async function each(workers: Parallel, ...path: readonly string[]): Promise<readonly number[]> {
  return (await workers.statsOfEach()).map((counters) => count(counters, ...path));
}

/**
 * Nothing that workers must not get wrong went wrong. Where the kernel steers, the first acknowledgment of a connection takes the longer way,
 * from worker to worker, and may come when all is over: then the answer to it is a reset, as to any old segment.
 */
async function expectSound(workers: Parallel): Promise<void> {
  const sum = await workers.stats();
  const isSteered = count(sum, 'device', 'steered') === 1;
  if (isSteered) expect(count(sum, 'tcp', 'resetsSent'), 'resets').to.equal(0);
  expect(count(sum, 'tcp', 'resetsReceived'), 'resets of the kernel').to.equal(0);
  expect(count(sum, 'tcp', 'failed'), 'failed connections').to.equal(0);
  const reasons = ['worker-queue-full', 'udp-no-socket', 'callback-threw', ...(isSteered ? ['tcp-no-connection'] : [])];
  for (const reason of reasons) expect(count(sum, 'drops', reason), reason).to.equal(0);
}

const threads = () => readdirSync('/proc/self/task').length;

// Opens `total` connections at once, says a line on each after `wait` milliseconds of silence, and prints how many were answered rightly.
const CROWD = `
const net = require('node:net');
const [, host, port, total, wait] = process.argv;
let right = 0, over = 0;
for (let i = 0; i < Number(total); i++) {
  const line = 'one of a crowd ' + i + '\\n';
  let got = '';
  const socket = net.connect(Number(port), host, () => setTimeout(() => socket.write(line), Number(wait)));
  socket.on('data', (data) => { got += data; if (got.length === line.length) socket.end(); });
  socket.on('error', (error) => console.error(error.code));
  socket.on('close', () => { if (got === line) right++; if (++over === Number(total)) console.log(right); });
}
`;

function crowd({ namespace }: Netns, host: string, total: number, wait = 0): Promise<string> {
  const args = ['-e', CROWD, host, '7', `${total}`, `${wait}`];
  return namespace.run(process.execPath, args, { timeout: 30_000 }).then(({ stdout, stderr }) => stdout + stderr);
}

for (const steering of [true, false]) {
  describeNetns(`parallel(), steered by ${steering ? 'our program' : 'the kernel alone'}`, (netns) => {
    for (const version of [4, 6] as const) {
      it(`spreads connections of IPv${version} over the workers, and answers all`, async function () {
        this.timeout(120_000);
        await using workers = await start(netns, { steering });
        expect(await crowd(netns, LIVE[version].ours, 200)).to.equal('200\n');
        const accepted = await each(workers, 'tcp', 'accepted');
        expect(accepted[0]).to.be.within(50, 150);
        expect((accepted[0] ?? 0) + (accepted[1] ?? 0)).to.equal(200);
        await expectSound(workers);
      });
    }

    it('carries bulk in both directions, digest for digest', async function () {
      this.timeout(120_000);
      await using workers = await start(netns, { steering });
      const { fetch, upload } = transfers(netns.namespace, 40_000);
      const length = 3_000_017;
      const digests = await Promise.all([1, 2, 3, 4, 5, 6].map((i) => (i % 2 === 0 ? fetch(length) : upload(length))));
      expect(new Set(digests)).to.deep.equal(new Set([await digestOf(length)]));
      await expectSound(workers);
    });

    it('answers datagrams, in fragments too, and pings of any size', async function () {
      this.timeout(120_000);
      await using workers = await start(netns, { steering });
      for (const size of [1000, 5000]) {
        const lines = Array.from({ length: 8 }, (_, i) => {
          const from = `bind=:${40_000 + i}`;
          return `head -c ${size} /dev/zero | tr '\\0' ${i} | socat -b 9000 -T 2 - UDP:${OURS}:7,${from} | tr -d '\\n' | wc -c`;
        });
        const { stdout } = await netns.namespace.sh(`${lines.map((line) => `(${line}) &`).join(' ')} wait`);
        expect(stdout.trim().split('\n')).to.deep.equal(lines.map(() => `${size}`));
      }
      for (const [command, to] of [
        ['ping', OURS],
        ['ping', LIVE[6].ours],
      ] as const) {
        for (const size of ['56', '4000']) {
          const { stdout } = await netns.namespace.run(command, ['-c', '5', '-i', '0.2', '-W', '2', '-s', size, to]);
          expect(stdout)
            .to.match(/5 received, 0% packet loss/)
            .and.not.contain('DUP');
        }
      }
      await expectSound(workers);
    });

    it('lets every worker connect, ask and ping by itself', async function () {
      this.timeout(120_000);
      await using workers = await start(netns, { steering });
      await listening(netns.namespace, 4000, 'socat', 'TCP-LISTEN:4000,fork,reuseaddr', 'EXEC:cat');
      netns.namespace.start('socat', ['UDP-LISTEN:4001,fork', 'PIPE']);
      for (let round = 0; round < 4; round++) {
        for (const worker of [0, 1]) {
          const line = await ask({ worker, what: 'connect', to: THEIRS, port: 4000 });
          const port = Number(/^a line from port (\d+)\n$/.exec(line)?.[1]);
          expect(port % 2, line).to.equal(worker);
          expect(await ask({ worker, what: 'ping', to: THEIRS, size: 56 })).to.equal('reply');
          expect(await ask({ worker, what: 'ping', to: THEIRS, size: 4000 })).to.equal('reply');
          expect(await ask({ worker, what: 'datagram', to: THEIRS, port: 4001 })).to.equal('a datagram');
        }
      }
      expect(await each(workers, 'tcp', 'opened')).to.deep.equal([4, 4]);
      await expectSound(workers);
    });

    it('keeps a flow where it is when it was silent for so long that the kernel forgot it', async function () {
      this.timeout(120_000);
      await using workers = await start(netns, { steering });
      // The kernel sweeps what was silent for three seconds.
      expect(await crowd(netns, OURS, 100, 6000)).to.equal('100\n');
      await expectSound(workers);
      const { device } = await workers.stats();
      const crossed = typeof device === 'object' ? count(device, 'passedOn') : 0;
      // Answers to ARP requests are passed on in any case.
      if (steering) expect(crossed).to.be.below(20);
      else expect(crossed, 'frames that came to a worker that is not their own').to.be.above(20);
    });
  });
}

describeNetns('parallel(), from start to end', (netns) => {
  it('tells a port that nobody listens on, once', async () => {
    await using _ = await start(netns);
    const { stdout, stderr } = await netns.namespace.run('nc', ['-v', '-w', '2', OURS, '4999']);
    expect(stdout + stderr).to.match(/refused/);
  });

  it('ends its threads and the interface', async function () {
    this.timeout(20_000);
    await (await start(netns)).close();
    const before = threads();
    const workers = await start(netns, { queues: 3 });
    expect(workers.name).to.equal('tap0');
    expect(workers.queues).to.equal(3);
    expect(netns.namespace.ip('-d', 'link', 'show', 'tap0')).to.contain('numtxqueues');
    expect(threads()).to.be.above(before + 2);
    await workers.close();
    await workers.closed;
    await workers.close();
    await sleep(50);
    expect(threads()).to.be.at.most(before);
    expect(() => netns.namespace.ip('link', 'show', 'tap0')).to.throw();
    expect(await workers.stats()).to.deep.equal({});
  });

  it('gives the code of what a worker threw as it started, and stops the others', async () => {
    const error = await start(netns, { data: { broken: 1 } }).then(
      () => undefined,
      (reason: unknown) => reason as WorkerError,
    );
    expect(error).to.include({ name: 'WorkerError', code: 'ERR_BROKEN', worker: 1 });
    expect(error?.message).to.equal('worker 1: broken from the start');
    expect(() => netns.namespace.ip('link', 'show', 'tap0')).to.throw();
  });

  it('tells when the device cannot be opened, or the module is none', async () => {
    const codeOf = (setup: Setup) =>
      start(netns, setup).then(
        () => 'none',
        (error: unknown) => (error as WorkerError).code,
      );
    expect(await codeOf({ namespace: 'there-is-no-such' })).to.equal('ENODEV');
    expect(await codeOf({ worker: new URL('./transfers.ts', import.meta.url) })).to.equal('ERR_INVALID_OPTION');
    expect(await codeOf({ worker: new URL('./there-is-no-such.ts', import.meta.url) })).to.equal(
      'ERR_MODULE_NOT_FOUND',
    );
    expect(await codeOf({ queues: 0 })).to.equal('ERR_INVALID_OPTION');
    expect(await codeOf({ device: { kind: 'tap', mac: 'nonsense' } })).to.equal('ERR_INVALID_ADDRESS');
  });

  for (const [what, code] of [
    ['throw', 'ERR_TOLD_TO'],
    ['exit', 'ERR_WORKER_FAILED'],
  ] as const) {
    it(`rejects closed when a worker ends by ${what}, after the others were stopped`, async () => {
      const workers = await start(netns);
      const failed = workers.closed.then(
        () => undefined,
        (reason: unknown) => reason as WorkerError,
      );
      void ask({ worker: 1, what });
      expect(await failed).to.include({ code, worker: 1 });
      expect(() => netns.namespace.ip('link', 'show', 'tap0')).to.throw();
      await workers.close();
    });
  }

  it('goes on without capabilities', async () => {
    await using workers = await start(netns, { drop: true });
    expect(await crowd(netns, OURS, 20)).to.equal('20\n');
    const withoutAny = readdirSync('/proc/self/task').filter((task) => {
      return /^CapEff:\t0+$/m.test(readFileSync(`/proc/self/task/${task}/status`, 'utf8'));
    });
    expect(withoutAny).to.have.length(2);
    await expectSound(workers);
  });
});
