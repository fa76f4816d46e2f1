/**
 * TCP, UDP and ping over a TAP: this stack, other stacks, and the kernel's own over veth, in one run. Rounds interleave: everybody is asked for one figure, then
 * everybody for the next. The load is the same program for all of them. The namespaces are this benchmark's own.
 */

import type { ChildProcess } from 'node:child_process';
import { LatencyRequest } from '../drivers/native/wake-latency.js';
import { columnsOf, loadOf, measuredColumn, NODE_LOAD } from './load.js';
import { Namespace, whyNoNamespaces } from './namespace.js';
import { addressOf, PEERS, type Peer, versions } from './peers.js';
import { type Program, Workshop } from './programs.js';
import { ready } from './ready.js';
import { machine } from './report.js';
import { type Column, type Figure, figureOf, type PeerResult, type TapReport } from './tap-report.js';

/** Before the rounds that count: rounds, and seconds for a figure in each, for peers that are compiled while they run. */
const WARM_UP = { rounds: 3, seconds: 2.5 };

/** Options of {@link tapBenchmark}. */
export interface TapOptions {
  readonly rounds: number;
  /** Seconds per figure and round. */
  readonly seconds: number;
  /** Only those whose names contain one of these. */
  readonly only?: readonly string[];
}

/** Measures, if it can; says why if it cannot. */
export async function tapBenchmark(options: TapOptions): Promise<TapReport | undefined> {
  const why = whyNoNamespaces();
  if (why !== undefined) {
    process.stderr.write(`SKIPPED: the TAP benchmark ${why}\n`);
    return undefined;
  }
  const bench = new Bench(options);
  try {
    await bench.setUp();
    return await bench.run();
  } finally {
    bench.remove();
  }
}

interface Running {
  readonly peer: Peer;
  readonly address: string;
  readonly values: Map<Column, number[]>;
}

/** With tens of thousands of ports in TIME-WAIT it would be the load's search for a free one that is measured. */
export function withPorts(client: Namespace): void {
  client.sysctl('net.ipv4.tcp_max_tw_buckets', 64);
  client.sysctl('net.ipv4.ip_local_port_range', '1024 65535');
}

class Bench {
  private readonly options: TapOptions;
  private readonly workshop = new Workshop();
  private readonly client = new Namespace('client');
  private readonly namespaces: Namespace[] = [this.client];
  private readonly running: Running[] = [];
  private readonly skipped: { name: string; missing: string }[] = [];
  private program: Program = NODE_LOAD;
  private columns: readonly Column[] = [];

  constructor(options: TapOptions) {
    this.options = options;
  }

  async setUp(): Promise<void> {
    const { client, workshop } = this;
    withPorts(client);
    this.program = loadOf(workshop);
    if (this.program === NODE_LOAD) process.stderr.write('no gcc: the load is in Node, which limits it\n');
    this.columns = columnsOf(this.program);
    const server = (label: string) => {
      const namespace = new Namespace(label);
      this.namespaces.push(namespace);
      return namespace;
    };
    for (const [i, peer] of PEERS.entries()) {
      if (!this.isWanted(peer)) continue;
      const net = i + 1;
      const made = peer.make({ client, workshop, net, server });
      if ('missing' in made) this.skip(peer, made.missing);
      else await this.start(peer, addressOf(net, peer.version), made);
    }
  }

  private isWanted({ name }: Peer): boolean {
    const { only } = this.options;
    return only === undefined || only.some((part) => name.includes(part));
  }

  private skip({ name }: Peer, missing: string): void {
    process.stderr.write(`SKIPPED: ${name} needs ${missing}\n`);
    this.skipped.push({ name, missing });
  }

  private async start(peer: Peer, address: string, service: ChildProcess): Promise<void> {
    await ready(service);
    this.running.push({ peer, address, values: new Map(this.columns.map((column) => [column, []])) });
    process.stderr.write(`ready: ${peer.name}\n`);
  }

  async run(): Promise<TapReport> {
    const { rounds, seconds } = this.options;
    await this.measure(this.running.filter(({ peer }) => peer.awake === undefined));
    await this.measure(this.running.filter(({ peer }) => peer.awake !== undefined));
    const peers = this.running.map(({ peer, values }): PeerResult => {
      const figures = this.columns.map((column): [string, Figure] => [column.key, figureOf(values.get(column) ?? [])]);
      return { name: peer.name, against: peer.against, figures: Object.fromEntries(figures) };
    });
    const load = this.program === NODE_LOAD ? 'Node' : 'C';
    const described = { ...machine(), ...versions(), load };
    return {
      date: new Date().toISOString().slice(0, 10),
      machine: described,
      rounds,
      seconds,
      peers,
      skipped: this.skipped,
    };
  }

  private async measure(these: readonly Running[]): Promise<void> {
    const { rounds } = this.options;
    await this.warmUp(these);
    for (let round = 0; round < rounds; round++) {
      for (const column of this.columns) {
        for (const one of these) one.values.get(column)?.push(await this.figure(column, one));
        process.stderr.write(`round ${round + 1} of ${rounds}: ${column.title}\n`);
      }
    }
  }

  /** Has all of the code that the rounds use compiled: the rest of them is so from the beginning. */
  private async warmUp(these: readonly Running[]): Promise<void> {
    for (let round = 0; round < WARM_UP.rounds; round++) {
      for (const column of this.columns) {
        for (const one of these) if (one.peer.compiles === true) await this.figure(column, one, WARM_UP.seconds);
      }
      process.stderr.write(`warm-up ${round + 1} of ${WARM_UP.rounds}\n`);
    }
  }

  private async figure(
    column: Column,
    { peer, address }: Running,
    seconds: number = this.options.seconds,
  ): Promise<number> {
    const asked = () => measuredColumn(this.client, this.program, column, address, { seconds });
    if (peer.awake !== 'benchmark') return asked();
    const request = new LatencyRequest();
    try {
      request.ask(0);
      return await asked();
    } finally {
      request.close();
    }
  }

  remove(): void {
    for (const namespace of this.namespaces) namespace.remove();
    this.workshop.remove();
  }
}
