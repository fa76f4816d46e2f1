/** A small plotter: lines, steps and ranges over time, with axes, ticks and a legend, as one SVG that needs nothing else. */

/** One curve. */
export interface Curve {
  readonly label: string;
  /** A CSS colour. */
  readonly colour: string;
  readonly dashed?: boolean;
  /** A line between points, or one that holds its value until the next point. */
  readonly kind: 'line' | 'step';
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** Vertical strokes, each from one value to another. */
export interface Strokes {
  readonly label: string;
  readonly colour: string;
  readonly kind: 'strokes';
  /** Drawn so that what lies beneath can be seen. */
  readonly faint?: boolean;
  readonly strokes: readonly (readonly [x: number, from: number, to: number])[];
}

export interface Plot {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly parts: readonly (Curve | Strokes)[];
  /** In pixels. */
  readonly width: number;
  readonly height: number;
}

export interface Axis {
  readonly label: string;
  /** How a tick is written. */
  readonly format: (value: number) => string;
}

interface Scale {
  readonly low: number;
  readonly high: number;
  readonly ticks: readonly number[];
  /** Pixels of a value. */
  at(value: number): number;
}

const MARGIN = { left: 76, right: 20, top: 64, bottom: 48 } as const;
const GRID = '#e3e6ea';
const INK = '#24292f';
const FAINT = '#57606a';
const PIXELS_A_TICK = { x: 110, y: 52 } as const;
/** Width of a letter of the legend, roughly. */
const LETTER = 6.6;

/** A round step (1, 2 or 5 times a power of ten) that leaves about `room` ticks. */
function stepOf(span: number, room: number): number {
  const rough = span / Math.max(1, room);
  const power = 10 ** Math.floor(Math.log10(rough));
  const lead = rough / power;
  return power * (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10);
}

function scaleOf(values: readonly [number, number], from: number, to: number, pixelsATick: number): Scale {
  const [least, most] = values;
  const span = most > least ? most - least : 1;
  const step = stepOf(span, Math.abs(to - from) / pixelsATick);
  const low = Math.floor(least / step) * step;
  const high = Math.max(low + step, Math.ceil((least + span) / step) * step);
  const count = Math.round((high - low) / step);
  const ticks = Array.from({ length: count + 1 }, (_, i) => low + i * step);
  return { low, high, ticks, at: (value) => from + ((value - low) / (high - low)) * (to - from) };
}

function extent(parts: Plot['parts']): { x: [number, number]; y: [number, number] } {
  const x: [number, number] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const y: [number, number] = [0, Number.NEGATIVE_INFINITY];
  const widen = (range: [number, number], value: number): void => {
    if (value < range[0]) range[0] = value;
    if (value > range[1]) range[1] = value;
  };
  for (const part of parts) {
    const all = part.kind === 'strokes' ? part.strokes : part.points;
    for (const [time, ...values] of all) {
      widen(x, time);
      for (const value of values) widen(y, value);
    }
  }
  return { x: x[0] <= x[1] ? x : [0, 1], y: y[0] <= y[1] ? y : [0, 1] };
}

/** To a tenth of a pixel: what is finer does not show, and makes files long. */
function px(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** Of many points in one column of pixels, those that show: the first, the least, the greatest and the last. */
function thinned(points: readonly (readonly [number, number])[]): readonly (readonly [number, number])[] {
  const out: (readonly [number, number])[] = [];
  for (let at = 0; at < points.length; ) {
    const column = Math.floor(points[at]?.[0] ?? 0);
    const start = at;
    let [least, most] = [start, start];
    for (; at < points.length && Math.floor(points[at]?.[0] ?? 0) === column; at++) {
      const value = points[at]?.[1] ?? 0;
      if (value < (points[least]?.[1] ?? 0)) least = at;
      if (value > (points[most]?.[1] ?? 0)) most = at;
    }
    const kept = [...new Set([start, Math.min(least, most), Math.max(least, most), at - 1])];
    for (const index of kept) {
      const point = points[index];
      if (point !== undefined) out.push(point);
    }
  }
  return out;
}

function curve({ points, kind, colour, dashed }: Curve, x: Scale, y: Scale): string {
  const shown = thinned(points.map(([time, value]) => [x.at(time), y.at(value)] as const));
  let path = '';
  for (const [i, [left, top]] of shown.entries()) {
    if (i === 0) path += `M${px(left)} ${px(top)}`;
    else path += kind === 'step' ? `H${px(left)}V${px(top)}` : `L${px(left)} ${px(top)}`;
  }
  const dash = dashed === true ? ' stroke-dasharray="6 4"' : '';
  return `<path d="${path}" fill="none" stroke="${colour}" stroke-width="1.6" stroke-linejoin="round"${dash}/>`;
}

function strokes({ strokes: all, colour, faint }: Strokes, x: Scale, y: Scale): string {
  const seen = new Set<string>();
  for (const [time, from, to] of all) {
    const [bottom, top] = [y.at(from), y.at(to)];
    // What is too short to be seen is made a point of.
    seen.add(`M${px(x.at(time))} ${px(bottom)}V${px(Math.min(top, bottom - 1.5))}`);
  }
  const how = faint === true ? 'stroke-width="1" stroke-opacity="0.3"' : 'stroke-width="1.6"';
  return `<path d="${[...seen].join('')}" fill="none" stroke="${colour}" ${how}/>`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

function text(x: number, y: number, content: string, more = ''): string {
  return `<text x="${px(x)}" y="${px(y)}"${more}>${escaped(content)}</text>`;
}

function axes({ x: xAxis, y: yAxis, width, height }: Plot, x: Scale, y: Scale): string[] {
  const [left, right] = [MARGIN.left, width - MARGIN.right];
  const [top, bottom] = [MARGIN.top, height - MARGIN.bottom];
  const lines = [
    ...x.ticks.map((tick) => `M${px(x.at(tick))} ${top}V${bottom}`),
    ...y.ticks.map((tick) => `M${left} ${px(y.at(tick))}H${right}`),
  ];
  const middle = (top + bottom) / 2;
  const turned = ` text-anchor="middle" fill="${FAINT}" transform="rotate(-90 18 ${px(middle)})"`;
  return [
    `<path d="${lines.join('')}" stroke="${GRID}" fill="none"/>`,
    `<path d="M${left} ${top}V${bottom}H${right}" stroke="${INK}" fill="none"/>`,
    ...x.ticks.map((tick) => text(x.at(tick), bottom + 18, xAxis.format(tick), ' text-anchor="middle"')),
    ...y.ticks.map((tick) => text(left - 8, y.at(tick) + 4, yAxis.format(tick), ' text-anchor="end"')),
    text((left + right) / 2, height - 10, xAxis.label, ` text-anchor="middle" fill="${FAINT}"`),
    text(18, middle, yAxis.label, turned),
  ];
}

function legend({ parts, width }: Plot): string[] {
  let at: number = MARGIN.left;
  const out: string[] = [];
  for (const part of parts) {
    const room = 34 + part.label.length * LETTER;
    if (at + room > width) break;
    const dash = part.kind !== 'strokes' && part.dashed === true ? ' stroke-dasharray="6 4"' : '';
    const mark = part.kind === 'strokes' ? `M${at + 9} 40v10` : `M${at} 45h18`;
    out.push(`<path d="${mark}" stroke="${part.colour}" stroke-width="2.4"${dash}/>`, text(at + 24, 49, part.label));
    at += room;
  }
  return out;
}

export function draw(plot: Plot): string {
  const { width, height, title, parts } = plot;
  const range = extent(parts);
  const x = scaleOf(range.x, MARGIN.left, width - MARGIN.right, PIXELS_A_TICK.x);
  const y = scaleOf(range.y, height - MARGIN.bottom, MARGIN.top, PIXELS_A_TICK.y);
  const shown = parts.map((part) => (part.kind === 'strokes' ? strokes(part, x, y) : curve(part, x, y)));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif" font-size="12" fill="${INK}">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    text(MARGIN.left, 24, title, ' font-size="15" font-weight="600"'),
    ...axes(plot, x, y),
    ...shown,
    ...legend(plot),
    '</svg>\n',
  ].join('\n');
}
