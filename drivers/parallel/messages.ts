/** What the thread that called `parallel()` and its workers tell each other. */

import type { DeviceShare } from '../../lib/core/device.js';
import type { TapOptions } from '../tap.js';
import type { TunOptions } from '../tun.js';
import type { ExchangeLines } from './exchange.js';

/** The device that all workers share. */
export type ParallelDevice =
  | (Omit<TapOptions, 'multiQueue' | 'onOpen'> & { readonly kind: 'tap' })
  | (Omit<TunOptions, 'multiQueue' | 'onOpen'> & { readonly kind: 'tun' });

/** Numbers, and records of them. */
export interface Counters {
  readonly [name: string]: number | Counters;
}

/** What each worker is given when it is made. */
export interface WorkerSettings {
  /** URL of the user's module. */
  readonly module: string;
  readonly device: ParallelDevice;
  readonly namespace: string | undefined;
  readonly share: DeviceShare;
  readonly lines: ExchangeLines;
  /** How many workers have their device open; a thread must not end before its own is closed. */
  readonly open: SharedArrayBuffer;
  readonly steer: boolean;
  readonly drop: boolean;
  readonly data: unknown;
}

/** What the first worker found out when it opened the device, for the others. */
export interface OpenedDevice {
  readonly name: string;
  readonly mac: string;
}

export type ToWorker =
  | { readonly kind: 'start'; readonly opened: OpenedDevice | undefined }
  | { readonly kind: 'stats'; readonly request: number }
  | { readonly kind: 'stop' }
  /** The process ends: there is no time for more than to close the device. */
  | { readonly kind: 'shut' };

export type FromWorker =
  | { readonly kind: 'started'; readonly opened: OpenedDevice }
  | { readonly kind: 'stats'; readonly request: number; readonly stats: Counters }
  | { readonly kind: 'failed'; readonly error: unknown };
