/** Frames through a router, from memory to memory. */

import { Ipv4Address, type IpVersion, Ipv6Address, MacAddress, parseIp } from '../../lib/core/address.js';
import { type Device, NO_FEATURES } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import { asRx, type RxFrame } from '../../lib/core/frame.js';
import { pseudoHeaderSum, pushIpHeader } from '../../lib/l3/ip-output.js';
import type { IpTables } from '../../lib/l3/ip-tables.js';
import { ETHERNET_HEADER, EtherType, EthernetFrame } from '../../lib/wire/ethernet.js';
import { type IpFlow, IpProtocol } from '../../lib/wire/ip.js';
import { IPV4_HEADER } from '../../lib/wire/ipv4.js';
import { IPV6_HEADER } from '../../lib/wire/ipv6.js';
import { UDP_HEADER, UdpDatagram } from '../../lib/wire/udp.js';
import { type Router, router, type RouterHooks } from '../../operators/stack/router.js';
import { environment } from '../../operators/time/environment.js';
import { SimulationScheduler } from '../../operators/time/simulation-scheduler.js';
import { BATCH, replay, source } from './pipeline.js';

const CLIENT_MAC = 0x0200_0000_0002;
const SERVER_MAC = 0x0200_0000_0003;

/** What goes through the router. */
export interface ForwardingOptions {
  readonly version: IpVersion;
  /** In turn, each to a destination of its own. */
  readonly flows: number;
  /** Of the IP packets, in bytes. */
  readonly length: number;
  /** What the packets pass on their way. */
  readonly hooks?: (place: HookPlace) => RouterHooks;
}

/** What operators in hooks are made with. */
export interface HookPlace {
  readonly env: Env;
  readonly tables: () => IpTables;
}

function device(name: string, mac: string): Device {
  const { frames$ } = source();
  const close = (): Promise<void> => Promise.resolve();
  return {
    name,
    mac: MacAddress.parse(mac),
    mtu: 1500,
    medium: 'ethernet',
    features: NO_FEATURES,
    frames$,
    sink: { next: (frame) => frame.release(), error: () => undefined, complete: () => undefined },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** A router between two devices, which knows the way to where the flows go. */
function makeRouter(left: Device, right: Device, hooks: NonNullable<ForwardingOptions['hooks']>, env: Env): Router {
  const me: Router = router(
    {
      interfaces: [
        { device: left, addresses: ['192.168.1.1/24', 'fd01::1/64'] },
        { device: right, addresses: ['192.168.2.1/24', 'fd02::1/64'] },
      ],
      routes: [
        { destination: '198.18.0.0/15', gateway: '192.168.2.2', device: right },
        { destination: '2001:db8::/32', gateway: 'fd02::2', device: right },
      ],
      hooks: hooks({ env, tables: () => me.tables }),
    },
    env,
  );
  for (const address of ['192.168.2.2', 'fd02::2']) me.neighbours(right)?.setStatic(parseIp(address), SERVER_MAC);
  return me;
}

/** A datagram of a flow, as it comes to the left device. */
function frameOf({ version, length }: ForwardingOptions, flow: number, to: Device, env: Env): RxFrame {
  const source = version === 4 ? parseIp('192.168.1.2') : parseIp('fd01::2');
  const destination = version === 4 ? new Ipv4Address(0xc612_0001 + flow) : new Ipv6Address(0x2001_0db8, 0, 0, flow);
  const payload = length - (version === 4 ? IPV4_HEADER : IPV6_HEADER) - UDP_HEADER;
  const frame = env.pool.alloc(payload);
  frame.put(payload);
  const ends = { version, source, destination, protocol: IpProtocol.Udp, hopLimit: 64, trafficClass: 0 };
  const ip = { ...ends, dontFragment: true } as IpFlow;
  UdpDatagram.emit(frame, 1024 + (flow & 0xff), 53, pseudoHeaderSum(ip, payload + UDP_HEADER));
  pushIpHeader(frame, ip, 0);
  EthernetFrame.emit(frame, to.mac.value, CLIENT_MAC, version === 4 ? EtherType.Ipv4 : EtherType.Ipv6);
  return asRx(frame);
}

/** Forwards {@link BATCH} frames with each call. */
export function forwarding(options: ForwardingOptions): () => void {
  const { version, flows, hooks = () => ({}) } = options;
  const env = environment({ scheduler: new SimulationScheduler(), seed: 1 });
  const left = device('left', '02:00:00:00:01:01');
  const right = device('right', '02:00:00:00:01:02');
  let sent = 0;
  const { frames$, next } = source();
  frames$.pipe(makeRouter(left, right, hooks, env)).subscribe((frame) => {
    if (frame.device === right) sent++;
    frame.release();
  });
  const frames = Array.from({ length: flows }, (_, flow) => frameOf(options, flow, left, env));
  // What a router may change of a packet, translators included.
  const changed = ETHERNET_HEADER + (version === 4 ? IPV4_HEADER : IPV6_HEADER) + UDP_HEADER;
  const heads = frames.map((frame) => frame.bytes().slice(0, changed));
  let index = 0;
  const again = replay(frames, (frame) => {
    const head = heads[index++ % flows];
    if (head !== undefined) frame.slab.bytes.set(head, frame.start);
    frame.device = left;
    next(frame);
  });
  return () => {
    sent = index = 0;
    again();
    if (sent !== BATCH) throw new Error(`${sent} of ${BATCH} packets went further: ${JSON.stringify(env.drops)}`);
  };
}
