/** An ergot node over links: an operator, like a host, and links that are plugged in at run time. */

import type { Env } from '../../lib/core/env.js';
import type { Profile } from '../../lib/ergot/profile.js';
import { defaultEnvironment } from '../time/environment.js';
import type { ErgotNode, ErgotOptions } from './ergot-api.js';
import { ErgotLinks } from './ergot-links.js';
import { ErgotSockets } from './ergot-sockets.js';

export type { ErgotNode, ErgotOptions, ErgotRequest, LinkFailure } from './ergot-api.js';

/**
 * Makes an ergot node of a profile.
 *
 *     in   --q-----t--|     q: a request to a socket of ours, t: a topic that we and others listen to
 *     out  --a-----t--|     a: the answer, t: on its way to the others
 *
 * Its links are devices of medium `ergot`: either `options.links`, whose frames are piped through it, or plugged in one by one. As an operator it is
 * subscribed once, and ends with that subscription, as a host does; else it ends with `dispose()`. Sockets may be made at any time before.
 *
 * **Drops** `DeviceUnknown`, `ErgotNoSocket`, `ErgotBadMessage`, `ErgotQueueFull`, `ErgotUnsolicited`, `ErgotBadError`, `CallbackThrew`, and those of its
 * profile.
 * **State and timers** sockets, one timer for each request that waits, and those of its profile.
 *
 * @throws UsageError `ERR_INVALID_OPTION`; for a profile that another node has, or had, and when subscribed twice, `ERR_INVALID_STATE`
 * @example
 * const node = ergot(edgeProfile());
 * node.plug(device);
 * node.serve(ping).subscribe((request) => request.answer(request.value));
 */
export function ergot<A>(
  profile: Profile<A>,
  options: ErgotOptions = {},
  env: Env = defaultEnvironment(),
): ErgotNode<A> {
  const links = new ErgotLinks(profile, options, env);
  const sockets = new ErgotSockets(links.machine.stack, links.ended$);
  return Object.assign(links.operator(options.links ?? []), {
    env,
    profile,
    stack: links.machine.stack,
    links$: links.links$,
    failures$: links.failures$.asObservable(),
    plug: links.plug.bind(links),
    serve: sockets.serve.bind(sockets),
    request: sockets.request.bind(sockets),
    requestAll: sockets.requestAll.bind(sockets),
    topic: sockets.topic.bind(sockets),
    publish: sockets.publish.bind(sockets),
    dispose: () => links.close(),
    [Symbol.dispose]: () => links.close(),
  });
}
