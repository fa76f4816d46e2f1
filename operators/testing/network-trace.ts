/** What a simulated network has carried: its hash, which says whether two runs were the same, and captures of chosen links. */

import { createHash } from 'node:crypto';
import { type CaptureDirection, captureTime, linkTypeOf } from '../../lib/capture/capture.js';
import { PcapngWriter } from '../../lib/capture/pcapng-writer.js';
import type { Medium } from '../../lib/core/device.js';
import { dropReasonName } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import type { Frame } from '../../lib/core/frame.js';

/** Time of 8 bytes, number of the end, direction, length. */
const ENTRY = 8 + 4 + 4 + 4;

/** A running hash over all frames that the nodes of a network sent and received: when, where, and every byte. */
export class Trace {
  /** Frames so far. */
  frames = 0;
  private readonly hash = createHash('sha256');
  private readonly entry = new DataView(new ArrayBuffer(ENTRY));
  private readonly entryBytes = new Uint8Array(this.entry.buffer);

  add(end: number, direction: CaptureDirection, frame: Frame, time: number): void {
    this.frames++;
    this.entry.setFloat64(0, time);
    this.entry.setUint32(8, end);
    this.entry.setUint32(12, direction === 'inbound' ? 0 : 1);
    this.entry.setUint32(16, frame.length);
    this.hash.update(this.entryBytes).update(frame.bytes());
  }

  /** The hash so far, in hex; frames may be added afterwards. */
  digest(): string {
    return this.hash.copy().digest('hex');
  }
}

/**
 * Records the frames of one link in memory, as seen at each of its ends: an interface of the capture per end. What the link dropped is there once
 * more, on an interface of its own, with the reason for a comment.
 */
export class LinkCapture {
  private readonly chunks: Uint8Array[] = [];
  private readonly writer: PcapngWriter;
  private readonly linkType: number;

  constructor(medium: Medium) {
    this.linkType = linkTypeOf(medium);
    this.writer = new PcapngWriter({ write: (bytes) => void this.chunks.push(bytes) }, { application: 'rx-netstack' });
  }

  /** Adds an interface, and returns what records frames of it. */
  at(name: string): (direction: CaptureDirection, frame: Frame, time: number) => void {
    const interfaceId = this.writer.addInterface({ linkType: this.linkType, name });
    return (direction, frame, time) =>
      this.writer.write({ ...captureTime(time), direction, interfaceId, data: frame.bytes() });
  }

  /** Adds what the link of this name drops, from the first such frame on. */
  dropsOf(name: string, { drops, timers }: Env): void {
    let interfaceId: number | undefined;
    drops.observe(({ reason, operator, frame }) => {
      if (frame === undefined) return;
      interfaceId ??= this.writer.addInterface({ linkType: this.linkType, name: `${name} dropped` });
      const comment = `${dropReasonName(reason)} (sent by ${operator})`;
      this.writer.write({ ...captureTime(timers.now()), interfaceId, data: frame.bytes(), comment });
    });
  }

  /** The capture so far, as a pcapng file. */
  toPcapng(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.chunks));
  }
}
