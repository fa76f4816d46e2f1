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

/**
 * The sum of two ranges in a row from their sums: `length` is that of the first. After an odd number of bytes the second range's
 * bytes stand in the other half of each word, so its sum counts swapped (RFC 1071 2.B).
 */
export function joinSums(first: number, length: number, second: number): number {
  return fold(first + ((length & 1) === 0 ? second : ((second & 0xff) << 8) | (second >>> 8)));
}

/** The checksum field for a sum: its complement. */
export function complement(sum: number): number {
  return ~sum & 0xffff;
}

/**
 * A checksum field after a 16-bit word that it covers changed from `before` to `after` (RFC 1624 eqn. 3). In UDP a field of 0 means that
 * there is none and must be left alone, and a result of 0 is written as 0xffff.
 */
export function updateChecksum(checksum: number, before: number, after: number): number {
  return complement(fold((~checksum & 0xffff) + (~before & 0xffff) + after));
}

/** The same for a 32-bit word at an even offset: an address, a sequence number. */
export function updateChecksum32(checksum: number, before: number, after: number): number {
  return complement(
    fold((~checksum & 0xffff) + (~before & 0xffff) + (~(before >>> 16) & 0xffff) + (after & 0xffff) + (after >>> 16)),
  );
}
