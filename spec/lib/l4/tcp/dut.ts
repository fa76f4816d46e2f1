/**
 * One TCP host under test, driven with segments in packetdrill's notation and judged by the lines that come out, in virtual time.
 * Sequence numbers are relative: `<` ones to the peer's initial number and acknowledging ours, `>` ones the other way round.
 */

import { expect } from 'chai';
import type { IpAddress, IpVersion } from '../../../../lib/core/address.js';
import { DropReason, dropReasonName } from '../../../../lib/core/drops.js';
import type { Env } from '../../../../lib/core/env.js';
import type { NetCode, NetError } from '../../../../lib/core/errors.js';
import { Cast, ChecksumState, FramePool, GsoType, type TxPacket } from '../../../../lib/core/frame.js';
import type { IcmpErrorKind } from '../../../../lib/l3/icmp-report.js';
import { pseudoHeaderSum, pushIpHeader } from '../../../../lib/l3/ip-output.js';
import type { TcpConnection, TcpHandler, TcpListener } from '../../../../lib/l4/tcp/api.js';
import type { TcpOptions } from '../../../../lib/l4/tcp/options.js';
import { type ConnectOptions, TcpHost } from '../../../../lib/l4/tcp/tcp-host.js';
import { shifted } from '../../../../lib/text/notation-builder.js';
import { TCP_FLAG_LETTERS } from '../../../../lib/text/packet-spec.js';
import { parsePacket } from '../../../../lib/text/notation-parser.js';
import { formatTcpOptions, readTcpOptionList, tcpOptionBytes } from '../../../../lib/text/tcp-option-list.js';
import { Ecn, type IpFlow, type IpPacket } from '../../../../lib/wire/ip.js';
import { TCP_HEADER, TcpFlag, TcpSegment } from '../../../../lib/wire/tcp.js';
import { environment } from '../../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../../operators/time/simulation-scheduler.js';
import { TimerWheel } from '../../../../operators/time/timer-wheel.js';
import { ENDS, paths, viewOf } from './pair.js';

/** Notes what a connection tells its owner; reads and writes only when told to. */
export class Recorder implements TcpHandler {
  readonly events: string[] = [];
  on: Partial<Record<'connected' | 'readable' | 'writable' | 'flushed' | 'closed' | 'urgent', () => void>> = {};

  connected(): void {
    this.note('connected', 'connected');
  }
  readable(): void {
    this.note('readable', 'readable');
  }
  writable(): void {
    this.note('writable', 'writable');
  }
  flushed(): void {
    this.note('flushed', 'flushed');
  }
  closed(error: NetError | undefined): void {
    this.note('closed', error === undefined ? 'closed' : `closed ${error.code}`);
  }
  urgent(bytes: number): void {
    this.note('urgent', `urgent ${bytes}`);
  }
  private note(call: keyof Recorder['on'], text: string): void {
    this.events.push(text);
    this.on[call]?.();
  }
}

/** A connection of the host under test, as its tests see it. */
export interface Opened {
  readonly connection: TcpConnection;
  readonly app: Recorder;
}

const CODEPOINTS = { noecn: Ecn.NotEct, ect0: Ecn.Ect0, ect01: Ecn.Ect0, ect1: Ecn.Ect1, ce: Ecn.Ce } as const;
// How a line says that its packet may be marked, or was.
const MARKS = ['', '[ect1] ', '[ect0] ', '[ce] '] as const;
const PEER_ISS = 0xffff_f000;
const PLAIN: TcpOptions = {
  timestamps: false,
  windowScaling: false,
  sack: false,
  quickAcks: 0,
  ackPolicy: 'full-sized',
  receiveWindow: 'whole',
};

/** The host under test. It has the first of the two addresses; the peer, the test itself, has the second. */
export class Dut {
  readonly scheduler: SimulationScheduler = new SimulationScheduler({ start: 1000 });
  readonly env: Env;
  readonly host: TcpHost;
  readonly own: IpAddress;
  readonly peer: IpAddress;
  /** Ports of the packets that are received unless they say otherwise. */
  ownPort = 80;
  peerPort = 7777;
  /** Our initial sequence number, learnt from the last SYN that came out. */
  iss = 0;
  peerIss: number = PEER_ISS;
  /** Value of our timestamp clock at time 0, learnt from the first that came out. */
  private timestampBase: number | undefined;
  private lines: string[] = [];
  /** When set, what goes out comes in again at once. */
  loop = false;
  /** Sees each segment that goes out. */
  onSegment: ((segment: TcpSegment, packet: IpPacket) => void) | undefined;
  private start = 1000;
  private isBatch = false;

  /**
   * By default the MTU leaves room for 1460 bytes of data in either version, as packetdrill has it.
   *
   * @param batches whether segments may come {@link together}
   */
  constructor(
    version: IpVersion,
    options: TcpOptions = {},
    mtu: number = version === 4 ? 1500 : 1520,
    batches = false,
  ) {
    [this.own, this.peer] = ENDS[version];
    const scheduler = batches ? new TimerWheel(this.scheduler) : this.scheduler;
    this.env = environment({ scheduler, seed: 7, pool: new FramePool({ poison: true }) });
    this.host = new TcpHost(paths(this.own, mtu), { ...PLAIN, ...options }, this.env);
    this.host.output.emit = (packet) => this.sent(packet);
  }

