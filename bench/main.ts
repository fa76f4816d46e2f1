/**
 * The benchmarks: `npm run bench -- [micro] [versions] [connections] [device] [tap] [impaired] [--rounds N] [--seconds N] [--json FILE] [--markdown FILE]`. Without names, all of them
 * that measure this machine; `throughput` measures TCP, in virtual time, and is the same on every machine.
 */

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { connectionsBenchmark } from './connections.js';
import { deviceBenchmark } from './device.js';
import { impairedBenchmark } from './impaired.js';
import { microBenchmark } from './micro.js';
import { machine, markdown, type Report, type Row } from './report.js';
import { tapBenchmark } from './tap.js';
import { throughputBenchmark, throughputJson, throughputTables } from './throughput.js';
import { versionsBenchmark } from './versions.js';

const USAGE = `Usage: npm run bench -- [micro] [versions] [connections] [device] [tap] [impaired] [--rounds N] [--seconds N] [--json FILE] [--markdown FILE]
       npm run bench -- throughput [--json FILE] [--markdown FILE]

  micro       cost per frame of codecs, pipeline, timers and TCP, without a device
  versions    IPv6 beside IPv4, by whole hosts in memory
  connections memory and timers of idle connections
  device      frames per second through the TAP driver alone (Linux, root)
  tap         TCP and UDP over a TAP beside the kernel's own over veth (Linux, root)
  impaired    TCP over a path with loss and reordering, beside the kernel's with itself (Linux, root)
  throughput  what TCP gets out of a link by loss, round-trip time and congestion control, in virtual time
  --rounds    rounds, interleaved; the figures are medians (default 5)
  --seconds   seconds per figure and round of tap and impaired (default 1)
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '1' },
    json: { type: 'string' },
    markdown: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const known = ['micro', 'versions', 'connections', 'device', 'tap', 'impaired'];
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const virtual = positionals.length === 1 && positionals[0] === 'throughput';
if (
  values.help ||
  (!virtual && positionals.some((name) => !known.includes(name))) ||
  !(rounds >= 1) ||
  !(seconds > 0)
) {
  process.stdout.write(USAGE);
  process.exit(values.help ? 0 : 2);
}

if (virtual) {
  const cells = throughputBenchmark();
  publish(throughputJson(cells), throughputTables(cells));
} else {
  const report = await measured(positionals.length === 0 ? known : positionals);
  publish(`${JSON.stringify(report, undefined, 2)}\n`, markdown(report));
}

async function measured(wanted: readonly string[]): Promise<Report> {
  const rows: Row[] = [];
  if (wanted.includes('micro')) rows.push(...microBenchmark(rounds));
  if (wanted.includes('versions')) rows.push(...versionsBenchmark(rounds));
  if (wanted.includes('connections')) rows.push(...connectionsBenchmark(rounds));
  if (wanted.includes('device')) rows.push(...(await deviceBenchmark(rounds)));
  if (wanted.includes('tap')) rows.push(...(await tapBenchmark({ rounds, seconds })));
  if (wanted.includes('impaired')) rows.push(...(await impairedBenchmark({ rounds, seconds })));
  return { date: new Date().toISOString().slice(0, 10), machine: machine(), rounds, rows };
}

function publish(json: string, tables: string): void {
  if (values.json !== undefined) writeFileSync(values.json, json);
  if (values.markdown !== undefined) writeFileSync(values.markdown, tables);
  process.stdout.write(tables);
}
