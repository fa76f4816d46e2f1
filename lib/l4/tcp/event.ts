/** The events that calls of applications are: each ends however what was done in it ended, or the host would wait for that for ever. */

import type { Connection } from './connection.js';

/** Does something that may send, in a call of the application that must not be answered before it returned. */
export function inCall(c: Connection, act: (c: Connection) => void): void {
  c.host.enter();
  try {
    act(c);
  } finally {
    c.host.leaveLater();
  }
}

/** Does something that may send; what that leads to happens before it returns. */
export function inEvent(c: Connection, act: (c: Connection) => void): void {
  c.host.enter();
  try {
    act(c);
  } finally {
    c.host.leave();
  }
}
