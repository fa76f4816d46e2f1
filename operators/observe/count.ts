import type { MonoTypeOperatorFunction } from 'rxjs';
import { type Frame, GsoType } from '../../lib/core/frame.js';
import { networkOffset } from '../../lib/wire/network-offset.js';
import { type Tally, tallyOnWire } from '../../lib/wire/segmentation.js';
import { layer } from '../flow/layer.js';
import { frameOf, type Packet } from '../flow/packet.js';

/** What passed a point of a pipeline; readable at any time. */
export class PacketCounter implements Tally {
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
 * Counts packets and their bytes, as a wire carries them: a super-segment is what it stands for. Several pipelines may share one counter.
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
    countFrame(frameOf(packet), counter);
    return packet;
  });
}

/** Counts one frame, as {@link countPackets} does. */
export function countFrame(frame: Frame, counter: PacketCounter): void {
  if (frame.gsoType === GsoType.None) {
    counter.packets++;
    counter.bytes += frame.end - frame.start;
  } else {
    const { network, device } = frame;
    tallyOnWire(frame, network >= 0 ? network : networkOffset(frame, device?.medium ?? 'ethernet'), counter);
  }
}
