/**
 * Loss recovery: what acknowledgments say about losses, and what is done about them. One engine for connections with and without selective
 * acknowledgments (RFC 6675 and RFC 8985, RFC 5681 3.2 and RFC 6582): without them, each duplicate acknowledgment counts as one segment that
 * has arrived, though nobody knows which. How much may be in flight is `congestion`'s business, and while losses are repaired `prr`'s.
 */

import type { Connection } from './connection.js';
import type { Delivery } from './delivery.js';
import { repairTimeout } from './frto.js';
import { isProbe, probeLost } from './plpmtud.js';
import { Prr } from './prr.js';
import { Rack } from './rack.js';
import type { SackMemory } from './sack.js';
import { markLostByBlocks } from './sack-recovery.js';
import { after, before, isBetween } from './seq.js';
import { Undo } from './undo.js';
import type { SendVariables } from './variables.js';

// As with Linux: a path that reorders more than this is past help.
const MAX_REORDERING = 300;
// The least time that a peer has which took selective acknowledgments back, in ms.
const RENEGE_GRACE = 10;

/** As in `tcp_info`: all is well; something is odd; the window shrinks because of ECN; losses are repaired; a timeout is. */
export type RecoveryState = 'open' | 'disorder' | 'cwr' | 'recovery' | 'loss';

/** What a connection needs once something was sent again, or came out of order. */
export class Trouble {
  rack: Rack | undefined = undefined;
  prr: Prr | undefined = undefined;
  undo: Undo | undefined = undefined;
  sack: SackMemory | undefined = undefined;
  /** RFC 6675: losses before `lostEdge` are known; the rescue retransmission was sent, for until `rescueEnd`. */
  hasLostEdge = false;
  lostEdge = 0;
  rescued = false;
  rescueEnd = 0;
  /** HighRxt: what was looked at for a retransmission on suspicion. */
  highRxt = 0;
  /** The first timeout since something was acknowledged. */
  timedOutAt = 0;
}

/** Loss recovery of one connection. What is needed in trouble only is made then. */
export class Recovery {
  state: RecoveryState = 'open';
  /** SND.NXT when the state was entered: it lasts until that is acknowledged. */
  recover = 0;
  /** Without selective acknowledgments: duplicates of what lies before this are no sign of loss (RFC 6582 3.2, step 1). */
  excused = 0;
  /** Without selective acknowledgments: duplicates that stand for segments which arrived. */
  duplicates = 0;
  /** DupThresh: so many segments may overtake another. It grows with the reordering that is seen. */
  reordering: number;
  /** How often the path was seen to reorder. */
  reorderings = 0;
  /** A tail loss probe is on its way, with new data or old; and SND.NXT behind it. */
  tlp: 'none' | 'new' | 'again' = 'none';
  tlpEnd = 0;
  /** The timeout may have been spurious (RFC 5682); and what finding out asks for: new data before old. */
  frto = false;
  newFirst = false;
  /** A recovery begins: the first segment goes out again whatever the window (RFC 6675 5, step 4.3). */
  urgent = false;
  /** What is known of losses, once there was reason to. */
  trouble: Trouble | undefined = undefined;

  constructor(reordering: number) {
    this.reordering = reordering;
  }

  /** A connection starts with its initial sequence number. */
  start(iss: number): void {
    this.recover = this.excused = iss;
  }

  get rack(): Rack | undefined {
    return this.trouble?.rack;
  }
  get prr(): Prr | undefined {
    return this.trouble?.prr;
  }
  get undo(): Undo | undefined {
    return this.trouble?.undo;
  }

  /** The room for what is known of losses, made when first needed. */
  get known(): Trouble {
    this.trouble ??= new Trouble();
    return this.trouble;
  }

  /** In fast recovery. */
  get active(): boolean {
    return this.state === 'recovery';
  }

  /** Losses are being repaired. */
  get isRepairing(): boolean {
    return this.state === 'recovery' || this.state === 'loss';
  }

  /** The window shrinks in step with what arrives. */
  get isReducing(): boolean {
    return this.state === 'recovery' || this.state === 'cwr';
  }

  /** What was lost before `end` was lost for its size: it is repaired, but does not blame the network. */
  excuse(c: Connection, end: number): void {
    if (this.active) return;
    c.rate?.excuse();
    const last = (end - 1) | 0;
    if (!isBetween(this.excused, last, c.snd.nxt)) this.excused = last;
    this.forgetUndo();
    if (this.state !== 'loss' || after(end, this.recover)) this.recover = end;
    this.state = 'loss';
    this.frto = false;
    if (!c.sackPermitted) this.assume(c, Math.min(this.duplicates, this.reordering - 1));
  }

