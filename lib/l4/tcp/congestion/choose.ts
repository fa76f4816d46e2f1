/** The congestion controls by name. */

import { UsageError } from '../../../core/errors.js';
import { bbr } from './bbr.js';
import type { CongestionFactory } from './congestion.js';
import { cubic } from './cubic.js';
import { newReno } from './newreno.js';

/** Names of the controls that are there. */
export type CongestionName = 'cubic' | 'newreno' | 'bbr';

const CONTROLS: Readonly<Record<CongestionName, CongestionFactory>> = { cubic, newreno: newReno, bbr };

/** What makes the controls that `choice` means: a name, or the factory itself. @throws UsageError `ERR_INVALID_OPTION` */
export function congestionFactory(choice: CongestionName | CongestionFactory): CongestionFactory {
  if (typeof choice === 'function') return choice;
  // The default first: each connection asks, and to look whether a name is there costs more than all that follows.
  if (choice === 'cubic') return cubic;
  if (Object.hasOwn(CONTROLS, choice)) return CONTROLS[choice];
  throw new UsageError(
    'ERR_INVALID_OPTION',
    `congestion is one of ${Object.keys(CONTROLS).join(', ')} or a factory, not ${String(choice)}`,
  );
}
