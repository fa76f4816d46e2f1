/**
 * How long a processor of this machine that sleeps may take to wake up (PM QoS, Documentation/power/pm_qos_interface.rst). With 0 it does not sleep
 * where the kernel can have it wait awake instead: whoever waits for a packet on it, process or kernel, goes on at once. In a virtual machine
 * that is most of a round trip, as a virtual processor that sleeps has to be brought back by its host.
 */

import { closeSync, constants, openSync, writeSync } from 'node:fs';
import type { Timer, Timers } from '../../lib/core/timers.js';
import { systemError } from './errno.js';

const DEVICE = '/dev/cpu_dma_latency';
/** What everybody is content with who asks for nothing, in microseconds. */
const ANY = 2_000_000_000;
/** How often it is decided, while there is traffic, in milliseconds. */
const INTERVAL = 10;
/** On average of the times that frames came; more is a matter of throughput. */
const FEW_FRAMES = 4;
const FEW_BYTES = 16_384;

/** What one asks the kernel for. Whoever asks for the least is heeded; what was asked for ends with the process, whatever becomes of it. */
export class LatencyRequest {
  private readonly fd: number;
  private readonly wanted = new Int32Array(1);

  /**
   * Asks for nothing yet.
   *
   * @throws NetError `EACCES` without permission (it is root's), `ENODEV` where the kernel has no such thing
   */
  constructor(device: string = DEVICE) {
    try {
      this.fd = openSync(device, constants.O_WRONLY);
    } catch (error) {
      const { errno = 0 } = error as NodeJS.ErrnoException;
      throw systemError(-errno, 'open', 'cannot ask for processors that wake up sooner');
    }
  }

  /** Microseconds. */
  ask(microseconds: number): void {
    this.wanted[0] = microseconds;
    writeSync(this.fd, this.wanted);
  }

  withdraw(): void {
    this.ask(ANY);
  }

  close(): void {
    closeSync(this.fd);
  }
}

/**
 * Asks for so much while packets come a few at a time. Where many come at once, or much in each, no processor sleeps for long, and one that waits awake may take
 * from the other what both have together: then nothing is asked for.
 */
export class WakeLatency {
  private readonly microseconds: number;
  private readonly request: LatencyRequest;
  private readonly timers: Timers;
  private readonly timer: Timer;
  private open = true;
  private asked = false;
  // Since the last look: how often frames came, how many, and bytes both ways.
  private turns = 0;
  private frames = 0;
  private bytes = 0;

  /** @throws NetError as {@link LatencyRequest} does */
  constructor(microseconds: number, timers: Timers, device?: string) {
    this.microseconds = microseconds;
    this.request = new LatencyRequest(device);
    this.timers = timers;
    this.timer = timers.timer((own) => own.look(), this as WakeLatency);
  }

  /** So much came at once. */
  received(frames: number, bytes: number): void {
    this.turns++;
    this.frames += frames;
    this.bytes += bytes;
    if (!this.timer.armed) this.lookLater();
  }

  /** So much was sent. */
  sent(bytes: number): void {
    this.bytes += bytes;
    if (!this.timer.armed) this.lookLater();
  }

  /** Traffic of a batch that was under way may still be told of. */
  close(): void {
    this.open = false;
    this.timer.cancel();
    this.request.close();
  }

  private look(): void {
    const turns = Math.max(this.turns, 1);
    const any = this.bytes > 0;
    const few = any && this.frames <= FEW_FRAMES * turns && this.bytes <= FEW_BYTES * turns;
    this.turns = this.frames = this.bytes = 0;
    if (few !== this.asked) {
      this.asked = few;
      if (few) this.request.ask(this.microseconds);
      else this.request.withdraw();
    }
    if (any) this.lookLater();
  }

  private lookLater(): void {
    if (this.open) this.timer.arm(this.timers.now() + INTERVAL);
  }
}
