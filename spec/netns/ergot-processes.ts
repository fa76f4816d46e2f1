/** Nodes of ergot as processes of their own, which a test asks for things, kills and starts again. */

import { expect } from 'chai';
import { AskedProcess, type Start } from './asked-process.js';
import type { Asked, NodePlan } from './ergot-process.js';

const PROGRAM = new URL('./ergot-process.ts', import.meta.url).pathname;

/** One node. */
export type ErgotProcess = AskedProcess<Asked>;

export function startErgot(plan: NodePlan, start: Start): Promise<ErgotProcess> {
  return AskedProcess.start(PROGRAM, plan, start);
}

/** The three nodes of a test. */
export interface Trio {
  readonly root: ErgotProcess;
  readonly bridge: ErgotProcess;
  readonly edge: ErgotProcess;
}

/** Addresses by name, as one of them finds them; waits until all are there. */
async function find(from: ErgotProcess, names: readonly string[]): Promise<ReadonlyMap<string, string>> {
  let found = new Map<string, string>();
  for (let i = 0; i < 50; i++) {
    found = new Map((await from.ask('discover', { within: 150 })) as [string, string][]);
    if (names.every((name) => found.has(name))) return found;
  }
  throw new Error(`${from.name} finds only ${[...found.keys()].join(', ')}`);
}

function addressOf(found: ReadonlyMap<string, string>, { name }: ErgotProcess): string {
  const address = found.get(name);
  if (address === undefined) throw new Error(`no ${name}`);
  return address;
}

async function speak(from: ErgotProcess, to: string): Promise<void> {
  const events = (await from.ask('ping', { to })) as { kind: string; intact: boolean }[];
  expect(events.map(({ kind, intact }) => kind === 'reply' && intact)).to.deep.equal([true, true, true]);
  expect(await from.ask('double', { to, value: 21 })).to.equal(42);
}

let published = 0;

/** What one publishes the two others hear, once. */
async function publish(from: ErgotProcess, others: readonly ErgotProcess[]): Promise<void> {
  const value = ++published;
  await from.ask('publish', { value });
  for (const other of others) {
    let heard: number[] = [];
    for (let i = 0; i < 40 && !heard.includes(value); i++) {
      heard = (await other.ask('heard', undefined)) as number[];
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(
      heard.filter((one) => one === value),
      `${other.name} of ${from.name}`,
    ).to.deep.equal([value]);
  }
}

/** Discovery, pings, endpoints and topics between the ends, by way of the one between them. Returns the address of the edge. */
export async function everythingWorks({ root, bridge, edge }: Trio): Promise<string> {
  const names = [root.name, bridge.name, edge.name];
  const fromEdge = await find(edge, names);
  const fromRoot = await find(root, names);
  await speak(edge, addressOf(fromEdge, root));
  await speak(edge, addressOf(fromEdge, bridge));
  await speak(root, addressOf(fromRoot, edge));
  await publish(root, [bridge, edge]);
  await publish(bridge, [root, edge]);
  await publish(edge, [root, bridge]);
  return addressOf(fromRoot, edge);
}
