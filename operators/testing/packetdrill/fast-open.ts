/** Fast Open as scripts use it: `sendto(..., MSG_FASTOPEN, ...)`, and `connect` with TCP_FASTOPEN_CONNECT. */

import type { IpAddress } from '../../../lib/core/address.js';
import { defaultMss } from '../../../lib/l4/tcp/options.js';
import type { TcpHost } from '../../../lib/l4/tcp/tcp-host.js';

// What Linux keeps free of a SYN for options.
const OPTION_SPACE = 40;
const ETHERNET_MSS = 1460;

/** How many bytes of data a SYN to `remote` would take; `undefined` where a cookie has to be asked for first. */
export function roomInSyn(
  tcp: Pick<TcpHost, 'fastOpen' | 'config'>,
  remote: IpAddress,
  now: number,
): number | undefined {
  const known = tcp.fastOpen.find(remote, now);
  if (known === undefined || (known.cookie.length === 0 && !tcp.config.fastOpenWithoutCookie)) return undefined;
  const mss = known.mss === 0 ? defaultMss(remote.version) : known.mss;
  return Math.min(ETHERNET_MSS, mss) - OPTION_SPACE;
}
