/**
 * The two ends of a network: an apex owns the space, and gives leaves just what they ask for, aligned or not, until what it means to give is
 * used up; what a leaf had that is gone goes to another when its lease is over. In virtual time.
 */
import { link } from '../drivers/index.js';
import * as e from '../operators/ergot/index.js';
import { environment, SimulationScheduler } from '../operators/main.js';

const scheduler = new SimulationScheduler();
const env = environment({ scheduler, seed: 1 });
const minute = 60_000;

const owner = e.apexProfile({ bits: 16, given: 6, sockets: 4, packed: true });
const apex = e.ergot(owner, {}, env);
const leaf = (name: string, bits: number) => {
  const profile = e.leafProfile({ bits });
  const node = e.ergot(profile, {}, env);
  const { ends } = link({ medium: 'ergot', ends: [name, 'up'], impair: { delay: 1 } }, env);
  const plugs = [apex.plug(ends[0]), node.plug(ends[1])];
  return { name, profile, node, plugs };
};

const leaves = [leaf('door', 3), leaf('window', 4), leaf('roof', 3), leaf('cellar', 4)];
const tell = (when: string): void => {
  scheduler.runFor(minute);
  const places = leaves.map(({ name, profile }) => `${name} ${profile.links[0]?.address?.toString() ?? 'nowhere'}`);
  console.log(`${when}: ${places.join(', ')}; ${owner.pool.free} left`);
};

tell('at first');
leaves.push(leaf('garden', 3));
tell('one more');
for (const plug of leaves[1]?.plugs ?? []) plug.unsubscribe();
leaves.splice(1, 1)[0]?.node.dispose();
tell('the window gone');
scheduler.runFor(2 * minute);
tell('its lease over');
for (const { node } of leaves) node.dispose();
apex.dispose();
