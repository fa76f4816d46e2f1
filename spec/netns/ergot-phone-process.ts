/** A device with phone-number addresses as a program. It serves an endpoint that doubles, at port 3, and listens to a topic. */

import { firstValueFrom, map, type Subscription } from 'rxjs';
import { listenErgotTcp } from '../../drivers/ergot/tcp-listener.js';
import { ergotOverTcp } from '../../drivers/ergot/tcp.js';
import { listenErgotUdp } from '../../drivers/ergot/udp-listener.js';
import { ergotOverUdp } from '../../drivers/ergot/udp.js';
import type { Device } from '../../lib/core/device.js';
import { endpoint, groupOf, PhoneAddress, phoneProfile, topic, u32 } from '../../lib/ergot/index.js';
import { ergot } from '../../operators/ergot/ergot.js';
import { environment } from '../../operators/time/environment.js';
import { answerLines } from './answer-lines.js';

/** What a device is. */
export interface PhonePlan {
  readonly name: string;
  readonly bits: number;
  readonly over: 'tcp' | 'udp';
  /** Where its parent listens; without one it is the top of its network, where group addresses are given. */
  readonly parent?: number;
}

/** What a device can be asked for. */
export interface PhoneAsked {
  /** What its address 3 is in a longer scope; nothing if it is not known. */
  locate: { readonly bits: number };
  /** Twice the value, from the socket there. */
  double: { readonly to: string; readonly value: number };
  /** Leaves its parent for the one that listens there. */
  move: { readonly port: number };
  join: { readonly group: string };
  publish: { readonly group: string; readonly value: number };
  /** What was published so far. */
  heard: undefined;
}

const PORT = 3;
const plan = JSON.parse(process.argv[2] ?? '') as PhonePlan;
const doubling = endpoint('spec/double', u32, u32);
const reading = topic('spec/reading', u32);
const env = environment();

const upward = new Set<Device>();
const { bits, over, parent } = plan;
const groups = parent === undefined ? [{ first: 2 ** bits - 8, len: 3 }] : [];
const profile = phoneProfile({ bits, groups, link: (device) => (upward.has(device) ? 'parent' : 'child') });
const node = ergot(profile, {}, env);

let uplink: Subscription | undefined;
let above: Device | undefined;

async function move(port: number): Promise<void> {
  uplink?.unsubscribe();
  await above?.close();
  above = over === 'tcp' ? ergotOverTcp({ port }, env) : ergotOverUdp({ host: '127.0.0.1', port }, env);
  upward.add(above);
  uplink = node.plug(above);
}

const heard: number[] = [];
node.serve(doubling, { port: PORT }).subscribe((request) => request.answer(2 * request.value));
node.topic(reading).subscribe(({ value }) => void heard.push(value));
const listener = (over === 'tcp' ? listenErgotTcp : listenErgotUdp)({ port: 0 }, env);
listener.devices$.subscribe((device) => node.plug(device));
if (parent !== undefined) await move(parent);

answerLines<PhoneAsked>(plan.name, (await listener.listening).port, {
  locate: (asked) => profile.locate(new PhoneAddress(PORT, bits), asked.bits)?.toString(),
  double: ({ to, value }) =>
    firstValueFrom(node.request(doubling, PhoneAddress.parse(to), value).pipe(map((r) => r.value))),
  move: ({ port }) => move(port),
  join: ({ group }) =>
    new Promise((resolve) => {
      profile.subscribe(PhoneAddress.parse(group), resolve);
    }),
  publish: ({ group, value }) => node.publish(reading, groupOf(PhoneAddress.parse(group)), value),
  heard: () => heard,
});
