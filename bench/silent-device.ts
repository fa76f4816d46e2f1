/** A device for benchmarks of hosts without one: nothing comes from it, and what goes to it is released. */

import { NEVER } from 'rxjs';
import { MacAddress } from '../lib/core/address.js';
import { type Device, type Medium, NO_FEATURES } from '../lib/core/device.js';
import type { TxFrame } from '../lib/core/frame.js';

/** See the module. */
export function silentDevice(name = 'bench', medium: Medium = 'ethernet'): Device {
  const close = () => Promise.resolve();
  const sink = { next: (frame: TxFrame) => frame.release(), error() {}, complete() {} };
  const mac = MacAddress.parse('02:00:00:00:00:01');
  const end = { close, [Symbol.asyncDispose]: close };
  return { name, mac, mtu: 1500, medium, features: NO_FEATURES, frames$: NEVER, sink, ...end };
}
