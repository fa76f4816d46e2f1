/**
 * The benchmarks: `npm run bench -- [NAME ...] [options]`. Without names, all of those that make rows. `tap` compares stacks, `throughput` measures TCP in virtual
 * time and is the same on every machine, and `documents` writes the checked-in results into README and docs.
 */

import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { builtRows } from './built-rows.js';
import { deviceBenchmark } from './device.js';
import { writeDocuments } from './documents.js';
import { forwardBenchmark } from './forward.js';
import { forwardMarkdown } from './forward-report.js';
import { impairedBenchmark } from './impaired.js';
import { exitOnSignals } from './leavings.js';
import { mixedLoadBenchmark } from './mixed-load.js';
import { profileBenchmark } from './profile.js';
import { Workshop } from './programs.js';
import { machine, markdown, type Row } from './report.js';
import type { InMemory } from './rows.js';
import { tapBenchmark } from './tap.js';
import { tapMarkdown } from './tap-report.js';
import { throughputBenchmark, throughputJson, throughputTables } from './throughput.js';

const USAGE = `Usage: npm run bench -- [micro] [lookup] [filter] [pipeline] [versions] [memory] [conntrack] [ergot] [device] [impaired] [--rounds N] [--seconds N] [--json FILE] [--markdown FILE]
       npm run bench -- tap [--only NAME ...] [--rounds N] [--seconds N] [--json FILE] [--markdown FILE]
       npm run bench -- forward [--only NAME ...] [--rounds N] [--seconds N] [--json FILE] [--markdown FILE]
       npm run bench -- profile [--only NAME ...] [--seconds N] [--directory DIR] [--markdown FILE]
       npm run bench -- mixed [--seconds N] [--json FILE] [--markdown FILE]
       npm run bench -- throughput [--json FILE] [--markdown FILE]
       npm run bench -- documents

  micro       cost per frame of codecs, pipeline, timers and TCP, without a device
  lookup      longest-prefix match in tables of 10 to a million routes
  pipeline    cost of a stage of a pipeline, beside the same operators under pipe, and of filters in the language of tcpdump
  versions    IPv6 beside IPv4, by whole hosts in memory
  memory      memory and timers of idle connections
  conntrack   cost per packet and memory per flow of flow tracking, by the number of flows
  ergot       frames of ergot through routers, bytes of overhead, memory of allocations and routes
  device      frames per second through the TAP driver alone (Linux, root)
  filter      a packet judged by 10 to 10,000 rules, without a device
  impaired    TCP over a path with loss and reordering, beside the kernel's with itself (Linux, root)
  tap         this stack on a TAP beside the kernel's own over veth, lwIP, gVisor and a bare responder, as far as they are installed (Linux, root)
  forward     packets a second through our router beside the kernel's (Linux, root, gcc), and what a packet costs from memory to memory
  profile     CPU profiles of this stack under each load of tap, added up by function (Linux, root)
  mixed       bulk both ways, short connections and datagrams at once for so many seconds, every byte compared (Linux, root)
  throughput  what TCP gets out of a link by loss, round-trip time and congestion control, in virtual time
  documents   writes the tables of bench/results into README.md and docs/PERFORMANCE.md
  --rounds    rounds, interleaved; the figures are medians (default 5)
  --seconds   seconds per figure and round of tap, forward and impaired, or in all of mixed (default 1)
  --only      peers of tap, forward and profile whose names contain this; may be repeated
  --directory where the profiles go (default coverage/profiles)
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '1' },
    only: { type: 'string', multiple: true },
    directory: { type: 'string', default: 'coverage/profiles' },
    json: { type: 'string' },
    markdown: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const only = values.only === undefined ? {} : { only: values.only };

const built = (name: InMemory) => (workshop: Workshop) => builtRows(name, rounds, workshop);

/** Benchmarks that make rows. */
const ROWS: Readonly<Record<string, (workshop: Workshop) => Promise<Row[]>>> = {
  micro: built('micro'),
  lookup: built('lookup'),
  pipeline: built('pipeline'),
  versions: built('versions'),
  memory: built('memory'),
  conntrack: built('conntrack'),
  ergot: built('ergot'),
  device: () => deviceBenchmark(rounds),
  filter: built('filter'),
  impaired: () => impairedBenchmark({ rounds, seconds }),
};

/** Those that stand alone. */
const ALONE: Readonly<Record<string, () => void | Promise<void>>> = {
  documents: writeDocuments,
  throughput() {
    const cells = throughputBenchmark();
    publish(throughputJson(cells), throughputTables(cells));
  },
  async tap() {
    const report = await tapBenchmark({ rounds, seconds, ...only });
    if (report !== undefined) publish(`${JSON.stringify(report, undefined, 2)}\n`, tapMarkdown(report));
  },
  async forward() {
    const report = await forwardBenchmark({ rounds, seconds, ...only });
    if (report !== undefined) publish(`${JSON.stringify(report, undefined, 2)}\n`, forwardMarkdown(report));
  },
  async mixed() {
    publishRows(await mixedLoadBenchmark(seconds), 1);
  },
  async profile() {
    const { directory } = values;
    const tables = await profileBenchmark({ directory: resolve(directory), seconds, ...only });
    if (values.markdown !== undefined) writeFileSync(values.markdown, tables);
    process.stdout.write(tables);
  },
};

const [first = ''] = positionals;
const alone = positionals.length === 1 ? ALONE[first] : undefined;
const known = alone !== undefined || positionals.every((name) => name in ROWS);
if (values.help || !known || !(rounds >= 1) || !(seconds > 0)) {
  process.stdout.write(USAGE);
  process.exit(values.help ? 0 : 2);
}
exitOnSignals();
await (alone ?? measureRows)();

async function measureRows(): Promise<void> {
  const rows: Row[] = [];
  const workshop = new Workshop();
  try {
    for (const [name, benchmark] of Object.entries(ROWS))
      if (positionals.length === 0 || positionals.includes(name)) rows.push(...(await benchmark(workshop)));
  } finally {
    workshop.remove();
  }
  publishRows(rows, rounds);
}

function publishRows(rows: Row[], medianOf: number): void {
  const report = { date: new Date().toISOString().slice(0, 10), machine: machine(), rounds: medianOf, rows };
  publish(`${JSON.stringify(report, undefined, 2)}\n`, markdown(report));
}

function publish(json: string, tables: string): void {
  if (values.json !== undefined) writeFileSync(values.json, json);
  if (values.markdown !== undefined) writeFileSync(values.markdown, tables);
  process.stdout.write(tables);
}
