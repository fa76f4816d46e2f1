/**
 * IPv6 extension headers (RFC 8200 4): walked in order, as far as the packet's next station, with a bound on headers and options
 * (RFC 8504 5.3). Fragments stop the walk, AH is stepped over (RFC 4302), ESP is handed over as a payload; mobility and source routes
 * are not followed.
 */

import { DropReason } from '../core/drops.js';
import type { Frame } from '../core/frame.js';
import { HOP_BY_HOP, IpProtocol } from './ip.js';
import { IPV6_HEADER, IPV6_NEXT_HEADER, type Ipv6Packet } from './ipv6.js';

const NEXT_HEADER = 0;
const LENGTH = 1;
const OPTIONS = 2;
const ROUTING_TYPE = 2;
const SEGMENTS_LEFT = 3;
export const FRAGMENT_IDENTIFICATION = 4;
export const FRAGMENT_HEADER = 8;
/** Offset in a fragment header of its offset and the bit that says that more follow (RFC 8200 4.5). */
export const FRAGMENT_OFFSET = 2;

/** More extension headers, and more options than padding in one header, are taken for an attack (RFC 8504 5.3). */
export const MAX_EXTENSION_HEADERS = 8;
export const MAX_OPTIONS = 8;

/** Option types (IANA). The high two bits say what a node does that does not know the option; the third, that it may change on the way. */
export const Ipv6OptionType = { Pad1: 0, PadN: 1, RouterAlert: 5, Jumbo: 0xc2, HomeAddress: 0xc9 } as const;

/** Values of the router alert option (RFC 2711). */
export const RouterAlert = { Mld: 0 } as const;

/** Codes of ICMPv6 parameter problems (RFC 4443 3.4, RFC 7112). */
export const Ipv6Problem = { BadField: 0, UnknownNextHeader: 1, UnknownOption: 2, IncompleteChain: 3 } as const;

/** What is to be done with a packet whose headers ask for it. */
export type Ipv6Action = 'discard' | 'parameter-problem' | 'parameter-problem-unless-multicast';

/** Why a walk ended early: the packet is to be dropped for `reason`, and its sender perhaps to be told. */
export interface ExtensionProblem {
  readonly reason: DropReason;
  readonly action: Ipv6Action;
  /** Of the parameter problem. */
  readonly code: number;
  /** Offset of the offending byte from the start of the IPv6 header. */
  readonly pointer: number;
}

/** Whether `protocol` is an extension header that {@link walkExtensions} steps into. */
export function isExtension(protocol: number): boolean {
  switch (protocol) {
    case HOP_BY_HOP:
    case IpProtocol.Routing:
    case IpProtocol.Fragment:
    case IpProtocol.Ah:
    case IpProtocol.DestinationOptions:
      return true;
    default:
      return false;
  }
}

/**
 * Walks the extension headers of a checked packet and tells it what its payload is: `protocol`, `protocolField`, `headerLength`,
 * `fragmentHeader`, `fragmented` and `routerAlert` are set. The walk ends behind the fragment header of a fragment, and goes on behind that of an atomic one
 * (RFC 6946). It can be called again once the packet is whole.
 *
 * @returns what is wrong, or `undefined`; a header that ends early is discarded in silence
 */
export function walkExtensions(packet: Ipv6Packet): ExtensionProblem | undefined {
  return walk(packet, packet.frame.slab.view, packet.offset + packet.totalLength, true);
}

/**
 * The same for a packet of which only the bytes up to `end` are there, without holding any option or route against it: for quoted
 * packets and for dumps.
 *
 * @returns whether the payload's place is known
 */
export function findPayload(packet: Ipv6Packet, end: number): boolean {
  return walk(packet, packet.frame.slab.view, end, false) === undefined;
}

function walk(packet: Ipv6Packet, view: DataView, end: number, strict: boolean): ExtensionProblem | undefined {
  const { offset } = packet;
  let at = offset + IPV6_HEADER;
  let protocol = packet.nextHeader;
  packet.protocol = protocol;
  packet.protocolField = IPV6_NEXT_HEADER;
  packet.headerLength = IPV6_HEADER;
  for (let count = 0; isExtension(protocol); count++) {
    if (protocol === HOP_BY_HOP && at !== offset + IPV6_HEADER) {
      return strict
        ? problem(Ipv6Problem.UnknownNextHeader, packet.protocolField, DropReason.Ipv6BadExtension)
        : MALFORMED;
    }
    const length = extensionLength(view, protocol, at, end);
    if (length === 0 || count === MAX_EXTENSION_HEADERS) return MALFORMED;
    const wrong = strict ? enter(packet, view, protocol, at, length) : undefined;
    if (wrong !== undefined) return wrong;
    const isFragment = protocol === IpProtocol.Fragment;
    protocol = view.getUint8(at + NEXT_HEADER);
    packet.protocol = protocol;
    packet.protocolField = at + NEXT_HEADER - offset;
    packet.headerLength = at + length - offset;
    if (isFragment) {
      packet.fragmentHeader = at - offset;
      packet.fragmented = true;
      if (packet.isFragment) return undefined;
    }
    at += length;
  }
  return undefined;
}

