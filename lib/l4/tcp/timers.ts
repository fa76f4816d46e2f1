/**
 * The deadlines of a connection. One timer serves the handshake, retransmission and window probes, which exclude each other; another
 * delays acknowledgments; a third, made when first needed, watches idle connections and counts down FIN-WAIT-2 and TIME-WAIT; a fourth
 * paces, where that is asked for.
 */

import type { Timer } from '../../core/timers.js';
import { ackDelayed, ackSent } from './acks.js';
import type { Connection } from './connection.js';
import { inEvent } from './event.js';
import { waitsForData } from './defer-accept.js';
import type { LentTimer, Purpose } from './lent-timer.js';
import { isGivenUp, onPersistTimer, persistInterval, retriesOf } from './persist.js';
import { Tell } from './tell.js';
import { onProbeTimer, probeTimeout } from './tlp.js';
import { mtuTimeout } from './plpmtud.js';
import { resendSyn, reset, sendAck, sendProbe } from './emit.js';
import { retransmit, transmit } from './send.js';
import { isSynchronised } from './state.js';

// A timeout that comes this late (ms) says that this process slept, and acknowledgments may lie unread; it gets this grace, once.
const LATE = 5;
const GRACE = 10;
/** After so many retransmissions the way is doubtful (RFC 9293 3.8.3). */
const R1 = 3;

// Added to the time to wait, as with Linux: the grain of clocks.
const GRAIN = 2;

/** The timers of one connection. */
export class ConnectionTimers {
  /** These two are the host's, while they are needed. */
  private retransmission: LentTimer | undefined = undefined;
  private delayedAck: LentTimer | undefined = undefined;
  private idle: Timer | undefined = undefined;
  private pacing: Timer | undefined = undefined;
  private readonly c: Connection;

  constructor(c: Connection) {
    this.c = c;
  }

  get isRetransmitArmed(): boolean {
    return !this.c.timerSpare && this.retransmission?.timer.armed === true;
  }

  /** When it fires; `Infinity` while it is not armed. */
  get retransmitAt(): number {
    return this.c.timerSpare
      ? Number.POSITIVE_INFINITY
      : (this.retransmission?.timer.deadline ?? Number.POSITIVE_INFINITY);
  }

  /**
   * Nothing is in flight, nor waits for the window. Until the event ends the timer stays, since the application may answer what it is told
   * then: to move a timer later is far cheaper than to take it out and put it in again.
   */
  disarmRetransmit(): void {
    const { c } = this;
    if (this.retransmission === undefined || c.timerSpare) return;
    c.timerSpare = true;
    c.host.wake(c);
  }

  /** The event ends, or the handshake does, and the timer is not needed. */
  returnTimer(): void {
    this.c.timerSpare = false;
    const { retransmission } = this;
    if (retransmission === undefined) return;
    this.retransmission = undefined;
    retransmission.clear();
    this.c.host.retransmitTimers.give(retransmission);
  }

  private get purpose(): Purpose {
    return this.c.timerSpare ? 'timeout' : (this.retransmission?.purpose ?? 'timeout');
  }

  private setRetransmit(deadline: number): LentTimer {
    const { c } = this;
    c.timerSpare = false;
    this.retransmission ??= c.host.retransmitTimers.take().lend(c);
    this.retransmission.timer.arm(deadline);
    return this.retransmission;
  }

  /** Starts the retransmission timeout anew (RFC 6298 5.1, 5.3). */
  armRetransmit(): void {
    const { c } = this;
    if (c.sent.head === undefined && c.state !== 'SYN-SENT' && c.state !== 'SYN-RECEIVED') {
      this.armPersist();
      return;
    }
    this.schedule('timeout', c.host.now + c.rtt.rto);
  }

  /** The timer is for the retransmission timeout again, which counts from when the oldest segment was sent if it was for something else. */
  rearm(): void {
    const { c } = this;
    const { head } = c.sent;
    if (this.purpose === 'timeout' || head === undefined) this.armRetransmit();
    else this.schedule('timeout', Math.max(c.host.now + 1, head.sentAt + c.rtt.rto));
  }

