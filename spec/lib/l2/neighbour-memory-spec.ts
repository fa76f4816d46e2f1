import { expect } from 'chai';
import { Ipv4Address } from '../../../lib/core/address.js';
import { DropReason } from '../../../lib/core/drops.js';
import { type Frame, SMALL_ROOM } from '../../../lib/core/frame.js';
import { NeighbourCache } from '../../../lib/l2/neighbour.js';
import { type VirtualEnv, virtualEnv } from './fake-device.js';

const MAC = 0x0200_0000_0002;
const MAPPED = 0xffff;
/** Bytes of slots of the smallest and of the largest size. */
const SMALL = 2_048;
const LARGE = 67_584;

describe('memory of packets that wait for neighbours', () => {
  let env: VirtualEnv;
  let cache: NeighbourCache;
  let asked: number;
  /** What was sent after all: a check of each packet. */
  let resolved: (packet: Frame) => void;

  /** Sends a packet of that length from a slot of the largest size. */
  function send(length: number, to = 1): Frame {
    const packet = env.pool.alloc(65_000);
    packet.network = packet.put(length);
    packet.slab.bytes.fill(7, packet.start, packet.end);
    cache.resolve(packet, 0, 0, MAPPED, to);
    return packet;
  }
  const answer = (from = 1) => cache.advertised(0, 0, MAPPED, from, MAC, { solicited: true, override: true });
  const dropped = () => env.drops.count(DropReason.NeighbourQueueFull);
  const pending = (of = 1) => cache.get(new Ipv4Address(of))?.pending;

  beforeEach(() => {
    env = virtualEnv();
    asked = 0;
    resolved = () => {};
    cache = new NeighbourCache(
      {
        solicit: () => asked++,
        resolved: (packet) => {
          resolved(packet);
          packet.release();
        },
        failed: (packet) => packet.release(),
      },
      env,
    );
  });
  afterEach(() => {
    cache.dispose();
    expect(cache.memory).to.equal(0);
    expect(env.pool.outstanding).to.equal(0);
    expect(env.scheduler.pending).to.equal(0);
  });

  it('is at most 256 KiB for one neighbour: the oldest give way', () => {
    const [, ...newest] = [1, 2, 3, 4].map(() => send(60_000));
    expect(pending()).to.equal(3);
    expect(cache.memory).to.equal(3 * LARGE);
    expect(dropped()).to.equal(1);
    const sent: Frame[] = [];
    resolved = (packet) => sent.push(packet);
    answer();
    expect(sent).to.deep.equal(newest);
    expect(cache.memory).to.equal(0);
  });

  it('is at most 4 MiB for all: what finds no room is dropped, but asked for nevertheless', () => {
    const most = Math.floor((4 * 1024 * 1024) / LARGE);
    for (let to = 1; to <= 100; to++) send(60_000, to);
    expect(asked).to.equal(100);
    expect(cache.memory).to.equal(most * LARGE);
    expect(env.pool.outstanding).to.equal(most);
    expect(dropped()).to.equal(100 - most);
    // Of a neighbour that has one already the newest waits.
    const newest = send(60_000);
    expect(dropped()).to.equal(101 - most);
    const sent: Frame[] = [];
    resolved = (packet) => sent.push(packet);
    answer();
    expect(sent).to.deep.equal([newest]);
    // There is room again, at the latest when nobody has answered.
    send(60_000, 100);
    expect(pending(100)).to.equal(1);
    env.scheduler.runFor(10_000);
    expect(cache.memory).to.equal(0);
  });

  it('is that of a small slot for a small packet, however large the slot was that it came in', () => {
    send(40);
    expect(cache.memory).to.equal(SMALL);
    for (let i = 0; i < 9; i++) send(SMALL_ROOM);
    expect(cache.memory).to.equal(10 * SMALL);
    const sent: string[] = [];
    resolved = (packet) => {
      const isWhole = packet.bytes().every((byte) => byte === 7);
      sent.push(`${packet.length} ${packet.network - packet.start} ${isWhole}`);
    };
    answer();
    expect(sent).to.deep.equal(['40 0 true', ...Array.from({ length: 9 }, () => `${SMALL_ROOM} 0 true`)]);
    send(SMALL_ROOM + 1, 2);
    expect(cache.memory).to.equal(LARGE);
  });

  it('is given to none in vain: what waits stays where a new packet has no room without it either', () => {
    const failed = (packet: Frame) => packet.release();
    for (const limits of [{ memory: LARGE - 1 }, { memoryPerNeighbour: LARGE - 1 }]) {
      cache.dispose();
      cache = new NeighbourCache({ solicit() {}, resolved() {}, failed }, env, limits);
      const before = dropped();
      send(60_000);
      expect(dropped() - before).to.equal(1);
      expect(pending()).to.equal(0);
    }
    cache.dispose();
    cache = new NeighbourCache({ solicit() {}, resolved() {}, failed }, env, { memory: LARGE + SMALL });
    send(60_000, 2);
    send(40);
    const before = dropped();
    send(60_000);
    expect(dropped() - before).to.equal(1);
    expect(pending()).to.equal(1);
  });
});
