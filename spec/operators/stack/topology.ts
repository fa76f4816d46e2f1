/**
 * Networks that a seed draws: hosts of both IP versions on switches in a row whose links are bad in various ways, some of which are cut for a while, and
 * connections between them, all at once.
 */

import { expect } from 'chai';
import { type IpVersion, parseIp } from '../../../lib/core/address.js';
import { SeededRandom } from '../../../lib/core/random.js';
import {
  learningSwitch,
  type Network,
  network,
  type NetworkHostOptions,
  type NetworkLinkOptions,
} from '../../../operators/testing/index.js';
import { Invariants } from '../../lib/l4/tcp/invariants.js';
import { Dice, switches, WINDOWS } from '../../lib/l4/tcp/scenario.js';
import { Peer } from './peer.js';
import { bytesOf } from './transfer.js';

const PATIENT = { maxMulticastSolicit: 1000, retransTimer: 200, baseReachable: 3000, delayFirstProbe: 500 };
const MTUS = [1280, 1492, 1500, 1500, 4000, 9000];
/** More events than any of them needs by far. */
const ENDLESS = 3_000_000;

/** What a run was like. */
export interface Outcome {
  readonly hosts: number;
  readonly switches: number;
  readonly connections: number;
  readonly cuts: number;
  readonly retransmits: number;
  /** Milliseconds. */
  readonly duration: number;
}

interface Drawn {
  readonly net: Network;
  readonly hosts: readonly string[];
  readonly switches: number;
}

function draw(seed: number, dice: Dice): Drawn {
  const switchNames = Array.from({ length: dice.below(4) }, (_, i) => `s${i}`);
  const hosts = Array.from({ length: 2 + dice.below(4) }, (_, i) => `h${i}`);
  const mtu = dice.one(MTUS);
  // Links in a row lose more than one.
  const worst = switchNames.length === 0 ? 0.3 : 0.1;
  const links: Record<string, NetworkLinkOptions> = {};
  const lay = (...between: string[]) => {
    links[between.join('-')] = { between, mtu, impair: badness(dice, worst) };
  };
  if (switchNames.length === 0) lay(...hosts);
  for (const [i, name] of switchNames.entries()) if (i > 0) lay(switchNames[i - 1] ?? '', name);
  // In a row, with a host at each end: a switch has two ports at least.
  if (switchNames.length > 0) {
    for (const [i, name] of hosts.entries())
      lay(name, i < 2 ? (switchNames[i * (switchNames.length - 1)] ?? '') : dice.one(switchNames));
  }
  const of = (i: number): NetworkHostOptions => ({
    addresses: [`10.0.0.${i + 1}/24`, `fd00::${i + 1}/64`],
    neighbours: PATIENT,
    tcp: switches(dice),
  });
  const net = network({
    seed,
    hosts: Object.fromEntries(hosts.map((name, i) => [name, of(i)])),
    nodes: Object.fromEntries(switchNames.map((name) => [name, learningSwitch()])),
    links,
  });
  return { net, hosts, switches: switchNames.length };
}

function badness(dice: Dice, worst: number): NonNullable<NetworkLinkOptions['impair']> {
  const kind = dice.one(['drop-tail', 'red', 'codel'] as const);
  return {
    loss: dice.some(worst),
    duplicate: dice.some(worst),
    corrupt: dice.some(worst / 3),
    reorder: dice.some(0.3),
    reorderDelay: dice.float() * 40,
    delay: dice.some(60),
    jitter: dice.some(40),
    ...(dice.rarely(4) ? { burstLoss: { fail: dice.float() * 0.01, recover: 0.1 + dice.float() * 0.5 } } : {}),
    ...(dice.rarely(4)
      ? { rate: 1e6 + dice.below(2e7), queue: { kind, frames: 5 + dice.below(100), ecn: dice.rarely(2) } }
      : {}),
  };
}

/** Cuts links for some seconds; returns how many. */
function cut({ net }: Drawn, dice: Dice): number {
  let cuts = 0;
  for (const link of Object.values(net.links)) {
    if (!dice.rarely(4)) continue;
    cuts++;
    const from = dice.float() * 3000;
    net.scheduler.schedule(() => link.partition(), from);
    net.scheduler.schedule(() => link.heal(), from + dice.float() * 20_000);
  }
  return cuts;
}

