/** The stack's UDP of one host that talks to itself, on the wall clock, with the face of the fake. */

import { type IpAddress, Ipv4Address, Ipv6Address } from '../../../lib/core/address.js';
import { Frame, FramePool } from '../../../lib/core/frame.js';
import { UdpHost } from '../../../lib/l4/udp.js';
import { environment } from '../../../operators/time/environment.js';
import { viewOf } from '../l4/tcp/pair.js';

/** Makes one. There is no ICMP here: nobody is told that a port is closed. */
export function realUdp(): UdpHost {
  const env = environment({ pool: new FramePool({ poison: true }) });
  const isLocal = (address: IpAddress) => address.isLoopback;
  const path = (to: IpAddress) => ({
    source: to.version === 4 ? Ipv4Address.LOOPBACK : Ipv6Address.LOOPBACK,
    mtu: 65_535,
  });
  const host = new UdpHost({ path, isLocal, isBroadcast: (address) => address.isBroadcast }, env);
  host.output.emit = (packet) => {
    const bytes = packet.bytes().slice();
    packet.release();
    setImmediate(() => {
      const frame = env.pool.copy(Frame.from(bytes));
      const view = viewOf(frame);
      if (view !== undefined) host.receive(view);
      frame.release();
    });
  };
  return host;
}
