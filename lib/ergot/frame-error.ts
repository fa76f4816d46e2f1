/** The body of frames of kind `Error`: what went wrong with a frame, told to who sent it. */

import { DropReason } from '../core/drops.js';
import { UsageError } from '../core/errors.js';
import type { Frame } from '../core/frame.js';
import { PostcardReader } from './postcard-reader.js';

/** What went wrong: at a socket (`Sse`), at an interface (`Ise`), or in the net stack (`Nsse`). Numbers are those of the wire. */
export const ProtocolError = {
  Reserved: 0,
  SseNoSpace: 1,
  SseDeserFailed: 2,
  SseTypeMismatch: 3,
  SseWhatTheHell: 4,
  IseDestinationLocal: 5,
  IseNoRouteToDest: 6,
  IseInterfaceFull: 7,
  IseInternalError: 8,
  IseAnyPortMissingKey: 9,
  IseTtlExpired: 10,
  IseRoutingLoop: 11,
  /** With the MTU that it was too large for. */
  IsePacketTooBig: 12,
  NsseNoRoute: 13,
  NsseAnyPortMissingKey: 14,
  NsseWrongPortKind: 15,
  NsseAnyPortNotUnique: 16,
  NsseAllPortMissingKey: 17,
  NsseWouldDeadlock: 18,
} as const;
export type ProtocolError = (typeof ProtocolError)[keyof typeof ProtocolError];

const NAMES: readonly string[] = Object.keys(ProtocolError);

/** The error's name, e.g. `IsePacketTooBig`. */
export function protocolErrorName(error: ProtocolError): string {
  return NAMES[error] ?? `error ${error}`;
}

/** Under which reason a frame is dropped of which its sender is told this. */
export function protocolErrorReason(error: ProtocolError): DropReason {
  switch (error) {
    case ProtocolError.IseTtlExpired:
      return DropReason.ErgotTtlExpired;
    case ProtocolError.IseRoutingLoop:
      return DropReason.ErgotRoutingLoop;
    case ProtocolError.IsePacketTooBig:
      return DropReason.ErgotTooLarge;
    case ProtocolError.SseNoSpace:
    case ProtocolError.IseInterfaceFull:
      return DropReason.ErgotQueueFull;
    case ProtocolError.SseDeserFailed:
    case ProtocolError.SseTypeMismatch:
      return DropReason.ErgotBadMessage;
    case ProtocolError.IseNoRouteToDest:
    case ProtocolError.IseDestinationLocal:
      return DropReason.ErgotNoRoute;
    default:
      return DropReason.ErgotNoSocket;
  }
}

/** An error as it is in a frame: one record for many. */
export class ProtocolErrorBody {
  error: ProtocolError = ProtocolError.Reserved;
  /** With `IsePacketTooBig`: bytes of a frame that the link carries, 0 to 65535; else 0. */
  mtu = 0;
  private readonly reader: PostcardReader = new PostcardReader();

  /** Reads the error that fills a frame from `body` on, or says that there is none. */
  read(frame: Frame, body: number): DropReason | undefined {
    const reader = this.reader.reset(frame.slab.bytes, body, frame.end);
    const error = reader.varint(32);
    this.mtu = error === ProtocolError.IsePacketTooBig ? reader.varint(16) : 0;
    if (reader.fault !== undefined || reader.left > 0 || error >= NAMES.length) return DropReason.ErgotBadError;
    this.error = error as ProtocolError;
    return undefined;
  }

  /**
   * Appends the error to a frame, whose header is still to be pushed in front.
   *
   * @throws UsageError `ERR_INVALID_OPTION` for an MTU out of range, `ERR_FRAME_TOO_LARGE`
   */
  put(frame: Frame): void {
    const { bytes } = frame.slab;
    if (this.error !== ProtocolError.IsePacketTooBig) {
      const at = frame.put(1);
      bytes[at] = this.error;
      return;
    }
    const { mtu } = this;
    if ((mtu & 0xffff) !== mtu) throw new UsageError('ERR_INVALID_OPTION', `no MTU: ${mtu}`);
    const length = mtu < 0x80 ? 1 : mtu < 0x4000 ? 2 : 3;
    let at = frame.put(1 + length);
    bytes[at++] = this.error;
    for (let i = 0; i < length; i++) bytes[at++] = ((mtu >>> (7 * i)) & 0x7f) | (i < length - 1 ? 0x80 : 0);
  }
}
