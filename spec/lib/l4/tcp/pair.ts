/** Two TCP hosts joined by a function that carries packets with a delay, in virtual time; what it does to them is a parameter. */

import { expect } from 'chai';
import type { IpAddress, IpVersion } from '../../../../lib/core/address.js';
import { type DeviceFeatures, NO_FEATURES } from '../../../../lib/core/device.js';
import type { Env } from '../../../../lib/core/env.js';
import type { NetError } from '../../../../lib/core/errors.js';
import { SeededRandom } from '../../../../lib/core/random.js';
import { Frame, FramePool, GsoType, type TxPacket } from '../../../../lib/core/frame.js';
import type { IpPaths } from '../../../../lib/l3/ip-output.js';
import type { TcpConnection, TcpConnectionOptions, TcpHandler } from '../../../../lib/l4/tcp/api.js';
import type { TcpOptions } from '../../../../lib/l4/tcp/options.js';
import { TcpHost } from '../../../../lib/l4/tcp/tcp-host.js';
import { completeChecksum, segment } from '../../../../lib/wire/segmentation.js';
import { Ipv4Packet } from '../../../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../../../lib/wire/ipv6.js';
import { environment } from '../../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../../operators/time/simulation-scheduler.js';
import { FACTS, VERSIONS } from '../../../both-versions.js';

export { VERSIONS };

/** Addresses of the two ends, by IP version. */
export const ENDS: Readonly<Record<IpVersion, readonly [IpAddress, IpAddress]>> = {
  4: [FACTS[4].a, FACTS[4].b],
  6: [FACTS[6].a, FACTS[6].b],
};

/** Ways of a host with one address, everything on link. */
export function paths(own: IpAddress, mtu = 1500, features: DeviceFeatures = NO_FEATURES): IpPaths {
  return {
    path: (destination) => (destination.version === own.version ? { source: own, mtu, features } : undefined),
    isLocal: (address) => address.equals(own),
    isBroadcast: (address) => address.toString() === '10.0.0.255',
  };
}

/** What the pipe does with one packet: the delays in ms after which copies arrive; it may change the bytes. */
export type Carry = (bytes: Uint8Array, from: 0 | 1, now: number) => readonly number[];

/** A pipe that loses one packet of twenty, and has others overtake each other. */
export function lossy(seed: number): Carry {
  const random = new SeededRandom(seed);
  return () => (random.below(20) === 0 ? [] : [5 + random.below(4)]);
}

/** Makes a packet view of the bytes of an IP packet and narrows the frame to its payload. */
export function viewOf(frame: Frame): Ipv4Packet | Ipv6Packet | undefined {
  const Packet = frame.slab.view.getUint8(frame.start) >>> 4 === 6 ? Ipv6Packet : Ipv4Packet;
  if (Packet.check(frame, frame.start) !== undefined) return undefined;
  const packet = new Packet(frame, frame.start);
  frame.end = frame.start + packet.totalLength;
  frame.start += packet.headerLength;
  return packet;
}

/** Options of {@link Pair}. */
export interface PairOptions {
  /** Default 4. */
  readonly version?: IpVersion;
  readonly seed?: number;
  readonly carry?: Carry;
  readonly tcp?: readonly [TcpOptions, TcpOptions];
  readonly mtu?: number;
  /** The devices in front of the pipe complete checksums and cut super-segments. Default false. */
  readonly offload?: boolean;
}

/** What a device does that does everything for frames of TCP. */
export const OFFLOADS: DeviceFeatures = { checksum: true, segmentation: true, udpSegmentation: false };

/** Two hosts. */
export class Pair {
  readonly scheduler: SimulationScheduler = new SimulationScheduler();
  readonly env: Env;
  readonly hosts: readonly [TcpHost, TcpHost];
  readonly ends: readonly [IpAddress, IpAddress];
  carry: Carry;
  /** Packets on their way. */
  underWay = 0;
  /** Super-segments that were sent, and the segments of them. */
  superSegments = 0;
  cutSegments = 0;

  constructor(options: PairOptions = {}) {
    this.env = environment({
      scheduler: this.scheduler,
      seed: options.seed ?? 1,
      pool: new FramePool({ poison: true }),
    });
    this.ends = ENDS[options.version ?? 4];
    this.carry = options.carry ?? (() => [5]);
    const features = options.offload === true ? OFFLOADS : NO_FEATURES;
    const make = (i: 0 | 1) =>
      new TcpHost(paths(this.ends[i], options.mtu, features), options.tcp?.[i] ?? {}, this.env);
    this.hosts = [make(0), make(1)];
    this.hosts[0].output.emit = (packet) => this.leave(packet, 0);
    this.hosts[1].output.emit = (packet) => this.leave(packet, 1);
  }

