/** What a host counted, as plain data and as a table. */

/** Statistics of a host: what `GET /stats` and `rx-netstack host --json` give. */
export interface Statistics {
  /** Seconds since the start. */
  readonly uptime: number;
  readonly counters: Readonly<Record<string, number | Readonly<Record<string, number>>>>;
  /** Dropped packets by reason. */
  readonly drops: Readonly<Record<string, number>>;
  /** TCP connections by state. */
  readonly connections: Readonly<Record<string, number>>;
}

type Row = readonly [name: string, value: number];

/** A table for people; what is zero in a group of counters is left out. */
export function statisticsTable(statistics: Statistics): string {
  const { uptime, counters, drops, connections } = statistics;
  const plain: Row[] = [['seconds', uptime]];
  const groups: [title: string, rows: Row[]][] = [];
  for (const [name, value] of Object.entries(counters)) {
    if (typeof value === 'number') plain.push([words(name), value]);
    else groups.push([words(name), rows(value)]);
  }
  groups.push(['connections', Object.entries(connections)], ['drops', rows(drops)]);
  const sections = [['host', plain] as const, ...groups].map(([title, list]) => [title, list] as const);
  const all = sections.flatMap(([, list]) => list);
  const width = Math.max(...all.map(([name]) => name.length));
  const digits = Math.max(...all.map(([, value]) => grouped(value).length));
  return sections.map(([title, list]) => section(title, list, width, digits)).join('');
}

function rows(values: Readonly<Record<string, number>>): Row[] {
  return Object.entries(values).flatMap(([name, value]) => (value === 0 ? [] : [[words(name), value] as const]));
}

function section(title: string, list: readonly Row[], width: number, digits: number): string {
  if (list.length === 0) return `${title}: none\n`;
  const lines = list.map(([name, value]) => `  ${name.padEnd(width)}  ${grouped(value).padStart(digits)}\n`);
  return `${title}\n${lines.join('')}`;
}

/** `segmentsIn` as `segments in`. */
function words(name: string): string {
  return name.replace(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function grouped(value: number): string {
  return value.toLocaleString('en-US');
}
