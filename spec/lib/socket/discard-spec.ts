import { expect } from 'chai';
import { once } from 'node:events';
import type { TcpConnection } from '../../../lib/l4/tcp/api.js';
import { nodeNet } from '../../../lib/socket/net.js';
import { Server } from '../../../lib/socket/server.js';
import type { Socket } from '../../../lib/socket/socket.js';
import { forBothVersions } from '../../both-versions.js';
import { RealNetwork } from './real-tcp.js';

forBothVersions('a Socket that flows to nobody', ({ a, b }) => {
  const [HERE, THERE] = [String(a), String(b)];

  /** A connection, its two sockets, and how often something was read of the second one's. */
  async function connected(): Promise<{
    client: Socket;
    socket: Socket;
    reads: () => number;
    done: () => Promise<void>;
  }> {
    const network = new RealNetwork();
    const tcp = network.host(THERE);
    let reads = 0;
    const listen = tcp.listen.bind(tcp);
    tcp.listen = (local, options) => {
      const listener = listen(local, options);
      const accept = listener.accept.bind(listener);
      listener.accept = () => {
        const connection: TcpConnection | undefined = accept();
        if (connection === undefined) return undefined;
        const read = connection.read.bind(connection);
        connection.read = (max) => {
          const bytes = read(max);
          if (bytes !== undefined) reads++;
          return bytes;
        };
        return connection;
      };
      return listener;
    };
    const server = new Server({ tcp, pauseOnConnect: true }).listen(7);
    const client = nodeNet(network.host(HERE)).connect(7, THERE);
    const [socket] = (await once(server, 'connection')) as [Socket];
    const done = async () => {
      client.end();
      if (!client.closed) await once(client, 'close');
      server.close();
      for (let i = 0; i < 100 && network.connections > 0; i++) await new Promise((resolve) => setTimeout(resolve, 5));
      expect([network.connections, network.env.pool.outstanding]).to.deep.equal([0, 0]);
    };
    return { client, socket, reads: () => reads, done };
  }

  const written = (client: Socket, bytes: Uint8Array) => new Promise((resolve) => client.write(bytes, resolve));
  const soon = () => new Promise((resolve) => setTimeout(resolve, 20));

  it('reads nothing, counts all, and ends', async () => {
    const { client, socket, reads, done } = await connected();
    socket.resume();
    const ended = once(socket, 'end');
    await soon();
    await written(client, new Uint8Array(300_000));
    client.end();
    await ended;
    expect([reads(), socket.bytesRead]).to.deep.equal([0, 300_000]);
    await done();
  });

  for (const [how, listen] of [
    ['a listener', (socket: Socket, got: (chunk: Buffer) => void) => socket.on('data', got)],
    [
      'a reader',
      (socket: Socket, got: (chunk: Buffer) => void) =>
        socket.on('readable', () => got(socket.read() ?? Buffer.alloc(0))),
    ],
    [
      'a loop',
      async (socket: Socket, got: (chunk: Buffer) => void) => {
        for await (const chunk of socket) got(chunk as Buffer);
      },
    ],
  ] as const) {
    it(`loses nothing that comes once there is ${how}`, async () => {
      const { client, socket, done } = await connected();
      socket.resume();
      await soon();
      await written(client, new Uint8Array(1000).fill(1));
      await soon();
      const got: Buffer[] = [];
      void listen(socket, (chunk) => got.push(chunk));
      await written(client, new Uint8Array(100_000).fill(2));
      client.end();
      await once(socket, 'close');
      expect(Buffer.concat(got).equals(Buffer.alloc(100_000, 2))).to.equal(true);
      expect(socket.bytesRead).to.equal(101_000);
      await done();
    });
  }

  it('keeps what comes while it is paused', async () => {
    const { client, socket, done } = await connected();
    socket.resume();
    await soon();
    await written(client, new Uint8Array(10).fill(1));
    await soon();
    socket.pause();
    await written(client, new Uint8Array(10).fill(2));
    await soon();
    const got: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => got.push(chunk));
    socket.resume();
    client.end();
    await once(socket, 'end');
    expect(Buffer.concat(got).equals(Buffer.alloc(10, 2))).to.equal(true);
    await done();
  });
});