  /** A segment comes in; with `gso` a super-segment of segments of that size. */
  rx(
    text: string,
    envelope: { from?: IpAddress; to?: IpAddress; cast?: Cast; corrupt?: boolean; gso?: number } = {},
  ): void {
    const spec = parsePacket(text);
    if (spec.kind !== 'tcp') throw new Error(`not a segment: ${text}`);
    const { payload } = spec;
    const frame = this.env.pool.alloc(payload.length ?? 0);
    const length = payload.length ?? 0;
    const at = frame.put(length);
    if (payload.bytes instanceof Uint8Array) frame.slab.bytes.set(payload.bytes, at);
    else for (let i = 0; i < length; i++) frame.slab.bytes[at + i] = ((spec.sequence ?? 0) + i) & 0xff;
    const options = tcpOptionBytes(typeof spec.options === 'object' ? shifted(spec.options, this.iss) : []).slice();
    const flow = this.flow(envelope.from ?? this.peer, envelope.to ?? this.own, CODEPOINTS[spec.ecn ?? 'noecn']);
    TcpSegment.emit(
      frame,
      {
        sourcePort: spec.sourcePort ?? this.peerPort,
        destinationPort: spec.destinationPort ?? this.ownPort,
        sequence: ((spec.sequence ?? 0) + this.peerIss) >>> 0,
        acknowledgment: spec.ack === undefined ? 0 : (spec.ack + this.iss) >>> 0,
        flags: spec.flags,
        window: spec.window ?? 65535,
        urgentPointer: spec.urgent ?? 0,
      },
      options.length,
    );
    frame.slab.bytes.set(options, frame.start + TCP_HEADER);
    this.fixTimestamps(frame.slab.view, frame.start + TCP_HEADER, options.length);
    TcpSegment.seal(frame, pseudoHeaderSum(flow, frame.length));
    if (envelope.corrupt === true) frame.slab.bytes[frame.end - 1] = (frame.slab.bytes[frame.end - 1] ?? 0) ^ 1;
    pushIpHeader(frame, flow, 1);
    frame.ipCast = envelope.cast ?? Cast.Unicast;
    if (envelope.gso !== undefined) {
      frame.gsoType = flow.version === 4 ? GsoType.TcpV4 : GsoType.TcpV6;
      frame.gsoSize = envelope.gso;
      frame.checksum = ChecksumState.Valid;
    }
    const packet = viewOf(frame);
    if (packet === undefined) throw new Error('a packet that is not one');
    try {
      this.host.receive(packet);
      if (!this.isBatch) expect(frame.fate, `fate of ${text}`).not.to.equal(0);
    } finally {
      frame.release();
    }
  }

  /** Segments come in as a device brings them that has read them at once; functions are called in between. */
  together(...steps: (string | (() => void))[]): void {
    this.isBatch = true;
    try {
      this.env.timers.asOne(() => {
        for (const step of steps) {
          if (typeof step === 'string') this.rx(step);
          else step();
        }
      });
    } finally {
      this.isBatch = false;
    }
  }

  /** `TS val V ecr E` of a received packet: E is meant relative to our clock at the start. */
  private fixTimestamps(view: DataView, at: number, length: number): void {
    if (this.timestampBase === undefined) return;
    for (let i = at; i < at + length; ) {
      const kind = view.getUint8(i);
      if (kind === 8) view.setUint32(i + 6, view.getUint32(i + 6) + this.timestampBase);
      i += kind <= 1 ? 1 : Math.max(2, view.getUint8(i + 1));
    }
  }

  private flow(source: IpAddress, destination: IpAddress, trafficClass: number): IpFlow {
    return {
      version: source.version,
      source,
      destination,
      protocol: 6,
      hopLimit: 64,
      trafficClass,
      dontFragment: true,
    };
  }

  private sent(packet: TxPacket): void {
    if (this.loop) {
      const copy = viewOf(packet);
      if (copy !== undefined) this.host.receive(copy);
    } else this.note(packet);
    packet.release();
  }

