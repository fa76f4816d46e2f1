/**
 * What is idle costs: connections in bytes of memory, both versions, and in time per tick of the clock, for few of them and for many; hosts; frames. Only one end
 * of the connections is there: it is fed with the segments of peers that do not exist.
 */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type IpAddress, Ipv4Address, Ipv6Address, type IpVersion } from '../lib/core/address.js';
import type { Env } from '../lib/core/env.js';
import { type Frame, FramePool } from '../lib/core/frame.js';
import { pseudoHeaderSum, pushIpHeader } from '../lib/l3/ip-output.js';
import type { TcpConnection } from '../lib/l4/tcp/api.js';
import { TcpHost } from '../lib/l4/tcp/tcp-host.js';
import type { IpFlow } from '../lib/wire/ip.js';
import { Ipv4Packet } from '../lib/wire/ipv4.js';
import { Ipv6Packet } from '../lib/wire/ipv6.js';
import { TCP_HEADER, TcpFlag, TcpSegment } from '../lib/wire/tcp.js';
import { TcpOptions } from '../lib/wire/tcp-options.js';
import { host } from '../operators/stack/host.js';
import { environment } from '../operators/time/environment.js';
import { SimulationScheduler } from '../operators/time/simulation-scheduler.js';
import { TimerWheel } from '../operators/time/timer-wheel.js';
import { type Row, row } from './report.js';
import { silentDevice } from './silent-device.js';
import { WARM_UP_ROUNDS } from './timing.js';

const SECTION = 'Idle connections, hosts and frames';
const PORT = 80;
const TICKS = 20_000;
const WARM_UP = 2000;
const FRAMES = 10_000;
const LARGEST_FRAME = 1514;
const HOSTS = 64;
const { Ack, Psh, Syn } = TcpFlag;

const options = new TcpOptions();
let collect: (() => void) | undefined;

