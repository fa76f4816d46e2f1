import { expect } from 'chai';
import { SeededRandom } from '../../../lib/core/random.js';
import { network } from '../../../operators/testing/index.js';
import { forBothVersions } from '../../both-versions.js';
import { Peer } from './peer.js';
import { bytesOf, forSeeds, type Side, transfer } from './transfer.js';

const BUFFERS = [1, 2, 3, 10, 64, 500, 536, 1460, 1461, 3000];

/** Longest read of an end, and its receive buffer. */
interface Reader {
  readonly buffer: number;
  readonly sip: number;
}

function reader(random: SeededRandom): Reader {
  const size = buffer(random);
  return { buffer: size, sip: random.below(2) === 0 ? 1 + random.below(2 * size) : 65_536 };
}

/** An end that reads in sips, with pauses of up to half a minute, through a buffer of hardly anything. */
function slowSide(random: SeededRandom, own: Reader, other: Reader): Side {
  const length = random.below(12 * Math.min(other.buffer, 4 * other.sip));
  return {
    plan: {
      data: bytesOf(length, random),
      piece: 1 + random.below(2000),
      pause: random.float() * 30_000,
      sip: own.sip,
    },
    options: { receiveBuffer: own.buffer, sendBuffer: buffer(random), noDelay: random.below(2) === 0 },
    tcp: { windowScaling: random.below(2) === 0, timestamps: random.below(2) === 0 },
  };
}

function buffer(random: SeededRandom): number {
  return BUFFERS[random.below(BUFFERS.length)] ?? 1;
}

forBothVersions('receive credit', (facts) => {
  const met = { blocked: 0, probes: 0 };

  for (let first = 1001; first < 1100; first += 50) {
    const last = first + 49;
    it(`a window that closed reopens, a write that blocked drains, even if updates get lost: seeds ${first} to ${last}`, () => {
      forSeeds(first, last, (seed) => {
        const random = new SeededRandom(seed);
        const [one, other] = [reader(random), reader(random)];
        const a = slowSide(random, one, other);
        const b = slowSide(random, other, one);
        const link = {
          impair: { delay: random.float() * 50, loss: random.below(3) === 0 ? 0 : random.float() * 0.2 },
          // What the reader says of its window is lost more often than not.
          impairFrom: { b: { loss: random.float() * 0.6 } },
        };
        const { blocked, counters } = transfer(seed, link, a, b, random, facts);
        met.blocked += blocked;
        for (const { windowProbes } of counters) met.probes += windowProbes;
      });
    });
  }

  it('has met in all that what it was to survive', () => {
    expect(met.blocked).to.be.greaterThan(1000);
    expect(met.probes).to.be.greaterThan(1000);
  });

  for (const buffers of [1, 100, 1460, 5000, 65_535, 200_000]) {
    it(`survives a reader that sleeps for a day and whose window updates then all get lost: ${buffers} bytes`, () => {
      const net = network({ seed: buffers, hosts: { a: facts.cidr(facts.a), b: facts.cidr(facts.b) } });
      const { a, b } = net.hosts;
      const random = new SeededRandom(buffers);
      const data = bytesOf(3 * buffers + 10, random);
      const sender = new Peer({ data, piece: 1_000_000 }, a.env, random);
      const listener = b.tcp.listen({ address: facts.any, port: 80 }, { receiveBuffer: buffers });
      sender.connection = a.tcp.connect({ address: facts.b, port: 80 }, sender, {
        sendBuffer: buffers,
      });
      net.runFor(86_400_000);
      const connection = listener.accept();
      if (connection === undefined) return expect.fail('nothing to accept');
      expect(connection.state).to.equal('ESTABLISHED');
      // A window that a SYN can offer is whole segments, where it has room for one; it does not grow while nobody reads.
      const segment = net.hosts.a.tcp.connections().next().value?.info().sndMss ?? 0;
      const whole = buffers > segment && buffers <= 0xffff;
      expect(connection.readableBytes).to.equal(whole ? buffers - (buffers % segment) : buffers);
      expect(sender.blocked).to.be.greaterThan(0);
      const received: Uint8Array[] = [];
      const read = () => {
        for (let bytes = connection.read(); bytes !== undefined; bytes = connection.read()) received.push(bytes);
        if (connection.readEnded) connection.end();
      };
      // Nothing of what it says now arrives: the sender has to ask.
      net.links.lan.end('b').partition();
      read();
      net.runFor(500);
      net.links.lan.end('b').heal();
      connection.handler = { connected() {}, readable: read, writable() {}, flushed() {}, closed() {} };
      net.run();
      expect(Buffer.concat(received).equals(data)).to.equal(true);
      listener.close();
      net.assertIdle();
      net.dispose();
    });
  }
});
