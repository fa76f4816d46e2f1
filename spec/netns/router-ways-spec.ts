/**
 * A router of ours with several ways to a server, and rules that choose between tables.
 *
 *     client --TAP-- us ==two TAPs== server
 */

import { expect } from 'chai';
import { asyncScheduler, merge } from 'rxjs';
import { FramePool } from '../../lib/core/frame.js';
import { PacketFields } from '../../lib/wire/packet-fields.js';
import { layer } from '../../operators/flow/layer.js';
import { type RoutedPacket, router } from '../../operators/stack/router.js';
import { toDevices } from '../../operators/stack/to-devices.js';
import { environment } from '../../operators/time/environment.js';
import { TimerWheel } from '../../operators/time/timer-wheel.js';
import { transferBothWays, webServer } from './live-router.js';
import { describeNetns, type Netns } from './namespace.js';

const FAR = { 4: '10.9.0.1', 6: 'fd09::1' } as const;

/** A client, a server on two links, and us between them; `flows` are the devices that each flow of TCP left by, by its port. */
function build(netns: Netns) {
  const timers = new TimerWheel(asyncScheduler);
  const env = environment({ scheduler: timers, pool: new FramePool({ poison: true }) });
  const client = netns.namespace;
  const server = netns.make('server');
  const open = (namespace: typeof client, name: string, network: number) =>
    namespace.openTap(
      {
        name,
        mac: `02:77:00:00:00:0${network}`,
        peer: [`10.${network}.0.2/24`, `fd0${network}::2/64`],
      },
      env,
    );
  const devices = [open(client, 'tap0', 1), open(server, 'tap0', 2), open(server, 'tap1', 3)] as const;
  client.ip('route', 'add', 'default', 'via', '10.1.0.1');
  client.ip('route', 'add', 'default', 'via', 'fd01::1');
  server.ip('addr', 'add', `${FAR[4]}/32`, 'dev', 'lo');
  server.ip('addr', 'add', `${FAR[6]}/128`, 'dev', 'lo', 'nodad');
  server.ip('route', 'add', '10.1.0.0/24', 'via', '10.2.0.1');
  server.ip('route', 'add', 'fd01::/64', 'via', 'fd02::1');
  // What comes by one link is answered by the other.
  for (const one of ['all', 'tap0', 'tap1']) server.sysctl(`net.ipv4.conf.${one}.rp_filter`, 0);
  const flows = new Map<number, Set<string>>();
  const fields = new PacketFields();
  const note = layer<RoutedPacket, RoutedPacket>(() => (packet) => {
    const { frame } = packet;
    if (frame.device === devices[0] && fields.read(frame, frame.start) && fields.protocol === 6) {
      const ways = flows.get(fields.sourcePort) ?? new Set();
      flows.set(fields.sourcePort, ways.add(frame.output?.name ?? 'none'));
    }
    return packet;
  });
  const me = router(
    {
      interfaces: devices.map((device, index) => ({
        device,
        addresses: [`10.${index + 1}.0.1/24`, `fd0${index + 1}::1/64`],
      })),
      routes: [2, 3].flatMap((network) => {
        const device = devices[network - 1] ?? devices[0];
        return [
          { destination: `${FAR[4]}/32`, gateway: `10.${network}.0.2`, device },
          { destination: `${FAR[6]}/128`, gateway: `fd0${network}::2`, device },
        ];
      }),
      hooks: { forward: note },
    },
    env,
  );
  const subscription = merge(...devices.map(({ frames$ }) => frames$))
    .pipe(me)
    .subscribe(toDevices(...devices));
  const close = async (): Promise<void> => {
    subscription.unsubscribe();
    for (const device of devices) await device.close();
    expect([timers.pending, env.pool.outstanding], 'timers and frames').to.deep.equal([0, 0]);
  };
  return { client, server, me, flows, close };
}

describeNetns('a router of ours with two ways to a server', (netns) => {
  for (const version of [4, 6] as const) {
    const to = FAR[version];
    const url = version === 4 ? `http://${to}:8000` : `http://[${to}]:8000`;

    it(`shares the flows between them, and keeps each on its way, IPv${version}`, async function () {
      this.timeout(60_000);
      const { client, server, flows, close } = build(netns);
      await webServer(server);
      const { code, stderr } = await client.sh(
        `for i in $(seq 24); do curl -sS --fail --max-time 10 -o /dev/null ${url}/100000 || exit 1; done`,
        { timeout: 40_000 },
      );
      expect(code, stderr).to.equal(0);
      await transferBothWays(client, to, 2 << 20);
      expect(flows.size).to.be.at.least(26);
      for (const [port, ways] of flows) expect([...ways], `port ${port}`).to.have.length(1);
      const all = new Set([...flows.values()].flatMap((ways) => [...ways]));
      expect(all.size, 'ways').to.equal(2);
      await close();
    });
  }

  it('goes on by the one that is left, and by the table that a rule says', async function () {
    this.timeout(60_000);
    const { client, server, me, flows, close } = build(netns);
    await webServer(server);
    const fetch = async (): Promise<readonly string[]> => {
      flows.clear();
      const { code, stderr } = await client.sh(
        `for i in $(seq 8); do curl -sS --fail --max-time 10 -o /dev/null http://${FAR[4]}:8000/1000 || exit 1; done`,
        { timeout: 40_000 },
      );
      expect(code, stderr).to.equal(0);
      return [...new Set([...flows.values()].flatMap((ways) => [...ways]))];
    };
    const [first] = me.tables.routes.list().filter(({ destination }) => destination.length === 32);
    me.tables.routes.remove((route) => route === first);
    const [left] = me.tables.routes.list().filter(({ destination }) => destination.length === 32);
    expect(await fetch()).to.deep.equal([left?.device.name]);
    if (first !== undefined) me.routing[4].table(7).add(first);
    me.routing[4].addRule({ priority: 10, from: '10.1.0.0/24', table: 7 });
    expect(await fetch()).to.deep.equal([first?.device.name]);
    await close();
  });
});
