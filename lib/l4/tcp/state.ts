/**
 * The connection state machine (RFC 9293 3.3.2, figure 5), as one table. Transitions only: what happens within a state is the
 * business of the other rooms, and no packet on an established connection comes by here.
 */

import { match, P } from 'ts-pattern';
import type { TcpState } from './api.js';

/** What moves a connection from state to state. */
export type TcpEvent =
  | 'active-open'
  | 'passive-open'
  /** A SYN that does not acknowledge ours. */
  | 'syn'
  /** A SYN that acknowledges ours. */
  | 'syn-ack'
  /** Our SYN was acknowledged by a segment without SYN. */
  | 'ack-of-syn'
  /** The application will send no more: a FIN is queued. */
  | 'close'
  /** The peer's FIN was received, with everything before it. */
  | 'fin'
  | 'ack-of-fin'
  /** 2 MSL have passed. */
  | 'timeout'
  /** RST sent or received, or given up. */
  | 'abort';

function next(state: TcpState, event: TcpEvent): TcpState {
  return match<[TcpState, TcpEvent], TcpState>([state, event])
    .with([P._, 'abort'], () => 'CLOSED')
    .with(['CLOSED', 'active-open'], () => 'SYN-SENT')
    .with(['CLOSED', 'passive-open'], () => 'LISTEN')
    .with(['LISTEN', 'syn'], () => 'SYN-RECEIVED')
    .with(['LISTEN', 'close'], () => 'CLOSED')
    .with(['SYN-SENT', 'syn'], () => 'SYN-RECEIVED')
    .with(['SYN-SENT', 'syn-ack'], () => 'ESTABLISHED')
    .with(['SYN-RECEIVED', 'ack-of-syn'], () => 'ESTABLISHED')
    .with(['ESTABLISHED', 'close'], () => 'FIN-WAIT-1')
    .with(['ESTABLISHED', 'fin'], () => 'CLOSE-WAIT')
    .with(['FIN-WAIT-1', 'ack-of-fin'], () => 'FIN-WAIT-2')
    .with(['FIN-WAIT-1', 'fin'], () => 'CLOSING')
    .with(['FIN-WAIT-2', 'fin'], () => 'TIME-WAIT')
    .with(['CLOSE-WAIT', 'close'], () => 'LAST-ACK')
    .with(['CLOSING', 'ack-of-fin'], () => 'TIME-WAIT')
    .with(['LAST-ACK', 'ack-of-fin'], () => 'CLOSED')
    .with(['TIME-WAIT', 'timeout'], () => 'CLOSED')
    .with([P.union('CLOSED', 'SYN-SENT', 'SYN-RECEIVED'), 'close'], ([same]) => same)
    .with([P.union('FIN-WAIT-1', 'FIN-WAIT-2', 'CLOSING', 'LAST-ACK', 'TIME-WAIT'), 'close'], ([same]) => same)
    .with([P.union('CLOSED', 'LISTEN', 'SYN-SENT', 'SYN-RECEIVED'), 'fin'], ([same]) => same)
    .with([P.union('CLOSE-WAIT', 'CLOSING', 'LAST-ACK', 'TIME-WAIT'), 'fin'], ([same]) => same)
    .with([P.union('CLOSED', 'LISTEN', 'SYN-SENT', 'SYN-RECEIVED'), 'ack-of-fin'], ([same]) => same)
    .with([P.union('ESTABLISHED', 'FIN-WAIT-2', 'CLOSE-WAIT', 'TIME-WAIT'), 'ack-of-fin'], ([same]) => same)
    .with([P._, P.union('active-open', 'passive-open', 'syn', 'syn-ack', 'ack-of-syn', 'timeout')], ([same]) => same)
    .exhaustive();
}

const STATES: readonly TcpState[] = [
  'CLOSED',
  'LISTEN',
  'SYN-SENT',
  'SYN-RECEIVED',
  'ESTABLISHED',
  'FIN-WAIT-1',
  'FIN-WAIT-2',
  'CLOSE-WAIT',
  'CLOSING',
  'LAST-ACK',
  'TIME-WAIT',
];

type Row = Readonly<Record<TcpEvent, TcpState>>;

function rowOf(state: TcpState): Row {
  return {
    'active-open': next(state, 'active-open'),
    'passive-open': next(state, 'passive-open'),
    syn: next(state, 'syn'),
    'syn-ack': next(state, 'syn-ack'),
    'ack-of-syn': next(state, 'ack-of-syn'),
    close: next(state, 'close'),
    fin: next(state, 'fin'),
    'ack-of-fin': next(state, 'ack-of-fin'),
    timeout: next(state, 'timeout'),
    abort: next(state, 'abort'),
  };
}

// A match costs about as much as a whole segment, and a connection of one request has half a dozen transitions: all are looked up beforehand.
const ROWS: readonly Row[] = STATES.map(rowOf);

/** The state after `event`; the same state where the event means nothing in it. */
export function transition(state: TcpState, event: TcpEvent): TcpState {
  for (let i = 0; i < ROWS.length; i++) {
    const row = ROWS[i];
    if (row !== undefined && STATES[i] === state) return after(row, event);
  }
  return state;
}

/** What stands in a row, by name: a property whose name is not known beforehand is looked for each time. */
function after(row: Row, event: TcpEvent): TcpState {
  switch (event) {
    case 'active-open':
      return row['active-open'];
    case 'passive-open':
      return row['passive-open'];
    case 'syn':
      return row.syn;
    case 'syn-ack':
      return row['syn-ack'];
    case 'ack-of-syn':
      return row['ack-of-syn'];
    case 'close':
      return row.close;
    case 'fin':
      return row.fin;
    case 'ack-of-fin':
      return row['ack-of-fin'];
    case 'timeout':
      return row.timeout;
    case 'abort':
      return row.abort;
  }
}

/** Whether both ends' SYNs have been acknowledged (RFC 9293 3.3.2, "synchronized"). */
export function isSynchronised(state: TcpState): boolean {
  return state !== 'CLOSED' && state !== 'LISTEN' && state !== 'SYN-SENT' && state !== 'SYN-RECEIVED';
}

/** Whether the peer may still send data: its FIN has not come. */
export function canReceive(state: TcpState): boolean {
  return state === 'ESTABLISHED' || state === 'FIN-WAIT-1' || state === 'FIN-WAIT-2';
}

/** Whether queued data and the FIN may be sent. */
export function canSend(state: TcpState): boolean {
  return (
    state === 'ESTABLISHED' ||
    state === 'CLOSE-WAIT' ||
    state === 'FIN-WAIT-1' ||
    state === 'CLOSING' ||
    state === 'LAST-ACK'
  );
}
