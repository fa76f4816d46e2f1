/** The face of UDP towards applications: what the socket adapters of `lib/socket` are written against. */

import type { IpAddress } from '../core/address.js';
import type { Device } from '../core/device.js';
import type { NetError } from '../core/errors.js';
import type { IcmpReport } from '../l3/icmp-report.js';
import type { InterfaceChoice } from '../l3/multicast.js';
import type { SourceFilter } from '../l3/source-filter.js';
import type { Endpoint } from './tcp/api.js';

/**
 * A received datagram; `data` is a copy that the receiver owns. As with Node's Buffers its memory may be shared with other datagrams' (`data.buffer`
 * holds them, too, and is kept as long as any of them).
 */
export interface UdpMessage {
  readonly data: Uint8Array;
  readonly source: Endpoint;
  /** Where it was sent to: an address of ours, with its zone if that is link-local and the device is known, a broadcast or a multicast address. */
  readonly destination: Endpoint;
  readonly hopLimit: number;
  readonly trafficClass: number;
  /** The device that it came in by; `undefined` where there is only one. */
  readonly device?: Device | undefined;
}

/** What is known of a received datagram besides its data. */
export type UdpArrival = Omit<UdpMessage, 'data'>;

/** What a socket tells its owner, synchronously. It must not throw. */
export interface UdpHandler extends UdpErrorHandler {
  message(message: UdpMessage): void;
}

/** The same for an owner that looks at datagrams where they lie. */
export interface UdpViewer extends UdpErrorHandler {
  /**
   * A datagram: bytes `from` to `to` of `bytes`. They are not the owner's, who must not change them, and may change as soon as it returns: what is to
   * last is copied. {@link UdpSocket.sendCopy} sends them on.
   */
  view(bytes: Uint8Array, from: number, to: number, arrival: UdpArrival): void;
}

/** What a socket tells its owner besides what came. */
export interface UdpErrorHandler {
  /**
   * ICMP reported an error about a datagram of a connected socket (RFC 1122 4.1.3.3): `EMSGSIZE` for one that must not be cut and was too
   * big for the path. Or the stack was disposed.
   */
  error(error: NetError): void;
  /** Any ICMP error about a datagram of the socket, connected or not, those that may pass included: for whoever traces paths. */
  report?(report: UdpReport): void;
}

/** What ICMP said about a datagram: where it was sent to, who said what about it. */
export interface UdpReport extends Pick<IcmpReport, 'kind' | 'code' | 'reporter' | 'mtu'> {
  readonly destination: Endpoint;
}

/** Options of {@link UdpSockets.bind}. */
export interface UdpOptions {
  /** Share the port with other sockets that set this too. */
  readonly reuseAddress?: boolean;
  /** A socket that is bound to `::` has nothing to do with IPv4. Default false: it is one of both versions. */
  readonly ipv6Only?: boolean;
  /** Allow sending to broadcast addresses. Default false. */
  readonly broadcast?: boolean;
  readonly hopLimit?: number;
  readonly trafficClass?: number;
  /** Refuse datagrams that the path would have to cut, instead of sending them in fragments. Default false. */
  readonly dontFragment?: boolean;
}

/** Which membership is meant. */
export interface GroupOptions {
  /** The interface: a device, an address of it, or an IPv6 address with its name as the zone. Default: where the routes lead. */
  readonly interface?: InterfaceChoice | undefined;
  /** Of `join` and `leave`: membership as far as this source is concerned (RFC 4607). */
  readonly source?: IpAddress | undefined;
}

/**
 * Multicast of a socket (RFC 3678). It receives datagrams to groups that it joined, from sources that it wants, by the interface that it
 * joined them on, and those only: also of groups that other sockets, or all hosts, are members of.
 *
 * The calls throw NetError `EINVAL` (not a group, wrong version, or a call that does not go with how the group was joined),
 * `ENODEV` (no such interface), `EADDRINUSE` (joined already), `EADDRNOTAVAIL` (not joined; the source is, or is not, named
 * already) and `ENOBUFS` (too many sources).
 */
