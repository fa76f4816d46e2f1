/** A network of phone-number addresses. */

export { LINK_SCOPE, MAX_PHONE_HEADER, PhoneCast, PhoneHeader } from './header.js';
export { allOf, anyOf, atLink, castOf, groupOf, linkOf, PhoneTarget, parseTarget } from './target.js';
export { PhoneUplink, type UplinkSegment } from './uplink.js';
