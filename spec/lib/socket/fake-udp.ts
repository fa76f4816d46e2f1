/** UDP without packets: the contract of `lib/l4/udp-api.ts` between sockets in memory, for the tests of what is built on it. */

import { type IpAddress, Ipv4Address, Ipv6Address, unmapped } from '../../../lib/core/address.js';
import { NetError } from '../../../lib/core/errors.js';
import type { Endpoint } from '../../../lib/l4/tcp/api.js';
import { SocketGroups } from '../../../lib/l4/udp-groups.js';
import type { UdpHandler, UdpOptions, UdpSocket, UdpSockets } from '../../../lib/l4/udp-api.js';

/** One host that talks to itself. */
export class FakeUdp implements UdpSockets {
  readonly sockets: Map<number, FakeUdpSocket> = new Map();
  #nextPort = 50_000;

  get size(): number {
    return this.sockets.size;
  }

  bind(local: Endpoint, handler: UdpHandler, options: UdpOptions = {}): UdpSocket {
    const where = local.address.toString();
    if (this.sockets.has(local.port)) throw NetError.of('EADDRINUSE', 'bind', where, local.port);
    if (!local.address.isUnspecified && !local.address.isLoopback) throw NetError.of('EADDRNOTAVAIL', 'bind', where);
    const socket = new FakeUdpSocket(
      this,
      { address: local.address, port: local.port || this.#nextPort++ },
      handler,
      options,
    );
    this.sockets.set(socket.local.port, socket);
    return socket;
  }
}

/** Where datagrams to `target` come from. */
function loopback({ address }: Endpoint): IpAddress {
  return unmapped(address).version === 4 ? Ipv4Address.LOOPBACK : Ipv6Address.LOOPBACK;
}

class FakeUdpSocket implements UdpSocket {
  local: Endpoint;
  readonly #bound: Endpoint;
  remote: Endpoint | undefined;
  broadcast: boolean;
  hopLimit = 64;
  trafficClass = 0;
  dontFragment: boolean;
  /** There are no interfaces here. */
  readonly groups: SocketGroups;
  readonly handler: UdpHandler;
  readonly #udp: FakeUdp;
  #closed = false;

  constructor(
    udp: FakeUdp,
    local: Endpoint,
    handler: UdpHandler,
    { broadcast = false, dontFragment = false }: UdpOptions,
  ) {
    this.#udp = udp;
    this.local = this.#bound = local;
    this.handler = handler;
    this.broadcast = broadcast;
    this.dontFragment = dontFragment;
    this.groups = new SocketGroups(local.address.version, () => undefined);
  }

  sendCopy(bytes: Uint8Array, from: number, end: number, to?: Endpoint): void {
    this.send(bytes.subarray(from, end), to);
  }

  send(data: Uint8Array, to?: Endpoint): void {
    if (this.#closed) throw NetError.of('EBADF', 'send');
    const target = to ?? this.remote;
    if (target === undefined) throw NetError.of('EDESTADDRREQ', 'send');
    if (data.length > (this.dontFragment ? 1472 : 65_507)) throw NetError.of('EMSGSIZE', 'send');
    if (target.address.isBroadcast && !this.broadcast) throw NetError.of('EACCES', 'send');
    const copy = new Uint8Array(data);
    setImmediate(() => {
      const peer = this.#udp.sockets.get(target.port);
      if (peer === undefined && this.remote !== undefined) this.handler.error(new NetError('ECONNREFUSED', 'refused'));
      if (peer === undefined || (peer.remote !== undefined && peer.remote.port !== this.local.port)) return;
      const source = { address: loopback(target), port: this.local.port };
      peer.handler.message({ data: copy, source, destination: target, hopLimit: this.hopLimit, trafficClass: 0 });
    });
  }

  pathMtu(): number {
    return 1500;
  }

  connect(to: Endpoint | undefined): void {
    this.remote = to && { address: unmapped(to.address), port: to.port };
    this.local = this.remote === undefined ? this.#bound : { address: loopback(this.remote), port: this.local.port };
  }

  close(): void {
    this.#closed = true;
    this.#udp.sockets.delete(this.local.port);
  }
}
