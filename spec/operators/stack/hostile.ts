/** A host that is fed with whatever comes, and an exact account of what becomes of every frame; and ways to make frames bad. */

import { expect } from 'chai';
import { type Observer, Subject } from 'rxjs';
import { type IpVersion, Ipv6Address, parseIp } from '../../../lib/core/address.js';
import { type Device, type Medium, NO_FEATURES } from '../../../lib/core/device.js';
import { type DropReason, Drops } from '../../../lib/core/drops.js';
import type { Env } from '../../../lib/core/env.js';
import { asRx, Frame, FramePool, type RxFrame, Slab, type TxFrame, UNDER_WAY } from '../../../lib/core/frame.js';
import type { TcpConnection } from '../../../lib/l4/tcp/api.js';
import { describe as describePacket } from '../../../lib/text/describe.js';
import { pretty } from '../../../lib/text/pretty.js';
import { complement, sum16 } from '../../../lib/wire/checksum.js';
import { EtherType } from '../../../lib/wire/ethernet.js';
import { Ipv6Packet } from '../../../lib/wire/ipv6.js';
import { findPayload } from '../../../lib/wire/ipv6-extensions.js';
import { type Host, host } from '../../../operators/stack/host.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';

const GATEWAYS = ['198.18.0.1', 'fd00:198::1'];

/** Counts the words that were said about each frame: exactly one must be said about every frame that came in. */
class Account extends Drops {
  readonly words = new Map<Frame, number>();
  private refusing = false;

  override report(reason: DropReason, frame?: Frame, operator?: string): undefined {
    if (!this.refusing) this.note(frame);
    return super.report(reason, frame, operator);
  }
  override deliver(frame: Frame): void {
    this.note(frame);
    super.deliver(frame);
  }
  override refuse(reason: DropReason, frame: Frame, operator?: string): void {
    // About an outgoing frame.
    this.refusing = true;
    super.refuse(reason, frame, operator);
    this.refusing = false;
  }
  private note(frame: Frame | undefined): void {
    if (frame?.fate === UNDER_WAY) this.words.set(frame, (this.words.get(frame) ?? 0) + 1);
  }
}

/** Whom the frames are for. */
export interface TargetOptions {
  readonly mac?: Device['mac'];
  readonly addresses: readonly string[];
  readonly medium?: Medium;
  /** Ports that are listened on and bound: what comes is read and sent back. */
  readonly ports?: readonly number[];
  readonly seed?: number;
}

/** The host, in virtual time, with a poisoned pool. */
export class Target {
  readonly scheduler: SimulationScheduler = new SimulationScheduler();
  readonly env: Env;
  readonly host: Host;
  /** What it sent since this was emptied. */
  readonly sent: Uint8Array[] = [];
  fed = 0;
  private readonly drops = new Account();
  private readonly device: Device;
  private readonly frames = new Subject<RxFrame>();
  private readonly end: () => void;

  constructor(options: TargetOptions, mac: Device['mac']) {
    const { addresses, medium = 'ethernet', ports = [], seed = 1 } = options;
    const pool = new FramePool({ poison: true });
    this.env = environment({ scheduler: this.scheduler, seed, pool, drops: this.drops });
    this.device = deviceOf(mac, medium, (frame) => this.take(frame));
    this.host = host({ device: this.device, addresses, icmp: { redirects: true } }, this.env);
    for (const gateway of GATEWAYS) {
      this.host.tables.addRoute({ destination: 'default', gateway, device: this.device });
      this.host.neighbours(this.device)?.setStatic(parseIp(gateway), 0x0200_0000_00fe);
    }
    for (const port of ports) this.serve(port);
    const subscription = this.frames.pipe(this.host).subscribe(this.device.sink);
    this.end = () => subscription.unsubscribe();
  }

  /** A frame comes in; its fate must be told, once. */
  feed(bytes: Uint8Array): void {
    const { env, drops } = this;
    const frame = env.pool.alloc(bytes.length);
    frame.slab.bytes.set(bytes, frame.put(bytes.length));
    frame.wholeEnd = frame.end;
    frame.device = this.device;
    frame.time = this.scheduler.now();
    drops.words.clear();
    const before = drops.total + drops.delivered;
    this.fed++;
    this.frames.next(asRx(frame));
    const told = drops.words.get(frame) ?? 0;
    // More is only said of others: datagrams that this fragment completed.
    const others = [...drops.words].filter(([other]) => other !== frame).map(([, words]) => words);
    if (told !== 1 || frame.fate === UNDER_WAY || others.some((words) => words !== 1)) {
      expect.fail(`${told} fates were told, and ${others.join()} of others, of ${text(bytes)}`);
    }
    if (others.length === 0 && drops.total + drops.delivered < before + 1) expect.fail(`not counted: ${text(bytes)}`);
    frame.release();
  }

  /** Time passes. */
  wait(ms: number): void {
    this.scheduler.runFor(ms);
  }

  /** All timers run out, the host ends, and nothing is left. */
  finish(): void {
    this.scheduler.run();
    expect(this.env.pool.outstanding, 'frames in use after all timers').to.equal(0);
    this.end();
    expect(this.env.pool.outstanding, 'frames in use').to.equal(0);
    expect(this.scheduler.pending, 'timers armed').to.equal(0);
    expect(this.host.tcp.size, 'connections').to.equal(0);
  }

