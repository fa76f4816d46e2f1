import type { MonoTypeOperatorFunction } from 'rxjs';
import { layer } from '../flow/layer.js';
import { frameOf, type Packet } from '../flow/packet.js';

/** What passed a point of a pipeline; readable at any time. */
export class PacketCounter {
  packets = 0;
  /** Bytes in the range that the packets' frames had there. */
  bytes = 0;

  reset(): void {
    this.packets = 0;
    this.bytes = 0;
  }

  toJSON(): { packets: number; bytes: number } {
    return { packets: this.packets, bytes: this.bytes };
  }
}

/**
 * Counts packets and their bytes. Several pipelines may share one counter.
 *
 *     in   --a--b--|
 *     out  --a--b--|     counter.packets is 2
 *
 * **Drops** none.
 * **State and timers** the counter, which is the caller's.
 *
 * @example
 * const received = new PacketCounter();
 * tap.frames$.pipe(countPackets(received), host).subscribe(tap.sink);
 */
export function countPackets<T extends Packet>(counter: PacketCounter): MonoTypeOperatorFunction<T> {
  return layer(() => (packet) => {
    const frame = frameOf(packet);
    counter.packets++;
    counter.bytes += frame.end - frame.start;
    return packet;
  });
}
