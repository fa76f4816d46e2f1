/**
 * How long a processor of this machine that sleeps may take to wake up (PM QoS, Documentation/power/pm_qos_interface.rst). With 0 it does not sleep
 * where the kernel can have it wait awake instead: whoever waits for a packet on it, process or kernel, goes on at once. In a virtual machine
 * that is most of a round trip, as a virtual processor that sleeps has to be brought back by its host.
 */

import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { systemError } from './errno.js';
import type { Adaptive, Traffic } from './traffic.js';

const DEVICE = '/dev/cpu_dma_latency';
/** What everybody is content with who asks for nothing, in microseconds. */
const ANY = 2_000_000_000;
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
export class WakeLatency implements Adaptive {
  private readonly microseconds: number;
  private readonly request: LatencyRequest;
  private asked = false;

  /** @throws NetError as {@link LatencyRequest} does */
  constructor(microseconds: number, device?: string) {
    this.microseconds = microseconds;
    this.request = new LatencyRequest(device);
  }

  look({ turns, received, bytes }: Traffic): void {
    const times = Math.max(turns, 1);
    const few = bytes > 0 && received <= FEW_FRAMES * times && bytes <= FEW_BYTES * times;
    if (few === this.asked) return;
    this.asked = few;
    if (few) this.request.ask(this.microseconds);
    else this.request.withdraw();
  }

  close(): void {
    this.request.close();
  }
}
