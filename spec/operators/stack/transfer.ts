/** Two hosts on an imperfect link, and a connection between them that moves bytes both ways until both ends have closed. */

import { expect } from 'chai';
import type { SeededRandom } from '../../../lib/core/random.js';
import type { TcpConnectionOptions } from '../../../lib/l4/tcp/api.js';
import type { TcpCounters } from '../../../lib/l4/tcp/context.js';
import { type NetworkHostOptions, type NetworkLinkOptions, network } from '../../../operators/testing/index.js';
import { FACTS, type VersionFacts } from '../../both-versions.js';
import { Invariants } from '../../lib/l4/tcp/invariants.js';
import { Peer, type PeerPlan } from './peer.js';

const PORT = 80;
/** More events than any transfer needs by far: what takes more goes round in a circle. */
const ENDLESS = 2_000_000;
// Nobody gives up: what is tested is that every bad link is survived.
const PATIENT: NetworkHostOptions = {
  neighbours: { maxMulticastSolicit: 1000, retransTimer: 200, baseReachable: 3000, delayFirstProbe: 500 },
  tcp: { synRetries: 1000, synAckRetries: 1000, dataRetries: 1000, maxRto: 2000 },
};

/** One end of a transfer. */
export interface Side {
  readonly plan: PeerPlan;
  readonly options: TcpConnectionOptions;
  readonly tcp?: NetworkHostOptions['tcp'];
}

/** What a transfer was like. */
export interface Outcome {
  /** Milliseconds. */
  readonly duration: number;
  /** Writes that took less than they were given. */
  readonly blocked: number;
  readonly counters: readonly TcpCounters[];
  readonly traceHash: string;
}

/** Runs a transfer from end to end and asserts that it was right and left nothing. */
export function transfer(
  seed: number,
  link: NetworkLinkOptions,
  client: Side,
  server: Side,
  random: SeededRandom,
  { a: left, b: right, any, cidr }: VersionFacts = FACTS[4],
): Outcome {
  const hostOf = ({ tcp }: Side, address: string): NetworkHostOptions => ({
    ...PATIENT,
    addresses: address,
    tcp: { ...PATIENT.tcp, ...tcp },
  });
  const net = network({
    seed,
    hosts: { a: hostOf(client, cidr(left)), b: hostOf(server, cidr(right)) },
    links: { lan: link },
  });
  const { a, b } = net.hosts;
  const here = new Peer(client.plan, a.env, random.fork());
  const there = new Peer(server.plan, b.env, random.fork());
  const listener = b.tcp.listen({ address: any, port: PORT }, server.options);
  listener.acceptable = () => {
    const connection = listener.accept();
    if (connection === undefined) return;
    there.connection = connection;
    connection.handler = there;
    there.connected();
  };
  here.connection = a.tcp.connect({ address: right, port: PORT }, here, client.options);
  const invariants = new Invariants([a.tcp, b.tcp]);
  for (let events = 0; net.scheduler.step(); events++) {
    invariants.check();
    if (events > ENDLESS) throw new Error(`no end after ${events} events and ${net.now} ms`);
  }
  // What streams failed with, if any did.
  net.run();
  const duration = net.now;
  const state = () =>
    [here, there].map(({ receivedBytes, error, closes }) => `${receivedBytes} bytes, ${closes} closes, ${error?.code}`);
  expect(Buffer.compare(there.bytes, client.plan.data), `a to b: ${state().join('; ')}`).to.equal(0);
  expect(Buffer.compare(here.bytes, server.plan.data), `b to a: ${state().join('; ')}`).to.equal(0);
  expect([here.error, there.error, here.closes, there.closes]).to.deep.equal([undefined, undefined, 1, 1]);
  net.assertIdle();
  listener.close();
  const counters = [a.tcp.counters, b.tcp.counters];
  net.dispose();
  net.assertIdle();
  return { duration, blocked: here.blocked + there.blocked, counters, traceHash: net.traceHash() };
}

/** Runs `test` for each seed; where it fails, says with which, and how to run only that one again. */
export function forSeeds(first: number, last: number, test: (seed: number) => void): void {
  const chosen = Number(process.env['SEED'] ?? Number.NaN);
  for (let seed = first; seed <= last; seed++) {
    if (!Number.isNaN(chosen) && chosen !== seed) continue;
    try {
      test(seed);
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error);
      throw new Error(`seed ${seed}: ${what} (to run it alone, set SEED=${seed})`, { cause: error });
    }
  }
}

/** Bytes that differ from their neighbours everywhere. */
export function bytesOf(length: number, random: SeededRandom): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let i = 0; i < words.length; i++) words[i] = random.uint32();
  return new Uint8Array(words.buffer, 0, length);
}