  /** A flight begins: what is due first is armed at once, since to move a timer forward is dear. */
  flightBegins(): void {
    if (!this.armProbe(true)) this.armRetransmit();
  }

  /** Something was acknowledged, and something is still to be: a tail loss probe is due next, or the timeout starts anew. */
  progressed(): void {
    if (!this.armProbe(true)) this.rearm();
  }

  /** New data were sent behind others. */
  sentMore(): void {
    if (this.purpose !== 'reordering') this.armProbe(false);
  }

  /** The oldest segment was sent again. */
  headResent(): void {
    if (this.purpose !== 'reordering') this.armRetransmit();
  }

  /** @param anew whether the timeout, which the probe is not to come after, starts anew */
  private armProbe(anew: boolean): boolean {
    const { c } = this;
    const { head } = c.sent;
    const timeout = probeTimeout(c);
    if (timeout === 0 || head === undefined) return false;
    const { now } = c.host;
    const left = anew ? c.rtt.rto : head.sentAt + c.rtt.rto - now;
    this.schedule('probe', now + (left > 0 ? Math.min(timeout, left) : timeout));
    return true;
  }

  /** In `wait` ms it will be known what is lost, and what was only late. */
  awaitReordering(wait: number): void {
    const { c } = this;
    this.schedule('reordering', c.host.now + Math.min(wait + GRAIN, c.rtt.rto));
  }

  /** The retransmission timeout comes in `ms`, whatever was measured. */
  expireWithin(ms: number): void {
    this.schedule('timeout', this.c.host.now + ms);
  }

  private schedule(purpose: Purpose, deadline: number): void {
    const lent = this.setRetransmit(Math.min(deadline, this.userDeadline()));
    lent.purpose = purpose;
    lent.due = deadline;
  }

  /** What the timer is for; the user timeout comes before all. */
  get current(): Purpose {
    return this.isLate ? 'timeout' : this.purpose;
  }

  /** The user timeout has passed, or what an active open may take. */
  get isLate(): boolean {
    return this.userDeadline() <= this.c.host.now;
  }

  /** Whether the timeout came so late that what arrived meanwhile is to be looked at first; if so it is put off. */
  putOff(): boolean {
    const { now } = this.c.host;
    const due = this.retransmission?.due ?? -1;
    if (due < 0 || now - Math.min(due, this.userDeadline()) < LATE) return false;
    this.setRetransmit(now + GRACE).due = -1;
    return true;
  }

  /** Starts the interval to the next window probe. */
  armPersist(): void {
    this.schedule('timeout', this.c.host.now + persistInterval(this.c));
  }

  /** The user timeout is another: what the timer is due for may have to wait less for it than before, or longer. */
  limitByUserTimeout(): void {
    const { retransmission } = this;
    if (retransmission === undefined || !this.isRetransmitArmed) return;
    const { due } = retransmission;
    this.setRetransmit(Math.min(due < 0 ? this.retransmitAt : due, this.userDeadline()));
  }

  /** When what is in flight, a shut window, or the handshake, will have taken too long. */
  userDeadline(): number {
    const { userTimeout, state, settings } = this.c;
    const opens = state === 'SYN-SENT' || state === 'SYN-RECEIVED';
    // Most have none.
    if (userTimeout <= 0 && !opens) return Number.POSITIVE_INFINITY;
    // Our SYN-ACK was acknowledged, and nothing else of ours is on its way.
    if (opens && settings?.roundTrip !== undefined) return Number.POSITIVE_INFINITY;
    const since = opens ? this.c.snd.lastAt : this.undeliveredSince();
    if (since === undefined) return Number.POSITIVE_INFINITY;
    return since + Math.min(userTimeout > 0 ? userTimeout : Number.POSITIVE_INFINITY, this.handshakeTimeout());
  }

  private undeliveredSince(): number | undefined {
    const { config, sent, recovery, retries, probes, unansweredSince } = this.c;
    // From the first probe, whoever answers: nothing was delivered (as with Linux).
    if (sent.head === undefined) return probes > 0 ? unansweredSince : undefined;
    if (config.userTimeoutSince === 'sent') return sent.head.firstSentAt;
    return retries > 0 ? recovery.trouble?.timedOutAt : undefined;
  }

