/**
 * Packets to groups through a router of ours between kernels.
 *
 *     sender 10.1.0.2 --TAP-- us --TAP-- member 10.2.0.2
 */

import { expect } from 'chai';
import { asyncScheduler, merge } from 'rxjs';
import { FramePool } from '../../lib/core/frame.js';
import { router } from '../../operators/stack/router.js';
import { toDevices } from '../../operators/stack/to-devices.js';
import { environment } from '../../operators/time/environment.js';
import { TimerWheel } from '../../operators/time/timer-wheel.js';
import { until } from '../until.js';
import { describeNetns } from './namespace.js';

const PORT = 7000;

for (const { version, type, group, sender, by, at } of [
  { version: 4, type: 'udp4', group: '239.77.1.1', sender: '10.1.0.2', by: '10.1.0.2', at: '10.2.0.2' },
  { version: 6, type: 'udp6', group: 'ff1e::77:1', sender: 'fd01::2', by: '::%tap0', at: '::%tap0' },
] as const) {
  describeNetns(`groups through a router of ours between kernels, IPv${version}`, (netns) => {
    it('come to members on the other side, in fragments too, if their hop limit is high enough', async function () {
      this.timeout(30_000);
      const timers = new TimerWheel(asyncScheduler);
      const env = environment({ scheduler: timers, pool: new FramePool({ poison: true }) });
      const there = netns.make('member');
      const left = netns.namespace.openTap({ name: 'tap0', peer: ['10.1.0.2/24', 'fd01::2/64'] }, env);
      const right = there.openTap({ name: 'tap0', peer: ['10.2.0.2/24', 'fd02::2/64'] }, env);
      // The kernel verifies that packets come from where it would send to.
      there.ip('route', 'add', 'default', 'via', '10.2.0.1');
      there.ip('route', 'add', 'default', 'via', 'fd02::1');
      const me = router(
        {
          interfaces: [
            { device: left, addresses: ['10.1.0.1/24', 'fd01::1/64'] },
            { device: right, addresses: ['10.2.0.1/24', 'fd02::1/64'] },
          ],
          multicastRoutes: [{ group, source: sender, from: left, to: [{ device: right, threshold: 4 }] }],
        },
        env,
      );
      const subscription = merge(left.frames$, right.frames$).pipe(me).subscribe(toDevices(left, right));
      const heard: string[] = [];
      const member = there.start(process.execPath, [
        '-e',
        `const socket = require('node:dgram').createSocket({ type: '${type}', reuseAddr: true });
        socket.on('message', (message, from) => console.log(message.length + ' from ' + from.address));
        socket.bind(${PORT}, () => { socket.addMembership('${group}', '${at}'); console.log('ready'); });`,
      ]);
      member.stdout?.on('data', (data: Buffer) => heard.push(...data.toString().trim().split('\n')));
      await until(() => heard.length > 0);
      const tell = async (length: number, hops: number): Promise<void> => {
        const script = `const socket = require('node:dgram').createSocket('${type}');
          socket.bind(0, '${sender}', () => {
            socket.setMulticastInterface('${by}');
            socket.setMulticastTTL(${hops});
            socket.send(Buffer.alloc(${length}), ${PORT}, '${group}', () => socket.close());
          });`;
        const { code, stderr } = await netns.namespace.run(process.execPath, ['-e', script]);
        expect(code, stderr).to.equal(0);
      };
      await tell(1, 4);
      await tell(100, 5);
      await tell(8000, 32);
      await until(() => heard.length >= 3);
      expect(heard).to.deep.equal(['ready', `100 from ${sender}`, `8000 from ${sender}`]);
      expect(env.drops.toJSON()).to.include({ 'hop-limit-exceeded': 1 });
      subscription.unsubscribe();
      await Promise.all([left.close(), right.close()]);
      expect(timers.pending, 'timers').to.equal(0);
      expect(env.pool.outstanding, 'frames').to.equal(0);
    });
  });
}
