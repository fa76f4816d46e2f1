/** Holds a segment that left against the line that expects it, field by field. */

import { formatTcpOptions, type TcpOptionItem, tcpOptionBytes } from '../../../lib/text/tcp-option-list.js';
import { TcpFlag } from '../../../lib/wire/tcp.js';
import type { Flow } from './flow.js';
import type { LivePacket } from './live-packet.js';
import type { SegmentLine } from './script.js';
import { FLAG_BITS, scriptSequence } from './segment-text.js';

/** How strictly segments are compared. */
export interface MatchRules {
  /** `exact`: kind, order and NOPs count; `set`: which options there are, and their values. */
  readonly optionOrder: 'exact' | 'set';
  readonly checkWindow: boolean;
  /** Milliseconds of a tick of our timestamp clock, or 0 not to check its values. */
  readonly timestampTick: number;
  /** Milliseconds that timestamps may be off, at least. */
  readonly tolerance: number;
  /** Echoes of timestamps count. */
  readonly checkEcho: boolean;
}

/** The field that differs, or `undefined`. */
export type Difference = { readonly field: string; readonly expected?: string; readonly got?: string } | undefined;

/** Bits that only the last of several segments has to have as the line says. */
const LAST_ONLY = TcpFlag.Fin | TcpFlag.Psh | TcpFlag.Cwr;

/**
 * Whether PSH is taken for granted: Linux pushes each packet that the device is to cut into segments, so scripts expect it of payloads that
 * take several of ours, of which the last need not be the last of a write; and of what was the last of such a packet, when it is sent again.
 */
export function assumesPush(line: SegmentLine, segments: number, again: boolean): boolean {
  return (segments > 1 || again) && (line.flags & TcpFlag.Psh) !== 0;
}

/** The parts of a line that one of several segments answers: `offset` bytes into its payload. */
export interface Part {
  readonly offset: number;
  readonly last: boolean;
  /** It repeats what was sent before. */
  readonly again: boolean;
}

/** What differs between a segment and its line. */
export function difference(
  line: SegmentLine,
  packet: LivePacket,
  flow: Flow,
  rules: MatchRules,
  part: Part,
): Difference {
  if (packet.wrong !== undefined) return { field: packet.wrong };
  return (
    flagsDiffer(line, packet, part) ??
    numbersDiffer(line, packet, flow, rules, part) ??
    ipDiffers(line, packet, flow) ??
    optionsDiffer(line, packet, flow, rules)
  );
}

const FLAG_NAMES: readonly (readonly [number, string])[] = [
  [TcpFlag.Syn, 'SYN'],
  [TcpFlag.Fin, 'FIN'],
  [TcpFlag.Rst, 'RST'],
  [TcpFlag.Psh, 'PSH'],
  [TcpFlag.Ack, 'ACK'],
  [TcpFlag.Urg, 'URG'],
  [TcpFlag.Ece, 'ECE'],
  [TcpFlag.Cwr, 'CWR'],
  [TcpFlag.Ae, 'AE'],
];

function flagsDiffer(line: SegmentLine, packet: LivePacket, { offset, last, again }: Part): Difference {
  const ignored = last ? (assumesPush(line, offset > 0 ? 2 : 1, again) ? TcpFlag.Psh : 0) : LAST_ONLY;
  const mask = FLAG_BITS & ~ignored;
  const wrong = (line.flags ^ packet.flags) & mask;
  const name = FLAG_NAMES.find(([bit]) => wrong & bit)?.[1];
  if (name !== undefined) return { field: name };
  return packet.reserved === 0 ? undefined : { field: 'reserved bits' };
}

function numbersDiffer(
  line: SegmentLine,
  packet: LivePacket,
  flow: Flow,
  rules: MatchRules,
  { offset }: Part,
): Difference {
  if (line.sequence !== undefined) {
    const actual = line.absoluteSequence ? packet.sequence : scriptSequence(packet, flow);
    if (actual !== (line.sequence + offset) >>> 0) return { field: 'sequence number' };
  }
  if (line.ack !== undefined && packet.ack !== line.ack >>> 0) return { field: 'acknowledgment number' };
  if (line.window !== undefined && rules.checkWindow && packet.window !== line.window) return { field: 'window' };
  if (packet.urgent !== (line.urgent ?? 0)) return { field: 'urgent pointer' };
  return undefined;
}

