import type { Observable } from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import type { Frame } from '../../lib/core/frame.js';
import { formatPacket } from '../../lib/text/notation-format.js';
import type { PacketSpec } from '../../lib/text/packet-spec.js';
import type { TimelineEntry } from './diff.js';
import { type Legend, type MarbleEvent, marbleEvents, marblesEnd } from './marbles.js';
import type { TestRun, Verdict } from './test-run.js';

/** A packet in the notation, or what it parses to. */
export type PacketLine = string | PacketSpec;

/** Waits for the diagram of what goes out. */
export interface TxExpectation {
  /**
   * @param legend packets; what a line does not say may be anything
   * @throws NotationError `ERR_BAD_PACKET_TEXT`, UsageError `ERR_INVALID_OPTION`
   */
  toBe(marbles: string, legend?: Legend<PacketLine>): void;
}

type Event = MarbleEvent<PacketSpec>;

/**
 * Subscribes to packets that go out and takes over their references, as a sink does. What they say is read at once, since the frame
 * is gone afterwards.
 */
export function expectTx(run: TestRun, stream$: Observable<Frame>, subscription = '^'): TxExpectation {
  const said = run.open('expectTx');
  const actual: Event[] = [];
  const errors: unknown[] = [];
  const { subscribedFrame, unsubscribedFrame } = TestScheduler.parseMarblesAsSubscriptions(subscription, true);
  run.lastUntil(marblesEnd(subscription.replaceAll(/[\^!]/g, '-')));
  const { scheduler } = run;
  const begin = (): void => {
    const running = stream$.subscribe({
      next(frame) {
        run.recording.add(frame, 'outbound', run.now());
        actual.push({ time: run.now(), kind: 'next', value: run.notation.read(frame, '>') });
        frame.release();
      },
      error(error: unknown) {
        errors.push(error);
        actual.push({ time: run.now(), kind: 'error' });
      },
      complete: () => void actual.push({ time: run.now(), kind: 'complete' }),
    });
    run.subscriptions.add(running);
    if (unsubscribedFrame !== Infinity) {
      run.subscriptions.add(scheduler.schedule(() => running.unsubscribe(), unsubscribedFrame - run.now()));
    }
  };
  run.subscriptions.add(scheduler.schedule(begin, subscribedFrame === Infinity ? 0 : subscribedFrame));
  return {
    toBe(marbles, legend = {}) {
      said();
      const packets: Record<string, PacketSpec> = {};
      for (const [letter, packet] of Object.entries(legend)) {
        packets[letter] = typeof packet === 'string' ? run.notation.parse(packet) : packet;
      }
      const expected = marbleEvents(marbles, packets);
      run.lastUntil(marblesEnd(marbles));
      run.check(() => verdict(run, expected, actual, errors));
    },
  };
}

/** Each actual packet is reduced to what the expected one in its place says. */
function verdict(
  run: TestRun,
  expected: readonly Event[],
  actual: readonly Event[],
  errors: readonly unknown[],
): Verdict {
  const wanted: TimelineEntry[] = [];
  const found: TimelineEntry[] = [];
  for (let i = 0; i < Math.max(expected.length, actual.length); i++) {
    const [e, a] = [expected[i], actual[i]];
    if (e?.kind === 'next' && a?.kind === 'next') {
      const lines = run.notation.compare(e.value, a.value);
      wanted.push({ time: e.time, text: lines.expected });
      found.push({ time: a.time, text: lines.actual });
      continue;
    }
    if (e !== undefined) wanted.push({ time: e.time, text: textOf(e, []) });
    if (a !== undefined) found.push({ time: a.time, text: textOf(a, e?.kind === 'error' ? [] : errors) });
  }
  return { subject: 'packets sent', expected: wanted, actual: found };
}

function textOf(event: Event, errors: readonly unknown[]): string {
  if (event.kind === 'next') return formatPacket({ direction: '>', ...event.value });
  return event.kind === 'error' && errors.length > 0 ? `error: ${String(errors[0])}` : event.kind;
}
