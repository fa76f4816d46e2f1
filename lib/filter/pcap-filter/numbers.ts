/** Numbers as the language writes them: decimal, octal with a leading 0, hexadecimal with 0x; 32 bits, unsigned. */

import { PcapFilterError, type Token } from './lexer.js';

const MOST = 0xffff_ffff;

/** The value of a number's token. @throws PcapFilterError */
export function numberOf({ text, column }: Token): number {
  const octal = /^0\d/.test(text);
  if (octal && /[89]/.test(text)) throw new PcapFilterError(`${text} is no octal number`, column);
  const value = octal ? Number.parseInt(text, 8) : Number(text);
  if (value > MOST) throw new PcapFilterError(`${text} does not fit into 32 bits`, column);
  return value;
}

/** An address of up to four numbers with dots, the first ones of it: the bits that were given, and how many. */
export interface DottedPrefix {
  readonly address: number;
  readonly bits: number;
}

/** The address that a token writes, with as many of its bytes as are there. @throws PcapFilterError */
export function dottedOf({ text, column }: Token): DottedPrefix {
  const bytes = text.split('.').map(Number);
  let address = 0;
  for (let i = 0; i < 4; i++) {
    const byte = bytes[i] ?? 0;
    if (byte > 255) throw new PcapFilterError(`${text} is no IPv4 address`, column);
    address = address * 256 + byte;
  }
  return { address, bits: bytes.length * 8 };
}

/** The mask with that many leading ones, unsigned. */
export function maskOf(bits: number): number {
  return bits === 0 ? 0 : (MOST << (32 - bits)) >>> 0;
}
