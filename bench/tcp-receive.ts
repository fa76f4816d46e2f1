/**
 * What receiving costs TCP: segments of a peer that does not exist, made beforehand, are given to a host again and again, each with the
 * numbers of its turn. Nanoseconds of CPU, the acknowledgments that leave included.
 */

import { Ipv4Address } from '../lib/core/address.js';
import { ChecksumState, type Frame, GsoType, UNDER_WAY } from '../lib/core/frame.js';
import type { TcpConnection, TcpHandler } from '../lib/l4/tcp/api.js';
import { TcpHost } from '../lib/l4/tcp/tcp-host.js';
import { updateChecksum32 } from '../lib/wire/checksum.js';
import { Ipv4Packet } from '../lib/wire/ipv4.js';
import { TCP_HEADER, TCP_CHECKSUM_OFFSET, TcpFlag } from '../lib/wire/tcp.js';
import { environment } from '../operators/time/environment.js';
import { SimulationScheduler } from '../operators/time/simulation-scheduler.js';
import { segmentOf } from './memory.js';
import { type Row, row } from './report.js';
import { WARM_UP_ROUNDS } from './timing.js';

const SECTION = 'Cost per received segment of TCP, its acknowledgment included';
const OWN = new Ipv4Address(0x0a00_0001);
const { Ack, Psh, Syn } = TcpFlag;
const IP_HEADER = 20;
const TIMESTAMPS = 12;
const MSS = 1448;

/** How an application takes what came. */
export type Taking = (connection: TcpConnection) => void;

/** A connection whose peer is this bench. */
export class Receiving {
  private readonly env = environment({ scheduler: new SimulationScheduler() });
  private readonly host: TcpHost;
  private readonly frame: Frame;
  private readonly packet: Ipv4Packet;
  private readonly start: number;
  private readonly end: number;
  private readonly verified: boolean;
  readonly connection: TcpConnection;
  private sequence = 1;
  private iss = 0;
  /** Segments that the host sent. */
  sent = 0;

  /** @param payload bytes of each segment @param verified whether the device has verified the checksum */
  constructor(payload: number, verified: boolean, take: Taking) {
    const { env } = this;
    this.verified = verified;
    const paths = { path: () => ({ source: OWN, mtu: 1500 }), isLocal: () => true, isBroadcast: () => false };
    this.host = new TcpHost(paths, {}, env);
    this.host.output.emit = (packet) => {
      if (this.sent++ === 0) this.iss = packet.slab.view.getInt32(packet.start + IP_HEADER + 4);
      packet.release();
    };
    const listener = this.host.listen({ address: OWN, port: 80 });
    this.once(segmentOf(env, OWN, 0, { flags: Syn, sequence: 0 }));
    const acknowledgment = (this.iss + 1) | 0;
    this.once(segmentOf(env, OWN, 0, { flags: Ack, sequence: 1, acknowledgment }));
    const connection = listener.accept();
    if (connection === undefined) throw new Error('nothing to accept');
    const quiet: TcpHandler = {
      connected() {},
      readable: () => take(connection),
      writable() {},
      flushed() {},
      closed() {},
    };
    connection.handler = quiet;
    this.connection = connection;
    this.frame = segmentOf(
      env,
      OWN,
      0,
      { flags: Ack | (payload < MSS ? Psh : 0), sequence: 1, acknowledgment },
      0,
      payload,
    );
    this.packet = new Ipv4Packet(this.frame, this.frame.start);
    this.end = this.frame.end;
    this.frame.start += IP_HEADER;
    this.start = this.frame.start;
    if (payload > MSS) {
      this.frame.gsoType = GsoType.TcpV4;
      this.frame.gsoSize = MSS;
    }
  }

  private once(frame: Frame): void {
    const packet = new Ipv4Packet(frame, frame.start);
    frame.start += IP_HEADER;
    this.host.receive(packet);
    frame.release();
  }

  /** The next segment comes in. */
  next(): void {
    const { frame } = this;
    const { view } = frame.slab;
    frame.start = this.start;
    frame.end = this.end;
    frame.fate = UNDER_WAY;
    const at = this.start + TCP_CHECKSUM_OFFSET;
    const before = view.getUint32(frame.start + 4);
    view.setInt32(frame.start + 4, this.sequence);
    view.setUint16(at, updateChecksum32(view.getUint16(at), before, this.sequence >>> 0));
    frame.checksum = this.verified ? ChecksumState.Valid : ChecksumState.None;
    this.sequence = (this.sequence + this.end - this.start - TCP_HEADER - TIMESTAMPS) | 0;
    this.host.receive(this.packet);
  }
}

const asOwned: Taking = (connection) => {
  while (connection.read() !== undefined);
};

const ignore = (): void => undefined;

const byView: Taking = (connection) => {
  while (connection.consume(ignore) > 0);
};

/** Nanoseconds of CPU per segment. */
function time(receiving: Receiving, segments: number): number {
  const begun = process.cpuUsage();
  for (let i = 0; i < segments; i++) receiving.next();
  const { user, system } = process.cpuUsage(begun);
  return ((user + system) * 1000) / segments;
}

/** Measures. */
export function tcpReceiveBenchmark(rounds: number): Row[] {
  const works: readonly (readonly [string, Receiving, number])[] = [
    ['1,448 bytes, checksum verified by us, read by view', new Receiving(MSS, false, byView), 200_000],
    ['1,448 bytes, read by view', new Receiving(MSS, true, byView), 200_000],
    ['1,448 bytes, read into memory of its own', new Receiving(MSS, true, asOwned), 200_000],
    ['64 bytes, read by view', new Receiving(64, true, byView), 200_000],
    ['a super-segment of 65,160 bytes, read by view', new Receiving(45 * MSS, true, byView), 20_000],
    ['a super-segment of 65,160 bytes, read into memory of its own', new Receiving(45 * MSS, true, asOwned), 20_000],
  ];
  const values = works.map((): number[] => []);
  for (let round = 0; round < WARM_UP_ROUNDS; round++) {
    for (const [, receiving, segments] of works) time(receiving, segments);
  }
  for (let round = 0; round < rounds; round++) {
    for (const [i, [, receiving, segments]] of works.entries()) values[i]?.push(time(receiving, segments));
  }
  return works.map(([name], i) => row(SECTION, name, 'ns', values[i] ?? []));
}
