/**
 * What new rules say of flows that began under former ones. Such a flow is asked about once, by the first packet that goes the way of its
 * first one, as if it were new; until then its replies go by the rules as they are. The table has a fixed size: a flow that another one has
 * pushed out is asked about again.
 */

/** What is known of a flow. */
export const FlowVerdict = { Unknown: 0, Fine: 1, Refused: 2 } as const;
export type FlowVerdict = (typeof FlowVerdict)[keyof typeof FlowVerdict];

const BITS = 16;
const SIZE = 1 << BITS;
/** The golden ratio's: neighbouring numbers end up far apart. */
const SPREAD = 0x9e37_79b1;

/** Flows, and what was said of them. */
export class FlowVerdicts {
  private readonly flows = new Float64Array(SIZE);
  private readonly verdicts = new Uint8Array(SIZE);

  of(flow: number): FlowVerdict {
    const place = placeOf(flow);
    return this.flows[place] === flow ? ((this.verdicts[place] ?? 0) as FlowVerdict) : FlowVerdict.Unknown;
  }

  set(flow: number, verdict: FlowVerdict): void {
    const place = placeOf(flow);
    this.flows[place] = flow;
    this.verdicts[place] = verdict;
  }

  /** The flow begins: what was said is of another one, whose number it has. */
  forget(flow: number): void {
    const place = placeOf(flow);
    if (this.flows[place] === flow) this.verdicts[place] = FlowVerdict.Unknown;
  }

  /** The rules have changed. */
  clear(): void {
    this.verdicts.fill(FlowVerdict.Unknown);
  }
}

function placeOf(flow: number): number {
  return Math.imul(flow, SPREAD) >>> (32 - BITS);
}
