/** A server of links of ergot over UDP: one for each peer that is heard of. */

import type { Observable } from 'rxjs';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import type { TxFrame } from '../../lib/core/frame.js';
import { FrameHeader } from '../../lib/ergot/frame.js';
import { checkMtu } from '../virtual-device.js';
import { ErgotLink } from './ergot-link.js';
import {
  type ErgotSocketListener,
  listeningOf,
  PeerLinks,
  type ErgotPeerOptions,
  type ErgotSocketAddress,
} from './listener.js';
import { checkPort, ERGOT_PORT, LOOPBACK } from './sockets.js';
import {
  DatagramSender,
  isPassing,
  type ErgotUdpSocketOptions,
  udpMtu,
  type UdpType,
  udpTypeOf,
} from './udp-socket.js';

/** Options of {@link listenErgotUdp}. */
export interface ErgotUdpListenerOptions extends ErgotUdpSocketOptions, ErgotPeerOptions {
  /** Default 127.0.0.1: who is to be reached from elsewhere says so. */
  readonly host?: string;
  /** Default 2025; 0 is any that is free. */
  readonly port?: number;
  /** Default: that of the address, of names `udp4`. */
  readonly type?: UdpType;
  /** Default `udp`; devices are called so, with the address and the port of the other end. */
  readonly name?: string;
}

/** One peer of a listener. */
class UdpPeerLink extends ErgotLink {
  private readonly sender: DatagramSender;
  private readonly peer: ErgotSocketAddress;
  private readonly ended: (link: UdpPeerLink) => void;

  constructor(
    name: string,
    mtu: number,
    sender: DatagramSender,
    peer: ErgotSocketAddress,
    ended: (link: UdpPeerLink) => void,
    env: Env,
  ) {
    super(name, mtu, env);
    this.sender = sender;
    this.peer = peer;
    this.ended = ended;
  }

  receive(message: Uint8Array): void {
    this.deliver(message, message.length);
  }

  protected override transmit(frame: TxFrame): void {
    this.sender.send(frame, this.name, this.peer);
  }

  protected override detach(): void {
    this.ended(this);
  }
}

class UdpListener implements ErgotSocketListener {
  readonly devices$: Observable<UdpPeerLink>;
  readonly listening: Promise<ErgotSocketAddress>;
  private readonly name: string;
  private readonly mtu: number;
  private readonly env: Env;
  private readonly sender: DatagramSender;
  private readonly peers: PeerLinks<string, UdpPeerLink>;
  private readonly header: FrameHeader = new FrameHeader();
  private open = true;
  private bound = false;

  constructor(options: ErgotUdpListenerOptions, env: Env) {
    const { host = LOOPBACK, port = ERGOT_PORT, name = 'udp', type = udpTypeOf(host) } = options;
    this.name = name;
    this.mtu = checkMtu(udpMtu(type, options));
    this.env = env;
    this.peers = new PeerLinks(options, env);
    this.devices$ = this.peers.open.devices$;
    this.sender = new DatagramSender(type, options, env);
    const { socket } = this.sender;
    this.listening = listeningOf(socket);
    socket.on('listening', () => (this.bound = true));
    socket.on('message', (message, from) => this.receive(message, from));
    socket.on('error', (error) => this.fail(error));
    socket.bind({ port, address: host });
  }

  async close(): Promise<void> {
    const wasOpen = this.open;
    this.open = false;
    // The end of one peer may be told to the others: the socket ends last.
    const ended = this.peers.open.close();
    await Promise.all([ended, wasOpen ? this.sender.close() : undefined]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private fail(error: Error): void {
    if (!this.open || (this.bound && isPassing(error))) return;
    this.open = false;
    this.peers.open.fail(error);
    void this.sender.close();
  }

  private receive(message: Uint8Array, from: ErgotSocketAddress): void {
    if (!this.open) return;
    const link = this.peers.heard(keyOf(from)) ?? this.welcome(message, from);
    link?.receive(message);
  }

  /** The link of a peer that is heard of for the first time, if what it says is ergot's. */
  private welcome(message: Uint8Array, { address, port }: ErgotSocketAddress): UdpPeerLink | undefined {
    const { drops } = this.env;
    // Nobody can be answered at port 0.
    const wrong = this.peers.hasRoom && port !== 0 ? this.check(message) : DropReason.ErgotUnknownPeer;
    if (wrong !== undefined) return drops.report(wrong, undefined, this.name);
    const peer = { address, port };
    const key = keyOf(peer);
    const ended = (link: UdpPeerLink): void => this.peers.remove(key, link);
    const made = new UdpPeerLink(`${this.name}:${key}`, this.mtu, this.sender, peer, ended, this.env);
    this.peers.add(key, made);
    return made;
  }

  private check(message: Uint8Array): DropReason | undefined {
    if (message.length > this.mtu) return DropReason.ErgotTooLarge;
    const frame = this.env.pool.alloc(message.length);
    frame.slab.bytes.set(message, frame.put(message.length));
    const wrong = this.header.read(frame);
    frame.release();
    return wrong;
  }
}

function keyOf({ address, port }: ErgotSocketAddress): string {
  return `${address}:${port}`;
}

/**
 * Listens at a UDP port: each peer from which a frame of ergot comes becomes a link, which ends when nothing comes from there for long. A peer that ended
 * becomes another link when it is heard of again.
 *
 * **Drops** as `ergotOverUdp`; `ErgotUnknownPeer` where there is no room for another peer, or it is at port 0; what is no frame of ergot makes no link, and ends as
 * `ErgotTruncated` or `ErgotBadHeader`.
 * **State and timers** the peers; one timer for all.
 *
 * @throws UsageError `ERR_INVALID_OPTION`. What the system refuses errors `devices$` and `listening`
 * @example
 * const listener = listenErgotUdp({ host: '10.0.0.1', mostPeers: 16, idle: 60_000 }, env);
 * listener.devices$.subscribe((device) => router.plug(device));
 */
export function listenErgotUdp(options: ErgotUdpListenerOptions, env: Env): ErgotSocketListener {
  checkPort(options.port ?? ERGOT_PORT, 0);
  return new UdpListener(options, env);
}
