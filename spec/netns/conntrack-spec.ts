/** The tracking of flows between kernels, at the hooks of a router of ours: nothing that they say to each other is invalid. */

import { expect } from 'chai';
import { merge, type Subscription } from 'rxjs';
import type { Device } from '../../lib/core/device.js';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { FlowState } from '../../lib/core/frame.js';
import type { Flow } from '../../lib/l4/conntrack/flow.js';
import type { TcpPhase } from '../../lib/l4/conntrack/tcp-flow.js';
import { type Conntrack, conntrack } from '../../operators/filter/conntrack.js';
import { where } from '../../operators/flow/where.js';
import { type RoutedPacket, type Router, router } from '../../operators/stack/router.js';
import { toDevices } from '../../operators/stack/to-devices.js';
import { until } from '../until.js';
import { LiveRouter, type LiveRouterOptions, ROUTED, transferBothWays, webServer } from './live-router.js';
import { describeNetns, type Netns } from './namespace.js';

const SIZE = 20 << 20;
const PORT = 8000;

/** A router that lets nothing in from the server's side but what the client's has asked for. */
class Guarded {
  readonly live: LiveRouter;
  private tracking: Conntrack | undefined = undefined;

  constructor(netns: Netns, driver: LiveRouterOptions['driver']) {
    this.live = new LiveRouter(netns, {
      ...(driver === undefined ? {} : { driver }),
      between: (left, right, env) => this.between(left, right, env),
    });
  }

  get invalid(): number {
    return this.live.env.drops.count(DropReason.ConntrackInvalid);
  }

  get flows(): Flow[] {
    return [...(this.tracking?.table.flows() ?? [])];
  }

  async close(): Promise<void> {
    this.tracking?.dispose();
    await this.live.close();
  }

  private between(left: Device, right: Device, env: Env): { subscription: Subscription; me: Router } {
    const tracking = conntrack({ invalid: 'drop', checksums: 'all', midStream: 'invalid' }, env);
    this.tracking = tracking;
    const mayPass = ({ frame: { flowState, device } }: RoutedPacket): boolean =>
      flowState === FlowState.Established ||
      flowState === FlowState.Related ||
      (flowState === FlowState.New && device === left);
    const me = router(
      {
        interfaces: [
          { device: left, addresses: ['10.1.0.1/24', 'fd01::1/64'] },
          { device: right, addresses: ['10.2.0.1/24', 'fd02::1/64'] },
        ],
        hooks: {
          prerouting: tracking,
          output: tracking,
          forward: where(mayPass, DropReason.Filtered, env),
          postrouting: tracking.confirm,
        },
      },
      env,
    );
    return { subscription: merge(left.frames$, right.frames$).pipe(me).subscribe(toDevices(left, right)), me };
  }
}

for (const version of [4, 6] as const) {
  const { client, server } = ROUTED[version];
  describeNetns(`flows tracked between kernels, IPv${version}`, (netns) => {
    for (const [name, driver] of [
      ['by super-segments', {}],
      ['packet by packet', { offload: false, coalesce: false }],
    ] as const) {
      it(`are all of what transfers are made of, ${name}`, async function () {
        this.timeout(90_000);
        const guarded = new Guarded(netns, driver);
        await webServer(guarded.live.server);
        await transferBothWays(guarded.live.client, server, SIZE);
        const phases = (): (TcpPhase | undefined)[] =>
          guarded.flows.filter(({ original }) => original.destinationPort === PORT).map(({ phase }) => phase);
        // curl may be gone before its FIN is acknowledged.
        await until(() => phases().every((phase) => phase === 'time-wait'));
        expect(phases()).to.have.length(2);
        expect(guarded.invalid).to.equal(0);
        await guarded.close();
      });
    }

    it('let replies pass, and nothing that nobody asked for', async function () {
      this.timeout(60_000);
      const guarded = new Guarded(netns, undefined);
      const { live } = guarded;
      await webServer(live.client);
      const out = await live.client.run('ping', ['-n', '-c', '3', '-i', '0.1', '-W', '1', server]);
      expect(out.stdout).to.match(/3 received/);
      const back = await live.server.run('ping', ['-n', '-c', '3', '-i', '0.1', '-W', '1', client]);
      expect(back.stdout).to.match(/0 received/);
      const url = version === 4 ? client : `[${client}]`;
      const knock = await live.server.sh(`curl -sS --max-time 2 http://${url}:${PORT}/1`);
      expect(knock.code).to.not.equal(0);
      // Errors come back: nobody listens there, for datagrams nor for connections.
      const refused = await live.client.sh(`nc -z -w 2 ${server} 9; echo $?`);
      expect(refused.stdout.trim()).to.equal('1');
      const phases = guarded.flows.map(({ phase }) => phase);
      expect(phases).to.include('reset');
      expect(guarded.invalid).to.equal(0);
      await guarded.close();
    });
  });
}
