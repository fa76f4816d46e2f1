/**
 * What one TCP flow gets out of a link of 100 Mbit/s, by loss, round-trip time and congestion control. Virtual time and a seed make every figure exact:
 * `bench/results/throughput.json` is the table as it is, and a change of it is a change of TCP.
 */

import type { TcpOptions } from '../lib/l4/tcp/options.js';
import { table } from './report.js';
import { SimulatedPath } from './simulated-path.js';

/** Names of the table's columns. */
export type Variant = 'cubic' | 'bbr' | 'newreno' | 'newreno without SACK';

/** Bits a second. */
export const RATE = 100e6;
/** What the link carries of payload when it is full: segments of 1,448 bytes in packets of 1,500. */
export const CAPACITY: number = (RATE * 1448) / 1500;
/** Probabilities. */
export const LOSSES: readonly number[] = [0, 0.001, 0.01, 0.03, 0.1];
/** Milliseconds. */
export const RTTS: readonly number[] = [1, 20, 100, 300];
/** TCP by the name that it has in the table. */
export const VARIANTS: Readonly<Record<Variant, TcpOptions>> = {
  cubic: { congestion: 'cubic' },
  bbr: { congestion: 'bbr' },
  newreno: { congestion: 'newreno' },
  'newreno without SACK': { congestion: 'newreno', sack: false },
};

const WARM_UP = 15_000;
const MEASURED = 30_000;
// What the shortest paths hold is less than a burst of one window.
const SMALLEST_QUEUE = 60_000;

/** One figure of the table: Mbit/s of payload, to two digits behind the point. */
export interface Cell {
  readonly variant: Variant;
  readonly loss: number;
  readonly rtt: number;
  readonly mbits: number;
}

/** A path as in the table: its queue holds what the path holds. */
export function pathOf(variant: Variant, loss: number, rtt: number): SimulatedPath {
  const queue = Math.max(SMALLEST_QUEUE, ((RATE / 8) * rtt) / 1000);
  return new SimulatedPath({ rate: RATE, rtt, loss, queue, seed: 1, tcp: VARIANTS[variant] });
}

/** Mbit/s of each of so many flows that start one second after the other. */
export function share(
  path: SimulatedPath,
  flows: number,
  warmUp: number = WARM_UP,
  measured: number = MEASURED,
): number[] {
  for (let i = 0; i < flows; i++) {
    path.start();
    path.runFor(1000);
  }
  path.runFor(warmUp - flows * 1000);
  const before = path.delivered;
  path.runFor(measured);
  return path.delivered.map((bytes, i) => ((bytes - (before[i] ?? 0)) * 8) / 1000 / measured);
}

/** One figure. */
export function cell(variant: Variant, loss: number, rtt: number): Cell {
  const [mbits = 0] = share(pathOf(variant, loss, rtt), 1);
  return { variant, loss, rtt, mbits: Math.round(mbits * 100) / 100 };
}

/** All of them; says on the way how far it is. */
export function throughputBenchmark(): Cell[] {
  const cells: Cell[] = [];
  for (const variant of Object.keys(VARIANTS) as Variant[]) {
    process.stderr.write(`throughput: ${variant}\n`);
    for (const rtt of RTTS) for (const loss of LOSSES) cells.push(cell(variant, loss, rtt));
  }
  return cells;
}

/** As Markdown: a table per round-trip time. */
export function throughputTables(cells: readonly Cell[]): string {
  const variants = [...new Set(cells.map(({ variant }) => variant))];
  const tables = RTTS.map((rtt) => {
    const rows = LOSSES.map((loss) => {
      const of = (variant: Variant) =>
        cells.find((one) => one.variant === variant && one.loss === loss && one.rtt === rtt);
      return [`${loss * 100} % loss`, ...variants.map((variant) => of(variant)?.mbits.toFixed(2) ?? '')];
    });
    return table([`${rtt} ms`, ...variants], rows);
  });
  return `${tables.join('\n\n')}\n`;
}

/** As the file that is checked in: a line per figure, so that a change shows which. */
export function throughputJson(cells: readonly Cell[]): string {
  return `[\n${cells.map((one) => `  ${JSON.stringify(one)}`).join(',\n')}\n]\n`;
}
