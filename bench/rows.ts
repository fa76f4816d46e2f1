/**
 * Measures what needs no wire, and prints its rows as JSON. A program, which is compiled before it runs: see `built-rows.ts`. It needs `--expose-gc`.
 *
 *     rows.ts NAME ROUNDS
 */

import { conntrackBenchmark } from './conntrack.js';
import { ergotBenchmark } from './ergot.js';
import { filterBenchmark } from './filter.js';
import { forwardMemory } from './forward-memory.js';
import { lookupBenchmark } from './lookup.js';
import { memoryBenchmark } from './memory.js';
import { microBenchmark } from './micro.js';
import { pipelineBenchmark } from './pipeline.js';
import type { Row } from './report.js';
import { tcpReceiveBenchmark } from './tcp-receive.js';
import { versionsBenchmark } from './versions.js';

/** Their names. */
export type InMemory =
  | 'micro'
  | 'lookup'
  | 'filter'
  | 'pipeline'
  | 'versions'
  | 'memory'
  | 'conntrack'
  | 'ergot'
  | 'forward';

const BENCHMARKS: Readonly<Record<InMemory, (rounds: number) => Row[]>> = {
  micro: (rounds) => [...microBenchmark(rounds), ...tcpReceiveBenchmark(rounds)],
  lookup: lookupBenchmark,
  filter: filterBenchmark,
  pipeline: pipelineBenchmark,
  versions: versionsBenchmark,
  memory: memoryBenchmark,
  conntrack: conntrackBenchmark,
  ergot: ergotBenchmark,
  forward: forwardMemory,
};

const [name = '', rounds] = process.argv.slice(2);
process.stdout.write(JSON.stringify(BENCHMARKS[name as InMemory](Number(rounds))));
