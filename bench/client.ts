/**
 * The load of the benchmarks on the wire where there is no C compiler: as `peers/load.c`, on Node's sockets, with the same arguments.
 *
 *     client.ts KIND ADDRESS PARALLEL SECONDS WARM-UP
 */

import dgram from 'node:dgram';
import { connect, type Socket } from 'node:net';
import type { Load } from './load.js';
import { PORTS } from './ports.js';

const BLOCK = Buffer.alloc(65_536, 'x');
const SMALL = Buffer.alloc(64, 'x');

const seconds = () => Number(process.hrtime.bigint()) / 1e9;

/** Runs until the time is over; `count` tells how much was done so far. Returns the rate, without the warm-up. */
async function rate(load: Load, count: () => number): Promise<number> {
  const wait = (s: number) => new Promise((resolve) => setTimeout(resolve, s * 1000));
  await wait(load.warmUp ?? 0);
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
    socket.on('drain', fill);
    fill();
  }
  const sent = () => sockets.reduce((sum, socket) => sum + socket.bytesWritten - socket.writableLength, 0);
  return rate(load, () => sent() * 8);
}

async function receive(load: Load): Promise<number> {
  const sockets = await opened(load, PORTS.source);
  for (const socket of sockets) socket.on('data', () => {});
  return rate(load, () => sockets.reduce((sum, socket) => sum + socket.bytesRead, 0) * 8);
}

async function roundTrips(load: Load): Promise<number> {
  let count = 0;
  for (const socket of await opened(load, PORTS.echo)) {
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
  return rate(load, () => count);
}

/** A connection: open, a byte there and back, close. */
async function connections(load: Load): Promise<number> {
  let count = 0;
  const once = () => {
    const socket = connect({ port: PORTS.echo, host: load.address }, () => socket.write('x'));
    socket.on('data', () => {
      count++;
      socket.destroy();
    });
    socket.on('error', () => {}).on('close', once);
  };
  for (let i = 0; i < load.parallel; i++) once();
  return rate(load, () => count);
}

/** Datagrams echoed; lost ones are replaced when all is quiet. */
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
  setInterval(() => {
    if (count === last) start();
    last = count;
  }, 100);
  return rate(load, () => count);
}

const KINDS = { send, receive, roundTrips, connections, datagrams };

const [kind = 'send', address = '', parallel, time, warmUp] = process.argv.slice(2);
const load: Load = {
  kind: kind as Load['kind'],
  address,
  parallel: Number(parallel),
  seconds: Number(time),
  warmUp: Number(warmUp),
};
process.stdout.write(`${await KINDS[load.kind](load)}\n`);
process.exit(0);
