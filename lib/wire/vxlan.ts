/**
 * VXLAN (RFC 7348): Ethernet frames in UDP datagrams, each with the number of the virtual network that it is of. Extensions that make another
 * header of it by further flags (group policy, generic protocol) are left out: like Linux we drop what has them.
 */

import { DropReason } from '../core/drops.js';
import type { Frame } from '../core/frame.js';

// RFC 7348 5: offsets of the fields; the rest is reserved.
const FLAGS = 0;
const IDENTIFIER = 4;
export const VXLAN_HEADER = 8;

/** The port of VXLAN (IANA). */
export const VXLAN_PORT = 4789;
/** The identifier is valid; no other flag is defined by RFC 7348. */
const VALID = 0x0800_0000;
const FLAG_BITS = 0xff00_0000;
/** The largest network identifier; the smallest is 1. */
export const MAX_VNI = 0xff_ffff;

/** A VXLAN header, read in place. Sound once {@link VxlanHeader.check} has found nothing wrong. */
export class VxlanHeader {
  readonly frame: Frame;
  readonly offset: number;

  constructor(frame: Frame, offset: number) {
    this.frame = frame;
    this.offset = offset;
  }

  /**
   * What is wrong with the header at `offset`, or `undefined`. Reserved fields are ignored (RFC 7348 5), reserved flags are not: they make another
   * header of it. Network 0 is none.
   */
  static check(frame: Frame, offset: number): DropReason | undefined {
    if (frame.end - offset < VXLAN_HEADER) return DropReason.VxlanTruncated;
    const { view } = frame.slab;
    if (((view.getInt32(offset + FLAGS) ^ VALID) & FLAG_BITS) !== 0) return DropReason.VxlanBadHeader;
    return readVni(view, offset) === 0 ? DropReason.VxlanBadHeader : undefined;
  }

  /** Pushes a header in front of an Ethernet frame. `vni` is 1 to 0xffffff. */
  static emit(frame: Frame, vni: number): void {
    const at = frame.push(VXLAN_HEADER);
    const { view } = frame.slab;
    view.setInt32(at + FLAGS, VALID);
    view.setInt32(at + IDENTIFIER, vni << 8);
  }

  /** Identifier of the virtual network, 1 to 0xffffff. */
  get vni(): number {
    return readVni(this.frame.slab.view, this.offset);
  }
  /** Offset of the Ethernet frame. */
  get payload(): number {
    return this.offset + VXLAN_HEADER;
  }
}

/** The network identifier of the header at `offset`, where there is no view of it. */
export function readVni(view: DataView, offset: number): number {
  return view.getUint32(offset + IDENTIFIER) >>> 8;
}
