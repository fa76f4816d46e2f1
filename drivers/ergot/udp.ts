/** A link of ergot over UDP: to one peer, a frame a datagram. */

import type { Device } from '../../lib/core/device.js';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import type { TxFrame } from '../../lib/core/frame.js';
import { ErgotLink } from './ergot-link.js';
import { listeningOf, type ErgotSocketAddress } from './listener.js';
import { checkPort } from './sockets.js';
import {
  DatagramSender,
  isPassing,
  type ErgotUdpSocketOptions,
  udpMtu,
  type UdpType,
  udpTypeOf,
} from './udp-socket.js';

/** Options of {@link ergotOverUdp}. */
export interface ErgotUdpOptions extends ErgotUdpSocketOptions {
  /** The other end: an address, of IPv6 with its interface where it is good on one link only (`fe80::1%eth0`), or a name. */
  readonly host: string;
  readonly port: number;
  /** Our end. Default: as the routes say, and any port. */
  readonly localAddress?: string;
  readonly localPort?: number;
  /** Default: that of the address, of names `udp4`. */
  readonly type?: UdpType;
  /** Default `udp`, host and port. */
  readonly name?: string;
}

/** A link over UDP. */
export interface ErgotUdpDevice extends Device {
  /** Our end, as soon as it is bound; rejects where it cannot be. */
  readonly listening: Promise<ErgotSocketAddress>;
}

class UdpLink extends ErgotLink implements ErgotUdpDevice {
  readonly listening: Promise<ErgotSocketAddress>;
  private readonly sender: DatagramSender;
  private readonly most: number;
  private connected = false;
  private waiting: TxFrame[] = [];

  constructor(name: string, type: UdpType, options: ErgotUdpOptions, env: Env) {
    super(name, udpMtu(type, options), env);
    const { host, port, localPort = 0, localAddress } = options;
    this.sender = new DatagramSender(type, options, env);
    this.most = this.sender.most;
    const { socket } = this.sender;
    this.listening = listeningOf(socket);
    socket.on('listening', () => {
      if (this.open) socket.connect(port, host);
    });
    socket.on('connect', () => this.begin());
    socket.on('message', (message) => {
      // Until the socket is connected anybody's words get there.
      if (this.open && this.connected) this.deliver(message, message.length);
    });
    socket.on('error', (error) => {
      if (!this.connected || !isPassing(error)) this.fail(error);
    });
    socket.bind({ port: localPort, address: localAddress });
  }

  protected override transmit(frame: TxFrame): void {
    if (this.connected) this.sender.send(frame, this.name);
    else if (this.waiting.length < this.most) this.waiting.push(frame);
    else this.env.drops.refuse(DropReason.DeviceQueueFull, frame, this.name);
  }

  protected override detach(): void {
    for (const frame of this.waiting.splice(0)) this.env.drops.refuse(DropReason.DeviceDown, frame, this.name);
    void this.sender.close();
  }

  private begin(): void {
    if (!this.open) return;
    this.connected = true;
    for (const frame of this.waiting.splice(0)) this.sender.send(frame, this.name);
  }
}

/**
 * Makes a link to one peer over UDP. What others send to its port does not get there. A peer that is not there, and a network that is down, lose frames
 * and do not end the link.
 *
 * **Drops** on the way in `ErgotTooLarge`; on the way out `DeviceQueueFull`, and `DeviceDown` for what the system did not take.
 * **State and timers** the datagrams that the system has not taken yet; no timer.
 *
 * @throws UsageError `ERR_INVALID_OPTION`. What the system refuses errors `frames$` and `listening`
 * @example
 * const link = ergotOverUdp({ host: '10.0.0.1', port: 2025, localAddress: '10.0.0.2' }, env);
 * node.plug(link);
 */
export function ergotOverUdp(options: ErgotUdpOptions, env: Env): ErgotUdpDevice {
  const { host, port, name = `udp:${host}:${port}`, type = udpTypeOf(host) } = options;
  checkPort(port, 1);
  checkPort(options.localPort ?? 0, 0);
  return new UdpLink(name, type, options, env);
}
