/** What came of a script. */

import type { IpMode, Place } from './script.js';

/** What came of one event. Times are in milliseconds: how much later than expected, negative for earlier. */
export type Outcome =
  | { readonly kind: 'ok' }
  | { readonly kind: 'skipped'; readonly reason: string }
  | {
      readonly kind: 'mismatch';
      readonly field: string;
      readonly expected: string;
      readonly got: string;
    }
  | { readonly kind: 'early' | 'late'; readonly by: number; readonly expected: string; readonly got: string }
  | { readonly kind: 'missing'; readonly expected: string; readonly got?: string }
  | { readonly kind: 'extra'; readonly got: string }
  /** The script asks for what this runner or stack cannot do. */
  | { readonly kind: 'unsupported'; readonly reason: string };

/** The segments that answered a line. */
export interface Answer {
  readonly segments: number;
  /** The last had PSH. */
  readonly pushed: boolean;
  /** It repeats what was sent before. */
  readonly again: boolean;
}

/** An event and its outcome. */
export interface EventResult {
  readonly place: Place;
  readonly text: string;
  /** When it happened, in milliseconds since the script began. */
  readonly time: number;
  /** The difference to the expected time, in milliseconds, where there was one. */
  readonly off?: number;
  /** How long after the event before it was expected, and how far off it could be, in milliseconds. */
  readonly wait?: number;
  readonly tolerance?: number;
  /** What answered the line, where it expects a segment. */
  readonly answer?: Answer;
  readonly outcome: Outcome;
}

/** What came of one run of a script: with one IP version. */
export interface ScriptResult {
  readonly name: string;
  readonly mode: IpMode;
  readonly ok: boolean;
  /** Why the run says nothing of the stack: `asserts nothing`. */
  readonly error?: string;
  /** The first event that failed. */
  readonly failure?: EventResult;
  readonly events: readonly EventResult[];
  /** Assertions that held, and those that were skipped since the stack does not tell what they ask for. */
  readonly asserted: number;
  readonly skipped: number;
  /** All packets of the run, as pcapng. */
  readonly pcapng: () => Uint8Array;
}

/** Whether an outcome is a failure. */
export function isFailure({ kind }: Outcome): boolean {
  return kind !== 'ok' && kind !== 'skipped';
}

/** One line about an outcome, and the lines that belong to it. */
export function outcomeText(outcome: Outcome): readonly string[] {
  switch (outcome.kind) {
    case 'ok':
      return ['ok'];
    case 'skipped':
      return [`skipped: ${outcome.reason}`];
    case 'unsupported':
      return [`not supported: ${outcome.reason}`];
    case 'extra':
      return ['sent what nobody expected', `actual    ${outcome.got}`];
    case 'missing':
      return [
        'did not happen',
        `expected  ${outcome.expected}`,
        ...(outcome.got === undefined ? [] : [`actual    ${outcome.got}`]),
      ];
    case 'early':
    case 'late':
      return [
        `${Math.abs(outcome.by).toFixed(3)} ms too ${outcome.kind}`,
        `expected  ${outcome.expected}`,
        `actual    ${outcome.got}`,
      ];
    case 'mismatch':
      return [`other ${outcome.field}`, `expected  ${outcome.expected}`, `actual    ${outcome.got}`];
  }
}

/** The report of a run: `ok NAME [ipv4]`, or `not ok` with place, expected and actual. */
export function resultText(result: ScriptResult): string {
  const { name, mode, ok, error, failure, skipped } = result;
  const note = skipped > 0 ? ` # ${skipped} skipped` : '';
  const head = `${ok ? 'ok' : 'not ok'} ${name} [${mode}]${note}`;
  if (failure === undefined) return error === undefined ? head : `${head}\n    ${name}: ${error}`;
  const { place, text, outcome, time } = failure;
  const [what, ...rest] = outcomeText(outcome);
  const at = (time / 1000).toFixed(6);
  const off = failure.off === undefined ? '' : `, ${failure.off >= 0 ? '+' : ''}${failure.off.toFixed(3)} ms`;
  const lines = [`${name}:${place.line}: ${what} (at ${at}${off})`, `script    ${text}`, ...rest];
  return `${head}\n${lines.map((line) => `    ${line}\n`).join('')}`.trimEnd();
}
