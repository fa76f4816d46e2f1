/** The side of the program of `AskedProcess`. */

import { createInterface } from 'node:readline';
import type { Line } from './asked-process.js';

/** What answers each thing that can be asked for. */
export type Answers<Asked> = { readonly [Kind in keyof Asked]: (asked: Asked[Kind]) => unknown };

function say(line: Line): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** Says that the program is ready, and answers each line of its standard input with one of its standard output; the program ends with its input. */
export function answerLines<Asked>(name: string, port: number | undefined, answers: Answers<Asked>): void {
  const answer = async (line: string): Promise<void> => {
    const { kind, ...asked } = JSON.parse(line) as { kind: keyof Asked };
    try {
      say({ answer: (await answers[kind](asked as never)) ?? null });
    } catch (error) {
      say({ error: error instanceof Error ? error.message : String(error) });
    }
  };
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => void answer(line));
  lines.on('close', () => process.exit());
  say({ ready: name, ...(port === undefined ? {} : { port }) });
}
