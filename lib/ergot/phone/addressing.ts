/** What a net stack must know of phone-number addresses: which are own sockets, and for how many an address stands. */

import type { Device } from '../../core/device.js';
import { PhoneAddress } from '../address.js';
import { MAX_ADDRESS_BITS, scopeSize } from '../address-text.js';
import { Reach } from '../message.js';
import type { Addressing } from '../profile.js';
import { PhoneCast } from './header.js';
import type { PhoneBlock } from './link.js';
import { allOf, anyOf, castOf, linkOf, parseTarget, PhoneTarget } from './target.js';

/** The sockets that a message of each `PhoneCast` is for. */
export function reachOf(cast: PhoneCast): Reach {
  if (cast === PhoneCast.One) return Reach.One;
  return cast === PhoneCast.Any ? Reach.Any : Reach.All;
}

/** The addresses of one device. A port is how far a socket is from the device's first address. */
export class PhoneAddressing implements Addressing<PhoneAddress> {
  readonly here: PhoneAddress;
  readonly everyone: PhoneAddress = new PhoneTarget(0, MAX_ADDRESS_BITS, PhoneCast.All);
  readonly lastPort: number;
  /** Siblings remember packets for some seconds, in which a device may well start anew, with the same addresses. */
  readonly randomSequence = true;
  private readonly bits: number;
  private readonly first: number;
  private readonly linkNamed: (name: string) => Device | undefined;

  constructor(bits: number, sockets: PhoneBlock, linkNamed: (name: string) => Device | undefined) {
    this.here = new PhoneTarget(sockets.first, bits, PhoneCast.Any);
    this.lastPort = scopeSize(sockets.len) - 1;
    this.bits = bits;
    this.first = sockets.first;
    this.linkNamed = linkNamed;
  }

  /** Groups are heard by who sends to them, too; of ranges only those that have own sockets, and of links none. */
  includesHere(address: PhoneAddress): boolean {
    if (linkOf(address) !== undefined) return false;
    return address.value === 0 || castOf(address) === PhoneCast.Group || this.isHere(address);
  }

  reach(address: PhoneAddress): Reach {
    if (this.isHere(address) && this.portOf(address) === 0 && castOf(address) === PhoneCast.One) return Reach.Any;
    return reachOf(castOf(address));
  }

  /** Of own addresses, and of those at the other end of a link, the number of the socket; of others 0, since nobody here knows where their device begins. */
  port(address: PhoneAddress): number {
    if (linkOf(address) !== undefined) return address.value;
    return this.isHere(address) ? this.portOf(address) : 0;
  }

  /** Of an own address another own one; of others, which must be the first of their device, that of its socket `port`, or of any with port 0. */
  withPort(address: PhoneAddress, port: number): PhoneAddress {
    const link = linkOf(address);
    if (link !== undefined) return new PhoneTarget(port, MAX_ADDRESS_BITS, PhoneCast.One, link);
    if (!this.isHere(address))
      return port === 0 ? anyOf(address) : new PhoneAddress(address.value + port, address.bits);
    return port === 0 ? this.here : new PhoneAddress(this.first + port, this.bits);
  }

  all(address: PhoneAddress): PhoneAddress {
    return allOf(address);
  }

  equals(a: PhoneAddress, b: PhoneAddress): boolean {
    return a.equals(b);
  }

  text(address: PhoneAddress): string {
    return address.toString();
  }

  parse(text: string): PhoneAddress {
    return parseTarget(text, this.linkNamed);
  }

  /** Whether a number of the device's scope is a socket's, or stands for any. */
  isOwn(value: number): boolean {
    return value >= this.first && value <= this.first + this.lastPort;
  }

  private isHere(address: PhoneAddress): boolean {
    return linkOf(address) === undefined && address.bits <= this.bits && this.isOwn(address.value);
  }

  private portOf(address: PhoneAddress): number {
    return address.value - this.first;
  }
}
