/**
 * What there is to know about a connection, in the shape of Linux's `tcp_info`. Times are in milliseconds and sizes in bytes;
 * {@link linuxTcpInfo} gives Linux's names, units and numbers.
 */

import type { TcpState } from './api.js';
import { UNLIMITED as NO_THRESHOLD } from './congestion/congestion.js';
import type { Connection } from './connection.js';
import type { RecoveryState } from './recovery.js';
import { pacingRate } from './pacing.js';
import { unsentBytes } from './segment-size.js';
import { Chrono } from './statistics.js';
import { receiveWindow } from './window.js';

/** What recovery makes of the last acknowledgments: all is well; something is odd; the network asked for less; data are lost; a timeout. */
export type TcpCongestionState = 'Open' | 'Disorder' | 'CWR' | 'Recovery' | 'Loss';

/** A look at a connection. It is a copy: it does not change. */
export interface TcpInfo {
  readonly state: TcpState;
  readonly caState: TcpCongestionState;
  /** The congestion control. */
  readonly congestion: string;
  /** What was agreed on with the SYNs. */
  readonly options: {
    readonly timestamps: boolean;
    readonly sack: boolean;
    readonly windowScaling: boolean;
    readonly ecn: boolean;
    /** A packet came that was marked, or might have been. */
    readonly ecnSeen: boolean;
    /** Data in the SYN were acknowledged by the SYN-ACK (RFC 7413), either way. */
    readonly synData: boolean;
  };
  readonly sndWscale: number;
  readonly rcvWscale: number;

  /** The congestion window in segments, and in bytes; the slow-start threshold, `Infinity` before the first loss. */
  readonly sndCwnd: number;
  readonly sndCwndBytes: number;
  readonly sndSsthresh: number;
  readonly sndSsthreshBytes: number;

  /** Segments in flight or believed lost; and those of them that were selectively acknowledged, are believed lost, were sent again. */
  readonly unacked: number;
  readonly sacked: number;
  readonly lost: number;
  readonly retrans: number;
  /** Timeouts in a row without progress; unanswered window probes or keep-alives; doublings of the timeout. */
  readonly retransmits: number;
  readonly probes: number;
  readonly backoff: number;
  /** By how many segments packets may overtake each other, and how often they were seen to. */
  readonly reordering: number;
  readonly reordSeen: number;

  readonly advmss: number;
  readonly sndMss: number;
  readonly rcvMss: number;
  readonly pmtu: number;

  /** The smoothed round-trip time and its variation, 0 before the first measurement; the smallest, `Infinity` before; the timeout. */
  readonly rtt: number;
  readonly rttvar: number;
  readonly minRtt: number;
  readonly rto: number;
  /** How long an acknowledgment is delayed. */
  readonly ato: number;

  /** Time since then. */
  readonly lastDataSent: number;
  readonly lastDataRecv: number;
  readonly lastAckRecv: number;

  /** The receiver's estimate of the round-trip time, 0 without one; and of what comes in that time. */
  readonly rcvRtt: number;
  readonly rcvSpace: number;
  /** The most that is offered of the buffer for now. */
  readonly rcvSsthresh: number;

  readonly totalRetrans: number;
  readonly bytesAcked: number;
  readonly bytesSent: number;
  readonly bytesRetrans: number;
  readonly bytesReceived: number;
  readonly segsOut: number;
  readonly segsIn: number;
  readonly dataSegsOut: number;
  readonly dataSegsIn: number;

  /** In bytes a second. */
  readonly deliveryRate: number;
  readonly deliveryRateAppLimited: boolean;
  readonly pacingRate: number;
  /** Segments. */
  readonly delivered: number;
  readonly deliveredCe: number;
  readonly dsackDups: number;

  /** How long there was something to send; and how much of that the peer's window, and our send buffer, kept it. */
  readonly busyTime: number;
  readonly rwndLimited: number;
  readonly sndbufLimited: number;

  readonly sndWnd: number;
  readonly rcvWnd: number;
  readonly notsentBytes: number;
  readonly receiveBuffer: number;
  readonly sendBuffer: number;
}

type Parts<K extends keyof TcpInfo> = Pick<TcpInfo, K>;

/** A look at `c`. */
export function infoOf(c: Connection): TcpInfo {
  // It is 0 until the peer's SYN comes, whatever becomes of the connection.
  const isAgreed = c.rcv.nxt !== 0;
  const timestamps = isAgreed && c.ts.on;
  const windowScaling = isAgreed && c.scaling;
  return {
    state: c.state,
    caState: congestionState(c),
    congestion: c.congestion.name,
    options: {
      timestamps,
      sack: isAgreed && c.sackPermitted,
      windowScaling,
      ecn: c.ecn?.agreed ?? false,
      ecnSeen: c.ecn?.seen ?? false,
      synData: c.synData,
    },
    sndWscale: c.snd.scale,
    rcvWscale: windowScaling ? c.rcv.scale : 0,
    advmss: c.mssOffered - (timestamps ? 12 : 0),
    sndMss: c.snd.mss,
    rcvMss: c.rcv.mss,
    pmtu: c.mtu,
    ...windows(c),
    ...flight(c),
    ...times(c),
    ...counts(c),
    ...rates(c),
    ...limits(c),
  };
}

