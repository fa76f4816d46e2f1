/**
 * TAP: an Ethernet interface of a Linux kernel whose wire ends in this process. The kernel's side is an ordinary network interface
 * with its own MAC and IP addresses; this side is what the pipeline makes of it.
 */

import { MacAddress } from '../lib/core/address.js';
import type { Device } from '../lib/core/device.js';
import type { Env } from '../lib/core/env.js';
import { UsageError } from '../lib/core/errors.js';
import { IFF_TAP } from './native/if-tun.js';
import { openTunInterface } from './native/open-tun.js';
import { anyMac } from './port.js';
import { TunDevice } from './native/tun-device.js';
import type { TunOptions } from './native/tun-options.js';

/** Options of {@link openTap}. */
export interface TapOptions extends TunOptions {
  /** MAC address of this side. Default: a locally administered one, drawn from the environment's random numbers. */
  readonly mac?: MacAddress | string;
  /** MAC address of the kernel's side. Default: the kernel's choice. */
  readonly peerMac?: MacAddress | string;
}

function unicast(address: MacAddress | string): MacAddress {
  const mac = MacAddress.of(address);
  if (mac.isGroup || mac.value === 0) {
    throw new UsageError('ERR_INVALID_OPTION', `${mac.toString()} is not a MAC address that an interface can have`);
  }
  return mac;
}

/**
 * Opens a TAP interface in the network namespace of this thread.
 *
 * @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS`
 * @throws NetError `ENOTSUP` on other systems, `ENODEV` without /dev/net/tun, `EACCES` or `EPERM` without permission, `EBUSY`
 *   where the name is taken
 * @example
 * const tap = openTap({ name: 'tap0', peer: ['10.77.0.1/24'] }, environment());
 * tap.frames$.pipe(host({ addresses: ['10.77.0.2/24'] })).subscribe(tap.sink);
 */
export function openTap(options: TapOptions, env: Env): Device {
  const mac = options.mac === undefined ? anyMac(env) : unicast(options.mac);
  const peerMac = options.peerMac === undefined ? undefined : unicast(options.peerMac);
  const opened = openTunInterface(IFF_TAP, options, peerMac);
  return new TunDevice({ ...opened, medium: 'ethernet', mac }, options, env);
}

export { deleteLink } from './native/rtnetlink.js';
export { inNamespace, unshareNamespace } from './native/namespace.js';
