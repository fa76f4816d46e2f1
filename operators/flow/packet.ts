import { Frame } from '../../lib/core/frame.js';

/** What flows through a pipeline: a frame, or a layer's view of one. */
export type Packet = Frame | { readonly frame: Frame };

/** The frame of a packet. */
export function frameOf(packet: Packet): Frame {
  return packet instanceof Frame ? packet : packet.frame;
}
