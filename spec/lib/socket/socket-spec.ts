import { expect } from 'chai';
import { once } from 'node:events';
import * as nodeNetModule from 'node:net';
import { nodeNet } from '../../../lib/socket/net.js';
import { forBothVersions } from '../../both-versions.js';
import { until } from '../../until.js';
import { FakeNetwork } from './fake-tcp.js';
import { RealNetwork } from './real-tcp.js';
import { Log, type Net, scenarios } from './scenarios.js';

forBothVersions('Socket and Server', ({ a, b, c, loopback }) => {
  const [HERE, THERE, NOBODY, HOST] = [a, b, c, loopback].map(String) as [string, string, string, string];
  for (const [kind, Network] of [
    ['connections in memory', FakeNetwork],
    ['the TCP of the stack', RealNetwork],
  ] as const) {
    describe(`tell the same story as Node, over ${kind}`, () => {
      for (const [name, scenario] of Object.entries(scenarios)) {
        it(name, async () => {
          const theirs = new Log();
          await scenario(nodeNetModule, theirs, HOST);
          const network = new Network();
          const ours = new Log();
          await scenario(nodeNet(network.host(HOST)) as unknown as Net, ours, HOST);
          expect(ours.parties).to.deep.equal(theirs.parties);
          await until(() => network.connections === 0);
        });
      }
    });
  }

  it('lets a buffer be reused as soon as the callback was called', async () => {
    const network = new FakeNetwork({ sendBuffer: 4096, receiveBuffer: 4096 });
    const net = nodeNet(network.host(HERE));
    const other = nodeNet(network.host(THERE));
    const chunks: Buffer[] = [];
    const server = other.createServer((socket) => socket.on('data', (data: Buffer) => chunks.push(data))).listen(7);
    const client = net.connect(7, THERE);
    const buffer = Buffer.alloc(10_000);
    for (let i = 1; i <= 5; i++) {
      buffer.fill(i);
      await new Promise((resolve) => client.write(buffer, resolve));
      buffer.fill(0xff);
    }
    client.end();
    await once(client, 'close');
    server.close();
    const expected = Buffer.concat([1, 2, 3, 4, 5].map((i) => Buffer.alloc(10_000, i)));
    expect(Buffer.concat(chunks).equals(expected)).to.equal(true);
  });

  it('tells everything about its connection while it has one', async () => {
    const network = new RealNetwork();
    const server = nodeNet(network.host(THERE))
      .createServer((socket) => socket.pipe(socket))
      .listen(7);
    const client = nodeNet(network.host(HERE)).connect(7, THERE);
    expect(client.info()).to.equal(undefined);
    await once(client, 'connect');
    client.write('hello');
    await once(client, 'data');
    expect(client.info()).to.include({ state: 'ESTABLISHED', bytesSent: 5, bytesReceived: 5, caState: 'Open' });
    client.end();
    await once(client, 'close');
    expect(client.info()).to.equal(undefined);
    server.close();
  });

  it('stops reading when the stream is full, so that the window closes and the writer waits', async () => {
    const network = new FakeNetwork({ sendBuffer: 10_000, receiveBuffer: 10_000 });
    const net = nodeNet(network.host(HERE));
    const server = nodeNet(network.host(THERE)).createServer({ pauseOnConnect: true }).listen(7);
    const accepted = once(server, 'connection');
    const client = net.connect(7, THERE);
    client.write(Buffer.alloc(1_000_000));
    const [socket] = await accepted;
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(client.writableLength).to.equal(1_000_000);
    expect(socket.bytesRead).to.equal(0);
    let read = 0;
    socket.on('data', (data: Buffer) => (read += data.length)).resume();
    client.end();
    await once(socket, 'end');
    expect(read).to.equal(1_000_000);
    socket.destroy();
    server.close();
  });

  it('delivers what came before a reset to a reader that was paused', async () => {
    const network = new FakeNetwork();
    const server = nodeNet(network.host(THERE)).createServer().listen(7);
    const accepted = once(server, 'connection');
    const client = nodeNet(network.host(HERE)).connect(7, THERE);
    const [socket] = await accepted;
    socket.pause();
    client.write(Buffer.alloc(50_000));
    await new Promise((resolve) => setTimeout(resolve, 20));
    client.resetAndDestroy();
    await new Promise((resolve) => setTimeout(resolve, 5));
    let read = 0;
    socket.on('data', (data: Buffer) => (read += data.length)).resume();
    const [error] = await once(socket, 'error').then(
      (values) => values,
      (thrown: unknown) => [thrown],
    );
    expect(read).to.equal(50_000);
    expect(error.code).to.equal('ECONNRESET');
    server.close();
  });

  it('tells a write that waited of the reset that came with room for it', async () => {
    const network = new FakeNetwork({ sendBuffer: 4096, receiveBuffer: 4096 });
    const listener = network.host(THERE).listen({ address: b, port: 7 });
    listener.acceptable = () => {
      const connection = listener.accept();
      const nothing = () => undefined;
      const handler = { connected: nothing, writable: nothing, flushed: nothing, closed: nothing };
      if (connection !== undefined) connection.handler = { ...handler, readable: () => connection.abort() };
    };
    const client = nodeNet(network.host(HERE)).connect(7, THERE);
    await once(client, 'connect');
    const written = new Promise((resolve) => client.write(Buffer.alloc(100_000), resolve));
    const [error] = await once(client, 'error');
    expect(error).to.include({ code: 'ECONNRESET', syscall: 'read' });
    expect(await written, 'as in Node, where only the socket has the error').to.equal(null);
    listener.close();
  });

  it('tells a write that the connection refuses', async () => {
    const network = new FakeNetwork();
    const here = network.host(HERE);
    const listener = network.host(THERE).listen({ address: b, port: 7 });
    const client = nodeNet(here).connect(7, THERE);
    await once(client, 'connect');
    for (const connection of here.connections) connection.state = 'CLOSED';
    const written = new Promise((resolve) => client.write('late', resolve));
    const [error] = await once(client, 'error');
    expect(error).to.include({ code: 'EPIPE', syscall: 'write' });
    expect(await written).to.equal(error);
    listener.close();
  });

  it('passes on no delay and keepalive, also when set before the connection', async () => {
    const network = new FakeNetwork();
    const tcp = network.host(HERE);
    const server = nodeNet(network.host(THERE)).createServer().listen(7);
    const client = nodeNet(tcp).connect({ port: 7, host: THERE, noDelay: true });
    client.setKeepAlive(true, 5000);
    await once(client, 'connect');
    const [connection] = tcp.connections;
    expect(connection?.noDelay).to.equal(true);
    expect(connection?.keepAlive).to.deep.equal([true, 5000]);
    client.setNoDelay(false);
    expect(connection?.noDelay).to.equal(false);
    client.destroy();
    server.close();
  });

  it('fails a connection to nowhere with the code of the stack', async () => {
    const client = nodeNet(new FakeNetwork().host(HERE)).connect(7, NOBODY);
    const [error] = await once(client, 'error').catch((thrown: unknown) => [thrown]);
    expect(error).to.include({ code: 'EHOSTUNREACH', syscall: 'connect', address: NOBODY, port: 7 });
  });

  it('knows no names of its own but localhost', async () => {
    const client = nodeNet(new FakeNetwork().host(HERE)).connect(7, 'example.com');
    const error = await new Promise<NodeJS.ErrnoException>((resolve) => client.once('error', resolve));
    expect(error).to.include({ code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname: 'example.com' });
  });

  it('hands over an exception of a listener as an uncaught one and goes on', async () => {
    const network = new FakeNetwork();
    const server = nodeNet(network.host(THERE))
      .createServer((socket) => socket.end('x'))
      .listen(7);
    const client = nodeNet(network.host(HERE)).connect(7, THERE);
    const before = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const uncaught = new Promise((resolve) => process.once('uncaughtException', resolve));
    client.on('data', () => {
      throw new Error('mine');
    });
    const closed = once(client, 'close');
    const error = await uncaught;
    for (const listener of before) process.on('uncaughtException', listener);
    expect((error as Error).message).to.equal('mine');
    await closed;
    server.close();
  });

  it('leaves promises time between events', async () => {
    const network = new FakeNetwork();
    const server = nodeNet(network.host(THERE))
      .createServer((socket) => socket.end('x'))
      .listen(7);
    await once(server, 'listening');
    const client = nodeNet(network.host(HERE)).connect(7, THERE);
    await once(client, 'connect');
    await once(client, 'data');
    await once(client, 'close');
    server.close();
    await once(server, 'close');
  });

  it('disposes a server asynchronously', async () => {
    const network = new FakeNetwork();
    const tcp = network.host(THERE);
    const server = nodeNet(tcp).createServer().listen(7);
    await once(server, 'listening');
    await server[Symbol.asyncDispose]();
    expect(tcp.listeners.size).to.equal(0);
  });

  it('keeps no listeners and no sockets after 300 connections', async () => {
    const network = new FakeNetwork();
    const net = nodeNet(network.host(HERE));
    const server = nodeNet(network.host(THERE))
      .createServer((socket) => socket.pipe(socket))
      .listen(7);
    for (let i = 0; i < 300; i++) {
      const client = net.connect(7, THERE);
      client.end('ping').resume();
      await once(client, 'close');
    }
    await new Promise((resolve) => server.close(resolve));
    await new Promise((resolve) => setTimeout(resolve, 2));
    expect(network.connections).to.equal(0);
  });
});
