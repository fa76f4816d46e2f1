/** `rx-netstack show`: what a running router knows, asked over its control socket. */

import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { ArgumentError, flag, parseArguments, text } from './args.js';
import { type Command, CommandError, type Io, messageOf, print } from './command.js';
import type { Answer, Question } from './router/control.js';
import { tableOf, VIEWS } from './router/views.js';

const OPTIONS = {
  socket: text('PATH', 'The control socket of the router: `control` of its configuration.', 's'),
  json: flag('Print JSON: an object of one line for each answer.'),
} as const;

const WHAT = [...Object.keys(VIEWS), 'config', 'trace'];

/** The command. */
export const show: Command = {
  name: 'show',
  summary: `Show what a running router knows: ${WHAT.join(', ')}.`,
  usage: 'WHAT [FILTER] --socket PATH [--json]',
  options: OPTIONS,
  examples: [
    ['show routes --socket /run/rx-netstack.sock', 'the routes of all tables'],
    ["show trace 'tcp port 80' --socket /run/rx-netstack.sock", 'which stages packets go through, and what these do'],
  ],
  async run(args, io) {
    const { positionals, values } = parseArguments(args, OPTIONS);
    const [what, ...filter] = positionals;
    if (what === undefined || !WHAT.includes(what)) throw new ArgumentError(`show one of ${WHAT.join(', ')}`);
    if (filter.length > 0 && what !== 'trace') throw new ArgumentError('only trace has a filter');
    if (values.socket === undefined) throw new ArgumentError('name the socket of the router with --socket');
    const question = { show: what, ...(filter.length === 0 ? {} : { filter: filter.join(' ') }) };
    for await (const answer of answers(values.socket, question, io)) {
      if ('error' in answer) throw new CommandError(answer.error);
      await print(io, values.json ? `${JSON.stringify(answer)}\n` : textOf(answer));
    }
    return 0;
  },
};

async function* answers(path: string, question: Question, io: Io): AsyncGenerator<Answer> {
  const socket = connect(path);
  const stop = () => void socket.destroy();
  io.signal.addEventListener('abort', stop);
  try {
    await once(socket, 'connect', { signal: io.signal });
    socket.write(`${JSON.stringify(question)}\n`);
    socket.on('error', stop);
    const lines = createInterface({ input: socket });
    // The end of what comes in closes them; a socket that is destroyed has none.
    socket.once('close', () => lines.close());
    for await (const line of lines) yield JSON.parse(line) as Answer;
  } catch (error) {
    if (!io.signal.aborted) throw new CommandError(`${path}: ${messageOf(error)}`);
  } finally {
    io.signal.removeEventListener('abort', stop);
    socket.destroy();
  }
}

function textOf(answer: Exclude<Answer, { error: string }>): string {
  if ('rows' in answer) return tableOf(answer.rows);
  if ('configuration' in answer) return answer.configuration;
  return `${answer.hook}: ${answer.text}`;
}
