/** What a seed makes of a pair of TCP hosts: the pipe between them, their options, what the applications do, and how the connection ends. */

import type { IpVersion } from '../../../../lib/core/address.js';
import { SeededRandom } from '../../../../lib/core/random.js';
import type { TcpConnectionOptions } from '../../../../lib/l4/tcp/api.js';
import { ECN_MODES } from '../../../../lib/l4/tcp/ecn.js';
import type { TcpOptions } from '../../../../lib/l4/tcp/options.js';
import type { PeerPlan } from '../../../operators/stack/peer.js';
import { bytesOf } from '../../../operators/stack/transfer.js';
import type { Carry } from './pair.js';

/** How a connection begins and ends. */
export type Course = 'regular' | 'simultaneous open' | 'simultaneous close' | 'half-close' | 'abort' | 'close unread';

/** One end. */
export interface ScenarioSide {
  readonly tcp: TcpOptions;
  readonly options: TcpConnectionOptions;
  readonly plan: PeerPlan;
}

/** See the module. */
export interface Scenario {
  readonly course: Course;
  readonly mtu: number;
  readonly carry: Carry;
  /** Data go with the SYN. */
  readonly fastOpen: boolean;
  readonly sides: readonly [ScenarioSide, ScenarioSide];
}

const COURSES: readonly Course[] = [
  ...Array<Course>(8).fill('regular'),
  'simultaneous open',
  'simultaneous close',
  'half-close',
  'half-close',
  'abort',
  'close unread',
];
/** Sizes of buffers, in bytes. */
export const WINDOWS: readonly number[] = [
  1,
  2,
  7,
  100,
  535,
  1460,
  2000,
  4096,
  10_000,
  65_535,
  65_536,
  200_000,
  1 << 20,
  1 << 24,
];
const MTUS = { 4: [576, 577, 700, 1000, 1280, 1492, 1500, 4000, 9000], 6: [1280, 1281, 1400, 1492, 1500, 4000, 9000] };
const PIECES = [1, 100, 2000, 65_536, 1 << 20];
// Nobody gives up: what is tested is that every bad pipe is survived.
const PATIENT: TcpOptions = { synRetries: 200, synAckRetries: 200, dataRetries: 200, maxRto: 2000 };
/** A large transfer in so many scenarios. */
const LARGE = 25;

/** Draws from lists and ranges. */
export class Dice extends SeededRandom {
  one<T>(values: readonly T[]): T {
    const value = values[this.below(values.length)];
    if (value === undefined) throw new Error('nothing to draw from');
    return value;
  }
  /** True once in `n` times. */
  rarely(n: number): boolean {
    return this.below(n) === 0;
  }
  /** Nothing half of the time, or up to `most`. */
  some(most: number): number {
    return this.rarely(2) ? 0 : this.float() * most;
  }
}

/** What the seed says. */
export function scenario(seed: number, version: IpVersion): Scenario {
  const dice = new Dice(seed);
  const course = dice.one(COURSES);
  const mtu = dice.one(MTUS[version]);
  const carry = pipe(new Dice(dice.uint32()));
  const buffers = [0, 1].map(() => ({ receiveBuffer: dice.one(WINDOWS), sendBuffer: dice.one(WINDOWS) }));
  const [a, b] = buffers;
  if (a === undefined || b === undefined) throw new Error('two ends');
  const left = side(dice, a, Math.min(a.sendBuffer, b.receiveBuffer), course, 0);
  const right = side(dice, b, Math.min(b.sendBuffer, a.receiveBuffer), course, 1);
  return { course, mtu, carry, fastOpen: course === 'regular' && dice.rarely(3), sides: [left, right] };
}

