/** Flow tracking as one would write it without a thought of speed: an array that is searched from end to end. Of everything but TCP. */

/** One direction of a flow, as text. */
export interface Ends {
  readonly protocol: 'udp' | 'icmp' | 'other';
  readonly source: string;
  readonly destination: string;
  /** Ports; of ICMP the identifier and 0. */
  readonly sourcePort: number;
  readonly destinationPort: number;
}

export interface NaiveFlow {
  readonly original: string;
  reply: string;
  readonly protocol: Ends['protocol'];
  replied: boolean;
  assured: boolean;
  confirmed: boolean;
  deadline: number;
  /** When it came to where it is in the order of eviction. */
  since: number;
}

export interface Finding {
  readonly flow: NaiveFlow | undefined;
  readonly state: 'new' | 'established' | 'invalid';
  readonly isReply: boolean;
}

const TIMEOUTS = { udp: 120_000, icmp: 60_000, other: 30_000 } as const;

export function textOf({ protocol, source, destination, sourcePort, destinationPort }: Ends): string {
  return `${protocol} ${source} ${sourcePort} ${destination} ${destinationPort}`;
}

export function mirrorOf(ends: Ends): Ends {
  const { protocol, source, destination, sourcePort, destinationPort } = ends;
  const swapped = { protocol, source: destination, destination: source };
  if (protocol === 'icmp') return { ...swapped, sourcePort, destinationPort: 1 - destinationPort };
  return { ...swapped, sourcePort: destinationPort, destinationPort: sourcePort };
}

export class NaiveTable {
  now = 0;
  private flows: NaiveFlow[] = [];
  private readonly capacity: number;
  private order = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  get live(): NaiveFlow[] {
    return this.flows.filter(({ deadline }) => deadline > this.now);
  }

  owner(tuple: string): NaiveFlow | undefined {
    return this.live.find(({ original, reply }) => original === tuple || reply === tuple);
  }

  track(ends: Ends): Finding {
    const tuple = textOf(ends);
    const known = this.owner(tuple);
    if (known === undefined && ends.protocol === 'icmp' && ends.destinationPort === 1) {
      return { flow: undefined, state: 'invalid', isReply: false };
    }
    const flow = known ?? this.begun(ends, tuple);
    const isReply = flow.original !== tuple;
    flow.deadline = this.now + TIMEOUTS[flow.protocol];
    const before = [flow.replied, flow.assured].join();
    if (isReply) flow.replied = true;
    else if (flow.replied) flow.assured = true;
    if ([flow.replied, flow.assured].join() !== before) flow.since = this.order++;
    return { flow, state: flow.replied ? 'established' : 'new', isReply };
  }

  /** Enters a new flow; false where there is no room. */
  confirm(flow: NaiveFlow): boolean {
    if (flow.confirmed) return true;
    this.flows = this.live;
    if (this.flows.length >= this.capacity) {
      const [victim] = this.flows
        .filter(({ assured }) => !assured)
        .sort((one, other) => Number(one.replied) - Number(other.replied) || one.since - other.since);
      if (victim === undefined) return false;
      this.delete(victim);
    }
    flow.confirmed = true;
    flow.since = this.order++;
    this.flows.push(flow);
    return true;
  }

  delete(flow: NaiveFlow): void {
    this.flows = this.flows.filter((other) => other !== flow);
  }

  private begun(ends: Ends, original: string): NaiveFlow {
    const reply = textOf(mirrorOf(ends));
    const { protocol } = ends;
    return { original, reply, protocol, replied: false, assured: false, confirmed: false, deadline: 0, since: 0 };
  }
}
