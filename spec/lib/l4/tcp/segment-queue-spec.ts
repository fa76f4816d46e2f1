import { expect } from 'chai';
import { FramePool } from '../../../../lib/core/frame.js';
import { SegmentQueue } from '../../../../lib/l4/tcp/segment-queue.js';
import { Ipv4Packet } from '../../../../lib/wire/ipv4.js';

function packetOf(pool: FramePool, length: number): Ipv4Packet {
  const frame = pool.alloc(length);
  frame.put(length);
  return new Ipv4Packet(frame, frame.start);
}

describe('a queue of segments', () => {
  it('gives them back in order, with the ranges that they had, and holds their frames until it releases them', () => {
    const pool = new FramePool();
    const queue = new SegmentQueue();
    const packets = [30, 40, 50].map((length) => packetOf(pool, length));
    for (const packet of packets) {
      queue.push(packet);
      // Whoever comes after reads something else of it, and lets go.
      packet.frame.start += 20;
      packet.frame.end -= 5;
      packet.frame.release();
    }
    expect(queue.isEmpty).to.equal(false);
    expect([queue.take(), queue.take()].map((packet) => packet?.frame.length)).to.deep.equal([30, 40]);
    expect(pool.outstanding).to.equal(3);
    queue.release();
    expect(pool.outstanding).to.equal(1);
    queue.release();
    expect(queue.take()).to.equal(packets[2]);
    expect([queue.take(), queue.isEmpty]).to.deep.equal([undefined, true]);
    queue.release();
    expect(pool.outstanding).to.equal(0);
  });

  it('forgets what is done with, though it is never empty', () => {
    const pool = new FramePool();
    const queue = new SegmentQueue();
    for (let i = 0; i < 1000; i++) {
      const packet = packetOf(pool, 20 + (i % 30));
      queue.push(packet);
      packet.frame.release();
      if (i < 3) continue;
      expect(queue.take()?.frame.length).to.equal(20 + ((i - 3) % 30));
      queue.release();
    }
    expect(pool.outstanding).to.equal(3);
    expect((queue as unknown as { packets: unknown[] }).packets).to.have.length.below(100);
  });
});
