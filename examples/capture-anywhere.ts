/** Captures at two points of one pipeline, into one pcapng file: every frame that comes in, and only what a filter lets through. */
import { capture, environment, host, nodeNet, PcapngWriter, pretty, where, logPackets } from '../operators/main.js';
import { FileSink, link } from '../drivers/index.js';

const [path = 'capture-anywhere.pcapng'] = process.argv.slice(2);
const env = environment();
const cable = link({}, env);
const [left, right] = cable.ends;
const file = new FileSink(path);
const writer = new PcapngWriter(file, { application: 'an example' });

const server = host({ device: left, addresses: ['10.0.0.1/24'] }, env);
left.frames$
  .pipe(
    capture(writer, { name: 'all', direction: 'inbound', comment: (frame) => pretty(frame) }, env),
    where((frame) => frame.length < 1000),
    capture(writer, { name: 'small', direction: 'inbound' }, env),
    logPackets((frame) => pretty(frame), console.log, {}, env),
    server,
  )
  .subscribe(left.sink);
nodeNet(server.tcp)
  .createServer((socket) => socket.on('error', () => socket.destroy()).pipe(socket))
  .listen(7);

const client = host({ device: right, addresses: ['10.0.0.2/24'] }, environment());
right.frames$.pipe(client).subscribe(right.sink);
const socket = nodeNet(client.tcp).connect(7, '10.0.0.1', () => socket.end('hello'));
for await (const chunk of socket) console.log('echoed:', String(chunk));
await cable.close();
file.close();
console.log(`written to ${path}`);
