/**
 * The load of the TAP benchmark: a program on the kernel's sockets. It is told what to do by a JSON array of requests on its command line, does one
 * after the other, and prints one JSON number a line.
 */

import dgram from 'node:dgram';
import { connect, type Socket } from 'node:net';
import { PORTS } from './ports.js';

/** One measurement: bits a second for `send` and `receive`, events a second for the others. */
export interface Load {
  readonly kind: 'send' | 'receive' | 'roundTrips' | 'connections' | 'datagrams';
  readonly address: string;
  readonly seconds: number;
  /** Connections, or datagrams under way, at once. */
  readonly parallel: number;
  /** Seconds that are not measured first: slow start, compiling. Default 0.3. */
  readonly warmUp?: number;
}

const BLOCK = Buffer.alloc(65_536, 'x');
const SMALL = Buffer.alloc(64, 'x');
const WARM_UP = 0.3;

const seconds = () => Number(process.hrtime.bigint()) / 1e9;

/** Runs until the time is over; `count` tells how much was done so far. Returns the rate, without the warm-up. */
async function rate(load: Load, count: () => number): Promise<number> {
  const wait = (s: number) => new Promise((resolve) => setTimeout(resolve, s * 1000));
  await wait(load.warmUp ?? WARM_UP);
  const begun = seconds();
  const before = count();
  await wait(load.seconds);
  return (count() - before) / (seconds() - begun);
}

function open(address: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: address, noDelay: true }, () => resolve(socket));
    socket.once('error', reject);
  });
}

const opened = (load: Load, port: number) =>
  Promise.all(Array.from({ length: load.parallel }, () => open(load.address, port)));

async function send(load: Load): Promise<number> {
  const sockets = await opened(load, PORTS.discard);
  for (const socket of sockets) {
    const fill = () => {
      while (socket.write(BLOCK));
    };
    socket.on('drain', fill).on('error', () => {});
    fill();
  }
  const sent = () => sockets.reduce((sum, socket) => sum + socket.bytesWritten - socket.writableLength, 0);
  const result = await rate(load, () => sent() * 8);
  for (const socket of sockets) socket.destroy();
  return result;
}

async function receive(load: Load): Promise<number> {
  const sockets = await opened(load, PORTS.source);
  for (const socket of sockets) {
    socket.on('error', () => {}).resume();
    socket.on('data', () => {});
  }
  const result = await rate(load, () => sockets.reduce((sum, socket) => sum + socket.bytesRead, 0) * 8);
  for (const socket of sockets) socket.destroy();
  return result;
}

async function roundTrips(load: Load): Promise<number> {
  let count = 0;
  const sockets = await opened(load, PORTS.echo);
  for (const socket of sockets) {
    let missing = SMALL.length;
    socket.on('data', (data) => {
      missing -= data.length;
      if (missing > 0) return;
      missing = SMALL.length;
      count++;
      socket.write(SMALL);
    });
    socket.write(SMALL);
  }
  const result = await rate(load, () => count);
  for (const socket of sockets) socket.destroy();
  return result;
}

/** A connection: open, a byte there and back, close. */
async function connections(load: Load): Promise<number> {
  let count = 0;
  const state = { running: true };
  const once = () =>
    new Promise<void>((resolve) => {
      const socket = connect({ port: PORTS.echo, host: load.address }, () => socket.write('x'));
      socket.on('data', () => socket.end()).on('error', () => resolve());
      socket.on('close', () => {
        count++;
        resolve();
      });
    });
  const loop = async () => {
    while (state.running) await once();
  };
  const loops = Array.from({ length: load.parallel }, loop);
  const result = await rate(load, () => count);
  state.running = false;
  await Promise.all(loops);
  return result;
}

/** Datagrams echoed; lost ones are replaced after a while. */
async function datagrams(load: Load): Promise<number> {
  let count = 0;
  const socket = dgram.createSocket(load.address.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', () => {
    count++;
    socket.send(SMALL, PORTS.udp, load.address);
  });
  const start = () => {
    for (let i = 0; i < load.parallel; i++) socket.send(SMALL, PORTS.udp, load.address);
  };
  start();
  let last = -1;
  const revive = setInterval(() => {
    if (count === last) start();
    last = count;
  }, 100);
  const result = await rate(load, () => count);
  clearInterval(revive);
  socket.close();
  return result;
}

const KINDS = { send, receive, roundTrips, connections, datagrams };

for (const load of JSON.parse(process.argv[2] ?? '[]') as Load[]) {
  process.stdout.write(`${await KINDS[load.kind](load)}\n`);
}
process.exit(0);
