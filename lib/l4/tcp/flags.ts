/** What is true or not of a connection: a bit each, since there may be very many connections. */

const SACK_PERMITTED = 1 << 0;
const SCALING = 1 << 1;
const NO_DELAY = 1 << 2;
const FIN_QUEUED = 1 << 3;
const FIN_SENT = 1 << 4;
const EOF = 1 << 5;
const ACK_NOW = 1 << 6;
const IN_TIME_WAIT = 1 << 7;
const LISTED = 1 << 8;
const TOLD = 1 << 9;
const BLOCKED = 1 << 10;
const UNFLUSHED = 1 << 11;
const READ_SHUT = 1 << 12;
const ABANDONED = 1 << 13;
const OVER = 1 << 14;
const RELEASED = 1 << 15;
const CLOSED_TOLD = 1 << 16;
const MAY_FRAGMENT = 1 << 17;
const LEAVES_CHECKSUMS = 1 << 18;
const LEAVES_CUTTING = 1 << 19;
const PUSHING = 1 << 20;
const EMBRYONIC = 1 << 21;
const ACK_SOON = 1 << 22;
const TIMER_SPARE = 1 << 23;
const SYN_DATA = 1 << 24;

/** The flags of one connection. All are off at first. Each is set in place: a function for all of them would be called, not inlined, for each segment. */
export class Flags {
  private bits = 0;

  /** Both sides take selective acknowledgments; in SYN-SENT: we do. */
  get sackPermitted(): boolean {
    return (this.bits & SACK_PERMITTED) !== 0;
  }
  set sackPermitted(on: boolean) {
    this.bits = on ? this.bits | SACK_PERMITTED : this.bits & ~SACK_PERMITTED;
  }

  /** Both SYNs offered window scaling; in SYN-SENT: ours did. */
  get scaling(): boolean {
    return (this.bits & SCALING) !== 0;
  }
  set scaling(on: boolean) {
    this.bits = on ? this.bits | SCALING : this.bits & ~SCALING;
  }

  /** Nagle's algorithm is off. */
  get noDelay(): boolean {
    return (this.bits & NO_DELAY) !== 0;
  }
  set noDelay(on: boolean) {
    this.bits = on ? this.bits | NO_DELAY : this.bits & ~NO_DELAY;
  }

  /** The application ended its stream. */
  get finQueued(): boolean {
    return (this.bits & FIN_QUEUED) !== 0;
  }
  set finQueued(on: boolean) {
    this.bits = on ? this.bits | FIN_QUEUED : this.bits & ~FIN_QUEUED;
  }

  /** The FIN was sent. */
  get finSent(): boolean {
    return (this.bits & FIN_SENT) !== 0;
  }
  set finSent(on: boolean) {
    this.bits = on ? this.bits | FIN_SENT : this.bits & ~FIN_SENT;
  }

  /** The peer's FIN was received in order. */
  get eof(): boolean {
    return (this.bits & EOF) !== 0;
  }
  set eof(on: boolean) {
    this.bits = on ? this.bits | EOF : this.bits & ~EOF;
  }

  /** An ACK is owed when the event ends. */
  get ackNow(): boolean {
    return (this.bits & ACK_NOW) !== 0;
  }
  set ackNow(on: boolean) {
    this.bits = on ? this.bits | ACK_NOW : this.bits & ~ACK_NOW;
  }

  /** An ACK is to be delayed from when the event ends on, unless what the application does then says it. */
  get ackSoon(): boolean {
    return (this.bits & ACK_SOON) !== 0;
  }
  set ackSoon(on: boolean) {
    this.bits = on ? this.bits | ACK_SOON : this.bits & ~ACK_SOON;
  }

  /** The retransmission timer is not needed, and goes back when the event ends unless it is needed again by then. */
  get timerSpare(): boolean {
    return (this.bits & TIMER_SPARE) !== 0;
  }
  set timerSpare(on: boolean) {
    this.bits = on ? this.bits | TIMER_SPARE : this.bits & ~TIMER_SPARE;
  }

  /** Data in the SYN were acknowledged by the SYN-ACK. */
  get synData(): boolean {
    return (this.bits & SYN_DATA) !== 0;
  }
  set synData(on: boolean) {
    this.bits = on ? this.bits | SYN_DATA : this.bits & ~SYN_DATA;
  }

