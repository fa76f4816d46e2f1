/**
 * The benchmarks: `npm run bench -- [micro] [versions] [device] [tap] [--rounds N] [--seconds N] [--json FILE] [--markdown FILE]`. Without names, all of them.
 */

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { deviceBenchmark } from './device.js';
import { microBenchmark } from './micro.js';
import { machine, markdown, type Report, type Row } from './report.js';
import { tapBenchmark } from './tap.js';
import { versionsBenchmark } from './versions.js';

const USAGE = `Usage: npm run bench -- [micro] [versions] [device] [tap] [--rounds N] [--seconds N] [--json FILE] [--markdown FILE]

  micro       cost per frame of codecs, pipeline, timers and TCP, without a device
  versions    IPv6 beside IPv4, by whole hosts in memory
  device      frames per second through the TAP driver alone (Linux, root)
  tap         TCP and UDP over a TAP beside the kernel's own over veth (Linux, root)
  --rounds    rounds, interleaved; the figures are medians (default 5)
  --seconds   seconds per figure and round of tap (default 1)
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

const known = ['micro', 'versions', 'device', 'tap'];
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
if (values.help || positionals.some((name) => !known.includes(name)) || !(rounds >= 1) || !(seconds > 0)) {
  process.stdout.write(USAGE);
  process.exit(values.help ? 0 : 2);
}

const wanted = positionals.length === 0 ? known : positionals;
const rows: Row[] = [];
if (wanted.includes('micro')) rows.push(...microBenchmark(rounds));
if (wanted.includes('versions')) rows.push(...versionsBenchmark(rounds));
if (wanted.includes('device')) rows.push(...(await deviceBenchmark(rounds)));
if (wanted.includes('tap')) rows.push(...(await tapBenchmark({ rounds, seconds })));
const report: Report = { date: new Date().toISOString().slice(0, 10), machine: machine(), rounds, rows };
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, undefined, 2)}\n`);
if (values.markdown !== undefined) writeFileSync(values.markdown, markdown(report));
process.stdout.write(markdown(report));
