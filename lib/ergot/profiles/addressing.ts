/** What the net stack is told of addresses of 32 bits. */

import * as net from '../net-address.js';
import { Reach } from '../message.js';
import type { Addressing } from '../profile.js';

/** The addresses of all profiles of ergot 0.12. */
export const netAddressing: Addressing<number> = {
  here: 0,
  everyone: net.PORT_ALL,
  lastPort: net.PORT_ALL - 1,
  // In most frames a number so small takes one byte, and nobody on the way looks at it.
  randomSequence: false,
  includesHere: () => true,
  reach,
  port: net.portOf,
  withPort: net.withPort,
  all: (address) => net.withPort(address, net.PORT_ALL),
  equals: (a, b) => a === b,
  text: net.netAddressText,
  parse: net.parseNetAddress,
};

/** How many sockets an address stands for. */
export function reach(address: number): Reach {
  const port = address & 0xff;
  return port === net.PORT_ANY ? Reach.Any : port === net.PORT_ALL ? Reach.All : Reach.One;
}
