/** Every packet of a test run, so that a run that fails can be looked at in Wireshark. */

import { captureTime, type CaptureDirection, linkTypeOf } from '../../lib/capture/capture.js';
import { PcapngWriter } from '../../lib/capture/pcapng-writer.js';
import type { Frame } from '../../lib/core/frame.js';
import type { NotationContext } from '../../lib/text/notation-context.js';

interface Recorded {
  readonly time: number;
  readonly direction: CaptureDirection;
  readonly linkType: number;
  readonly data: Uint8Array;
}

/** Collects copies of packets. */
export class Recording {
  private readonly packets: Recorded[] = [];
  private readonly context: NotationContext;

  constructor(context: NotationContext) {
    this.context = context;
  }

  /** Copies a frame as it stands at `time` (milliseconds). */
  add(frame: Frame, direction: CaptureDirection, time: number): void {
    const linkType = linkTypeOf(this.context.mediumOf(frame));
    this.packets.push({ time, direction, linkType, data: frame.bytes().slice() });
  }

  /** The capture file. */
  toPcapng(): Uint8Array {
    const chunks: Uint8Array[] = [];
    const writer = new PcapngWriter({ write: (bytes) => void chunks.push(bytes) }, { application: 'rx-netstack' });
    const interfaces = new Map<number, number>();
    for (const { time, direction, linkType, data } of this.packets) {
      let interfaceId = interfaces.get(linkType);
      if (interfaceId === undefined) interfaces.set(linkType, (interfaceId = writer.addInterface({ linkType })));
      writer.write({ ...captureTime(time), direction, interfaceId, data });
    }
    const file = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0));
    let at = 0;
    for (const chunk of chunks) {
      file.set(chunk, at);
      at += chunk.length;
    }
    return file;
  }
}
