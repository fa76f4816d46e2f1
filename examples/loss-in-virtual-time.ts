/** Two simulated hosts on a bad cable: what loss does to a transfer of 1 MiB, in virtual time, the same in every run. */
import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { nodeNet } from '../operators/main.js';
import { network } from '../operators/testing/index.js';

const file = Buffer.alloc(1 << 20, 'All work and no play makes Jack a dull boy.\n');
const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

for (const loss of [0, 0.001, 0.01, 0.05]) {
  const lan = { impair: { delay: 10, rate: 100e6, loss } };
  const net = network({ seed: 7, hosts: { a: '10.0.0.1/24', b: '10.0.0.2/24' }, links: { lan } });
  nodeNet(net.hosts.b.tcp)
    .createServer((socket) => socket.end(file))
    .listen(80);
  const received = await net.runUntilSettled(buffer(nodeNet(net.hosts.a.tcp).connect(80, '10.0.0.2')));
  const { retransmits } = net.hosts.b.tcp.counters;
  const right = digest(received) === digest(file);
  console.log(`${loss * 100} % loss: ${net.now.toFixed(0)} ms, ${retransmits} segments sent again, right: ${right}`);
  await net.advance(Infinity);
  net.assertIdle();
  net.dispose();
}
