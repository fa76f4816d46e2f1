/**
 * `rx-netstack demo`: two hosts of this stack and an imperfect cable between them, all in this process and in virtual time. A page is
 * fetched by Node's own `http` over the stack; the packets are printed as they pass, and kept.
 */

import { createHash } from 'node:crypto';
import { createServer, get } from 'node:http';
import { resolve } from 'node:path';
import { PcapngWriter } from '../lib/capture/pcapng-writer.js';
import { dropReasonName } from '../lib/core/drops.js';
import type { Env } from '../lib/core/env.js';
import { FramePool } from '../lib/core/frame.js';
import { agent, serveHttp } from '../lib/socket/http.js';
import { pretty } from '../lib/text/pretty.js';
import { FileSink } from '../drivers/file-sink.js';
import { link, type LinkEnd } from '../drivers/link.js';
import { capture } from '../operators/observe/capture.js';
import { countPackets, PacketCounter } from '../operators/observe/count.js';
import { drops$ } from '../operators/observe/drops.js';
import { logPackets } from '../operators/observe/log.js';
import { type Host, host } from '../operators/stack/host.js';
import { environment } from '../operators/time/environment.js';
import { SimulationScheduler } from '../operators/time/simulation-scheduler.js';
import { ArgumentError, parseArguments, text, whole } from './args.js';
import { type Command, CommandError, type Io, messageOf, print } from './command.js';

const OPTIONS = {
  pcap: text('FILE', 'Where to write the packets, as pcapng; otherwise rx-netstack-demo.pcapng in this directory.'),
  loss: whole('PERCENT', 'How many frames the cable loses; otherwise 5.', 0, 40),
  seed: whole('N', 'Another run: the same seed always loses the same frames. Otherwise 7.', 0, 2 ** 32 - 1),
} as const;

const FILE = 'rx-netstack-demo.pcapng';
const CLIENT = '10.0.0.1';
const SERVER = '10.0.0.2';
/** Virtual milliseconds within which the page has to come. */
const PATIENCE = 600_000;
const CAPTION = 'The quick brown fox jumps over the lazy dog.';

/** The command. */
export const demo: Command = {
  name: 'demo',
  summary: 'Fetch a page between two hosts over an imperfect cable in memory, and show the packets; needs no root.',
  usage: '[--pcap FILE] [--loss PERCENT] [--seed N]',
  options: OPTIONS,
  examples: [
    ['demo', 'what it is all about'],
    ['demo --loss 20 --seed 3', 'a worse cable, and another run'],
    ['demo --pcap /tmp/demo.pcapng && rx-netstack dump /tmp/demo.pcapng', 'the capture, read again'],
  ],
  async run(args, io) {
    const { positionals, values } = parseArguments(args, OPTIONS);
    if (positionals.length > 0) throw new ArgumentError(`what is ${JSON.stringify(positionals[0])}?`);
    const { pcap = FILE, loss = 5, seed = 7 } = values;
    let file: FileSink;
    try {
      file = new FileSink(pcap);
    } catch (error) {
      throw new CommandError(`cannot write ${pcap}: ${messageOf(error)}`);
    }
    const show = new Show(file, loss / 100, seed, io);
    try {
      const right = await show.run();
      file.close();
      await print(io, `capture    ${resolve(pcap)} (rx-netstack dump ${pcap})\n`);
      return right ? 0 : 1;
    } finally {
      show.end();
      if (!file.failed) file.close();
    }
  },
};

/** One of the two hosts. */
interface Actor {
  readonly name: string;
  readonly env: Env;
  readonly me: Host;
  readonly received: PacketCounter;
  readonly sent: PacketCounter;
}

/** One run of the demo. */
class Show {
  // It shows the time of day in captures, and passes as fast as it can.
  private readonly scheduler = new SimulationScheduler({ start: Date.now() });
  private readonly pool = new FramePool();
  private readonly began = this.scheduler.now();
  private readonly wire: Env;
  private readonly ends: readonly LinkEnd[];
  private readonly client: Actor;
  private readonly server: Actor;
  private readonly writer: PcapngWriter;
  private readonly seed: number;
  private readonly io: Io;

  constructor(file: FileSink, loss: number, seed: number, io: Io) {
    this.io = io;
    this.seed = seed;
    this.writer = new PcapngWriter(file, { application: 'rx-netstack demo' });
    this.wire = this.environment(0);
    const impair = { delay: 10, jitter: 2, rate: 10_000_000, loss, duplicate: 0.02, reorder: 0.02, corrupt: 0.02 };
    const cable = link({ ends: ['client', 'server'], impair }, this.wire);
    this.ends = cable.ends;
    drops$(this.wire).subscribe(({ reason, operator }) =>
      this.say('cable ', `${dropReasonName(reason)}, from ${operator}`),
    );
    const [left, right] = cable.ends;
    this.client = this.actor(left, CLIENT, this.environment(1), true);
    this.server = this.actor(right, SERVER, this.environment(2), false);
  }

