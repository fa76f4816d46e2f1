/** Row 6 of the acceptance of a living host: thousands of connections, one after the other or at once, leave nothing behind. */

import { once } from 'node:events';
import { type Duplex, Readable } from 'node:stream';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import { LiveHost, OURS } from './live-host.js';
import { until } from '../until.js';
import { describeNetns, type Namespace, type Ran } from './namespace.js';
import { Recording } from './recording.js';

/** Bytes of heap, typed arrays and buffers included, after a full collection. */
function heap(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

// Runs in Node, over the kernel's TCP: `total` connections to the echo service, `wide` at a time; each sends a line, expects it back, and
// closes. Prints how many of them were right.
const SEQUENCE = `
const net = require('node:net');
const [, host, port, total, wide] = process.argv;
let started = 0, right = 0, over = 0;
function one() {
  const line = 'connection ' + started++ + '\\n';
  let got = '';
  const socket = net.connect(Number(port), host);
  socket.setNoDelay(true);
  socket.on('data', (data) => { got += data; if (got.length === line.length) socket.end(); });
  socket.on('error', (error) => console.error(error.code));
  socket.on('close', () => {
    if (got === line) right++;
    if (++over === Number(total)) console.log(right);
    else if (started < Number(total)) one();
  });
  socket.write(line);
}
for (let i = 0; i < Number(wide); i++) one();
`;

// Opens `total` connections at once, says so, and on a line from stdin lets each say a line and close.
const CROWD = `
const net = require('node:net');
const [, host, port, total] = process.argv;
const sockets = [];
let open = 0, right = 0, over = 0;
for (let i = 0; i < Number(total); i++) {
  const socket = net.connect(Number(port), host, () => { if (++open === Number(total)) console.log('open'); });
  const line = 'one of a crowd ' + i + '\\n';
  let got = '';
  sockets.push(() => socket.write(line));
  socket.on('data', (data) => { got += data; if (got.length === line.length) socket.end(); });
  socket.on('error', (error) => console.error(error.code));
  socket.on('close', () => {
    if (got === line) right++;
    if (++over === Number(total)) { console.log(right); process.exit(); }
  });
}
process.stdin.once('data', () => { for (const speak of sockets) speak(); });
`;

// Opens `total` connections and throws away what they bring.
const DRAIN = `
const net = require('node:net');
const [, host, port, total] = process.argv;
for (let i = 0; i < Number(total); i++) net.connect(Number(port), host).on('error', () => undefined).resume();
`;

function* endless(): Generator<Buffer> {
  const bytes = Buffer.alloc(65_536, 'flow ');
  for (;;) yield bytes;
}

function sequence(namespace: Namespace, port: number, total: number, wide = 1): Promise<Ran> {
  const args = ['-e', SEQUENCE, OURS, `${port}`, `${total}`, `${wide}`];
  return namespace.run(process.execPath, args, { timeout: 60_000 });
}

describeNetns('a living host, row 6: many connections', (netns) => {
  const recording = new Recording();

  it('5,000 in sequence leave no connection, timer or buffer behind, and memory returns', async function () {
    this.timeout(90_000);
    const live = new LiveHost(netns.namespace, { recording });
    // The first ones fill pools and compile code, which stays.
    await sequence(netns.namespace, 7, 500);
    await live.quiet();
    const { pending } = live.timers;
    const before = heap();
    const { stdout, stderr } = await sequence(netns.namespace, 7, 5000);
    expect(stdout.trim(), stderr).to.equal('5000');
    expect(live.me.stats().tcp).to.deep.include({ accepted: 5500, reset: 0, timedOut: 0, failed: 0, retransmits: 0 });
    // The client closed first: TIME-WAIT is on its side, and there is nothing on ours.
    await live.quiet();
    expect(live.me.tcp.size).to.equal(0);
    expect(live.timers.pending, 'timers').to.be.at.most(pending);
    // Leaking one connection each would be many megabytes; 400 bytes a connection would show.
    expect(heap() - before, 'heap').to.be.below(2 << 20);
    await live.close();
  });

  it('2,000 that we close first leave TIME-WAIT, and when that is over nothing', async function () {
    this.timeout(60_000);
    const live = new LiveHost(netns.namespace, { recording, tcp: { timeWait: 300 } });
    const server = live.net.createServer((socket) => {
      socket.on('data', (data) => socket.end(data)).on('error', () => undefined);
    });
    server.listen(4020);
    let most = 0;
    const watch = setInterval(() => (most = Math.max(most, live.connections['TIME-WAIT'] ?? 0)), 20);
    const { stdout, stderr } = await sequence(netns.namespace, 4020, 2000, 8);
    clearInterval(watch);
    expect(stdout.trim(), stderr).to.equal('2000');
    expect(most, 'in TIME-WAIT at once').to.be.above(50);
    server.close();
    await live.quiet();
    await live.close();
  });

  it('1,000 at once are held, all answered, and leave nothing behind', async function () {
    this.timeout(60_000);
    const live = new LiveHost(netns.namespace, { recording });
    await sequence(netns.namespace, 7, 100);
    await live.quiet();
    const { pending } = live.timers;
    const before = heap();
    const child = netns.namespace.start(process.execPath, ['-e', CROWD, OURS, '7', '1000']);
    let printed = '';
    let complained = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (printed += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (complained += text));
    await until(() => printed === 'open\n' || child.exitCode !== null, 30_000);
    expect(printed, complained).to.equal('open\n');
    await until(() => live.connections['ESTABLISHED'] === 1000);
    expect(live.env.pool.outstanding, 'idle connections hold no frames').to.equal(0);
    // Some hold nothing but their place: no timer each.
    expect(live.timers.pending, 'idle connections hold no timers').to.be.at.most(pending + 5);
    const each = (heap() - before) / 1000;
    expect(each, 'bytes per idle connection').to.be.below(20_000);
    child.stdin?.write('speak\n');
    await once(child, 'close');
    expect(printed, complained).to.equal('open\n1000\n');
    await live.quiet();
    expect(live.me.tcp.size).to.equal(0);
    expect(heap() - before, 'heap').to.be.below(3 << 20);
    await live.close();
  });

  it('300 in full flow whose peer is killed leave nothing behind', async function () {
    this.timeout(60_000);
    const live = new LiveHost(netns.namespace, { recording });
    const sockets: Duplex[] = [];
    const server = live.net.createServer((socket) => {
      sockets.push(socket.on('error', () => undefined));
    });
    server.listen(4021);
    const child = netns.namespace.start(process.execPath, ['-e', DRAIN, OURS, '4021', '300']);
    // They flow when all are there: the acknowledgments of those that did would overflow the kernel's queue, and handshakes wait for seconds.
    await until(() => live.connections['ESTABLISHED'] === 300, 30_000);
    const sent = () => live.me.stats().tcp?.segmentsOut ?? 0;
    const before = sent();
    for (const socket of sockets) Readable.from(endless()).pipe(socket);
    await until(() => sent() > before + 30_000, 30_000);
    child.kill('SIGKILL');
    // Some resets are lost where the kernel's queue towards us overflows; then it takes a retransmission.
    await live.quiet({ timeout: 30_000 });
    expect(live.me.tcp.size).to.equal(0);
    server.close();
    await live.close();
  });

  it('row 5: tshark finds nothing wrong with what we sent', async function () {
    this.timeout(60_000);
    await recording.expectSound({ tcp: 6000 });
  });
});
