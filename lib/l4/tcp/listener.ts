/** Listening ports (RFC 9293 3.10.1): their embryonic connections, those that wait for `accept`, and which listener a SYN is for. */

import { type IpAddress, isSameAddress } from '../../core/address.js';
import { receiverOf } from '../../l3/scope.js';
import type { IpPacket } from '../../wire/ip.js';
import type { Endpoint, TcpConnection, TcpListener, TcpListenOptions } from './api.js';
import { congestionFactory } from './congestion/choose.js';
import type { Connection } from './connection.js';
import type { Parent } from './context.js';
import type { TcpConfig } from './options.js';

// How near a listener is to an address.
const BOTH_VERSIONS = 1;
const SAME_VERSION = 2;
const SAME = 3;

/** What a listener needs of its host. */
export interface ListenerHost {
  readonly config: TcpConfig;
  /** The listener has something to tell when the event ends. */
  wake(listener: Listener): void;
  enter(): void;
  leave(): void;
  /** All connections, those of others included. */
  connections(): Iterable<Connection>;
  /** Forget the listener. */
  unlisten(listener: Listener): void;
}

/** One listening port. */
export class Listener implements TcpListener, Parent {
  readonly local: Endpoint;
  readonly options: TcpListenOptions;
  readonly backlog: number;
  readonly deferAccept: number;
  listed = false;
  incoming: ((remote: Endpoint) => void) | undefined = undefined;
  private readonly host: ListenerHost;
  /** How many of its connections have not completed their handshake. */
  private embryos = 0;
  private waiting: Connection[] = [];
  /** Whose SYN came in the current event, if anybody wants to know. */
  private arrivals: Endpoint[] = [];
  private callback: (() => void) | undefined = undefined;
  private closed = false;
  private end: Endpoint;
  /** Connections that are served before their handshake is complete (RFC 7413 5.1). */
  early = 0;
  /** When a SYN was last answered with a cookie. */
  cookieAt: number = Number.NEGATIVE_INFINITY;

  constructor(host: ListenerHost, local: Endpoint, options: TcpListenOptions, backlog: number) {
    this.host = host;
    this.local = this.end = local;
    this.options = options;
    if (options.congestion !== undefined) congestionFactory(options.congestion);
    this.backlog = Math.max(1, backlog);
    this.deferAccept = options.deferAccept ?? 0;
  }

  get acceptable(): (() => void) | undefined {
    return this.callback;
  }
  set acceptable(callback: (() => void) | undefined) {
    this.callback = callback;
    if (callback === undefined || this.waiting.length === 0) return;
    this.host.enter();
    this.host.wake(this);
    this.host.leave();
  }

  accept(): TcpConnection | undefined {
    const connection = this.waiting.shift();
    if (connection !== undefined) connection.parent = undefined;
    return connection;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.host.enter();
    try {
      this.endAll();
    } finally {
      this.host.leave();
    }
  }

  private endAll(): void {
    this.host.unlisten(this);
    const { waiting } = this;
    this.waiting = [];
    // Nobody knows of these yet: their peers learn it when they acknowledge.
    for (const connection of this.host.connections()) {
      if (connection.parent !== this || !connection.embryonic) continue;
      connection.parent = undefined;
      connection.terminate(undefined);
    }
    this.embryos = 0;
    for (const connection of waiting) {
      connection.parent = undefined;
      connection.abort();
    }
  }

  /** The end of a connection at `address`: one object for all that came there in a row. */
  endAt(address: IpAddress): Endpoint {
    if (!isSameAddress(this.end.address, address)) this.end = { address, port: this.local.port };
    return this.end;
  }

  /** Whether one more connection may wait to be accepted; if not, no SYN is answered. */
  get hasRoom(): boolean {
    return this.waiting.length < this.backlog;
  }

  /** Whether there may be one more embryonic connection. */
  get hasRoomForEmbryo(): boolean {
    return this.embryos < this.host.config.maxEmbryonic;
  }

  /** A SYN was answered without a connection being made. */
  answered(remote: Endpoint): void {
    if (this.incoming === undefined) return;
    this.arrivals.push(remote);
    this.host.wake(this);
  }

  /** A connection in SYN-RECEIVED was made. */
  adopt(connection: Connection): void {
    connection.parent = this;
    connection.embryonic = true;
    this.embryos++;
    this.answered(connection.remote);
  }

  /** A connection is served before its handshake is complete. */
  admitEarly(connection: Connection): void {
    connection.parent = this;
    this.answered(connection.remote);
    this.waiting.push(connection);
    this.host.wake(this);
  }

  admit(connection: Connection): boolean {
    if (this.waiting.length >= this.backlog) return false;
    this.leaves(connection);
    this.waiting.push(connection);
    this.host.wake(this);
    return true;
  }

  /** Whether it was embryonic, which it is not any more. */
  private leaves(connection: Connection): boolean {
    if (!connection.embryonic) return false;
    connection.embryonic = false;
    this.embryos--;
    return true;
  }

  lost(connection: Connection): void {
    if (this.leaves(connection) || this.options.acceptEnded === true) return;
    this.waiting = this.waiting.filter((other) => other !== connection);
  }

  /** Called by the host when an event ends. */
  flush(): void {
    if (this.arrivals.length > 0) for (const remote of this.arrivals.splice(0)) this.incoming?.(remote);
    if (this.waiting.length > 0) this.callback?.();
  }
}

/** The listeners of a host, by port and address. */
export class ListenerTable {
  private readonly ports: Map<number, Listener[]> = new Map();

  add(listener: Listener): void {
    const { port } = listener.local;
    const there = this.ports.get(port);
    if (there === undefined) this.ports.set(port, [listener]);
    else there.push(listener);
  }

  remove(listener: Listener): void {
    const { port } = listener.local;
    const rest = (this.ports.get(port) ?? []).filter((other) => other !== listener);
    if (rest.length === 0) this.ports.delete(port);
    else this.ports.set(port, rest);
  }

  hasPort(port: number): boolean {
    return this.ports.has(port);
  }

  /** Whether exactly this address and port are listened on; one without a zone is in all of them. */
  has(local: Endpoint): boolean {
    return this.ports.get(local.port)?.some((other) => isSameAddress(other.local.address, local.address)) ?? false;
  }

  /**
   * The listener for a SYN: that of the packet's destination first, then the unspecified address of its version, then for IPv4 `::`, unless that one
   * wants IPv6 only.
   */
  find(packet: IpPacket, port: number): Listener | undefined {
    const there = this.ports.get(port);
    if (there === undefined) return undefined;
    const address = receiverOf(packet);
    let best: Listener | undefined;
    let likeness = 0;
    for (const one of there) {
      const like = likenessTo(one, address);
      if (like > likeness) {
        likeness = like;
        best = one;
      }
    }
    return best;
  }

  all(): Listener[] {
    return [...this.ports.values()].flat();
  }
}

/** How near a listener is to an address: 0 if it is not for it, more the more it is meant for that alone. */
function likenessTo(listener: Listener, address: IpAddress): number {
  const { local } = listener;
  if (isSameAddress(local.address, address)) return SAME;
  if (!local.address.isUnspecified) return 0;
  if (local.address.version === address.version) return SAME_VERSION;
  return isDualStack(listener) ? BOTH_VERSIONS : 0;
}

/** Whether a listener of `::` takes IPv4 connections, too (RFC 3493 3.7, 5.3). */
function isDualStack({ local, options }: Listener): boolean {
  return local.address.version === 6 && local.address.isUnspecified && options.ipv6Only !== true;
}
