/** ergot: a link layer of its own, for networks that are no hierarchy. */

export { PhoneAddress } from './address.js';
export { PhoneRange } from './address-range.js';
export { isScope, MAX_ADDRESS_BITS, scopeSize } from './address-text.js';
