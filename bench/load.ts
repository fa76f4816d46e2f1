/** What the benchmarks on the wire measure, by the kernel's sockets on one side: the program in C, or the one for Node where there is no C compiler. */

import { readFileSync } from 'node:fs';
import type { Namespace } from './namespace.js';
import { node, type Program, type Workshop } from './programs.js';
import { COLUMNS, type Column } from './tap-report.js';

/** One measurement: bits a second for `send` and `receive` (as the load sees them), events a second for the others. */
export interface Load {
  readonly kind: 'send' | 'receive' | 'roundTrips' | 'connections' | 'datagrams';
  readonly address: string;
  readonly seconds: number;
  /** Connections, or datagrams under way, at once. */
  readonly parallel: number;
  /** Seconds that are not measured first: slow start, compiling. Default 0.3. */
  readonly warmUp?: number;
  /** The congestion control of the kernel's TCP, by the kernel's name; that of the machine by default. Only the program in C can choose. */
  readonly congestion?: string;
}

const WARM_UP = 0.3;

/** The load on Node's sockets, which limits more than the one in C. */
export const NODE_LOAD: Program = node('client.ts');

/** The program in C where it can be compiled, {@link NODE_LOAD} where not. */
export const loadOf = (workshop: Workshop): Program => workshop.c('load') ?? NODE_LOAD;

/** The columns that a load can have measured: those that choose a congestion control need one who can choose, and a kernel that has it. */
export function columnsOf(program: Program): readonly Column[] {
  const there = readFileSync('/proc/sys/net/ipv4/tcp_available_congestion_control', 'utf8').trim().split(' ');
  return COLUMNS.filter(
    ({ congestion }) => congestion === undefined || (program !== NODE_LOAD && there.includes(congestion)),
  );
}

/** Measures from within a namespace. @throws Error if the program fails */
export async function measured(from: Namespace, program: Program, load: Load): Promise<number> {
  const { kind, address, parallel, seconds, warmUp = WARM_UP, congestion } = load;
  const chosen = congestion === undefined ? [] : [congestion];
  const args = [...program.args, kind, address, String(parallel), String(seconds), String(warmUp), ...chosen];
  const timeout = Math.ceil((seconds + warmUp + 10) * 1000);
  const ran = await from.run(program.command, args, { timeout });
  const rate = Number(ran.stdout);
  if (ran.code !== 0 || ran.stdout === '' || Number.isNaN(rate))
    throw new Error(`${kind} to ${address} failed with ${ran.code}: ${ran.stderr}`);
  return rate;
}

/** The figure of a column, in its unit. @throws Error if the program fails, or nothing answers */
export async function measuredColumn(
  from: Namespace,
  program: Program,
  column: Column,
  address: string,
  time: Pick<Load, 'seconds' | 'warmUp'>,
): Promise<number> {
  const { kind, parallel, scale, congestion } = column;
  if (kind === 'ping') return (await pinged(from, address, time.seconds + (time.warmUp ?? 0))) * scale;
  const chosen = congestion === undefined ? {} : { congestion };
  return (await measured(from, program, { kind, parallel, address, ...time, ...chosen })) * scale;
}

/** The average round trip of `ping -f` in microseconds. @throws Error if nothing was answered */
export async function pinged(from: Namespace, address: string, seconds: number): Promise<number> {
  const args = ['-f', '-q', '-w', String(Math.max(1, Math.round(seconds))), address];
  const ran = await from.run('ping', args, { timeout: (seconds + 10) * 1000 });
  const [, average] = /= [\d.]+\/([\d.]+)\//.exec(ran.stdout) ?? [];
  if (average === undefined) throw new Error(`ping to ${address} failed: ${ran.stdout}${ran.stderr}`);
  return Number(average) * 1000;
}
