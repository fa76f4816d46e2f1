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

/** What was measured where. */
export interface Report {
  readonly date: string;
  readonly machine: Readonly<Record<string, string | number>>;
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

const number = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });

/** A Markdown table per section. */
export function markdown(report: Report): string {
  const sections = new Set(report.rows.map((each) => each.section));
  const described = Object.entries(report.machine).map(([key, value]) => `${key} ${value}`);
  const lines = [`Measured ${report.date} on ${described.join(', ')}; medians of ${report.rounds}.`];
  for (const section of sections) {
    lines.push('', `### ${section}`, '', '| what | figure | range | ratio |', '|---|--:|--:|--:|');
    for (const each of report.rows.filter((candidate) => candidate.section === section)) {
      const { name, value, unit, range, ratio } = each;
      const compared = ratio === undefined ? '' : `${number.format(ratio.value)} × ${ratio.to}`;
      const span = `${number.format(range[0])} – ${number.format(range[1])}`;
      lines.push(`| ${name} | ${number.format(value)} ${unit} | ${span} | ${compared} |`);
    }
  }
  return `${lines.join('\n')}\n`;
}
