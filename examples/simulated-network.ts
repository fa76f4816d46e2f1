/**
 * Node programs, as they are, in a simulated network: hosts on switches, a slow link between these, an hour of virtual time. Draws the congestion
 * windows of the server's connections; give the file's name, or find it in the directory for temporary files.
 */
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dumbbell, network, recordTcp, toSvg } from '../operators/testing/index.js';

const server = `
  const http = require('http');
  const page = Buffer.alloc(1_000_000, 'x');
  http.createServer((request, response) => response.end(page)).listen(80);
`;
const client = `
  const http = require('http');
  const get = () => {
    const started = Date.now();
    http.get('http://server/', { agent: new http.Agent() }, (response) => {
      let length = 0;
      response.on('data', (chunk) => (length += chunk.length));
      response.on('end', () => {
        console.log(response.statusCode + ',', length, 'bytes in', Date.now() - started, 'ms');
      });
    });
  };
  get();
  const every = setInterval(get, 30 * 60_000);
  setTimeout(() => clearInterval(every), 3_600_001);
`;

const slow = { impair: { rate: 5e6, delay: 20, queue: { kind: 'codel' } } } as const;
const net = network({
  seed: 7,
  hosts: { server: '10.0.0.1/24', anne: '10.0.0.2/24', bert: '10.0.0.3/24' },
  ...dumbbell(['server'], ['anne', 'bert'], slow),
});
const recording = recordTcp(net, 'server');
const web = net.program('server', { source: server });
const people = (['anne', 'bert'] as const).map((name) => net.program(name, { source: client }));
await net.runUntilSettled(Promise.all(people.map(({ exited }) => exited)));
for (const { time, text } of people.flatMap(({ output }) => output)) {
  process.stdout.write(`${Math.floor(time / 1000)} s: ${text}`);
}
const drops = net.links.bottleneck.env.drops.toJSON();
console.log(`an hour and more of virtual time: ${Math.floor(net.now / 1000)} s; drops on the slow link:`, drops);
web.kill();
await net.advance(Infinity);
net.assertIdle();
net.dispose();

const file = process.argv[2] ?? join(tmpdir(), 'cwnd.svg');
const { series } = recording;
writeFileSync(file, toSvg(series.slice(0, 2), { kind: 'cwnd', title: 'Two downloads at once' }));
console.log(`${series.length} connections, two of them drawn in ${file}`);