  /** Without selective acknowledgments: duplicates may be of what the last recovery, or what was lost for its size, sent again. */
  isExcused({ una, nxt }: SendVariables): boolean {
    return isBetween(this.excused, una, nxt);
  }

  /** Without selective acknowledgments: believes that `count` segments have arrived, whichever. */
  assume(c: Connection, count: number): void {
    this.duplicates = count;
    c.sent.assumed = count * c.snd.mss;
  }

  /** From now on the order of arrival matters. */
  watchOrder(c: Connection): void {
    if (c.sackPermitted && c.config.rack) this.known.rack ??= new Rack(Math.max(0, c.rtt.srtt));
  }

  /** An acknowledgment that is not just the next one, or any while all is not well. */
  examine(c: Connection, delivery: Delivery): void {
    if (c.sent.head?.sacked === true) {
      // The peer has it, and yet acknowledges less: it took it back (RFC 2018 8).
      delivery.timed = true;
      c.timers.expireWithin(Math.max(RENEGE_GRACE, c.rtt.srtt / 2));
      return;
    }
    if (this.isReducing && !before(c.snd.una, this.recover) && this.leave(c, delivery)) return;
    if (this.state === 'loss') {
      if (repairTimeout(c, delivery)) return;
    } else if (this.state === 'recovery') {
      if (this.repair(c, delivery)) return;
    } else {
      if (!c.sackPermitted) this.countDuplicates(c, delivery);
      if (this.state !== 'cwr') this.undoIfRefuted(c);
      this.identify(c, delivery);
    }
    if (this.state !== 'recovery') this.judge(c);
  }

  /** What was to be acknowledged before the reduction ends is. Returns whether nothing more is to be done about it. */
  private leave(c: Connection, delivery: Delivery): boolean {
    const exactly = c.snd.una === this.recover;
    if (this.state === 'cwr') {
      // The mark of the reduction itself has to reach the peer first.
      if (!exactly) this.endReduction(c);
      return false;
    }
    if (exactly && !c.sackPermitted && !this.wasNeedless(delivery)) {
      // Duplicates that it caused itself may yet come. The window is what is in flight and a little more (RFC 6582 3.2, step 3).
      this.assume(c, 0);
      return true;
    }
    this.finish(c, delivery);
    return false;
  }

  private wasNeedless({ echo }: Delivery): boolean {
    return this.undo?.isRefuted === true || this.undo?.isLate(echo) === true;
  }

  /** All that was lost is repaired: back to normal, and to the former window if nothing had been lost. */
  finish(c: Connection, delivery: Delivery): void {
    if (this.wasNeedless(delivery)) {
      this.undo?.apply(c);
      this.state = 'open';
    } else {
      this.rack?.recovered();
      this.endReduction(c);
    }
    // The peer may yet report that all of it came twice.
    this.assume(c, 0);
    this.frto = this.urgent = false;
  }

  /** The reduction is over, and is not taken back. */
  endReduction(c: Connection): void {
    const { congestion, host } = c;
    if (this.isReducing || congestion.ownsRecovery) congestion.recovered(c.sent.pipe, host.now);
    this.state = 'open';
  }

  /** An acknowledgment in fast recovery. Returns whether nothing more is to be done about it. */
  private repair(c: Connection, delivery: Delivery): boolean {
    const { undo } = this;
    if (delivery.advance === 0) {
      if (!c.sackPermitted) this.countDuplicates(c, delivery);
    } else if (undo?.isLate(delivery.echo) === true) {
      // What filled the hole had only been late. As long as others are on their way again, nothing more is sent again.
      if (c.sackPermitted) this.noteReordering(c, (c.snd.una - delivery.advance) | 0);
      if (c.sent.retransmittedCount > 0) return true;
      c.sent.unmarkLost();
      undo.apply(c);
      this.state = 'open';
      this.settle(c);
    }
    if (this.undoIfRefuted(c)) {
      this.state = 'open';
      this.settle(c);
    }
    this.identify(c, delivery);
    return false;
  }

  /** Takes the reduction back if all that was sent again came twice; returns whether it did. */
  private undoIfRefuted(c: Connection): boolean {
    const { undo } = this;
    if (undo?.isRefuted !== true) return false;
    this.rack?.wasSpurious();
    undo.apply(c);
    return true;
  }

