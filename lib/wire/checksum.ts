/**
 * The Internet checksum: ones' complement sums of 16-bit words (RFC 1071), and its incremental update (RFC 1624).
 *
 * Sums are kept folded to 16 bits and not inverted; a header whose checksum is right sums to 0xffff.
 */

/** Folds a sum of 16-bit words to 16 bits, end-around carry included. */
export function fold(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000);
  return folded;
}

/** The ones' complement sum of bytes `from` to `to` (exclusive), added to `initial`. An odd tail counts as if followed by zero. */
export function sum16(view: DataView, from: number, to: number, initial = 0): number {
  let sum = initial;
  let at = from;
  // Each 32-bit word is two 16-bit ones: 2^16 of them fit a double exactly many times over.
  for (const end = to - 15; at < end; at += 16) {
    sum += view.getUint32(at) + view.getUint32(at + 4) + view.getUint32(at + 8) + view.getUint32(at + 12);
  }
  for (; at + 1 < to; at += 2) sum += view.getUint16(at);
  if (at < to) sum += view.getUint8(at) << 8;
  return fold(sum);
}

/** The checksum field for a sum: its complement. */
export function complement(sum: number): number {
  return ~sum & 0xffff;
}

/** A checksum field after a 16-bit word that it covers changed from `before` to `after` (RFC 1624 eqn. 3). */
export function updateChecksum(checksum: number, before: number, after: number): number {
  return complement(fold((~checksum & 0xffff) + (~before & 0xffff) + after));
}

/** The same for a 32-bit word at an even offset: an address, a sequence number. */
export function updateChecksum32(checksum: number, before: number, after: number): number {
  return complement(
    fold((~checksum & 0xffff) + (~before & 0xffff) + (~(before >>> 16) & 0xffff) + (after & 0xffff) + (after >>> 16)),
  );
}
