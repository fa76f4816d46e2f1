/** States of a TCP session between the versions (RFC 6146 3.5.2): what its SYNs, FINs and resets say, from either side. */

import { TcpFlag } from '../../wire/tcp.js';

/** `V4` and `V6` name the side that something was seen of. */
export const SessionState = {
  /** Of UDP and ICMP, and of TCP before the first SYN. */
  None: 0,
  V4Init: 1,
  V6Init: 2,
  Established: 3,
  V4Fin: 4,
  V6Fin: 5,
  BothFin: 6,
  /** A reset was seen, or the session was idle for long: it ends soon, unless it goes on. */
  Trans: 7,
  /** Opened from IPv4 and answered by a SYN, which nobody has acknowledged yet. */
  Answered: 8,
} as const;
export type SessionState = (typeof SessionState)[keyof typeof SessionState];

const { None, V4Init, V6Init, Established, V4Fin, V6Fin, BothFin, Trans, Answered } = SessionState;
const { Syn, Fin, Rst, Ack } = TcpFlag;

/** Whether a segment begins a connection. */
export function isFirst(flags: number): boolean {
  return (flags & (Syn | Ack | Rst | Fin)) === Syn;
}

/**
 * The state after a segment. Beyond RFC 6146, a SYN of the IPv6 side begins anew what was over: hosts use ports again sooner than sessions end. And what
 * was opened from IPv4 is established only once its opener goes on: the address of a SYN may be anybody's.
 */
export function stateAfter(state: SessionState, flags: number, from6: boolean): SessionState {
  const isSyn = (flags & Syn) !== 0;
  switch (state) {
    case None:
      return from6 ? V6Init : V4Init;
    case V4Init:
      return isSyn && from6 ? Answered : state;
    case V6Init:
      return isSyn && !from6 ? Established : state;
    case Answered:
      if ((flags & Rst) !== 0) return Trans;
      if (from6 || (flags & Ack) === 0) return state;
      return (flags & Fin) === 0 ? Established : V4Fin;
    case Established:
      if ((flags & Rst) !== 0) return Trans;
      if ((flags & Fin) === 0) return state;
      return from6 ? V6Fin : V4Fin;
    case V4Fin:
      return (flags & Fin) !== 0 && from6 ? BothFin : state;
    case V6Fin:
      return (flags & Fin) !== 0 && !from6 ? BothFin : state;
    case BothFin:
      return isFirst(flags) && from6 ? V6Init : state;
    case Trans:
      if (isFirst(flags) && from6) return V6Init;
      return (flags & Rst) === 0 ? Established : state;
  }
}

/** Whether a segment starts the session's time anew: while it opens only a SYN of the side that opens it, and once it closes nothing. */
export function restartsTime(before: SessionState, after: SessionState, flags: number, from6: boolean): boolean {
  if (before !== after) return true;
  if (after === V6Init) return (flags & Syn) !== 0 && from6;
  return after === Established || after === V4Fin || after === V6Fin;
}
