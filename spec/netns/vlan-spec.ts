/** VLAN devices of ours against those of the kernel, on one TAP, and against each other by way of a bridge of the kernel. */

import { createHash, randomBytes } from 'node:crypto';
import { pipeline } from 'node:stream/promises';
import { expect } from 'chai';
import { asyncScheduler, type Subscription } from 'rxjs';
import { type RunningServices, startServices } from '../../cli/services.js';
import { vlanDevice } from '../../drivers/vlan.js';
import type { Device } from '../../lib/core/device.js';
import { FramePool } from '../../lib/core/frame.js';
import { nodeNet } from '../../lib/socket/net.js';
import { EtherType } from '../../lib/wire/ethernet.js';
import { host } from '../../operators/stack/host.js';
import { environment } from '../../operators/time/environment.js';
import { TimerWheel } from '../../operators/time/timer-wheel.js';
import { DUAL, LiveHost, OURS } from './live-host.js';
import { describeNetns, type Namespace } from './namespace.js';
import { Recording } from './recording.js';
import { digestOf, transfers } from './transfers.js';

/** Whether the kernel has VLAN devices. */
function hasVlans(namespace: Namespace): boolean {
  try {
    namespace.ip('link', 'add', 'link', 'lo', 'name', 'probe', 'type', 'vlan', 'id', '1');
    return true;
  } catch (error) {
    return !String(error).includes('Unknown device type');
  }
}

describeNetns('VLANs, with the kernel on the other side', (netns) => {
  for (const offload of [true, false]) {
    it(`carry pings and files whole, one in another too, ${offload ? 'with' : 'without'} offloads`, async function () {
      this.timeout(120_000);
      const { namespace } = netns;
      if (!hasVlans(namespace)) {
        console.warn('SKIPPED: the kernel has no VLAN devices');
        return this.skip();
      }
      const live = new LiveHost(namespace, { ...DUAL, driver: { offload }, services: [] });
      const kernel = (name: string, on: string, id: number, network: number, ...more: string[]): void => {
        namespace.ip('link', 'add', 'link', on, 'name', name, 'type', 'vlan', 'id', `${id}`, ...more);
        namespace.ip('addr', 'add', `10.${network}.0.1/24`, 'dev', name);
        namespace.ip('addr', 'add', `fd${network}::1/64`, 'dev', name, 'nodad');
        namespace.ip('link', 'set', name, 'up');
      };
      kernel('v7', 'tap0', 7, 20);
      kernel('s100', 'tap0', 100, 21, 'proto', '802.1ad');
      kernel('v7in100', 's100', 7, 22);
      const seven = vlanDevice(live.device, { vid: 7, priority: 3 }, live.env);
      const outer = vlanDevice(live.device, { vid: 100, protocol: EtherType.QinQ }, live.env);
      const inner = vlanDevice(outer, { vid: 7 }, live.env);
      const running: { subscription: Subscription; services: RunningServices; device: Device }[] = [];
      [seven, outer, inner].forEach((device, i) => {
        const me = host({ device, addresses: [`10.${20 + i}.0.2/24`, `fd${20 + i}::2/64`] }, live.env);
        const subscription = device.frames$.pipe(me).subscribe(device.sink);
        const services = startServices(['http'], { tcp: me.tcp, udp: me.udp }, () => me.stats());
        running.push({ subscription, services, device });
      });
      for (const to of [OURS, '10.20.0.2', 'fd20::2', '10.21.0.2', '10.22.0.2', 'fd22::2']) {
        const { stdout } = await namespace.run('ping', ['-c', '10', '-i', '0.1', '-W', '2', '-s', '1400', to]);
        expect(stdout, to).to.match(/10 received, 0% packet loss/);
      }
      for (const at of ['10.20.0.2', '[fd20::2]', '10.22.0.2', '[fd22::2]']) {
        const { fetch, upload } = transfers(namespace, 20_000, at);
        expect(await fetch(5_000_000), `download from ${at}`).to.equal(await digestOf(5_000_000));
        expect(await upload(5_000_000), `upload to ${at}`).to.equal(await digestOf(5_000_000));
      }
      for (const { subscription, services, device } of running.toReversed()) {
        await services.close();
        subscription.unsubscribe();
        await device.close();
      }
      expect(live.env.drops.toJSON()).to.not.have.any.keys('device-too-big', 'super-segment-bad', 'tcp-bad-checksum');
      await live.close();
    });
  }
});

describeNetns('VLANs, over a bridge of the kernel', (netns) => {
  for (const offload of [true, false]) {
    it(`carry streams whole, as tshark reads them, ${offload ? 'with' : 'without'} offloads`, async function () {
      this.timeout(60_000);
      const { namespace } = netns;
      const timers = new TimerWheel(asyncScheduler);
      const env = environment({ scheduler: timers, pool: new FramePool({ poison: true }) });
      const recording = new Recording();
      namespace.ip('link', 'add', 'br0', 'type', 'bridge');
      namespace.ip('link', 'set', 'br0', 'up');
      const ends = ['tap0', 'tap1'].map((name, i) => {
        const tap = namespace.openTap({ name, offload, mac: `02:77:00:00:00:0${i + 1}` }, env);
        namespace.ip('link', 'set', name, 'master', 'br0');
        const outer = vlanDevice(tap, { vid: 100, protocol: EtherType.QinQ }, env);
        const device = vlanDevice(outer, { vid: 7, priority: 3 }, env);
        const me = host({ device, addresses: [`10.20.0.${i + 1}/24`, `fd20::${i + 1}/64`] }, env);
        const subscription = device.frames$.pipe(me).subscribe(device.sink);
        return { tap, outer, device, me, subscription };
      });
      const watched = ends[1]?.tap.frames$.pipe(recording.incoming(env)).subscribe();
      const [client, server] = ends.map(({ me }) => nodeNet(me.tcp));
      if (client === undefined || server === undefined) throw new Error('there are two ends');
      const bytes = randomBytes(5_000_000);
      for (const address of ['10.20.0.2', 'fd20::2']) {
        const listener = server.createServer((socket) => void pipeline(socket, socket).catch(() => undefined));
        listener.listen(7);
        const socket = client.connect({ host: address, port: 7 });
        const hash = createHash('sha256');
        const back = pipeline(socket, hash);
        socket.end(bytes);
        await back;
        expect(hash.digest('hex')).to.equal(createHash('sha256').update(bytes).digest('hex'));
        await new Promise((resolve) => void listener.close(resolve));
      }
      watched?.unsubscribe();
      const tags = await recording.tshark(
        'vlan',
        '-T',
        'fields',
        '-e',
        'ieee8021ad.id',
        '-e',
        'vlan.id',
        '-e',
        'vlan.priority',
      );
      expect(new Set(tags)).to.have.keys('100\t7\t3');
      expect(tags.length).to.be.above(100);
      recording.remove();
      for (const { subscription, device, outer, tap } of ends) {
        subscription.unsubscribe();
        for (const one of [device, outer, tap]) await one.close();
      }
      expect(env.drops.toJSON()).to.not.have.any.keys('device-too-big', 'super-segment-bad', 'tcp-bad-checksum');
      expect(timers.pending).to.equal(0);
      expect(env.pool.outstanding).to.equal(0);
    });
  }
});