/** Bytes in use on the heap and in buffers, after everything that is not has been collected. */
export function bytesInUse(): number {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** A segment of the `i`th peer to `target`, with the options that hosts of today use, in a frame of the environment's pool. */
export function segmentOf(
  env: Env,
  target: IpAddress,
  i: number,
  fields: { readonly flags: number; readonly sequence: number; readonly acknowledgment?: number },
  echo = 0,
  payload = 0,
): Frame {
  const frame = env.pool.alloc(payload);
  if (payload > 0) frame.slab.bytes.fill(1, frame.put(payload), frame.end);
  // As addresses of hosts are: with the highest bit set here and there.
  const source = target.version === 4 ? new Ipv4Address(0xac00_0000 + i) : new Ipv6Address(0xfd00_0000, ~i, ~i, ~i);
  const destination = target;
  const rest = { protocol: 6, hopLimit: 60, trafficClass: 0, dontFragment: true };
  const flow = { version: target.version, source, destination, ...rest } as IpFlow;
  options.clear();
  options.hasTimestamps = true;
  options.timestampValue = i + 1;
  options.timestampEcho = echo;
  if (fields.flags & Syn) {
    options.mss = 1400;
    options.windowScale = 7;
    options.sackPermitted = true;
  }
  const ports = { sourcePort: 1024 + (i % 60_000), destinationPort: PORT };
  const header = { acknowledgment: 0, window: 65535, urgentPointer: 0, ...ports, ...fields };
  TcpSegment.emit(frame, header, options.length);
  options.write(frame.slab.view, frame.start + TCP_HEADER);
  TcpSegment.seal(frame, pseudoHeaderSum(flow, frame.length));
  pushIpHeader(frame, flow, i & 0xffff);
  return frame;
}

/** A host whose peers are made up. */
export class CrowdedHost {
  readonly scheduler: SimulationScheduler = new SimulationScheduler();
  readonly env: Env = environment({ scheduler: new TimerWheel(this.scheduler) });
  readonly host: TcpHost;
  readonly accepted: TcpConnection[] = [];
  private readonly own: IpAddress;
  /** Of the last segment that the host sent. */
  private iss = 0;
  private echo = 0;
  private readonly step: number;

  /** @param step time from one segment that comes to the next, in ms */
  constructor(version: IpVersion, keepAlive = false, step = 0) {
    this.step = step;
    this.own = version === 4 ? new Ipv4Address(0x0a00_0001) : new Ipv6Address(0xfd00_0000, 0, 0, 1);
    const { own } = this;
    const paths = {
      path: () => ({ source: own, mtu: 1500 }),
      isLocal: (address: IpAddress) => address.equals(own),
      isBroadcast: () => false,
    };
    this.host = new TcpHost(paths, {}, this.env);
    this.host.output.emit = (packet) => {
      const at = packet.start + (version === 4 ? 20 : 40);
      this.iss = packet.slab.view.getInt32(at + 4);
      // Behind the MSS and SACK-permitted.
      this.echo = packet.slab.view.getUint32(at + TCP_HEADER + 8);
      packet.release();
    };
    const listener = this.host.listen({ address: own, port: PORT }, { keepAlive });
    listener.acceptable = () => {
      const connection = listener.accept();
      if (connection !== undefined) this.accepted.push(connection);
    };
  }

  /** Establishes the connections of peers `from` to `to`; each has got a few bytes and answered them, if `used`. */
  establish(from: number, to: number, used = false): void {
    for (let i = from; i < to; i++) {
      this.receive(segmentOf(this.env, this.own, i, { flags: Syn, sequence: i }));
      const acknowledgment = (this.iss + 1) | 0;
      this.receive(segmentOf(this.env, this.own, i, { flags: Ack, sequence: i + 1, acknowledgment }, this.echo));
      if (used) this.use(i, acknowledgment);
    }
  }

  private use(i: number, acknowledgment: number): void {
    const { env, own, echo } = this;
    this.receive(segmentOf(env, own, i, { flags: Ack | Psh, sequence: i + 1, acknowledgment }, echo, 100));
    const connection = this.accepted.at(-1);
    connection?.read();
    connection?.write(new Uint8Array(100));
    const answered = (acknowledgment + 100) | 0;
    this.receive(segmentOf(env, own, i, { flags: Ack, sequence: i + 101, acknowledgment: answered }, echo));
  }

  private receive(frame: Frame): void {
    if (this.step > 0) this.scheduler.runFor(this.step);
    const Packet = this.own.version === 4 ? Ipv4Packet : Ipv6Packet;
    const packet = new Packet(frame, frame.start);
    frame.end = frame.start + packet.totalLength;
    frame.start += packet.headerLength;
    this.host.receive(packet);
    frame.release();
  }
}

/** Bytes of each of `count` idle connections, where times have fractions as those of real clocks. */
export function bytesPerConnection(version: IpVersion, count: number, used = false): number {
  const crowd = new CrowdedHost(version, false, 0.1234);
  // What exists once, and what is made on the way, is not theirs.
  crowd.establish(0, WARM_UP, used);
  const before = bytesInUse();
  crowd.establish(WARM_UP, WARM_UP + count, used);
  const after = bytesInUse();
  if (crowd.host.size !== WARM_UP + count) throw new Error(`only ${crowd.host.size} connections`);
  return (after - before) / count;
}

/** Nanoseconds per tick of a clock beside which `count` connections wait for their keepalive. */
function tickCost(count: number): number {
  const crowd = new CrowdedHost(4, true);
  crowd.establish(0, count);
  let ticks = 0;
  const timer = crowd.env.timers.timer(() => {
    if (++ticks < TICKS) timer.arm(crowd.env.timers.now() + 1);
  });
  timer.arm(crowd.env.timers.now() + 1);
  const begun = process.hrtime.bigint();
  crowd.scheduler.runFor(TICKS + 1);
  return Number(process.hrtime.bigint() - begun) / TICKS;
}

/** Bytes of each of many frames of 1,514 bytes that wait in their pool: what they hold, and their objects. */
function bytesPerFrame(): number {
  const pool = new FramePool();
  pool.alloc(LARGEST_FRAME).release();
  const before = bytesInUse();
  const frames = Array.from({ length: FRAMES }, () => pool.alloc(LARGEST_FRAME));
  for (const frame of frames) frame.release();
  frames.length = 0;
  const each = (bytesInUse() - before) / FRAMES;
  pool.alloc(LARGEST_FRAME).release();
  return each;
}

/** Bytes of each of many hosts that nobody has talked to, with IPv4 and IPv6. */
function bytesPerHost(): number {
  const make = () => host({ device: silentDevice(), addresses: ['10.0.0.1/24', 'fd00::1/64'] }, environment());
  const one = make();
  const before = bytesInUse();
  const hosts = Array.from({ length: HOSTS }, make);
  const each = (bytesInUse() - before) / HOSTS;
  if (hosts.includes(one)) throw new Error('a host was made twice');
  return each;
}

/** Measures. */
export function memoryBenchmark(rounds: number): Row[] {
  // First what is smallest: what V8 still compiles holds what that is compiled for, which may be a crowd.
  const rest = [
    row(SECTION, 'a host without connections', 'bytes', [bytesPerHost()]),
    row(SECTION, 'a frame of 1,514 bytes, in its pool', 'bytes', [bytesPerFrame()]),
  ];
  const memory = ([4, 6] as const).flatMap((version) => [
    row(SECTION, `100,000 over IPv${version}, never used`, 'bytes each', [bytesPerConnection(version, 100_000)]),
    row(SECTION, `100,000 over IPv${version}, used`, 'bytes each', [bytesPerConnection(version, 100_000, true)]),
  ]);
  const both = () => [tickCost(1_000), tickCost(100_000)] as const;
  for (let round = 0; round < WARM_UP_ROUNDS; round++) both();
  const costs = Array.from({ length: rounds }, both);
  const few = row(
    SECTION,
    'a tick with 1,000 of them keeping alive',
    'ns',
    costs.map(([cost]) => cost),
  );
  const many = row(
    SECTION,
    'a tick with 100,000 of them keeping alive',
    'ns',
    costs.map(([, cost]) => cost),
    few,
  );
  return [...memory, few, many, ...rest];
}
