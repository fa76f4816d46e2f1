/** A path that a congestion control sends over, one round trip or one segment at a time: for the controls alone, without a stack. */

import {
  Acknowledgment,
  type Congestion,
  type CongestionSettings,
} from '../../../../../lib/l4/tcp/congestion/congestion.js';
import { tcpConfig } from '../../../../../lib/l4/tcp/options.js';
import { SeededRandom } from '../../../../../lib/core/random.js';

export const MSS = 1000;

/** The settings of a host with these options. */
export function settings(options: Partial<CongestionSettings> = {}): CongestionSettings {
  return tcpConfig(options);
}

export const random = (): SeededRandom => new SeededRandom(3);

/** An acknowledgment of a segment; `with` what else is to be said. */
export function ack(fields: Partial<Acknowledgment> = {}): Acknowledgment {
  return Object.assign(new Acknowledgment(), { delivered: MSS, limited: true, sampled: true }, fields);
}

/** Time that passes in round trips of `rtt` ms, each acknowledging a whole window segment by segment. */
export class RoundTrips {
  now = 0;
  private readonly record: Acknowledgment = ack();
  /** Segments of the round before. */
  private former = 0;
  readonly control: Congestion;
  readonly rtt: number;

  constructor(control: Congestion, rtt: number) {
    this.control = control;
    this.rtt = rtt;
  }

  /** One round trip: the acknowledgments come evenly. @param rtt of this round @param each called before each */
  round(rtt: number = this.rtt, limited = true): void {
    const { control, record } = this;
    const start = this.now;
    const segments = Math.max(1, Math.floor(control.cwnd / MSS));
    const { totalDelivered } = record;
    const before = totalDelivered - this.former * MSS;
    for (let i = 0; i < segments; i++) {
      record.now = start + (rtt * (i + 1)) / segments;
      record.rtt = rtt;
      record.limited = limited;
      record.roundStart = i === 0;
      record.totalDelivered += MSS;
      record.priorDelivered = before + MSS * (1 + Math.floor((i * this.former) / segments));
      control.acknowledged(record);
    }
    this.now = start + rtt;
    this.former = segments;
  }

  /** Rounds until `ms` have passed. */
  run(ms: number): void {
    for (const end = this.now + ms; this.now < end; ) this.round();
  }

  /** A loss, and its recovery: as proportional rate reduction leaves it. */
  loss(): void {
    const { control } = this;
    const flight = control.cwnd;
    control.congested('loss', flight, this.now);
    control.recovered(control.ssthresh, this.now);
  }

  get segments(): number {
    return this.control.cwnd / MSS;
  }
}
