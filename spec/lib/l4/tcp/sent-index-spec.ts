/** Segments are found by sequence number, however far away, whatever became of others: held against a search from the first to the last. */

import { expect } from 'chai';
import { SeededRandom } from '../../../../lib/core/random.js';
import { Delivery } from '../../../../lib/l4/tcp/delivery.js';
import { SentQueue } from '../../../../lib/l4/tcp/sent-queue.js';
import { type SentSegment, SentSegmentPool } from '../../../../lib/l4/tcp/sent-segment.js';
import { after as isAfter } from '../../../../lib/l4/tcp/seq.js';
import { Lossy } from './lossy.js';

const SIZE = 100;
const SEEDS = 100;

function naive(queue: SentQueue, seq: number): SentSegment | undefined {
  let segment = queue.head;
  while (segment !== undefined && !isAfter(segment.end, seq)) segment = segment.next;
  return segment;
}

describe('the index of sent segments', () => {
  /** The account of an acknowledgment needs a connection. */
  const { c, dut } = new Lossy(4);
  const delivery = new Delivery();

  for (let seed = 1; seed <= SEEDS; seed += 50) {
    it(`finds what a search finds: seeds ${seed} to ${seed + 49}`, () => {
      for (let one = seed; one < seed + 50; one++) run(one);
    });
  }

  function run(seed: number): void {
    const random = new SeededRandom(seed);
    const queue = new SentQueue(new SentSegmentPool());
    // Across the end of the sequence space.
    let [una, nxt] = [0x7fff_f000, 0x7fff_f000];
    const any = () => naive(queue, (una + random.below(Math.max(1, (nxt - una) | 0))) | 0);
    for (let step = 0; step < 400; step++) {
      switch (random.below(8)) {
        case 0: {
          const ack = (una + random.below(1 + ((nxt - una) | 0))) | 0;
          delivery.begin(c, 0);
          queue.acknowledge(ack, delivery);
          una = ack;
          break;
        }
        case 1: {
          const segment = any();
          if (random.below(20) === 0 && segment !== undefined && segment.span > 1) queue.split(segment, 1);
          break;
        }
        case 2: {
          const segment = any();
          const { next } = segment ?? {};
          if (random.below(20) > 0 || segment === undefined || next === undefined || segment.sacked || next.sacked)
            break;
          queue.markLost(segment);
          queue.markLost(next);
          queue.merge(segment);
          break;
        }
        default:
          for (let i = random.below(60); i > 0; i--) {
            const end = (nxt + 1 + random.below(SIZE)) | 0;
            queue.push(nxt, end, false, step);
            nxt = end;
          }
      }
      for (let i = 0; i < 5; i++) {
        const seq = (una - 10 + random.below(20 + ((nxt - una) | 0))) | 0;
        expect(queue.find(seq)).to.equal(naive(queue, seq));
      }
    }
    queue.clear();
    expect(queue.find(una)).to.equal(undefined);
  }

  after(() => dut.host.dispose());
});
