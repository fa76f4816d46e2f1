/**
 * Connections as a program makes and takes them: run in a namespace, by itself.
 *
 *     connections.ts serve PORT...        echoes what comes by TCP and UDP, of both versions, until it is stopped
 *     connections.ts try JSON             tries what the JSON says, and prints what came of it
 */

import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { connect, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** One try: a connection, a datagram with its answer, or a ping of so many bytes. */
export interface Try {
  readonly kind: 'tcp' | 'udp' | 'ping';
  readonly to: string;
  readonly port: number;
  /** Whose address it is from; default any. */
  readonly from?: string;
  /** Bytes of the ping's data, and its hop limit. */
  readonly size?: number;
  readonly ttl?: number;
}

/** What came of it. */
export type Came = 'open' | 'refused' | 'silent' | 'closed' | (string & {});

/** Longer than it takes until a SYN is sent again: a kernel may not be able to hear at once of the first one's rejection. */
const PATIENCE = 1_700;
const STAGGER = 8;

function tcp({ to, port, from }: Try): Promise<Came> {
  return new Promise((resolve) => {
    const socket = connect({ host: to, port, ...(from === undefined ? {} : { localAddress: from }) });
    const end = (came: Came): void => {
      socket.destroy();
      resolve(came);
    };
    socket.setTimeout(PATIENCE, () => end('silent'));
    socket.once('connect', () => socket.write('x'));
    socket.once('data', () => end('open'));
    socket.once('close', () => end('closed'));
    socket.once('error', (error) => end(told(error)));
  });
}

function udp({ to, port, from }: Try): Promise<Came> {
  return new Promise((resolve) => {
    const socket = createSocket(to.includes(':') ? 'udp6' : 'udp4');
    const timer = setTimeout(() => end('silent'), PATIENCE);
    const end = (came: Came): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => undefined);
      socket.close();
      resolve(came);
    };
    socket.once('message', () => end('open'));
    socket.once('error', (error) => end(told(error)));
    socket.bind({ port: 0, ...(from === undefined ? {} : { address: from }) }, () => {
      socket.connect(port, to, () => socket.send('x'));
    });
  });
}

function told(error: Error): Came {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ECONNREFUSED' ? 'refused' : (code ?? 'failed');
}

function ping({ to, from, size = 56, ttl = 64 }: Try): Promise<Came> {
  const source = from === undefined ? [] : ['-I', from];
  return new Promise((resolve) => {
    const args = ['-n', '-c', '1', '-W', '1', '-s', String(size), '-t', String(ttl), ...source, to];
    execFile('ping', args, (error, stdout) => {
      resolve(error === null ? 'open' : /(?:unreachable|prohibited|filtered)/i.test(stdout) ? 'refused' : 'silent');
    });
  });
}

const WAYS: Readonly<Record<Try['kind'], (one: Try) => Promise<Came>>> = { tcp, udp, ping };

async function tryAll(tries: readonly Try[]): Promise<readonly Came[]> {
  const running: Promise<Came>[] = [];
  for (const one of tries) {
    running.push(WAYS[one.kind](one));
    await delay(STAGGER);
  }
  return Promise.all(running);
}

async function serve(ports: readonly number[]): Promise<void> {
  for (const port of ports) {
    const server = createServer((socket) => void socket.on('error', () => undefined).pipe(socket));
    await new Promise<void>((resolve) => server.listen(port, '::', resolve));
    for (const type of ['udp4', 'udp6'] as const) {
      const socket = createSocket({ type, ipv6Only: type === 'udp6' });
      socket.on('message', (message, peer) => socket.send(message, peer.port, peer.address, () => undefined));
      socket.on('error', () => undefined);
      await new Promise<void>((resolve) => socket.bind(port, resolve));
    }
  }
  process.stdout.write('ready\n');
}

const [, , mode, ...rest] = process.argv;
if (mode === 'serve') await serve(rest.map(Number));
if (mode === 'try') process.stdout.write(JSON.stringify(await tryAll(JSON.parse(rest[0] ?? '[]') as Try[])));
