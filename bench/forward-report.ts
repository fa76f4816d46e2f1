/** The results of the forwarding benchmark, as tables. */

import type { IpVersion } from '../lib/core/address.js';
import { describe, type Report, type Row, sectionTable } from './report.js';
import { figureTable, ratioTable, type TapReport } from './tap-report.js';

/** What is sent through everybody. */
export interface Traffic {
  readonly key: string;
  readonly title: string;
  readonly version: IpVersion;
  /** Of the frames, in bytes, without the check sequence. */
  readonly length: number;
  readonly flows: number;
}

const FLOWS = [1, 1000];
const LENGTHS = [64, 1500];

/** In the order of the table. */
export const TRAFFIC: readonly Traffic[] = ([4, 6] as const).flatMap((version) =>
  LENGTHS.flatMap((length) =>
    FLOWS.map((flows) => ({
      key: `v${version} ${length} ${flows}`,
      title: `IPv${version}, ${length.toLocaleString('en')} B, ${flows === 1 ? '1 flow' : `${flows.toLocaleString('en')} flows`}`,
      version,
      length,
      flows,
    })),
  ),
);

/** As it is checked in: packets a second of each forwarder, and the cost of a packet from memory to memory. */
export interface ForwardReport extends TapReport {
  readonly rows: readonly Row[];
}

/** Packets a second. */
export const forwardTable = (report: ForwardReport): string => figureTable(report, undefined, TRAFFIC);

/** How many times as many packets as others. */
export const forwardRatios = (report: ForwardReport): string => ratioTable(report, TRAFFIC);

/** When, where and how it was measured. */
export function forwardMachine(report: ForwardReport): string {
  return `${describe(report)}; medians of ${report.rounds}, of ${report.seconds} s each, interleaved.`;
}

/** Everything, as Markdown. */
export function forwardMarkdown(report: ForwardReport): string {
  const left = report.skipped.map(({ name, missing }) => `Skipped: ${name} (needs ${missing}).`);
  const sections = [...new Set(report.rows.map(({ section }) => section))];
  const tables = sections.map((section) => `### ${section}\n\n${sectionTable(report satisfies Report, section)}`);
  const parts = [
    forwardMachine(report),
    ...left,
    'Packets a second:',
    forwardTable(report),
    'How many times as many:',
    forwardRatios(report),
    ...tables,
  ];
  return `${parts.join('\n\n')}\n`;
}
