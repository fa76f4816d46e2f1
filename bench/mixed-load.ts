/**
 * Bulk both ways, short connections and datagrams at once, for a long time: every byte is compared, and memory and the delay of the event loop must not grow.
 */

import { fileURLToPath } from 'node:url';
import type { TapOptions } from '../drivers/tap.js';
import type { Done, Health } from './mixed-load-ends.js';
import { TRANSFER } from './mixed-load-ends.js';
import { Namespace, whyNoNamespaces } from './namespace.js';
import { ready } from './ready.js';
import { median, type Row } from './report.js';

/** Options of {@link mixedLoad}. */
export interface MixedLoadOptions {
  readonly seconds: number;
  readonly connectionsPerSecond: number;
  readonly datagramsPerSecond: number;
  readonly tap?: Omit<TapOptions, 'name' | 'peer'>;
}

/** What came of it. */
export interface MixedLoad {
  readonly seconds: number;
  readonly done: Done;
  /** Second by second. */
  readonly health: readonly Health[];
}

/** Seconds in which pools fill and code is compiled. */
const WARM_UP = 5;
const program = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const node = (file: string, ...args: readonly string[]): readonly string[] => ['--import=tsx', program(file), ...args];

/** Runs it in a namespace. */
export async function mixedLoad(options: MixedLoadOptions, namespace: Namespace): Promise<MixedLoad> {
  const { seconds, connectionsPerSecond, datagramsPerSecond, tap = {} } = options;
  // With tens of thousands of ports in TIME-WAIT the client would run out of them.
  const ports = ['net.ipv4.tcp_max_tw_buckets=64', 'net.ipv4.ip_local_port_range=1024 65535'];
  await namespace.run('sysctl', ['-q', '-w', ...ports]);
  const service = namespace.start(
    process.execPath,
    node('mixed-load-service.ts', '10.79.0.2/24', '10.79.0.1/24', JSON.stringify(tap)),
  );
  const health: Health[] = [];
  let text = '';
  service.stdout?.setEncoding('utf8').on('data', (data: string) => {
    const lines = (text + data).split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) if (line.startsWith('{')) health.push(JSON.parse(line) as Health);
  });
  await ready(service);
  const client = node(
    'mixed-load-client.ts',
    '10.79.0.2',
    `${seconds}`,
    `${connectionsPerSecond}`,
    `${datagramsPerSecond}`,
  );
  const ran = await namespace.run(process.execPath, client, { timeout: (seconds + 60) * 1000 });
  service.kill('SIGTERM');
  if (ran.code !== 0) throw new Error(`the mixed load failed (${ran.code}): ${ran.stderr}`);
  return { seconds, done: JSON.parse(ran.stdout) as Done, health: health.slice(0, seconds) };
}

/** What was seen in one third of the time. */
function third(health: readonly Health[], index: 0 | 1 | 2, of: (each: Health) => number): number[] {
  const rest = health.slice(Math.min(WARM_UP, health.length >> 2));
  const size = Math.max(1, Math.floor(rest.length / 3));
  return rest.slice(index * size, (index + 1) * size).map(of);
}

/** By how much memory grew from the second third of the time to the last: by what is left after collections, which is the least that is seen. */
export function growth(health: readonly Health[], of: (each: Health) => number): number {
  return Math.min(...third(health, 2, of)) - Math.min(...third(health, 1, of));
}

/** By how much the event loop's usual delay grew. */
function delayGrowth(health: readonly Health[]): number {
  const of = (each: Health) => each.delayP99;
  return median(third(health, 2, of)) - median(third(health, 1, of));
}

const SECTION = 'Mixed load';

/** The benchmark of that name, if it can run; says why if it cannot. */
export async function mixedLoadBenchmark(seconds: number): Promise<Row[]> {
  const why = whyNoNamespaces();
  if (why !== undefined) {
    process.stderr.write(`SKIPPED: the mixed load ${why}\n`);
    return [];
  }
  const namespace = new Namespace('mixed');
  try {
    return rows(await mixedLoad({ seconds, connectionsPerSecond: 1000, datagramsPerSecond: 5000 }, namespace));
  } finally {
    namespace.remove();
  }
}

function rows({ seconds, done, health }: MixedLoad): Row[] {
  const figure = (name: string, value: number, unit: string): Row => ({
    section: SECTION,
    name,
    value,
    unit,
    range: [value, value],
  });
  const over = (name: string, of: (each: Health) => number, unit: string): Row => {
    const values = health.map(of);
    return { section: SECTION, name, value: median(values), unit, range: [Math.min(...values), Math.max(...values)] };
  };
  const wrong = Object.values(done.wrong).reduce((sum, each) => sum + each, 0);
  return [
    figure('bulk to us, digests right', (done.sent * TRANSFER * 8) / seconds / 1e9, 'Gbit/s'),
    figure('bulk from us, digests right', (done.received * TRANSFER * 8) / seconds / 1e9, 'Gbit/s'),
    figure('short connections, echoes right', done.connections / seconds, '/s'),
    figure('datagrams, echoes right', done.datagrams / seconds, '/s'),
    figure('datagrams lost', done.datagramsLost / seconds, '/s'),
    figure('anything wrong', wrong, 'times'),
    over('memory of the process', (each) => each.rss / 2 ** 20, 'MiB'),
    figure('its growth, second third to last', growth(health, (each) => each.rss) / 2 ** 20, 'MiB'),
    figure('growth of heap and buffers', growth(health, (each) => each.heap) / 2 ** 20, 'MiB'),
    over('event loop delay, p99 of each second', (each) => each.delayP99, 'ms'),
    figure('its growth', delayGrowth(health), 'ms'),
  ];
}
