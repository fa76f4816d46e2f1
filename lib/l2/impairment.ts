/**
 * An imperfect wire, in one direction: what it does to frames before it hands them on. Pure: time and chance come from the
 * environment, so that a seed reproduces a run. The in-memory link is made of it, and so are the operators that put it between
 * a device and a host.
 *
 * A frame passes, in this order: partition, length, loss (uniform, then in bursts), corruption, duplication, the queue and the
 * rate, delay and jitter, holding back. It leaves out what a wire does not do: fragment, or look into the frame; only queues that mark
 * do that.
 */

import type { Medium } from '../core/device.js';
import { DropReason } from '../core/drops.js';
import type { Env } from '../core/env.js';
import { UsageError } from '../core/errors.js';
import { Fifo } from '../core/fifo.js';
import { ChecksumState, type Frame } from '../core/frame.js';
import { type Random, SeededRandom } from '../core/random.js';
import type { Timer } from '../core/timers.js';
import { asOnWire, isAsOnWire } from '../wire/as-on-wire.js';
import type { Queue, QueueOwner } from './queue/queue.js';
import { checkQueue, queueOf, type QueueOptions } from './queue/queue-of.js';

/** Loss in bursts: a wire that is now good, now bad (Gilbert 1960, Elliott 1963). Probabilities are per frame. */
export interface BurstLoss {
  /** Of going bad. Bursts are 1 / `recover` frames long on average. */
  readonly fail: number;
  /** Of getting well again. */
  readonly recover: number;
  /** Of losing a frame while bad. Default 1. */
  readonly lossWhileBad?: number;
  /** Of losing a frame while good. Default 0. */
  readonly lossWhileGood?: number;
}

/** What is wrong with a wire, in one direction. Probabilities are in 0..1; what is left out is perfect. */
export interface Impairments {
  /** Probability of losing a frame. */
  readonly loss?: number;
  readonly burstLoss?: BurstLoss;
  /** Probability that a frame arrives twice. */
  readonly duplicate?: number;
  /** Probability that bits of a frame are flipped. */
  readonly corrupt?: number;
  /** How many bits, where a frame is corrupted. Default 1. */
  readonly corruptBits?: number;
  /** Milliseconds from end to end. */
  readonly delay?: number;
  /** Milliseconds, at most, that the delay is more or less than that; frames do not overtake each other by it. */
  readonly jitter?: number;
  /** Probability that a frame is held back, so that later ones overtake it. */
  readonly reorder?: number;
  /** Milliseconds that such a frame is held back. Default 5. */
  readonly reorderDelay?: number;
  /** Bits a second. */
  readonly rate?: number;
  /** Who may wait for a wire of limited rate, and who is dropped or marked. Default: drop-tail, of `queueFrames` and `queueBytes`. */
  readonly queue?: QueueOptions;
  /** Frames that may wait for a wire of limited rate, where there is no `queue`. Default 1000. */
  readonly queueFrames?: number;
  /** Bytes that may wait for it, where there is no `queue`. Default no limit. */
  readonly queueBytes?: number;
  /** Longest frame, in bytes, with its link header. */
  readonly maxFrame?: number;
  /** Makes chance on this wire depend on nothing else; default is to draw from the environment. */
  readonly seed?: number;
}

const PROBABILITIES = ['loss', 'duplicate', 'corrupt', 'reorder'] as const;
const AMOUNTS = [
  'delay',
  'jitter',
  'reorderDelay',
  'rate',
  'queueFrames',
  'queueBytes',
  'maxFrame',
  'corruptBits',
] as const;
const REORDER_DELAY = 5;
// Bits a second of a wire that has no limit: no frame takes a nanosecond.
const UNLIMITED = 1e15;

function check(impairments: Impairments): void {
  const { burstLoss } = impairments;
  const probabilities = [
    ...PROBABILITIES.map((key) => [key, impairments[key]] as const),
    ...Object.entries(burstLoss ?? {}).map(([key, value]) => [`burstLoss.${key}`, value as number] as const),
  ];
  for (const [key, value = 0] of probabilities) {
    if (!(value >= 0 && value <= 1)) throw new UsageError('ERR_INVALID_OPTION', `${key} ${value} is not a probability`);
  }
  for (const key of AMOUNTS) {
    const value = impairments[key] ?? 1;
    if (!(value >= 0) || (key === 'rate' && value === 0)) {
      throw new UsageError('ERR_INVALID_OPTION', `${key} ${value} is not an amount`);
    }
  }
  if (impairments.queue === undefined) return;
  checkQueue(impairments.queue);
  if (impairments.queueFrames !== undefined || impairments.queueBytes !== undefined) {
    throw new UsageError(
      'ERR_INVALID_OPTION',
      'a queue has limits of its own: queueFrames and queueBytes are for drop-tail',
    );
  }
}

/** What a queue is made of: changing anything else of the wire leaves it as it is. */
function queueOptions({ queue, queueFrames, queueBytes }: Impairments): QueueOptions {
  return (
    queue ?? {
      kind: 'drop-tail',
      ...(queueFrames === undefined ? {} : { frames: queueFrames }),
      ...(queueBytes === undefined ? {} : { bytes: queueBytes }),
    }
  );
}