  /** Whether the page came through as it was sent. */
  async run(): Promise<boolean> {
    const { io, scheduler, client, server } = this;
    const started = performance.now();
    io.stdout.write(`Two hosts, a cable that loses, delays, doubles, reorders and corrupts; GET http://${SERVER}/\n\n`);
    const page = pageOf(this.seed);
    const web = createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/html', 'content-length': page.length }).end(page);
    });
    const listener = serveHttp(web, { tcp: server.me.tcp, port: 80 });
    const outcome = await this.fetch();
    const took = scheduler.now() - this.began;
    listener.close();
    // Until nothing is left to happen, after the time in which connections are remembered (2 MSL): nothing of them may be left either.
    await scheduler.advance(Infinity, () => io.signal.aborted);
    const left = [client, server].reduce((sum, { me }) => sum + me.tcp.size, this.pool.outstanding + scheduler.pending);
    const right = typeof outcome !== 'string' && outcome.equals(page);
    await print(
      io,
      `\npage       ${verdict(outcome, page)}
client     ${accountOf(client)}
server     ${accountOf(server)}
cable      ${reasons(this.wire.drops.toJSON())}
left over  ${left === 0 ? 'no connection, no frame, no timer' : `${left} connections, frames or timers`}
time       ${took.toFixed(1)} ms of virtual time, in ${(performance.now() - started).toFixed(0)} ms
`,
    );
    return right && left === 0;
  }

  end(): void {
    for (const end of this.ends) void end.close();
  }

  private environment(nth: number): Env {
    const { scheduler, pool } = this;
    return environment({ scheduler, pool, seed: this.seed + nth });
  }

  private actor(end: LinkEnd, address: string, env: Env, captured: boolean): Actor {
    const me = host({ device: end, addresses: [`${address}/24`], tcp: { initialRto: 300 } }, env);
    const received = new PacketCounter();
    const sent = new PacketCounter();
    const incoming$ = end.frames$.pipe(countPackets(received));
    const outgoing$ = (
      captured ? incoming$.pipe(capture(this.writer, { name: end.name, direction: 'inbound' }, env)) : incoming$
    ).pipe(
      me,
      countPackets(sent),
      logPackets(
        (frame) => pretty(frame),
        (line) => this.say(end.name, line),
        {},
        env,
      ),
    );
    const frames$ = captured
      ? outgoing$.pipe(capture(this.writer, { name: end.name, direction: 'outbound' }, env))
      : outgoing$;
    frames$.subscribe(end.sink);
    drops$(env).subscribe(({ reason }) => this.say(end.name, `dropped: ${dropReasonName(reason)}`));
    return { name: end.name, env, me, received, sent };
  }

  private say(who: string, line: string): void {
    const time = (this.scheduler.now() - this.began).toFixed(3);
    this.io.stdout.write(`${time.padStart(9)}  ${who}  ${line}\n`);
  }

  /** What came, or why nothing did. */
  private async fetch(): Promise<Buffer | string> {
    const { tcp, env } = { ...this.client.me, env: this.client.env };
    let outcome: Buffer | string | undefined;
    const request = get({ host: SERVER, path: '/', agent: agent(tcp, { timers: env.timers }) }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', (error) => (outcome = messageOf(error)));
      response.on(
        'end',
        () => (outcome = response.statusCode === 200 ? Buffer.concat(chunks) : `status ${response.statusCode}`),
      );
    });
    request.on('error', (error) => (outcome = messageOf(error)));
    await this.scheduler.advance(PATIENCE, () => outcome !== undefined || this.io.signal.aborted);
    request.destroy();
    return outcome ?? 'it did not come in time';
  }
}

/** Another page for every seed, so that none can come from anywhere else. */
function pageOf(seed: number): Buffer {
  const rows = Array.from({ length: 200 }, (_, i) => {
    const digest = createHash('sha256').update(`${seed} ${i}`).digest('hex');
    return `<tr><td>${i}</td><td>${digest}</td></tr>\n`;
  });
  return Buffer.from(`<!doctype html><title>${CAPTION}</title>\n<table>\n${rows.join('')}</table>\n`);
}

function verdict(outcome: Buffer | string, page: Buffer): string {
  if (typeof outcome === 'string') return `did not come: ${outcome}`;
  const size = `${outcome.length.toLocaleString('en-US')} bytes`;
  return outcome.equals(page) ? `${size}, right to the last one` : `${size}, WRONG`;
}

function accountOf({ me, env, received, sent }: Actor): string {
  const { retransmits } = me.tcp.counters;
  const traffic = `sent ${sent.packets} packets (${retransmits} again), received ${received.packets}`;
  return `${traffic}; dropped: ${reasons(env.drops.toJSON())}`;
}

function reasons(drops: Readonly<Record<string, number>>): string {
  const list = Object.entries(drops).map(([reason, count]) => `${reason} ${count}`);
  return list.length === 0 ? 'nothing' : list.join(', ');
}
