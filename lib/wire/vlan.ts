/**
 * VLAN tags (IEEE 802.1Q 9.3, 9.6): read, pushed into and popped from Ethernet frames in place. A tagged frame's type field is
 * a tag protocol identifier (`EtherType.Vlan`, or `EtherType.QinQ` for the outer of two); the tag's control information and the
 * type of what follows come next.
 */

import { DropReason } from '../core/drops.js';
import { UsageError } from '../core/errors.js';
import type { Frame } from '../core/frame.js';
import { ETHERNET_HEADER, EtherType, type LinkPacket } from './ethernet.js';

const CONTROL = 0;
const TYPE = 2;
/** Bytes that a tag adds to a frame. */
export const VLAN_TAG = 4;

/** VID 0: the frame belongs to no VLAN, its tag only carries a priority. */
export const VLAN_PRIORITY_ONLY = 0;
/** VID 0xfff is reserved and never on the wire (IEEE 802.1Q table 9-2). */
export const VLAN_RESERVED = 0xfff;

const MAC_ADDRESSES = 12;
const FIRST_TYPE = 0x600;

/** The values of a tag. */
export interface VlanFields {
  /** VLAN identifier, 0..4094. */
  readonly vid: number;
  /** Priority code point, 0..7; default 0. */
  readonly priority?: number;
  /** May be dropped first under congestion; default false. */
  readonly dropEligible?: boolean;
}

/** Whether a frame of this EtherType starts with a VLAN tag. */
export function isVlanType(etherType: number): boolean {
  return etherType === EtherType.Vlan || etherType === EtherType.QinQ;
}

/** A tag, read in place: `offset` is that of the byte after the tag protocol identifier. Sound after {@link VlanTag.check}. */
export class VlanTag implements LinkPacket {
  readonly frame: Frame;
  readonly offset: number;

  constructor(frame: Frame, offset: number) {
    this.frame = frame;
    this.offset = offset;
  }

  /** What is wrong with the tag at `offset`, or `undefined`. The reserved VID belongs to nobody: `VlanUnknown`. */
  static check(frame: Frame, offset: number): DropReason | undefined {
    if (frame.end - offset < VLAN_TAG) return DropReason.VlanTruncated;
    const { view } = frame.slab;
    const type = view.getUint16(offset + TYPE);
    if (type < FIRST_TYPE && type > frame.end - offset - VLAN_TAG) return DropReason.VlanTruncated;
    return (view.getUint16(offset + CONTROL) & 0xfff) === VLAN_RESERVED ? DropReason.VlanUnknown : undefined;
  }

  /** VLAN identifier; 0 means that the tag only carries a priority. */
  get vid(): number {
    return this.frame.slab.view.getUint16(this.offset + CONTROL) & 0xfff;
  }
  /** Priority code point, 0..7. */
  get priority(): number {
    return this.frame.slab.view.getUint16(this.offset + CONTROL) >>> 13;
  }
  get dropEligible(): boolean {
    return (this.frame.slab.view.getUint16(this.offset + CONTROL) & 0x1000) !== 0;
  }
  /** The EtherType of what follows, possibly another tag; 0 where it is an 802.3 length. */
  get etherType(): number {
    const type = this.frame.slab.view.getUint16(this.offset + TYPE);
    return type >= FIRST_TYPE ? type : 0;
  }
  /** Offset of what follows. */
  get payload(): number {
    return this.offset + VLAN_TAG;
  }
}

/**
 * Tags the Ethernet frame that starts at `frame.start`, moving its addresses down into the headroom. A second tag becomes the outer
 * one: give it `EtherType.QinQ`.
 *
 * @throws UsageError `ERR_INVALID_OPTION` for a VID or priority out of range, `ERR_NO_HEADROOM`
 */
export function pushVlanTag(frame: Frame, tag: VlanFields, protocol: number = EtherType.Vlan): void {
  const priority = tag.priority ?? 0;
  if (!(tag.vid >= 0 && tag.vid < VLAN_RESERVED)) {
    throw new UsageError('ERR_INVALID_OPTION', `VLAN identifier ${tag.vid} is not in 0..4094`);
  }
  if (!(priority >= 0 && priority <= 7)) {
    throw new UsageError('ERR_INVALID_OPTION', `VLAN priority ${priority} is not in 0..7`);
  }
  const at = frame.push(VLAN_TAG);
  const { bytes, view } = frame.slab;
  bytes.copyWithin(at, at + VLAN_TAG, at + VLAN_TAG + MAC_ADDRESSES);
  view.setUint16(at + MAC_ADDRESSES, protocol);
  view.setUint16(at + MAC_ADDRESSES + 2, (priority << 13) | (tag.dropEligible === true ? 0x1000 : 0) | tag.vid);
  frame.link = at;
}

/**
 * Takes the outermost tag out of the Ethernet frame that starts at `frame.start`, moving its addresses up. Frames without a whole
 * tag are left as they are.
 *
 * @returns whether there was a tag
 */
export function popVlanTag(frame: Frame): boolean {
  const at = frame.start;
  const { bytes, view } = frame.slab;
  if (frame.length < ETHERNET_HEADER + VLAN_TAG || !isVlanType(view.getUint16(at + MAC_ADDRESSES))) return false;
  bytes.copyWithin(at + VLAN_TAG, at, at + MAC_ADDRESSES);
  frame.start = frame.link = at + VLAN_TAG;
  return true;
}