/** A frame on its way, with the range that it was sent with; those of one moment arrive in the order of sending. */
interface Passage {
  readonly frame: Frame;
  readonly start: number;
  readonly end: number;
  readonly due: number;
  readonly order: number;
}

function isBefore(one: Passage, other: Passage): boolean {
  return one.due < other.due || (one.due === other.due && one.order < other.order);
}

/** Takes the first frame off a line, with the range that it was sent with: whoever else holds it may have narrowed it meanwhile. */
function arrived(line: Fifo<Passage>): Frame | undefined {
  const passage = line.shift();
  if (passage === undefined) return undefined;
  const { frame, start, end } = passage;
  frame.start = start;
  frame.end = end;
  return frame;
}

/** One direction of an imperfect wire: frames are pushed in, and come out of `emit`, now or later, in order unless held back. */
export class Impairment {
  private readonly env: Env;
  private readonly emit: (frame: Frame) => void;
  private readonly name: string;
  private readonly timer: Timer;
  private settings: Impairments;
  private random: Random;
  private bad = false;
  private cut = false;
  private emitting = false;
  /** Disposed of: what is left of a super-segment that is being cut comes too late. */
  private over = false;
  private readonly owner: QueueOwner;
  /** Frames that arrive in the order of sending, and those held back, which others overtake. */
  private passages = new Fifo<Passage>();
  private held = new Fifo<Passage>();
  private order = 0;
  private readonly pushPiece = (piece: Frame): void => this.pushPacket(piece);
  /** When the last frame that was not held back arrives: no later one arrives before. */
  private lastDue = Number.NEGATIVE_INFINITY;
  /** When the wire has sent what it took from the queue, which is made when first needed. */
  private freeAt = Number.NEGATIVE_INFINITY;
  private queue: Queue | undefined = undefined;

  /**
   * @param emit takes over the reference of the frame that it is given
   * @param name says in drop reports where frames got lost
   * @param medium what frames begin with. Default: that of the frame's device, or Ethernet
   * @throws UsageError `ERR_INVALID_OPTION`
   */
  constructor(impairments: Impairments, env: Env, emit: (frame: Frame) => void, name = 'impair', medium?: Medium) {
    check(impairments);
    this.settings = impairments;
    this.env = env;
    this.emit = emit;
    this.name = name;
    this.random = impairments.seed === undefined ? env.random : new SeededRandom(impairments.seed);
    this.timer = env.timers.timer(() => this.run());
    this.owner = {
      env,
      name,
      chance: (probability) => this.chance(probability),
      medium: (frame) => medium ?? frame.device?.medium ?? 'ethernet',
    };
  }

  /** Frames on their way. */
  get inFlight(): number {
    return this.passages.length + this.held.length + (this.queue?.frames ?? 0);
  }

  /** Changes what is wrong with the wire; frames on their way keep their times, those in the queue are yet to be sent. @throws UsageError `ERR_INVALID_OPTION` */
  set(impairments: Impairments): void {
    check(impairments);
    if (impairments.seed !== undefined && impairments.seed !== this.settings.seed) {
      this.random = new SeededRandom(impairments.seed);
    }
    const before = queueOptions(this.settings);
    this.settings = impairments;
    const after = queueOptions(impairments);
    const waiting = JSON.stringify(before) === JSON.stringify(after) ? undefined : this.queue?.clear();
    if (waiting === undefined) return;
    const queue = queueOf(after, this.owner);
    for (const frame of waiting) this.enqueue(queue, frame, this.env.timers.now());
    this.queue = queue;
  }

  /** Cuts the wire: what is on its way is lost as well, and what begins to be sent before it is healed. */
  partition(): void {
    this.cut = true;
    this.lose(DropReason.LinkPartition);
    this.run();
  }

  heal(): void {
    this.serve(this.env.timers.now());
    this.cut = false;
  }

  /** Sends a frame, and takes over its reference. Of a super-segment each packet has a fate of its own. */
  push(frame: Frame): void {
    this.over = false;
    if (isAsOnWire(frame)) return this.pushPacket(frame);
    const wrong = asOnWire(frame, this.owner.medium(frame), this.env.pool, this.pushPiece);
    if (wrong !== undefined) this.env.drops.refuse(wrong, frame, this.name);
  }

  private pushPacket(frame: Frame): void {
    const lost = this.over ? DropReason.Disposed : this.fails(frame);
    if (lost !== undefined) return this.env.drops.refuse(lost, frame, this.name);
    const { corrupt = 0, duplicate = 0 } = this.settings;
    const sent = this.chance(corrupt) ? this.corrupted(frame) : frame;
    const second = this.chance(duplicate) ? this.env.pool.copy(sent) : undefined;
    this.transmit(sent);
    if (second !== undefined) this.transmit(second);
    this.run();
  }

  /** Drops what is on its way. The wire may be used again. */
  dispose(): void {
    this.timer.cancel();
    this.over = true;
    this.lose(DropReason.Disposed);
    const left = this.queue?.clear() ?? [];
    for (const frame of left) this.env.drops.refuse(DropReason.Disposed, frame, this.name);
    this.queue = undefined;
    this.freeAt = Number.NEGATIVE_INFINITY;
  }

