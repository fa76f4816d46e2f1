/** What the specs of IPv6 codecs share: packets narrowed as the layers narrow them, and arbitrary addresses. */

import * as fc from 'fast-check';
import { Ipv6Address } from '../../../lib/core/address.js';
import type { Frame } from '../../../lib/core/frame.js';
import { Ipv6Packet } from '../../../lib/wire/ipv6.js';
import { walkExtensions } from '../../../lib/wire/ipv6-extensions.js';
import { frameOf } from './frames.js';

/** Checks and enters the packet at the start of the frame, whose range becomes the payload. Throws what is wrong with it. */
export function enter(frame: Frame): Ipv6Packet {
  const wrong = Ipv6Packet.check(frame, frame.start);
  if (wrong !== undefined) throw new Error(`drop reason ${wrong}`);
  const packet = new Ipv6Packet(frame, frame.start);
  const problem = walkExtensions(packet);
  if (problem !== undefined) throw new Error(`drop reason ${problem.reason}`);
  frame.end = packet.offset + packet.totalLength;
  frame.start = packet.offset + packet.headerLength;
  return packet;
}

/** The packet behind the Ethernet header of a frame in hex. */
export function captured(hex: string): Ipv6Packet {
  const frame = frameOf(hex);
  frame.start += 14;
  return enter(frame);
}

export const address = (text: string): Ipv6Address => Ipv6Address.parse(text);

const word = fc.nat(0xffff_ffff);

/** Any address. */
export const anyAddress: fc.Arbitrary<Ipv6Address> = fc
  .tuple(word, word, word, word)
  .map(([a, b, c, d]) => new Ipv6Address(a, b, c, d));

/** Any address that is not multicast. */
export const anyUnicast: fc.Arbitrary<Ipv6Address> = anyAddress.map(
  ({ a, b, c, d }) => new Ipv6Address(a & 0x7fff_ffff, b, c, d),
);

/** Any multicast address. */
export const anyGroup: fc.Arbitrary<Ipv6Address> = anyAddress.map(
  ({ a, b, c, d }) => new Ipv6Address(a | 0xff00_0000, b, c, d),
);
