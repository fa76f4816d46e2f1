/** The routes of packets that are sent from here, where more than the destination decides: each is asked for by its own fields. */

import type { IpVersion } from '../core/address.js';
import type { Frame } from '../core/frame.js';
import { PacketFields } from '../wire/packet-fields.js';
import { FlowHash } from './fib-flow.js';
import type { Route, Routes } from './routes.js';
import { RouteQuery } from './routing-query.js';

/** See the module. */
export class OwnRouting {
  private readonly fields = new PacketFields();
  private readonly query = new RouteQuery();
  private readonly hash = new FlowHash(0);

  /** The route of the IP packet that a frame begins with. */
  find<V extends IpVersion>(routes: Routes<V>, frame: Frame): Route<V> | undefined {
    const { fields } = this;
    if (!fields.read(frame, frame.start)) return undefined;
    return routes.find(this.query.read(fields, frame, undefined, this.hash.of(fields, frame)));
  }
}