  private handshakeTimeout(): number {
    const { config, state, parent } = this.c;
    const opens = state === 'SYN-SENT' || (state === 'SYN-RECEIVED' && parent === undefined);
    return opens && config.handshakeTimeout > 0 ? config.handshakeTimeout : Number.POSITIVE_INFINITY;
  }

  /** Data came that may be acknowledged a little later. */
  delayAck(time: number): void {
    const { c } = this;
    const { now } = c.host;
    this.delayedAck ??= c.host.ackTimers.take().lend(c);
    const { timer } = this.delayedAck;
    if (!timer.armed) timer.arm(now + time);
    // As good as due.
    else if (timer.deadline <= now + time / 4) c.oweAck();
    else if (now + time < timer.deadline) timer.arm(now + time);
  }

  /** Whether an acknowledgment is owed, and not at once. */
  get isAckDelayed(): boolean {
    return this.c.ackSoon || this.delayedAck?.timer.armed === true;
  }

  /** A segment with an ACK is on its way: none is owed. */
  acknowledged(): void {
    const { c } = this;
    c.ackNow = c.ackSoon = false;
    ackSent(c);
    c.rcv.ackSent = c.rcv.nxt;
    if (this.delayedAck !== undefined) this.disarmAck();
  }

  private disarmAck(): void {
    this.c.ackSoon = false;
    const { delayedAck } = this;
    if (delayedAck === undefined) return;
    this.delayedAck = undefined;
    delayedAck.clear();
    this.c.host.ackTimers.give(delayedAck);
  }

  /** Watches for idleness if keepalive is on; called when it is switched, and when the connection is established. */
  watchIdle(): void {
    const { c } = this;
    if (c.keepalive === undefined) {
      if (c.state !== 'FIN-WAIT-2' && c.state !== 'TIME-WAIT') this.idle?.cancel();
      return;
    }
    // Where nobody reads any more the timer waits for the peer's FIN.
    if (!isSynchronised(c.state) || c.over || (c.state === 'FIN-WAIT-2' && c.abandoned)) return;
    c.keepalive.heard(c.host.now);
    this.idleTimer().arm(c.keepalive.deadline);
  }

  /** Nobody reads any more: the peer's FIN is waited for only so long. */
  waitForFin(): void {
    const { c } = this;
    const time = c.settings?.finWait2Timeout ?? c.config.finWait2Timeout;
    if (time < 0) {
      reset(c);
      c.terminate(undefined);
    } else this.idleTimer().arm(c.host.now + time);
  }

  /** Starts 2 MSL. */
  timeWait(): void {
    this.returnTimer();
    this.disarmAck();
    this.pacing?.cancel();
    this.idleTimer().arm(this.c.host.now + this.c.config.timeWait);
  }

  private idleTimer(): Timer {
    const { c } = this;
    this.idle ??= c.host.env.timers.timer(runIdle, c);
    return this.idle;
  }

  /** The next segment leaves then, not before. */
  pace(deadline: number): void {
    const { c } = this;
    this.pacing ??= c.host.env.timers.timer(() => run(c, transmit));
    if (!this.pacing.armed || deadline < this.pacing.deadline) this.pacing.arm(deadline);
  }

  /** Next look at an idle connection. */
  armIdle(deadline: number): void {
    this.idleTimer().arm(deadline);
  }

  cancel(): void {
    this.returnTimer();
    this.disarmAck();
    this.pacing?.cancel();
    this.idle?.cancel();
  }
}

/** The retransmission timer of a connection fired. */
export function runRetransmit(c: Connection): void {
  run(c, onRetransmitTimer);
}

/** An acknowledgment was delayed long enough. */
export function runDelayedAck(c: Connection): void {
  run(c, onDelayedAckTimer);
}

function runIdle(c: Connection): void {
  run(c, onIdleTimer);
}

