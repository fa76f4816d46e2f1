import { expect } from 'chai';
import { SeededRandom } from '../../../../lib/core/random.js';
import type { TcpOptions } from '../../../../lib/l4/tcp/options.js';
import { forBothVersions } from '../../../both-versions.js';
import { App, type Carry, join, Pair, pattern } from './pair.js';

/** Of each version. */
const SEEDS = 100;
const BUFFERS = [1, 2, 7, 100, 535, 1000, 1460, 2000, 4096, 10_000, 65_535, 65_536, 200_000, 1 << 20];

/** A pipe that loses, doubles, delays and corrupts, as a seed will have it. */
function impaired(random: SeededRandom): Carry {
  const loss = random.below(3) === 0 ? 0 : random.float() * 0.15;
  const doubling = random.below(2) === 0 ? 0 : random.float() * 0.1;
  const corruption = random.below(2) === 0 ? 0 : random.float() * 0.05;
  const jitter = random.below(2) === 0 ? 0 : random.float() * 40;
  const base = random.float() * 50;
  return (bytes) => {
    if (random.float() < loss) return [];
    if (random.float() < corruption) {
      const at = random.below(bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
    }
    const delay = () => base + random.float() * jitter;
    return random.float() < doubling ? [delay(), delay()] : [delay()];
  };
}

forBothVersions('TCP over an impaired pipe', ({ version }) => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    it(`bytes out are bytes in, and nothing is left behind: seed ${seed}`, () => {
      const random = new SeededRandom(seed);
      const buffer = () => BUFFERS[random.below(BUFFERS.length)] ?? 1;
      const options = (): TcpOptions => ({
        timestamps: random.below(2) === 0,
        windowScaling: random.below(4) > 0,
        sack: random.below(2) === 0,
        synRetries: 30,
        synAckRetries: 30,
        dataRetries: 30,
        maxRto: 2000,
      });
      const pair = new Pair({ version, seed, carry: impaired(random.fork()), tcp: [options(), options()] });
      const sides = [0, 1].map(() => ({
        receiveBuffer: buffer(),
        sendBuffer: buffer(),
        noDelay: random.below(2) === 0,
        ...(random.below(3) === 0 ? { maxSegmentSize: 1 + random.below(1460) } : {}),
      }));
      const [a = {}, b = {}] = sides;
      // A window of a byte moves a byte per round trip.
      const size = (sender: object, receiver: object) => {
        const window = Math.min(...[sender, receiver].flatMap((side) => Object.values(side)).filter(Number.isInteger));
        return Math.min(200_000, random.below(window * 300));
      };
      const up = pattern(size(a, b), seed);
      const down = pattern(size(b, a), seed + 1);
      const client = new App(up);
      const server = new App(down);
      join(pair, client, server, { client: a, server: b });
      pair.scheduler.run();
      expect(Buffer.compare(server.data, up), `${server.receivedBytes} of ${up.length} up`).to.equal(0);
      expect(Buffer.compare(client.data, down), `${client.receivedBytes} of ${down.length} down`).to.equal(0);
      expect([client.error, server.error]).to.deep.equal([undefined, undefined]);
      expect([client.closedCount, server.closedCount]).to.deep.equal([1, 1]);
      pair.expectClean();
    });
  }
});
