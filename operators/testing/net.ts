import { writeFileSync } from 'node:fs';
import { deepStrictEqual } from 'node:assert/strict';
import type { Observable } from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import type { Device } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import { type Frame, FramePool, type RxFrame } from '../../lib/core/frame.js';
import { PacketNotation } from '../../lib/text/notation.js';
import type { NotationOptions } from '../../lib/text/notation-context.js';
import { environment } from '../time/environment.js';
import { TimerWheel } from '../time/timer-wheel.js';
import { expectDrops, type DropExpectation } from './expect-drops.js';
import { expectTx, type PacketLine, type TxExpectation } from './expect-tx.js';
import type { Legend } from './marbles.js';
import { receive } from './receive.js';
import { testDevice, type TestDeviceOptions } from './test-device.js';
import { Recording } from './recording.js';
import { TestRun } from './test-run.js';

/**
 * Options of {@link net}: whose addresses packets have that do not say (`version: 6`, or `local` and `remote`), and what happens around the
 * test.
 */
export interface NetOptions extends NotationOptions {
  /** Seed of `env.random`; default 1. */
  readonly seed?: number;
  /** Overwrite released frames with 0xdb, so that a stale view shows; default true. */
  readonly poison?: boolean;
  /** Run on for this many milliseconds where the diagrams end earlier. */
  readonly until?: number;
  /** Where a run that fails leaves its packets as pcapng: a file name, or a function that is given the bytes. */
  readonly pcapng?: string | ((file: Uint8Array) => void);
}

/** What a test is given. */
export interface NetHelpers {
  /**
   * Frames that come in, `from` a device if there are several: each built when it is due, delivered as a driver does, that is valid during
   * `next`, then released.
   */
  readonly rx: (marbles: string, legend?: Legend<PacketLine | Uint8Array>, from?: Device) => Observable<RxFrame>;
  /** Subscribes to what goes out, from the start (or as the subscription marbles say), and takes it as a device's sink does. */
  readonly expectTx: (stream$: Observable<Frame>, subscription?: string) => TxExpectation;
  /** The drops of `env`. */
  readonly expectDrops: () => DropExpectation;
  /** The environment to give to operators: virtual time, seeded random numbers, a poisoned pool. */
  readonly env: Env;
  /** A device for what is built on one, a host say; its MAC address is the notation's local one. */
  readonly device: (options?: TestDeviceOptions) => Device;
  readonly notation: PacketNotation;
  /** The scheduler of `env`, for what RxJS offers: `createHotObservable`, `createTime`, `expectObservable`. */
  readonly scheduler: TestScheduler;
}

/**
 * Runs a packet marble test in virtual time. One character of a diagram is a millisecond; ` 50ms ` and ` 2s ` pass time at once.
 *
 * The run ends where the longest diagram ends. Then everything is unsubscribed, and the test fails unless packets and drops are
 * the expected ones, every frame was released and no timer is left.
 *
 * @example
 * ```ts
 * net(({ rx, expectTx, expectDrops, env }) => {
 *   const in$ = rx('         --e--x--|', {
 *     e: '< icmp echo_request id 7 seq 1 (56)',
 *     x: '< icmp echo_request id 7 seq 2 (56) bad-checksum',
 *   });
 *   expectTx(in$.pipe(pipeline(env))).toBe('--r-----|', { r: '> icmp echo_reply id 7 seq 1 (56)' });
 *   expectDrops().toBe('          -----d--', { d: 'icmpv4-bad-checksum' });
 * });
 * ```
 *
 * @throws MarbleMismatch with a diff of canonical lines
 */
export function net(test: (helpers: NetHelpers) => void, options: NetOptions = {}): void {
  const scheduler = new TestScheduler((actual, expected) => deepStrictEqual(actual, expected));
  const pool = new FramePool({ poison: options.poison ?? true });
  const notation = new PacketNotation(options);
  scheduler.run(({ flush }) => {
    const env = environment({ scheduler, seed: options.seed ?? 1, pool });
    const { timers } = env;
    const recording = new Recording(notation.context);
    const run = new TestRun(scheduler, env, notation, recording);
    if (options.until !== undefined) run.lastUntil(options.until);
    test({
      rx: (marbles, legend = {}, from) => receive(run, marbles, legend, from),
      expectTx: (stream$, subscription) => expectTx(run, stream$, subscription),
      expectDrops: () => expectDrops(run),
      env,
      device: (deviceOptions) => testDevice(notation.context, deviceOptions),
      notation,
      scheduler,
    });
    try {
      run.finish(flush, () => (timers instanceof TimerWheel ? timers.pending : 0));
    } catch (error) {
      save(recording, options.pcapng);
      throw error;
    }
  });
}

function save(recording: Recording, target: NetOptions['pcapng']): void {
  if (typeof target === 'string') writeFileSync(target, recording.toPcapng());
  else target?.(recording.toPcapng());
}
