/**
 * Lowers the maximum segment size that the ends of a connection tell each other to what a link on its way carries: for links of smaller MTU, such as
 * tunnels, where path MTU discovery fails because somebody drops ICMP (RFC 4459 3.2, RFC 9293 3.7.1).
 */

import { ChecksumState, type Frame } from '../core/frame.js';
import { updateChecksum } from '../wire/checksum.js';
import { IpProtocol } from '../wire/ip.js';
import { IPV4_HEADER } from '../wire/ipv4.js';
import { IPV6_HEADER } from '../wire/ipv6.js';
import { PacketFields } from '../wire/packet-fields.js';
import { TCP_CHECKSUM_OFFSET, TCP_DATA_OFFSET, TCP_HEADER, TcpFlag } from '../wire/tcp.js';

// RFC 9293 3.2.
const END = 0;
const NOP = 1;
const MSS = 2;
const MSS_LENGTH = 4;

/** Nothing here calls out between reading a packet and being done with it. */
const fields = new PacketFields();

/**
 * Lowers the size in a SYN, its IP header at `frame.network`, so that packets of at most `mtu` bytes come of it; other packets, and smaller sizes, are left
 * as they are. Nothing is added where the option is missing. Returns whether anything was changed.
 */
export function clampMss(frame: Frame, mtu: number): boolean {
  const { network } = frame;
  if (!fields.read(frame, network)) return false;
  const { transport, protocol, tcpFlags } = fields;
  if (protocol !== IpProtocol.Tcp || transport < 0 || (tcpFlags & TcpFlag.Syn) === 0) return false;
  const { view } = frame.slab;
  const at = findMss(view, transport);
  const most = mtu - (fields.version === 4 ? IPV4_HEADER : IPV6_HEADER) - TCP_HEADER;
  if (at < 0 || view.getUint16(at) <= most || most <= 0) return false;
  const before = view.getUint16(at);
  view.setUint16(at, most);
  // Of a partial checksum only the pseudo-header is in the field.
  if (frame.checksum === ChecksumState.Partial) return true;
  const field = transport + TCP_CHECKSUM_OFFSET;
  const isOdd = ((at - transport) & 1) === 1;
  const checksum = view.getUint16(field);
  // At an odd place its bytes stand in the other halves of two words (RFC 1071 2.B).
  const updated = isOdd ? updateChecksum(checksum, swap(before), swap(most)) : updateChecksum(checksum, before, most);
  view.setUint16(field, updated);
  return true;
}

/** Offset of the size in the options of the TCP header at `transport`, or -1. */
function findMss(view: DataView, transport: number): number {
  const end = transport + (view.getUint8(transport + TCP_DATA_OFFSET) >>> 4) * 4;
  for (let at = transport + TCP_HEADER; at < end; ) {
    const kind = view.getUint8(at);
    if (kind === END) return -1;
    if (kind === NOP) {
      at++;
      continue;
    }
    const length = at + 1 < end ? view.getUint8(at + 1) : 0;
    if (length < 2 || at + length > end) return -1;
    if (kind === MSS) return length === MSS_LENGTH ? at + 2 : -1;
    at += length;
  }
  return -1;
}

function swap(word: number): number {
  return ((word & 0xff) << 8) | (word >>> 8);
}
