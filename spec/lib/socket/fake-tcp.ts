/**
 * TCP without packets: the contract of `lib/l4/tcp/api.ts` kept by pairs of connections in memory, for the tests of what is built on it. Like
 * the real thing it holds written bytes by reference until they are acknowledged, cuts streams into segments, takes writes in part, answers
 * later and never at once, keeps a bounded receive window, and resets. Loss does not happen here.
 */

import { type IpAddress, ipOf, unmapped } from '../../../lib/core/address.js';
import { type NetCode, NetError } from '../../../lib/core/errors.js';
import type {
  ByteSink,
  Endpoint,
  TcpConnection,
  TcpConnectionOptions,
  TcpHandler,
  TcpListener,
  TcpListenOptions,
  TcpSockets,
  TcpState,
} from '../../../lib/l4/tcp/api.js';

const SILENT: TcpHandler = { connected() {}, readable() {}, writable() {}, flushed() {}, closed() {} };

/** Options of {@link FakeNetwork}. */
export interface FakeNetworkOptions {
  readonly segment?: number;
  readonly sendBuffer?: number;
  readonly receiveBuffer?: number;
}

/** What is on its way, delivered in order, a batch a turn of the event loop. */
export class FakeNetwork {
  readonly hosts: Map<string, FakeTcp> = new Map();
  readonly options: Required<FakeNetworkOptions>;
  /** Nothing answers connection attempts to these addresses. */
  readonly silent: Set<string> = new Set();
  #queue: (() => void)[] = [];
  #scheduled = false;
  /** Hold everything back while true. */
  stopped = false;

  constructor(options: FakeNetworkOptions = {}) {
    this.options = { segment: 1460, sendBuffer: 64 * 1024, receiveBuffer: 64 * 1024, ...options };
  }

  host(address: string): FakeTcp {
    const host = new FakeTcp(this, ipOf(address));
    this.hosts.set(address, host);
    return host;
  }

  deliver(event: () => void): void {
    this.#queue.push(event);
    this.kick();
  }

  kick(): void {
    if (this.#scheduled || this.stopped) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      const batch = this.#queue;
      this.#queue = [];
      for (const event of batch) event();
      if (this.#queue.length > 0) this.kick();
    });
  }

  /** Connections that exist anywhere. */
  get connections(): number {
    return [...this.hosts.values()].reduce((sum, host) => sum + host.connections.size, 0);
  }
}

/** A host of the network. */
export class FakeTcp implements TcpSockets {
  readonly network: FakeNetwork;
  readonly address: IpAddress;
  readonly listeners: Map<number, FakeListener> = new Map();
  readonly connections: Set<FakeConnection> = new Set();
  #nextPort = 49152;

  constructor(network: FakeNetwork, address: IpAddress) {
    this.network = network;
    this.address = address;
  }

