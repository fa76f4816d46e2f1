/** Three processes of ergot: a root, a bridge and an edge, over what the kernel carries between them. */

import { expect } from 'chai';
import { pause } from '../drivers/ergot/rigs.js';
import { type Start, startHere } from './asked-process.js';
import { everythingWorks, type ErgotProcess, startErgot, type Trio } from './ergot-processes.js';
import type { LinkPlan, NodePlan } from './ergot-process.js';
import { describeNetns, type Namespace } from './namespace.js';

/** In seconds: as short as may be. */
const LEASES: NonNullable<NodePlan['leases']> = { first: 2, longest: 3, refreshBelow: 2, tombstone: 1 };

/** How one of the three is linked, where whom it is linked with is known. */
interface Plans {
  readonly root: () => LinkPlan;
  readonly up: (root: ErgotProcess) => LinkPlan;
  /** The first time the bridge listens at any port, then where it did. */
  readonly down: (port: number) => LinkPlan;
  readonly edge: (bridge: ErgotProcess) => LinkPlan;
}

interface Starts {
  readonly root: Start;
  readonly bridge: Start;
  readonly edge: Start;
}

const HERE: Starts = { root: startHere, bridge: startHere, edge: startHere };

/** The addresses that an edge has within so many milliseconds: one, as long as its network is leased. */
async function addressesOf(edge: ErgotProcess, milliseconds: number): Promise<readonly string[]> {
  const addresses = new Set<string>();
  for (let waited = 0; waited < milliseconds; waited += 50) {
    const links = (await edge.ask('links', undefined)) as [string, string, string][];
    for (const [, , address] of links) addresses.add(address);
    await pause(50);
  }
  return [...addresses];
}

const running: ErgotProcess[] = [];

async function killAll(): Promise<void> {
  await Promise.all(running.splice(0).map((one) => one.kill()));
}

/** Starts all three, has them speak until leases must have been refreshed, kills the bridge, and starts it again. */
async function liveAndDie(plans: Plans, starts: Starts): Promise<void> {
  const start = async (plan: NodePlan): Promise<ErgotProcess> => {
    const made = await startErgot(plan, starts[plan.role]);
    running.push(made);
    return made;
  };
  const root = await start({ name: 'root', role: 'root', leases: LEASES, links: [plans.root()] });
  const bridgeAt = (port: number): Promise<ErgotProcess> =>
    start({ name: 'bridge', role: 'bridge', leases: LEASES, links: [plans.up(root), plans.down(port)] });
  const bridge = await bridgeAt(0);
  const edge = await start({ name: 'edge', role: 'edge', links: [plans.edge(bridge)] });
  const trio: Trio = { root, bridge, edge };
  const address = await everythingWorks(trio);
  expect(await addressesOf(edge, 1000 * (LEASES.longest ?? 0) + 1500)).to.deep.equal([address]);
  expect(await everythingWorks(trio)).to.equal(address);
  await bridge.kill();
  await edge.ask('double', { to: '1.1:0', value: 1 }).then(
    () => expect.fail('the bridge is gone'),
    (error: unknown) => expect(error).to.be.an('error'),
  );
  await everythingWorks({ root, bridge: await bridgeAt(bridge.port), edge });
}

describe('three processes of ergot (row 67)', function () {
  this.timeout(60_000);
  afterEach(killAll);

  it('speak over TCP, keep their leases, and go on when the bridge was killed and came back', () =>
    liveAndDie(
      {
        root: () => ({ over: 'tcp-listener', port: 0 }),
        up: ({ port }) => ({ over: 'tcp', port }),
        down: (port) => ({ over: 'tcp-listener', port }),
        edge: ({ port }) => ({ over: 'tcp', port }),
      },
      HERE,
    ));

  it('do the same over UDP', () =>
    liveAndDie(
      {
        root: () => ({ over: 'udp-listener', port: 0 }),
        up: ({ port }) => ({ over: 'udp', port }),
        down: (port) => ({ over: 'udp-listener', port }),
        edge: ({ port }) => ({ over: 'udp', port }),
      },
      HERE,
    ));
});

/** Two namespaces and a cable between them, each end on a bridge of the kernel's of its own. */
function cable(a: Namespace, b: Namespace, number: number): void {
  for (const namespace of [a, b]) {
    namespace.ip('link', 'add', `br${number}`, 'up', 'type', 'bridge', 'forward_delay', '0');
  }
  a.ip('link', 'add', `v${number}`, 'up', 'type', 'veth', 'peer', 'name', `v${number}`, 'netns', b.name);
  for (const namespace of [a, b]) namespace.ip('link', 'set', `v${number}`, 'up', 'master', `br${number}`);
}

describeNetns('three processes of ergot in three namespaces', (netns) => {
  afterEach(killAll);

  it('do the same in frames of Ethernet of their own type', async function () {
    this.timeout(60_000);
    const { namespace: rootSpace } = netns;
    const [bridgeSpace, edgeSpace] = [netns.make('bridge'), netns.make('edge')];
    for (const space of [rootSpace, bridgeSpace, edgeSpace]) space.sysctl('net.ipv6.conf.default.disable_ipv6', 1);
    cable(rootSpace, bridgeSpace, 0);
    cable(bridgeSpace, edgeSpace, 1);
    const within =
      (space: Namespace): Start =>
      (command, args) => {
        const child = space.start(command, args);
        child.stderr?.pipe(process.stderr);
        return child;
      };
    const at = (number: number): LinkPlan => ({ over: 'ethernet', tap: `tap${number}`, bridge: `br${number}` });
    await liveAndDie(
      { root: () => at(0), up: () => at(0), down: () => at(1), edge: () => at(1) },
      { root: within(rootSpace), bridge: within(bridgeSpace), edge: within(edgeSpace) },
    );
  });
});
