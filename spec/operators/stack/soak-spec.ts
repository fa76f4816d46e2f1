import { expect } from 'chai';
import { parseIp } from '../../../lib/core/address.js';
import type { TcpConnection } from '../../../lib/l4/tcp/api.js';
import type { TcpOptions } from '../../../lib/l4/tcp/options.js';
import type { Host } from '../../../operators/stack/host.js';
import { learningSwitch, type Network, network } from '../../../operators/testing/index.js';
import { Invariants } from '../../lib/l4/tcp/invariants.js';
import { Dice } from '../../lib/l4/tcp/scenario.js';
import { Peer } from './peer.js';
import { bytesOf } from './transfer.js';

const HOUR = 3_600_000;
const HOSTS = ['h0', 'h1', 'h2', 'h3', 'h4', 'h5'];
const CONNECTIONS = 3000;
const PORT = 80;
/** Between looks at all connections, in ms. */
const LOOK = 50;
const PATIENT = { maxMulticastSolicit: 1000, maxUnicastSolicit: 1000 };
// All that is off by default is on; nobody gives up within the cuts.
const EVERYTHING: TcpOptions = {
  ecn: 'on',
  pacing: true,
  mtuProbing: 'always',
  synRetries: 50,
  dataRetries: 50,
  maxRto: 10_000,
};

function world(seed: number): Network {
  const bad = { loss: 0.01, duplicate: 0.005, corrupt: 0.002, reorder: 0.02, reorderDelay: 8, jitter: 3 };
  const slow = { rate: 20e6, queue: { kind: 'codel', ecn: true } } as const;
  const links = Object.fromEntries(
    HOSTS.map((name, i) => [
      name,
      { between: [name, i < 3 ? 'left' : 'right'], impair: { ...bad, delay: 1 + 7 * i, ...(i % 2 === 0 ? slow : {}) } },
    ]),
  );
  return network({
    seed,
    hosts: Object.fromEntries(
      HOSTS.map((name, i) => [
        name,
        { addresses: [`10.0.0.${i + 1}/24`, `fd00::${i + 1}/64`], neighbours: PATIENT, tcp: EVERYTHING },
      ]),
    ),
    nodes: { left: learningSwitch(), right: learningSwitch() },
    links: { ...links, trunk: { between: ['left', 'right'], impair: { ...bad, delay: 20, rate: 100e6 } } },
  });
}

/** A request and its answer, of any size; some are given up half-way. */
class Exchange {
  readonly client: Peer;
  server: Peer | undefined = undefined;
  readonly up: Uint8Array;
  readonly down: Uint8Array;
  readonly aborts: boolean;
  private readonly dice: Dice;

  constructor(from: Host, dice: Dice) {
    this.dice = dice;
    const size = () => dice.one([100, 1000, 1000, 30_000, 200_000]);
    this.up = bytesOf(1 + dice.below(size()), dice);
    this.down = bytesOf(1 + dice.below(size()), dice);
    this.aborts = dice.rarely(20);
    const plan = { data: this.up, piece: 1 << 20, ...(this.aborts ? { abortAfter: dice.below(this.up.length) } : {}) };
    this.client = new Peer(plan, from.env, dice);
  }

  accept(connection: TcpConnection, at: Host): void {
    this.server = new Peer({ data: this.down, piece: 1 << 20, answers: this.dice.rarely(3) }, at.env, this.dice);
    this.server.connection = connection;
    connection.handler = this.server;
    this.server.connected();
  }

  /** It came out right. */
  check(): void {
    const { client, server, up, down, aborts } = this;
    expect(client.closes).to.equal(1);
    if (aborts) return;
    expect([client.error, server?.error, server?.closes]).to.deep.equal([undefined, undefined, 1]);
    expect(Buffer.compare(server?.bytes ?? new Uint8Array(0), up)).to.equal(0);
    expect(Buffer.compare(client.bytes, down)).to.equal(0);
  }
}

/** Starts an exchange between any two hosts over either version. */
function start(net: Network, dice: Dice, waiting: Map<string, Exchange>): Exchange {
  const client = dice.below(HOSTS.length);
  const server = (client + 1 + dice.below(HOSTS.length - 1)) % HOSTS.length;
  const from = net.hosts[HOSTS[client] ?? ''];
  if (from === undefined) throw new Error('a host that is not there');
  const address = parseIp(dice.rarely(2) ? `10.0.0.${server + 1}` : `fd00::${server + 1}`);
  const exchange = new Exchange(from, dice);
  const connection = from.tcp.connect({ address, port: PORT }, exchange.client, { keepAlive: true });
  exchange.client.connection = connection;
  waiting.set(`${connection.local.address.toString()} ${connection.local.port}`, exchange);
  return exchange;
}

describe('an hour of many connections with everything on', () => {
  it('leaves nothing behind', () => {
    const net = world(1);
    const dice = new Dice(1);
    const hosts = Object.values(net.hosts);
    const invariants = new Invariants(hosts.map(({ tcp }) => tcp));
    const waiting = new Map<string, Exchange>();
    const exchanges: Exchange[] = [];
    for (const host of hosts) {
      const listener = host.tcp.listen({ address: parseIp('::'), port: PORT }, { keepAlive: true });
      listener.acceptable = () => {
        for (let one = listener.accept(); one !== undefined; one = listener.accept()) {
          waiting.get(`${one.remote.address.toString()} ${one.remote.port}`)?.accept(one, host);
        }
      };
    }
    for (let i = 0; i < CONNECTIONS; i++) {
      net.scheduler.schedule(() => exchanges.push(start(net, dice, waiting)), dice.float() * HOUR);
    }
    // The network falls apart for some seconds every few minutes.
    for (let at = 0; at < HOUR; at += dice.float() * 600_000) {
      net.scheduler.schedule(() => net.links['trunk']?.partition(), at);
      net.scheduler.schedule(() => net.links['trunk']?.heal(), at + dice.float() * 15_000);
    }
    for (; net.now < HOUR; net.runFor(LOOK)) invariants.check();
    net.run();
    expect(exchanges).to.have.length(CONNECTIONS);
    for (const exchange of exchanges) exchange.check();
    net.assertIdle();
    expect(hosts.reduce((sum, { tcp }) => sum + tcp.counters.retransmits, 0)).to.be.above(1000);
    net.dispose();
    net.assertIdle();
  }).timeout(120_000);
});
