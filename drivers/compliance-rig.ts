/** What the tests of a driver need to be given. */

import type { Device } from '../lib/core/device.js';
import type { Env } from '../lib/core/env.js';
import type { TxFrame } from '../lib/core/frame.js';

/** The functions of the test framework. */
export interface TestFramework {
  describe(title: string, body: () => void): void;
  it(title: string, test: () => Promise<void>): void;
}

/** A device under test, and the far end of its wire. */
export interface Rig {
  readonly device: Device;
  /** The environment that the device was made with; its pool holds no frames of others. */
  readonly env: Env;
  /** Makes the device receive this frame, at some time before `settle` resolves. Left out: the device only sends. */
  inject?(bytes: Uint8Array): void | Promise<void>;
  /**
   * Makes the far end send this frame, whose metadata may leave checksum and segmentation undone, and takes its reference over. Left out: the
   * far end has no such means.
   */
  injectFrame?(frame: TxFrame): void | Promise<void>;
  /** The frames that the device has sent so far, as the far end got them on its wire: complete, and of the MTU's size. Left out: nobody can look. */
  sent?(): readonly Uint8Array[] | Promise<readonly Uint8Array[]>;
  /** Resolves when what is under way has arrived: lets time pass, real or virtual. */
  settle(): Promise<void>;
  /** Makes the device fail, as far as that can be done. */
  fail?(): void | Promise<void>;
  /** Timers that are still armed, where that can be told. */
  pendingTimers?(): number;
  /** Frees what the test made, after the device was closed. */
  dispose?(): void | Promise<void>;
}

/** One requirement: its title, what shows that a device keeps it, and what it takes of the rig. */
export type Requirement = readonly [title: string, test: (rig: Rig) => Promise<void>, needs?: readonly (keyof Rig)[]];
