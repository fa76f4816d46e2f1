import { NEVER } from 'rxjs';
import { MacAddress } from '../../lib/core/address.js';
import { type Device, NO_FEATURES } from '../../lib/core/device.js';
import type { NotationContext } from '../../lib/text/notation-context.js';

/** What a {@link testDevice} is, where the default does not do. */
export interface TestDeviceOptions {
  /** Default `test0`. */
  readonly name?: string;
  /** Default 1500. */
  readonly mtu?: number;
  /** Default: the local MAC address of the notation. */
  readonly mac?: string;
}

/** A device to build a host on, whose frames come from diagrams and go to expectations: it brings none, and drops what it is given. */
export function testDevice(context: NotationContext, options: TestDeviceOptions = {}): Device {
  const { name = 'test0', mtu = 1500, mac } = options;
  const close = (): Promise<void> => Promise.resolve();
  const ethernet = context.linkType === 'ethernet';
  const own = mac === undefined ? new MacAddress(context.ends('>').macFrom) : MacAddress.parse(mac);
  return {
    name,
    mac: ethernet ? own : MacAddress.ZERO,
    mtu,
    medium: context.linkType,
    features: NO_FEATURES,
    frames$: NEVER,
    sink: { next: (frame) => frame.release(), error: () => undefined, complete: () => undefined },
    close,
    [Symbol.asyncDispose]: close,
  };
}
