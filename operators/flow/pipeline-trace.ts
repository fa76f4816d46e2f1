/** What packets go through in a pipeline, recorded for whoever asks. */

import { Observable } from 'rxjs';
import type { Env } from '../../lib/core/env.js';
import { FlowState, Frame } from '../../lib/core/frame.js';
import { type ByteChange, byteChanges, type PacketSnapshot, snapshotOf } from '../../lib/text/byte-changes.js';
import { PacketNotation } from '../../lib/text/notation.js';
import { conditionOf, type PacketFilter } from '../filter/pcap-filter.js';
import type { Packet } from './packet.js';
import { reasonOf, type Verdict } from './pipeline-stage.js';

/** What one stage did with a packet. */
export interface TraceStep {
  /** Its name; of a nested pipeline's stage `outer/inner`. */
  readonly stage: string;
  readonly verdict: Verdict;
  /** Why it was dropped. */
  readonly reason?: string;
  /** What it changed in the packet's bytes. */
  readonly changes: readonly ByteChange[];
  /** What it changed beside them, as text: `mark 0 -> 5`, `flow 0 -> 12`, `flow state untracked -> new`, `output none -> eth1`. */
  readonly notes: readonly string[];
  /** The packet behind it, in the packet notation, if its bytes changed. */
  readonly text?: string;
}

/** What one packet went through. */
export interface PacketTrace {
  /** When it came, in milliseconds of the environment's clock. */
  readonly time: number;
  /** The packet as it came in, in the packet notation. */
  readonly text: string;
  /** The stage at which it came in, where that is not the first one: what a stage held, or made anew, comes in behind it. */
  readonly from?: string;
  readonly steps: readonly TraceStep[];
  /** What became of it in the end. */
  readonly verdict: Verdict;
  readonly reason?: string;
}

const FLOW_STATES: readonly string[] = Object.entries(FlowState).reduce<string[]>((names, [name, value]) => {
  names[value] = name.toLowerCase();
  return names;
}, []);
/** No packet has these addresses, so that each line says its own. */
const NOBODY = { local: '255.255.255.254', remote: '255.255.255.253', localPort: 0, remotePort: 0 };

/** The line of a packet; sequence numbers are those on the wire, since each line is of a context of its own. */
function lineOf({ bytes, linkType }: PacketSnapshot): string {
  return new PacketNotation({ ...NOBODY, linkType }).format(Frame.from(bytes), '<').replace(/^< /, '');
}

/** What is known of a packet beside its bytes. */
function notesOf(frame: Frame): readonly (readonly [what: string, value: string])[] {
  return [
    ['mark', String(frame.mark)],
    ['flow', String(frame.flow)],
    ['flow state', FLOW_STATES[frame.flowState] ?? String(frame.flowState)],
    ['output', frame.output?.name ?? 'none'],
  ];
}

/** Who follows the packets of one pipeline: those subscribed to its traces, and a pipeline that it is nested in. */
export class Tracing<P extends Packet> {
  /** Whether anybody does; while not, nothing else here is looked at. */
  isWanted = false;
  private readonly env: Env;
  private followers: readonly Follower<P>[] = [];
  private parent: Recorder | undefined = undefined;
  private prefix = '';

  constructor(env: Env) {
    this.env = env;
  }

  trace$(filter: PacketFilter<P> | undefined): Observable<PacketTrace> {
    const isWanted = conditionOf(filter);
    return new Observable((subscriber) => {
      const follower = { isWanted, tell: (trace: PacketTrace) => subscriber.next(trace) };
      this.followers = [...this.followers, follower];
      this.isWanted = true;
      return () => {
        this.followers = this.followers.filter((other) => other !== follower);
        this.isWanted = this.followers.length > 0 || this.parent !== undefined;
      };
    });
  }

  /** Lets a pipeline around this one follow as well, for the time of one packet. */
  follow(parent: Recorder | undefined, prefix: string): void {
    this.parent = parent;
    this.prefix = prefix;
    this.isWanted = this.followers.length > 0 || parent !== undefined;
  }

