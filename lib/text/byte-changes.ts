/** How a packet changed between two moments: what was written over what, what was put in front or behind, what was cut off. */

import type { Frame } from '../core/frame.js';
import { packetEnd, packetStart, startsAtIp } from '../wire/whole-packet.js';

/** The bytes of a packet at one moment, copied. */
export interface PacketSnapshot {
  /** Where they were, so that a header that was put in front is told from bytes that moved. */
  readonly at: number;
  readonly bytes: Uint8Array;
  readonly linkType: 'ethernet' | 'ip';
}

/** Bytes in place of others; either may be none. `offset` counts from the first byte that the packet had before. */
export interface ByteChange {
  readonly offset: number;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

/** A copy of the packet of a frame: of its range, or of the whole packet that a view of it is of. */
export function snapshotOf(frame: Frame, isView: boolean): PacketSnapshot {
  const at = packetStart(frame, isView);
  const bytes = frame.slab.bytes.slice(at, Math.max(at, packetEnd(frame, isView)));
  return { at, bytes, linkType: startsAtIp(frame, at) ? 'ip' : 'ethernet' };
}

/** The changes, in the order of their places; none where nothing changed. */
export function byteChanges(before: PacketSnapshot, after: PacketSnapshot): ByteChange[] {
  const from = Math.max(before.at, after.at);
  const to = Math.max(from, Math.min(before.at + before.bytes.length, after.at + after.bytes.length));
  const cut = (snapshot: PacketSnapshot, start: number, end: number) =>
    snapshot.bytes.slice(Math.max(0, start - snapshot.at), Math.max(0, end - snapshot.at));
  const changes: ByteChange[] = [];
  const add = (start: number, end: number) => {
    const change = {
      offset: Math.max(0, start - before.at),
      before: cut(before, start, end),
      after: cut(after, start, end),
    };
    if (change.before.length > 0 || change.after.length > 0) changes.push(change);
  };
  add(Math.min(before.at, after.at), from);
  for (let at = from; at < to; at++) {
    const start = at;
    while (at < to && before.bytes[at - before.at] !== after.bytes[at - after.at]) at++;
    if (at > start) add(start, at);
  }
  add(to, Math.max(before.at + before.bytes.length, after.at + after.bytes.length, to));
  return changes;
}
