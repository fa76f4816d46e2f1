/** A network of phone-number addresses. */

export { LINK_SCOPE, MAX_PHONE_HEADER, PhoneCast, PhoneHeader } from './header.js';
export type { PhoneBlock, PhoneLinkOptions } from './link.js';
export type { PhoneOptions } from './options.js';
export { PhoneProfile, phoneProfile } from './profile.js';
export { allOf, anyOf, atLink, castOf, groupOf, linkOf, PhoneTarget, parseTarget } from './target.js';
export { PhoneUplink, type UplinkSegment } from './uplink.js';
