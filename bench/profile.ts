/**
 * Where the time of this stack goes: CPU profiles of it under each load of the TAP benchmark, added up by function and by file. Samples are taken in real time, so
 * that on a busy machine they count what others took from us where it was taken; the processor time beside them does not. System calls count for the function
 * that makes them.
 */

import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { columnsOf, loadOf, measuredColumn } from './load.js';
import { Namespace, whyNoNamespaces } from './namespace.js';
import { addressOf, OWN, type OwnPeer, ours, withOptions } from './peers.js';
import { Workshop } from './programs.js';
import { ready } from './ready.js';
import { table } from './report.js';
import { withPorts } from './tap.js';
import type { Column } from './tap-report.js';

/** Options of {@link profileBenchmark}. */
export interface ProfileOptions {
  /** Where the `.cpuprofile` files go. */
  readonly directory: string;
  /** Seconds of each profile, after one second that is not counted. */
  readonly seconds: number;
  /** Only those of our peers whose names contain one of these. */
  readonly only?: readonly string[];
}

/** What V8 writes; times in microseconds of the monotonic clock. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly startTime: number;
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Shares of the time that was not idle, by what they are of. */
interface Shares {
  /** Of all time. */
  readonly busy: number;
  readonly functions: ReadonlyMap<string, number>;
  readonly files: ReadonlyMap<string, number>;
}

/** Processor time of a process, in seconds. */
interface ProcessorTime {
  readonly user: number;
  readonly system: number;
}

const NET = 1;
const WARM_UP = 1;
const FUNCTIONS = 16;
const FILES = 8;
const LEAST = 0.01;

// USER_HZ of Linux.
const TICKS_PER_SECOND = 100;

const microseconds = () => Number(process.hrtime.bigint() / 1000n);

/** A table of functions and one of files for each of our peers and each load, as Markdown; says why if it cannot. */
export async function profileBenchmark(options: ProfileOptions): Promise<string> {
  const why = whyNoNamespaces();
  if (why !== undefined) {
    process.stderr.write(`SKIPPED: profiles ${why}\n`);
    return '';
  }
  mkdirSync(options.directory, { recursive: true });
  const workshop = new Workshop();
  const lines: string[] = [];
  try {
    for (const peer of OWN) {
      if (options.only !== undefined && !options.only.some((part) => peer.name.includes(part))) continue;
      for (const column of columnsOf(loadOf(workshop))) lines.push(await profile(peer, column, workshop, options));
    }
  } finally {
    workshop.remove();
  }
  return lines.join('\n');
}

async function profile(peer: OwnPeer, column: Column, workshop: Workshop, options: ProfileOptions): Promise<string> {
  const { directory, seconds } = options;
  const client = new Namespace('profiled');
  try {
    withPorts(client);
    const name = `${peer.name}-${column.key}.cpuprofile`.replaceAll(/[^\w.]+/g, '-');
    const { command, args } = withOptions(workshop.stack('service'), ours(NET, peer.options));
    const flags = ['--cpu-prof', '--cpu-prof-interval=200', `--cpu-prof-dir=${directory}`, `--cpu-prof-name=${name}`];
    const service = client.start(command, [...flags, ...args]);
    await ready(service);
    const address = addressOf(NET, peer.version);
    const running = measuredColumn(client, loadOf(workshop), column, address, { seconds, warmUp: WARM_UP });
    await sleep(WARM_UP * 1000);
    const [begun, before] = [microseconds(), processorTime(service.pid)];
    const rate = await running;
    const [ended, after] = [microseconds(), processorTime(service.pid)];
    service.kill('SIGTERM');
    await once(service, 'close');
    const read = JSON.parse(readFileSync(join(directory, name), 'utf8')) as CpuProfile;
    const shares = sharesOf(read, begun, ended);
    const used = { user: after.user - before.user, system: after.system - before.system };
    return section(`${peer.name}: ${column.title}`, rate, shares, used);
  } finally {
    client.remove();
  }
}

function processorTime(pid: number | undefined): ProcessorTime {
  // proc(5): the name, in parentheses, is the second field; user and system time are the 14th and 15th.
  const [, fields = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
  const [user = 0, system = 0] = fields.split(' ').slice(11, 13).map(Number);
  return { user: user / TICKS_PER_SECOND, system: system / TICKS_PER_SECOND };
}

function sharesOf(profile: CpuProfile, from: number, to: number): Shares {
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
  const [functions, files] = [new Map<string, number>(), new Map<string, number>()];
  let [time, all, busy] = [profile.startTime, 0, 0];
  for (const [i, id] of profile.samples.entries()) {
    const delta = profile.timeDeltas[i + 1] ?? 0;
    time += profile.timeDeltas[i] ?? 0;
    const frame = frames.get(id);
    if (frame === undefined || time < from || time > to) continue;
    all += delta;
    if (frame.functionName === '(idle)') continue;
    busy += delta;
    const file = fileOf(frame.url);
    const named = frame.functionName === '' ? `(anonymous, line ${frame.lineNumber + 1})` : frame.functionName;
    add(functions, file === '' ? named : `${named} · ${file}`, delta);
    add(files, file === '' ? named : file, delta);
  }
  for (const shares of [functions, files]) for (const [key, value] of shares) shares.set(key, value / busy);
  return { busy: busy / all, functions, files };
}

function add(sums: Map<string, number>, key: string, value: number): void {
  sums.set(key, (sums.get(key) ?? 0) + value);
}

/** The path from the root, as it is in the sources. */
function fileOf(url: string): string {
  const [, own] = /\/service\/((?:lib|operators|drivers|bench)\/.*)\.js$/.exec(url) ?? [];
  if (own !== undefined) return `${own}.ts`;
  const [, dependency] = /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url) ?? [];
  return dependency ?? url;
}

function section(title: string, rate: number, shares: Shares, { user, system }: ProcessorTime): string {
  const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
  const top = (of: ReadonlyMap<string, number>, most: number) =>
    [...of]
      .toSorted(([, a], [, b]) => b - a)
      .slice(0, most)
      .filter(([, share]) => share >= LEAST)
      .map(([key, share]) => [key, percent(share)]);
  const processor = `${percent(system / (user + system))} of the processor time in the kernel`;
  const heading = `### ${title}\n\n${rate.toPrecision(3)} while profiled; busy ${percent(shares.busy)}, ${processor}\n`;
  const functions = table(['function', 'self'], top(shares.functions, FUNCTIONS));
  return [heading, functions, '', table(['file', 'self'], top(shares.files, FILES)), ''].join('\n');
}