export interface UdpGroups {
  /** Hops of datagrams to groups, 0 to 255; 0 stays on this host. Default 1. */
  hopLimit: number;
  /** Whether members on this host receive what the socket sends to groups. Default true. */
  loopback: boolean;
  /** Sends to groups by this interface; `undefined`, or an unspecified address: where the routes lead. */
  sendBy(choice: InterfaceChoice | undefined): void;
  /** Joins a group, or adds a source to a source-specific membership. */
  join(group: IpAddress, options?: GroupOptions): void;
  /** Leaves a group, or takes a source away from a source-specific membership; without sources that ends. */
  leave(group: IpAddress, options?: GroupOptions): void;
  /** Excludes a source from an any-source membership. */
  block(group: IpAddress, source: IpAddress, options?: GroupOptions): void;
  /** Undoes `block`. */
  unblock(group: IpAddress, source: IpAddress, options?: GroupOptions): void;
  /** Replaces the whole filter, joining or leaving as need be. */
  setFilter(group: IpAddress, filter: SourceFilter, options?: GroupOptions): void;
  /** The filter in force; `undefined` where the group was not joined. */
  filter(group: IpAddress, options?: GroupOptions): SourceFilter | undefined;
}

/** A bound UDP socket. */
export interface UdpSocket {
  readonly local: Endpoint;
  readonly remote: Endpoint | undefined;
  broadcast: boolean;
  hopLimit: number;
  trafficClass: number;
  dontFragment: boolean;
  /** Its multicast memberships, and how it sends to groups. */
  readonly groups: UdpGroups;
  /**
   * Largest IP packet, in bytes, that goes to `to`, or to the connected peer, in one piece, as far as is known: ICMP errors about what is sent
   * with {@link UdpSocket.dontFragment} lower it. Datagrams are smaller by the headers of IP and UDP, 28 or 48 bytes.
   *
   * @throws NetError as `send`
   */
  pathMtu(to?: Endpoint): number;
  /**
   * Sends a datagram to `to`, or to the connected peer.
   *
   * @param segmentSize sends `data` as datagrams of so many bytes each, the last one of what is left, which must fit the path's MTU: as Linux does
   *   with `UDP_SEGMENT`. Devices that cut such packets get them whole, which makes many datagrams as cheap as one.
   * @throws NetError `EDESTADDRREQ`, `EISCONN`, `ENETUNREACH`, `EACCES` (broadcast not allowed), `EBADF` (closed), `EMSGSIZE`
   */
  send(data: Uint8Array, to?: Endpoint, segmentSize?: number): void;
  /**
   * The same of bytes `from` to `end` of `bytes`, without an array for them.
   *
   * @throws NetError as `send` @throws UsageError `ERR_OUT_OF_RANGE`
   */
  sendCopy(bytes: Uint8Array, from: number, end: number, to?: Endpoint, segmentSize?: number): void;
  /** Fixes the peer: only its datagrams come in, ICMP errors about it are reported. `undefined` undoes it. */
  connect(to: Endpoint | undefined): void;
  close(): void;
}

/** UDP of one host. Implemented by `UdpHost` in `udp.ts`. */
export interface UdpSockets {
  /**
   * Opens a socket; an unspecified address means all of ours, port 0 a free one. `::` means those of IPv4, too, unless `ipv6Only` is set: such
   * a socket also sends to and receives from IPv4 addresses, and no IPv4 socket may share the port without `reuseAddress`. IPv4-mapped
   * addresses are taken for the IPv4 ones that they stand for. A link-local address with a zone is one on that link: the socket sends by its device, and
   * receives what comes by it alone, so that others may have the same address and port in other zones; without a zone it is one on all links.
   *
   * @throws NetError `EADDRINUSE`, `EADDRNOTAVAIL`, `ENETDOWN` (the host has ended)
   */
  bind(local: Endpoint, handler: UdpHandler | UdpViewer, options?: UdpOptions): UdpSocket;
}
