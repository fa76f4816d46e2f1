/** Series as JSON and as CSV. */

import type { SeriesPoint, SeriesRange, StateSample, TcpSeries } from './tcp-series.js';

/** All of it, as JSON of {@link TcpSeries}. */
export function toJson(series: readonly TcpSeries[]): string {
  return JSON.stringify(series.map(plain), undefined, 2);
}

function plain({
  name,
  local,
  remote,
  start,
  sent,
  acked,
  sacked,
  windowEdge,
  received,
  states,
}: TcpSeries): TcpSeries {
  return { name, local, remote, start, sent, acked, sacked, windowEdge, received, states };
}

const STATE_COLUMNS = [
  'state',
  'cwnd',
  'ssthresh',
  'inFlight',
  'srtt',
  'rto',
  'sendWindow',
  'receiveWindow',
  'deliveryRate',
  'pacingRate',
] as const satisfies readonly (keyof StateSample)[];
const COLUMNS = ['connection', 'time', 'event', 'from', 'to', ...STATE_COLUMNS] as const;

type Row = Readonly<Partial<Record<(typeof COLUMNS)[number], string | number>>>;

/**
 * One line an event, by time: `sent`, `resent`, `received` and `sacked` have `from` and `to`, `acked` and `window` have `to`, `state` has the rest. A
 * table that spreadsheets and data frames read (RFC 4180); empty is what does not apply.
 */
export function toCsv(series: readonly TcpSeries[]): string {
  const lines = [COLUMNS.join()];
  for (const one of series) {
    const connection = `${one.name} ${one.local} > ${one.remote}`;
    const rows = [
      ...one.states.map((sample): Row => ({ ...sample, event: 'state' })),
      ...one.received.map(range('received')),
      ...one.acked.map(point('acked')),
      ...one.sacked.map(range('sacked')),
      ...one.windowEdge.map(point('window')),
      ...one.sent.map((sent): Row => ({ ...range(sent.again ? 'resent' : 'sent')(sent) })),
    ];
    rows.sort((first, second) => Number(first.time) - Number(second.time));
    for (const row of rows) lines.push(COLUMNS.map((column) => cell({ ...row, connection }[column])).join());
  }
  return `${lines.join('\r\n')}\r\n`;
}

function range(event: string): (one: SeriesRange) => Row {
  return ({ time, from, to }) => ({ time, event, from, to });
}

function point(event: string): (one: SeriesPoint) => Row {
  return ({ time, value }) => ({ time, event, to: value });
}

function cell(value: string | number | undefined): string {
  const text = String(value ?? '');
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
