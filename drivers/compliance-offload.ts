/** What a device must do with frames whose metadata leave checksum or segmentation to it, and may hand over as such. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Ipv4Address, Ipv6Address } from '../lib/core/address.js';
import type { Medium } from '../lib/core/device.js';
import { asTx, ChecksumState, Frame, FramePool, GsoType, type TxFrame } from '../lib/core/frame.js';
import { EthernetFrame, EtherType } from '../lib/wire/ethernet.js';
import { IpProtocol } from '../lib/wire/ip.js';
import { ipv4PseudoHeaderSum, Ipv4Packet } from '../lib/wire/ipv4.js';
import { ipv6PseudoHeaderSum, Ipv6Packet } from '../lib/wire/ipv6.js';
import { networkOffset } from '../lib/wire/network-offset.js';
import { completeChecksum, segment } from '../lib/wire/segmentation.js';
import { TCP_CHECKSUM_OFFSET, TcpFlag, TcpSegment } from '../lib/wire/tcp.js';
import { UDP_CHECKSUM_OFFSET, UDP_HEADER, UdpDatagram } from '../lib/wire/udp.js';
import type { Requirement, Rig } from './compliance-rig.js';

// From documentation to documentation (RFC 5737, RFC 3849); the port tells our packets from all others.
const SOURCE4 = Ipv4Address.parse('192.0.2.1');
const DESTINATION4 = Ipv4Address.parse('198.51.100.1');
const SOURCE6 = Ipv6Address.parse('2001:db8::1');
const DESTINATION6 = Ipv6Address.parse('2001:db8:1::1');
const PORT = 42_420;
const EVERYBODY = 0xffff_ffff_ffff;
const STATION = 0x0200_0000_0001;
const SIZE = 500;

/** What there is to leave to a device. */
interface Kind {
  readonly title: string;
  readonly version: 4 | 6;
  readonly protocol: number;
  readonly gsoType: GsoType;
  readonly payload: number;
}

const TCP = IpProtocol.Tcp;
const UDP = IpProtocol.Udp;

const KINDS: readonly Kind[] = [
  { title: 'a partial checksum of TCP', version: 4, protocol: TCP, gsoType: GsoType.None, payload: 101 },
  { title: 'a partial checksum of UDP over IPv6', version: 6, protocol: UDP, gsoType: GsoType.None, payload: 100 },
  { title: 'a super-segment of TCP', version: 4, protocol: TCP, gsoType: GsoType.TcpV4, payload: 5 * SIZE + 77 },
  { title: 'one of TCP over IPv6', version: 6, protocol: TCP, gsoType: GsoType.TcpV6, payload: 20_000 },
  { title: 'one of UDP', version: 4, protocol: UDP, gsoType: GsoType.UdpL4, payload: 4 * SIZE },
  { title: 'one of UDP over IPv6', version: 6, protocol: UDP, gsoType: GsoType.UdpL4, payload: 3 * SIZE + 1 },
];

/** A frame of that kind, with the sum of the pseudo-header in its checksum field. */
function frameOf(kind: Kind, medium: Medium, pool: FramePool): TxFrame {
  const { version, protocol, gsoType, payload } = kind;
  const frame = pool.alloc(payload);
  const at = frame.put(payload);
  for (let i = 0; i < payload; i++) frame.slab.bytes[at + i] = i ^ (i >> 8);
  const length = payload + (protocol === TCP ? 20 : UDP_HEADER);
  const sum =
    version === 4
      ? ipv4PseudoHeaderSum(SOURCE4.value, DESTINATION4.value, protocol, length)
      : ipv6PseudoHeaderSum(SOURCE6, DESTINATION6, protocol, length);
  emitTransport(frame, protocol);
  frame.checksum = ChecksumState.Partial;
  frame.checksumStart = frame.start;
  frame.checksumField = frame.start + (protocol === TCP ? TCP_CHECKSUM_OFFSET : UDP_CHECKSUM_OFFSET);
  frame.slab.view.setUint16(frame.checksumField, sum);
  frame.gsoType = gsoType;
  frame.gsoSize = gsoType === GsoType.None ? 0 : SIZE;
  if (version === 6) Ipv6Packet.emit(frame, { source: SOURCE6, destination: DESTINATION6, protocol });
  else {
    const [source, destination] = [SOURCE4.value, DESTINATION4.value];
    Ipv4Packet.emit(frame, { source, destination, protocol, identification: 0xfffe });
  }
  if (medium === 'ethernet')
    EthernetFrame.emit(frame, EVERYBODY, STATION, version === 4 ? EtherType.Ipv4 : EtherType.Ipv6);
  return asTx(frame);
}

