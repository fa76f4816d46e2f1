/** ergot: a link layer of its own, for networks that are no hierarchy. */

export { PhoneAddress } from './address.js';
export { PhoneRange } from './address-range.js';
export { isScope, MAX_ADDRESS_BITS, scopeSize } from './address-text.js';
export {
  type AddressPair,
  type CustomMapping,
  customTranslation,
  offsetAdd,
  type Translation,
  Uplink,
  wrap,
} from './translation.js';
export { Subnet } from './translation-subnet.js';
