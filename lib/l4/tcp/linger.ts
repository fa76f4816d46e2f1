/** A `close` that lingers: its owner is told when everything was acknowledged, or the time is up (`SO_LINGER`). */

import type { Connection } from './connection.js';
import type { Settings } from './settings.js';
import { Tell } from './tell.js';

/** The connection was closed: its owner waits for what is queued, for so long. */
export function linger(c: Connection, milliseconds: number): void {
  const { host } = c;
  const settings = c.ownSettings;
  settings.lingering ??= host.env.timers.timer(() => {
    host.enter();
    c.tell(Tell.LINGERED);
    host.leave();
  });
  settings.lingering.arm(host.now + milliseconds);
  if (c.over || c.state === 'FIN-WAIT-2') c.tell(Tell.LINGERED);
}

/** Everything was acknowledged, or there was nothing to wait for, or the time is up. @param due whether it was not for the first */
export function lingered(c: Connection, settings: Settings, due: boolean): void {
  const { lingering } = settings;
  if (lingering === undefined || !(due || lingering.armed) || c.closedTold) return;
  lingering.cancel();
  settings.lingering = undefined;
  c.handler.lingered?.(c.queue.length === 0 && c.snd.una === c.snd.nxt);
}
