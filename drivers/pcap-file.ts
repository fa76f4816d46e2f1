/**
 * A device made of files: what it receives is replayed from a capture, what it sends is written to another.
 *
 * Files are read and written synchronously, in pieces of 64 KiB that come from and go to the page cache: nothing waits in a
 * thread pool, and a replay in virtual time is as deterministic as the file.
 */

import { resolve } from 'node:path';
import { Observable } from 'rxjs';
import {
  type CaptureEnd,
  type CaptureRecord,
  type CaptureTime,
  captureTime,
  LinkType,
  linkTypeOf,
  mediumOf,
} from '../lib/capture/capture.js';
import { MacAddress } from '../lib/core/address.js';
import { type Device, type DeviceFeatures, type Medium, NO_FEATURES } from '../lib/core/device.js';
import { DropReason } from '../lib/core/drops.js';
import type { Env } from '../lib/core/env.js';
import { UsageError } from '../lib/core/errors.js';
import type { Frame, RxFrame, TxFrame } from '../lib/core/frame.js';
import type { Timer } from '../lib/core/timers.js';
import { type CaptureFileOptions, CaptureFileReader, CaptureFileWriter } from './capture-file.js';
import { Intake, longestLinkHeader, Outlet, refuse, unhandled } from './port.js';

/** Records delivered before the event loop gets control again. */
const BATCH = 256;
const MAX_MTU = 65_535;
const OPERATOR = 'pcap-file';
const DEFAULT_MAC = 0x02_00_5e_00_53_01;

/** Where sent packets are written. */
export type PcapFileWrite = Omit<CaptureFileOptions, 'linkType' | 'interfaceName' | 'onError'>;

/** Options of {@link openPcapFile}; at least one of `read` and `write`. */
export interface PcapFileOptions {
  /** The capture to replay. */
  readonly read?: string;
  readonly write?: string | PcapFileWrite;
  /** `original`: with the gaps that the capture has; `immediate` (default): as fast as it is taken. */
  readonly timing?: 'original' | 'immediate';
  /** With original timing: how many times faster than it was; default 1. */
  readonly speed?: number;
  /** Which records to replay; default all. */
  readonly filter?: (record: CaptureRecord) => boolean;
  /** Default `pcap-file`. */
  readonly name?: string;
  readonly mac?: MacAddress | string;
  /** Default and most: 65,535. */
  readonly mtu?: number;
  /** Default: the medium of the file that is read, else Ethernet. */
  readonly medium?: Medium;
  readonly env: Env;
}

/**
 * A {@link Device} of files, made by {@link openPcapFile}.
 *
 * `frames$` is hot, as any device's: its one replay starts with the first subscription, later ones see the rest, and while
 * nobody listens it waits, also with its clock. It completes at the end of the file (or at `close()`); a truncated tail is
 * the end, a broken file or a failing read or write is an error. Sent packets carry the time of `env`.
 */
export class PcapFileDevice implements Device {
  readonly name: string;
  readonly mac: MacAddress;
  readonly mtu: number;
  readonly medium: Medium;
  readonly features: DeviceFeatures = NO_FEATURES;
  readonly frames$: Observable<RxFrame>;
  readonly sink: { next(frame: TxFrame): void; error(error: unknown): void; complete(): void };
  /** How the file that is replayed ended, once it has. */
  end: CaptureEnd | undefined = undefined;
  private readonly env: Env;
  private readonly intake: Intake;
  private readonly outlet: Outlet;
  private readonly replay: CaptureFileReader | undefined;
  private readonly filter: ((record: CaptureRecord) => boolean) | undefined;
  private readonly timer: Timer;
  /** Milliseconds of our clock per millisecond of the capture. */
  private readonly pace: number;
  private pending: CaptureRecord | undefined = undefined;
  /** The time of the capture that was delivered at `started` of our clock. */
  private origin: CaptureTime | undefined = undefined;
  private started = 0;
  private done = false;
  private readonly file: CaptureFileWriter | undefined;
  private closing: Promise<void> | undefined = undefined;

  /** Use {@link openPcapFile}. */
  constructor(options: PcapFileOptions) {
    const { env, mtu = MAX_MTU } = options;
    const mac = MacAddress.of(options.mac ?? new MacAddress(DEFAULT_MAC));
    this.env = env;
    this.name = options.name ?? OPERATOR;
    this.mtu = mtu;
    this.pace = options.timing === 'original' ? 1 / (options.speed ?? 1) : 0;
    this.filter = options.filter;
    this.replay = options.read === undefined ? undefined : new CaptureFileReader(options.read);
    try {
      this.medium = options.medium ?? this.firstMedium() ?? 'ethernet';
      const write = typeof options.write === 'string' ? { path: options.write } : options.write;
      const linkType = linkTypeOf(this.medium);
      const onError = (error: Error) => this.fail(error);
      this.file = write && new CaptureFileWriter({ ...write, linkType, interfaceName: this.name, onError });
    } catch (error) {
      this.replay?.close();
      throw error;
    }
    this.mac = this.medium === 'ethernet' ? mac : MacAddress.ZERO;
    this.timer = env.timers.timer(() => this.deliver());
    this.intake = new Intake(this, env);
    this.outlet = new Outlet(this, env, (frame) => this.write(frame));
    this.frames$ = new Observable((subscriber) => {
      const subscription = this.intake.frames$.subscribe(subscriber);
      this.wake();
      return () => {
        subscription.unsubscribe();
        if (!this.intake.observed) this.rest();
      };
    });
    this.sink = {
      next: (frame) => this.send(frame),
      error: unhandled,
      complete: () => this.file?.flush(),
    };
  }

