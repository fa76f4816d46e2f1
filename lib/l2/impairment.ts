/**
 * An imperfect wire, in one direction: what it does to frames before it hands them on. Pure: time and chance come from the
 * environment, so that a seed reproduces a run. The in-memory link is made of it, and so are the operators that put it between
 * a device and a host.
 *
 * A frame passes, in this order: partition, length, loss (uniform, then in bursts), corruption, duplication, the queue and the
 * rate, delay and jitter, holding back. It leaves out what a wire does not do: fragment, or look into the frame.
 */

import { DropReason } from '../core/drops.js';
import type { Env } from '../core/env.js';
import { UsageError } from '../core/errors.js';
import type { Frame } from '../core/frame.js';
import { type Random, SeededRandom } from '../core/random.js';
import type { Timer } from '../core/timers.js';

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
  /** Frames that may wait for a wire of limited rate. Default 1000. */
  readonly queueFrames?: number;
  /** Bytes that may wait for it. Default no limit. */
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
const QUEUE_FRAMES = 1000;
const REORDER_DELAY = 5;

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
}

/** A frame on its way. */
interface Passage {
  readonly frame: Frame;
  readonly due: number;
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
  private passages: Passage[] = [];
  /** When the last frame that was not held back arrives: no later one arrives before. */
  private lastDue = Number.NEGATIVE_INFINITY;
  /** When the wire has sent what it was given, and the frames that it has not begun to send: start of sending, length. */
  private freeAt = Number.NEGATIVE_INFINITY;
  private waiting: { readonly starts: number; readonly length: number }[] = [];
  private waitingBytes = 0;

  /**
   * @param emit takes over the reference of the frame that it is given
   * @param name says in drop reports where frames got lost
   * @throws UsageError `ERR_INVALID_OPTION`
   */
  constructor(impairments: Impairments, env: Env, emit: (frame: Frame) => void, name = 'impair') {
    check(impairments);
    this.settings = impairments;
    this.env = env;
    this.emit = emit;
    this.name = name;
    this.random = impairments.seed === undefined ? env.random : new SeededRandom(impairments.seed);
    this.timer = env.timers.timer(() => this.drain());
  }

  /** Frames on their way. */
  get inFlight(): number {
    return this.passages.length;
  }

  /** Changes what is wrong with the wire; frames on their way keep their times. @throws UsageError `ERR_INVALID_OPTION` */
  set(impairments: Impairments): void {
    check(impairments);
    if (impairments.seed !== undefined && impairments.seed !== this.settings.seed) {
      this.random = new SeededRandom(impairments.seed);
    }
    this.settings = impairments;
  }

  /** Cuts the wire: what is on its way is lost as well. */
  partition(): void {
    this.cut = true;
  }

  heal(): void {
    this.cut = false;
  }

  /** Sends a frame, and takes over its reference. */
  push(frame: Frame): void {
    const lost = this.fails(frame);
    if (lost !== undefined) return this.env.drops.refuse(lost, frame, this.name);
    const { corrupt = 0, duplicate = 0 } = this.settings;
    const sent = this.chance(corrupt) ? this.corrupted(frame) : frame;
    const second = this.chance(duplicate) ? this.env.pool.copy(sent) : undefined;
    this.transmit(sent);
    if (second !== undefined) this.transmit(second);
    this.drain();
  }

  /** Drops what is on its way. The wire may be used again. */
  dispose(): void {
    this.timer.cancel();
    for (const { frame } of this.passages.splice(0)) this.env.drops.refuse(DropReason.Disposed, frame, this.name);
    this.waiting = [];
    this.waitingBytes = 0;
    this.lastDue = this.freeAt = Number.NEGATIVE_INFINITY;
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

  /** A copy with bits flipped: somebody else may hold the original. */
  private corrupted(frame: Frame): Frame {
    const copy = this.env.pool.copy(frame);
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
    const { delay = 0, jitter = 0, reorder = 0, reorderDelay = REORDER_DELAY } = this.settings;
    const sentAt = this.departure(frame);
    if (sentAt === undefined) return this.env.drops.refuse(DropReason.LinkQueueFull, frame, this.name);
    const late = jitter > 0 ? Math.max(0, delay + (this.random.float() * 2 - 1) * jitter) : delay;
    const due = Math.max(sentAt + late, this.lastDue);
    if (this.chance(reorder)) return this.insert({ frame, due: due + reorderDelay });
    this.lastDue = due;
    this.insert({ frame, due });
  }

  /** When the wire will have sent the frame, or `undefined` if its queue is full. */
  private departure(frame: Frame): number | undefined {
    const now = this.env.timers.now();
    const { rate, queueFrames = QUEUE_FRAMES, queueBytes = Number.POSITIVE_INFINITY } = this.settings;
    if (rate === undefined) return now;
    while ((this.waiting[0]?.starts ?? Number.POSITIVE_INFINITY) <= now) {
      this.waitingBytes -= this.waiting.shift()?.length ?? 0;
    }
    const starts = Math.max(now, this.freeAt);
    const { length } = frame;
    if (starts > now) {
      if (this.waiting.length >= queueFrames || this.waitingBytes + length > queueBytes) return undefined;
      this.waiting.push({ starts, length });
      this.waitingBytes += length;
    }
    this.freeAt = starts + (length * 8 * 1000) / rate;
    return this.freeAt;
  }

  /** Keeps the passages in order of arrival; those of one moment, in order of sending. */
  private insert(passage: Passage): void {
    const { passages } = this;
    let at = passages.length;
    while (at > 0 && (passages[at - 1]?.due ?? 0) > passage.due) at--;
    passages.splice(at, 0, passage);
  }

  /** Hands on what has arrived. What is pushed meanwhile is handed on by the loop that runs already: the stack does not grow. */
  private drain(): void {
    if (this.emitting) return;
    this.emitting = true;
    try {
      for (let next = this.passages[0]; next !== undefined; next = this.passages[0]) {
        if (next.due > this.env.timers.now()) break;
        this.passages.shift();
        if (this.cut) this.env.drops.refuse(DropReason.LinkPartition, next.frame, this.name);
        else this.emit(next.frame);
      }
    } finally {
      this.emitting = false;
    }
    const [head] = this.passages;
    if (head !== undefined) this.timer.arm(head.due);
  }
}