  /** Open, or at most disordered. */
  settle(c: Connection): void {
    if (this.state === 'cwr') return;
    const calm = this.duplicates === 0 && c.sent.isCalm;
    if (calm) this.undo?.forget();
    this.state = calm ? 'open' : 'disorder';
  }

  /** Whether it is time to repair losses. */
  private judge(c: Connection): void {
    const { sent } = c;
    const { head } = sent;
    if (sent.lostCount === 0 || head === undefined) {
      if (this.state !== 'loss') this.settle(c);
    } else if (this.state !== 'cwr' && sent.lostCount === 1 && head.due && isProbe(c, head)) {
      // The loss of a probe for a larger MTU, alone, is no sign of congestion (RFC 4821 7.7): its data go out again in usual segments.
      probeLost(c);
    } else this.enter(c);
  }

  /** Losses were found: repairs them, and reduces the window once for all that was sent before now. */
  private enter(c: Connection): void {
    const reducing = this.state === 'cwr';
    this.beginUndo(c, !reducing);
    if (!reducing) this.reduce(c, 'loss');
    this.tlp = 'none';
    this.state = 'recovery';
    this.recover = this.excused = c.snd.nxt;
    this.frto = this.known.rescued = false;
    this.known.highRxt = c.snd.una;
    this.urgent = true;
    c.host.counters.fastRetransmits++;
  }

  private beginUndo(c: Connection, restorable: boolean): void {
    const { known } = this;
    known.undo ??= new Undo();
    known.undo.begin(c, c.sent.retransmittedCount + (this.tlp === 'again' ? 1 : 0), restorable);
  }

  /** Nothing is taken back any more of what was reduced so far. */
  private forgetUndo(): void {
    if (this.undo !== undefined) this.undo.active = false;
  }

  private reduce(c: Connection, signal: 'loss' | 'ecn', delivered = 0): void {
    const { congestion, host, snd } = c;
    this.tlp = 'none';
    this.recover = snd.nxt;
    const { known } = this;
    known.prr ??= new Prr();
    known.prr.begin(congestion.cwnd);
    // The peer may stop to echo marks, whatever the reduction is for (RFC 3168 6.1.2).
    if (c.ecn !== undefined) c.ecn.owesCwr = true;
    // What limited transmit sent beyond the window does not count (RFC 5681 3.2, step 2).
    const flight = ((snd.nxt - snd.una) | 0) + delivered;
    congestion.congested(signal, Math.min(flight, congestion.cwnd), host.now);
    if (!c.config.prr && !congestion.ownsRecovery) congestion.cwnd = congestion.ssthresh;
  }

  /**
   * The network marked what we sent: the window shrinks until what is in flight now, and a little more, is acknowledged (RFC 3168 6.1.2).
   *
   * @param delivered bytes that were in flight, too, until the acknowledgment that says so
   */
  reduceForEcn(c: Connection, delivered = 0): void {
    if (this.state !== 'open' && this.state !== 'disorder') return;
    this.forgetUndo();
    this.reduce(c, 'ecn', delivered);
    this.state = 'cwr';
  }

  /** A loss was repaired before it was known: the window shrinks at once. */
  reduceOnce(c: Connection): void {
    if (this.isRepairing) return;
    this.forgetUndo();
    this.reduce(c, 'loss');
    this.state = 'cwr';
    this.endReduction(c);
    this.settle(c);
  }

  /** Looks for losses, by whatever the connection has. */
  identify(c: Connection, delivery: Delivery): void {
    const { sent } = c;
    const { head } = sent;
    if (head === undefined) return;
    if (!c.sackPermitted) this.identifyByDuplicates(c, delivery);
    else if (c.config.rack) {
      const wait = this.rack === undefined ? 0 : this.rack.detect(c, false);
      if (wait === 0) return;
      delivery.timed = true;
      c.timers.awaitReordering(wait);
    } else if (sent.sackedCount > 0) {
      markLostByBlocks(c);
      // RFC 6675 5, steps 2 and 4.1.
      if (!this.isRepairing && sent.sackedCount >= this.reordering) sent.markLost(head);
    }
  }

  /** RFC 5681 3.2, RFC 6582 3.2: the third duplicate, and each partial acknowledgment. */
  private identifyByDuplicates(c: Connection, delivery: Delivery): void {
    const { sent, snd } = c;
    const { head } = sent;
    if (head === undefined || head.lost) return;
    const third = !this.isRepairing && this.duplicates >= this.reordering && !this.isExcused(snd);
    if (third || (this.state === 'recovery' && delivery.advance > 0)) sent.markLost(head);
  }

