/**
 * The kernel's side of the mixed load: bulk both ways, short connections and datagrams at a rate, everything compared. Prints one JSON line at the end.
 *
 *     mixed-load-client.ts ADDRESS SECONDS CONNECTIONS-PER-SECOND DATAGRAMS-PER-SECOND
 */

import { createHash, randomBytes } from 'node:crypto';
import dgram from 'node:dgram';
import { connect, type Socket } from 'node:net';
import { DIGEST, type Done, TRANSFER, writeTransfer } from './mixed-load-ends.js';
import { PORTS } from './ports.js';

const [host = '', seconds = '1', connectionRate = '0', datagramRate = '0'] = process.argv.slice(2);
const TICK = 10;
const MOST_OPEN = 1000;
const end = performance.now() + Number(seconds) * 1000;
const running = (): boolean => performance.now() < end;
const wrong: Record<string, number> = {};
const count = { sent: 0, received: 0, connections: 0, datagrams: 0 };

function complain(what: string): void {
  wrong[what] = (wrong[what] ?? 0) + 1;
}

function open(port: number, what: string, done: () => void, allowHalfOpen = false): Socket {
  const socket = connect({ port, host, noDelay: true, allowHalfOpen });
  socket.on('error', (error: NodeJS.ErrnoException) => complain(`${what}: ${error.code}`));
  socket.on('close', done);
  return socket;
}

/** Sends a transfer, and compares the digest that comes back. */
function send(): Promise<void> {
  return new Promise((resolve) => {
    const socket = open(PORTS.discard, 'sent', resolve, true);
    const answer: Buffer[] = [];
    writeTransfer(socket, (hash) => {
      socket.end();
      socket.on('end', () => {
        if (Buffer.concat(answer).equals(hash.digest())) count.sent++;
        else complain('sent: digest');
      });
    });
    socket.on('data', (data) => answer.push(data));
  });
}

/** Receives a transfer, and compares the digest at its end. */
function receive(): Promise<void> {
  return new Promise((resolve) => {
    const hash = createHash('sha256');
    const socket = open(PORTS.source, 'received', resolve);
    let left = TRANSFER;
    const digest: Buffer[] = [];
    socket.on('data', (data) => {
      const part = data.subarray(0, left);
      if (part.length > 0) hash.update(part);
      left -= part.length;
      if (part.length < data.length) digest.push(data.subarray(part.length));
    });
    socket.on('end', () => {
      const told = Buffer.concat(digest);
      if (told.length === DIGEST && told.equals(hash.digest())) count.received++;
      else complain('received: digest');
    });
  });
}

async function again(transfer: () => Promise<void>): Promise<void> {
  while (running()) await transfer();
}

const state = { open: 0 };

/** A short connection: what it sends comes back. */
function short(): void {
  if (state.open >= MOST_OPEN) return complain('connections: not as many a second as there should be');
  state.open++;
  const sent = randomBytes(200 + ((Math.random() * 1800) | 0));
  const parts: Buffer[] = [];
  let length = 0;
  const socket = open(PORTS.echo, 'connections', () => {
    state.open--;
    if (Buffer.concat(parts).equals(sent)) count.connections++;
    else complain('connections: echo');
  });
  socket.on('data', (data) => {
    parts.push(data);
    length += data.length;
    if (length >= sent.length) socket.end();
  });
  socket.write(sent);
}

const udp = dgram.createSocket('udp4');
const waiting = new Map<number, Buffer>();
let datagram = 0;
udp.on('message', (data) => {
  const id = data.readUInt32BE(0);
  const expected = waiting.get(id);
  if (expected === undefined || !expected.equals(data)) complain('datagrams: echo');
  else count.datagrams++;
  waiting.delete(id);
});

function sendDatagram(): void {
  const data = randomBytes(4 + ((Math.random() * 1000) | 0));
  data.writeUInt32BE(datagram, 0);
  waiting.set(datagram++, data);
  udp.send(data, PORTS.udp, host);
}

let owed = 0;
let owedDatagrams = 0;
let last = performance.now();
const ticks = setInterval(() => {
  const now = performance.now();
  owed += ((now - last) / 1000) * Number(connectionRate);
  owedDatagrams += ((now - last) / 1000) * Number(datagramRate);
  last = now;
  for (; owed >= 1; owed--) short();
  for (; owedDatagrams >= 1; owedDatagrams--) sendDatagram();
}, TICK);

await Promise.all([again(send), again(receive)]);
clearInterval(ticks);
await new Promise((resolve) => setTimeout(resolve, 500));
while (state.open > 0) await new Promise((resolve) => setTimeout(resolve, TICK));
udp.close();
const done: Done = { ...count, datagramsLost: waiting.size, wrong };
process.stdout.write(`${JSON.stringify(done)}\n`);
