/**
 * Packetisation-layer path MTU discovery of a connection (RFC 4821, in the terms of RFC 8899): finds out without the help of routers how
 * large its packets may be. Which size is next, `mtu-search` decides; here are the probes and the black holes.
 *
 * A probe is a segment larger than the others, of data that wait to be sent, so it costs nothing if it arrives. If it alone is lost, its
 * data go out again at once in segments of the usual size, and congestion control does not hear of it. Segments that follow it bring the
 * duplicate acknowledgments that show its loss; where there are not enough data for that, there is no probe.
 */

import type { Connection } from './connection.js';
import { headersOf, packetSize, payloadOf } from './mss.js';
import { MtuSearch } from './mtu-search.js';
import type { SentSegment } from './sent-segment.js';
import { before } from './seq.js';

/** MIN_PLPMTU. IPv4 has none that is of use: at this size packets may be fragmented (RFC 8899 5.1.2; Linux `min_pmtu`). */
export const MIN_MTU = { 4: 552, 6: 1280 } as const;
// BASE_PLPMTU: a segment of 1024 bytes (RFC 4821 7.2), and IPv6's minimum.
const BASE_MTU = { 4: 1064, 6: 1280 } as const;
// R1 of RFC 9293 3.8.3 (SHLD-11): so many timeouts in a row are a reason to doubt the path.
const BLACK_HOLE_TIMEOUTS = 3;
// And so many where the base size is in doubt, or others get through: the timeouts are long by then.
const ERROR_TIMEOUTS = BLACK_HOLE_TIMEOUTS + 2;
// What fast retransmit needs behind a lost segment.
const FOLLOWERS = 3;

/** What a connection knows that searches, or has searched. */
export class Plpmtud {
  readonly search: MtuSearch;
  /** Sequence space of the probe that is on its way. */
  seq = 0;
  end = 0;
  /** When that was sent first which made us doubt the path. */
  doubtedSince = 0;

  constructor(search: MtuSearch) {
    this.search = search;
  }
}

/** The connection is established: sets the segment size by what is known of the path. */
export function startMtu(c: Connection): void {
  useMtu(c, c.mtu);
  const { mtuProbing } = c.host.config;
  if (mtuProbing === 'always') {
    const { search } = plpmtudOf(c);
    search.start(c.host.now);
    setMtu(c, search.plpmtu);
    forgetIfDone(c);
  } else if (mtuProbing === 'blackhole' && c.mtu < maximum(c)) plpmtudOf(c);
}

function maximum(c: Connection): number {
  return Math.min(c.linkMtu, Math.min(c.peerMss, c.mssLimit) + headersOf(c));
}

function plpmtudOf(c: Connection): Plpmtud {
  const { version } = c;
  const max = maximum(c);
  const limits = { min: Math.min(MIN_MTU[version], max), base: Math.min(BASE_MTU[version], max), max };
  c.plpmtud ??= new Plpmtud(new MtuSearch(limits, c.mtu, c.host.now));
  return c.plpmtud;
}

/** Nothing can be gained: the next change makes another one. */
function forgetIfDone(c: Connection): void {
  if (c.plpmtud?.search.isAtMaximum === true) c.plpmtud = undefined;
}

function useMtu(c: Connection, mtu: number): void {
  c.mtu = mtu;
  c.snd.mss = payloadOf(c, mtu);
  // A path that takes less than the least must cut.
  c.mayFragment = c.version === 4 && mtu <= MIN_MTU[4];
}

/** The size of segments was limited anew. */
export function fitMtu(c: Connection): void {
  setMtu(c, c.mtu);
}

/** Makes packets of `mtu` bytes at most from now on; what is in flight and larger counts as lost, for no fault of its own. */
function setMtu(c: Connection, mtu: number): void {
  const { snd, sent, recovery } = c;
  const former = snd.mss;
  useMtu(c, mtu);
  if (snd.mss !== former) c.congestion.resize(snd.mss);
  if (snd.mss >= former) return;
  sent.cut();
  for (let segment = sent.head; segment !== undefined; segment = segment.next) {
    if (segment.span - (segment.fin ? 1 : 0) <= snd.mss) continue;
    sent.markLost(segment);
    recovery.excuse(c, segment.end);
  }
}

/**
 * Payload of the probe that is to be the next segment; 0 for none, -1 to wait until the windows have room for it.
 *
 * @param unsent bytes that wait to be sent @param usable bytes that the peer's window has room for
 */
export function probeSize(c: Connection, unsent: number, usable: number): number {
  const { plpmtud, snd, recovery, congestion, sent } = c;
  // Duplicates must be able to show that it was lost.
  if (plpmtud === undefined || recovery.state !== 'open' || recovery.isExcused(snd)) return 0;
  const mtu = plpmtud.search.next(c.host.now);
  const length = mtu === 0 ? 0 : payloadOf(c, mtu);
  if (length <= snd.mss) return 0;
  const needed = length + FOLLOWERS * snd.mss;
  if (unsent < needed || snd.wnd < needed || congestion.cwnd < needed) return 0;
  if (sent.pipe === 0) return usable < needed ? 0 : length;
  // What is in flight will make room.
  return usable < needed || congestion.cwnd - sent.pipe < length ? -1 : length;
}

