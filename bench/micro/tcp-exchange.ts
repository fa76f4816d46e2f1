/**
 * What an exchange costs a whole host, from the frame that comes in to the frame that goes out, without any device: round trips of 64 bytes on connections that
 * stay, and whole lives of connections, one request each. The peers are made up: frames with the numbers that the host's answers ask for.
 */

import type { Observer, Subscription } from 'rxjs';
import { Intake } from '../../drivers/port.js';
import { anyAddress, parseIp } from '../../lib/core/address.js';
import type { Device } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import { ChecksumState, type TxFrame } from '../../lib/core/frame.js';
import { ETHERNET_HEADER } from '../../lib/wire/ethernet.js';
import { TcpFlag } from '../../lib/wire/tcp.js';
import { PacketNotation } from '../../lib/text/notation.js';
import { host } from '../../operators/stack/host.js';
import { environment } from '../../operators/time/environment.js';
import { silentDevice } from '../silent-device.js';
import { Echo } from '../tcp-services.js';

const OWN = '10.0.0.1';
const PEER = '10.0.0.2';
const PEER_MAC = 0x0200_0000_0002;
const PORT = 80;
const FIRST_PORT = 1024;
const PORTS = 60_000;
const { Ack, Fin, Psh, Syn } = TcpFlag;

// Offsets from the IP header, which has no options.
const TCP = 20;
const SOURCE_PORT = TCP;
const DESTINATION_PORT = TCP + 2;
const SEQUENCE = TCP + 4;
const ACKNOWLEDGMENT = TCP + 8;
const FLAGS = TCP + 13;
const TIMESTAMP = TCP + 24;
const ECHO = TCP + 28;
/** Behind the MSS and that selective acknowledgments are permitted. */
const TIMESTAMP_IN_SYN = TCP + 28;

/** The peer's end of a connection. */
class Peer {
  port = 0;
  sequence = 0;
  /** What the host has sent, and its time stamp. */
  acknowledgment = 0;
  stamp = 0;
}

/** A host that echoes, and peers that take turns: what each does is done by all before the next. */
export class Exchange {
  /** Frames that the host sent. */
  sent = 0;
  private readonly env: Env = environment();
  private readonly device: Device;
  private readonly input: Intake;
  private readonly running: Subscription;
  private readonly peers: readonly Peer[];
  private readonly byPort: (Peer | undefined)[] = [];
  private readonly syn: Uint8Array;
  private readonly bare: Uint8Array;
  private readonly small: Uint8Array;
  private readonly data: Uint8Array;
  private nextPort = 0;
  private clock = 2;

  /** @param count peers that take turns */
  constructor(count: number) {
    const { env } = this;
    const sink: Observer<TxFrame> = { next: (frame) => this.answered(frame), error() {}, complete() {} };
    const features = { checksum: true, segmentation: true, udpSegmentation: true };
    this.device = { ...silentDevice(), features, sink };
    this.input = new Intake(this.device, env);
    const me = host({ device: this.device, addresses: [`${OWN}/24`] }, env);
    this.running = this.input.frames$.pipe(me).subscribe(sink);
    me.neighbours(this.device)?.setStatic(parseIp(PEER), PEER_MAC);
    const listener = me.tcp.listen({ address: anyAddress(6), port: PORT });
    listener.acceptable = () => {
      for (let one = listener.accept(); one !== undefined; one = listener.accept()) one.handler = new Echo(one);
    };
    const notation = new PacketNotation({ local: OWN, remote: PEER, localPort: PORT });
    const built = (line: string) => notation.build(line, '<').bytes().slice();
    const stamps = '<nop,nop,TS val 1 ecr 0>';
    this.syn = built(`< S 0:0(0) win 65535 <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>`);
    this.bare = built(`< . 0:0(0) ack 0 win 512 ${stamps}`);
    this.small = built(`< P. 0:1(1) ack 0 win 512 ${stamps}`);
    this.data = built(`< P. 0:64(64) ack 0 win 512 ${stamps}`);
    this.peers = Array.from({ length: count }, () => new Peer());
  }

  /** All connect. */
  open(): void {
    this.together((peer) => {
      this.byPort[peer.port] = undefined;
      peer.port = FIRST_PORT + (this.nextPort++ % PORTS);
      this.byPort[peer.port] = peer;
      peer.sequence = (peer.sequence + 100_000) | 0;
      this.send(peer, this.syn, Syn, 0);
      peer.sequence = (peer.sequence + 1) | 0;
    });
  }

  /** All complete the handshake and ask. */
  ask(): void {
    this.together((peer) => {
      this.send(peer, this.bare, Ack, 0);
      this.send(peer, this.small, Ack | Psh, 1);
    });
  }

  /** All send 64 bytes. */
  roundTrip(): void {
    this.together((peer) => this.send(peer, this.data, Ack | Psh, 64));
  }

  /** All close, which acknowledges the answer. */
  close(): void {
    this.together((peer) => {
      this.send(peer, this.bare, Ack | Fin, 0);
      peer.sequence = (peer.sequence + 1) | 0;
    });
  }

  /** All acknowledge the host's end. */
  acknowledge(): void {
    this.together((peer) => this.send(peer, this.bare, Ack, 0));
  }

  /** A whole life of a connection, of each. */
  life(): void {
    this.open();
    this.ask();
    this.close();
    this.acknowledge();
  }

  /** Ends the host: what is in flight would be sent again for a quarter of an hour. */
  end(): void {
    this.running.unsubscribe();
  }

  /** As a device does with what it has read at once. */
  private together(act: (peer: Peer) => void): void {
    this.env.timers.asOne(() => {
      for (const peer of this.peers) act(peer);
    });
  }

  private send(peer: Peer, bytes: Uint8Array, flags: number, length: number): void {
    const frame = this.env.pool.alloc(bytes.length);
    const { slab } = frame;
    const at = frame.put(bytes.length) + ETHERNET_HEADER;
    slab.bytes.set(bytes, frame.start);
    slab.view.setUint16(at + SOURCE_PORT, peer.port);
    slab.view.setInt32(at + SEQUENCE, peer.sequence);
    slab.view.setUint8(at + FLAGS, flags);
    if (!(flags & Syn)) {
      slab.view.setInt32(at + ACKNOWLEDGMENT, peer.acknowledgment);
      slab.view.setUint32(at + TIMESTAMP, this.clock++);
      slab.view.setUint32(at + ECHO, peer.stamp);
    }
    frame.checksum = ChecksumState.Valid;
    peer.sequence = (peer.sequence + length) | 0;
    this.input.deliver(frame, 0);
  }

  private answered(frame: TxFrame): void {
    const { view } = frame.slab;
    const at = frame.start + ETHERNET_HEADER;
    const peer = this.byPort[view.getUint16(at + DESTINATION_PORT)];
    this.sent++;
    if (peer !== undefined) {
      const flags = view.getUint8(at + FLAGS);
      const length = view.getUint16(at + 2) - TCP - (view.getUint8(at + TCP + 12) >>> 4) * 4;
      peer.acknowledgment = (view.getInt32(at + SEQUENCE) + length + (flags & (Syn | Fin) ? 1 : 0)) | 0;
      peer.stamp = view.getUint32(at + (flags & Syn ? TIMESTAMP_IN_SYN : TIMESTAMP));
    }
    frame.release();
  }
}