  /** Without selective acknowledgments: a duplicate says that something arrived. */
  countDuplicates(c: Connection, delivery: Delivery): void {
    const { sent, snd } = c;
    if (delivery.advance > 0 && this.state !== 'recovery') this.assume(c, 0);
    if (!delivery.duplicate) return;
    // Something is missing. And where no loss is to be believed in, two are all that may be sent for them (RFC 3042).
    const most = sent.count - Math.max(1, sent.lostCount);
    const believed = this.active || !this.isExcused(snd);
    if (this.duplicates >= most || (!believed && this.duplicates >= this.reordering - 1)) return;
    this.assume(c, this.duplicates + 1);
    delivery.bytes += snd.mss;
  }

  /** Without selective acknowledgments: the number covers a hole, and behind it what duplicates stood for. */
  acknowledgedBlindly(c: Connection, delivery: Delivery): void {
    const { mss } = c.snd;
    const stood = this.duplicates * mss;
    const { bytes } = delivery;
    delivery.bytes = Math.max(bytes - stood, Math.min(bytes, mss));
    const left = Math.ceil(Math.max(0, stood - Math.max(0, bytes - mss)) / mss);
    this.assume(c, Math.max(0, Math.min(left, c.sent.count - 1)));
  }

  /** What was sent at `low` came after what was sent later: so far do segments overtake each other. */
  noteReordering(c: Connection, low: number): void {
    const { highest } = c.sent;
    const distance = ((highest === undefined ? c.snd.una : highest.end) - low) | 0;
    if (distance <= 0) return;
    this.reorderings++;
    this.reordering = Math.max(this.reordering, Math.min(MAX_REORDERING, Math.ceil(distance / c.snd.mss)));
  }

  /** The time that segments may be late by is over (RFC 8985 6.2, step 5). */
  onReorderingTimer(c: Connection): void {
    const { sent } = c;
    const lost = sent.lostTotal;
    const wait = this.rack === undefined ? 0 : this.rack.detect(c, true);
    if (sent.lostTotal !== lost && !this.active) {
      this.judge(c);
      if (this.active) this.setWindow(c, c.snd.mss, false);
    }
    if (wait > 0) c.timers.awaitReordering(wait);
    else c.timers.rearm();
  }

  /** While the window shrinks: what it is after an acknowledgment of `delivered` bytes. */
  setWindow(c: Connection, delivered: number, safe: boolean): void {
    const { congestion, sent, snd } = c;
    if (this.prr === undefined || delivered <= 0 || !c.config.prr || congestion.ownsRecovery) return;
    const cwnd = this.prr.window(sent.pipe, congestion.ssthresh, snd.mss, delivered, safe);
    // RFC 6582 3.2, step 3: what a partial acknowledgment asks for goes out at once.
    const partial = !c.sackPermitted && sent.head?.due === true;
    congestion.cwnd = Math.max(snd.mss, partial ? Math.max(cwnd, sent.pipe + snd.mss) : cwnd);
  }

  /** The retransmission timer fired (RFC 6298 5, RFC 5681 3.1, RFC 6582 4, RFC 8985 6.3). */
  timeout(c: Connection): void {
    const { sent, snd, congestion, host } = c;
    const { config } = c;
    const fresh = !this.isRepairing;
    const again = c.retries > 1;
    const reduced = !fresh || this.state === 'cwr' ? after(this.recover, snd.una) : false;
    const first = !reduced || (this.state === 'loss' && !again);
    // So many overtook it, and it did not come: the path reorders less than was thought.
    if (fresh && sent.sackedCount >= config.reordering) this.reordering = Math.min(this.reordering, config.reordering);
    const flight = (snd.nxt - snd.una) | 0;
    this.assume(c, 0);
    this.watchOrder(c);
    // What the peer has it acknowledges; if it does not, it does not have it any more.
    if (config.expungeSacks || sent.head?.sacked === true) sent.forgetSacked();
    if (this.rack === undefined) sent.markAllLost();
    else this.rack.timeout(c);
    if (first) this.beginUndo(c, true);
    congestion.timeout(flight, !first, host.now);
    // What was sent a moment ago is in flight still.
    if (!congestion.ownsRecovery) congestion.cwnd = sent.pipe + snd.mss;
    this.state = 'loss';
    if (c.ecn !== undefined) c.ecn.owesCwr = true;
    this.recover = this.excused = snd.nxt;
    this.tlp = 'none';
    this.known.hasLostEdge = this.newFirst = this.urgent = false;
    this.frto = config.frto && (fresh || again) && (c.plpmtud?.search.probed ?? 0) === 0;
  }
}
