/**
 * The tests that every driver must pass to keep the contract of `Device`: run it against a driver of your own.
 *
 * It needs no particular test framework: `describe` and `it` are given to it, assertions are Node's own.
 */

import assert from 'node:assert/strict';
import type { Device } from '../lib/core/device.js';
import { DropReason } from '../lib/core/drops.js';
import { asTx, type RxFrame, type TxFrame } from '../lib/core/frame.js';
import { linkHeader, marked, numberOf } from './compliance-frames.js';
import { OFFLOAD_REQUIREMENTS } from './compliance-offload.js';
import type { Requirement, Rig, TestFramework } from './compliance-rig.js';

export type { Rig, TestFramework } from './compliance-rig.js';

function outgoing(rig: Rig, bytes: Uint8Array): TxFrame {
  const frame = rig.env.pool.alloc(bytes.length);
  frame.slab.bytes.set(bytes, frame.put(bytes.length));
  return asTx(frame);
}

function numbers(device: Device, frames: readonly Uint8Array[]): readonly number[] {
  return frames.map((bytes) => numberOf(device, bytes)).filter((number) => number !== undefined);
}

/** What subscribers found wrong, by their rigs: what they threw would be nobody's, for a stream does not hand it to who made the frame come. */
const found = new WeakMap<Rig, unknown>();

/** Collects the numbers of received test frames. What `more` throws fails the test. */
function listen(rig: Rig, more?: (frame: RxFrame) => void): { seen: number[]; ended: () => string; stop: () => void } {
  const seen: number[] = [];
  let ended = 'open';
  const subscription = rig.device.frames$.subscribe({
    next(frame) {
      const number = numberOf(rig.device, frame.bytes());
      if (number === undefined) return;
      seen.push(number);
      try {
        more?.(frame);
      } catch (error) {
        if (!found.has(rig)) found.set(rig, error);
      }
    },
    error: () => (ended = 'error'),
    complete: () => (ended = 'complete'),
  });
  return { seen, ended: () => ended, stop: () => subscription.unsubscribe() };
}

const COUNT = 20;
const ORDER = Array.from({ length: COUNT }, (_, i) => i);

async function injectAll(rig: Rig, count: number = COUNT): Promise<void> {
  for (let i = 0; i < count; i++) await rig.inject?.(marked(rig.device, i));
  await rig.settle();
}

/** Of lengths around those where framings change, filled with what framings use as marks. */
function fillings(device: Device): Uint8Array[] {
  const lengths = [60, 126, 127, 128, 253, 254, 255, 256, 257, 258, 509, 510];
  return lengths.flatMap((length, i) => {
    const whole = Math.min(linkHeader(device) + length, device.mtu);
    return [0x00, 0x01, 0x7e, 0xff].map((filling, j) => marked(device, 4 * i + j, whole, filling));
  });
}