/** The two ends of a connection. */
interface Pipe {
  readonly what: string;
  readonly ends: readonly [Peer, Peer];
  readonly data: readonly [Uint8Array, Uint8Array];
}

function connect({ net, hosts }: Drawn, dice: Dice, number: number): Pipe {
  const client = dice.below(hosts.length);
  const server = (client + 1 + dice.below(hosts.length - 1)) % hosts.length;
  const version: IpVersion = dice.rarely(2) ? 4 : 6;
  const address = parseIp(version === 4 ? `10.0.0.${server + 1}` : `fd00::${server + 1}`);
  const port = 80 + number;
  const sides = [client, server].map((i) => {
    const host = net.hosts[hosts[i] ?? ''];
    if (host === undefined) throw new Error('a host that was not drawn');
    return {
      host,
      options: { receiveBuffer: dice.one(WINDOWS), sendBuffer: dice.one(WINDOWS), noDelay: dice.rarely(2) },
    };
  });
  const [from, to] = sides;
  if (from === undefined || to === undefined) throw new Error('two ends');
  const amount = (window: number) => bytesOf(dice.below(Math.min(40 * window, dice.one([100, 30_000, 100_000]))), dice);
  const data = [
    amount(Math.min(from.options.sendBuffer, to.options.receiveBuffer)),
    amount(Math.min(to.options.sendBuffer, from.options.receiveBuffer)),
  ] as const;
  const peer = (i: 0 | 1) =>
    new Peer(
      {
        data: data[i],
        piece: dice.one([500, 5000, 1 << 20]),
        ...(dice.rarely(3) ? { sip: 500 + dice.below(20_000) } : {}),
        ...(dice.rarely(4) ? { pause: dice.float() * 50 } : {}),
      },
      net.hosts[hosts[0] ?? '']?.env ?? from.host.env,
      new SeededRandom(dice.uint32()),
    );
  const ends = [peer(0), peer(1)] as const;
  const listener = to.host.tcp.listen({ address, port }, to.options);
  listener.acceptable = () => {
    ends[1].connection = listener.accept();
    if (ends[1].connection === undefined) return;
    ends[1].connection.handler = ends[1];
    ends[1].connected();
    listener.close();
  };
  ends[0].connection = from.host.tcp.connect({ address, port }, ends[0], from.options);
  return { what: `${hosts[client]} to ${hosts[server]} port ${port}, IPv${version}`, ends, data };
}

/** Runs what the seed draws to its end, checking every invariant on the way, and asserts that all was right and nothing is left. */
export function traverse(seed: number): Outcome {
  const dice = new Dice(seed);
  const drawn = draw(seed, dice);
  const { net, hosts } = drawn;
  const tcps = Object.values(net.hosts).map(({ tcp }) => tcp);
  const invariants = new Invariants(tcps);
  const cuts = cut(drawn, dice);
  const pipes = Array.from({ length: 1 + dice.below(5) }, (_, i) => connect(drawn, dice, i));
  for (let events = 0; net.scheduler.step(); events++) {
    invariants.check();
    if (events > ENDLESS) throw new Error(`no end after ${events} events and ${net.now} ms`);
  }
  // What streams failed with, if any did.
  net.run();
  for (const { what, ends, data } of pipes) {
    for (const i of [0, 1] as const) {
      const { bytes, error, closes } = ends[i];
      const expected = data[i === 0 ? 1 : 0];
      const facts = `${what}, end ${i}: ${bytes.length} of ${expected.length} bytes, ${error?.code}`;
      expect(Buffer.compare(bytes, expected), facts).to.equal(0);
      expect([error, closes], facts).to.deep.equal([undefined, 1]);
    }
  }
  net.assertIdle();
  const duration = net.now;
  const retransmits = tcps.reduce((sum, { counters }) => sum + counters.retransmits, 0);
  net.dispose();
  net.assertIdle();
  return { hosts: hosts.length, switches: drawn.switches, connections: pipes.length, cuts, retransmits, duration };
}
