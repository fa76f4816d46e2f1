/**
 * TCP over a bad path: the kernel with itself, and with this stack, in one run. The path is the same code with the same settings both times: our operators
 * between two TAPs, or between a TAP and our host. Offloads do not cross a TAP. Where the path is the limit both run at the same time, else in turns; the
 * namespaces are this benchmark's own.
 */

import type { Impairments } from '../lib/l2/impairment.js';
import { type Load, loadOf, measured } from './load.js';
import { Namespace, whyNoNamespaces } from './namespace.js';
import { withOptions } from './peers.js';
import { node, type Program, Workshop } from './programs.js';
import { type Row, row } from './report.js';
import { ready } from './ready.js';

/** Options of {@link impairedBenchmark}. */
export interface ImpairedOptions {
  readonly rounds: number;
  /** Seconds per figure and round. */
  readonly seconds: number;
}

const SECTION = 'Over an impaired path of 100 Mbit/s, 20 ms there and back';
const FLOWS = 8;

interface Wire {
  readonly title: string;
  readonly impairments: Impairments;
  /** Congestion control of all senders on it. */
  readonly control: 'cubic' | 'bbr';
}

// Each way; the queue holds what the path holds. What is held back is overtaken by what is sent in the next milliseconds.
const BAD: Impairments = { delay: 10, loss: 0.01, reorder: 0.02, reorderDelay: 4, rate: 100e6, queueBytes: 250_000 };
const WIRES: readonly Wire[] = [
  { title: '1 % loss, 2 % reordered, CUBIC', impairments: BAD, control: 'cubic' },
  { title: '1 % loss, 2 % reordered, BBR', impairments: BAD, control: 'bbr' },
  // What the wires themselves carry, and the processes on them.
  { title: 'neither, and no limit, CUBIC', impairments: { delay: 10 }, control: 'cubic' },
];

interface Figure {
  readonly title: string;
  readonly kind: 'send' | 'receive';
}

const FIGURES: readonly Figure[] = [
  { title: 'kernel to peer', kind: 'send' },
  { title: 'peer to kernel', kind: 'receive' },
];

interface Peer {
  readonly wire: Wire;
  readonly name: 'rx-netstack' | 'kernel';
  /** The network between client and peer: 10.79.`net`.0/24. */
  readonly net: number;
}

const PEERS: readonly Peer[] = WIRES.flatMap((wire, i) => [
  { wire, name: 'rx-netstack', net: 2 * i + 1 },
  { wire, name: 'kernel', net: 2 * i + 2 },
]);

/** Measures, if it can; says why if it cannot. */
export async function impairedBenchmark(options: ImpairedOptions): Promise<Row[]> {
  const why = whyNoNamespaces();
  if (why !== undefined) {
    process.stderr.write(`SKIPPED: the impaired benchmark ${why}\n`);
    return [];
  }
  const workshop = new Workshop();
  const client = new Namespace('client');
  const server = new Namespace('server');
  try {
    for (const each of [client, server]) {
      // What one connection learnt of the path is not for the next one.
      each.sysctl('net.ipv4.tcp_no_metrics_save', 1);
    }
    await setUp(client, server, workshop);
    return await measure(client, loadOf(workshop), options);
  } finally {
    workshop.remove();
    client.remove();
    server.remove();
  }
}

async function setUp(client: Namespace, server: Namespace, workshop: Workshop): Promise<void> {
  const wires = node('wire.ts');
  for (const { wire, name, net } of PEERS) {
    const [near, far] = [`10.79.${net}.1/24`, `10.79.${net}.2/24`];
    const between = [`wire${net}`, client.name, near, server.name, far, JSON.stringify(wire.impairments)];
    const tap = { name: 'bench%d', peer: [near] };
    const options = { addresses: [far], wire: wire.impairments, tcp: { congestion: wire.control } };
    const { command, args } =
      name === 'kernel'
        ? { ...wires, args: [...wires.args, ...between] }
        : withOptions(workshop.stack('service'), { api: 'handlers', tap, ...options });
    await ready(client.start(command, args));
    // The default of a namespace cannot be any control; that of a route can.
    for (const each of name === 'kernel' ? [client, server] : [client]) useControl(each, net, wire.control);
  }
  const kernel = workshop.c('kernel') ?? withOptions(node('service.ts'), { api: 'kernel' });
  await ready(server.start(kernel.command, kernel.args));
}

function useControl(namespace: Namespace, net: number, control: string): void {
  const [route = ''] = namespace.ip('route', 'show', `10.79.${net}.0/24`).trim().split('\n');
  namespace.ip('route', 'replace', ...route.trim().split(/\s+/), 'congctl', control);
}

async function measure(client: Namespace, program: Program, options: ImpairedOptions): Promise<Row[]> {
  const values = new Map(PEERS.map((peer) => [peer, FIGURES.map((): number[] => [])]));
  for (let round = 0; round < options.rounds; round++) {
    for (const wire of WIRES) {
      // Those that the path limits run at once, so that both see the same machine; others would take it from each other, and take turns.
      const both = PEERS.filter((peer) => peer.wire === wire);
      const groups = wire.impairments.rate !== undefined ? [both] : both.map((peer) => [peer]);
      for (const group of round % 2 === 0 ? groups : groups.toReversed()) {
        const rates = await Promise.all(group.map((peer) => load(client, program, peer, options.seconds)));
        for (const [i, peer] of group.entries()) note(values.get(peer), rates[i] ?? [], peer, round);
      }
    }
  }
  return WIRES.flatMap((wire) =>
    FIGURES.flatMap(({ title }, i) => {
      const of = (name: Peer['name']) => PEERS.find((peer) => peer.wire === wire && peer.name === name);
      const figures = (name: Peer['name']) => {
        const peer = of(name);
        return (peer === undefined ? undefined : values.get(peer)?.[i]) ?? [];
      };
      const label = (name: Peer['name']) => `${wire.title}, ${FLOWS} flows, ${title}: ${name}`;
      const kernel = row(SECTION, label('kernel'), 'Mbit/s', figures('kernel'));
      const named = { ...kernel, name: 'kernel' };
      return [row(SECTION, label('rx-netstack'), 'Mbit/s', figures('rx-netstack'), named), kernel];
    }),
  );
}

function note(values: number[][] | undefined, rates: readonly number[], { wire, name }: Peer, round: number): void {
  for (const [i, rate] of rates.entries()) values?.[i]?.push(rate * 1e-6);
  const said = rates.map((rate) => (rate * 1e-6).toFixed(1)).join(' and ');
  process.stderr.write(`round ${round + 1}: ${wire.title}, ${name}: ${said}\n`);
}

async function load(client: Namespace, program: Program, { net }: Peer, seconds: number): Promise<number[]> {
  const address = `10.79.${net}.2`;
  const rates: number[] = [];
  for (const { kind } of FIGURES) {
    const load: Load = { kind, parallel: FLOWS, seconds, address, warmUp: 2 };
    rates.push(await measured(client, program, load));
  }
  return rates;
}