const REQUIREMENTS: readonly Requirement[] = [
  [
    'describes itself',
    async ({ device }) => {
      assert.ok(device.name.length > 0);
      assert.ok(device.mtu >= 68 && device.mtu <= 65_535);
      assert.equal(device.medium !== 'ethernet', device.mac.value === 0);
      assert.equal(device.mac.isGroup, false);
    },
  ],
  [
    'delivers in order, whole, with its name on each frame',
    async (rig) => {
      const { seen } = listen(rig, (frame) => {
        assert.equal(frame.device, rig.device);
        assert.equal(frame.wholeEnd, frame.end);
        assert.equal(frame.fate, 0);
        assert.deepEqual([...frame.bytes()], [...marked(rig.device, seen.length - 1)]);
      });
      await injectAll(rig);
      assert.deepEqual(seen, ORDER);
    },
    ['inject'],
  ],
  [
    'lets a subscriber answer in place: a received frame is exclusive and has headroom',
    async (rig) => {
      const { seen } = listen(rig, (frame) => {
        assert.ok(frame.exclusive);
        assert.ok(frame.start - frame.base >= 32);
      });
      await injectAll(rig, 3);
      assert.equal(seen.length, 3);
    },
    ['inject'],
  ],
  [
    'leaves a frame that was retained alone',
    async (rig) => {
      const kept: RxFrame[] = [];
      const { stop } = listen(rig, (frame) => void kept.push(frame.retain()));
      await injectAll(rig, 3);
      kept.forEach((frame, i) => assert.deepEqual([...frame.bytes()], [...marked(rig.device, i)]));
      stop();
      for (const frame of kept) frame.release();
      assert.equal(kept.length, 3);
    },
    ['inject'],
  ],
  [
    'serves several subscribers, each as if it were alone',
    async (rig) => {
      const narrow = listen(rig, (frame) => {
        frame.start += 4;
        frame.end -= 4;
        frame.fate = DropReason.Filtered;
      });
      const other = listen(rig, (frame) => {
        assert.equal(frame.fate, 0);
        assert.deepEqual([...frame.bytes()], [...marked(rig.device, other.seen.length - 1)]);
      });
      await injectAll(rig, 3);
      assert.deepEqual(narrow.seen, [0, 1, 2]);
      assert.deepEqual(other.seen, [0, 1, 2]);
    },
    ['inject'],
  ],
  [
    'stops delivering to a subscriber that left, even in mid-batch, and goes on for others',
    async (rig) => {
      const first = listen(rig, () => first.stop());
      const other = listen(rig);
      await injectAll(rig, 5);
      assert.deepEqual(first.seen, [0]);
      assert.deepEqual(other.seen, [0, 1, 2, 3, 4]);
    },
    ['inject'],
  ],
  [
    'sends in order, at once and later',
    async (rig) => {
      for (const i of ORDER) {
        rig.device.sink.next(outgoing(rig, marked(rig.device, i)));
        if (i === COUNT / 2) await rig.settle();
      }
      await rig.settle();
      assert.deepEqual(numbers(rig.device, (await rig.sent?.()) ?? []), ORDER);
    },
    ['sent'],
  ],
  [
    'sends exactly the bytes of a frame that somebody else holds too, and does not change it',
    async (rig) => {
      const bytes = marked(rig.device, 7);
      const frame = outgoing(rig, bytes);
      rig.device.sink.next(asTx(frame.retain()));
      await rig.settle();
      assert.deepEqual([...frame.bytes()], [...bytes]);
      frame.release();
      const sent = ((await rig.sent?.()) ?? []).filter((other) => numberOf(rig.device, other) === 7);
      assert.deepEqual(
        sent.map((other) => [...other]),
        [[...bytes]],
      );
    },
    ['sent'],
  ],
  [
    'carries any bytes, and frames of any length, as they are',
    async (rig) => {
      const frames = fillings(rig.device);
      const received: Uint8Array[] = [];
      listen(rig, (frame) => void received.push(Uint8Array.from(frame.bytes())));
      for (const bytes of frames) {
        await rig.inject?.(bytes);
        if (rig.sent !== undefined) rig.device.sink.next(outgoing(rig, bytes));
      }
      await rig.settle();
      if (rig.inject !== undefined) assert.deepEqual(received, frames);
      if (rig.sent === undefined) return;
      const sent = (await rig.sent()).filter((bytes) => numberOf(rig.device, bytes) !== undefined);
      assert.deepEqual(
        sent.map((bytes) => Uint8Array.from(bytes)),
        frames,
      );
    },
  ],
  [
    'is never re-entered: what a subscriber sends does not make it receive',
    async (rig) => {
      let depth = 0;
      let deepest = 0;
      listen(rig, (frame) => {
        deepest = Math.max(deepest, ++depth);
        rig.device.sink.next(asTx(frame.retain()));
        rig.device.sink.next(outgoing(rig, marked(rig.device, 200)));
        depth--;
      });
      await injectAll(rig);
      assert.equal(deepest, 1);
    },
    ['inject'],
  ],
  [
    'drops what is longer than its MTU, and sends what is just as long',
    async (rig) => {
      const { device, env } = rig;
      const longest = device.mtu + linkHeader(device);
      device.sink.next(outgoing(rig, marked(device, 1, longest)));
      device.sink.next(outgoing(rig, marked(device, 2, longest + 1)));
      await rig.settle();
      assert.equal(env.drops.count(DropReason.DeviceTooBig), 1);
      if (rig.sent !== undefined) assert.deepEqual(numbers(device, await rig.sent()), [1]);
    },
  ],
  [
    'outlives a pipeline that completes',
    async (rig) => {
      rig.device.sink.complete();
      rig.device.sink.next(outgoing(rig, marked(rig.device, 3)));
      const { seen } = listen(rig);
      if (rig.inject !== undefined) {
        await injectAll(rig, 1);
        assert.deepEqual(seen, [0]);
      }
      assert.equal(rig.env.drops.count(DropReason.DeviceDown), 0);
    },
  ],
  [
    'completes frames$ when closed, for late subscribers too; closing twice is closing once',
    async (rig) => {
      const early = listen(rig);
      await Promise.all([rig.device.close(), rig.device.close()]);
      assert.equal(early.ended(), 'complete');
      assert.equal(listen(rig).ended(), 'complete');
      await rig.device[Symbol.asyncDispose]();
    },
  ],
  [
    'drops and releases what is sent after close',
    async (rig) => {
      await rig.device.close();
      rig.device.sink.next(outgoing(rig, marked(rig.device, 1)));
      assert.equal(rig.env.drops.count(DropReason.DeviceDown), 1);
    },
  ],
  [
    'may be closed from inside of a delivery, which is then the last',
    async (rig) => {
      const { seen, ended } = listen(rig, () => void rig.device.close());
      await injectAll(rig, 5);
      assert.deepEqual(seen, [0]);
      assert.equal(ended(), 'complete');
    },
    ['inject'],
  ],
  [
    'errors frames$ when it fails, for late subscribers too, and takes frames as a closed one',
    async (rig) => {
      const early = listen(rig);
      await rig.fail?.();
      await rig.settle();
      assert.equal(early.ended(), 'error');
      assert.equal(listen(rig).ended(), 'error');
      rig.device.sink.next(outgoing(rig, marked(rig.device, 1)));
      assert.equal(rig.env.drops.count(DropReason.DeviceDown), 1);
    },
    ['fail'],
  ],
];

