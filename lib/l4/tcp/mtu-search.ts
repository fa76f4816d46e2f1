/**
 * The search for the largest packet that a path carries (RFC 8899 5; for TCP RFC 4821): which size to probe next, and what follows from
 * the fate of a probe. It knows sizes and times. What a probe is made of, and how its loss shows, is the transport's business.
 *
 * Sizes are those of whole IP packets, in bytes. PROBE_TIMER and PMTU_RAISE_TIMER are deadlines that are looked at when there is something
 * to send, for a probe carries data: an idle connection has no timer.
 */

/**
 * Where the search stands (RFC 8899 5.2). `base`: larger packets vanished, and whether those of the base size arrive is not known yet;
 * `error`: these vanished as well; `searching`: a larger size is probed, now or soon; `complete`: the size is kept for a while.
 */
export type SearchState = 'base' | 'error' | 'searching' | 'complete';

/** What the search stays within. */
export interface MtuLimits {
  /** MIN_PLPMTU: what every path carries. */
  readonly min: number;
  /** BASE_PLPMTU: what nearly every path carries. */
  readonly base: number;
  /** MAX_PLPMTU: what the first link and the peer take. */
  readonly max: number;
}

/** MAX_PROBES: so many of one size must be lost before it is given up, as one may be lost for other reasons (RFC 8899 5.1.2). */
export const MAX_PROBES = 3;
/** PROBE_TIMER, in milliseconds: at least this long between the loss of a probe and the next one (RFC 8899 5.1.1: no less than a second). */
export const PROBE_INTERVAL = 1000;
/** PMTU_RAISE_TIMER, in milliseconds: when to look whether the path has become wider (RFC 8899 5.1.1, RFC 8201 5.3). */
export const RAISE_INTERVAL = 600_000;
// A gain of less than this is not worth lost probes.
const STEP = 32;
// Where paths usually end: tunnels in Ethernet (6in4, PPPoE, WireGuard, VXLAN...), IPv6's minimum, jumbo frames.
const COMMON = [576, 1006, 1280, 1400, 1420, 1450, 1480, 1492, 1500, 2002, 4352, 8166, 9000, 17_914, 32_000] as const;

/** The search on one path. */
export class MtuSearch {
  state: SearchState = 'complete';
  /** PLPMTU: the size of packets now. */
  plpmtu: number;
  /** PROBED_SIZE while a probe is on its way, otherwise 0. */
  probed = 0;
  private readonly limits: MtuLimits;
  /** PROBE_COUNT: probes of `candidate` that were lost in a row. */
  private count = 0;
  /** What is to be probed next. */
  private candidate = 0;
  /** Larger sizes do not arrive, or need not be tried. */
  private ceiling: number;
  /** No probe before this time. */
  private due: number;

  /** Begins as complete with a size that is known from elsewhere. */
  constructor(limits: MtuLimits, plpmtu: number, now: number) {
    this.limits = limits;
    this.plpmtu = Math.min(plpmtu, limits.max);
    this.ceiling = limits.max;
    this.due = now + RAISE_INTERVAL;
  }

  /** Nothing larger is possible. */
  get isAtMaximum(): boolean {
    return this.state === 'complete' && this.plpmtu >= this.limits.max;
  }

  /** The size to be probed now, or 0. */
  next(now: number): number {
    if (this.probed > 0 || now < this.due) return 0;
    if (this.state === 'complete' && !this.isAtMaximum) this.search(this.limits.max);
    return this.state === 'searching' ? this.candidate : 0;
  }

  /** A probe of `size` bytes was sent. */
  sent(size: number): void {
    this.probed = size;
  }

  /** The probe arrived. */
  arrived(now: number): void {
    this.plpmtu = this.probed;
    this.forgetProbe();
    this.plan(now);
  }

  /** The probe, and nothing else, was lost. */
  lost(now: number): void {
    const { probed } = this;
    this.probed = 0;
    this.due = now + PROBE_INTERVAL;
    if (++this.count < MAX_PROBES) return;
    this.ceiling = probed - 1;
    this.count = 0;
    this.plan(now);
  }

  /** The probe may be lost, but so is more: that says nothing about its size (RFC 4821 7.6.3). */
  inconclusive(now: number): void {
    this.probed = 0;
    this.due = now + PROBE_INTERVAL;
  }

  /** A router says that the probe is too big for its next hop of `mtu` bytes, which is no less than what arrives (RFC 8899 4.6.2). */
  refused(mtu: number, now: number): void {
    this.forgetProbe();
    this.ceiling = this.candidate = mtu;
    if (mtu <= this.plpmtu) this.complete(now);
  }

  /** A router says that the path carries no more than `mtu`, which is less than was thought. */
  narrowed(mtu: number, now: number): void {
    this.forgetProbe();
    this.plpmtu = Math.max(mtu, this.limits.min);
    this.complete(now);
  }

  /** Full packets vanish without a word: falls back to a smaller size; false if there is none. */
  blackHole(): boolean {
    const { base, min } = this.limits;
    const smaller = this.plpmtu > base ? base : min;
    if (this.plpmtu <= smaller) return false;
    this.forgetProbe();
    this.state = smaller === base ? 'base' : 'error';
    this.plpmtu = smaller;
    return true;
  }

  /** Packets of the size that was fallen back to arrive, or are known to: larger ones may be searched for. */
  confirmed(now: number): void {
    // After an outage that was no black hole the first probe shows it.
    this.search(this.limits.max);
    this.due = now;
  }

  /** Begins at the base size, whatever else is known (RFC 8899 5.2). */
  start(now: number): void {
    this.plpmtu = Math.min(this.plpmtu, this.limits.base);
    this.confirmed(now);
    if (this.plpmtu >= this.limits.max) this.complete(now);
  }

  /** Packets of `mtu` bytes arrive, as somebody else has found out. */
  raised(mtu: number, now: number): void {
    this.plpmtu = Math.min(mtu, this.limits.max);
    if (this.probed <= this.plpmtu) this.forgetProbe();
    if (this.probed > 0) return;
    if (this.state === 'searching') this.plan(now);
    else this.complete(now);
  }

  private forgetProbe(): void {
    this.probed = this.count = 0;
  }

  private search(ceiling: number): void {
    this.state = 'searching';
    this.ceiling = this.candidate = ceiling;
    this.count = 0;
  }

  private complete(now: number): void {
    this.state = 'complete';
    this.due = now + RAISE_INTERVAL;
  }

  /** Chooses what to probe next: the common size nearest to the middle of what is open, or the middle itself. */
  private plan(now: number): void {
    const { plpmtu, ceiling } = this;
    const middle = (plpmtu + ceiling) / 2;
    let best = 0;
    for (const size of COMMON) {
      if (size > plpmtu && size <= ceiling && Math.abs(size - middle) < Math.abs(best - middle)) best = size;
    }
    if (best === 0 && ceiling - plpmtu >= STEP) best = Math.ceil(middle);
    this.candidate = best;
    if (best === 0) this.complete(now);
  }
}