const CONGESTION_STATES: Readonly<Record<RecoveryState, TcpCongestionState>> = {
  open: 'Open',
  disorder: 'Disorder',
  cwr: 'CWR',
  recovery: 'Recovery',
  loss: 'Loss',
};

function congestionState(c: Connection): TcpCongestionState {
  return CONGESTION_STATES[c.recovery.state];
}

type Windows = 'sndCwnd' | 'sndCwndBytes' | 'sndSsthresh' | 'sndSsthreshBytes' | 'sndWnd' | 'rcvWnd' | 'rcvSsthresh';

function windows(c: Connection): Parts<Windows> {
  const { congestion, snd } = c;
  const { cwnd, ssthresh } = congestion;
  const unlimited = ssthresh >= NO_THRESHOLD;
  return {
    sndCwnd: Math.max(1, Math.floor(cwnd / snd.mss)),
    sndCwndBytes: cwnd,
    sndSsthresh: unlimited ? Number.POSITIVE_INFINITY : Math.floor(ssthresh / snd.mss),
    sndSsthreshBytes: unlimited ? Number.POSITIVE_INFINITY : ssthresh,
    sndWnd: snd.wnd,
    rcvWnd: receiveWindow(c),
    rcvSsthresh: Math.min(c.rcv.ssthresh, c.receiveBuffer),
  };
}

type Flight =
  | 'unacked'
  | 'sacked'
  | 'lost'
  | 'retrans'
  | 'retransmits'
  | 'probes'
  | 'backoff'
  | 'reordering'
  | 'reordSeen'
  | 'dsackDups';

function flight(c: Connection): Parts<Flight> {
  let unacked = 0;
  let sacked = c.recovery.duplicates;
  let lost = 0;
  let retrans = 0;
  for (let segment = c.sent.head; segment !== undefined; segment = segment.next) {
    // A segment that was sent as one counts for as many as it takes.
    const segments = Math.max(1, Math.ceil(segment.span / c.snd.mss));
    unacked += segments;
    if (segment.lost) lost += segments;
    if (segment.sacked) sacked += segments;
    if (segment.retransmitted) retrans += segments;
  }
  return {
    unacked,
    sacked,
    lost,
    retrans,
    retransmits: c.retries,
    probes: c.keepalive !== undefined && c.keepalive.probes > 0 ? c.keepalive.probes : c.probes > 0 ? c.unanswered : 0,
    backoff: c.probes > 0 ? c.probes : c.rtt.backoffs,
    reordering: c.recovery.reordering,
    reordSeen: c.recovery.reorderings,
    dsackDups: c.statistics.duplicatesReported,
  };
}

type Times =
  | 'rtt'
  | 'rttvar'
  | 'minRtt'
  | 'rto'
  | 'ato'
  | 'lastDataSent'
  | 'lastDataRecv'
  | 'lastAckRecv'
  | 'rcvRtt'
  | 'rcvSpace';

function times(c: Connection): Parts<Times> {
  const { rtt, statistics } = c;
  const now = c.host.env.timers.now();
  return {
    rtt: Math.max(0, rtt.srtt),
    rttvar: rtt.rttvar,
    minRtt: rtt.minRtt,
    rto: rtt.rto,
    ato: c.rcv.ato > 0 ? c.rcv.ato : c.config.delayedAck,
    lastDataSent: now - c.snd.lastAt,
    lastDataRecv: now - statistics.lastDataAt,
    lastAckRecv: now - statistics.lastAckAt,
    rcvRtt: c.tuning?.roundTrip ?? 0,
    rcvSpace: c.tuning?.space ?? 0,
  };
}

type Counts =
  | 'totalRetrans'
  | 'bytesAcked'
  | 'bytesSent'
  | 'bytesRetrans'
  | 'bytesReceived'
  | 'segsOut'
  | 'segsIn'
  | 'dataSegsOut'
  | 'dataSegsIn';

function counts({ statistics }: Connection): Parts<Counts> {
  return {
    totalRetrans: statistics.retransmits,
    bytesAcked: statistics.bytesAcked,
    bytesSent: statistics.bytesSent,
    bytesRetrans: statistics.bytesRetransmitted,
    bytesReceived: statistics.bytesReceived,
    segsOut: statistics.segmentsOut,
    segsIn: statistics.segmentsIn,
    dataSegsOut: statistics.dataSegmentsOut,
    dataSegsIn: statistics.dataSegmentsIn,
  };
}

type Rates = 'deliveryRate' | 'deliveryRateAppLimited' | 'pacingRate' | 'delivered' | 'deliveredCe';

function rates(c: Connection): Parts<Rates> {
  const { rate } = c;
  return {
    deliveryRate: (rate?.rate ?? 0) * 1000,
    deliveryRateAppLimited: rate?.rateIsAppLimited ?? false,
    pacingRate: pacingRate(c) * 1000,
    delivered: Math.ceil((rate?.delivered ?? 0) / c.snd.mss),
    deliveredCe: c.ecn?.delivered ?? 0,
  };
}

