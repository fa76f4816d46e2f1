/**
 * Forwarding: packets a second through routers of ours and of the kernel, between two namespaces, in one run. Rounds interleave: everybody is sent one kind of
 * traffic, then everybody the next. What the load cannot get rid of is lost in front of the router, so that it is what the router takes that is counted.
 */

import { builtRows } from './built-rows.js';
import { SOURCES, PLAN } from './forward-plan.js';
import { type ForwardReport, TRAFFIC, type Traffic } from './forward-report.js';
import { type Forwarder, FORWARDERS } from './forwarders.js';
import { Namespace, whyNoNamespaces } from './namespace.js';
import { versions } from './peers.js';
import { type Program, Workshop } from './programs.js';
import { machine } from './report.js';
import { figureOf, type PeerResult } from './tap-report.js';

/** Options of {@link forwardBenchmark}. */
export interface ForwardBenchOptions {
  readonly rounds: number;
  /** Seconds per figure and round. */
  readonly seconds: number;
  /** Only those whose names contain one of these. */
  readonly only?: readonly string[];
}

/** Measures, if it can; says why if it cannot. */
export async function forwardBenchmark(options: ForwardBenchOptions): Promise<ForwardReport | undefined> {
  const why = whyNoNamespaces();
  if (why !== undefined) {
    process.stderr.write(`SKIPPED: the forwarding benchmark ${why}\n`);
    return undefined;
  }
  const bench = new ForwardBench(options);
  try {
    return await bench.run();
  } finally {
    bench.remove();
  }
}

interface Running extends Ends {
  readonly forwarder: Forwarder;
  readonly values: Map<Traffic, number[]>;
}

/** Seconds for a router to compile itself, and to learn of its neighbours, before the first round. */
const FIRST_WARM_UP = 0.25;
const WARM_UP = 0.15;

class ForwardBench {
  private readonly options: ForwardBenchOptions;
  private readonly workshop = new Workshop();
  private readonly namespaces: Namespace[] = [];
  private readonly running: Running[] = [];
  private readonly skipped: { name: string; missing: string }[] = [];

  constructor(options: ForwardBenchOptions) {
    this.options = options;
  }

  /** @throws Error without a C compiler, or if a program fails */
  async run(): Promise<ForwardReport> {
    const { rounds, seconds, only } = this.options;
    const load = this.workshop.c('packets');
    if (load === undefined) throw new Error('the load of the forwarding benchmark needs gcc');
    for (const forwarder of FORWARDERS)
      if (only === undefined || only.some((part) => forwarder.name.includes(part))) await this.start(forwarder);
    for (const one of this.running) await this.warmUp(load, one);
    for (let round = 0; round < rounds; round++) {
      for (const traffic of TRAFFIC) {
        for (const one of this.running)
          one.values.get(traffic)?.push(await forwarded(load, one, traffic, { seconds, warmUp: WARM_UP }));
        process.stderr.write(`round ${round + 1} of ${rounds}: ${traffic.title}\n`);
      }
    }
    return await this.report();
  }

  private namespace(label: string): Namespace {
    const namespace = new Namespace(label);
    this.namespaces.push(namespace);
    return namespace;
  }

  private async start(forwarder: Forwarder): Promise<void> {
    const { workshop } = this;
    const [client, server] = [this.namespace('client'), this.namespace('server')];
    const made = await forwarder.make({ client, server, workshop, between: () => this.namespace('router') });
    if (made !== undefined) {
      process.stderr.write(`SKIPPED: ${forwarder.name} needs ${made.missing}\n`);
      this.skipped.push({ name: forwarder.name, missing: made.missing });
      return;
    }
    const { translates } = forwarder;
    this.running.push({
      forwarder,
      client,
      server,
      translates,
      values: new Map(TRAFFIC.map((traffic) => [traffic, []])),
    });
    process.stderr.write(`ready: ${forwarder.name}\n`);
  }

  private async warmUp(load: Program, one: Running): Promise<void> {
    for (const traffic of TRAFFIC) {
      const rate = await forwarded(load, one, traffic, { seconds: 0.1, warmUp: FIRST_WARM_UP });
      if (rate === 0) throw new Error(`${one.forwarder.name} takes nothing further: ${traffic.title}`);
    }
  }

  private async report(): Promise<ForwardReport> {
    const { rounds, seconds } = this.options;
    const peers = this.running.map(({ forwarder: { name, against }, values }): PeerResult => {
      const figures = TRAFFIC.map((traffic) => [traffic.key, figureOf(values.get(traffic) ?? [])] as const);
      return { name, against, figures: Object.fromEntries(figures) };
    });
    const { gcc = 'unknown' } = versions();
    return {
      date: new Date().toISOString().slice(0, 10),
      machine: { ...machine(), gcc },
      rounds,
      seconds,
      peers,
      skipped: this.skipped,
      rows: await builtRows('forward', rounds, this.workshop),
    };
  }

  remove(): void {
    for (const namespace of this.namespaces) namespace.remove();
    this.workshop.remove();
  }
}

/** Between which namespaces packets are sent, and whether they come out with another source. */
export interface Ends {
  readonly client: Namespace;
  readonly server: Namespace;
  readonly translates: boolean;
}

/** Packets of a kind that arrive in a second. @throws Error if the load fails */
export async function forwarded(
  { command, args }: Program,
  { client, server, translates }: Ends,
  { version, length, flows }: Traffic,
  { seconds, warmUp }: { readonly seconds: number; readonly warmUp: number },
): Promise<number> {
  const { lan, wan } = PLAN;
  const source = SOURCES[version][translates ? 'translated' : 'own'];
  const ends = [client.name, lan.name, server.name, wan.name, lan.mac, source];
  const numbers = [length, flows, seconds, warmUp].map(String);
  const ran = await client.run(command, [...args, String(version), ...ends, ...numbers]);
  const rate = Number(ran.stdout);
  if (ran.code !== 0 || ran.stdout === '' || Number.isNaN(rate))
    throw new Error(`the load of the forwarding benchmark failed with ${ran.code}: ${ran.stderr}`);
  return rate;
}
