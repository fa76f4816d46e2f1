/** Where a segment goes: made of what its connection has when it is sent, since there may be very many connections. */

import { type IpAddress, Ipv4Address, type IpVersion } from '../../core/address.js';
import type { IpFlow } from '../../wire/ip.js';
import type { Connection } from './connection.js';

class Flow {
  version: IpVersion = 4;
  source: IpAddress = Ipv4Address.ANY;
  destination: IpAddress = Ipv4Address.ANY;
  readonly protocol = 6;
  hopLimit = 0;
  trafficClass = 0;
  dontFragment = true;
}

// Filled and read within one call, whatever the connection.
const flow = new Flow();

/** The flow of the connection's next segment; it is valid until the next call. @param whole whether it must not be cut on the way */
export function flowOf(c: Connection, trafficClass: number, whole: boolean): IpFlow {
  flow.version = c.version;
  flow.source = c.local.address;
  flow.destination = c.remote.address;
  flow.hopLimit = c.hopLimit;
  flow.trafficClass = trafficClass;
  flow.dontFragment = whole || !c.mayFragment;
  return flow;
}
