/** What a command is, and what all of them share: where they read and write, and how they fail. */

import type { Readable, Writable } from 'node:stream';
import { optionsHelp, type Options } from './args.js';

/** A command's outside. */
export interface Io {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Aborted when the user wants it to end, or nobody reads what it prints: it ends as soon as it can. */
  readonly signal: AbortSignal;
}

/** A command of `rx-netstack`. */
export interface Command {
  readonly name: string;
  /** What it does, in one line. */
  readonly summary: string;
  /** Its arguments, without the program's and the command's name; several lines for several forms. */
  readonly usage: string;
  readonly options: Options;
  /** Command lines that show it, each with what it is for. */
  readonly examples: readonly (readonly [line: string, purpose: string])[];
  /** Commands that it consists of, by the word that chooses one; their names have both words. */
  readonly parts?: Readonly<Record<string, Command>>;
  /** Runs it; the exit code is 0 where all went well. @throws ArgumentError for a wrong command line */
  run(args: readonly string[], io: Io): Promise<number>;
}

/** The failure is the user's to know, not ours to trace: its message is printed, and the exit code is 1. */
export class CommandError extends Error {
  readonly code = 'ERR_COMMAND_FAILED';
}

/** The help of a command. */
export function commandHelp(command: Command): string {
  if (command.parts !== undefined) return partsHelp(command, command.parts);
  const forms = command.usage.split('\n').map((form) => `  rx-netstack ${command.name} ${form}`.trimEnd());
  const help = { ...command.options, help: { short: 'h', help: 'Print this help.' } };
  const examples = command.examples.map(([line, purpose]) => `  # ${purpose}\n  rx-netstack ${line}\n`);
  return `${command.summary}\n\nUsage:\n${forms.join('\n')}\n\nOptions:\n${optionsHelp(help)}\nExamples:\n${examples.join('')}`;
}

function partsHelp({ name, summary, examples }: Command, parts: Readonly<Record<string, Command>>): string {
  const width = Math.max(...Object.keys(parts).map((word) => word.length));
  const lines = Object.entries(parts).map(([word, part]) => `  ${word.padEnd(width)}  ${part.summary}\n`);
  const shown = examples.map(([line, purpose]) => `  # ${purpose}\n  rx-netstack ${line}\n`);
  return `${summary}\n\nUsage:\n  rx-netstack ${name} COMMAND [OPTION]...\n\nCommands:\n${lines.join('')}
Each command explains itself: rx-netstack ${name} COMMAND --help\n\nExamples:\n${shown.join('')}`;
}

/** Says what went wrong, in one line, without the parts that only a programmer needs. */
export function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  // Node's "ENOENT: no such file or directory, open 'x'": the caller names the file.
  const system = /^(E[A-Z0-9]+): ([^,]*)(?:, .*)?$/.exec(message);
  return (system === null ? message : `${system[2]} (${system[1]})`).replaceAll('\n', ' ');
}

/** Writes text, and waits where the reader is slower; not longer than until the signal. */
export async function print(io: Io, out: string): Promise<void> {
  if (io.signal.aborted || io.stdout.write(out)) return;
  await new Promise<void>((resume) => {
    const done = () => {
      io.stdout.off('drain', done);
      io.stdout.off('close', done);
      io.signal.removeEventListener('abort', done);
      resume();
    };
    io.stdout.once('drain', done);
    io.stdout.once('close', done);
    io.signal.addEventListener('abort', done);
  });
}
