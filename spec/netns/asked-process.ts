/** Processes that a test asks for things, kills and starts again. What they run answers by `answerLines`. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** How a program is started: here, or in a namespace. */
export type Start = (command: string, args: readonly string[]) => ChildProcess;

export const startHere: Start = (command, args) => spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });

/** What a program says when it is ready, and then to each line. */
export interface Line {
  readonly ready?: string;
  /** Where it listens, if it does. */
  readonly port?: number;
  readonly answer?: unknown;
  readonly error?: string;
}

/** One process, and what it can be asked for: a name each, and what is told with it. */
export class AskedProcess<Asked extends object> {
  readonly name: string;
  /** Where it listens, if it does. */
  port = 0;
  private readonly child: ChildProcess;
  private readonly waiting: ((line: Line) => void)[] = [];
  private end: Line | undefined;

  private constructor(program: string, plan: { readonly name: string }, start: Start) {
    this.name = plan.name;
    this.child = start(process.execPath, ['--import=tsx', program, JSON.stringify(plan)]);
    const { stdout } = this.child;
    if (stdout === null) throw new Error('a process that cannot be heard');
    createInterface({ input: stdout }).on('line', (line) => this.waiting.shift()?.(JSON.parse(line) as Line));
    this.child.once('exit', (code, signal) => {
      this.end = { error: `${this.name} ended: ${code ?? signal}` };
      for (const told of this.waiting.splice(0)) told(this.end);
    });
  }

  /** Resolves when the program is ready; it is given its plan in JSON. */
  static async start<Asked extends object>(
    program: string,
    plan: { readonly name: string },
    start: Start = startHere,
  ): Promise<AskedProcess<Asked>> {
    const made = new AskedProcess<Asked>(program, plan, start);
    const { port = 0, error } = await made.line();
    if (error !== undefined) throw new Error(error);
    made.port = port;
    return made;
  }

  async ask<Kind extends keyof Asked & string>(kind: Kind, asked: Asked[Kind]): Promise<unknown> {
    const answer = this.line();
    this.child.stdin?.write(`${JSON.stringify({ kind, ...asked })}\n`);
    const { answer: value, error } = await answer;
    if (error !== undefined) throw new Error(`${kind}: ${error}`);
    return value;
  }

  /** Kills it, without a last word. */
  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
  }

  private line(): Promise<Line> {
    return this.end === undefined
      ? new Promise((resolve) => void this.waiting.push(resolve))
      : Promise.resolve(this.end);
  }
}
