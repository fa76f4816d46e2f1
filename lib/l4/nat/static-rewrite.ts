/** Addresses of packets, and of those that errors quote, moved from one prefix to another of the same length; ports stay. */

import type { Frame } from '../../core/frame.js';
import type { PacketFields } from '../../wire/packet-fields.js';
import {
  rewriteDestination,
  rewriteQuotedDestination,
  rewriteQuotedSource,
  rewriteSource,
  SAME_PORT,
} from '../../wire/rewrite.js';
import type { Prefix } from './rules.js';

/** The source is behind `to` from now on. */
export function staticSource(frame: Frame, fields: PacketFields, to: Prefix): void {
  const { source0, source1, source2, source3 } = fields;
  const word3 = to.take(3, source3);
  rewriteSource(frame, fields, to.take(0, source0), to.take(1, source1), to.take(2, source2), word3, SAME_PORT);
}

export function staticDestination(frame: Frame, fields: PacketFields, to: Prefix): void {
  const { destination0, destination1, destination2, destination3 } = fields;
  const word2 = to.take(2, destination2);
  const word3 = to.take(3, destination3);
  rewriteDestination(frame, fields, to.take(0, destination0), to.take(1, destination1), word2, word3, SAME_PORT);
}

/** The same in the packet that an error quotes. */
export function staticQuotedSource(frame: Frame, fields: PacketFields, quote: PacketFields, to: Prefix): void {
  const { source0, source1, source2, source3 } = quote;
  const [word2, word3] = [to.take(2, source2), to.take(3, source3)];
  rewriteQuotedSource(frame, fields, quote, to.take(0, source0), to.take(1, source1), word2, word3, SAME_PORT);
}

export function staticQuotedDestination(frame: Frame, fields: PacketFields, quote: PacketFields, to: Prefix): void {
  const { destination0, destination1, destination2, destination3 } = quote;
  const [word0, word1] = [to.take(0, destination0), to.take(1, destination1)];
  const [word2, word3] = [to.take(2, destination2), to.take(3, destination3)];
  rewriteQuotedDestination(frame, fields, quote, word0, word1, word2, word3, SAME_PORT);
}