function run(c: Connection, event: (c: Connection) => void): void {
  if (c.state === 'CLOSED') return;
  inEvent(c, event);
}

function onDelayedAckTimer(c: Connection): void {
  ackDelayed(c);
  sendAck(c);
}

function onRetransmitTimer(c: Connection): void {
  if (c.state === 'SYN-SENT' || c.state === 'SYN-RECEIVED') onHandshakeTimeout(c);
  else if (c.sent.head === undefined) onPersistTimer(c);
  else if (!c.timers.putOff()) onFlightTimer(c);
}

function onFlightTimer(c: Connection): void {
  const { current } = c.timers;
  // What is late is late segment by segment.
  c.sent.cut();
  if (current === 'probe') onProbeTimer(c);
  else if (current === 'reordering') {
    c.recovery.onReorderingTimer(c);
    transmit(c);
  } else onRetransmissionTimeout(c);
}

function onHandshakeTimeout(c: Connection): void {
  const { config } = c;
  const { counters } = c.host;
  const limit = c.state === 'SYN-SENT' ? config.synRetries : config.synAckRetries;
  if (c.settings !== undefined && waitsForData(c, c.settings)) {
    c.rtt.backOff();
    c.timers.armRetransmit();
    return;
  }
  if (c.retries >= limit || c.timers.isLate) {
    counters.timedOut++;
    c.terminate(c.softError ?? 'ETIMEDOUT');
    return;
  }
  c.retries++;
  if (c.retries === R1) doubt(c);
  c.rtt.backOff();
  // First: the way out may throw.
  c.timers.armRetransmit();
  resendSyn(c);
}

/** RFC 9293 3.8.3: the way to the peer may be broken, and its owner should know. */
function doubt(c: Connection): void {
  c.host.doubt?.(c.remote.address);
  c.tell(Tell.TROUBLE);
}

function onRetransmissionTimeout(c: Connection): void {
  const { now, counters } = c.host;
  const { head } = c.sent;
  if (head === undefined) return;
  // A peer that shrank its window to nothing but still answers is not dead (RFC 9293 SHLD-17, MUST-37).
  const limit = retriesOf(c);
  const shut = c.snd.wnd === 0 && c.unanswered < limit && !isGivenUp(c);
  const late = now >= c.timers.userDeadline();
  if (late || (c.retries >= limit && !shut)) {
    counters.timedOut++;
    c.terminate(c.softError ?? 'ETIMEDOUT');
    return;
  }
  if (c.retries++ === 0) c.recovery.known.timedOutAt = now;
  if (c.retries === R1) doubt(c);
  c.unanswered++;
  counters.timeouts++;
  mtuTimeout(c, head);
  c.recovery.timeout(c);
  c.rtt.backOff();
  retransmit(c, head);
  c.timers.armRetransmit();
  transmit(c);
}

function onIdleTimer(c: Connection): void {
  if (c.state === 'TIME-WAIT') {
    c.to('timeout');
    c.finish();
  } else if (c.state === 'FIN-WAIT-2' && c.abandoned) c.terminate(undefined);
  else onKeepaliveTimer(c);
}

function onKeepaliveTimer(c: Connection): void {
  const { keepalive } = c;
  if (keepalive === undefined) return;
  const { now, counters } = c.host;
  // RFC 9293 MUST-26: only while nothing is in flight; what is has its own timeout.
  if (c.sent.head !== undefined) keepalive.heard(now);
  if (now < keepalive.deadline) {
    c.timers.armIdle(keepalive.deadline);
    return;
  }
  const late = c.userTimeout > 0 && keepalive.probes > 0 && now - keepalive.heardAt >= c.userTimeout;
  // A user timeout counts instead of the probes, as with Linux.
  if (late || (c.userTimeout <= 0 && keepalive.exhausted)) {
    counters.timedOut++;
    reset(c);
    c.terminate(c.softError ?? 'ETIMEDOUT');
    return;
  }
  keepalive.probes++;
  counters.keepaliveProbes++;
  // First: the way out may throw.
  c.timers.armIdle(keepalive.deadline);
  sendProbe(c);
}
