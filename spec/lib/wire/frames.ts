/** What the codec specs share: frames from hex and back, and every way to cut a frame short. */

import { Frame } from '../../../lib/core/frame.js';

/** Bytes written as hex; blanks are ignored. */
export function hexBytes(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replace(/\s+/g, ''), 'hex'));
}

export function frameOf(bytes: string | Uint8Array): Frame {
  return Frame.from(typeof bytes === 'string' ? hexBytes(bytes) : bytes);
}

/** A frame with an empty range that `room` bytes fit behind, full of rubbish: an emitter must overwrite all that it claims. */
export function emptyFrame(room = 2048): Frame {
  const frame = Frame.from(new Uint8Array(room));
  frame.slab.bytes.fill(0xdb);
  frame.end = frame.start;
  return frame;
}

/** An empty frame with a payload in it. */
export function frameWith(payload: Uint8Array): Frame {
  const frame = emptyFrame(payload.length);
  frame.slab.bytes.set(payload, frame.put(payload.length));
  return frame;
}

export function hexOf(frame: Frame): string {
  return Buffer.from(frame.bytes()).toString('hex');
}

/** Each frame that is `bytes` cut short, from nothing to one byte less. Behind the cut there is no memory to read. */
export function* truncations(bytes: Uint8Array): Generator<Frame> {
  for (let length = 0; length < bytes.length; length++) yield Frame.from(bytes.slice(0, length));
}

/** Reads every getter of a view, its class's own and inherited, so that a getter that throws shows. */
export function readAll(view: object): void {
  for (let type = Object.getPrototypeOf(view); type !== Object.prototype; type = Object.getPrototypeOf(type)) {
    for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(type))) {
      if (property.get !== undefined) Reflect.get(view, name);
    }
  }
}
