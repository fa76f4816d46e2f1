/** Every packet of a test run, so that a run that fails can be looked at in Wireshark. */

import { captureTime, type CaptureDirection, LinkType } from '../../lib/capture/capture.js';
import { PcapngWriter } from '../../lib/capture/pcapng-writer.js';
import type { Frame } from '../../lib/core/frame.js';
import { Ipv4Packet } from '../../lib/wire/ipv4.js';

interface Recorded {
  readonly time: number;
  readonly direction: CaptureDirection;
  readonly linkType: number;
  readonly data: Uint8Array;
}

/** Collects copies of packets. */
export class Recording {
  private readonly packets: Recorded[] = [];
  private readonly linkType: 'ethernet' | 'ip';

  constructor(linkType: 'ethernet' | 'ip') {
    this.linkType = linkType;
  }

  /** Copies a frame as it stands at `time` (milliseconds). */
  add(frame: Frame, direction: CaptureDirection, time: number): void {
    const bare = this.linkType === 'ip' || isBare(frame);
    const linkType = bare ? LinkType.RawIp : LinkType.Ethernet;
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

function isBare(frame: Frame): boolean {
  return frame.link !== frame.start && Ipv4Packet.check(frame, frame.start) === undefined;
}
