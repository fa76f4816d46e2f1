/** Links of ergot whose TCP and UDP are those of hosts of ours, on a cable in memory, in virtual time. */

import { expect } from 'chai';
import { listenErgotTcp } from '../../../drivers/ergot/tcp-listener.js';
import { ergotOverTcp } from '../../../drivers/ergot/tcp.js';
import { listenErgotUdp } from '../../../drivers/ergot/udp-listener.js';
import { ergotOverUdp } from '../../../drivers/ergot/udp.js';
import { link, type LinkOptions } from '../../../drivers/link.js';
import type { Device } from '../../../lib/core/device.js';
import { nodeDgram } from '../../../lib/socket/dgram.js';
import { nodeNet } from '../../../lib/socket/net.js';
import { type Host, host } from '../../../operators/stack/host.js';
import { virtualBench, type VirtualBench } from '../virtual-rigs.js';
import { hear, say } from './rigs.js';

interface Network extends VirtualBench {
  readonly near: Host;
  readonly far: Host;
  readonly wire: ReturnType<typeof link>;
}

const FAR = '10.0.0.2';

function network(impair: LinkOptions['impair'] = {}): Network {
  const bench = virtualBench();
  const { env } = bench;
  const wire = link({ impair }, env);
  const [near, far] = wire.ends.map((device, i) => {
    const me = host({ device, addresses: [`10.0.0.${i + 1}/24`] }, env);
    device.frames$.pipe(me).subscribe(device.sink);
    return me;
  });
  if (near === undefined || far === undefined) throw new Error('a cable has two ends');
  return { ...bench, near, far, wire };
}

/** Lets virtual time pass, and what Node's shape of sockets does between its moments. */
async function run({ scheduler }: VirtualBench, milliseconds: number): Promise<void> {
  for (let at = 0; at < milliseconds; at += 50) {
    scheduler.runFor(50);
    for (let i = 0; i < 3; i++) await new Promise(setImmediate);
  }
}

describe('ergot over hosts of ours', () => {
  it('goes over their TCP, loss or not, and finds a server that came back', async () => {
    const net = network({ loss: 0.1, delay: 5 });
    const { env, near, far } = net;
    let listener = listenErgotTcp({ net: nodeNet(far.tcp), host: FAR, port: 2025 }, env);
    const accepted: Device[] = [];
    const heard: ReturnType<typeof hear>[] = [];
    const welcome = (device: Device): void => {
      accepted.push(device);
      heard.push(hear(device));
    };
    listener.devices$.subscribe(welcome);
    const client = ergotOverTcp({ net: nodeNet(near.tcp), host: FAR, port: 2025, retry: { most: 500 } }, env);
    const atClient = hear(client);
    while (accepted.length === 0) await run(net, 100);
    for (let i = 0; i < 100; i++) say(client, env, i);
    for (const device of accepted) say(device, env, 200);
    await run(net, 10_000);
    expect(heard[0]?.bytes).to.deep.equal(Array.from({ length: 100 }, (_, i) => i));
    expect(atClient.bytes).to.deep.equal([200]);
    await listener.close();
    await run(net, 5000);
    expect(client.connected).to.equal(false);
    listener = listenErgotTcp({ net: nodeNet(far.tcp), host: FAR, port: 2025 }, env);
    listener.devices$.subscribe(welcome);
    await run(net, 5000);
    say(client, env, 101);
    await run(net, 5000);
    expect(heard[1]?.bytes).to.deep.equal([101]);
    await Promise.all([client.close(), listener.close()]);
    await run(net, 2000);
    expect(env.pool.outstanding).to.equal(0);
  });

  it('goes over their UDP', async () => {
    const net = network({ delay: 5 });
    const { env, near, far } = net;
    const listener = listenErgotUdp({ dgram: nodeDgram(far.udp), host: FAR, port: 2025, idle: 60_000 }, env);
    const devices: Device[] = [];
    const heard: ReturnType<typeof hear>[] = [];
    listener.devices$.subscribe((device) => {
      devices.push(device);
      heard.push(hear(device));
    });
    const client = ergotOverUdp({ dgram: nodeDgram(near.udp), host: FAR, port: 2025 }, env);
    const atClient = hear(client);
    for (let i = 0; i < 10; i++) say(client, env, i);
    await run(net, 1000);
    for (const device of devices) say(device, env, 200);
    await run(net, 1000);
    expect(heard[0]?.bytes).to.deep.equal([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(atClient.bytes).to.deep.equal([200]);
    await run(net, 60_000);
    expect(heard[0]?.ended).to.equal('complete');
    await Promise.all([client.close(), listener.close()]);
    await run(net, 100);
    expect(env.pool.outstanding).to.equal(0);
  });
});
