import type { MonoTypeOperatorFunction } from 'rxjs';
import type { Device } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import type { IpTables } from '../../lib/l3/ip-tables.js';
import { ReversePath, type ReversePathMode } from '../../lib/l3/reverse-path.js';
import type { Ipv4Packet } from '../../lib/wire/ipv4.js';
import type { Ipv6Packet } from '../../lib/wire/ipv6.js';
import { layer } from '../flow/layer.js';
import { defaultEnvironment } from '../time/environment.js';

/** Options of {@link reversePath}. */
export interface ReversePathOptions {
  /** Where sources are. */
  readonly tables: IpTables;
  /** How strict to be with what comes by a device; by one that is left out anything may come. */
  readonly modes: ReadonlyMap<Device, ReversePathMode> | ReversePathMode;
}

/**
 * Lets through the packets that come from where their sources are, as far as the routes know (RFC 3704).
 *
 *     in   --p--q--|     q: from an address of another interface's network
 *     out  --p-----|
 *
 * `strict`, answers would leave by the interface that the packet came by; `loose`, there is a route back other than a default one: for networks to
 * which packets come by another way than they go. Link-local and unspecified sources pass.
 *
 * **Drops** `ReversePathFailed`. **State and timers** routes that were looked up; none.
 *
 * @example
 * link$.on(EtherType.Ipv4).pipe(ip(), reversePath({ tables, modes: 'strict' }))
 */
export function reversePath(
  { tables, modes }: ReversePathOptions,
  env: Env = defaultEnvironment(),
): MonoTypeOperatorFunction<Ipv4Packet | Ipv6Packet> {
  return layer(() => {
    const paths = new ReversePath(tables);
    return (packet) => {
      const { device } = packet.frame;
      const mode = typeof modes === 'string' ? modes : device && modes.get(device);
      const wrong = mode === undefined ? undefined : paths.check(packet, device, mode);
      return wrong === undefined ? packet : env.drops.report(wrong, packet.frame, 'reversePath');
    };
  });
}
