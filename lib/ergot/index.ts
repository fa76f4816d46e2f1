/** ergot: addresses and routes for networks that are no hierarchy, and the wire of ergot 0.12 with the messages on it. */

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
export { MAX_EMPTY_ITEMS, type PostcardCode, PostcardError } from './postcard.js';
export { PostcardReader } from './postcard-reader.js';
export { DEFAULT_MESSAGE_LIMIT, PostcardWriter } from './postcard-writer.js';
export { type Decoded, decode, encode, type Infer, type Schema } from './schema.js';
export {
  bool,
  bytes,
  char,
  f32,
  f64,
  i8,
  i16,
  i32,
  i64,
  i128,
  isize,
  string,
  u8,
  u8Seq,
  u16,
  u32,
  u64,
  u128,
  unit,
  unitStruct,
  usize,
} from './schema.js';
export {
  array,
  type Fields,
  map,
  newtype,
  option,
  type Struct,
  seq,
  struct,
  type Tuple,
  tuple,
  tupleStruct,
  u8Array,
} from './schema-compound.js';
export {
  type EnumValue,
  enumeration,
  newtypeVariant,
  result,
  structVariant,
  tupleVariant,
  unitVariant,
  type Variant,
  type Variants,
} from './schema-enum.js';
export { boundedString, nonZeroU32 } from './schema-bounded.js';
export { describeErgot, type ErgotDescription, type ErgotFormat, type ErgotTextOptions } from './frame-description.js';
export { ergotLine, ergotText } from './frame-text.js';
export * from './services/index.js';
export { KEY_LENGTH, Key, nameHash } from './key.js';
export { type Endpoint, endpoint } from './endpoint.js';
export { type Topic, topic } from './topic.js';
export * from './net-address.js';
export { AddressAllocator, type AllocAnswer, type AllocatorOptions, type Grow, type GrownRange } from './allocator.js';
export {
  AddressPool,
  AllocError,
  AllocFlag,
  type Allocation,
  type AllocRequest,
  MAX_ALLOCS,
  type PoolOptions,
} from './allocator-pool.js';
export { CobsDecoder, CobsResult, cobsEncode, cobsLength } from './cobs.js';
export { DEFAULT_TTL, FrameHeader, FrameKind, MAX_HEADER } from './frame.js';
export { ERGOT_ETHER_TYPE, ERGOT_SHIM, popErgotShim, pushErgotShim, shimmedLength } from './ethernet-shim.js';
export { ProtocolError, ProtocolErrorBody, protocolErrorName, protocolErrorReason } from './frame-error.js';
export {
  type LinkKind,
  OWN_SOCKETS,
  RouteDecision,
  type RouteQuery,
  type RouteVerdict,
  RoutingTable,
} from './routing.js';
export { type Hop, RouteRanges } from './routing-ranges.js';
export { RecentPackets, Seen } from './routing-recent.js';
export { type ErgotCode, ErgotError } from './error.js';
export { Message, Reach } from './message.js';
export type {
  Incoming,
  ListenOptions,
  NetStackApi,
  OpenSocket,
  PublishOptions,
  RequestOptions,
  SendOptions,
  ServeOptions,
  SocketStatus,
  SubscribeOptions,
} from './net-stack-api.js';
export { type Addressing, LinkState, type LinkStatus, type Profile, type ProfileNode } from './profile.js';
export * from './phone/index.js';
export * from './phone-patterns/index.js';
export { ErgotMachine, type MachineLinks } from './machine.js';
export { NetStack, type NetStackOptions } from './net-stack.js';
export { nullProfile } from './profiles/null.js';
export { type EdgeOptions, edgeProfile } from './profiles/edge.js';
export { bridgeProfile, routerProfile } from './profiles/router.js';
export type { BridgeOptions, RouterOptions } from './profiles/router-options.js';
export type { Liveness, LivenessOption } from './profiles/port.js';
export type { ClaimOptions } from './profiles/claim-client.js';
export {
  type AddressClaim,
  type AddressClaimError,
  type AddressClaimGranted,
  type AddressRefresh,
  type AddressRefreshError,
  type Answer,
  addressClaim,
  addressRefresh,
  type NodeClaimAssignment,
  type SeedAssignmentError,
  type SeedNetAssignment,
  type SeedRefresh,
  type SeedRefreshError,
  type SeedRelease,
  type SeedRouterAssignment,
  seedRefresh,
  seedRelease,
  seedRequest,
} from './profiles/messages.js';
export type { LeaseTerms, LeaseTimes } from './profiles/leases.js';
