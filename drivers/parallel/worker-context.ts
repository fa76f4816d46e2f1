/** What a worker of `parallel()` has: a queue of the shared device, and where it stands among the others. */

import type { Device } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import { UsageError } from '../../lib/core/errors.js';
import { dropCapabilities } from '../native/capabilities.js';
import { inNamespace } from '../native/namespace.js';
import { steer } from '../native/steering.js';
import { openTap } from '../tap.js';
import { openTun } from '../tun.js';
import type { Counters, OpenedDevice, ParallelDevice, WorkerSettings } from './messages.js';
import { SharedDevice } from './shared-device.js';

/** What the `start` function of a worker's module is called with. */
export interface WorkerContext<Data = unknown> {
  /** Number of this worker, from 0, and how many there are. */
  readonly index: number;
  readonly of: number;
  /** What the option `data` of `parallel()` was, copied. */
  readonly data: Data;
  /**
   * Opens this worker's queue of the device, once. Name and addresses are the same for all workers.
   *
   * @throws NetError what opening such a device throws; UsageError `ERR_INVALID_STATE` when called again
   */
  readonly open: (env: Env) => Device;
}

/** What runs in a worker, as far as others need to know. A `Host` is one. */
export interface WorkerProgram {
  /** Numbers, to be added to those of the other workers. */
  stats?(): object;
  /** Called before the device is closed. */
  close?(): unknown;
}

/** What a worker's module exports: `export function start(context) { ... }`. */
export type WorkerStart<Data = unknown> = (
  context: WorkerContext<Data>,
) => WorkerProgram | undefined | void | Promise<WorkerProgram | undefined | void>;

/** The context of this thread. */
export class Context implements WorkerContext {
  readonly index: number;
  readonly of: number;
  readonly data: unknown;
  device: SharedDevice | undefined = undefined;
  /** Whether the kernel steers as we do; only the first worker asks it to. */
  private steered = false;
  private isShut = false;
  private readonly openDevices: Int32Array;
  private readonly settings: WorkerSettings;
  private readonly opened: OpenedDevice | undefined;

  constructor(settings: WorkerSettings, opened: OpenedDevice | undefined) {
    this.settings = settings;
    this.opened = opened;
    this.index = settings.share.index;
    this.of = settings.share.of;
    this.data = settings.data;
    this.openDevices = new Int32Array(settings.open);
  }

  readonly open = (env: Env): Device => {
    if (this.device !== undefined) throw new UsageError('ERR_INVALID_STATE', 'a worker opens its device once');
    const { namespace, share, lines, drop } = this.settings;
    const open = () => this.openQueue(env);
    const queue = namespace === undefined ? open() : inNamespace(namespace, open);
    this.device = new SharedDevice(queue, share, lines, env);
    Atomics.add(this.openDevices, 0, 1);
    if (drop) dropCapabilities();
    return this.device;
  };

  /** Closes the device, before it returns. */
  shut(): void {
    if (this.device === undefined || this.isShut) return;
    this.isShut = true;
    void this.device.close();
    Atomics.sub(this.openDevices, 0, 1);
    Atomics.notify(this.openDevices, 0);
  }

  /** Counters of the device. */
  get counters(): Counters {
    return { steered: this.steered ? 1 : 0, ...this.device?.stats };
  }

  private openQueue(env: Env): Device {
    const options = this.options();
    const onOpen = (fd: number): void => {
      const { share, steer: wanted } = this.settings;
      if (wanted && share.index === 0) this.steered = steer(fd, share);
    };
    return options.kind === 'tap'
      ? openTap({ ...options, multiQueue: true, onOpen }, env)
      : openTun({ ...options, multiQueue: true, onOpen }, env);
  }

  /** The first worker sets the kernel's side; the others join what it opened. */
  private options(): ParallelDevice {
    const { device } = this.settings;
    const { opened } = this;
    if (opened === undefined) return device;
    const { name, mac } = opened;
    if (device.kind === 'tun') return { ...device, name, peer: [], up: false };
    const { peerMac: _, ...rest } = device;
    return { ...rest, name, mac, peer: [], up: false };
  }
}