type Limits = 'busyTime' | 'rwndLimited' | 'sndbufLimited' | 'notsentBytes' | 'receiveBuffer' | 'sendBuffer';

function limits(c: Connection): Parts<Limits> {
  const { statistics, queue } = c;
  const { waits } = statistics;
  const now = c.host.env.timers.now();
  const time = (kind: number) => queue.watch.current(kind, now);
  const [rwnd, sndbuf] = [time(Chrono.PEER_WINDOW), time(Chrono.SEND_BUFFER)];
  return {
    busyTime: statistics.busyTime + time(Chrono.BUSY) + rwnd + sndbuf,
    rwndLimited: (waits?.peerWindow ?? 0) + rwnd,
    sndbufLimited: (waits?.sendBuffer ?? 0) + sndbuf,
    notsentBytes: unsentBytes(c),
    receiveBuffer: c.receiveBuffer,
    sendBuffer: c.sendBuffer,
  };
}

/** Linux's numbers of the states (`TCP_ESTABLISHED` and so on). */
export const LINUX_STATES: Readonly<Record<TcpState, number>> = {
  ESTABLISHED: 1,
  'SYN-SENT': 2,
  'SYN-RECEIVED': 3,
  'FIN-WAIT-1': 4,
  'FIN-WAIT-2': 5,
  'TIME-WAIT': 6,
  CLOSED: 7,
  'CLOSE-WAIT': 8,
  'LAST-ACK': 9,
  LISTEN: 10,
  CLOSING: 11,
};

/** Linux's numbers of {@link TcpCongestionState} (`TCP_CA_Open` and so on). */
export const LINUX_CA_STATES: Readonly<Record<TcpCongestionState, number>> = {
  Open: 0,
  Disorder: 1,
  CWR: 2,
  Recovery: 3,
  Loss: 4,
};

/** Linux's `tcpi_options`, bit by bit. */
const LINUX_OPTIONS = ['timestamps', 'sack', 'windowScaling', 'ecn', 'ecnSeen', 'synData'] as const;
/** What Linux has for a threshold that was never set, and for a time that was never measured. */
const UNLIMITED = 0x7fff_ffff;
const NEVER = 0xffff_ffff;

/** The fields of Linux's `struct tcp_info`, without their `tcpi_`, in its units: microseconds, but milliseconds for `last_*`. */
export function linuxTcpInfo(info: TcpInfo): Record<string, number> {
  const micro = (milliseconds: number) => Math.round(milliseconds * 1000);
  const { options } = info;
  return {
    state: LINUX_STATES[info.state],
    ca_state: LINUX_CA_STATES[info.caState],
    retransmits: info.retransmits,
    // Linux keeps neither any more.
    fackets: 0,
    last_ack_sent: 0,
    probes: info.probes,
    backoff: info.backoff,
    options: LINUX_OPTIONS.reduce((bits, name, i) => (options[name] ? bits | (1 << i) : bits), 0),
    snd_wscale: info.sndWscale,
    rcv_wscale: info.rcvWscale,
    delivery_rate_app_limited: info.deliveryRateAppLimited ? 1 : 0,
    rto: micro(info.rto),
    ato: micro(info.ato),
    snd_mss: info.sndMss,
    rcv_mss: info.rcvMss,
    unacked: info.unacked,
    sacked: info.sacked,
    lost: info.lost,
    retrans: info.retrans,
    last_data_sent: Math.floor(info.lastDataSent),
    last_data_recv: Math.floor(info.lastDataRecv),
    last_ack_recv: Math.floor(info.lastAckRecv),
    pmtu: info.pmtu,
    rcv_ssthresh: info.rcvSsthresh,
    rtt: micro(info.rtt),
    rttvar: micro(info.rttvar),
    snd_ssthresh: Math.min(UNLIMITED, info.sndSsthresh),
    snd_cwnd: info.sndCwnd,
    advmss: info.advmss,
    reordering: info.reordering,
    rcv_rtt: micro(info.rcvRtt),
    rcv_space: info.rcvSpace,
    total_retrans: info.totalRetrans,
    pacing_rate: Math.round(info.pacingRate),
    bytes_acked: info.bytesAcked,
    bytes_received: info.bytesReceived,
    segs_out: info.segsOut,
    segs_in: info.segsIn,
    notsent_bytes: info.notsentBytes,
    min_rtt: info.minRtt === Number.POSITIVE_INFINITY ? NEVER : micro(info.minRtt),
    data_segs_in: info.dataSegsIn,
    data_segs_out: info.dataSegsOut,
    delivery_rate: Math.round(info.deliveryRate),
    busy_time: micro(info.busyTime),
    rwnd_limited: micro(info.rwndLimited),
    sndbuf_limited: micro(info.sndbufLimited),
    delivered: info.delivered,
    delivered_ce: info.deliveredCe,
    bytes_sent: info.bytesSent,
    bytes_retrans: info.bytesRetrans,
    dsack_dups: info.dsackDups,
    reord_seen: info.reordSeen,
    snd_wnd: info.sndWnd,
    rcv_wnd: info.rcvWnd,
  };
}
