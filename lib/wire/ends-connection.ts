/** Whether a frame says that a connection ends: read from the packet itself, for drivers, which have no layers. */

import type { Medium } from '../core/device.js';
import { type Frame, NOT_PARSED } from '../core/frame.js';
import { ETHERNET_HEADER } from './ethernet.js';
import { IpProtocol } from './ip.js';
import { IPV6_HEADER } from './ipv6.js';
import { networkOffset } from './network-offset.js';
import { TCP_DATA_OFFSET, TCP_HEADER, TcpFlag } from './tcp.js';
import { TransportHeaders } from './transport-headers.js';

/** No segment without data is longer, but for rare options. */
const LONGEST = ETHERNET_HEADER + IPV6_HEADER + TCP_HEADER + 12;

const headers = new TransportHeaders();

/**
 * Whether a frame, as a device of this medium has it, is a whole TCP segment with FIN, no longer than those without data are. Its checksum is not looked
 * at.
 */
export function endsConnection(frame: Frame, medium: Medium): boolean {
  if (frame.length > LONGEST) return false;
  const network = networkOffset(frame, medium);
  if (network === NOT_PARSED || !headers.find(frame, network) || headers.protocol !== IpProtocol.Tcp) return false;
  return (frame.slab.view.getUint16(headers.transport + TCP_DATA_OFFSET) & TcpFlag.Fin) !== 0;
}
