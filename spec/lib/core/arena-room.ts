/** Room in the process's arena for specs that need it, whatever other specs have left in it. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { arena } from '../../../lib/core/arena.js';
import { Frame } from '../../../lib/core/frame.js';

/** Collects garbage, and lets what waits for that run. */
export async function collectGarbage(): Promise<void> {
  setFlagsFromString('--expose_gc');
  (runInNewContext('gc') as () => void)();
  await new Promise((done) => setTimeout(done, 5));
}

/** Offset of a piece of the arena, which somebody has to give back. */
export async function roomInArena(length: number): Promise<number> {
  for (let i = 0; i < 20; i++) {
    const at = arena?.take(length) ?? -1;
    if (at >= 0) return at;
    await collectGarbage();
  }
  throw new Error('the arena is full');
}

/** Waits until there is a piece of the arena that nobody has. */
export async function untilRoomInArena(length: number): Promise<void> {
  const at = await roomInArena(length);
  arena?.give(at, length);
}

/** A frame in the arena, with room for `length` bytes, all of them zero; it is of no pool. */
export async function frameInArena(length: number): Promise<Frame> {
  const at = await roomInArena(length);
  if (arena === undefined) throw new Error('there is no arena');
  arena.slab.bytes.fill(0, at, at + length);
  return new Frame(arena.slab, at, at + length);
}

/** Gives the memory of such a frame back. */
export function giveBack(frame: Frame): void {
  arena?.give(frame.base, frame.limit - frame.base);
}