  /** The device in front of the pipe. */
  private leave(packet: TxPacket, from: 0 | 1): void {
    if (packet.gsoType === GsoType.None) {
      completeChecksum(packet);
      this.pass(packet, from);
      return;
    }
    this.superSegments++;
    expect(
      segment(packet, packet.start, this.env.pool, (piece) => {
        this.cutSegments++;
        this.pass(piece, from);
      }),
    ).to.equal(undefined);
    packet.release();
  }

  private pass(packet: Frame, from: 0 | 1): void {
    const bytes = packet.bytes().slice();
    packet.release();
    for (const delay of this.carry(bytes, from, this.scheduler.now())) {
      this.underWay++;
      this.env.scheduler.schedule(() => this.arrive(bytes, from === 0 ? 1 : 0), delay);
    }
  }

  private arrive(bytes: Uint8Array, at: 0 | 1): void {
    this.underWay--;
    const frame = this.env.pool.copy(Frame.from(bytes));
    const packet = viewOf(frame);
    try {
      if (packet === undefined) return;
      this.hosts[at].receive(packet);
      expect(frame.fate, 'fate of a received frame').not.to.equal(0);
    } finally {
      frame.release();
    }
  }

  /** Nothing was left behind. */
  expectClean(): void {
    expect(this.env.pool.outstanding, 'frames').to.equal(0);
    expect(this.scheduler.pending, 'timers').to.equal(0);
    expect(
      this.hosts.map((host) => host.size),
      'connections',
    ).to.deep.equal([0, 0]);
  }
}

/** An application that sends what it was given, reads all it gets, and notes what it is told. */
export class App implements TcpHandler {
  readonly events: string[] = [];
  readonly chunks: Uint8Array[] = [];
  receivedBytes = 0;
  error: NetError | undefined;
  closedCount = 0;
  connection: TcpConnection | undefined;
  private rest: Uint8Array;
  private readonly endAfter: boolean;

  constructor(data: Uint8Array = new Uint8Array(0), endAfter = true) {
    this.rest = data;
    this.endAfter = endAfter;
  }

  attach(connection: TcpConnection): this {
    this.connection = connection;
    connection.handler = this;
    return this;
  }
  start(): void {
    this.pump();
  }
  connected(): void {
    this.events.push('connected');
    this.pump();
  }
  readable(): void {
    this.events.push('readable');
    for (let bytes = this.connection?.read(); bytes !== undefined; bytes = this.connection?.read()) {
      this.chunks.push(bytes);
      this.receivedBytes += bytes.length;
    }
    if (this.connection?.readEnded === true) this.events.push('end');
  }
  writable(): void {
    this.events.push('writable');
    this.pump();
  }
  flushed(): void {
    this.events.push('flushed');
  }
  closed(error: NetError | undefined): void {
    this.events.push(error === undefined ? 'closed' : `closed ${error.code}`);
    this.error = error;
    this.closedCount++;
  }
  urgent(bytes: number): void {
    this.events.push(`urgent ${bytes}`);
  }
  get data(): Uint8Array {
    const all = new Uint8Array(this.receivedBytes);
    let at = 0;
    for (const chunk of this.chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return all;
  }
  private pump(): void {
    const { connection } = this;
    if (connection === undefined) return;
    while (this.rest.length > 0) {
      let taken = this.rest.length;
      try {
        taken = connection.write(this.rest);
      } catch (error) {
        // Somebody ended the stream meanwhile.
        expect(error).to.have.property('code', 'EPIPE');
      }
      if (taken === 0) return;
      this.rest = this.rest.subarray(taken);
    }
    if (this.endAfter) connection.end();
  }
}

/** Bytes that differ from their neighbours everywhere. */
export function pattern(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let x = seed >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    bytes[i] = x >>> 24;
  }
  return bytes;
}

/** Opens a connection from host 0 to host 1, both ends running an application. */
export function join(
  pair: Pair,
  client: App,
  server: App,
  options: { client?: TcpConnectionOptions; server?: TcpConnectionOptions } = {},
): void {
  const listener = pair.hosts[1].listen({ address: pair.ends[1], port: 80 }, options.server);
  listener.acceptable = () => {
    for (let connection = listener.accept(); connection !== undefined; connection = listener.accept()) {
      server.attach(connection).start();
    }
  };
  client.connection = pair.hosts[0].connect({ address: pair.ends[1], port: 80 }, client, options.client);
}
