/** TUN: an interface of a Linux kernel that carries bare IP packets to and from this process; it has no link layer. */

import { MacAddress } from '../lib/core/address.js';
import type { Device } from '../lib/core/device.js';
import type { Env } from '../lib/core/env.js';
import { IFF_TUN } from './native/if-tun.js';
import { openTunInterface } from './native/open-tun.js';
import { TunDevice } from './native/tun-device.js';
import type { TunOptions } from './native/tun-options.js';

export type { TunOptions } from './native/tun-options.js';

/**
 * Opens a TUN interface in the network namespace of this thread. Its medium is `ip`.
 *
 * @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS`
 * @throws NetError `ENOTSUP` on other systems, `ENODEV` without /dev/net/tun, `EACCES` or `EPERM` without permission, `EBUSY`
 *   where the name is taken
 */
export function openTun(options: TunOptions, env: Env): Device {
  const opened = openTunInterface(IFF_TUN, options);
  return new TunDevice({ ...opened, medium: 'ip', mac: MacAddress.ZERO }, options, env);
}
