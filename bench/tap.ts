/**
 * TCP and UDP over a TAP, beside the kernel's own over veth, in one run: the rounds interleave, the application and the load are the same programs.
 * The namespaces are this benchmark's own.
 */

import { fileURLToPath } from 'node:url';
import type { Load } from './client.js';
import { Namespace, whyNoNamespaces } from './namespace.js';
import { type Row, row } from './report.js';
import { ready } from './ready.js';

/** Options of {@link tapBenchmark}. */
export interface TapOptions {
  readonly rounds: number;
  /** Seconds per figure and round. */
  readonly seconds: number;
}

interface Peer {
  readonly name: string;
  readonly address: string;
}

const SECTION = 'Host and kernel, over a TAP and over veth';
const STACK: Peer = { name: 'rx-netstack, TAP, no offload', address: '10.78.3.2' };
const STACK6: Peer = { name: 'rx-netstack, TAP, no offload, IPv6', address: 'fd78:3::2' };
const PLAIN: Peer = { name: 'kernel, veth, no offload', address: '10.78.2.2' };
const OFFLOAD: Peer = { name: 'kernel, veth, offloads', address: '10.78.1.2' };
// The versions of IP are next to each other, since they are compared.
const PEERS = [STACK, STACK6, PLAIN, OFFLOAD];

interface Figure {
  readonly title: string;
  readonly unit: string;
  readonly scale: number;
  readonly kind: Load['kind'];
  readonly parallel: number;
}

const FIGURES: readonly Figure[] = [
  { title: 'TCP, kernel to peer', unit: 'Gbit/s', scale: 1e-9, kind: 'send', parallel: 1 },
  { title: 'TCP, peer to kernel', unit: 'Gbit/s', scale: 1e-9, kind: 'receive', parallel: 1 },
  { title: 'TCP round trips, 64 B, 1 connection', unit: '/s', scale: 1, kind: 'roundTrips', parallel: 1 },
  { title: 'TCP round trips, 64 B, 64 connections', unit: '/s', scale: 1, kind: 'roundTrips', parallel: 64 },
  { title: 'TCP connections, one after the other', unit: '/s', scale: 1, kind: 'connections', parallel: 1 },
  { title: 'TCP connections, 64 at once', unit: '/s', scale: 1, kind: 'connections', parallel: 64 },
  { title: 'UDP echo, 64 B, 64 under way', unit: '/s', scale: 1, kind: 'datagrams', parallel: 64 },
];

const program = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const node = (file: string, ...args: readonly string[]): readonly string[] => ['--import=tsx', program(file), ...args];

/** Measures, if it can; says why if it cannot. */
export async function tapBenchmark(options: TapOptions): Promise<Row[]> {
  const why = whyNoNamespaces();
  if (why !== undefined) {
    process.stderr.write(`SKIPPED: the TAP benchmark ${why}\n`);
    return [];
  }
  const client = new Namespace('client');
  const servers = [new Namespace('offload'), new Namespace('plain')];
  try {
    await setUp(client, servers);
    return await measure(client, options);
  } finally {
    client.remove();
    for (const server of servers) server.remove();
  }
}

async function setUp(client: Namespace, servers: readonly Namespace[]): Promise<void> {
  const started: Promise<void>[] = [];
  // With tens of thousands of ports in TIME-WAIT it would be the client's search for a free one that is measured.
  const ports = ['net.ipv4.tcp_max_tw_buckets=64', 'net.ipv4.ip_local_port_range=1024 65535'];
  await client.run('sysctl', ['-q', '-w', ...ports]);
  for (const [i, server] of servers.entries()) {
    const [near, far] = [`near${i}`, `far${i}`];
    client.ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', server.name);
    client.ip('addr', 'add', `10.78.${i + 1}.1/24`, 'dev', near);
    server.ip('addr', 'add', `10.78.${i + 1}.2/24`, 'dev', far);
    client.ip('link', 'set', near, 'up');
    server.ip('link', 'set', far, 'up');
    if (i === 1) {
      const off = ['tx', 'off', 'rx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'off'];
      for (const ran of [
        await client.run('ethtool', ['-K', near, ...off]),
        await server.run('ethtool', ['-K', far, ...off]),
      ])
        if (ran.code !== 0) throw new Error(`the comparison wants offloads off, by ethtool: ${ran.stderr}`);
    }
    started.push(ready(server.start(process.execPath, node('service.ts', 'kernel', `10.78.${i + 1}.2`))));
  }
  const addresses = [`${STACK.address}/24`, `${STACK6.address}/64`];
  const stack = node('service.ts', 'stack', addresses.join(','), '10.78.3.1/24,fd78:3::1/64');
  started.push(ready(client.start(process.execPath, stack)));
  await Promise.all(started);
}

async function measure(client: Namespace, options: TapOptions): Promise<Row[]> {
  const values = new Map(PEERS.map((peer) => [peer, FIGURES.map((): number[] => [])]));
  for (let round = 0; round < options.rounds; round++) {
    for (const peer of PEERS) {
      const rates = await load(client, peer, options.seconds);
      for (const [i, each] of rates.entries()) values.get(peer)?.[i]?.push(each);
      process.stderr.write(`round ${round + 1} of ${options.rounds}: ${peer.name}\n`);
    }
  }
  return FIGURES.flatMap(({ title, unit, scale }, i) => {
    const scaled = (peer: Peer) => (values.get(peer)?.[i] ?? []).map((value) => value * scale);
    const plain = row(SECTION, `${title}: ${PLAIN.name}`, unit, scaled(PLAIN));
    const ours = row(SECTION, `${title}: ${STACK.name}`, unit, scaled(STACK), { ...plain, name: 'kernel, no offload' });
    const six = row(SECTION, `${title}: ${STACK6.name}`, unit, scaled(STACK6), { ...ours, name: 'IPv4' });
    return [ours, six, plain, row(SECTION, `${title}: ${OFFLOAD.name}`, unit, scaled(OFFLOAD))];
  });
}

async function load(client: Namespace, peer: Peer, seconds: number): Promise<number[]> {
  const loads: Load[] = FIGURES.map(({ kind, parallel }) => ({ kind, parallel, seconds, address: peer.address }));
  const timeout = Math.ceil(FIGURES.length * (seconds + 10) * 1000);
  const ran = await client.run(process.execPath, node('client.ts', JSON.stringify(loads)), { timeout });
  const rates = ran.stdout.trim().split('\n').map(Number);
  if (ran.code !== 0 || rates.length !== FIGURES.length)
    throw new Error(`the load on ${peer.name} failed: ${ran.stderr}`);
  return rates;
}