  /** Drops what has been sent and has not arrived. */
  private lose(reason: DropReason): void {
    this.lastDue = Number.NEGATIVE_INFINITY;
    for (const line of [this.passages, this.held]) {
      for (let frame = arrived(line); frame !== undefined; frame = arrived(line)) {
        this.env.drops.refuse(reason, frame, this.name);
      }
    }
  }

  private chance(probability: number): boolean {
    return probability > 0 && this.random.float() < probability;
  }

  private fails(frame: Frame): DropReason | undefined {
    const { maxFrame = Number.POSITIVE_INFINITY, loss = 0, burstLoss } = this.settings;
    if (this.cut) return DropReason.LinkPartition;
    if (frame.length > maxFrame) return DropReason.DeviceTooBig;
    if (this.chance(loss) || (burstLoss !== undefined && this.fades(burstLoss))) return DropReason.LinkLoss;
    return undefined;
  }

  private fades(burst: BurstLoss): boolean {
    if (this.chance(this.bad ? burst.recover : burst.fail)) this.bad = !this.bad;
    return this.chance(this.bad ? (burst.lossWhileBad ?? 1) : (burst.lossWhileGood ?? 0));
  }

  /** A copy with bits flipped: somebody else may hold the original. Nobody vouches for its checksum any more. */
  private corrupted(frame: Frame): Frame {
    const copy = this.env.pool.copy(frame);
    copy.checksum = ChecksumState.None;
    frame.release();
    const { bytes } = copy.slab;
    for (let i = 0; i < (this.settings.corruptBits ?? 1) && copy.length > 0; i++) {
      const bit = this.random.below(copy.length * 8);
      const at = copy.start + (bit >>> 3);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
    }
    return copy;
  }

  private transmit(frame: Frame): void {
    const now = this.env.timers.now();
    const { rate } = this.settings;
    if (rate === undefined && this.freeAt <= now && (this.queue?.frames ?? 0) === 0) return this.depart(frame, now);
    this.serve(now);
    this.queue ??= queueOf(queueOptions(this.settings), this.owner);
    // With nobody waiting the wire was idle until now.
    if (this.queue.frames === 0) this.freeAt = Math.max(this.freeAt, now);
    this.enqueue(this.queue, frame, now);
    this.serve(now);
  }

  private enqueue(queue: Queue, frame: Frame, now: number): void {
    const isIdle = queue.frames === 0 && this.freeAt <= now;
    queue.push(frame, now, this.settings.rate ?? UNLIMITED, isIdle);
  }

  /** Sends from the queue what the wire has begun to send by now. */
  private serve(now: number): void {
    const { queue } = this;
    if (queue === undefined) return;
    while (queue.frames > 0 && this.freeAt <= now) {
      // Frames leave the queue when the wire is free, which may be before we look.
      const frame = queue.pop(this.freeAt);
      if (frame === undefined) return;
      this.freeAt += (frame.length * 8 * 1000) / (this.settings.rate ?? UNLIMITED);
      this.depart(frame, this.freeAt);
    }
  }

  /** Puts a frame on its way that has been sent at `sentAt`. */
  private depart(frame: Frame, sentAt: number): void {
    if (this.cut) return this.env.drops.refuse(DropReason.LinkPartition, frame, this.name);
    const { delay = 0, jitter = 0, reorder = 0, reorderDelay = REORDER_DELAY } = this.settings;
    const late = jitter > 0 ? Math.max(0, delay + (this.random.float() * 2 - 1) * jitter) : delay;
    const due = Math.max(sentAt + late, this.lastDue);
    const order = this.order++;
    const { start, end } = frame;
    if (this.chance(reorder)) {
      const passage = { frame, start, end, due: due + reorderDelay, order };
      return this.held.insert(passage, (other) => isBefore(passage, other));
    }
    this.lastDue = due;
    this.passages.push({ frame, start, end, due, order });
  }

  /** The next frame to arrive. */
  private next(): Fifo<Passage> | undefined {
    const { first } = this.passages;
    const held = this.held.first;
    if (held === undefined) return first === undefined ? undefined : this.passages;
    return first !== undefined && isBefore(first, held) ? this.passages : this.held;
  }

  /** Hands on what has arrived. What is pushed meanwhile is handed on by the loop that runs already: the stack does not grow. */
  private run(): void {
    if (this.emitting) return;
    this.emitting = true;
    try {
      this.serve(this.env.timers.now());
      for (let line = this.next(); line !== undefined; line = this.next()) {
        if ((line.first?.due ?? 0) > this.env.timers.now()) break;
        const frame = arrived(line);
        if (frame === undefined) break;
        this.emit(frame);
      }
    } finally {
      this.emitting = false;
    }
    const due = this.next()?.first?.due ?? Number.POSITIVE_INFINITY;
    const served = (this.queue?.frames ?? 0) > 0 ? this.freeAt : Number.POSITIVE_INFINITY;
    this.timer.arm(Math.min(due, served));
  }
}
