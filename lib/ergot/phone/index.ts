/** A network of phone-number addresses. */

export { LINK_SCOPE, MAX_PHONE_HEADER, PhoneCast, PhoneHeader } from './header.js';
export { MAX_GRANTS } from './grants.js';
export { MAX_GROUPS, type SubscribeAnswer } from './groups.js';
export type { PhoneBlock, PhoneLinkOptions } from './link.js';
export {
  type AddressList,
  type AllocMessage,
  type AllocRefusal,
  type AllocSuccess,
  allocAddresses,
  type Answer,
  type LeaseRefusal,
  type Prefix,
  PrefixKind,
  type PrefixLevel,
  publishPrefix,
  type RefreshSuccess,
  refreshAddresses,
  releaseAddresses,
  type ScopedAddress,
  type SubscribeRefusal,
  subscribeMulticast,
  unsubscribeMulticast,
} from './messages.js';
export type { PhoneOptions } from './options.js';
export { PhoneProfile, phoneProfile } from './profile.js';
export { allOf, anyOf, atLink, castOf, groupOf, linkOf, PhoneTarget, parseTarget } from './target.js';
export { PhoneUplink, type UplinkSegment } from './uplink.js';
