/**
 * The Unix socket by which a running router is asked what it knows. A question is one line of JSON, `{"show":"routes"}`; the answer is one line,
 * `{"rows":[...]}` or `{"error":"..."}`, or, to `{"show":"trace","filter":"icmp"}`, a line for each packet until one side has had enough.
 */

import { lstatSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { Subscription } from 'rxjs';
import type { PacketTrace } from '../../operators/flow/pipeline-trace.js';
import { CommandError, messageOf } from '../command.js';
import { traceText } from '../trace-text.js';
import type { RunningRouter } from './running-router.js';
import { VIEWS, type Row } from './views.js';

/** What may be asked. */
export interface Question {
  readonly show: string;
  /** Of `trace`: which packets, in the pcap filter language. */
  readonly filter?: string;
}

/** One line of an answer. */
export type Answer =
  | { readonly rows: readonly Row[] }
  | { readonly configuration: string }
  | { readonly hook: string; readonly text: string; readonly trace: PacketTrace }
  | { readonly error: string };

/** A question is short; who sends more has something else in mind. */
const MOST = 4096;
/** Only who started the router may ask: bits that the socket's mode does not have. */
const OTHERS = 0o177;
/** Bytes that a reader of traces may lag behind before packets are left out for it. */
const LAG = 1 << 20;

/** See the module. */
export class ControlSocket {
  private readonly server: Server;
  private readonly path: string;
  private readonly router: RunningRouter;
  private readonly sockets = new Set<Socket>();

  private constructor(server: Server, path: string, router: RunningRouter) {
    this.server = server;
    this.path = path;
    this.router = router;
    server.on('connection', (socket) => this.accept(socket));
  }

  /** @throws CommandError where the path cannot be had, since another router answers there, say */
  static async listen(path: string, router: RunningRouter): Promise<ControlSocket> {
    if (await isAnswered(path)) throw new CommandError(`control: somebody answers at ${path} already`);
    try {
      removeLeftover(path);
      const server = createServer({ allowHalfOpen: true });
      // It is there at once, and nobody else may have it even then.
      const before = process.umask(OTHERS);
      try {
        server.listen(path);
      } finally {
        process.umask(before);
      }
      await once(server, 'listening');
      return new ControlSocket(server, path, router);
    } catch (error) {
      throw new CommandError(`control: ${messageOf(error)}`);
    }
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    const closed = once(this.server, 'close');
    this.server.close();
    await closed;
    rmSync(this.path, { force: true });
  }

  private accept(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket)).on('error', () => socket.destroy());
    let text = '';
    const asked = (question: string) => {
      socket.removeAllListeners('data').off('end', ended).resume();
      this.answer(question, socket);
    };
    const ended = () => asked(text);
    socket.setEncoding('utf8').on('end', ended);
    socket.on('data', (part: string) => {
      text += part;
      const end = text.indexOf('\n');
      if (end >= 0) asked(text.slice(0, end));
      else if (text.length > MOST) asked('');
    });
  }

  private answer(line: string, socket: Socket): void {
    const say = (answer: Answer) => void socket.write(`${JSON.stringify(answer, plain)}\n`);
    try {
      const question = questionOf(line);
      if (question.show === 'trace') {
        const tracing = this.trace(question.filter, say, socket);
        socket.on('close', () => tracing.unsubscribe());
        return;
      }
      say(this.shown(question.show));
    } catch (error) {
      say({ error: messageOf(error) });
    }
    socket.end();
  }

  private shown(what: string): Answer {
    if (what === 'config') return { configuration: this.router.configuration.source };
    const view = Object.hasOwn(VIEWS, what) ? VIEWS[what] : undefined;
    if (view === undefined) throw new CommandError(`nothing is called ${what}`);
    return { rows: view.rows(this.router) };
  }

  private trace(filter: string | undefined, say: (answer: Answer) => void, socket: Socket): Subscription {
    const hooks = Object.entries(this.router.functions.hooks);
    const traces = hooks.map(([hook, line]) => ({ hook, trace$: line.trace$(filter) }));
    const all = new Subscription();
    for (const { hook, trace$ } of traces) {
      const tell = (trace: PacketTrace) => {
        if (socket.writableLength < LAG) say({ hook, text: traceText(trace), trace });
      };
      all.add(trace$.subscribe(tell));
    }
    return all;
  }
}

/** Bytes are written as hex. */
function plain(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
}

/** @throws CommandError for what is no question */
function questionOf(line: string): Question {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new CommandError('a question is one line of JSON');
  }
  if (typeof value !== 'object' || value === null || !('show' in value) || typeof value.show !== 'string')
    throw new CommandError('a question says what to show');
  const filter = 'filter' in value && typeof value.filter === 'string' ? { filter: value.filter } : {};
  return { show: value.show, ...filter };
}

/** Removes what a router that was killed left behind, and nothing else. @throws CommandError where something else is there */
function removeLeftover(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new CommandError(`${path} is there, and is no socket`);
  rmSync(path);
}

async function isAnswered(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
