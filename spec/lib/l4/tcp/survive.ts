/** Runs the scenario of a seed from its first SYN to the last timer, checking every invariant on the way, and what came of it. */

import { expect } from 'chai';
import type { IpVersion } from '../../../../lib/core/address.js';
import { SeededRandom } from '../../../../lib/core/random.js';
import type { TcpOptions } from '../../../../lib/l4/tcp/options.js';
import { Peer } from '../../../operators/stack/peer.js';
import { Invariants } from './invariants.js';
import { type Carry, Pair } from './pair.js';
import { type Scenario, scenario } from './scenario.js';

/** More events than any of them needs by far: what takes more goes round in a circle. */
const ENDLESS = 1_500_000;

/** Opens the connection: from host 0 to host 1, or from both at once. */
function open({ course, fastOpen, sides }: Scenario, pair: Pair, peers: readonly [Peer, Peer]): void {
  const [here, there] = peers;
  const [from, to] = pair.ends;
  if (course === 'simultaneous open') {
    const at = [1001, 1002] as const;
    here.connection = pair.hosts[0].connect({ address: to, port: at[1] }, here, {
      ...sides[0].options,
      localPort: at[0],
    });
    there.connection = pair.hosts[1].connect({ address: from, port: at[0] }, there, {
      ...sides[1].options,
      localPort: at[1],
    });
    return;
  }
  const listener = pair.hosts[1].listen(
    { address: to, port: 80 },
    { ...sides[1].options, fastOpen: fastOpen ? 10 : 0 },
  );
  listener.acceptable = () => {
    there.connection = listener.accept();
    if (there.connection === undefined) return;
    there.connection.handler = there;
    there.connected();
  };
  here.connection = pair.hosts[0].connect({ address: to, port: 80 }, here, { ...sides[0].options, fastOpen });
  // What it writes at once goes with the SYN.
  if (fastOpen) here.connected();
}

/** What is done with a scenario beside running it. */
export interface Observation {
  /** Whether the devices cut what the hosts send. Default false. */
  readonly offload?: boolean;
  /** Options of both hosts in place of those that the seed says. */
  readonly tcp?: TcpOptions;
  /** Sees each packet that enters the pipe, and may change its bytes. */
  readonly seen?: (bytes: Uint8Array, from: 0 | 1, now: number) => void;
}

/** See the module. */
export function survive(seed: number, version: IpVersion, { offload = false, tcp, seen }: Observation = {}): Pair {
  const drawn = scenario(seed, version);
  const { course, mtu, carry, sides } = drawn;
  const options = (end: 0 | 1) => ({ ...sides[end].tcp, ...tcp });
  const watched: Carry = (bytes, from, now) => {
    seen?.(bytes, from, now);
    return carry(bytes, from, now);
  };
  const pair = new Pair({ version, seed, mtu, offload, carry: watched, tcp: [options(0), options(1)] });
  const random = new SeededRandom(seed);
  const peers = [0, 1].map((i) => new Peer(sides[i as 0 | 1].plan, pair.env, random.fork()));
  const [here, there] = peers as [Peer, Peer];
  const invariants = new Invariants(pair.hosts);
  open(drawn, pair, [here, there]);
  for (let events = 0; pair.scheduler.step(); events++) {
    invariants.check();
    if (events > ENDLESS) throw new Error(`${course}: no end after ${events} events and ${pair.scheduler.now()} ms`);
  }
  const abrupt = course === 'abort' || course === 'close unread';
  for (const [what, { plan }, { bytes, closes, error, connection }] of [
    ['up', sides[0], there],
    ['down', sides[1], here],
  ] as const) {
    const expected = abrupt ? plan.data.subarray(0, bytes.length) : plan.data;
    const facts = `${course}, ${what}: ${bytes.length} of ${plan.data.length} bytes, ${error?.code}`;
    expect(Buffer.compare(bytes, expected), facts).to.equal(0);
    // Who was reset before the handshake was done never had a connection.
    expect(closes, `${facts}, closed`).to.equal(abrupt && connection === undefined ? 0 : 1);
    if (!abrupt) expect(error, facts).to.equal(undefined);
  }
  pair.expectClean();
  return pair;
}