  /** Counted among those in TIME-WAIT. */
  get inTimeWait(): boolean {
    return (this.bits & IN_TIME_WAIT) !== 0;
  }
  set inTimeWait(on: boolean) {
    this.bits = on ? this.bits | IN_TIME_WAIT : this.bits & ~IN_TIME_WAIT;
  }

  /** In the host's list of connections that have something to tell. */
  get listed(): boolean {
    return (this.bits & LISTED) !== 0;
  }
  set listed(on: boolean) {
    this.bits = on ? this.bits | LISTED : this.bits & ~LISTED;
  }

  /** `readable` was called and no read made progress since. */
  get told(): boolean {
    return (this.bits & TOLD) !== 0;
  }
  set told(on: boolean) {
    this.bits = on ? this.bits | TOLD : this.bits & ~TOLD;
  }

  /** The last write did not take everything. */
  get blocked(): boolean {
    return (this.bits & BLOCKED) !== 0;
  }
  set blocked(on: boolean) {
    this.bits = on ? this.bits | BLOCKED : this.bits & ~BLOCKED;
  }

  /** What was written waits to be acknowledged. */
  get unflushed(): boolean {
    return (this.bits & UNFLUSHED) !== 0;
  }
  set unflushed(on: boolean) {
    this.bits = on ? this.bits | UNFLUSHED : this.bits & ~UNFLUSHED;
  }

  /** The application shut down reading. */
  get readShut(): boolean {
    return (this.bits & READ_SHUT) !== 0;
  }
  set readShut(on: boolean) {
    this.bits = on ? this.bits | READ_SHUT : this.bits & ~READ_SHUT;
  }

  /** The application called `close` or `abort`: it hears only of the end. */
  get abandoned(): boolean {
    return (this.bits & ABANDONED) !== 0;
  }
  set abandoned(on: boolean) {
    this.bits = on ? this.bits | ABANDONED : this.bits & ~ABANDONED;
  }

  /** Nothing more will happen in the protocol. */
  get over(): boolean {
    return (this.bits & OVER) !== 0;
  }
  set over(on: boolean) {
    this.bits = on ? this.bits | OVER : this.bits & ~OVER;
  }

  /** The host has forgotten it. */
  get released(): boolean {
    return (this.bits & RELEASED) !== 0;
  }
  set released(on: boolean) {
    this.bits = on ? this.bits | RELEASED : this.bits & ~RELEASED;
  }

  /** The owner was told of the end. */
  get closedTold(): boolean {
    return (this.bits & CLOSED_TOLD) !== 0;
  }
  set closedTold(on: boolean) {
    this.bits = on ? this.bits | CLOSED_TOLD : this.bits & ~CLOSED_TOLD;
  }

  /** Its listener counts it among those whose handshake is not complete. */
  get embryonic(): boolean {
    return (this.bits & EMBRYONIC) !== 0;
  }
  set embryonic(on: boolean) {
    this.bits = on ? this.bits | EMBRYONIC : this.bits & ~EMBRYONIC;
  }

  /** The path takes less than the least MTU: it must cut our packets. */
  get mayFragment(): boolean {
    return (this.bits & MAY_FRAGMENT) !== 0;
  }
  set mayFragment(on: boolean) {
    this.bits = on ? this.bits | MAY_FRAGMENT : this.bits & ~MAY_FRAGMENT;
  }

  /** What was written is sent when those that are being told of news have returned. */
  get pushing(): boolean {
    return (this.bits & PUSHING) !== 0;
  }
  set pushing(on: boolean) {
    this.bits = on ? this.bits | PUSHING : this.bits & ~PUSHING;
  }

  /** The device at the beginning of the path completes checksums. */
  get leavesChecksums(): boolean {
    return (this.bits & LEAVES_CHECKSUMS) !== 0;
  }
  set leavesChecksums(on: boolean) {
    this.bits = on ? this.bits | LEAVES_CHECKSUMS : this.bits & ~LEAVES_CHECKSUMS;
  }

  /** It makes segments of super-segments. */
  get leavesCutting(): boolean {
    return (this.bits & LEAVES_CUTTING) !== 0;
  }
  set leavesCutting(on: boolean) {
    this.bits = on ? this.bits | LEAVES_CUTTING : this.bits & ~LEAVES_CUTTING;
  }
}
