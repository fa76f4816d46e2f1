/** A bound UDP socket: what it was told, and which datagrams are its. */

import { type IpAddress, type IpVersion, isSameAddress, unmapped } from '../core/address.js';
import { checkRange } from '../core/copy.js';
import { NetError } from '../core/errors.js';
import { DEFAULT_HOP_LIMIT, type IpPath } from '../l3/ip-output.js';
import type { Multicast } from '../l3/multicast.js';
import { inZoneOf } from '../l3/scope.js';
import type { Endpoint } from './tcp/api.js';
import type { UdpHandler, UdpOptions, UdpSocket, UdpViewer } from './udp-api.js';
import { SocketGroups } from './udp-groups.js';

// How well a socket fits a datagram; the highest wins.
export const NO_MATCH = 0;
const WILDCARD = 1;
const BOUND = 2;
const CONNECTED = 4;

/** What a socket needs of its host. */
export interface SocketHost {
  readonly multicast: Multicast | undefined;
  transmit(socket: BoundSocket, bytes: Uint8Array, from: number, end: number, to: Endpoint, segmentSize: number): void;
  pathTo(socket: BoundSocket, to: Endpoint, syscall: string): IpPath;
  /** Which datagrams are the socket's has changed. */
  changed(): void;
  remove(socket: BoundSocket): void;
}

/** See {@link UdpSocket}. */
export class BoundSocket implements UdpSocket {
  readonly host: SocketHost;
  readonly handler: UdpHandler | UdpViewer;
  readonly reuse: boolean;
  /** Bound to all addresses of both versions (RFC 3493 3.7). */
  readonly isDual: boolean;
  local: Endpoint;
  remote: Endpoint | undefined = undefined;
  /** Rises with each change of an option that datagrams are sent with. */
  revision = 0;
  /** What the application asked for; `undefined` where it leaves the choice to the way. */
  ownHopLimit: number | undefined;
  private mayBroadcast: boolean;
  private ownTrafficClass: number;
  private isWhole: boolean;
  readonly groups: SocketGroups;
  /** The address as it was bound, which `connect` may narrow and undo. */
  readonly bound: IpAddress;
  closed = false;

  constructor(host: SocketHost, local: Endpoint, handler: UdpHandler | UdpViewer, options: UdpOptions) {
    this.host = host;
    this.local = local;
    this.bound = local.address;
    this.handler = handler;
    this.reuse = options.reuseAddress ?? false;
    this.isDual = isDualStack(local.address, options);
    this.mayBroadcast = options.broadcast ?? false;
    this.ownHopLimit = options.hopLimit;
    this.ownTrafficClass = options.trafficClass ?? 0;
    this.isWhole = options.dontFragment ?? false;
    this.groups = new SocketGroups(local.address.version, () => (this.closed ? undefined : host.multicast));
  }

  get hopLimit(): number {
    return this.ownHopLimit ?? DEFAULT_HOP_LIMIT;
  }

  set hopLimit(hops: number) {
    this.ownHopLimit = hops;
    this.revision++;
  }

  get broadcast(): boolean {
    return this.mayBroadcast;
  }

  set broadcast(allowed: boolean) {
    this.mayBroadcast = allowed;
    this.revision++;
  }

  get trafficClass(): number {
    return this.ownTrafficClass;
  }

  set trafficClass(value: number) {
    this.ownTrafficClass = value;
    this.revision++;
  }

  get dontFragment(): boolean {
    return this.isWhole;
  }

  set dontFragment(isWhole: boolean) {
    this.isWhole = isWhole;
    this.revision++;
  }

  send(data: Uint8Array, to?: Endpoint, segmentSize?: number): void {
    const { length } = data;
    this.host.transmit(this, data, 0, length, this.destination(to, 'send'), segmentSize ?? length);
  }

  sendCopy(bytes: Uint8Array, from: number, end: number, to?: Endpoint, segmentSize: number = end - from): void {
    checkRange(bytes, from, end);
    this.host.transmit(this, bytes, from, end, this.destination(to, 'send'), segmentSize);
  }

  pathMtu(to?: Endpoint): number {
    return this.host.pathTo(this, this.destination(to, 'getsockopt'), 'getsockopt').mtu;
  }

  private destination(to: Endpoint | undefined, syscall: string): Endpoint {
    if (this.closed) throw NetError.of('EBADF', syscall);
    if (to !== undefined && this.remote !== undefined) throw NetError.of('EISCONN', syscall);
    const destination = to ?? this.remote;
    if (destination === undefined) throw NetError.of('EDESTADDRREQ', syscall);
    const address = unmapped(destination.address);
    return address === destination.address ? destination : { address, port: destination.port };
  }

  connect(peer: Endpoint | undefined): void {
    if (this.closed) throw NetError.of('EBADF', 'connect');
    const to = peer && { address: inZoneOf(this.bound, unmapped(peer.address)), port: peer.port };
    const source = to === undefined ? this.bound : this.host.pathTo(this, to, 'connect').source;
    this.revision++;
    this.host.changed();
    this.remote = to;
    // A group is for receiving, and stays, as does the zone of an address, which sources have none of.
    const stays = this.bound.isMulticast || isSameAddress(this.bound, source);
    this.local = { address: stays ? this.bound : source, port: this.local.port };
  }

  close(): void {
    if (this.closed) return;
    this.groups.close();
    this.closed = true;
    this.host.remove(this);
  }

  /** Whether it sends and receives packets of this version. */
  speaks(version: IpVersion): boolean {
    return this.bound.version === version || this.isDual;
  }

  /** Whether datagrams from `source` may be its own. */
  mayBeAt(source: IpAddress): boolean {
    const { bound } = this;
    return bound.isUnspecified ? this.speaks(source.version) : isSameAddress(bound, source);
  }

  /** How well a datagram from `source` to `destination` at this port fits. */
  match(source: IpAddress, sourcePort: number, destination: IpAddress): number {
    const { local, remote } = this;
    let score = WILDCARD;
    if (!local.address.isUnspecified) {
      if (!isSameAddress(local.address, destination)) return NO_MATCH;
      score += BOUND;
    } else if (!this.speaks(destination.version)) return NO_MATCH;
    if (remote !== undefined) {
      if (remote.port !== sourcePort || !isSameAddress(remote.address, source)) return NO_MATCH;
      score += CONNECTED;
    }
    return score;
  }
}

/** Whether a socket bound to `address` is one of both versions. */
export function isDualStack(address: IpAddress, { ipv6Only }: UdpOptions): boolean {
  return address.version === 6 && address.isUnspecified && ipv6Only !== true;
}
