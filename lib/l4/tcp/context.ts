/** What the rooms of a connection need from the host that they are part of. */

import type { IpAddress } from '../../core/address.js';
import type { Env } from '../../core/env.js';
import type { IpOutput } from '../../l3/ip-output.js';
import type { Acknowledgment } from './congestion/congestion.js';
import type { Connection } from './connection.js';
import type { Delivery } from './delivery.js';
import type { FastOpenMemory } from './fast-open.js';
import type { LentTimer } from './lent-timer.js';
import type { Memory } from './memory.js';
import type { TcpConfig } from './options.js';
import type { ReceiveQueue } from './receive-queue.js';
import type { Recycler } from './recycler.js';
import type { SendQueue } from './send-queue.js';
import type { SentQueue } from './sent-queue.js';

/** Counts of what happened, for statistics (RFC 4022 in spirit). All only grow. */
export class TcpCounters {
  /** As they were on the wire: a super-segment counts for all that it stands for. */
  segmentsIn = 0;
  segmentsOut = 0;
  /** Active opens. */
  opened = 0;
  /** Passive opens that reached ESTABLISHED. */
  accepted = 0;
  /** Connection attempts, either way, that ended before ESTABLISHED. */
  failed = 0;
  /** Connections that a RST, sent or received, ended. */
  reset = 0;
  timedOut = 0;
  /** Segments sent again. */
  retransmits: number = 0;
  fastRetransmits = 0;
  timeouts = 0;
  /** Tail loss probes (RFC 8985 7), and those that repaired a loss. */
  lossProbes = 0;
  lossProbeRecoveries = 0;
  /** Reductions of the window that were taken back because nothing had been lost, and the timeouts among them. */
  spuriousRecoveries = 0;
  spuriousTimeouts = 0;
  resetsSent = 0;
  resetsReceived = 0;
  challengeAcks = 0;
  windowProbes = 0;
  keepaliveProbes = 0;
  /** Segments that probed for a larger path MTU, those of them that were lost, and paths that lost full packets without a word. */
  mtuProbes = 0;
  mtuProbesLost = 0;
  blackHoles = 0;
  outOfOrder = 0;
  /** Segments whose data were marked on the way (CE), acknowledgments that said so of ours (ECE), and windows reduced for that (RFC 3168). */
  ceReceived = 0;
  eceReceived = 0;
  ecnReductions = 0;
  backlogDrops = 0;
  /** SYNs that were answered with a cookie; ACKs that returned a good one, and ACKs that did not while cookies were out. */
  cookiesSent = 0;
  cookiesAccepted = 0;
  cookiesRejected = 0;
  /** SYNs with data that were sent, that were taken, and that came with a wrong Fast Open cookie. */
  fastOpensActive = 0;
  fastOpensPassive = 0;
  fastOpensRejected = 0;
  /** Handlers that threw; their connections were reset. */
  handlersThrew = 0;
}

/** A host as its connections see it. */
export interface TcpContext {
  readonly env: Env;
  readonly config: TcpConfig;
  readonly output: IpOutput;
  readonly counters: TcpCounters;
  readonly sentQueues: Recycler<SentQueue>;
  readonly sendQueues: Recycler<SendQueue>;
  readonly receiveQueues: Recycler<ReceiveQueue>;
  readonly retransmitTimers: Recycler<LentTimer>;
  readonly ackTimers: Recycler<LentTimer>;
  readonly fastOpen: FastOpenMemory;
  readonly memory: Memory;
  /** What the acknowledgment under inspection says, for congestion control. */
  readonly acknowledgment: Acknowledgment;
  /** What it brought, for recovery. */
  readonly delivery: Delivery;
  /** The connection whose queue refers to the frame of the segment under inspection. */
  lender: Connection | undefined;
  /** The time of the current event, in milliseconds. */
  readonly now: number;
  /** The time now: that of the event if there is one. */
  clock(): number;
  /** Is told every few seconds that `remote` acknowledges: the way there works (RFC 4861 7.3.1). */
  readonly confirm: ((remote: IpAddress) => void) | undefined;
  /** Of whom it was told last, and when. */
  readonly confirmed: { remote: IpAddress | undefined; at: number };
  /** Is told that `remote` has not answered three times: R1 of RFC 9293 3.8.3. */
  readonly doubt: ((remote: IpAddress) => void) | undefined;
  /** Somebody is being told of news, from within whose calls this may be. */
  readonly isTelling: boolean;
  /** An event begins: a segment, a timer, a call of the application. Events may nest. */
  enter(): void;
  /** The event ends; if it was the outermost, connections now tell their owners, and what came in meanwhile is processed. */
  leave(): void;
  /** The same for a call of the application that must not be answered before it returned: the rest happens right after. */
  leaveLater(): void;
  /** The connection has something to tell or to acknowledge when the event ends. */
  wake(connection: Connection): void;
  /** The connection ended: forget it. */
  release(connection: Connection): void;
  /** The connection found out that packets of `mtu` bytes get through to its peer, and none that is larger. */
  foundMtu(connection: Connection, mtu: number): void;
  /** Whether another connection to the same peer, of the many that are looked at, got packets of `mtu` bytes or more through since `since`. */
  othersGetThrough(connection: Connection, mtu: number, since: number): boolean;
  /** Whether one more connection may linger in TIME-WAIT; counts it if so. */
  admitTimeWait(): boolean;
}

/** What a listener is to the connections that it spawned. */
export interface Parent {
  /** How long its connections wait for data before they are accepted, in ms; 0: not at all. */
  readonly deferAccept: number;
  /** The handshake is done: whether there is room to wait for `accept`. */
  admit(connection: Connection): boolean;
  /** It ended before it was accepted. */
  lost(connection: Connection): void;
}
