/** Loss recovery by selective acknowledgments without clocks (RFC 6675), where RACK is switched off. */

import type { Connection } from './connection.js';
import type { SentSegment } from './sent-segment.js';
import { after, before, isBetween } from './seq.js';

/**
 * Marks what is lost (RFC 6675 4, IsLost): what has DupThresh separate blocks of arrived segments above it, or more bytes that arrived than
 * fit into DupThresh-1 segments. Looks from the top down to where it found losses before.
 */
export function markLostByBlocks(c: Connection): void {
  const { sent, recovery, snd } = c;
  let blocks = 0;
  let bytes = 0;
  for (let segment = sent.highest; segment !== undefined; segment = segment.prev) {
    if (segment.sacked) {
      if (segment.next?.sacked !== true) blocks++;
      bytes += segment.span;
    } else if (blocks >= recovery.reordering || bytes > (recovery.reordering - 1) * snd.mss) {
      if (isKnown(c, segment)) return;
      markBelow(c, segment);
      return;
    }
  }
}

/** Whether it was found out what of this segment, and of what lies below, is lost. */
function isKnown({ recovery, snd }: Connection, segment: SentSegment): boolean {
  const { known } = recovery;
  return known.hasLostEdge && isBetween(known.lostEdge, segment.end, snd.nxt);
}

/** Nothing below was looked at before. */
function markBelow(c: Connection, top: SentSegment): void {
  const { sent, recovery } = c;
  const { known } = recovery;
  for (let segment: SentSegment | undefined = top; segment !== undefined; segment = segment.prev) {
    if (isKnown(c, segment)) break;
    if (!segment.sacked && !segment.lost && segment.transmissions === 1) sent.markLost(segment);
  }
  known.hasLostEdge = true;
  known.lostEdge = top.end;
}

/**
 * There is nothing that is known to be lost, and nothing new to send: what to send again on suspicion, by rules 3 and 4 of NextSeg
 * (RFC 6675 4).
 */
export function nextOnSuspicion({ sent, recovery, snd }: Connection): SentSegment | undefined {
  const { highest, tail } = sent;
  const { known } = recovery;
  if (highest === undefined) return undefined;
  const from = after(known.highRxt, snd.una) ? known.highRxt : snd.una;
  for (
    let segment = sent.find(from);
    segment !== undefined && before(segment.seq, highest.seq);
    segment = segment.next
  ) {
    known.highRxt = segment.end;
    if (!segment.sacked && !segment.lost && !segment.retransmitted) return segment;
  }
  // The rescue: the end of the flight, once a recovery, and again when SND.UNA has passed what it was for.
  if (known.rescued && !after(snd.una, known.rescueEnd)) return undefined;
  let last = tail;
  while (last?.sacked === true) last = last.prev;
  if (last === undefined || last.retransmitted) return undefined;
  known.rescued = true;
  known.rescueEnd = recovery.recover;
  return last;
}
