/**
 * Devices that travel together (a "fixed device group"): a robot's arm and eye have hard-coded addresses in the robot, and its brain is the way out. It
 * moves from one hall to another; whoever talks within it does not notice. In virtual time.
 */
import { link } from '../drivers/index.js';
import * as e from '../operators/ergot/index.js';
import { environment, SimulationScheduler } from '../operators/main.js';

type Node = e.ErgotNode<e.PhoneAddress>;
const scheduler = new SimulationScheduler();
const env = environment({ scheduler, seed: 1 });
const look = e.endpoint('eye/look', e.unit, e.string);
const robot = e.fixedGroup({ bits: 8, members: { arm: { first: 0x40, len: 4 }, eye: { first: 0x80, len: 6 } } });

function join(one: Node, other: Node, ...names: readonly [string, string]) {
  const { ends } = link({ medium: 'ergot', ends: names, impair: { delay: 1 } }, env);
  return [one.plug(ends[0]), other.plug(ends[1])];
}

const brain = e.ergot(robot.gateway(), {}, env);
const arm = e.ergot(robot.member('arm'), {}, env);
const eyes = robot.member('eye');
const eye = e.ergot(eyes, {}, env);
join(brain, arm, 'arm', 'brain');
join(brain, eye, 'eye', 'brain');
eye.serve(look, { port: 1 }).subscribe((request) => request.answer(`a wall, ${request.source.toString()}`));

const halls = [12, 16].map((bits) => ({ bits, node: e.ergot(e.apexProfile({ bits }), {}, env) }));
for (const { bits, node } of halls) {
  const plugs = join(node, brain, 'robot', `hall ${bits}`);
  scheduler.runFor(5_000);
  arm
    .request(look, robot.address('eye', 1), undefined)
    .subscribe(({ value }) => console.log(`the arm hears: ${value}`));
  const outside = eyes.locate(new e.PhoneAddress(1, 6), bits);
  if (outside !== undefined) {
    console.log(`the hall knows the eye by ${outside.toString()}`);
    node.request(look, outside, undefined).subscribe(({ value }) => console.log(`the hall hears: ${value}`));
  }
  scheduler.runFor(100);
  for (const plug of plugs) plug.unsubscribe();
}
for (const node of [brain, arm, eye, ...halls.map((hall) => hall.node)]) node.dispose();
