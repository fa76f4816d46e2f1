/** Options of the profiles that route, and what they are within. */

import type { Device } from '../../core/device.js';
import { UsageError } from '../../core/errors.js';
import { NET_LAST } from '../net-address.js';
import { type LeaseTimes, leaseTimes } from './leases.js';
import { checkLiveness, type LivenessOption } from './port.js';

const MAX_LINKS = 255;
const DEFAULT_LINKS = 255;
const DEFAULT_SEED_ROUTES = 64;

/** Options of {@link routerProfile}. */
export interface RouterOptions {
  /** How many links it takes, without the one upstream, 1 to 255. Default 255. */
  readonly links?: number;
  /** How many networks it gives out to bridges below, or passes on to them, 0 to 65,534. With 0 it gives out none. Default 64. */
  readonly seedRoutes?: number;
  /** How many node numbers it gives out on all its links together, 0 to 65,534. With 0 there are none but those of links of two. Default 0. */
  readonly claims?: number;
  /** When a link counts as lost. Default: never. */
  readonly liveness?: LivenessOption;
  /** How long what it gives out is given out for. Shorter times than ergot's are for tests, and for networks where much comes and goes. */
  readonly leases?: Partial<LeaseTimes>;
}

/** Options of {@link bridgeProfile}. */
export interface BridgeOptions extends RouterOptions {
  /** The link upstream: its name, or which it is. Default: the first that is attached, and any of the same name once that is gone. */
  readonly upstream?: string | ((link: Device) => boolean);
}

/** {@link RouterOptions} that were checked. */
export interface RouterSettings {
  readonly links: number;
  readonly seedRoutes: number;
  readonly claims: number;
  readonly liveness: LivenessOption | undefined;
  readonly leases: LeaseTimes;
  /** `undefined` for a root; empty for the first link. */
  readonly upstream: string | ((link: Device) => boolean) | undefined;
}

/** @throws UsageError `ERR_INVALID_OPTION` */
export function checkOptions(options: RouterOptions, upstream: RouterSettings['upstream']): RouterSettings {
  const { links = DEFAULT_LINKS, seedRoutes = DEFAULT_SEED_ROUTES, claims = 0, liveness, leases = {} } = options;
  checkCount('links', links, 1, MAX_LINKS);
  checkCount('seedRoutes', seedRoutes, 0, NET_LAST);
  checkCount('claims', claims, 0, NET_LAST);
  checkLiveness(liveness);
  return { links, seedRoutes, claims, liveness, leases: leaseTimes(leases), upstream };
}

function checkCount(name: string, count: number, least: number, most: number): void {
  if (Number.isInteger(count) && count >= least && count <= most) return;
  throw new UsageError('ERR_INVALID_OPTION', `${name} must be within ${least}..${most}, not ${count}`);
}
