/** Three hosts on one cable: one speaks to a group, one listens to everybody in it, one to a single source. Both IP versions. */
import { once } from 'node:events';
import { link } from '../drivers/index.js';
import { type Device, environment, host, nodeDgram, type NodeDgram } from '../operators/main.js';

const cable = link({ ends: ['speaker', 'all', 'some'] }, environment());
const hosts = new Map<string, NodeDgram>();

function start(device: Device, number: number): void {
  const me = host({ device, addresses: [`10.0.0.${number}/24`, `fd00::${number}/64`] }, environment());
  device.frames$.pipe(me).subscribe(device.sink);
  hosts.set(device.name, nodeDgram(me.udp));
}
cable.ends.forEach((device, index) => start(device, index + 1));

for (const [type, group, source] of [
  ['udp4', '239.1.2.3', '10.0.0.9'],
  ['udp6', 'ff15::1:2', 'fd00::9'],
] as const) {
  const [voice, all, some] = [...hosts.values()].map((dgram) => dgram.createSocket(type).bind(5000));
  if (voice === undefined || all === undefined || some === undefined) break;
  await Promise.all([voice, all, some].map((socket) => once(socket, 'listening')));
  all.addMembership(group);
  some.addSourceSpecificMembership(source, group);
  some.on('message', (message) => console.log('not for us:', String(message)));
  voice.send('hello', 5000, group);
  const [message, from] = (await once(all, 'message')) as [Buffer, { address: string }];
  console.log(`${group}: ${message.toString()} from ${from.address}`);
  for (const socket of [voice, all, some]) socket.close();
}
await cable.close();
