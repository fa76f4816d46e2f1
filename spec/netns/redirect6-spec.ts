/** Two hosts of ours and a router of the kernel's on one link: the router redirects, and its ways are given up when they lead nowhere. */

import { expect } from 'chai';
import { anyAddress, parseIp } from '../../lib/core/address.js';
import { LiveHost } from './live-host.js';
import { until } from '../until.js';
import { describeNetns, type Namespace } from './namespace.js';
import { Recording } from './recording.js';

const ROUTER = 'fe80::aa';
// In the router's network, but no network of ours: so that all goes by the router.
const A = 'fd77::a';
const B = 'fd77::b';

/** A bridge with a port for each host, and the router on it. */
function bridge(namespace: Namespace): void {
  namespace.sysctl('net.ipv6.conf.all.forwarding', 1);
  namespace.ip('link', 'add', 'br0', 'type', 'bridge');
  namespace.ip('addr', 'add', `${ROUTER}/64`, 'dev', 'br0');
  namespace.ip('addr', 'add', 'fd77::1/64', 'dev', 'br0');
  namespace.ip('link', 'set', 'br0', 'up');
  for (const name of ['tap0', 'tap1']) {
    namespace.ip('tuntap', 'add', name, 'mode', 'tap');
    namespace.ip('link', 'set', name, 'master', 'br0', 'up');
  }
}

describeNetns('redirects of a kernel, IPv6', (netns) => {
  const recording = new Recording();

  it('4861-6: are followed to a neighbour that is nearer, and back when that is gone', async function () {
    this.timeout(20_000);
    const { namespace } = netns;
    bridge(namespace);
    const live = (name: string, mac: string, address: string) => {
      const neighbours = { retransTimer: 50, delayFirstProbe: 50, baseReachable: 200 };
      const addresses = [`${address}/128`];
      const options = { name, mac, addresses, peer: [], neighbours, services: [], recording, both: true };
      const one = new LiveHost(namespace, { ...options, gateway: `${ROUTER}%${name}` });
      const heard: string[] = [];
      const socket = one.me.udp.bind(
        { address: anyAddress(6), port: 9 },
        { message: ({ data }) => void heard.push(Buffer.from(data).toString()), error: () => undefined },
      );
      return { one, heard, socket };
    };
    const a = live('tap0', '02:77:00:00:00:0a', A);
    const b = live('tap1', '02:77:00:00:00:0b', B);
    const hop = () => {
      const { a: w, b: x, c: y, d: z } = parseIp(B) as { a: number; b: number; c: number; d: number };
      const route = a.one.me.tables.route6(w, x, y, z);
      return route?.gateway?.toString().split('%')[0] ?? 'direct';
    };
    expect(hop()).to.equal(ROUTER);
    let sent = 0;
    const send = () => a.socket.send(Buffer.from(`${sent++}`), { address: parseIp(B), port: 9 });
    send();
    await until(() => b.heard.length === 1 && hop() === 'direct');
    send();
    await until(() => b.heard.length === 2);
    const info = a.one.me.neighbours(a.one.device)?.get(parseIp(B));
    expect(info).to.deep.include({ mac: 0x0277_0000_000b, isRouter: false });
    // The first by the router, the second directly.
    const lines = await recording.tshark(
      'udp.port == 9 && !icmpv6 && frame.packet_flags_direction == 1',
      '-T',
      'fields',
      '-e',
      'eth.src',
    );
    const router = /link\/ether (\S+)/.exec(namespace.ip('link', 'show', 'br0'))?.[1];
    expect(lines).to.deep.equal([router, '02:77:00:00:00:0a']);
    b.socket.close();
    await b.one.close({ complaints: true });
    await until(() => {
      send();
      return hop() === ROUTER;
    });
    a.socket.close();
    await a.one.close({ complaints: true });
  });

  it('row 5: tshark finds nothing wrong with what we sent', async function () {
    this.timeout(60_000);
    await recording.expectSound({ icmpv6: 2, udp: 2 });
  });
});