function emitTransport(frame: Frame, protocol: number): void {
  if (protocol === UDP) {
    UdpDatagram.emit(frame, PORT, PORT, 0);
    return;
  }
  const flags = TcpFlag.Ack | TcpFlag.Psh;
  const [sequence, acknowledgment, window, urgentPointer] = [0xffff_ff00, 1, 1000, 0];
  const fields = { sourcePort: PORT, destinationPort: PORT, sequence, acknowledgment, flags, window, urgentPointer };
  TcpSegment.emit(frame, fields, 0);
}

/** A packet in a form that can be read and compared: its length, its headers, a digest of the whole. */
function textOf(frame: Frame, from: number): string {
  const bytes = Buffer.from(frame.slab.bytes.subarray(from, frame.end));
  const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
  return `${bytes.length}: ${bytes.toString('hex', 0, 60)}... ${digest}`;
}

/** The IP packets that a frame stands for. */
function packetsOf(frame: Frame, medium: Medium): readonly string[] {
  const pool = new FramePool();
  const copy = pool.copy(frame);
  const network = networkOffset(copy, medium);
  if (copy.gsoType === GsoType.None) {
    completeChecksum(copy);
    return [textOf(copy, network)];
  }
  const packets: string[] = [];
  const wrong = segment(copy, network, pool, (piece) => void packets.push(textOf(piece, piece.network)));
  assert.equal(wrong, undefined);
  return packets;
}

/** Whether it is one of ours. */
function isOurs(frame: Frame, medium: Medium): boolean {
  const at = networkOffset(frame, medium);
  if (at < 0 || frame.end - at < 40) return false;
  const { view } = frame.slab;
  const ports = at + (view.getUint8(at) >>> 4 === 4 ? 20 : 40);
  return ports + 4 <= frame.end && view.getUint32(ports) === PORT * 0x1_0001;
}

async function sentPackets(rig: Rig): Promise<readonly string[]> {
  const { medium } = rig.device;
  const frames = ((await rig.sent?.()) ?? []).map((bytes) => Frame.from(bytes));
  return frames.filter((frame) => isOurs(frame, medium)).map((frame) => textOf(frame, networkOffset(frame, medium)));
}

const SENDS: readonly Requirement[] = KINDS.map((kind) => [
  `sends what is left to it: ${kind.title}`,
  async (rig) => {
    const { device, env } = rig;
    const frame = frameOf(kind, device.medium, env.pool);
    const expected = packetsOf(frame, device.medium);
    device.sink.next(frame);
    await rig.settle();
    assert.deepEqual(await sentPackets(rig), expected);
  },
  ['sent'],
]);

const RECEIVES: readonly Requirement[] = KINDS.map((kind) => [
  `hands over what the far end left to its device: ${kind.title}`,
  async (rig) => {
    const { medium } = rig.device;
    const received: string[] = [];
    rig.device.frames$.subscribe((frame) => {
      if (!isOurs(frame, medium)) return;
      // A super-segment has been verified, or was never on a wire.
      assert.ok(frame.gsoType === GsoType.None || frame.checksum !== ChecksumState.None);
      received.push(...packetsOf(frame, medium));
    });
    const frame = frameOf(kind, medium, new FramePool());
    const expected = packetsOf(frame, medium);
    await rig.injectFrame?.(frame);
    await rig.settle();
    assert.deepEqual(received, expected);
  },
  ['injectFrame'],
]);

const SHARED: Requirement = [
  'does not change a frame that somebody else holds too, whatever is left to it',
  async (rig) => {
    const { device, env } = rig;
    for (const kind of KINDS) {
      const frame = frameOf(kind, device.medium, env.pool);
      const whole = (): string => Buffer.from(frame.slab.bytes.subarray(frame.base, frame.end)).toString('hex');
      const before = whole();
      device.sink.next(asTx(frame.retain()));
      await rig.settle();
      assert.equal(whole(), before);
      frame.release();
    }
  },
];

/** For the suite. */
export const OFFLOAD_REQUIREMENTS: readonly Requirement[] = [...SENDS, ...RECEIVES, SHARED];
