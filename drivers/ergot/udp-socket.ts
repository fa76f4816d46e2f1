/** What a link of ergot and a listener have of a UDP socket: frames as datagrams, with as many under way as may be. */

import dgram from 'node:dgram';
import { isIPv6 } from 'node:net';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { UsageError } from '../../lib/core/errors.js';
import type { Frame } from '../../lib/core/frame.js';
import type { UdpSocket, DgramModule } from './sockets.js';

/** What both kinds of links over UDP can be told. */
export interface ErgotUdpSocketOptions {
  /** Largest frame in bytes; each is a datagram. Default: what fits IP packets of 1500 bytes, 1472 over IPv4 and 1452 over IPv6. */
  readonly mtu?: number;
  /** Datagrams that the system has not taken yet; further ones are dropped as `DeviceQueueFull`. Default 256. */
  readonly sendQueue?: number;
  /** Whose UDP it is. Default `node:dgram`; `nodeDgram(host.udp)` is that of a host of ours. */
  readonly dgram?: DgramModule;
}

export type UdpType = 'udp4' | 'udp6';

const SEND_QUEUE = 256;
/** IP packets of 1500 bytes, without the headers of IP (RFC 791, RFC 8200) and of UDP (RFC 768). */
const MTU: Readonly<Record<UdpType, number>> = { udp4: 1500 - 20 - 8, udp6: 1500 - 40 - 8 };
/**
 * What a peer that is not there, or not to be reached just now, does to a socket that is bound: frames are lost, the link goes on. All that
 * ICMP errors become is among it, for anybody can send these.
 */
const PASSING: ReadonlySet<unknown> = new Set([
  'EACCES',
  'ECONNREFUSED',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'EMSGSIZE',
  'ENETDOWN',
  'ENETUNREACH',
  'ENOBUFS',
  'ENONET',
  'ENOPROTOOPT',
  'EPERM',
  'EPROTO',
]);

/** The version of IP that an address in text is of; names are taken for IPv4's. */
export function udpTypeOf(address: string | undefined): UdpType {
  return isIPv6(address ?? '') ? 'udp6' : 'udp4';
}

export function udpMtu(type: UdpType, { mtu = MTU[type] }: ErgotUdpSocketOptions): number {
  return mtu;
}

function codeOf(error: Error): unknown {
  return 'code' in error ? error.code : undefined;
}

/** Whether what happened to a socket that is bound, and connected where it is to be, passes. */
export function isPassing(error: Error): boolean {
  return PASSING.has(codeOf(error));
}

/** Sends frames as datagrams. They are held until the system has taken them. */
export class DatagramSender {
  readonly socket: UdpSocket;
  private readonly env: Env;
  /** How many may be under way. */
  readonly most: number;
  private underWay = 0;
  /** What is to be done when nothing is under way any more. */
  private idle: (() => void) | undefined = undefined;

  /** @throws UsageError `ERR_INVALID_OPTION` */
  constructor(type: UdpType, { dgram: udp = dgram, sendQueue = SEND_QUEUE }: ErgotUdpSocketOptions, env: Env) {
    if (!(sendQueue >= 1)) throw new UsageError('ERR_INVALID_OPTION', `${sendQueue} datagrams cannot be under way`);
    this.socket = udp.createSocket({ type });
    this.env = env;
    this.most = sendQueue;
  }

  /** Takes over the frame's reference. Without `to` it goes to whom the socket is connected to. `name` is who sends it. */
  send(frame: Frame, name: string, to?: { readonly address: string; readonly port: number }): void {
    const { env, socket } = this;
    if (this.underWay >= this.most) return env.drops.refuse(DropReason.DeviceQueueFull, frame, name);
    this.underWay++;
    const sent = (error: Error | null): void => {
      this.underWay--;
      if (error === null) frame.release();
      else env.drops.refuse(reasonOf(error), frame, name);
      if (this.underWay === 0) this.idle?.();
    };
    if (to === undefined) socket.send(frame.bytes(), sent);
    else socket.send(frame.bytes(), to.port, to.address, sent);
    return undefined;
  }

  /** Closes the socket when the system has taken what is under way: of what a closed one still holds nobody is told. Nothing is to be sent any more. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.idle = () => {
        this.socket.close();
        resolve();
      };
      if (this.underWay === 0) this.idle();
    });
  }
}

function reasonOf(error: Error): DropReason {
  return codeOf(error) === 'EMSGSIZE' ? DropReason.DeviceTooBig : DropReason.DeviceDown;
}
