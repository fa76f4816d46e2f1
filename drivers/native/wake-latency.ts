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
/** Without traffic for so long, nothing is asked for any more, in milliseconds; at most twice that passes. */
const QUIET = 10;

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

/** Asks for so much while there is traffic. */
export class WakeLatency {
  private readonly microseconds: number;
  private readonly request: LatencyRequest;
  private readonly timers: Timers;
  private readonly timer: Timer;
  private asked = false;
  private busy = false;

  /** @throws NetError as {@link LatencyRequest} does */
  constructor(microseconds: number, timers: Timers, device?: string) {
    this.microseconds = microseconds;
    this.request = new LatencyRequest(device);
    this.timers = timers;
    this.timer = timers.timer((own) => own.look(), this as WakeLatency);
  }

  /** There was traffic. */
  extend(): void {
    this.busy = true;
    if (!this.asked) this.begin();
  }

  close(): void {
    this.timer.cancel();
    this.request.close();
  }

  private begin(): void {
    this.asked = true;
    this.request.ask(this.microseconds);
    this.look();
  }

  private look(): void {
    if (this.busy) {
      this.busy = false;
      this.timer.arm(this.timers.now() + QUIET);
    } else {
      this.asked = false;
      this.request.withdraw();
    }
  }
}