/**
 * Reads the hop-by-hop options of a checked packet, which are all that concerns routers on its way (RFC 8200 4.3); `routerAlert` is set. Other
 * extension headers are not looked at.
 *
 * @returns what is wrong, or `undefined`
 */
export function readHopByHop(packet: Ipv6Packet): ExtensionProblem | undefined {
  if (packet.nextHeader !== HOP_BY_HOP) return undefined;
  const { view } = packet.frame.slab;
  const at = packet.offset + IPV6_HEADER;
  const length = extensionLength(view, HOP_BY_HOP, at, packet.offset + packet.totalLength);
  return length === 0 ? MALFORMED : scanOptions(packet, view, at + OPTIONS, at + length, true);
}

/** Bytes of the extension header of this kind at `at`, or 0 if it is not all in front of `end`. */
export function extensionLength(view: DataView, protocol: number, at: number, end: number): number {
  if (end - at < 8) return 0;
  if (protocol === IpProtocol.Fragment) return FRAGMENT_HEADER;
  const units = view.getUint8(at + LENGTH);
  // RFC 4302 2.2: AH counts words, less two; the others count 8 bytes, less one.
  const length = protocol === IpProtocol.Ah ? (units + 2) * 4 : (units + 1) * 8;
  return length >= 8 && length <= end - at ? length : 0;
}

function enter(
  packet: Ipv6Packet,
  view: DataView,
  protocol: number,
  at: number,
  length: number,
): ExtensionProblem | undefined {
  if (protocol === IpProtocol.Routing) {
    // RFC 8200 4.4: with nothing left of the route it is done with, whatever its type.
    if (view.getUint8(at + SEGMENTS_LEFT) === 0) return undefined;
    return problem(Ipv6Problem.BadField, at + ROUTING_TYPE - packet.offset, DropReason.Ipv6SourceRouted);
  }
  if (protocol !== HOP_BY_HOP && protocol !== IpProtocol.DestinationOptions) return undefined;
  return scanOptions(packet, view, at + OPTIONS, at + length, protocol === HOP_BY_HOP);
}

/** Reads options for those that concern us: every one unknown is treated as its high bits say (RFC 8200 4.2). */
function scanOptions(
  packet: Ipv6Packet,
  view: DataView,
  from: number,
  to: number,
  hopByHop: boolean,
): ExtensionProblem | undefined {
  let count = 0;
  for (let at = from; at < to; ) {
    const type = view.getUint8(at);
    if (type === Ipv6OptionType.Pad1) {
      at++;
      continue;
    }
    const length = at + 1 < to ? 2 + view.getUint8(at + 1) : 0;
    if (length === 0 || at + length > to) return MALFORMED;
    if (type !== Ipv6OptionType.PadN) {
      if (++count > MAX_OPTIONS) return MALFORMED;
      if (hopByHop && type === Ipv6OptionType.RouterAlert && length === 4) packet.routerAlert = view.getUint16(at + 2);
      else if (type >>> 6 !== 0) return unknownOption(type, at - packet.offset);
    }
    at += length;
  }
  return undefined;
}

const ACTIONS = ['discard', 'discard', 'parameter-problem', 'parameter-problem-unless-multicast'] as const;

function unknownOption(type: number, pointer: number): ExtensionProblem {
  const action = ACTIONS[type >>> 6] ?? 'discard';
  return { reason: DropReason.Ipv6UnknownOption, action, code: Ipv6Problem.UnknownOption, pointer };
}

// RFC 4443 2.4 e: of these problems a multicast packet's sender is not told.
function problem(code: number, pointer: number, reason: DropReason): ExtensionProblem {
  return { reason, action: 'parameter-problem-unless-multicast', code, pointer };
}

const MALFORMED: ExtensionProblem = { reason: DropReason.Ipv6BadExtension, action: 'discard', code: 0, pointer: 0 };

/** One option: its type byte and its data. */
export interface Ipv6Option {
  readonly type: number;
  readonly data: Uint8Array;
}

/** The options of the hop-by-hop or destination options header at `at`, without padding, up to the first impossible one; copies. */
export function readIpv6Options(frame: Frame, at: number, end: number): Ipv6Option[] {
  const { view, bytes } = frame.slab;
  const found: Ipv6Option[] = [];
  const to = at + extensionLength(view, IpProtocol.DestinationOptions, at, end);
  for (let i = at + OPTIONS; i < to; ) {
    const type = view.getUint8(i);
    const length = type === Ipv6OptionType.Pad1 ? 1 : i + 1 < to ? 2 + view.getUint8(i + 1) : 0;
    if (length === 0 || i + length > to) break;
    if (type > Ipv6OptionType.PadN) found.push({ type, data: bytes.slice(i + 2, i + length) });
    i += length;
  }
  return found;
}

