/** Waits for the segments that a line of a script expects. */

import { TcpFlag } from '../../../lib/wire/tcp.js';
import type { Flow } from './flow.js';
import type { LivePacket } from './live-packet.js';
import { difference, type MatchRules } from './match.js';
import type { Answer, Outcome } from './result.js';
import type { SegmentLine } from './script.js';
import { lineText, packetText } from './segment-text.js';
import type { World } from './world.js';

/** When a segment is expected, in milliseconds since the script began. */
export interface Window {
  readonly from: number;
  readonly to: number;
  readonly tolerance: number;
  /** At any time. */
  readonly any: boolean;
}

/** Where segments come from. */
export interface Watch {
  readonly world: World;
  readonly flow: Flow | undefined;
  readonly rules: MatchRules;
  /** When the next thing happens, in milliseconds since the script began. */
  readonly next: () => number;
  /** Lets the next thing happen. */
  readonly step: () => void;
}

/** How long after its time a segment is waited for; and one that may come at any time. */
const PATIENCE = 2000;
const LONG_PATIENCE = 1_000_000;

/** Waits for a segment, or for the several that the host made of it. */
export function expectSegment(
  watch: Watch,
  line: SegmentLine,
  window: Window,
): { readonly outcome: Outcome; readonly off?: number; readonly answer?: Answer } {
  const { world, flow, rules } = watch;
  const expected = lineText(line);
  const limit = window.any ? world.now + LONG_PATIENCE : window.to + window.tolerance + PATIENCE;
  let off: number | undefined;
  let size = 0;
  let offset = 0;
  const answer = { segments: 0, pushed: false, again: false };
  do {
    const packet = flow === undefined ? undefined : take(watch, flow, limit);
    if (packet === undefined || flow === undefined) {
      const got = offset === 0 ? {} : { got: `only ${offset} bytes of it` };
      return { outcome: { kind: 'missing', expected, ...got } };
    }
    const last = packet.length >= line.length - offset;
    const again = flow.repeats(packet);
    flow.learn(line, packet);
    const got = packetText(packet, flow, line);
    const differs =
      lengthDiffers(line, packet, { offset, size, last }) ??
      difference(line, packet, flow, rules, { offset, last, again });
    if (differs !== undefined) return { outcome: { kind: 'mismatch', expected, got, field: fieldText(differs) } };
    const wrong = timeDiffers(world.since(packet.time), window);
    if (wrong !== undefined) return { outcome: { ...wrong, expected, got }, off: wrong.by };
    off ??= window.any ? undefined : world.since(packet.time) - window.from;
    flow.learnTimestamp(line, packet);
    if (flow.role === 'connecting') flow.role = 'connection';
    if (offset === 0) size = packet.length;
    offset += packet.length;
    answer.segments++;
    answer.again = again;
    answer.pushed = (packet.flags & TcpFlag.Psh) !== 0;
  } while (offset < line.length);
  return { outcome: { kind: 'ok' }, answer, ...(off === undefined ? {} : { off }) };
}

function fieldText({ field, expected, got }: NonNullable<ReturnType<typeof difference>>): string {
  return expected === undefined ? field : `${field} (${expected}, not ${got ?? ''})`;
}

/** The next segment of a flow, waiting for it until `limit`. */
function take({ world, next, step }: Watch, flow: Flow, limit: number): LivePacket | undefined {
  for (;;) {
    const at = world.sent.findIndex((packet) => flow.owns(packet));
    if (at >= 0) return world.sent.splice(at, 1)[0];
    if (next() > limit) return undefined;
    step();
  }
}

/** Several segments answer a line if all but the last are of one size, and they end where it does. */
function lengthDiffers(
  line: SegmentLine,
  packet: LivePacket,
  { offset, size, last }: { readonly offset: number; readonly size: number; readonly last: boolean },
): ReturnType<typeof difference> {
  const rest = line.length - offset;
  const fits = last ? packet.length === rest && (offset === 0 || packet.length <= size) : packet.length > 0;
  if (!fits || (!last && offset > 0 && packet.length !== size)) return { field: 'payload length' };
  return undefined;
}

function timeDiffers(
  time: number,
  { from, to, tolerance, any }: Window,
): { readonly kind: 'early' | 'late'; readonly by: number } | undefined {
  if (any) return undefined;
  if (time < from - tolerance) return { kind: 'early', by: time - from };
  return time > to + tolerance ? { kind: 'late', by: time - to } : undefined;
}
