/** Ergot frames through nodes, from memory to memory: each is put into a frame of the pool, as a driver would, and let go where it leaves. */

import { Subject } from 'rxjs';
import type { Device } from '../../lib/core/device.js';
import { asRx, type Frame, type FramePool, type RxFrame } from '../../lib/core/frame.js';
import {
  ErgotMachine,
  FrameHeader,
  FrameKind,
  netAddress,
  PhoneCast,
  PhoneHeader,
  type PhoneLinkOptions,
  phoneProfile,
  type Profile,
  routerProfile,
} from '../../lib/ergot/index.js';
import { ergot } from '../../operators/ergot/ergot.js';
import { environment } from '../../operators/time/environment.js';
import { SimulationScheduler } from '../../operators/time/simulation-scheduler.js';
import { silentDevice } from '../silent-device.js';
import { BATCH } from './pipeline.js';

const BODY = 64;

/** A frame that comes in, and the node that it comes to. */
interface Scene<A> {
  readonly profile: Profile<A>;
  readonly links: readonly Device[];
  /** The bytes of a frame that comes by the first link and leaves by the second. */
  readonly bytes: Uint8Array;
  /** Where in it the sequence number is, which has two bytes: that of siblings must not repeat as long as they remember it. */
  readonly sequenceAt: number;
}

const links = (): readonly Device[] => ['a', 'b'].map((name) => silentDevice(name, 'ergot'));

function bytesOf(push: (frame: Frame) => void): Uint8Array {
  const frame = environment().pool.alloc(BODY);
  frame.slab.bytes.fill(0x55, frame.put(BODY), frame.end);
  push(frame);
  return frame.bytes().slice();
}

/** Nodes of ergot 0.12 and of phone-number addresses. */
export const scenes = {
  /** A root between two networks of its own. */
  router(): Scene<number> {
    const header = new FrameHeader();
    const ends = { source: netAddress(1, 2, 5), destination: netAddress(2, 2, 7) };
    Object.assign(header, ends, { sequence: 300, kind: FrameKind.Request, ttl: 15 });
    return { profile: routerProfile(), links: links(), bytes: bytesOf((frame) => header.push(frame)), sequenceAt: 6 };
  },
  /** A device of ^10 between its children or siblings, or from a child to its parent. */
  phone(from: 'child' | 'sibling', to: 'child' | 'sibling' | 'parent'): Scene<unknown> {
    const blocks = [0x100, 0x200].map((first) => [{ first, len: 8 }]);
    const up: PhoneLinkOptions = { kind: 'parent', bits: 16, blocks: [{ first: 0x3a00, len: 10 }] };
    const link = ({ name }: Device): PhoneLinkOptions => {
      if (name === 'a') return { kind: from, blocks: blocks[0] ?? [] };
      return to === 'parent' ? up : { kind: to, blocks: blocks[1] ?? [] };
    };
    const header = new PhoneHeader();
    const destination = to === 'parent' ? { destination: 0x1234, bits: 16 } : { destination: 0x234, bits: 10 };
    const rest = { cast: PhoneCast.One, sequence: 300, kind: FrameKind.Request, ttl: 15 };
    Object.assign(header, { source: 0x134, sourceBits: 10, ...destination, ...rest });
    const bytes = bytesOf((frame) => header.push(frame));
    return { profile: phoneProfile({ bits: 10, link }), links: links(), bytes, sequenceAt: 6 };
  },
};

/** Puts frames into the pool's memory; what else happens to them is `give`'s. */
function feeding(scene: Scene<unknown>, pool: FramePool, give: (frame: Frame) => void): () => void {
  const { bytes, links, sequenceAt } = scene;
  const [link] = links;
  let sequence = 0;
  return () => {
    for (let i = 0; i < BATCH; i++) {
      const frame = pool.alloc(bytes.length);
      const at = frame.put(bytes.length);
      frame.slab.bytes.set(bytes, at);
      sequence = (sequence + 1) & 0x1fff;
      frame.slab.bytes[at + sequenceAt] = 0x80 | sequence;
      frame.slab.bytes[at + sequenceAt + 1] = 1 + (sequence >> 7);
      if (link !== undefined) frame.device = link;
      give(frame);
      frame.release();
    }
  };
}

/** The cost of bringing a frame in and letting it go, without a node. */
export function feedAlone(): () => void {
  return feeding(scenes.router(), environment().pool, () => undefined);
}

/** Frames through a node by plain function calls. */
export function hops<A>(scene: Scene<A>): () => void {
  const env = environment({ scheduler: new SimulationScheduler(), seed: 1 });
  let left = 0;
  const outside = {
    transmit(_: Device, frame: Frame) {
      left++;
      frame.release();
    },
    changed() {},
  };
  const machine = new ErgotMachine(scene.profile, outside, {}, env);
  for (const link of scene.links) machine.attach(link);
  const feed = feeding(scene, env.pool, (frame) => machine.receive(frame.device, frame));
  return () => {
    left = 0;
    feed();
    if (left !== BATCH) throw new Error(`only ${left} frames were passed on: ${JSON.stringify(env.drops)}`);
  };
}

/** Frames through a node that is an operator. */
export function piped<A>(scene: Scene<A>): () => void {
  const env = environment({ scheduler: new SimulationScheduler(), seed: 1 });
  const frames$ = new Subject<RxFrame>();
  let left = 0;
  frames$.pipe(ergot(scene.profile, { links: scene.links }, env)).subscribe((frame) => {
    left++;
    frame.release();
  });
  const feed = feeding(scene, env.pool, (frame) => frames$.next(asRx(frame)));
  return () => {
    left = 0;
    feed();
    if (left !== BATCH) throw new Error(`only ${left} frames were passed on: ${JSON.stringify(env.drops)}`);
  };
}
