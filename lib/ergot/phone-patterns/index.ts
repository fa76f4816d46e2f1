/** Ready-made devices of phone-number networks. */

export { SIBLING_INTERVAL } from './sibling-control.js';
export { type SiblingHello, siblingHello } from './sibling-hello.js';
export {
  MAX_SIBLINGS,
  SiblingMesh,
  type SiblingPrefix,
  type SiblingRecord,
  type SiblingWay,
} from './sibling-mesh.js';
export { type SiblingOptions, type SiblingProfile, siblingProfile } from './siblings.js';
