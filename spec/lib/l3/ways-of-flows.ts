/** Routes that share flows, for the specs of tables. */

import { type Address, Cidr, type IpVersion, parseIp } from '../../../lib/core/address.js';
import type { Device } from '../../../lib/core/device.js';
import { NOWHERE } from '../../../lib/l3/fib.js';
import type { Route } from '../../../lib/l3/routes.js';

/** A device that nothing is sent by. */
export function device(name: string): Device {
  return Object.assign(Object.create(NOWHERE) as Device, { name });
}

/** The device of routes where any will do. */
export const SOME_DEVICE: Device = device('net0');

/** The route to a prefix of either version, by a gateway with this last number. */
export function route<V extends IpVersion>(text: string, gateway: number, more: Partial<Route<V>> = {}): Route<V> {
  const destination = Cidr.parse(text) as Cidr<V>;
  const hop = parseIp(destination.version === 4 ? `192.0.2.${gateway}` : `fe80::${gateway.toString(16)}`) as Address<V>;
  return { destination, gateway: hop, device: SOME_DEVICE, ...more };
}

/** The last number of a route's gateway. */
export function hopOf(found: Route | undefined): number | undefined {
  return found?.gateway && found.gateway.word(3) & 0xff;
}