/** The pipe: both ways alike. Frames overtake each other by jitter, and by being held back. */
function pipe(dice: Dice): Carry {
  const [loss, doubling, corruption] = [dice.some(0.3), dice.some(0.2), dice.some(0.08)];
  const [delay, jitter] = [dice.float() * dice.one([1, 20, 150]), dice.some(dice.one([2, 40, 120]))];
  const [held, holding] = [dice.some(0.3), dice.float() * 80];
  const burst = dice.rarely(4) ? { fail: dice.float() * 0.02, recover: 0.1 + dice.float() * 0.5 } : undefined;
  const rate = dice.rarely(4) ? 50 + dice.float() * 5000 : undefined;
  const queue = 2 + dice.below(100);
  const free = [0, 0];
  const bad = [false, false];
  const lost = (from: 0 | 1): boolean => {
    if (burst !== undefined && dice.float() < (bad[from] === true ? burst.recover : burst.fail)) bad[from] = !bad[from];
    return bad[from] === true || dice.float() < loss;
  };
  return (bytes, from, now) => {
    if (lost(from)) return [];
    if (dice.float() < corruption) {
      const at = dice.below(bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << dice.below(8));
    }
    let waited = 0;
    if (rate !== undefined) {
      const starts = Math.max(now, free[from] ?? 0);
      // Bytes a ms.
      if ((starts - now) * rate > queue * 1500) return [];
      free[from] = starts + bytes.length / rate;
      waited = starts - now + bytes.length / rate;
    }
    const late = () => waited + delay + dice.float() * jitter + (dice.float() < held ? holding : 0);
    return dice.float() < doubling ? [late(), late()] : [late()];
  };
}

/** Every switch of TCP, on or off, for hosts that never give up. */
export function switches(dice: Dice): TcpOptions {
  return {
    ...PATIENT,
    timestamps: !dice.rarely(3),
    windowScaling: !dice.rarely(4),
    sack: !dice.rarely(3),
    delayedAck: dice.one([0, 40, 40, 200]),
    quickAcks: dice.one([0, 2, 16]),
    initialWindow: dice.one([1, 3, 10, 10]),
    ecn: dice.one(ECN_MODES),
    ecnOption: dice.one(['full', 'full', 'sparing', 'off']),
    congestion: dice.one(['cubic', 'newreno', 'bbr']),
    hystart: !dice.rarely(4),
    slowStartLimit: dice.one([0, 0, 1, 2, 100]),
    slowStartAfterIdle: !dice.rarely(4),
    windowValidation: dice.rarely(3),
    pacing: dice.one(['auto', true, false]),
    ackPolicy: dice.one(['adaptive', 'adaptive', 'every-second', 'full-sized']),
    dsack: !dice.rarely(3),
    expungeSacks: !dice.rarely(3),
    resendSuspects: !dice.rarely(3),
    peakVariation: dice.rarely(3),
    forgivenSyns: dice.one([0, 1]),
    halve: dice.one(['flight', 'window']),
    rack: !dice.rarely(3),
    tlp: !dice.rarely(3),
    frto: !dice.rarely(3),
    prr: !dice.rarely(3),
    limitedTransmit: !dice.rarely(3),
    reordering: dice.one([1, 3, 3, 10]),
    fastOpenWithoutCookie: true,
    initialReceiveWindow: dice.one([0xffff, 64_240, 2000]),
    receiveWindow: dice.one(['gradual', 'gradual', 'whole']),
    wholeSegmentBuffers: dice.rarely(4),
    memory: dice.one([1 << 28, 1 << 28, 1 << 22]),
    mtuProbing: dice.one(['off', 'blackhole', 'always']),
  };
}

/** @param window what the smaller of the buffers lets through in a round trip */
function side(
  dice: Dice,
  buffers: { receiveBuffer: number; sendBuffer: number },
  window: number,
  course: Course,
  end: 0 | 1,
): ScenarioSide {
  const piece = dice.one(PIECES);
  const segment = dice.rarely(4) ? 1 + dice.below(1460) : 65_535;
  const large = dice.rarely(LARGE) ? 2_000_000 : 60_000;
  const size = Math.min(dice.one([0, 1, 1000, large, large]), 60 * window, 600 * piece, 150 * segment);
  const ending: Partial<PeerPlan> =
    course === 'half-close' && end === 1
      ? { answers: true }
      : course === 'simultaneous close'
        ? { endAt: 60_000 }
        : course === 'abort' && end === 0
          ? { abortAfter: dice.below(size + 1) }
          : course === 'close unread' && end === 1
            ? { closeAfter: dice.below(size + 1) }
            : {};
  return {
    tcp: switches(dice),
    options: {
      // Else they are tuned.
      ...(dice.rarely(4) ? {} : buffers),
      noDelay: dice.rarely(2),
      maxSegmentSize: segment,
      // Who is left behind by an abrupt end finds out by probing.
      keepAlive: course === 'abort' || course === 'close unread' || dice.rarely(4),
    },
    plan: {
      data: bytesOf(dice.below(size + 1), dice),
      piece,
      ...(dice.rarely(3) ? { sip: 1 + dice.below(20_000) } : {}),
      ...(dice.rarely(4) ? { pause: dice.float() * 100 } : {}),
      ...ending,
    },
  };
}
