import { Observable } from 'rxjs';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { FlowState } from '../../lib/core/frame.js';
import type { Flow } from '../../lib/l4/conntrack/flow.js';
import type { FlowEnd, FlowTable } from '../../lib/l4/conntrack/flow-table.js';
import { FlowTracker } from '../../lib/l4/conntrack/flow-tracker.js';
import type { TrackingOptions } from '../../lib/l4/conntrack/options.js';
import { layer } from '../flow/layer.js';
import { frameOf, type Packet } from '../flow/packet.js';
import { defaultEnvironment } from '../time/environment.js';

/** Options of {@link conntrack}. */
export interface ConntrackOptions extends TrackingOptions {
  /** What becomes of packets that fit no flow: they `pass`, and rules see `FlowState.Invalid` (the default), or they are dropped. */
  readonly invalid?: 'pass' | 'drop';
}

/** What happened to a flow. The flow is as it was then. */
export type FlowEvent =
  | { readonly type: 'new' | 'established'; readonly flow: Flow }
  | { readonly type: 'destroyed'; readonly flow: Flow; readonly why: FlowEnd };

/** Two operators over one table of flows; see {@link conntrack}. */
export interface Conntrack {
  /** Tracks: sets `flow`, `flowState` and `flowReply` of every packet. */
  <P extends Packet>(source: Observable<P>): Observable<P>;
  /** Stands at the end of the way: enters the flows of new packets that came so far. */
  readonly confirm: <P extends Packet>(source: Observable<P>) => Observable<P>;
  /** The flows: to find, show, translate and delete them. */
  readonly table: FlowTable;
  /**
   * Flows that are entered, established, and over, told once the packet that it came by is tracked. Snapshots are made only while somebody is
   * subscribed.
   */
  readonly events$: Observable<FlowEvent>;
  /** Forgets all flows, and enters no more; no timer is left. */
  dispose(): void;
}

const NAME = 'conntrack';

/**
 * Tracks flows: tells of each packet which flow it belongs to, whether it is new, established, related or invalid, and which way it goes.
 *
 *     in       --s--a--x--|     s: a SYN, a: its answer, x: a segment out of its window
 *     out      --s--a--x--|     s is new, a established and a reply, x invalid
 *
 * A new flow is entered for good only where its packet comes to `confirm`: what a firewall drops in between takes no room. Errors of ICMP are
 * related to the flow of the packet that they quote. Later fragments follow their packet's first, where it came first; of TCP they fit no flow: put
 * `defragment()` in front where that matters. One `conntrack` serves all places that packets come from; its operators keep nothing per subscription.
 *
 * **Drops** by `confirm` `ConntrackFull` a new packet where the table is full of established flows, and `ConntrackInvalid` one whose flow clashes
 * with another; with `invalid: 'drop'`, `ConntrackInvalid` those that fit no flow.
 * **State and timers** the table, some 200 bytes a flow of its capacity, of which the system gives only what flows have used; one timer while
 * there are flows, every 10 s.
 *
 * @throws UsageError `ERR_INVALID_OPTION`
 * @example
 * ```ts
 * const tracking = conntrack();
 * const allowed = (packet: Ipv4Packet) => packet.frame.flowState === FlowState.Established || packet.protocol === IpProtocol.Tcp;
 * net$.pipe(tracking, where(allowed), tracking.confirm);
 * ```
 */
export function conntrack(options: ConntrackOptions = {}, env: Env = defaultEnvironment()): Conntrack {
  const { invalid = 'pass', ...tracking } = options;
  const tracker = new FlowTracker(tracking, env);
  const { table } = tracker;
  const track = <P extends Packet>(packet: P): P | undefined => {
    const frame = frameOf(packet);
    tracker.track(frame);
    if (invalid === 'pass' || frame.flowState !== FlowState.Invalid) return packet;
    return env.drops.report(DropReason.ConntrackInvalid, frame, NAME);
  };
  const confirm = <P extends Packet>(packet: P): P | undefined => {
    const frame = frameOf(packet);
    const refusal = tracker.confirm(frame);
    return refusal === undefined ? packet : env.drops.report(refusal, frame, NAME);
  };
  return Object.assign(<P extends Packet>(source: Observable<P>) => layer<P, P>(() => track)(source), {
    confirm: <P extends Packet>(source: Observable<P>) => layer<P, P>(() => confirm)(source),
    table,
    events$: events(table),
    dispose: () => table.dispose(),
  });
}

function events(table: FlowTable): Observable<FlowEvent> {
  return new Observable((subscriber) =>
    table.observe({
      created: (flow) => subscriber.next({ type: 'new', flow }),
      established: (flow) => subscriber.next({ type: 'established', flow }),
      destroyed: (flow, why) => subscriber.next({ type: 'destroyed', flow, why }),
    }),
  );
}
