/** Phone-number addresses among processes: asked for, leased, told of, and moved, as messages on the wire. */

import { expect } from 'chai';
import { pause } from '../drivers/ergot/rigs.js';
import { AskedProcess } from './asked-process.js';
import type { PhoneAsked, PhonePlan } from './ergot-phone-process.js';

const PROGRAM = new URL('./ergot-phone-process.ts', import.meta.url).pathname;

type Phone = AskedProcess<PhoneAsked>;

/** What is answered once it is anything but `before`, within 10 s. */
async function become(ask: () => Promise<unknown>, before: unknown): Promise<unknown> {
  let now = before;
  for (let i = 0; i < 200 && now === before; i++) {
    now = await ask();
    if (now === before) await pause(50);
  }
  return now;
}

async function double(from: Phone, to: unknown): Promise<void> {
  expect(await from.ask('double', { to: String(to), value: 21 }), `${from.name} asks ${String(to)}`).to.equal(42);
}

async function conversations(over: PhonePlan['over'], start: (plan: PhonePlan) => Promise<Phone>): Promise<void> {
  const town = await start({ name: 'town', bits: 10, over });
  const hall = await start({ name: 'hall', bits: 8, over, parent: town.port });
  const sensor = await start({ name: 'sensor', bits: 6, over, parent: hall.port });
  // Both prefixes have come down when the sensor knows what it is in the town's scope.
  const inTown = await become(() => sensor.ask('locate', { bits: 10 }), null);
  const inHall = await sensor.ask('locate', { bits: 8 });
  await double(town, inTown);
  await double(hall, inHall);
  await double(sensor, '003^10');

  expect(await sensor.ask('join', { group: '3FA^10' })).to.deep.equal({ kind: 'Ok' });
  await town.ask('publish', { group: '3FA^10', value: 7 });
  expect(await become(async () => ((await sensor.ask('heard', undefined)) as number[]).length, 0)).to.equal(1);
  expect(await hall.ask('heard', undefined)).to.deep.equal([]);

  const country = await start({ name: 'country', bits: 12, over });
  await hall.ask('move', { port: country.port });
  const inCountry = await become(() => sensor.ask('locate', { bits: 12 }), null);
  await double(country, inCountry);
  await double(sensor, '003^12');
  // Within the hall nothing has changed.
  expect(await sensor.ask('locate', { bits: 8 })).to.equal(inHall);
  await double(hall, inHall);
  expect(await sensor.ask('locate', { bits: 10 })).to.equal(null);
}

describe('processes with phone-number addresses (rows 63, 64)', function () {
  this.timeout(60_000);
  const running: Phone[] = [];
  afterEach(() => Promise.all(running.splice(0).map((one) => one.kill())));

  for (const over of ['tcp', 'udp'] as const) {
    it(`ask for them, find and call each other, and move, over ${over.toUpperCase()}`, () =>
      conversations(over, async (plan) => {
        const made = await AskedProcess.start<PhoneAsked>(PROGRAM, plan);
        running.push(made);
        return made;
      }));
  }
});