/**
 * Pushes a hop-by-hop or destination options header, padded to 8 bytes, in front of what `nextHeader` names. No option is aligned:
 * give padding as an option where one asks for it. Returns the protocol number of what now comes first.
 */
export function pushIpv6Options(
  frame: Frame,
  kind: typeof HOP_BY_HOP | typeof IpProtocol.DestinationOptions,
  nextHeader: number,
  options: readonly Ipv6Option[],
): number {
  const used = options.reduce((sum, option) => sum + optionLength(option), OPTIONS);
  const length = (used + 7) & ~7;
  let at = frame.push(length);
  const { bytes } = frame.slab;
  const end = at + length;
  bytes[at] = nextHeader;
  bytes[at + LENGTH] = length / 8 - 1;
  at += OPTIONS;
  for (const option of options) {
    bytes[at] = option.type;
    if (option.type !== Ipv6OptionType.Pad1) {
      bytes[at + 1] = option.data.length;
      bytes.set(option.data, at + 2);
    }
    at += optionLength(option);
  }
  const padding = end - at;
  bytes.fill(0, at, end);
  if (padding > 1) {
    bytes[at] = Ipv6OptionType.PadN;
    bytes[at + 1] = padding - 2;
  }
  return kind;
}

function optionLength(option: Ipv6Option): number {
  return option.type === Ipv6OptionType.Pad1 ? 1 : 2 + option.data.length;
}

/** Pushes the hop-by-hop header that every MLD message has (RFC 3810 5). Returns the protocol number of what now comes first. */
export function pushRouterAlert(frame: Frame, nextHeader: number, value: number = RouterAlert.Mld): number {
  const at = frame.push(8);
  const { view } = frame.slab;
  view.setUint8(at, nextHeader);
  view.setUint8(at + LENGTH, 0);
  view.setUint16(at + 2, (Ipv6OptionType.RouterAlert << 8) | 2);
  view.setUint16(at + 4, value);
  view.setUint16(at + 6, Ipv6OptionType.PadN << 8);
  return HOP_BY_HOP;
}

/** The fragment header (RFC 8200 4.5), read in place; all of its 8 bytes must be there. */
export class FragmentHeader {
  readonly frame: Frame;
  readonly offset: number;

  constructor(frame: Frame, offset: number) {
    this.frame = frame;
    this.offset = offset;
  }

  /** Pushes a fragment header in front of the fragment; `fragmentOffset` is in bytes. Returns the protocol number of what now comes first. */
  static emit(frame: Frame, nextHeader: number, fragmentOffset: number, more: boolean, identification: number): number {
    const at = frame.push(FRAGMENT_HEADER);
    const { view } = frame.slab;
    view.setUint16(at, nextHeader << 8);
    view.setUint16(at + FRAGMENT_OFFSET, fragmentOffset | (more ? 1 : 0));
    view.setUint32(at + FRAGMENT_IDENTIFICATION, identification);
    return IpProtocol.Fragment;
  }

  get nextHeader(): number {
    return this.frame.slab.view.getUint8(this.offset + NEXT_HEADER);
  }
  /** In bytes, a multiple of 8. */
  get fragmentOffset(): number {
    return this.frame.slab.view.getUint16(this.offset + FRAGMENT_OFFSET) & 0xfff8;
  }
  get moreFragments(): boolean {
    return (this.frame.slab.view.getUint16(this.offset + FRAGMENT_OFFSET) & 1) === 1;
  }
  get identification(): number {
    return this.frame.slab.view.getUint32(this.offset + FRAGMENT_IDENTIFICATION);
  }
}

// RFC 7112 3: a first fragment holds the whole chain, an upper-layer header of at least this size included.
const UPPER_HEADERS: ReadonlyMap<number, number> = new Map([
  [IpProtocol.Tcp, 20],
  [IpProtocol.Udp, 8],
  [IpProtocol.Icmpv6, 4],
  [IpProtocol.Esp, 8],
]);

/** Whether the first fragment whose headers were walked holds the packet's whole chain of headers, as it must (RFC 7112). */
export function holdsAllHeaders(packet: Ipv6Packet): boolean {
  const { view } = packet.frame.slab;
  const end = packet.offset + packet.totalLength;
  let at = packet.offset + packet.headerLength;
  let { protocol } = packet;
  for (let count = 0; isExtension(protocol); count++) {
    const length = extensionLength(view, protocol, at, end);
    if (length === 0 || count === MAX_EXTENSION_HEADERS) return false;
    protocol = view.getUint8(at + NEXT_HEADER);
    at += length;
  }
  return end - at >= (UPPER_HEADERS.get(protocol) ?? 0);
}
