/** Packets to groups through routers with static routes, in virtual time. */

import { expect } from 'chai';
import { type MonoTypeOperatorFunction, tap } from 'rxjs';
import { anyAddress, parseIp } from '../../../lib/core/address.js';
import type { Device } from '../../../lib/core/device.js';
import type { UdpMessage } from '../../../lib/l4/udp-api.js';
import type { RoutedPacket } from '../../../operators/stack/router.js';
import { forBothVersions } from '../../both-versions.js';
import { routed, type RouterPlan } from './router-networks.js';

const PORT = 5000;

forBothVersions('a router with routes for groups', ({ version }) => {
  const group = version === 4 ? '239.1.1.1' : 'ff0e::77:1';
  const other = version === 4 ? '239.1.1.2' : 'ff0e::77:2';
  const local = version === 4 ? '224.0.0.77' : 'ff02::77';
  const address = (net: number, n: number): string => (version === 4 ? `10.${net}.0.${n}` : `fd0${net}::${n}`);
  const prefix = version === 4 ? 24 : 64;

  /** A sender on link `s`, a second one on `t`, members on `x` and `y`: all links meet at one router. */
  function net(plan: Partial<RouterPlan> = {}) {
    const at = (n: number) => ({ addresses: [`${address(n, 2)}/${prefix}`], gateway: address(n, 1) });
    const on = Object.fromEntries(
      ['s', 't', 'x', 'y'].map((name, i) => [name, { addresses: [`${address(i + 1, 1)}/${prefix}`] }]),
    );
    const made = routed(
      { sender: at(1), second: at(2), left: at(3), right: at(4) },
      { r: { on, ...plan } },
      {
        s: { between: ['sender', 'r'] },
        t: { between: ['second', 'r'] },
        x: { between: ['left', 'r'] },
        y: { between: ['right', 'r'] },
      },
    );
    const { router, net: network } = made;
    const devices = new Map(
      [...router.tables.addresses.list(), ...router.tables.addresses6.list()].map(({ device, cidr }) => [
        cidr.address.toString(),
        device,
      ]),
    );
    network.runFor(5000);
    for (const one of router.tables.addresses6.list()) devices.set(one.cidr.address.toString(), one.device);
    const [s, t, x, y] = [1, 2, 3, 4].map((n) => devices.get(address(n, 1))) as [Device, Device, Device, Device];
    const heard: string[] = [];
    const listen = (name: string, to: string, { udp }: (typeof network.hosts)['left']): void => {
      const message = ({ data, hopLimit, source }: UdpMessage): void =>
        void heard.push(`${name} ${data[0]} ttl ${hopLimit} from ${source.address.toString()}`);
      udp
        .bind({ address: anyAddress(version), port: PORT }, { message, error() {} }, { reuseAddress: true })
        .groups.join(parseIp(to));
    };
    const send = (from: 'sender' | 'second', to: string, hops = 8, length = 10): string[] => {
      const socket = network.hosts[from].udp.bind(
        { address: anyAddress(version), port: 0 },
        { message() {}, error() {} },
      );
      socket.groups.hopLimit = hops;
      socket.send(new Uint8Array(length).fill(1), { address: parseIp(to), port: PORT });
      network.runFor(200);
      socket.close();
      return heard.splice(0).toSorted();
    };
    const finish = (): void => {
      network.dispose();
      network.assertIdle();
    };
    return { ...made, s, t, x, y, listen, send, finish, drops: () => router.env.drops.toJSON() };
  }

  const got = (name: string, ttl = 7, from = 1): string => `${name} 1 ttl ${ttl} from ${address(from, 2)}`;

  it('takes packets of a group to those links that have it, one hop further', () => {
    const { router, net: network, s, x, y, listen, send, finish } = net();
    router.multicastRoutes.add({ group, from: s, to: [x, y] });
    listen('left', group, network.hosts.left);
    listen('right', group, network.hosts.right);
    expect(send('sender', group)).to.deep.equal([got('left'), got('right')]);
    expect(send('sender', group, 8, 4000)).to.deep.equal([got('left'), got('right')]);
    expect(router.multicastRoutes.list()[0]).to.include({ packets: 4, wrongDevice: 0 });
    expect(router.forwarded(x)).to.include({ sent: 4 });
    router.multicastRoutes.remove({ group });
    expect(send('sender', group)).to.deep.equal([]);
    finish();
  });

  it('takes a sender’s own route before that of all', () => {
    const { router, net: network, s, x, y, listen, send, finish } = net();
    router.multicastRoutes.add({ group, from: s, to: [x, y] });
    router.multicastRoutes.add({ group, source: address(1, 2), from: s, to: [y] });
    listen('left', group, network.hosts.left);
    listen('right', group, network.hosts.right);
    expect(send('sender', group)).to.deep.equal([got('right')]);
    finish();
  });

  it('drops what comes from elsewhere than its route says, or has none', () => {
    const { router, net: network, s, x, t, y, listen, send, drops, finish } = net();
    router.multicastRoutes.add({ group, from: s, to: [x] });
    router.multicastRoutes.add({ group: local === '224.0.0.77' ? '239.9.9.9' : 'ff0e::9', from: t, to: [y] });
    listen('left', group, network.hosts.left);
    listen('left', other, network.hosts.left);
    expect(send('second', group)).to.deep.equal([]);
    expect(send('sender', other)).to.deep.equal([]);
    expect(drops()).to.include({ 'multicast-no-route': 2 });
    expect(router.multicastRoutes.list()[0]).to.include({ packets: 0, wrongDevice: 1 });
    finish();
  });

  it('lets packets pass whose hop limit is above the threshold of a link', () => {
    const { router, net: network, s, x, y, listen, send, drops, finish } = net();
    router.multicastRoutes.add({ group, from: s, to: [x, { device: y, threshold: 16 }] });
    listen('left', group, network.hosts.left);
    listen('right', group, network.hosts.right);
    expect(send('sender', group, 16)).to.deep.equal([got('left', 15)]);
    expect(send('sender', group, 17)).to.deep.equal([got('left', 16), got('right', 16)]);
    expect(send('sender', group, 2)).to.deep.equal([got('left', 1)]);
    expect(send('sender', group, 1)).to.deep.equal([]);
    expect(drops()).to.include({ 'hop-limit-exceeded': 1 });
    finish();
  });

  it('is a member itself where it has joined, also of what goes further', () => {
    const { router, net: network, s, x, listen, send, finish } = net();
    router.multicastRoutes.add({ group, from: s, to: [x] });
    listen('left', group, network.hosts.left);
    const mine: string[] = [];
    const socket = router.udp.bind(
      { address: anyAddress(version), port: PORT },
      { message: ({ data, hopLimit }) => mine.push(`${data.length} ttl ${hopLimit}`), error() {} },
    );
    socket.groups.join(parseIp(group), { interface: s });
    expect(send('sender', group)).to.deep.equal([got('left')]);
    expect(mine).to.deep.equal(['10 ttl 8']);
    router.multicastRoutes.remove({ group });
    expect(send('sender', group)).to.deep.equal([]);
    expect(mine).to.have.lengthOf(2);
    finish();
  });

  it('keeps groups of a link on it, and interfaces that forward nothing out of it', () => {
    const { router, net: network, s, x, y, listen, send, finish } = net();
    const all = version === 4 ? '224.0.0.0/4' : 'ff00::/8';
    router.multicastRoutes.add({ group: all, from: s, to: [x, y] });
    for (const to of [local, group]) listen('left', to, network.hosts.left);
    listen('right', group, network.hosts.right);
    expect(send('sender', local)).to.deep.equal([]);
    const right = router.switches(y);
    if (right === undefined) expect.fail();
    right.forwarding = false;
    expect(send('sender', group)).to.deep.equal([got('left')]);
    right.forwarding = true;
    const from = router.switches(s);
    if (from === undefined) expect.fail();
    from.forwarding = false;
    expect(send('sender', group)).to.deep.equal([]);
    finish();
  });

  it('shows each way of a packet to the hooks', () => {
    const outputs: (string | undefined)[] = [];
    const see = (hook: string): MonoTypeOperatorFunction<RoutedPacket> =>
      tap(({ frame }) => void outputs.push(`${hook} ${frame.output?.name}`));
    const {
      router,
      net: network,
      s,
      x,
      y,
      listen,
      send,
      finish,
    } = net({ hooks: { forward: see('forward'), postrouting: see('postrouting') } });
    router.multicastRoutes.add({ group, from: s, to: [x, y] });
    listen('left', group, network.hosts.left);
    listen('right', group, network.hosts.right);
    outputs.length = 0;
    expect(send('sender', group)).to.deep.equal([got('left'), got('right')]);
    expect(outputs).to.include.members([
      `forward ${x.name}`,
      `postrouting ${x.name}`,
      `forward ${y.name}`,
      `postrouting ${y.name}`,
    ]);
    finish();
  });
});
