/** Writes the tables of the checked-in results into the documents, between `<!-- bench NAME -->` and `<!-- /bench -->`. */

import { readFileSync, writeFileSync } from 'node:fs';
import { type ForwardReport, forwardMachine, forwardRatios, forwardTable } from './forward-report.js';
import { describe, type Report, sectionTable } from './report.js';
import { goalTable } from './tap-goals.js';
import { figureTable, ratioTable, type TapReport } from './tap-report.js';
import { type Cell, throughputTables } from './throughput.js';

/** Documents with tables, from the root. */
export const DOCUMENTS: readonly string[] = ['README.md', 'docs/PERFORMANCE.md'];

/** Peers of the README's table. */
const SUMMARY = [
  'rx-netstack, offloads',
  'rx-netstack, offloads, busy polling',
  'rx-netstack, offloads, awake',
  'rx-netstack, offloads, busy polling, awake',
  'rx-netstack, no offload',
  'rx-netstack, no offload, unsteered',
  'kernel, veth, offloads',
  'kernel, veth, offloads, awake',
  'kernel, veth, no offload',
  'lwIP, TAP, no offload',
  'lwIP, TAP, no offload, awake',
  'gVisor, TAP, no offload',
  'gVisor, TAP, offloads',
];

const result = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`results/${name}.json`, import.meta.url), 'utf8'));

/** Every table by its name; a section of the rows is called as it is. */
export function tables(): ReadonlyMap<string, string> {
  const tap = result('tap') as TapReport;
  const forward = result('forward') as ForwardReport;
  const all = new Map([
    ['tap', figureTable(tap)],
    ['tap ratios', ratioTable(tap)],
    ['tap goals', goalTable(tap)],
    ['tap summary', figureTable(tap, SUMMARY)],
    ['tap machine', `${describe(tap)}; medians of ${tap.rounds}, of ${tap.seconds} s each, interleaved.`],
    ['forward', forwardTable(forward)],
    ['forward ratios', forwardRatios(forward)],
    ['forward machine', forwardMachine(forward)],
    ['throughput', throughputTables(result('throughput') as Cell[]).trim()],
  ]);
  for (const { section } of forward.rows) all.set(section, sectionTable(forward, section));
  for (const name of ['rows', 'impaired', 'lookup', 'functions', 'ergot']) {
    const report = result(name) as Report;
    all.set(`${name} machine`, `${describe(report)}; medians of ${report.rounds}.`);
    for (const { section } of report.rows) all.set(section, sectionTable(report, section));
  }
  return all;
}

/** A document with its tables as they are now. @throws Error for a table that there is not */
export function filled(document: string, all: ReadonlyMap<string, string>): string {
  return document.replaceAll(
    /(<!-- bench (.+) -->\n)[^]*?(<!-- \/bench -->)/g,
    (_, begin: string, name: string, end) => {
      const found = all.get(name);
      if (found === undefined) throw new Error(`there is no table ${name}`);
      return `${begin}\n${found}\n\n${end}`;
    },
  );
}

/** Writes all documents. */
export function writeDocuments(): void {
  const all = tables();
  for (const path of DOCUMENTS) {
    const url = new URL(`../${path}`, import.meta.url);
    writeFileSync(url, filled(readFileSync(url, 'utf8'), all));
  }
}
