/**
 * Four sibling routers as one parent ("virtual parent"): joined in a ring, with a lamp below each. They have one place in the scope above them, which the
 * lowest router that has a parent asks for; when it dies, the next one does, and the lamps are told where they lie from then on. In virtual time.
 */
import { link } from '../drivers/index.js';
import * as e from '../operators/ergot/index.js';
import { environment, SimulationScheduler } from '../operators/main.js';

type Node = e.ErgotNode<e.PhoneAddress>;
const scheduler = new SimulationScheduler();
const env = environment({ scheduler, seed: 1 });
const toggle = e.endpoint('lamp/toggle', e.unit, e.bool);

function join(one: Node, other: Node, ...names: readonly [string, string]): void {
  const { ends } = link({ medium: 'ergot', ends: names, impair: { delay: 1 } }, env);
  one.plug(ends[0]);
  other.plug(ends[1]);
}

const kinds = { up: 'parent', side: 'sibling', down: 'child' } as const;
const kind = ({ name }: { readonly name: string }) => kinds[name.split(' ')[0] as keyof typeof kinds];
const house = e.ergot(e.apexProfile({ bits: 12 }), {}, env);
const router = (id: number): Node => e.ergot(e.siblingProfile({ id, bits: 4, sockets: 3, link: kind }), {}, env);
const [first, second, third, fourth] = [router(0), router(1), router(2), router(3)] as const;
join(first, second, 'side right', 'side left');
join(second, third, 'side right', 'side left');
join(third, fourth, 'side right', 'side left');
join(fourth, first, 'side right', 'side left');
join(house, first, 'down 0', 'up');
join(house, third, 'down 2', 'up');

const lamps = [first, second, third, fourth].map((at, i) => {
  const profile = e.leafProfile({ bits: 3 });
  const node = e.ergot(profile, {}, env);
  let lit = false;
  node.serve(toggle, { port: 1 }).subscribe((request) => request.answer((lit = !lit)));
  join(at, node, `down lamp ${i}`, 'up');
  return { node, profile };
});

for (const dying of [undefined, first]) {
  dying?.dispose();
  scheduler.runFor(10_000);
  for (const { profile } of lamps.slice(1)) {
    const socket = new e.PhoneAddress(1, 3);
    const near = profile.locate(socket, 6);
    const far = profile.locate(socket, 12);
    console.log(
      `socket ${socket.toString()} is ${near?.toGroups([2, 4])} to its siblings, ${far?.toString()} to the house`,
    );
    if (far === undefined) continue;
    house.request(toggle, far, undefined).subscribe(({ value }) => console.log(`lit: ${value}`));
    scheduler.runFor(100);
  }
}
for (const node of [house, second, third, fourth, ...lamps.map((lamp) => lamp.node)]) node.dispose();
