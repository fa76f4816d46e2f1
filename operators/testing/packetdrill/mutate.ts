/**
 * Mutants of scripts that pass: each differs in one thing that the host must not do. A runner that lets one pass does not look. Mutants
 * that nobody could notice are not made: of what the script leaves open, or within tolerance.
 */

import type { TcpOptionItem } from '../../../lib/text/tcp-option-list.js';
import { TcpFlag } from '../../../lib/wire/tcp.js';
import { assumesPush } from './match.js';
import type { Answer, EventResult, ScriptResult } from './result.js';
import { Run, type RunOptions } from './run.js';
import type { Action, Script, ScriptEvent, SegmentLine } from './script.js';
import { isPreparation } from './system-calls.js';

/** A script that must fail. */
export interface Mutant {
  /** What was changed: `line 7: sequence number + 1`. */
  readonly change: string;
  /** The line of the event that must fail. */
  readonly line: number;
  readonly script: Script;
}

/** How segments are compared, as far as it decides what can be noticed. */
interface Noticed {
  readonly order: boolean;
  readonly window: boolean;
}

/** The mutants of a script that passed as `result` says. */
export function mutate(
  script: Script,
  result: ScriptResult,
  { profile }: Pick<RunOptions, 'profile'>,
): readonly Mutant[] {
  const exact = profile === 'linux';
  const passed = new Map(
    result.events.filter(({ outcome }) => outcome.kind === 'ok').map((one) => [placeKey(one), one]),
  );
  return script.events.flatMap((event, index) => {
    const seen = passed.get(placeKey(event));
    const changes = changesOf(event, seen, passed, { order: exact, window: exact });
    return changes.map(([change, changed]) => ({
      change: `line ${event.place.line}: ${change}`,
      line: event.place.line,
      script: { ...script, events: script.events.with(index, changed) },
    }));
  });
}

/** Mutants that pass nevertheless: there must be none. */
export function survivors(script: Script, options: RunOptions): readonly Mutant[] {
  const result = new Run(script, options).run();
  return mutate(script, result, options).filter((mutant) => new Run(mutant.script, options).run().ok);
}

function placeKey({ place }: Pick<ScriptEvent, 'place'>): string {
  return `${place.line}:${place.column}`;
}

type Change = readonly [what: string, event: ScriptEvent];

function changesOf(
  event: ScriptEvent,
  seen: EventResult | undefined,
  passed: ReadonlyMap<string, EventResult>,
  noticed: Noticed,
): readonly Change[] {
  const { action } = event;
  const as = (what: string, changed: Action): Change => [what, { ...event, action: changed }];
  if (action.kind === 'code') {
    return action.code.assertions.flatMap((assertion, i) => {
      if (!passed.has(placeKey(assertion))) return [];
      const test = { kind: 'unary', operator: 'not', of: assertion.test } as const;
      const assertions = action.code.assertions.with(i, { ...assertion, test });
      return [as('the opposite is asserted', { kind: 'code', code: { ...action.code, assertions } })];
    });
  }
  if (seen === undefined) return [];
  if (action.kind === 'outbound') {
    const lines = segmentChanges(action.segment, seen, noticed).map(([what, segment]) =>
      as(what, { kind: 'outbound', segment }),
    );
    return [...lines, ...timeChanges(event, seen)];
  }
  return action.kind === 'call' ? callChanges(event, seen) : [];
}

type LineChange = readonly [what: string, line: SegmentLine];

function segmentChanges(line: SegmentLine, { answer }: EventResult, noticed: Noticed): readonly LineChange[] {
  const { sequence, ack, flags, window, length } = line;
  const changes: LineChange[] = [
    ...pushChanges(line, answer),
    ['FIN changed', { ...line, flags: flags ^ TcpFlag.Fin }],
    ['one byte more', { ...line, length: length + 1 }],
    ...optionChanges(line, noticed),
  ];
  // Where a SYN begins is the script's to say.
  const free = (flags & TcpFlag.Syn) !== 0 && !line.absoluteSequence;
  if (sequence !== undefined && !free)
    changes.push(['sequence number + 1', { ...line, sequence: (sequence + 1) >>> 0 }]);
  if (ack !== undefined) changes.push(['acknowledgment number + 1', { ...line, ack: (ack + 1) >>> 0 }]);
  if (window !== undefined && noticed.window) changes.push(['window changed', { ...line, window: window ^ 1 }]);
  return changes;
}

