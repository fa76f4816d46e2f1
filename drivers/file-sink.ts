/** A file that bytes are appended to: gathered, and written in order at the end of the microtask or when enough have come. */

import { closeSync, constants, ftruncateSync, openSync, writeSync } from 'node:fs';
import type { ByteSink } from '../lib/capture/capture.js';

const GATHER = 65_536;

/** Options of {@link FileSink}. */
export interface FileSinkOptions {
  /** Keep this many bytes of the file that is there, and write behind them; default 0. */
  readonly keep?: number;
  /** Told once, from a microtask, when a write fails. From then on nothing is written. */
  readonly onError?: (error: Error) => void;
}

/**
 * Writes to a file through the page cache, synchronously but seldom: memory stays bounded, and order needs no queue.
 */
export class FileSink implements ByteSink {
  private readonly file: number;
  private readonly onError: ((error: Error) => void) | undefined;
  private readonly gathered = new Uint8Array(GATHER);
  private length = 0;
  private scheduled = false;
  private closed = false;
  private failure: Error | undefined = undefined;

  /** @throws the error of the file system, if the file cannot be opened */
  constructor(path: string, options: FileSinkOptions = {}) {
    const { keep = 0 } = options;
    this.onError = options.onError;
    // Emptied only after it is open, so that a failing open leaves it as it was.
    this.file = openSync(path, constants.O_WRONLY | constants.O_CREAT | (keep > 0 ? constants.O_APPEND : 0), 0o666);
    try {
      ftruncateSync(this.file, keep);
    } catch (error) {
      // Devices and pipes have nothing to empty: EINVAL.
      if (keep > 0 || (error as NodeJS.ErrnoException).code !== 'EINVAL') {
        closeSync(this.file);
        throw error;
      }
    }
  }

  /** Whether a write failed. */
  get failed(): boolean {
    return this.failure !== undefined;
  }

  write(bytes: Uint8Array): void {
    if (this.closed || this.failed) return;
    if (this.length + bytes.length > GATHER) this.put();
    if (bytes.length > GATHER) {
      this.attempt(bytes);
      return;
    }
    this.gathered.set(bytes, this.length);
    this.length += bytes.length;
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      this.put();
    });
  }

  /** Hands everything to the operating system. */
  flush(): void {
    this.put();
  }

  /** Flushes and closes. @throws the first error of the file system, also one of an earlier write */
  close(): void {
    if (this.closed) return;
    this.put();
    this.closed = true;
    closeSync(this.file);
    if (this.failure !== undefined) throw this.failure;
  }

  private put(): void {
    if (this.length === 0 || this.closed) return;
    const { length } = this;
    this.length = 0;
    this.attempt(this.gathered.subarray(0, length));
  }

  private attempt(bytes: Uint8Array): void {
    if (this.failed) return;
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.file, bytes, at);
    } catch (error) {
      const failure = error as Error;
      this.failure = failure;
      queueMicrotask(() => this.onError?.(failure));
    }
  }
}