/** A probe was sent: SEG.SEQ and the sequence number behind it. */
export function probeSent(c: Connection, seq: number, end: number): void {
  const { plpmtud } = c;
  if (plpmtud === undefined) return;
  plpmtud.seq = seq;
  plpmtud.end = end;
  plpmtud.search.sent(packetSize(c, (end - seq) | 0));
  c.host.counters.mtuProbes++;
}

/** Whether the segment is the probe that is on its way. */
export function isProbe({ plpmtud }: Connection, segment: SentSegment): boolean {
  return plpmtud !== undefined && plpmtud.search.probed > 0 && plpmtud.seq === segment.seq;
}

/** The probe is lost, and all that was sent before it arrived. */
export function probeLost(c: Connection): void {
  const { plpmtud } = c;
  if (plpmtud === undefined) return;
  c.recovery.excuse(c, plpmtud.end);
  plpmtud.search.lost(c.host.now);
  c.host.counters.mtuProbesLost++;
  forgetIfDone(c);
}

/** Recovery sends again what it believes lost, the probe with it. */
export function probeDoubted(c: Connection): void {
  c.plpmtud?.search.inconclusive(c.host.now);
}

/** SND.UNA moved. */
export function mtuAcknowledged(c: Connection): void {
  const { plpmtud, host } = c;
  if (plpmtud === undefined) return;
  const { search } = plpmtud;
  const fellBack = search.state === 'base' || search.state === 'error';
  const arrived = search.probed > 0 && !before(c.snd.una, plpmtud.end);
  if (!fellBack && !arrived) return;
  if (fellBack) search.confirmed(host.now);
  else search.arrived(host.now);
  setMtu(c, search.plpmtu);
  forgetIfDone(c);
  // What others disprove is not for the host to know.
  if (fellBack && host.othersGetThrough(c, c.mtu + 1, plpmtud.doubtedSince)) return;
  host.foundMtu(c, c.mtu);
}

/** The retransmission timer fired, for `head`: a probe is doubted, and after some times the path. */
export function mtuTimeout(c: Connection, head: SentSegment): void {
  const { host, plpmtud } = c;
  if (plpmtud !== undefined && plpmtud.search.probed > 0) {
    if (isProbe(c, head)) probeLost(c);
    else plpmtud.search.inconclusive(host.now);
  }
  if (host.config.mtuProbing === 'off' || c.snd.wnd === 0) return;
  // A packet that every path takes is lost for another reason.
  if (head.span - (head.fin ? 1 : 0) <= payloadOf(c, MIN_MTU[c.version]) || !isDoubtful(c, head)) return;
  const { search } = plpmtudOf(c);
  if (!search.blackHole()) return;
  host.counters.blackHoles++;
  if (c.plpmtud !== undefined) c.plpmtud.doubtedSince = head.firstSentAt;
  setMtu(c, search.plpmtu);
}

/** Whether it is time to doubt the path: later where the packets of others get through, which makes a crowded path likelier than a narrow one. */
function isDoubtful(c: Connection, head: SentSegment): boolean {
  if (c.retries === ERROR_TIMEOUTS) return true;
  if (c.retries !== BLACK_HOLE_TIMEOUTS || c.plpmtud?.search.state === 'base') return false;
  return !c.host.othersGetThrough(c, c.mtu, head.firstSentAt);
}

/**
 * A router said that the packet with the segment at `seq` is too big for its next hop of `reported` bytes. Returns whether that is news.
 */
export function tooBig(c: Connection, seq: number, reported: number): boolean {
  const { plpmtud, host } = c;
  const isOfProbe = plpmtud !== undefined && plpmtud.search.probed > 0 && plpmtud.seq === seq;
  const size = isOfProbe ? plpmtud.search.probed : packetSize(c, c.snd.mss);
  // RFC 8899 4.6.2: what is no less than what was sent is no answer to it.
  if (reported >= size) return false;
  if (isOfProbe && reported >= c.mtu) {
    c.sent.cut();
    plpmtud.search.refused(reported, host.now);
    for (let segment = c.sent.head; segment !== undefined; segment = segment.next) {
      if (segment.seq === seq) c.sent.markLost(segment);
    }
    c.recovery.excuse(c, plpmtud.end);
    return true;
  }
  const mtu = Math.max(reported, MIN_MTU[c.version]);
  if (host.config.mtuProbing !== 'off') plpmtudOf(c).search.narrowed(mtu, host.now);
  setMtu(c, mtu);
  return true;
}

/** Another connection to the same peer found out that packets of `mtu` bytes arrive. */
export function learnMtu(c: Connection, mtu: number): void {
  const { plpmtud } = c;
  if (plpmtud === undefined || mtu <= c.mtu) return;
  plpmtud.search.raised(mtu, c.host.now);
  setMtu(c, plpmtud.search.plpmtu);
  forgetIfDone(c);
}