  private take(frame: TxFrame): void {
    const copy = Frame.from(frame.bytes());
    frame.release();
    const { malformed, checksums = {} } = describePacket(copy, { linkType: this.device.medium });
    // What is in a datagram is what was said to the host, and is said back.
    const isOwn = malformed !== undefined && !malformed.startsWith('vxlan-');
    if (isOwn || Object.values(checksums).includes('bad')) {
      expect.fail(`sent a bad packet: ${text(copy.bytes())}`);
    }
    this.sent.push(copy.bytes());
  }

  /** Both versions. */
  private serve(port: number): void {
    const local = { address: Ipv6Address.ANY, port };
    const listener = this.host.tcp.listen(local, { receiveBuffer: 10_000, keepAlive: true });
    listener.acceptable = () => {
      const connection = listener.accept();
      if (connection !== undefined) echo(connection);
    };
    const socket = this.host.udp.bind(local, {
      message: ({ data, source }) => {
        if (source.port > 0 && data.length < 10_000) socket.send(data, source);
      },
      error() {},
    });
    socket.broadcast = true;
  }
}

function echo(connection: TcpConnection): void {
  const pump = (): void => {
    for (let bytes = connection.read(1000); bytes !== undefined; bytes = connection.read(1000)) {
      if (connection.writableBytes > 0) connection.write(bytes);
    }
    if (connection.readEnded) connection.end();
  };
  connection.handler = { connected() {}, readable: pump, writable: pump, flushed() {}, closed() {} };
}

function deviceOf(mac: Device['mac'], medium: Medium, take: (frame: TxFrame) => void): Device {
  const close = (): Promise<void> => Promise.resolve();
  const sink: Observer<TxFrame> = { next: take, error: () => undefined, complete: () => undefined };
  return {
    name: 'hostile0',
    mac,
    mtu: 1500,
    medium,
    features: NO_FEATURES,
    frames$: new Subject(),
    sink,
    close,
    [Symbol.asyncDispose]: close,
  };
}

function text(bytes: Uint8Array): string {
  return `${pretty(Frame.from(bytes))}\n${Buffer.from(bytes).toString('hex')}`;
}

/** An IP packet in an Ethernet frame, as far as it can be found its way in. */
export interface IpIn {
  readonly version: IpVersion;
  /** Offsets of the IP header, and of the payload behind it and behind extension headers. */
  readonly at: number;
  readonly payload: number;
  /** Where the packet says that it ends, or the frame does. */
  readonly end: number;
  readonly protocol: number;
  /** Whether the payload is that of a fragment. */
  readonly isFragment: boolean;
  readonly view: DataView;
}

/** The IP packet that an Ethernet frame carries, or `undefined` if it has none. */
export function ipOf(bytes: Uint8Array): IpIn | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const at = 14;
  const type = bytes.length < at + 20 ? 0 : view.getUint16(12);
  if (type === EtherType.Ipv4 && view.getUint8(at) >>> 4 === 4) {
    const payload = at + (view.getUint8(at) & 0x0f) * 4;
    if (payload < at + 20 || payload > bytes.length) return undefined;
    const end = Math.min(bytes.length, at + view.getUint16(at + 2));
    const isFragment = (view.getUint16(at + 6) & 0x3fff) !== 0;
    return { version: 4, at, payload, end, protocol: view.getUint8(at + 9), isFragment, view };
  }
  if (type !== EtherType.Ipv6 || bytes.length < at + 40 || view.getUint8(at) >>> 4 !== 6) return undefined;
  const packet = new Ipv6Packet(new Frame(new Slab(bytes), 0, bytes.length), at);
  const end = Math.min(bytes.length, at + packet.totalLength);
  if (!findPayload(packet, end)) return undefined;
  const { headerLength, protocol, isFragment } = packet;
  return { version: 6, at, payload: at + headerLength, end, protocol, isFragment, view };
}

/** Makes an IP packet say that it ends where its frame does. */
export function tellLength(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const type = bytes.length < 34 ? 0 : view.getUint16(12);
  if (type === EtherType.Ipv4) view.setUint16(16, bytes.length - 14);
  if (type === EtherType.Ipv6 && bytes.length >= 54) view.setUint16(18, bytes.length - 54);
}

const CHECKSUM_FIELD: Readonly<Record<number, number>> = { 1: 2, 6: 16, 17: 6, 58: 2 };

/** Makes the checksums of an IP packet right, so that what is wrong with it gets past them. */
export function repair(bytes: Uint8Array): void {
  const ip = ipOf(bytes);
  if (ip === undefined) return;
  const { version, at, payload, end, protocol, isFragment, view } = ip;
  if (version === 4) {
    view.setUint16(at + 10, 0);
    view.setUint16(at + 10, complement(sum16(view, at, payload)));
  }
  const field = payload + (CHECKSUM_FIELD[protocol] ?? Number.POSITIVE_INFINITY);
  if (field + 2 > end || isFragment) return;
  view.setUint16(field, 0);
  const addresses = version === 4 ? sum16(view, at + 12, at + 20) : sum16(view, at + 8, at + 40);
  const pseudo = protocol === 1 ? 0 : addresses + protocol + end - payload;
  view.setUint16(field, complement(sum16(view, payload, end, pseudo)) || 0xffff);
}
