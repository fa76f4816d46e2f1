/** Sensors say how warm it is, over a mesh of sibling routers, and a display hears them all. Then a router dies. In virtual time. */
import { link } from '../drivers/index.js';
import * as e from '../operators/ergot/index.js';
import { environment, SimulationScheduler } from '../operators/main.js';

type Node = e.ErgotNode<e.PhoneAddress>;
const scheduler = new SimulationScheduler();
const env = environment({ scheduler, seed: 1 });
const temperature = e.topic('house/temperature', e.struct({ room: e.string, celsius: e.f32 }));

function join(one: Node, other: Node, ...names: readonly [string, string]): void {
  const { ends } = link({ medium: 'ergot', ends: names }, env);
  one.plug(ends[0]);
  other.plug(ends[1]);
}
function leaf(router: Node, name: string): Node {
  const node = e.ergot(e.leafProfile({ bits: 4 }), {}, env);
  join(router, node, `to ${name}`, `${name}'s`);
  return node;
}

const kind = ({ name }: { readonly name: string }) => (name.startsWith('router') ? 'sibling' : 'child');
const router = (id: number): Node => e.ergot(e.siblingProfile({ id, bits: 8, link: kind }), {}, env);
const [first, second, third, fourth] = [router(0), router(1), router(2), router(3)] as const;
const routers = [first, second, third, fourth];
for (const [i, one] of routers.entries()) {
  for (const [j, other] of routers.entries()) if (i < j) join(one, other, `router ${j}`, `router ${i}`);
}
const sensors = routers.map((router, i) => ({ room: `room ${i}`, node: leaf(router, `sensor ${i}`) }));
const display = leaf(first, 'display');
display.topic(temperature).subscribe(({ value: { room, celsius }, source }) => {
  console.log(`${Math.floor(scheduler.now() / 1000)} s, ${source.toGroups([2, 8])}: ${room} has ${celsius} °C`);
});
for (const dying of [undefined, third]) {
  dying?.dispose();
  scheduler.runFor(10_000);
  const all = e.allOf(new e.PhoneAddress(0, 10));
  for (const { room, node } of sensors) node.publish(temperature, all, { room, celsius: 20.5 });
  scheduler.runFor(100);
}
