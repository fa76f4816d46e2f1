/** The plots that people draw of TCP. */

import { UsageError } from '../../../lib/core/errors.js';
import { type Axis, type Curve, draw, type Strokes } from './svg.js';
import { type SeriesRange, type StateSample, type TcpSeries, throughput } from './tcp-series.js';

/** What a plot shows over time. */
export type PlotKind = 'time-sequence' | 'cwnd' | 'rtt' | 'throughput';

/** Options of {@link toSvg}. */
export interface SvgOptions {
  /** `time-sequence`: what was sent, sent again and acknowledged; `cwnd`: the windows; `rtt`: times; `throughput`: bits a second. */
  readonly kind: PlotKind;
  /** Default: which connection it is, or how many. */
  readonly title?: string;
  /** In pixels. Default 960 by 480. */
  readonly width?: number;
  readonly height?: number;
  /** Milliseconds that throughput is averaged over. Default a fiftieth of the time. */
  readonly bin?: number;
}

type Part = Curve | Strokes;

const BLUE = '#0969da';
const RED = '#cf222e';
const GREEN = '#1a7f37';
const PURPLE = '#8250df';
const GREY = '#8c959f';
/** Of several connections, each has its own. */
const COLOURS = [BLUE, RED, GREEN, PURPLE, '#9a6700', '#bf3989', '#0a7d91', '#57606a'] as const;

const UNITS = ['', 'k', 'M', 'G', 'T'] as const;

/** Three digits at most, and a power of a thousand. */
function short(value: number): string {
  let power = 0;
  let rest = value;
  for (; Math.abs(rest) >= 1000 && power < UNITS.length - 1; power++) rest /= 1000;
  return `${Number(rest.toPrecision(3))}${power === 0 ? '' : ` ${UNITS[power] ?? ''}`}`;
}

const TIME: Axis = { label: 'time (s)', format: (ms) => String(Number((ms / 1000).toPrecision(6))) };
const BYTES: Axis = { label: 'bytes', format: short };

const Y_AXES: Readonly<Record<PlotKind, Axis>> = {
  'time-sequence': { ...BYTES, label: 'position in the stream (bytes)' },
  cwnd: BYTES,
  rtt: { label: 'milliseconds', format: short },
  throughput: { label: 'bits a second', format: short },
};

function steps(label: string, colour: string, points: Curve['points'], dashed = false): Curve {
  return { label, colour, dashed, kind: 'step', points };
}

function strokes(label: string, colour: string, ranges: readonly SeriesRange[]): Strokes {
  return { label, colour, kind: 'strokes', strokes: ranges.map(({ time, from, to }) => [time, from, to] as const) };
}

function timeSequence({ sent, acked, sacked, windowEdge }: TcpSeries): Part[] {
  const until = sent.reduce((most, { to }) => Math.max(most, to), 0);
  // An offer of megabytes would make everything else a line at the bottom.
  const offered = windowEdge.map(({ time, value }) => [time, Math.min(value, until * 1.15)] as const);
  return [
    steps('offered', GREY, offered, true),
    steps(
      'acknowledged',
      GREEN,
      acked.map(({ time, value }) => [time, value] as const),
    ),
    { ...strokes('selectively acknowledged', PURPLE, sacked), faint: true },
    strokes(
      'sent',
      BLUE,
      sent.filter(({ again }) => !again),
    ),
    strokes(
      'sent again',
      RED,
      sent.filter(({ again }) => again),
    ),
  ];
}

function state(series: TcpSeries, key: 'cwnd' | 'ssthresh' | 'inFlight' | 'srtt' | 'rto'): Curve['points'] {
  const known = ({ [key]: value }: StateSample) => (key === 'ssthresh' ? value >= 0 : true);
  return series.states.filter(known).map((sample) => [sample.time, sample[key]] as const);
}

function parts(series: TcpSeries, kind: PlotKind, bin: number): Part[] {
  switch (kind) {
    case 'time-sequence':
      return timeSequence(series);
    case 'cwnd':
      return [
        steps('in flight', GREY, state(series, 'inFlight')),
        steps('slow-start threshold', RED, state(series, 'ssthresh'), true),
        steps('congestion window', BLUE, state(series, 'cwnd')),
      ];
    case 'rtt':
      return [
        steps('retransmission timeout', RED, state(series, 'rto'), true),
        steps('smoothed round-trip time', BLUE, state(series, 'srtt')),
      ];
    case 'throughput': {
      const points = throughput(series, bin).map(({ time, value }) => [time, value] as const);
      return [{ label: 'throughput', colour: BLUE, kind: 'line', points }];
    }
  }
}

/** Of several connections, only what is asked for of each, in its own colour. */
function compared(all: readonly TcpSeries[], kind: PlotKind, bin: number): Part[] {
  return all.flatMap((series, i) => {
    const part = parts(series, kind, bin).find(
      ({ label }) => label !== 'offered' && label !== 'in flight' && !isDashed(label),
    );
    return part === undefined
      ? []
      : [{ ...part, label: `${series.local} > ${series.remote}`, colour: COLOURS[i % COLOURS.length] ?? BLUE }];
  });
}

function isDashed(label: string): boolean {
  return label === 'slow-start threshold' || label === 'retransmission timeout';
}

/**
 * A plot of one connection, or of several to compare: then one curve of each (what is acknowledged, the congestion window, the round-trip time,
 * the throughput).
 *
 * @throws UsageError `ERR_INVALID_OPTION` for a kind that there is not, no connection, or a `bin` that is not above 0
 */
export function toSvg(series: readonly TcpSeries[], options: SvgOptions): string {
  const { kind, width = 960, height = 480 } = options;
  const [first] = series;
  if (!Object.hasOwn(Y_AXES, kind)) throw new UsageError('ERR_INVALID_OPTION', `there is no plot of kind '${kind}'`);
  if (first === undefined) throw new UsageError('ERR_INVALID_OPTION', 'there is no connection to draw');
  const last = series.reduce((most, { acked }) => Math.max(most, acked.at(-1)?.time ?? 0), first.start);
  const { bin = Math.max(1, (last - first.start) / 50) } = options;
  const one = `${first.name}: ${first.local} to ${first.remote}`;
  const title = options.title ?? (series.length === 1 ? one : `${series.length} connections`);
  const shown = series.length === 1 ? parts(first, kind, bin) : compared(series, kind, bin);
  return draw({ title, x: TIME, y: Y_AXES[kind], parts: shown, width, height });
}
