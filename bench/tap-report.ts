/** The results of the TAP benchmark, as tables. */

import type { Load } from './load.js';
import { describe, median, table } from './report.js';

/** What is measured of everybody. */
export interface Column {
  readonly key: string;
  readonly title: string;
  readonly scale: number;
  readonly kind: Load['kind'] | 'ping';
  readonly parallel: number;
  /** See {@link Load}. */
  readonly congestion?: string;
  /** Less is better. */
  readonly isCost?: boolean;
}

/** In the order of the table. */
export const COLUMNS: readonly Column[] = [
  { key: 'send', title: 'send, Gbit/s', kind: 'send', scale: 1e-9, parallel: 1 },
  { key: 'sendByCubic', title: 'send by CUBIC, Gbit/s', kind: 'send', scale: 1e-9, parallel: 1, congestion: 'cubic' },
  { key: 'receive', title: 'recv, Gbit/s', kind: 'receive', scale: 1e-9, parallel: 1 },
  { key: 'roundTrips', title: 'round trips/s, 1', kind: 'roundTrips', scale: 1, parallel: 1 },
  { key: 'roundTrips64', title: 'round trips/s, 64', kind: 'roundTrips', scale: 1, parallel: 64 },
  { key: 'connections', title: 'connections/s, 1', kind: 'connections', scale: 1, parallel: 1 },
  { key: 'connections64', title: 'connections/s, 64', kind: 'connections', scale: 1, parallel: 64 },
  { key: 'datagrams', title: 'datagrams/s', kind: 'datagrams', scale: 1, parallel: 64 },
  { key: 'ping', title: '`ping -f`, µs', kind: 'ping', scale: 1, parallel: 1, isCost: true },
];

/** The median of the rounds, and what was least and most. */
export interface Figure {
  readonly value: number;
  readonly range: readonly [low: number, high: number];
}

/** What is kept of the values of all rounds. */
export function figureOf(values: readonly number[]): Figure {
  const rounded = (value: number) => Number(value.toPrecision(4));
  return { value: rounded(median(values)), range: [rounded(Math.min(...values)), rounded(Math.max(...values))] };
}

/** Of one peer. */
export interface PeerResult {
  readonly name: string;
  readonly against: readonly string[];
  /** By the keys of {@link COLUMNS}, as far as they could be measured. */
  readonly figures: Readonly<Record<string, Figure>>;
}

/** As it is checked in. */
export interface TapReport {
  readonly date: string;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly rounds: number;
  readonly seconds: number;
  readonly peers: readonly PeerResult[];
  readonly skipped: readonly { readonly name: string; readonly missing: string }[];
}

/** Three digits. */
export const figure: Intl.NumberFormat = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });
/** Two digits. */
export const ratio: Intl.NumberFormat = new Intl.NumberFormat('en', { maximumSignificantDigits: 2 });

/** What was not measured is a dash. */
export const shown = (format: Intl.NumberFormat, value: number | undefined): string =>
  value === undefined || Number.isNaN(value) ? '–' : format.format(value);

/** What tables need to know of what is measured. */
type Heading = Pick<Column, 'key' | 'title' | 'isCost'>;

const headings = (columns: readonly Heading[]): string[] => ['', ...columns.map(({ title }) => title)];

/** The figures of those whose names are given; of all of them by default. */
export function figureTable(
  report: TapReport,
  names?: readonly string[],
  columns: readonly Heading[] = COLUMNS,
): string {
  const peers = names === undefined ? report.peers : report.peers.filter(({ name }) => names.includes(name));
  const rows = peers.map(({ name, figures }) => [
    name,
    ...columns.map(({ key }) => shown(figure, figures[key]?.value)),
  ]);
  return table(headings(columns), rows);
}

/** How many times as good ours are as those that they are compared with: above 1 is better, of costs too. */
export function ratioTable(report: TapReport, columns: readonly Heading[] = COLUMNS): string {
  const rows = report.peers.flatMap((own) =>
    own.against.flatMap((name) => {
      const other = report.peers.find((peer) => peer.name === name);
      if (other === undefined) return [];
      const ratios = columns.map(({ key, isCost }) => {
        const [a, b] = [own.figures[key]?.value ?? Number.NaN, other.figures[key]?.value ?? Number.NaN];
        return shown(ratio, isCost ? b / a : a / b);
      });
      return [[`${own.name} : ${name}`, ...ratios]];
    }),
  );
  return table(headings(columns), rows);
}

/** Everything, as Markdown. */
export function tapMarkdown(report: TapReport): string {
  const { rounds, seconds, skipped } = report;
  const measured = `${describe(report)}; medians of ${rounds}, of ${seconds} s each, interleaved.`;
  const left = skipped.map(({ name, missing }) => `Skipped: ${name} (needs ${missing}).`);
  const better = 'How many times as good (above 1 is better, for `ping -f` too):';
  return `${[measured, ...left, figureTable(report), better, ratioTable(report)].join('\n\n')}\n`;
}
