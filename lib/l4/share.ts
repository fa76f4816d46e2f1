/**
 * Whose a flow is where several hosts share one address, each with a share of a device's traffic (`drivers/parallel`).
 *
 * The owner is a function of the packet alone, so that no table is kept, nothing ages, and the kernel (which runs the same function, see
 * `drivers/native/steering`) agrees with every host without being told of any flow:
 *
 * - local ports of the dynamic range (RFC 6335 6), and identifiers of echo requests, are dealt out: number modulo the number of hosts. So
 *   whoever opens a flow chooses a port of its own, and the answers come to it;
 * - what comes to other ports, those of services, is spread by a hash of the remote address and both ports under a secret.
 */

import type { IpAddress } from '../core/address.js';
import type { DeviceShare } from '../core/device.js';

/** First of the dynamic ports (RFC 6335 6): from here on ports are dealt out. */
export const FIRST_DYNAMIC_PORT = 49_152;

/** Odd, with bits everywhere: that of Fibonacci hashing. */
export const MIX_FACTOR = 0x9e37_79b1;
export const MIX_SHIFT = 15;
export const FINAL_FACTOR = 0x85eb_ca6b;
export const FINAL_SHIFT = 13;

/** Takes one more word into a hash, which starts as the secret. */
export function mix(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, MIX_FACTOR);
  return product ^ (product >>> MIX_SHIFT);
}

/** The owner that a hash of the remote address gives for a flow between these ports. */
export function ownerOfFlow(hash: number, localPort: number, remotePort: number, { of }: DeviceShare): number {
  if (localPort >= FIRST_DYNAMIC_PORT) return localPort % of;
  const product = Math.imul(mix(hash, (remotePort << 16) | localPort), FINAL_FACTOR);
  return ((product ^ (product >>> FINAL_SHIFT)) >>> 0) % of;
}

/** Whether a flow between a local port and a remote end is this host's; every flow is where the device is not shared. */
export function ownsFlow(
  share: DeviceShare | undefined,
  localPort: number,
  remote: IpAddress,
  remotePort: number,
): boolean {
  if (share === undefined) return true;
  let hash = share.secret;
  if (remote.version === 6) for (const i of [0, 1, 2] as const) hash = mix(hash, remote.word(i));
  return ownerOfFlow(mix(hash, remote.word(3)), localPort, remotePort, share) === share.index;
}

/** Whether all that comes to a port, or under an identifier of echo requests, is this host's, whoever sent it. */
export function ownsNumber(share: DeviceShare | undefined, number: number): boolean {
  return share === undefined || number % share.of === share.index;
}
