/** What kernels call the congestion controls. */

import type { CongestionName } from '../../../lib/l4/tcp/congestion/choose.js';

const CONGESTION: Readonly<Record<string, CongestionName>> = {
  cubic: 'cubic',
  reno: 'newreno',
  newreno: 'newreno',
  bbr: 'bbr',
};

/** The congestion control of a name that kernels use; `undefined` for those that there are none of here. */
export function congestionName(name: string): CongestionName | undefined {
  return Object.hasOwn(CONGESTION, name) ? CONGESTION[name] : undefined;
}
