import { expect } from 'chai';
import * as fc from 'fast-check';
import { SeededRandom } from '../../../../lib/core/random.js';
import { ReceiveQueue } from '../../../../lib/l4/tcp/receive-queue.js';
import { pattern } from './pair.js';

/** Bytes of memory that the chunks of a queue lie in. */
function held(chunks: readonly Uint8Array[]): number {
  return [...new Set(chunks.map(({ buffer }) => buffer))].reduce((sum, { byteLength }) => sum + byteLength, 0);
}

function drain(queue: ReceiveQueue): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let chunk = queue.read(Infinity); chunk !== undefined; chunk = queue.read(Infinity)) chunks.push(chunk);
  return chunks;
}

describe('TCP receive queue', () => {
  it('gives back what came, however it came and is read, and nothing of a frame that is gone', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = new SeededRandom(seed);
        const data = pattern(300_000, seed);
        const queue = new ReceiveQueue();
        const read: Uint8Array[] = [];
        let put = 0;
        while (put < data.length) {
          const count = Math.min(data.length - put, 1 + random.below(random.below(4) === 0 ? 60_000 : 3000));
          const frame = new Uint8Array(10 + count);
          frame.set(data.subarray(put, put + count), 10);
          if (random.below(8) === 0) queue.push(frame.slice(10));
          else queue.lend(frame, 10, 10 + count);
          put += count;
          for (let i = random.below(4); i > 0; i--) takeSome(queue, random, read);
          queue.keep();
          frame.fill(0xdb);
          if (random.below(3) === 0) takeSome(queue, random, read);
          expect(queue.length).to.equal(put - read.reduce((sum, { length }) => sum + length, 0));
        }
        read.push(...drain(queue));
        expect(Buffer.compare(Buffer.concat(read), data)).to.equal(0);
        expect(queue.length).to.equal(0);
      }),
      { numRuns: 40 },
    );
  });

  it('gives what is lent without a copy', () => {
    const queue = new ReceiveQueue();
    const frame = pattern(100);
    queue.lend(frame, 20, 80);
    expect(queue.take(10)).to.equal(10);
    expect([queue.taken === frame, queue.takenFrom]).to.deep.equal([true, 20]);
    expect(queue.take(100)).to.equal(50);
    expect([queue.taken === frame, queue.takenFrom]).to.deep.equal([true, 30]);
    expect(queue.take(100)).to.equal(0);
  });

  it('gives a reader memory of its own', () => {
    const queue = new ReceiveQueue();
    const frame = pattern(100);
    queue.lend(frame, 0, 100);
    expect(queue.read(100)?.buffer).not.to.equal(frame.buffer);
  });

  for (const [size, count, most] of [
    [1, 1, 1],
    [1448, 1, 1448],
    [1, 4096, 4097],
    [100, 41, 4196],
    [1448, 100, 2 * 144_800],
    [65_160, 4, 260_640],
  ] as const) {
    it(`holds ${count} times ${size} bytes in no more than ${most}`, () => {
      const queue = new ReceiveQueue();
      for (let i = 0; i < count; i++) {
        queue.lend(new Uint8Array(size), 0, size);
        queue.keep();
      }
      expect(held(drain(queue))).to.be.at.most(most);
    });
  }

  for (const [lent, pushed, count] of [
    [1, 1, 4096],
    [1, 1448, 200],
    [1, 1024, 200],
    [1448, 1, 200],
    [700, 1100, 200],
  ] as const) {
    it(`holds ${count} pairs of ${lent} bytes in order and ${pushed} out of order in no more than twice their size`, () => {
      const queue = new ReceiveQueue();
      for (let i = 0; i < count; i++) {
        queue.lend(new Uint8Array(lent), 0, lent);
        queue.push(new Uint8Array(pushed));
      }
      expect(held(drain(queue))).to.be.at.most(2 * count * (lent + pushed));
    });
  }

  it('has few pieces of what waits long', () => {
    const queue = new ReceiveQueue();
    for (let i = 0; i < 300; i++) queue.append(new Uint8Array(1448), 0, 1448);
    expect(drain(queue)).to.have.length.below(20);
  });
});

function takeSome(queue: ReceiveQueue, random: SeededRandom, read: Uint8Array[]): void {
  const max = 1 + random.below(5000);
  const how = random.below(3);
  if (how === 0) {
    const chunk = queue.read(max);
    if (chunk !== undefined) read.push(chunk);
  } else if (how === 1) {
    const count = queue.take(max);
    read.push(queue.taken.slice(queue.takenFrom, queue.takenFrom + count));
  } else {
    const seen = queue.peek(max)?.slice();
    const chunk = queue.read(max);
    expect(seen).to.deep.equal(chunk);
    if (chunk !== undefined) read.push(chunk);
  }
}
