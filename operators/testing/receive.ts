import { type Observable, Subject } from 'rxjs';
import type { Device } from '../../lib/core/device.js';
import { asRx, type Frame, type RxFrame } from '../../lib/core/frame.js';
import type { PacketSpec } from '../../lib/text/packet-spec.js';
import type { PacketLine } from './expect-tx.js';
import { type Legend, marbleEvents, marblesEnd } from './marbles.js';
import type { TestRun } from './test-run.js';

/**
 * A driver made of a diagram: each frame is built when it is due, because it may acknowledge a sequence number that only then is
 * known, handed to all subscribers, and released.
 *
 * @throws NotationError `ERR_BAD_PACKET_TEXT`, UsageError `ERR_INVALID_OPTION`
 */
export function receive(
  run: TestRun,
  marbles: string,
  legend: Legend<PacketLine | Uint8Array>,
  device?: Device,
): Observable<RxFrame> {
  const { notation, env } = run;
  const packets = new Map<string, PacketSpec | Uint8Array>();
  for (const [letter, packet] of Object.entries(legend)) {
    packets.set(letter, typeof packet === 'string' ? notation.parse(packet) : packet);
  }
  marbleEvents(marbles, Object.fromEntries(packets));
  run.lastUntil(marblesEnd(marbles));
  const frames = new Subject<RxFrame>();

  function build(packet: PacketSpec | Uint8Array): Frame {
    if (!(packet instanceof Uint8Array)) return notation.build(packet, '<', env.pool);
    const frame = env.pool.alloc(packet.length);
    frame.slab.bytes.set(packet, frame.put(packet.length));
    frame.wholeEnd = frame.end;
    return frame;
  }

  function deliver(letter: string): void {
    const packet = packets.get(letter);
    if (packet === undefined) return;
    const frame = build(packet);
    frame.time = run.now();
    frame.device = device;
    frame.shared = frames.observers.length > 1;
    run.recording.add(frame, 'inbound', run.now());
    try {
      frames.next(asRx(frame));
    } finally {
      frame.release();
    }
  }

  const source = run.scheduler.createHotObservable(marbles);
  run.subscriptions.add(
    source.subscribe({
      next(letter) {
        try {
          deliver(letter);
        } catch (error) {
          run.fail(error);
        }
      },
      error: (error) => frames.error(error),
      complete: () => frames.complete(),
    }),
  );
  return frames.asObservable();
}
