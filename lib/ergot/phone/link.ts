/** The links of a device with phone-number addresses, as the device keeps them. */

import type { Device } from '../../core/device.js';
import type { LinkKind } from '../routing.js';
import type { Translation } from '../translation.js';
import type { Prefix } from './messages.js';
import type { PhoneUplink } from './uplink.js';

/** A range of addresses. */
export interface PhoneBlock {
  /** The first number. */
  readonly first: number;
  /** The exponent of the size. */
  readonly len: number;
}

/** What is at the other end of a link, and what is known of it beforehand. */
export interface PhoneLinkOptions {
  readonly kind: LinkKind;
  /**
   * Where addresses are hard-coded. Of a child: its ranges in our scope; it need not ask for them. Of a sibling: what it serves, in the scope that we
   * share. Of a parent: where our addresses lie in its scope, all of them as one range, or in pieces. Default: children ask, so do we, and
   * siblings have none.
   */
  readonly blocks?: readonly PhoneBlock[];
  /** Of a parent whose `blocks` are given: its scope. */
  readonly bits?: number;
  /** Of a parent: how our addresses become its own. Default `offsetAdd`. */
  readonly translation?: Translation;
  /** Of a parent that is asked: the flags of the request, of `AllocFlag`. Default `AllowUnaligned`. */
  readonly flags?: number;
  /** Of a sibling: that it leads up too, and how far away the parent is by it. */
  readonly upward?: number;
}

/** A link. */
export class PhoneLink {
  readonly device: Device;
  /** What routes call it. */
  readonly number: number;
  readonly kind: LinkKind;
  readonly options: PhoneLinkOptions;
  /** Of a parent: where we lie in its scope, once we know. */
  uplink: PhoneUplink | undefined = undefined;
  /** Of a parent: what it last said of where it lies itself. */
  prefix: Prefix | undefined = undefined;
  /** Whether it works, as far as anybody said. */
  working = true;

  constructor(device: Device, number: number, options: PhoneLinkOptions) {
    this.device = device;
    this.number = number;
    this.kind = options.kind;
    this.options = options;
  }
}
