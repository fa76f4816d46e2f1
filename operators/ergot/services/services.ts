import { Subscription } from 'rxjs';
import { type DeviceInfo, serveDeviceInfo } from '../../../lib/ergot/services/device-info.js';
import { servePing } from '../../../lib/ergot/services/ping.js';
import { serveSocketQueries } from '../../../lib/ergot/services/socket-query.js';
import type { ErgotNode } from '../ergot.js';

/** Options of {@link services}. */
export interface ServicesOptions {
  /** What the node says it is, to whoever asks who is there. Default: nothing. */
  readonly device?: DeviceInfo;
  /** Whether it answers pings. Default true. */
  readonly ping?: boolean;
  /** Whether it tells of its sockets. Default true. */
  readonly sockets?: boolean;
}

/**
 * Has a node serve what is well known. It ends with the node, and when it is unsubscribed.
 *
 * @throws UsageError `ERR_BAD_MESSAGE` for a name or a description that is too long; ErgotError `ERR_ERGOT_NO_PORT`, `ERR_ERGOT_CLOSED`
 * @example
 * services(node, { device: { name: 'lamp', id: 7n } });
 */
export function services<A>({ stack }: ErgotNode<A>, options: ServicesOptions = {}): Subscription {
  const { device, ping = true, sockets = true } = options;
  const all = new Subscription();
  // First: it is what may refuse.
  if (device !== undefined) add(all, serveDeviceInfo(stack, device));
  if (ping) add(all, servePing(stack));
  if (sockets) add(all, serveSocketQueries(stack));
  return all;
}

function add(all: Subscription, socket: { close(): void }): void {
  all.add(() => socket.close());
}
