/** Ready-made devices of phone-number networks. */

export { type ApexOptions, apexProfile, type LeafOptions, leafProfile } from './apex.js';
export { type FixedGroup, type FixedGroupOptions, fixedGroup } from './fixed-group.js';
export { SIBLING_INTERVAL } from './sibling-control.js';
export { type SiblingHello, siblingHello } from './sibling-hello.js';
export {
  MAX_SIBLINGS,
  SiblingMesh,
  type SiblingRecord,
  type SiblingWay,
} from './sibling-mesh.js';
export { type SiblingOptions, type SiblingProfile, siblingProfile } from './siblings.js';