/** The opposite of PSH, unless it is taken for granted either way. */
function pushChanges(
  line: SegmentLine,
  { segments, pushed, again }: Answer = { segments: 1, pushed: false, again: false },
): readonly LineChange[] {
  const flags = line.flags ^ TcpFlag.Psh;
  if (line.flags & TcpFlag.Psh) return pushed ? [['PSH dropped', { ...line, flags }]] : [];
  return assumesPush({ ...line, flags }, segments, again) ? [] : [['PSH added', { ...line, flags }]];
}

function optionChanges(line: SegmentLine, { order }: Noticed): readonly LineChange[] {
  const { options } = line;
  if (options === 'any') return [];
  if (options.length === 0) return [['an option more', { ...line, options: [{ kind: 'mss', value: 1 }] }]];
  const changes: LineChange[] = [];
  const real = options.findIndex(({ kind }) => kind !== 'nop' && kind !== 'eol');
  if (real >= 0) changes.push(['an option dropped', { ...line, options: options.toSpliced(real, 1) }]);
  const swapped = options.findIndex((item, i) => i > 0 && item.kind !== options[i - 1]?.kind);
  const [a, b] = [options[swapped - 1], options[swapped]];
  if (order && a !== undefined && b !== undefined) {
    changes.push(['options swapped', { ...line, options: options.toSpliced(swapped - 1, 2, b, a) }]);
  }
  for (const [i, item] of options.entries()) {
    const other = nextValue(item);
    if (other !== undefined) changes.push([`${item.kind} changed`, { ...line, options: options.with(i, other) }]);
  }
  return changes;
}

function nextValue(item: TcpOptionItem): TcpOptionItem | undefined {
  if ((item.kind === 'mss' || item.kind === 'wscale') && item.value !== undefined) {
    return { ...item, value: item.value + 1 };
  }
  if (item.kind !== 'sack') return undefined;
  return { ...item, blocks: item.blocks.map(([left, right]) => [left, (right + 1) >>> 0] as const) };
}

/** A fifth later, where what happened is then too early. */
function timeChanges(event: ScriptEvent, { off, wait, tolerance }: EventResult): readonly Change[] {
  const { time } = event;
  if (time.kind === 'any' || off === undefined || wait === undefined || tolerance === undefined) return [];
  const shift = wait / 5;
  // Tolerance grows with the wait.
  if (shift - off <= tolerance * 1.2 + 0.001) return [];
  const by = Math.round(shift * 1000);
  return [['a fifth later', { ...event, time: { ...time, from: time.from + by, to: time.to + by } }]];
}

/** Any other error number. */
const OTHER: Readonly<Record<string, string>> = { ETIMEDOUT: 'EHOSTUNREACH' };

function callChanges(event: ScriptEvent, { off, wait, tolerance }: EventResult): readonly Change[] {
  if (event.action.kind !== 'call') return [];
  const { call } = event.action;
  const { value, errno } = call.result;
  const changes: Change[] = [];
  const as = (what: string, result: typeof call.result, end = call.end): void => {
    changes.push([what, { ...event, action: { kind: 'call', call: { ...call, result, end } } }]);
  };
  if (errno !== undefined) as('another error', { value, errno: OTHER[errno] ?? 'ETIMEDOUT' });
  else if (value?.kind === 'number' && !call.name.startsWith('accept') && !isPreparation(call.name, errno)) {
    as('result + 1', { value: { kind: 'number', value: value.value + 1 }, errno });
  }
  if (call.end !== undefined && off !== undefined && wait !== undefined && tolerance !== undefined) {
    const shift = wait / 5;
    if (shift - off > tolerance * 1.2 + 0.001)
      as('returns a fifth later', call.result, call.end + Math.round(shift * 1000));
  }
  return changes;
}
