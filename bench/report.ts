/** Results of benchmarks: one row per thing measured, printed as Markdown and written as JSON with the machine's description. */

import { execFileSync } from 'node:child_process';
import { cpus, totalmem } from 'node:os';

/** One measured figure. */
export interface Row {
  readonly section: string;
  readonly name: string;
  /** The median of the rounds. */
  readonly value: number;
  readonly unit: string;
  /** Smallest and largest of the rounds. */
  readonly range: readonly [low: number, high: number];
  /** `value` divided by that of the row it is compared with, and that row's name. */
  readonly ratio?: { readonly to: string; readonly value: number };
}

/** When and where something was measured. */
export interface Measured {
  readonly date: string;
  readonly machine: Readonly<Record<string, string | number>>;
}

/** What was measured where. */
export interface Report extends Measured {
  readonly rounds: number;
  readonly rows: readonly Row[];
}

/** The middle value; of an even number the lower one of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[(sorted.length - 1) >> 1] ?? Number.NaN;
}

/** Makes a row of the values of several rounds. */
export function row(section: string, name: string, unit: string, values: readonly number[], reference?: Row): Row {
  const value = median(values);
  const base = { section, name, unit, value, range: [Math.min(...values), Math.max(...values)] as const };
  return reference === undefined ? base : { ...base, ratio: { to: reference.name, value: value / reference.value } };
}

/** The machine, as far as it matters for reading the figures. */
export function machine(): Readonly<Record<string, string | number>> {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim(),
    node: process.version,
  };
}

/** When and where, in words. */
export function describe({ date, machine }: Measured): string {
  const described = Object.entries(machine).map(([key, value]) => `${key} ${value}`);
  return `Measured ${date} on ${described.join(', ')}`;
}

/** A Markdown table, aligned; all columns but the first are of figures. */
export function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heading.map((title, i) => Math.max(3, title.length, ...rows.map((cells) => cells[i]?.length ?? 0)));
  const pad = (cell: string, i: number) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0));
  const line = (cells: readonly string[]) => `| ${cells.map(pad).join(' | ')} |`;
  const rule = widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(heading), `| ${rule.join(' | ')} |`, ...rows.map(line)].join('\n');
}

const number = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });

/** The table of a section. */
export function sectionTable(report: Report, section: string): string {
  const rows = report.rows
    .filter((row) => row.section === section)
    .map(({ name, value, unit, range, ratio }) => [
      name.replaceAll('|', '\\|'),
      `${number.format(value)} ${unit}`,
      `${number.format(range[0])} – ${number.format(range[1])}`,
      ratio === undefined ? '' : `${number.format(ratio.value)} × ${ratio.to}`,
    ]);
  return table(['what', 'figure', 'range', 'ratio'], rows);
}

/** A Markdown table per section. */
export function markdown(report: Report): string {
  const sections = [...new Set(report.rows.map((each) => each.section))];
  const tables = sections.map((section) => `### ${section}\n\n${sectionTable(report, section)}`);
  return `${[`${describe(report)}; medians of ${report.rounds}.`, ...tables].join('\n\n')}\n`;
}
