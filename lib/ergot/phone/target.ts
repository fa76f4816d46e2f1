/**
 * Phone-number addresses that say more than a number in a scope: that they stand for any, all, or a group of sockets, or that they are no further
 * away than the other end of a link. They are written as the address and a sign: `180^9?` any, `180^9*` all, `382^10+` a group; `0@uplink?` is
 * whoever is at the other end of the link `uplink`.
 */

import type { Device } from '../../core/device.js';
import { PhoneAddress } from '../address.js';
import { badAddress, MAX_ADDRESS_BITS } from '../address-text.js';
import { PhoneCast } from './header.js';

const SIGNS = ['', '?', '*', '+'] as const;
const TEXT = /^(.+?)([?*+]?)$/;
const LINK_TEXT = /^([0-9A-Fa-f]{1,8})@(.+)$/;

/** An address with what is to be said beside its number. Immutable. */
export class PhoneTarget extends PhoneAddress {
  readonly cast: PhoneCast;
  /** Where the number is one of the device at the other end of this link; its scope says nothing then. */
  readonly link: Device | undefined;

  /** @throws UsageError `ERR_INVALID_ADDRESS` as `PhoneAddress` does; for a group of address 0, or of a link */
  constructor(value: number, bits: number, cast: PhoneCast, link?: Device) {
    super(value, bits);
    if (cast === PhoneCast.Group && (value === 0 || link !== undefined))
      badAddress('address 0 is no group, nor is a link');
    this.cast = cast;
    this.link = link;
  }

  override get isAny(): boolean {
    return this.cast === PhoneCast.One ? this.value === 0 : this.cast !== PhoneCast.Group;
  }

  override toString(): string {
    const address =
      this.link === undefined ? super.toString() : `${this.value.toString(16).toUpperCase()}@${this.link.name}`;
    return `${address}${SIGNS[this.cast] ?? ''}`;
  }

  override equals(other: PhoneAddress): boolean {
    const isSameNumber = this.value === other.value && this.bits === other.bits;
    return isSameNumber && castOf(other) === castOf(this) && linkOf(other) === this.link;
  }

  protected override get saysMore(): boolean {
    return this.link !== undefined || castOf(this) !== defaultCast(this.value);
  }
}

/** The only socket with the key at the device whose first address it is. */
export function anyOf(address: PhoneAddress): PhoneTarget {
  return new PhoneTarget(address.value, address.bits, PhoneCast.Any, linkOf(address));
}

/** All sockets with the key in the range whose first address it is. */
export function allOf(address: PhoneAddress): PhoneTarget {
  return new PhoneTarget(address.value, address.bits, PhoneCast.All, linkOf(address));
}

/** All sockets with the key at devices that subscribed to the address. @throws UsageError `ERR_INVALID_ADDRESS` for address 0 */
export function groupOf(address: PhoneAddress): PhoneTarget {
  return new PhoneTarget(address.value, address.bits, PhoneCast.Group, linkOf(address));
}

/** A socket of the device at the other end of a link, by its number there; with 0 any, or with `PhoneCast.All` all, that have the key. */
export function atLink(link: Device, value = 0, cast: PhoneCast = defaultCast(value)): PhoneTarget {
  return new PhoneTarget(value, MAX_ADDRESS_BITS, cast, link);
}

/** How many sockets an address stands for: what it says of that, or any where it is address 0 of its scope. */
export function castOf(address: PhoneAddress): PhoneCast {
  if (address instanceof PhoneTarget && address.cast !== PhoneCast.One) return address.cast;
  return defaultCast(address.value);
}

/** What a number stands for where nothing else is said. */
function defaultCast(value: number): PhoneCast {
  return value === 0 ? PhoneCast.Any : PhoneCast.One;
}

/** The link that an address is at the other end of; `undefined` for one that is in a scope. */
export function linkOf(address: PhoneAddress): Device | undefined {
  return address instanceof PhoneTarget ? address.link : undefined;
}

/**
 * Reads an address with or without a sign, or of a link that `linkNamed` knows.
 *
 * @throws UsageError `ERR_INVALID_ADDRESS`
 */
export function parseTarget(text: string, linkNamed: (name: string) => Device | undefined): PhoneAddress {
  const [, address = '', sign = ''] = TEXT.exec(text) ?? [];
  const cast = SIGNS.findIndex((one) => one === sign) as PhoneCast;
  const [, digits, name] = LINK_TEXT.exec(address) ?? [];
  if (digits !== undefined && name !== undefined) {
    return atLink(linkNamed(name) ?? badAddress(`"${name}" is no link`), Number.parseInt(digits, 16), cast);
  }
  const plain = PhoneAddress.parse(address);
  return cast === PhoneCast.One ? plain : new PhoneTarget(plain.value, plain.bits, cast);
}
