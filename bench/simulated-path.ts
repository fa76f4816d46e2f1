/**
 * A sender and a receiver of TCP at the ends of one long path, in virtual time: a link of limited rate with a queue, some loss and a round-trip time.
 * Nothing below TCP but the IP header, so that a minute of a fast link takes a few seconds; the same seed gives the same bytes.
 */

import { Ipv4Address } from '../lib/core/address.js';
import type { Env } from '../lib/core/env.js';
import { type Frame, FramePool } from '../lib/core/frame.js';
import { type BurstLoss, Impairment } from '../lib/l2/impairment.js';
import type { IpPaths } from '../lib/l3/ip-output.js';
import type { TcpConnection, TcpHandler } from '../lib/l4/tcp/api.js';
import type { TcpOptions } from '../lib/l4/tcp/options.js';
import { TcpHost } from '../lib/l4/tcp/tcp-host.js';
import { Ipv4Packet } from '../lib/wire/ipv4.js';
import { environment } from '../operators/time/environment.js';
import { SimulationScheduler } from '../operators/time/simulation-scheduler.js';

/** What the path is like, and TCP at both of its ends. */
export interface PathOptions {
  /** Bits a second, in the direction of the data; IP headers count. */
  readonly rate: number;
  /** Milliseconds there and back. */
  readonly rtt: number;
  /** Probability that a packet with data is lost. Acknowledgments are not. */
  readonly loss: number;
  /** Loss in bursts, beside it. */
  readonly burstLoss?: BurstLoss;
  /** Bytes that may wait in front of the link. */
  readonly queue: number;
  readonly seed: number;
  readonly tcp: TcpOptions;
}

const ENDS = [Ipv4Address.parse('10.0.0.1'), Ipv4Address.parse('10.0.0.2')] as const;
const PORT = 5001;
const MTU = 1500;
// More than twice what any path here holds: no buffer is what limits.
const BUFFER = 1 << 25;
const BLOCK = new Uint8Array(1 << 18);

/** See the module. */
export class SimulatedPath {
  readonly scheduler: SimulationScheduler = new SimulationScheduler();
  readonly sender: TcpHost;
  readonly receiver: TcpHost;
  private readonly env: Env;
  private readonly flows: Sink[] = [];

  constructor({ rate, rtt, loss, burstLoss, queue, seed, tcp }: PathOptions) {
    this.env = environment({ scheduler: this.scheduler, seed, pool: new FramePool() });
    const options: TcpOptions = { ...tcp, receiveBuffer: BUFFER, sendBuffer: BUFFER };
    this.sender = new TcpHost(pathsOf(ENDS[0]), options, this.env);
    this.receiver = new TcpHost(pathsOf(ENDS[1]), options, this.env);
    const lossy = burstLoss === undefined ? { loss } : { loss, burstLoss };
    const there = { ...lossy, rate, delay: rtt / 2, queueBytes: queue, queueFrames: Number.MAX_SAFE_INTEGER, seed };
    const data = new Impairment(there, this.env, (frame) => deliver(frame, this.receiver));
    const acknowledgments = new Impairment({ delay: rtt / 2 }, this.env, (frame) => deliver(frame, this.sender));
    this.sender.output.emit = (packet) => data.push(packet);
    this.receiver.output.emit = (packet) => acknowledgments.push(packet);
    const listener = this.receiver.listen({ address: ENDS[1], port: PORT });
    listener.acceptable = () => {
      for (let one = listener.accept(); one !== undefined; one = listener.accept()) this.flows.push(new Sink(one));
    };
  }

  /** Starts a flow that sends without end. Flows are counted in the order of their starting. */
  start(): void {
    const fill = () => {
      while (connection.write(BLOCK) === BLOCK.length);
    };
    const handler: TcpHandler = { connected: fill, writable: fill, readable() {}, flushed() {}, closed() {} };
    const connection = this.sender.connect({ address: ENDS[1], port: PORT }, handler);
  }

  /** Lets `ms` milliseconds pass. */
  runFor(ms: number): void {
    this.scheduler.runFor(ms);
  }

  /** Bytes of payload delivered so far, by flow. */
  get delivered(): readonly number[] {
    return this.flows.map((flow) => flow.bytes);
  }
}

/** Reads what comes, and counts it. */
class Sink implements TcpHandler {
  bytes = 0;
  private readonly connection: TcpConnection;

  constructor(connection: TcpConnection) {
    this.connection = connection;
    connection.handler = this;
  }

  connected(): void {}
  writable(): void {}
  flushed(): void {}
  closed(): void {}
  readable(): void {
    for (let read = this.connection.read(); read !== undefined; read = this.connection.read())
      this.bytes += read.length;
  }
}

function pathsOf(own: Ipv4Address): IpPaths {
  return {
    path: () => ({ source: own, mtu: MTU }),
    isLocal: (address) => address.equals(own),
    isBroadcast: () => false,
  };
}

/** Hands on a packet as a wire would: its bytes, and nothing of what the sender knew of them. */
function deliver(frame: Frame, to: TcpHost): void {
  const { start, end } = frame;
  frame.reset();
  const packet = new Ipv4Packet(frame, start);
  frame.start = start + packet.headerLength;
  frame.end = end;
  to.receive(packet);
  frame.release();
}
