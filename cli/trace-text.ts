/** What packets went through in a pipeline, for people to read. */

import type { ByteChange } from '../lib/text/byte-changes.js';
import type { PacketTrace, TraceStep } from '../operators/flow/pipeline-trace.js';

/** More bytes than these of one change are not printed. */
const MOST_BYTES = 16;

/**
 * One packet's way, in lines:
 *
 *     12.250 S 0:0(0) win 65535 from 10.0.0.2 to 192.0.2.1
 *       firewall  passed   mark 0 -> 5
 *       nat       passed   12-15: 0a 00 00 02 -> c6 33 64 01
 *                          S 0:0(0) win 65535 from 198.51.100.1 to 192.0.2.1
 *       limit     dropped  rate-limited
 *       dropped: rate-limited
 */
export function traceText(trace: PacketTrace): string {
  const { time, text, from, steps, verdict, reason } = trace;
  const width = Math.max(0, ...steps.map(({ stage }) => stage.length));
  const behind = from === undefined ? '' : from === '' ? ' (behind the last stage)' : ` (from stage ${from} on)`;
  const lines = [
    `${(time / 1000).toFixed(3)} ${text}${behind}`,
    ...steps.flatMap((step) => stepLines(step, width)),
    `  ${verdictText(verdict)}${reason === undefined ? '' : `: ${reason}`}`,
  ];
  return `${lines.join('\n')}\n`;
}

function verdictText(verdict: PacketTrace['verdict']): string {
  return verdict === 'none' ? 'lost without a verdict' : verdict;
}

function stepLines({ stage, verdict, reason, changes, notes, text }: TraceStep, width: number): string[] {
  const details = [...(reason === undefined ? [] : [reason]), ...notes, ...changes.map(changeText)];
  const head = `  ${stage.padEnd(width)}  ${verdict.padEnd(7)}`;
  const lines = text === undefined ? details : [...details, text];
  const [first = '', ...rest] = lines;
  return [`${head}  ${first}`.trimEnd(), ...rest.map((line) => `${' '.repeat(head.length)}  ${line}`)];
}

/** The places of a change count from the packet's first byte, as it was in front of the stage. */
function changeText({ offset, before, after }: ByteChange): string {
  if (before.length === 0) return `${offset}: ${after.length} bytes put in: ${hex(after)}`;
  const range = before.length === 1 ? `${offset}` : `${offset}-${offset + before.length - 1}`;
  if (after.length === 0) return `${range}: ${before.length} bytes cut off: ${hex(before)}`;
  return `${range}: ${hex(before)} -> ${hex(after)}`;
}

function hex(bytes: Uint8Array): string {
  const shown = [...bytes.subarray(0, MOST_BYTES)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
  return bytes.length > MOST_BYTES ? `${shown} ...` : shown;
}
