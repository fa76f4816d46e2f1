/** Runs a command line in this process, with everything that it prints gathered. */

import { PassThrough, Readable, Writable } from 'node:stream';
import { expect } from 'chai';
import type { Io } from '../../cli/command.js';
import { runCommand } from '../../cli/commands.js';

/** How a command ended, and what it printed. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Options of {@link run}. */
export interface RunOptions {
  readonly stdin?: Readable | Uint8Array;
  readonly signal?: AbortSignal;
  /** Bytes that standard output takes before it says that it is full. */
  readonly highWaterMark?: number;
  /** Called after each write. */
  readonly onWrite?: (text: string) => void;
}

/** Runs a command line; fails if anything looks like a programmer's error. */
export async function run(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const { stdin = new PassThrough().end(), signal = new AbortController().signal, highWaterMark = 65_536 } = options;
  const out: string[] = [];
  const err: string[] = [];
  const gather = (into: string[], told?: (text: string) => void) =>
    new Writable({
      highWaterMark,
      write(chunk: Buffer, _encoding, done) {
        into.push(chunk.toString());
        told?.(chunk.toString());
        setImmediate(done);
      },
    });
  const io: Io = {
    stdin: stdin instanceof Uint8Array ? Readable.from([stdin]) : stdin,
    stdout: gather(out, options.onWrite),
    stderr: gather(err),
    signal,
  };
  const code = await runCommand(args, io);
  await Promise.all([io.stdout, io.stderr].map((stream) => new Promise<void>((done) => void stream.end(done))));
  const stderr = err.join('');
  expect(stderr).not.to.match(/unexpected|^\s+at /m);
  return { code, stdout: out.join(''), stderr };
}