const ECN_CODES = { noecn: [0], ect1: [1], ect0: [2], ce: [3], ect01: [1, 2] } as const;

function ipDiffers({ ip }: SegmentLine, packet: LivePacket, flow: Flow): Difference {
  if (ip.ecn !== undefined && !(ECN_CODES[ip.ecn] as readonly number[]).includes(packet.trafficClass & 3)) {
    return { field: 'ECN' };
  }
  if (ip.tos !== undefined && packet.trafficClass !== ip.tos) return { field: 'traffic class' };
  if (ip.ttl !== undefined && packet.hopLimit !== ip.ttl) return { field: 'hop limit' };
  if (ip.flowLabel !== undefined && packet.flowLabel !== ip.flowLabel) return { field: 'flow label' };
  flow.flowLabel ??= packet.flowLabel;
  return packet.flowLabel === flow.flowLabel ? undefined : { field: 'flow label, which changed' };
}

function optionsDiffer(line: SegmentLine, packet: LivePacket, flow: Flow, rules: MatchRules): Difference {
  if (line.options === 'any') return undefined;
  const expected = arranged(line.options, rules);
  const actual = arranged(packet.options, rules);
  const differ = {
    field: 'options',
    expected: `<${formatTcpOptions(line.options)}>`,
    got: `<${formatTcpOptions(packet.options)}>`,
  };
  if (expected.length !== actual.length) return differ;
  for (const [i, item] of expected.entries()) {
    const other = actual[i];
    if (other === undefined) return differ;
    if (item.kind === 'TS' && other.kind === 'TS') {
      const wrong = timestampsDiffer(item, other, packet, flow, rules);
      if (wrong !== undefined) return wrong;
    } else if (!sameOption(item, other)) return differ;
  }
  return undefined;
}

/** Options as they are compared: in their order, or sorted and without padding. */
function arranged(items: readonly TcpOptionItem[], { optionOrder }: MatchRules): readonly TcpOptionItem[] {
  if (optionOrder === 'exact') return items;
  const key = (item: TcpOptionItem) => tcpOptionBytes([item])[0] ?? 0;
  return items.filter(({ kind }) => kind !== 'nop' && kind !== 'eol').toSorted((a, b) => key(a) - key(b));
}

/** SACK blocks speak of what came in, whose numbers the script and the live connection share. */
function sameOption(expected: TcpOptionItem, actual: TcpOptionItem): boolean {
  const unsaid = (expected.kind === 'mss' || expected.kind === 'wscale') && expected.value === undefined;
  if (unsaid && expected.kind === actual.kind) return true;
  const a = tcpOptionBytes([expected]);
  const b = tcpOptionBytes([actual]);
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

type Timestamps = Extract<TcpOptionItem, { kind: 'TS' }>;

/** Values are compared where the script wants it: against the first, and as exactly as time is. */
function timestampsDiffer(
  expected: Timestamps,
  actual: Timestamps,
  packet: LivePacket,
  flow: Flow,
  rules: MatchRules,
): Difference {
  if (rules.checkEcho && expected.echo !== undefined && expected.echo !== actual.echo) {
    return { field: 'timestamp echo', expected: String(expected.echo), got: String(actual.echo) };
  }
  const { timestampsSince } = flow;
  if (rules.timestampTick === 0 || expected.value === undefined || timestampsSince === undefined) return undefined;
  const got = flow.scriptTimestamp(actual.value ?? 0);
  const off = Math.abs((got - expected.value) | 0) * rules.timestampTick;
  const allowed = Math.max(rules.tolerance, (packet.time - timestampsSince) * 0.125);
  if (off <= allowed) return undefined;
  return { field: 'timestamp', expected: String(expected.value), got: String(got) };
}
