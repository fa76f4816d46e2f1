/** A connection under test over a path of 100 ms whose losses are what the test says: the peer's acknowledgments are given by hand. */

import type { IpVersion } from '../../../../lib/core/address.js';
import type { Connection } from '../../../../lib/l4/tcp/connection.js';
import type { TcpOptions } from '../../../../lib/l4/tcp/options.js';
import { Dut, Recorder } from './dut.js';

/** Round-trip time of the handshake, in ms. */
export const RTT = 100;
/** Bytes of data of a full segment. */
export const MSS = 1000;

/** Blocks of a selective acknowledgment, by sequence numbers relative to ours. */
export type Block = readonly [left: number, right: number];

/** What the peer agrees to. */
export interface Agreed {
  readonly sack?: boolean;
  readonly timestamps?: boolean;
  readonly ecn?: boolean;
  readonly win?: number;
}

/** The host under test, its connection, and its peer. */
export class Lossy {
  readonly dut: Dut;
  readonly c: Connection;
  readonly app: Recorder = new Recorder();
  private readonly timestamps: boolean;
  private clock = 1000;

  constructor(version: IpVersion, options: TcpOptions = {}, agreed: Agreed = {}) {
    const { sack = true, timestamps = false, ecn = false, win = 65535 } = agreed;
    this.timestamps = timestamps;
    this.dut = new Dut(version, { sack, timestamps, congestion: 'newreno', ...options });
    const { dut } = this;
    const listener = dut.listen();
    const stamp = timestamps ? ',TS val 1000 ecr 0' : '';
    // With timestamps a segment has twelve bytes less for data.
    dut.rx(
      `S${ecn ? 'EW' : ''} 0:0(0) win ${win} <mss ${MSS + (timestamps ? 12 : 0)}${sack ? ',sackOK' : ''}${stamp}>`,
    );
    dut.take();
    dut.wait(RTT);
    this.ack(1, [], { win });
    const connection = listener.accept();
    if (connection === undefined) throw new Error('nothing to accept');
    connection.handler = this.app;
    this.c = connection as Connection;
    dut.take();
  }

  /** Writes as many full segments, and returns what came out. */
  write(segments: number, bytes: number = MSS): string[] {
    this.c.write(new Uint8Array(segments * bytes));
    return this.ranges();
  }

  /** An acknowledgment comes in, that echoes `echo` where there are timestamps: ms since the connection's first SYN; and a mark with `ece`. */
  ack(
    number: number,
    blocks: readonly Block[] = [],
    { echo = 0, win = 65535, ece = false }: { echo?: number; win?: number; ece?: boolean } = {},
  ): string[] {
    const { dut } = this;
    const options: string[] = [];
    if (this.timestamps) options.push(`nop,nop,TS val ${++this.clock} ecr ${1000 + echo}`);
    if (blocks.length > 0) {
      const edges = blocks.map(([left, right]) => `${left >>> 0}:${right >>> 0}`);
      options.push(`nop,nop,sack ${edges.join(' ')}`);
    }
    dut.rx(`${ece ? 'E' : ''}. 1:1(0) ack ${number} win ${win}${options.length > 0 ? ` <${options.join(',')}>` : ''}`);
    return this.ranges();
  }

  /** Time passes; returns what came out. */
  wait(ms: number): string[] {
    this.dut.wait(ms);
    return this.ranges();
  }

  /** First sequence numbers of the data that came out since the last look. */
  ranges(): string[] {
    return this.dut
      .take()
      .map((line) => line.split(' ')[1] ?? '')
      .filter((range) => !range.endsWith('(0)'));
  }

  /** First sequence numbers of the segments of which something is believed. */
  which(what: 'sacked' | 'lost' | 'retransmitted'): number[] {
    const found: number[] = [];
    for (let segment = this.c.sent.head; segment !== undefined; segment = segment.next) {
      if (segment[what]) found.push((segment.seq - this.c.snd.iss) | 0);
    }
    return found;
  }

  /** Times, from now on, at which data came out within `ms`. */
  times(ms: number): [number, string][] {
    const found: [number, string][] = [];
    for (let t = 1; t <= ms; t++) for (const range of this.wait(1)) found.push([t, range]);
    return found;
  }

  end(): void {
    this.c.abort();
    this.dut.expectClean();
  }
}

/** Ranges of full segments, from the `first` to before the `last` (counted from 0). */
export function full(first: number, last: number): string[] {
  const found: string[] = [];
  for (let i = first; i < last; i++) found.push(`${1 + i * MSS}:${1 + (i + 1) * MSS}(${MSS})`);
  return found;
}

/** The block of the segments from the `first` to before the `last` (counted from 0). */
export function block(first: number, last: number): Block {
  return [1 + first * MSS, 1 + last * MSS];
}

/** The acknowledgment number for the first `segments` segments. */
export function upTo(segments: number): number {
  return 1 + segments * MSS;
}