  /** Ends the replay, completes `frames$`, writes what is outstanding. Rejects where writing failed, now or before. */
  close(): Promise<void> {
    this.closing ??= new Promise((done) => {
      this.stop();
      this.intake.complete();
      this.file?.close();
      done();
    });
    return this.closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private firstMedium(): Medium | undefined {
    if (this.replay === undefined) return undefined;
    const first = this.replay.next();
    if (typeof first === 'object') this.pending = first;
    else this.end = first;
    const linkType = this.pending?.linkType ?? this.replay.reader.interfaces[0]?.linkType ?? LinkType.Ethernet;
    const medium = mediumOf(linkType);
    if (medium === undefined) throw new UsageError('ERR_UNSUPPORTED', `cannot replay packets of link type ${linkType}`);
    return medium;
  }

  private wake(): void {
    if (this.replay === undefined || this.done || this.timer.armed) return;
    this.timer.arm(this.pending === undefined ? this.env.timers.now() : this.due(this.pending));
  }

  /** Nobody listens: the clock of the capture stands still. */
  private rest(): void {
    this.timer.cancel();
    this.origin = undefined;
  }

  private stop(): void {
    this.done = true;
    this.timer.cancel();
    this.pending = undefined;
    this.replay?.close();
  }

  private fail(error: unknown): void {
    this.stop();
    this.intake.fail(error);
  }

  /** When a record is to be delivered; the first one sets the clock. */
  private due(record: CaptureRecord): number {
    const now = this.env.timers.now();
    if (this.pace === 0 || record.untimed) return now;
    if (this.origin === undefined) {
      this.origin = record;
      this.started = now;
    }
    const seconds = record.seconds - this.origin.seconds;
    const nanoseconds = record.nanoseconds - this.origin.nanoseconds;
    return this.started + (seconds * 1000 + nanoseconds / 1e6) * this.pace;
  }

  private deliver(): void {
    const { timers } = this.env;
    const now = timers.now();
    for (let left = BATCH; this.intake.observed && !this.done; left--) {
      const record = this.pending ?? this.take();
      if (record === undefined) return;
      this.pending = record;
      const due = this.due(record);
      if (due > now || left === 0) {
        this.timer.arm(Math.max(due, now));
        return;
      }
      this.pending = undefined;
      if (this.wanted(record)) this.hand(record, now);
    }
  }

  /** The next record, or nothing where the file is at its end or broken. */
  private take(): CaptureRecord | undefined {
    try {
      const next = this.end ?? this.replay?.next();
      if (typeof next === 'object') return next;
      this.end = next;
      this.stop();
      this.intake.complete();
    } catch (error) {
      this.fail(error);
    }
    return undefined;
  }

  private wanted(record: CaptureRecord): boolean {
    const { drops } = this.env;
    try {
      if (this.filter?.(record) === false) return false;
    } catch {
      drops.report(DropReason.CallbackThrew, undefined, OPERATOR);
      return false;
    }
    const fits = record.data.length <= MAX_MTU + longestLinkHeader(this.medium);
    const ours = mediumOf(record.linkType) === this.medium;
    if (!ours) drops.report(DropReason.DeviceOtherMedium, undefined, OPERATOR);
    else if (!fits) drops.report(DropReason.DeviceTooBig, undefined, OPERATOR);
    return ours && fits;
  }

  private hand(record: CaptureRecord, now: number): void {
    const { pool } = this.env;
    const frame = pool.alloc(record.data.length);
    frame.slab.bytes.set(record.data, frame.put(record.data.length));
    this.intake.deliver(frame, now);
  }

  private send(frame: TxFrame): void {
    if (this.writable) this.outlet.next(frame);
    else refuse(this.env, DropReason.DeviceDown, frame, OPERATOR);
  }

  private get writable(): boolean {
    return this.file !== undefined && this.closing === undefined && !this.file.failed;
  }

  private write(frame: Frame): void {
    try {
      this.file?.write({ ...captureTime(this.env.timers.now()), data: frame.bytes(), direction: 'outbound' });
    } finally {
      frame.release();
    }
  }
}

/**
 * Opens a device that replays one capture file and writes another.
 *
 * @example
 * ```ts
 * await using device = openPcapFile({ read: 'in.pcapng', write: 'out.pcapng', timing: 'original', speed: 10, env });
 * device.frames$.pipe(host({ addresses: ['10.0.0.2/24'] }, env)).subscribe(device.sink);
 * ```
 *
 * @throws UsageError `ERR_INVALID_OPTION`; `ERR_BAD_CAPTURE` if the first packet cannot be read or the file to append to is
 * of another kind; `ERR_UNSUPPORTED` for link types other than Ethernet and raw IP; or the error of the file system
 */
export function openPcapFile(options: PcapFileOptions): PcapFileDevice {
  const { read, speed = 1, mtu = MAX_MTU } = options;
  const write = typeof options.write === 'string' ? options.write : options.write?.path;
  const wrong = (what: string) => new UsageError('ERR_INVALID_OPTION', what);
  if (read === undefined && write === undefined) throw wrong('give a file to read, to write, or both');
  if (read !== undefined && write !== undefined && resolve(read) === resolve(write)) {
    throw wrong('cannot write the file that is read');
  }
  if (!(speed > 0 && speed < Number.POSITIVE_INFINITY)) throw wrong(`speed must be above 0, not ${speed}`);
  if (!Number.isInteger(mtu) || mtu < 68 || mtu > MAX_MTU) throw wrong(`mtu must be 68 to ${MAX_MTU}, not ${mtu}`);
  return new PcapFileDevice(options);
}