  /** Begins a record, if anybody wants this packet. */
  begin(packet: P, frame: Frame, from: string | undefined): Recorder | undefined {
    const followers = this.followers.filter((follower) => wants(follower, packet));
    if (followers.length === 0 && this.parent === undefined) return undefined;
    return new Recorder(
      packet !== (frame as Packet),
      frame,
      this.env.timers.now(),
      from,
      followers,
      this.parent,
      this.prefix,
    );
  }
}

interface Follower<P> {
  readonly isWanted: (packet: P) => boolean;
  readonly tell: (trace: PacketTrace) => void;
}

/** A condition that throws wants nothing: whoever watches must not harm who is watched. */
function wants<P>(follower: Follower<P>, packet: P): boolean {
  try {
    return follower.isWanted(packet);
  } catch {
    return false;
  }
}

/** The tracings of operators that are pipelines. */
export const tracingOf: WeakMap<object, Pick<Tracing<never>, 'follow'>> = new WeakMap();

/** A stage, whatever its packets are. */
interface StageLike {
  readonly name: string;
  readonly operator: object;
}

/** The record of one packet's way, while it goes on. */
export class Recorder {
  private readonly isView: boolean;
  private readonly frame: Frame;
  private readonly trace: Omit<PacketTrace, 'steps' | 'verdict' | 'reason'>;
  private readonly followers: readonly Pick<Follower<never>, 'tell'>[];
  private readonly parent: Recorder | undefined;
  private readonly prefix: string;
  private readonly steps: TraceStep[] = [];
  private bytes: PacketSnapshot;
  private notes: ReturnType<typeof notesOf>;
  /** Steps that there were before the current stage: a nested pipeline adds its own. */
  private stepsBefore = 0;

  constructor(
    isView: boolean,
    frame: Frame,
    time: number,
    from: string | undefined,
    followers: readonly Pick<Follower<never>, 'tell'>[],
    parent: Recorder | undefined,
    prefix: string,
  ) {
    this.isView = isView;
    this.frame = frame;
    this.followers = followers;
    this.parent = parent;
    this.prefix = prefix;
    this.bytes = snapshotOf(frame, isView);
    this.notes = notesOf(frame);
    this.trace = { time, text: lineOf(this.bytes), ...(from === undefined ? {} : { from }) };
  }

  enter({ name, operator }: StageLike): void {
    this.stepsBefore = this.steps.length;
    tracingOf.get(operator)?.follow(this, `${name}/`);
  }

  leave({ name, operator }: StageLike, verdict: Verdict, frame: Frame): void {
    tracingOf.get(operator)?.follow(undefined, '');
    const { bytes, notes } = this;
    // A frame that was given back is another's.
    if (frame.holders > 0) {
      this.bytes = snapshotOf(frame, this.isView);
      this.notes = notesOf(frame);
    }
    if (this.steps.length > this.stepsBefore) return;
    const changes = byteChanges(bytes, this.bytes);
    const reason = reasonOf(frame);
    this.add({
      stage: name,
      verdict,
      ...(reason === undefined || verdict === 'passed' ? {} : { reason }),
      changes,
      notes: this.notes.flatMap(([what, value], i) =>
        notes[i]?.[1] === value ? [] : [`${what} ${notes[i]?.[1]} -> ${value}`],
      ),
      ...(changes.length === 0 ? {} : { text: lineOf(this.bytes) }),
    });
  }

  /** The packet has left the pipeline. */
  end(verdict: Verdict): void {
    const reason = verdict === 'passed' ? undefined : reasonOf(this.frame);
    const trace = { ...this.trace, steps: this.steps, verdict, ...(reason === undefined ? {} : { reason }) };
    for (const follower of this.followers) follower.tell(trace);
  }

  private add(step: TraceStep): void {
    this.steps.push(step);
    this.parent?.add({ ...step, stage: this.prefix + step.stage });
  }
}
