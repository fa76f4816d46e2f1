/** Values that are computed for each packet: for comparisons that are more than one load with a constant. */

import { compute, type Value } from './condition.js';

/** What has no value: a load outside the packet, or a division by zero. */
export const NO_VALUE = -1;

/** The value for a packet, unsigned, or {@link NO_VALUE}. */
export function computed(value: Value, view: DataView, start: number, end: number, length: number): number {
  switch (value.kind) {
    case 'constant':
      return value.value;
    case 'length':
      return length;
    case 'load':
      return loaded(value, view, start, end, length);
    case 'binary': {
      const left = computed(value.left, view, start, end, length);
      const right = left < 0 ? left : computed(value.right, view, start, end, length);
      return right < 0 ? NO_VALUE : (compute(value.operator, left, right) ?? NO_VALUE);
    }
  }
}

function loaded(
  { size, index, at, base }: Extract<Value, { kind: 'load' }>,
  view: DataView,
  start: number,
  end: number,
  length: number,
): number {
  const offset = computed(index, view, start, end, length);
  if (offset < 0) return NO_VALUE;
  let from = start + at;
  if (base >= 0) {
    if (start + base >= end) return NO_VALUE;
    from += (view.getUint8(start + base) & 0x0f) * 4;
  }
  // The index is of 32 bits without a sign: what is meant as negative is beyond the packet.
  from += offset;
  if (from + size > end) return NO_VALUE;
  return size === 1 ? view.getUint8(from) : size === 2 ? view.getUint16(from) : view.getUint32(from);
}
