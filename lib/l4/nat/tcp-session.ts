/** How far a connection of TCP has come, as its SYNs, FINs and resets say (RFC 7857 2, RFC 6146 3.5.2). Windows are connection tracking's. */

import { TcpFlag } from '../../wire/tcp.js';
import { SessionKind } from './sessions.js';

/** What was seen of a connection; what comes from the internal host goes out. `Knocks`: who opened it from outside has answered nothing yet. */
export const TcpBit = { SynOut: 1, SynIn: 2, FinOut: 4, FinIn: 8, Reset: 16, Knocks: 32 } as const;

const { Syn, Fin, Rst, Ack } = TcpFlag;
const OPEN = TcpBit.SynOut | TcpBit.SynIn;
const FINISHED = TcpBit.FinOut | TcpBit.FinIn;

/** Whether it is a SYN that begins a connection. */
export function isOpening(flags: number): boolean {
  return (flags & (Syn | Ack | Rst | Fin)) === Syn;
}

/** What is known after a segment, of what was known before. */
export function tcpState(state: number, flags: number, out: boolean): number {
  if (isOpening(flags) && isClosing(state)) return out ? TcpBit.SynOut : TcpBit.SynIn | TcpBit.Knocks;
  let next = out ? state : opened(state, flags);
  if ((flags & Syn) !== 0) next |= out ? TcpBit.SynOut : TcpBit.SynIn;
  if ((flags & Fin) !== 0) next |= out ? TcpBit.FinOut : TcpBit.FinIn;
  if ((flags & Rst) !== 0) return next | TcpBit.Reset;
  // The internal host goes on: the reset was none that it believed (RFC 7857 2.2).
  return out ? next & ~TcpBit.Reset : next;
}

/**
 * The same of who sends from outside: to acknowledge what the internal host answered, it has to be there. Addresses of SYNs may be anybody's.
 */
function opened(state: number, flags: number): number {
  if ((state & TcpBit.SynOut) === 0) return (flags & Syn) === 0 ? state : state | TcpBit.Knocks;
  return (flags & (Ack | Rst)) === Ack ? state & ~TcpBit.Knocks : state;
}

/** Whether a connection is over, but for what may be on its way still. */
export function isClosing(state: number): boolean {
  return (state & TcpBit.Reset) !== 0 || (state & FINISHED) === FINISHED;
}

/** What a connection is by its state. Whatever came after a SYN from outside that one of both ends did not answer, it never was more than that. */
export function tcpKind(state: number): SessionKind {
  if ((state & TcpBit.SynOut) === 0) return SessionKind.TcpKnocking;
  if (isClosing(state)) return SessionKind.TcpClosing;
  if ((state & TcpBit.Knocks) !== 0) return SessionKind.TcpKnocking;
  return (state & OPEN) === OPEN ? SessionKind.TcpEstablished : SessionKind.TcpOpening;
}

/**
 * Whether a segment starts a session's time anew: not where nothing came of it. What answers a reset or both FINs does not keep a session alive, and while
 * a connection opens only the side that opens it does (RFC 7857 6.1, RFC 4787 REQ-6).
 */
export function keepsAlive(before: number, after: number, flags: number, out: boolean): boolean {
  const kind = tcpKind(after);
  if (tcpKind(before) !== kind) return true;
  if (kind === SessionKind.TcpClosing) return (after & TcpBit.Reset) !== 0 && (flags & Rst) === 0;
  if ((flags & Rst) !== 0) return false;
  return (after & OPEN) === OPEN || out;
}