  private note(packet: TxPacket): void {
    const ip = viewOf(packet);
    if (ip === undefined || TcpSegment.check(ip) !== undefined) throw new Error('what came out is malformed');
    const segment = new TcpSegment(packet, packet.start);
    const { view } = packet.slab;
    const { flags } = segment;
    this.onSegment?.(segment, ip);
    if (flags & TcpFlag.Syn) this.iss = segment.sequence;
    // A RST in answer to an ACK has that number, which the test gave relative to our initial number as well.
    const zero = flags & TcpFlag.Rst && !(flags & TcpFlag.Ack) && this.iss === 0 ? 0 : this.iss;
    const seq = flags & TcpFlag.Rst && segment.sequence === 0 ? 0 : (segment.sequence - zero) | 0;
    const length = packet.end - segment.payload;
    const letters = TCP_FLAG_LETTERS.filter(([, bit]) => (flags & bit) !== 0).map(([letter]) => letter);
    if (flags & TcpFlag.Ack) letters.push('.');
    const ack = flags & TcpFlag.Ack ? ` ack ${(segment.acknowledgment - this.peerIss) | 0}` : '';
    const items = readTcpOptionList(view, packet.start + TCP_HEADER, segment.payload).map((item) => {
      if (item.kind === 'TS') {
        this.timestampBase ??= ((item.value ?? 0) - this.start) >>> 0;
        return { ...item, value: ((item.value ?? 0) - this.timestampBase) >>> 0 };
      }
      if (item.kind !== 'sack') return item;
      const near = (edge: number) => (edge - this.peerIss) >>> 0;
      return { ...item, blocks: item.blocks.map(([left, right]) => [near(left), near(right)] as const) };
    });
    const options = items.length === 0 ? '' : ` <${formatTcpOptions(items)}>`;
    const range = `${seq}:${(seq + length) | 0}(${length})`;
    const mark = MARKS[ip.trafficClass & 3] ?? '';
    this.lines.push(`${mark}${letters.join('')} ${range}${ack} win ${segment.window}${options}`);
  }

  /** What came out since the last look. */
  take(): string[] {
    return this.lines.splice(0);
  }

  /** The same without windows. */
  takeBare(): string[] {
    return this.take().map((line) => line.replace(/ win \d+/, ''));
  }

  /** Exactly these segments came out since the last look. */
  tx(...lines: string[]): void {
    expect(this.take()).to.deep.equal(lines);
  }

  /** Time passes. */
  wait(ms: number): void {
    this.scheduler.runFor(ms);
  }

  /** Time passes while nobody runs: timers that were due meanwhile fire late. */
  oversleep(ms: number): void {
    const { scheduler } = this;
    const now = scheduler.now.bind(scheduler);
    scheduler.now = () => now() + ms;
    this.wait(ms);
    scheduler.now = now;
  }

  drops(reason: keyof typeof DropReason): number {
    return this.env.drops.count(DropReason[reason]);
  }

  dropNames(): string[] {
    return Object.entries(this.env.drops.toJSON()).map(([name, count]) => `${name} ${count}`);
  }

  icmp(kind: IcmpErrorKind, code: NetCode, seq: number, mtu = 0): boolean {
    const frame = this.env.pool.alloc(8);
    const at = frame.put(8);
    frame.slab.view.setUint16(at, this.ownPort);
    frame.slab.view.setUint16(at + 2, this.peerPort);
    frame.slab.view.setUint32(at + 4, (seq + this.iss) >>> 0);
    const [source, destination] = [this.own, this.peer];
    try {
      const report = { kind, code, reporter: destination, source, destination, protocol: 6, mtu, frame, transport: at };
      return this.host.icmp(report);
    } finally {
      frame.release();
    }
  }

  listen(options: Parameters<TcpHost['listen']>[1] = {}): TcpListener {
    return this.host.listen({ address: this.own, port: this.ownPort }, options);
  }

  /** An accepted connection: the peer has opened it with a window and an MSS. */
  accepted(options: Parameters<TcpHost['listen']>[1] & { win?: number; mss?: number } = {}): Opened {
    const { win = 65535, mss = 1460 } = options;
    const listener = this.listen(options);
    this.rx(`S 0:0(0) win ${win} <mss ${mss}>`);
    this.rx(`. 1:1(0) ack 1 win ${win}`);
    const connection = listener.accept();
    if (connection === undefined) throw new Error('nothing to accept');
    const app = new Recorder();
    connection.handler = app;
    this.take();
    return { connection, app };
  }

  /** Starts an active open. */
  connecting(options: ConnectOptions = {}): Opened {
    const app = new Recorder();
    const connection = this.host.connect({ address: this.peer, port: 7777 }, app, options);
    this.ownPort = connection.local.port;
    return { connection, app };
  }

  /** An actively opened connection. */
  connected(options: ConnectOptions & { win?: number; mss?: number } = {}): Opened {
    const opened = this.connecting(options);
    this.take();
    this.rx(`S. 0:0(0) ack 1 win ${options.win ?? 65535} <mss ${options.mss ?? 1460}>`);
    this.take();
    opened.app.events.length = 0;
    return opened;
  }

  /** The host is disposed, and nothing is left. */
  expectClean(): void {
    this.host.dispose();
    expect(this.env.pool.outstanding, 'frames').to.equal(0);
    expect(this.scheduler.pending, 'timers').to.equal(0);
    expect(this.host.size, 'connections').to.equal(0);
  }

  /** Names of all drop reasons so far. */
  get lastDrop(): string | undefined {
    return Object.keys(this.env.drops.toJSON()).at(-1);
  }
}

export { dropReasonName };
