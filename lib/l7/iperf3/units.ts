/** Amounts as people read them, with three digits, and in the program's words. */

const BINARY = 1024;
const DECIMAL = 1000;
const PREFIXES = ['', 'K', 'M', 'G', 'T'] as const;
const WIDTH = 4;
// Below these a number is written with two decimals, or one; rounding must not give it a digit more.
const TWO_DECIMALS = 9.995;
const ONE_DECIMAL = 99.95;
const NO_DECIMAL = 999.5;

/** Bytes, e.g. `1.10 GBytes`: multiples of 1024. */
export function bytesText(bytes: number): string {
  return scaled(bytes, BINARY, 'Bytes');
}

/** A rate, e.g. `9.41 Gbits/sec`: multiples of 1000. @param unit a letter of k, m, g, t for that unit, capital for bytes; else it is chosen */
export function rateText(bitsPerSecond: number, unit?: string): string {
  const isBytes = unit !== undefined && unit === unit.toUpperCase();
  const index = unit === undefined ? -1 : PREFIXES.findIndex((prefix) => prefix === unit.toUpperCase());
  if (isBytes) return `${scaled(bitsPerSecond / 8, BINARY, 'Bytes', index)}/sec`;
  return `${scaled(bitsPerSecond, DECIMAL, 'bits', index)}/sec`;
}

function scaled(amount: number, base: number, noun: string, index = -1): string {
  let at = 0;
  let value = amount;
  while (at < PREFIXES.length - 1 && (index < 0 ? value >= NO_DECIMAL || value >= base : at < index)) {
    value /= base;
    at++;
  }
  const decimals = value < TWO_DECIMALS ? 2 : value < ONE_DECIMAL ? 1 : 0;
  return `${value.toFixed(decimals).padStart(WIDTH)} ${PREFIXES[at]}${noun}`;
}
