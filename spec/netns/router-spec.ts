/**
 * A router of ours between namespaces of the kernel.
 *
 *     client --TAP-- us --TAP-- server
 */

import { expect } from 'chai';
import { asyncScheduler, merge, type Subscription } from 'rxjs';
import type { Device } from '../../lib/core/device.js';
import { FramePool } from '../../lib/core/frame.js';
import type { TunOptions } from '../../drivers/tun.js';
import { router, type Router, type RouterOptions } from '../../operators/stack/router.js';
import { toDevices } from '../../operators/stack/to-devices.js';
import { environment } from '../../operators/time/environment.js';
import { TimerWheel } from '../../operators/time/timer-wheel.js';
import { describeNetns, type Namespace, type Netns } from './namespace.js';

/** Options of {@link LiveRouter}. */
interface LiveRouterOptions extends Omit<RouterOptions, 'interfaces'> {
  readonly driver?: Pick<TunOptions, 'offload' | 'coalesce'>;
  /** MTU of the server's side. */
  readonly serverMtu?: number;
}

/** A client, a server, and us between them. */
class LiveRouter {
  readonly timers: TimerWheel = new TimerWheel(asyncScheduler);
  readonly env = environment({ scheduler: this.timers, pool: new FramePool({ poison: true }) });
  readonly client: Namespace;
  readonly server: Namespace;
  readonly me: Router;
  private readonly devices: readonly Device[];
  private readonly subscription: Subscription;

  constructor(netns: Netns, options: LiveRouterOptions = {}) {
    const { driver = {}, serverMtu = 1500, ...rest } = options;
    this.client = netns.namespace;
    this.server = netns.make('server');
    const { env } = this;
    const left = this.client.openTap(
      { ...driver, name: 'tap0', mac: '02:77:00:00:00:01', peer: ['10.1.0.2/24', 'fd01::2/64'] },
      env,
    );
    const right = this.server.openTap(
      { ...driver, name: 'tap0', mac: '02:77:00:00:00:02', mtu: serverMtu, peer: ['10.2.0.2/24', 'fd02::2/64'] },
      env,
    );
    for (const [namespace, network] of [
      [this.client, 1],
      [this.server, 2],
    ] as const) {
      namespace.ip('route', 'add', 'default', 'via', `10.${network}.0.1`);
      namespace.ip('route', 'add', 'default', 'via', `fd0${network}::1`);
    }
    this.devices = [left, right];
    this.me = router(
      {
        ...rest,
        interfaces: [
          { device: left, addresses: ['10.1.0.1/24', 'fd01::1/64'] },
          { device: right, addresses: ['10.2.0.1/24', 'fd02::1/64'] },
        ],
      },
      env,
    );
    this.subscription = merge(left.frames$, right.frames$).pipe(this.me).subscribe(toDevices(left, right));
  }

  /** Stops everything, and holds that nothing is left. */
  async close(): Promise<void> {
    this.subscription.unsubscribe();
    for (const device of this.devices) await device.close();
    expect(this.timers.pending, 'timers').to.equal(0);
    expect(this.env.pool.outstanding, 'frames').to.equal(0);
    expect(this.env.drops.toJSON()['callback-threw'], 'exceptions').to.equal(undefined);
  }
}

for (const [version, to, us] of [
  [4, '10.2.0.2', '10.1.0.1'],
  [6, 'fd02::2', 'fd01::1'],
] as const) {
  describeNetns(`a router of ours between kernels, IPv${version}`, (netns) => {
    it('takes pings further, small and in fragments', async function () {
      this.timeout(30_000);
      const live = new LiveRouter(netns);
      const small = await live.client.run('ping', ['-c', '20', '-i', '0.01', '-W', '1', to]);
      expect(small.stdout).to.match(/20 received, 0% packet loss/);
      expect(small.stdout).to.contain('ttl=63');
      const big = await live.client.run('ping', ['-c', '5', '-i', '0.01', '-W', '1', '-s', '20000', to]);
      expect(big.stdout).to.match(/5 received, 0% packet loss/);
      await live.close();
    });

    it('appears on the way that pings with few hops take', async function () {
      this.timeout(30_000);
      const live = new LiveRouter(netns);
      for (const [hops, from] of [
        [1, us],
        [2, to],
      ] as const) {
        const { stdout } = await live.client.run('ping', ['-n', '-c', '1', '-W', '1', '-t', `${hops}`, to]);
        expect(stdout.toLowerCase()).to.match(
          new RegExp(`from ${from}:? icmp_seq=1 ${hops === 1 ? 'time' : 'ttl=63'}`),
        );
      }
      await live.close();
    });
  });
}