  #port(wanted: number | undefined): number {
    return wanted || this.#nextPort++;
  }

  connect(
    to: Endpoint,
    handler: TcpHandler,
    options: TcpConnectionOptions & { readonly localAddress?: IpAddress; readonly localPort?: number } = {},
  ): TcpConnection {
    if (to.port === 0) throw NetError.of('EADDRNOTAVAIL', 'connect', to.address.toString(), to.port);
    const remote = { address: unmapped(to.address), port: to.port };
    const ownAddress = remote.address.isLoopback ? remote.address : this.address;
    const local = { address: options.localAddress ?? ownAddress, port: this.#port(options.localPort) };
    const connection = new FakeConnection(this, local, remote, handler, options);
    this.network.deliver(() => this.#arrive(connection));
    return connection;
  }

  #arrive(client: FakeConnection): void {
    const name = client.remote.address.isLoopback ? client.local.address.toString() : client.remote.address.toString();
    const peer = client.remote.address.isLoopback ? this : this.network.hosts.get(name);
    if (this.network.silent.has(name) || client.state !== 'SYN-SENT') return;
    if (peer === undefined) return this.#refuse(client, 'EHOSTUNREACH');
    const listener = peer.listeners.get(client.remote.port);
    if (listener === undefined || !listener.admits) return this.#refuse(client, 'ECONNREFUSED');
    const server = new FakeConnection(peer, client.remote, client.local, SILENT, listener.options);
    FakeConnection.join(client, server);
    this.network.deliver(() => client.established());
    this.network.deliver(() => {
      server.established();
      listener.offer(server);
    });
  }

  #refuse(client: FakeConnection, code: NetCode): void {
    this.network.deliver(() => client.over(new NetError(code, code)));
  }

  listen(local: Endpoint, options: TcpListenOptions = {}): TcpListener {
    const address = local.address.toString();
    const ours = local.address.isUnspecified || local.address.isLoopback || local.address.equals(this.address);
    if (!ours) throw NetError.of('EADDRNOTAVAIL', 'listen', address, local.port);
    if (this.listeners.has(local.port)) throw NetError.of('EADDRINUSE', 'listen', address, local.port);
    const listener = new FakeListener(this, { address: local.address, port: this.#port(local.port) }, options);
    this.listeners.set(listener.local.port, listener);
    return listener;
  }
}

class FakeListener implements TcpListener {
  readonly local: Endpoint;
  readonly options: TcpListenOptions;
  readonly #tcp: FakeTcp;
  readonly #backlog: FakeConnection[] = [];
  #acceptable: (() => void) | undefined;

  constructor(tcp: FakeTcp, local: Endpoint, options: TcpListenOptions) {
    this.#tcp = tcp;
    this.local = local;
    this.options = options;
  }

  get admits(): boolean {
    return this.#backlog.length < (this.options.backlog ?? 128);
  }

  offer(connection: FakeConnection): void {
    this.#backlog.push(connection);
    this.#acceptable?.();
  }

  accept(): TcpConnection | undefined {
    return this.#backlog.shift();
  }

  get acceptable(): (() => void) | undefined {
    return this.#acceptable;
  }
  set acceptable(told: (() => void) | undefined) {
    this.#acceptable = told;
    if (this.#backlog.length > 0) told?.();
  }

  close(): void {
    this.#tcp.listeners.delete(this.local.port);
    for (const connection of this.#backlog.splice(0)) connection.abort();
  }
}

/** One end. */
export class FakeConnection implements TcpConnection {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  state: TcpState = 'SYN-SENT';
  noDelay = false;
  keepAlive: readonly [boolean, number | undefined] = [false, undefined];

  readonly #tcp: FakeTcp;
  #handler: TcpHandler;
  #cause: NetError | undefined;
  readonly #sendLimit: number;
  readonly #receiveLimit: number;
  #peer: FakeConnection | undefined;
  #sending: Uint8Array[] = [];
  #sent = 0;
  #unacknowledged = 0;
  #peerWindow = 0;
  #finQueued = false;
  #finSent = false;
  #finAcknowledged = false;
  #wantsRoom = false;
  #received: Uint8Array[] = [];
  #receivedBytes = 0;
  #finReceived = false;
  #deaf = false;

  constructor(tcp: FakeTcp, local: Endpoint, remote: Endpoint, handler: TcpHandler, options: TcpConnectionOptions) {
    this.#tcp = tcp;
    this.local = local;
    this.remote = remote;
    this.#handler = handler;
    this.#sendLimit = options.sendBuffer ?? tcp.network.options.sendBuffer;
    this.#receiveLimit = options.receiveBuffer ?? tcp.network.options.receiveBuffer;
    this.noDelay = options.noDelay ?? false;
    tcp.connections.add(this);
  }

  static join(a: FakeConnection, b: FakeConnection): void {
    a.#peer = b;
    b.#peer = a;
    a.#peerWindow = b.#receiveLimit;
    b.#peerWindow = a.#receiveLimit;
  }

  get handler(): TcpHandler {
    return this.#handler;
  }
  set handler(handler: TcpHandler) {
    this.#handler = handler;
    if (this.state === 'CLOSED') this.#tcp.network.deliver(() => handler.closed(this.#cause));
  }

  established(): void {
    if (this.state !== 'SYN-SENT') return;
    this.state = 'ESTABLISHED';
    this.handler.connected();
    this.#transmit();
  }

  over(error: NetError | undefined): void {
    if (this.state === 'CLOSED') return;
    this.state = 'CLOSED';
    this.#sending = [];
    this.#tcp.connections.delete(this);
    this.#cause = error;
    this.handler.closed(error);
  }

  // --- sending

  get writableBytes(): number {
    if (this.#finQueued || this.state === 'CLOSED') return 0;
    const room = this.#sendLimit - this.#unacknowledged;
    if (room === 0) this.#wantsRoom = true;
    return room;
  }
  get unacknowledgedBytes(): number {
    return this.#unacknowledged;
  }

  write(bytes: Uint8Array): number {
    if (this.#finQueued || this.state === 'CLOSED') throw NetError.of('EPIPE', 'write');
    const taken = Math.min(bytes.length, this.writableBytes);
    if (taken < bytes.length) this.#wantsRoom = true;
    if (taken > 0) this.#sending.push(bytes.subarray(0, taken));
    this.#unacknowledged += taken;
    this.#transmit();
    return taken;
  }

  writeCopy(bytes: Uint8Array, from?: number, to?: number): number {
    return this.write(new Uint8Array(bytes.subarray(from, to)));
  }

  end(): void {
    this.#finQueued = true;
    this.#transmit();
  }

  #transmit(): void {
    const peer = this.#peer;
    if (this.state === 'SYN-SENT' || this.state === 'CLOSED' || peer === undefined) return;
    const { network } = this.#tcp;
    for (let bytes = this.#sending[0]; bytes !== undefined && this.#peerWindow > 0; bytes = this.#sending[0]) {
      const size = Math.min(bytes.length, network.options.segment, this.#peerWindow);
      const segment = bytes.subarray(0, size);
      if (size === bytes.length) this.#sending.shift();
      else this.#sending[0] = bytes.subarray(size);
      this.#peerWindow -= size;
      this.#sent += size;
      // Copied on arrival and not before: whoever changes the bytes too early is found out.
      network.deliver(() => peer.#segment(segment));
    }
    if (this.#finQueued && !this.#finSent && this.#sending.length === 0) {
      this.#finSent = true;
      network.deliver(() => peer.#fin());
    }
  }

  #acknowledge(bytes: number, window: number, fin: boolean): void {
    if (this.state === 'CLOSED') return;
    this.#unacknowledged -= bytes;
    this.#sent -= bytes;
    this.#peerWindow = Math.max(0, window - this.#sent);
    if (fin) this.#finAcknowledged = true;
    const flushed = this.#unacknowledged === 0 && (bytes > 0 || fin) && (!this.#finQueued || this.#finAcknowledged);
    if (this.#wantsRoom && this.writableBytes > 0) {
      this.#wantsRoom = false;
      this.handler.writable();
    }
    this.#transmit();
    if (flushed) this.handler.flushed();
    this.#maybeOver();
  }

  // --- receiving

  #segment(bytes: Uint8Array): void {
    const peer = this.#peer;
    if (this.state === 'CLOSED' || this.#deaf) return this.#resetPeer();
    this.#received.push(new Uint8Array(bytes));
    this.#receivedBytes += bytes.length;
    this.#answer(bytes.length, false);
    if (peer !== undefined) this.handler.readable();
  }

  #fin(): void {
    if (this.state === 'CLOSED') return;
    this.#finReceived = true;
    this.#answer(0, true);
    this.handler.readable();
    this.#maybeOver();
  }

  #answer(bytes: number, fin: boolean): void {
    const peer = this.#peer;
    const window = this.#receiveLimit - this.#receivedBytes;
    if (peer !== undefined) this.#tcp.network.deliver(() => peer.#acknowledge(bytes, window, fin));
  }

  #resetPeer(): void {
    const peer = this.#peer;
    this.#tcp.network.deliver(() => peer?.over(new NetError('ECONNRESET', 'ECONNRESET')));
  }

  #maybeOver(): void {
    if (this.#finReceived && this.#finAcknowledged) this.over(undefined);
  }

  get readableBytes(): number {
    return this.#receivedBytes;
  }
  get readEnded(): boolean {
    return this.#finReceived && this.#receivedBytes === 0;
  }

  read(max: number = Number.POSITIVE_INFINITY): Uint8Array | undefined {
    const size = Math.min(max, this.#receivedBytes);
    if (size <= 0) return undefined;
    const result = new Uint8Array(size);
    for (let at = 0; at < size; ) {
      const first = this.#received[0] ?? new Uint8Array(0);
      const some = first.subarray(0, size - at);
      result.set(some, at);
      at += some.length;
      if (some.length === first.length) this.#received.shift();
      else this.#received[0] = first.subarray(some.length);
    }
    this.#receivedBytes -= size;
    this.#answer(0, false);
    return result;
  }

  consume(sink: ByteSink, max?: number): number {
    const bytes = this.read(max);
    if (bytes !== undefined) sink(bytes, 0, bytes.length);
    return bytes?.length ?? 0;
  }
  readInto(target: Uint8Array): number {
    return this.consume((bytes) => target.set(bytes), target.length);
  }
  discard(max?: number): number {
    return this.read(max)?.length ?? 0;
  }

  // --- closing

  close(): void {
    if (this.state === 'CLOSED') return;
    if (this.state === 'SYN-SENT') return this.over(undefined);
    if (this.#receivedBytes > 0) return this.abort();
    this.#deaf = true;
    this.end();
  }

  abort(): void {
    if (this.state === 'CLOSED') return;
    this.#resetPeer();
    this.over(new NetError('ECONNABORTED', 'ECONNABORTED'));
  }

  setNoDelay(on: boolean): void {
    this.noDelay = on;
  }
  setKeepAlive(on: boolean, idle?: number): void {
    this.keepAlive = [on, idle];
  }
  setMaxPacingRate(): void {}
  setUserTimeout(): void {}

  // --- what no adapter asks of it

  readonly unsentBytes = 0;
  readonly urgentBytes = 0;
  onState: ((state: TcpState) => void) | undefined = undefined;
  peek(): undefined {}
  shutdown(): void {}
  disconnect(): void {}
  setCork(): void {}
  setQuickAck(): void {}
  setLinger(): void {}
  setFinWait2Timeout(): void {}
  setReceiveBuffer(): void {}
  setSendBuffer(): void {}
  setMaxSegmentSize(): void {}
  setTrafficClass(): void {}
  setHopLimit(): void {}
  takeError(): undefined {}
  info(): never {
    throw new Error('there is nothing to tell of a fake');
  }
}