/**
 * Declares the suite for one driver. `factory` makes a fresh device for each test; it is closed, and its leaks are looked for, by
 * the suite.
 *
 * @example
 * compliance('my driver', () => rigOf(openMine({}, env)), { describe, it });
 */
export function compliance(name: string, factory: () => Rig | Promise<Rig>, framework: TestFramework): void {
  framework.describe(`${name}, as a device`, () => {
    for (const [title, test, needs = []] of REQUIREMENTS) framework.it(title, () => run(factory, test, needs));
    for (const [title, test, needs = []] of OFFLOAD_REQUIREMENTS) {
      framework.it(title, () => run(factory, (rig) => (isOfIp(rig) ? test(rig) : Promise.resolve()), needs));
    }
  });
}

/** Nothing can be left to a device that knows nothing of IP. */
function isOfIp({ device }: Rig): boolean {
  return device.medium !== 'ergot';
}

async function run(
  factory: () => Rig | Promise<Rig>,
  test: Requirement[1],
  needs: readonly (keyof Rig)[],
): Promise<void> {
  const rig = await factory();
  try {
    if (needs.some((capability) => rig[capability] === undefined)) return;
    await test(rig);
    if (found.has(rig)) throw found.get(rig);
    await rig.settle();
    await rig.device.close();
    await rig.settle();
    assert.equal(rig.env.pool.outstanding, 0, 'frames were leaked');
    assert.equal(rig.pendingTimers?.() ?? 0, 0, 'timers were left');
  } finally {
    await rig.device.close();
    await rig.dispose?.();
  }
}
