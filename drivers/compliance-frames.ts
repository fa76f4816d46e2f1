/** Frames that the compliance suite recognises, whatever else is on the wire: of each medium, with a number. */

import type { Device, Medium } from '../lib/core/device.js';
import { Frame } from '../lib/core/frame.js';
import { FrameHeader, FrameKind } from '../lib/ergot/frame.js';
import { netAddress } from '../lib/ergot/net-address.js';

// IEEE 802 EtherType for local experiments, the second one; RFC 3692 protocol number for experiments.
const EXPERIMENT = 0x88b6;
const PROTOCOL = 253;
/** The sequence number of ergot frames. */
const SEQUENCE = 0xe57;
const MARK = 0xc0;

/** How the frames of a medium begin, and how those of the suite are told from others. */
interface Marking {
  readonly header: (length: number) => Uint8Array;
  readonly isOurs: (bytes: Uint8Array) => boolean;
}

function ethernetHeader(): Uint8Array {
  const bytes = new Uint8Array(14).fill(0xff, 0, 6);
  bytes[6] = 0x02;
  new DataView(bytes.buffer).setUint16(12, EXPERIMENT);
  return bytes;
}

/** To and from TEST-NET-1 (RFC 5737), with a right header checksum. */
function ipHeader(length: number): Uint8Array {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0x4500);
  view.setUint16(2, length);
  view.setUint16(8, 0x4000 | PROTOCOL);
  view.setUint32(12, 0xc000_0201);
  view.setUint32(16, 0xc000_0202);
  let sum = 0;
  for (let at = 0; at < 20; at += 2) sum += view.getUint16(at);
  view.setUint16(10, ~((sum & 0xffff) + (sum >>> 16)) & 0xffff);
  return bytes;
}

/** From a socket of one node to one of another, so that no key is needed. */
function ergotHeader(): Uint8Array {
  const header = new FrameHeader();
  header.source = netAddress(1, 2, 5);
  header.destination = netAddress(1, 1, 3);
  header.sequence = SEQUENCE;
  header.kind = FrameKind.Topic;
  header.ttl = 15;
  const frame = Frame.from(new Uint8Array(0));
  header.push(frame);
  return frame.bytes();
}

function isOursInErgot(bytes: Uint8Array): boolean {
  const header = new FrameHeader();
  return header.read(Frame.from(bytes)) === undefined && header.sequence === SEQUENCE;
}

const MARKINGS: Readonly<Record<Medium, Marking>> = {
  ethernet: {
    header: ethernetHeader,
    isOurs: (bytes) => bytes[12] === EXPERIMENT >>> 8 && bytes[13] === (EXPERIMENT & 0xff),
  },
  ip: { header: ipHeader, isOurs: (bytes) => bytes[0] === 0x45 && bytes[9] === PROTOCOL },
  ergot: { header: ergotHeader, isOurs: isOursInErgot },
};

/** Bytes of the link header, which the MTU does not count. */
export function linkHeader({ medium }: Device): number {
  return medium === 'ethernet' ? 14 : 0;
}

/** A frame with a number of a byte, its last; the rest of what is behind the header is `filling`. */
export function marked(
  { medium }: Device,
  number: number,
  length: number = medium === 'ethernet' ? 114 : 100,
  filling = 0,
): Uint8Array {
  const bytes = new Uint8Array(length).fill(filling);
  bytes.set(MARKINGS[medium].header(length));
  bytes[length - 2] = MARK;
  bytes[length - 1] = number;
  return bytes;
}

/** The number of a frame of {@link marked}, or `undefined` for all others. */
export function numberOf({ medium }: Device, bytes: Uint8Array): number | undefined {
  return MARKINGS[medium].isOurs(bytes) && bytes[bytes.length - 2] === MARK ? bytes[bytes.length - 1] : undefined;
}
