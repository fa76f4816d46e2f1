/** What the streams of a test have in common, whatever they are made of. */

import type { Env } from '../../core/env.js';
import type { Timer } from '../../core/timers.js';
import type { Endpoint, TcpSockets } from '../../l4/tcp/api.js';
import type { UdpSockets } from '../../l4/udp-api.js';
import { Account, Pacer } from './account.js';
import type { IperfParameters } from './parameters.js';

/** What tests are made over. */
export interface IperfHost {
  readonly tcp: TcpSockets;
  readonly udp: UdpSockets;
}

/** Time of a processor in milliseconds. */
export interface CpuTime {
  readonly user: number;
  readonly system: number;
}

/** What a test takes from outside. */
export interface IperfOutside {
  readonly env: Env;
  /**
   * Calls back as soon as everything else that waits had its turn: for datagrams at full speed. Default: by a timer, a millisecond later.
   */
  readonly soon?: ((work: () => void) => void) | undefined;
  /** What the process has used so far. Default: nothing is said of it. */
  readonly cpu?: (() => CpuTime) | undefined;
}

/** The path of a TCP connection that sends, as its sender sees it. Times in milliseconds. */
export interface PathView {
  readonly congestionWindow: number;
  readonly sendWindow: number;
  readonly rtt: number;
  readonly rttVariation: number;
  readonly mtu: number;
}

/** What is known of a stream from the start. */
export interface StreamFacts {
  /** Its number in the protocol: 1, 3, 4, 5... */
  readonly id: number;
  /** Its number for people: 5, 7, 9... */
  readonly socket: number;
  /** Whether we send. */
  readonly sends: boolean;
  readonly local: Endpoint;
  readonly remote: Endpoint;
}

/** A stream of a test. */
export interface DataStream extends StreamFacts {
  readonly account: Account;
  /** Segments that TCP sent again; `undefined` where that is not known. */
  readonly retransmits: number | undefined;
  /** The name of the congestion control; `undefined` for UDP. */
  readonly congestion: string | undefined;
  /** The path; only for TCP that sends. */
  path(): PathView | undefined;
  /** Lets it flow; both sides of `quota` are shared by all streams. */
  begin(quota: Quota): void;
  /** Sends nothing more; what has come is counted. */
  halt(): void;
  /** As `halt`, and the peer is told that this was all. */
  finish(): void;
  /** Whether all that was sent is known to have arrived. */
  readonly isFlushed: boolean;
  close(): void;
}

/** What streams tell their test. */
export interface StreamOwner {
  /** The quota is used up. May be called more than once. */
  exhausted(): void;
  /** Everything that was sent has arrived. */
  settled(): void;
  /** The stream is gone while the test runs. */
  broken(stream: StreamFacts, error: Error | undefined): void;
}

/** How many bytes may still be sent, and are still waited for, over all streams; `Infinity` where that does not end the test. */
export class Quota {
  sending: number;
  receiving: number;

  constructor(sending: number, receiving: number) {
    this.sending = sending;
    this.receiving = receiving;
  }
}

/** Where one stream of a test stands among the others, and whose it is. */
export interface StreamPlace {
  /** From 0. */
  readonly index: number;
  readonly sends: boolean;
  readonly parameters: IperfParameters;
  readonly outside: IperfOutside;
  readonly owner: StreamOwner;
  /** What is sent, one block or several; the same for all. */
  readonly blocks: Uint8Array;
}

const FIRST_SOCKET = 5;
/** What is written at once keeps an object until it is acknowledged: if a peer could have it be a byte, a buffer would hold millions of them. */
const LEAST_WRITE = 64 * 1024;
/** By the clocks of operating systems, a shorter wait is none. */
const TICK = 1;

/** The common part of streams. */
export abstract class MeasuredStream {
  readonly id: number;
  readonly socket: number;
  readonly sends: boolean;
  readonly account: Account = new Account();
  protected readonly parameters: IperfParameters;
  protected readonly outside: IperfOutside;
  protected readonly owner: StreamOwner;
  protected quota: Quota = new Quota(0, 0);
  protected running = false;
  private pacer: Pacer;
  /** Bytes that count for the pacer. */
  private paced = 0;
  private readonly timer: Timer;

  constructor({ index, sends, parameters, outside, owner }: StreamPlace) {
    this.id = index === 0 ? 1 : index + 2;
    this.socket = FIRST_SOCKET + 2 * index;
    this.sends = sends;
    this.parameters = parameters;
    this.outside = outside;
    this.owner = owner;
    this.pacer = new Pacer(0, 0);
    this.timer = outside.env.timers.timer(() => this.pump());
  }

  begin(quota: Quota): void {
    this.quota = quota;
    this.running = true;
    this.pacer = new Pacer(this.parameters.bitrate, this.outside.env.timers.now());
    if (this.sends) this.pump();
  }

  halt(): void {
    this.running = false;
    this.timer.cancel();
  }

  /** Sends what may be sent now, and sees to it that it is called again. */
  protected abstract pump(): void;

  /** Whether the rate lets a block leave now; if not, `pump` will be called when it does. */
  protected mayLeave(now: number): boolean {
    const due = this.pacer.due(this.paced);
    if (due <= now) return true;
    this.timer.arm(Math.max(due, now + TICK));
    return false;
  }

  /** Bytes that the rate lets leave together by now, once it lets a block leave; `Infinity` where there is none. */
  protected behind(now: number): number {
    return this.pacer.behind(this.paced, now);
  }

  /** Counts what left. */
  protected left(bytes: number): void {
    this.account.bytes += bytes;
    this.paced += bytes;
    this.quota.sending -= bytes;
    if (this.quota.sending <= 0) this.owner.exhausted();
  }

  /** Calls `pump` when everybody else had a turn. */
  protected pumpSoon(): void {
    const { soon, env } = this.outside;
    if (soon === undefined) this.timer.arm(env.timers.now() + TICK);
    else soon(this.again);
  }

  private readonly again = (): void => {
    if (this.running) this.pump();
  };
}

/** Fills blocks of so many bytes with digits: one, or as many small ones as are worth one write. */
export function makeBlocks(length: number): Uint8Array {
  const blocks = new Uint8Array(Math.ceil(LEAST_WRITE / length) * length);
  for (let i = 0; i < blocks.length; i++) blocks[i] = 0x30 + ((i % length) % 10);
  return blocks;
}
