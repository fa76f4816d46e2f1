import { expect } from 'chai';
import * as nodeDgramModule from 'node:dgram';
import { once } from 'node:events';
import { nodeDgram } from '../../../lib/socket/dgram.js';
import { forBothVersions, type VersionFacts } from '../../both-versions.js';
import { FakeUdp } from './fake-udp.js';
import { realUdp } from './real-udp.js';

type Dgram = Pick<typeof nodeDgramModule, 'createSocket'>;
type Story = (dgram: Dgram, log: string[]) => Promise<void>;

const thrown = (log: string[], ...attempts: (() => unknown)[]) => {
  for (const attempt of attempts) {
    try {
      attempt();
      log.push('nothing thrown');
    } catch (error) {
      const { name, code, syscall, message } = error as NodeJS.ErrnoException;
      log.push(`${name === 'NetError' ? 'Error' : name} ${code} ${syscall} ${code?.startsWith('E') ? '' : message}`);
    }
  }
};

/** The stories, told over one version. */
function storiesOf({ version, loopback }: VersionFacts): Record<string, Story> {
  const type = version === 4 ? 'udp4' : 'udp6';
  const HOST = loopback.toString();
  async function bound(dgram: Dgram): Promise<[nodeDgramModule.Socket, number]> {
    const socket = dgram.createSocket(type).bind(0, HOST);
    await once(socket, 'listening');
    return [socket, socket.address().port];
  }

  /** Sends what `send` sends and logs the messages until there were `count`. */
  const exchange =
    (count: number, send: (socket: nodeDgramModule.Socket, port: number, log: string[]) => void): Story =>
    async (dgram, log) => {
      const [server, port] = await bound(dgram);
      const client = dgram.createSocket(type);
      let left = count;
      const all = new Promise<void>((resolve) => {
        server.on('message', (data, { address, family, size }) => {
          log.push(`${data.toString()} ${Buffer.isBuffer(data)} ${address} ${family} ${size}`);
          if (--left === 0) resolve();
        });
      });
      send(client, port, log);
      await all;
      client.close();
      server.close();
      await Promise.all([once(client, 'close'), once(server, 'close')]);
    };

  return {
    'every way of sending': exchange(9, (s, port) => {
      const bytes = Buffer.from('0123456789');
      s.send('text', port, HOST);
      s.send(bytes, port);
      s.send(bytes, 2, 3, port, HOST);
      s.send(bytes, 4, 2, port);
      // Not every machine has a name for ::1.
      s.send(new Uint16Array([0x4141, 0x4242]), port, version === 4 ? 'localhost' : HOST);
      s.send(['a', Buffer.from('b'), new Uint8Array([0x63])], port, HOST);
      s.send([], port, HOST);
      s.send('', port, HOST);
      s.send(new DataView(new Uint8Array([0x5a]).buffer), port, undefined);
    }),
    'callbacks tell the size': async (dgram, log) => {
      const [server, port] = await bound(dgram);
      for (const args of [
        ['four', port, HOST],
        ['three', 0, 3, port, HOST],
        ['two', port],
      ] as const) {
        await new Promise<void>((resolve) => {
          const told = (error: Error | null, bytes?: number) => resolve(void log.push(`${error} ${bytes}`));
          (server.send as (...all: unknown[]) => void)(...args, told);
        });
      }
      server.close();
    },
    'one socket for both IP versions': async (dgram, log) => {
      const server = dgram.createSocket('udp6').bind(0);
      await once(server, 'listening');
      const { address, family, port } = server.address();
      log.push(`${address} ${family}`);
      const client = dgram.createSocket(type);
      const message = once(server, 'message');
      client.send('hello', port, HOST);
      const [, from] = (await message) as [Buffer, nodeDgramModule.RemoteInfo];
      log.push(`${from.address} ${from.family}`);
      const answer = once(client, 'message');
      server.send('you too', from.port, from.address);
      log.push(String((await answer)[0]));
      server.connect(from.port, from.address);
      await once(server, 'connect');
      log.push(`${server.remoteAddress().address} ${server.address().address}`);
      client.close();
      server.close();
      await once(server, 'close');
    },
    'a connected socket': async (dgram, log) => {
      const [server, port] = await bound(dgram);
      const client = dgram.createSocket(type);
      client.on('listening', () => log.push('listening'));
      client.connect(port, HOST, () => log.push('connect'));
      await once(client, 'connect');
      log.push(`${client.remoteAddress().address} ${client.remoteAddress().port === port}`);
      const got = once(server, 'message');
      client.send('hello');
      log.push(String((await got)[0]));
      const cut = once(server, 'message');
      client.send('hello', 1, 2);
      log.push(String((await cut)[0]));
      thrown(
        log,
        () => client.send('x', 0, 1, port),
        () => client.connect(port),
        () => client.disconnect(),
        () => client.disconnect(),
        () => client.remoteAddress(),
      );
      client.close();
      server.close();
      await once(server, 'close');
    },
    'a refused datagram on a connected socket': async (dgram, log) => {
      const [gone, port] = await bound(dgram);
      await new Promise<void>((resolve) => gone.close(resolve));
      const client = dgram.createSocket(type);
      client.connect(port, HOST);
      await once(client, 'connect');
      client.send('anybody?');
      const [error] = await new Promise<[NodeJS.ErrnoException]>((resolve) =>
        client.once('error', (e) => resolve([e])),
      );
      log.push(`${error.code} ${error.syscall} ${error.errno}`);
      client.close();
    },
    'wrong use': async (dgram, log) => {
      const [socket, port] = await bound(dgram);
      const fresh = dgram.createSocket(type);
      thrown(
        log,
        () => dgram.createSocket('tcp' as 'udp4'),
        () => socket.bind(0),
        () => socket.send('x', 0),
        () => socket.send('x', 70_000, HOST),
        () => socket.send(5 as unknown as string, port),
        () => socket.send([5] as unknown as string[], port),
        () => socket.send(Buffer.alloc(4), 5, 1, port, HOST),
        () => socket.send(Buffer.alloc(4), 2, 3, port, HOST),
        () => socket.send('x', port, 5 as unknown as string),
        () => socket.remoteAddress(),
        () => socket.disconnect(),
        () => socket.connect(0),
        () => socket.setTTL(0),
        () => socket.setTTL('1' as unknown as number),
        () => log.push(`${socket.setTTL(3)}`),
        () => fresh.address(),
        () => fresh.setTTL(3),
        () => fresh.setBroadcast(true),
      );
      socket.close();
      fresh.close();
      thrown(
        log,
        () => socket.close(),
        () => socket.address(),
        () => socket.send('x', port),
        () => socket.bind(),
      );
      await once(socket, 'close');
    },
    'address in use, and the socket can bind again': async (dgram, log) => {
      const [first, port] = await bound(dgram);
      const second = dgram.createSocket(type);
      second.bind(port, HOST, () => log.push('never'));
      const error = await new Promise<NodeJS.ErrnoException & { address: string }>((resolve) =>
        second.once('error', resolve as () => void),
      );
      log.push(
        `${error.code} ${error.syscall} ${error.errno} ${error.address} ${error.message.replace(`${port}`, 'PORT')}`,
      );
      second.bind({ port: 0, address: HOST }, () => log.push('bound'));
      await once(second, 'listening');
      const { address, family } = second.address();
      log.push(`${address} ${family}`);
      first.close();
      second.close(() => log.push('closed'));
      await once(second, 'close');
    },
    'closing while binding': async (dgram, log) => {
      const client = dgram.createSocket(type);
      client.on('listening', () => log.push('listening'));
      client.bind(0, HOST);
      client.connect(9, HOST, () => log.push('never'));
      client.close(() => log.push('closed'));
      await once(client, 'close');
    },
    'too long, and broadcast not allowed': async (dgram, log) => {
      const [socket, port] = await bound(dgram);
      for (const [size, to] of [
        [70_000, HOST],
        ...(version === 4 ? ([[1, '255.255.255.255']] as const) : []),
      ] as const) {
        await new Promise<void>((resolve) => {
          socket.send(Buffer.alloc(size), port, to, (error) => {
            const { code, syscall, address } = error as NodeJS.ErrnoException & { address: string };
            resolve(void log.push(`${code} ${syscall} ${address}`));
          });
        });
      }
      socket.close();
    },
    'closed by a signal': async (dgram, log) => {
      const controller = new AbortController();
      const socket = dgram.createSocket({ type, signal: controller.signal });
      socket.on('close', () => log.push('closed'));
      socket.bind(0, HOST);
      await once(socket, 'listening');
      controller.abort();
      await once(socket, 'close');
    },
  };
}

forBothVersions('DatagramSocket', (facts) => {
  const type = facts.version === 4 ? 'udp4' : 'udp6';
  for (const [kind, make] of [
    ['sockets in memory', () => new FakeUdp()],
    ['the UDP of the stack', realUdp],
  ] as const) {
    describe(`tells the same story as Node, over ${kind}`, () => {
      for (const [name, story] of Object.entries(storiesOf(facts))) {
        if (make === realUdp && name.includes('refused')) continue; // takes ICMP
        it(name, async () => {
          const theirs: string[] = [];
          await story(nodeDgramModule, theirs);
          const ours: string[] = [];
          const udp = make();
          await story(nodeDgram(udp) as unknown as Dgram, ours);
          await new Promise((resolve) => setTimeout(resolve, 2));
          expect(ours.length).to.be.greaterThan(0);
          expect(ours).to.deep.equal(theirs);
          expect(udp.size).to.equal(0);
        });
      }
    });
  }

  it('can join no group where there are no interfaces', () => {
    const socket = nodeDgram(new FakeUdp()).createSocket(type);
    expect(() => socket.addMembership(facts.group.toString()))
      .to.throw('addMembership ENODEV')
      .with.property('code', 'ENODEV');
    socket.close();
  });

  it('knows localhost', async () => {
    const server = nodeDgram(new FakeUdp()).createSocket(type).bind(9);
    await once(server, 'listening');
    const message = once(server, 'message');
    server.send('to myself', 9, 'localhost');
    const [data, from] = (await message) as [Buffer, nodeDgramModule.RemoteInfo];
    expect(data.toString()).to.equal('to myself');
    expect(from).to.include({ address: facts.loopback.toString(), family: `IPv${facts.version}` });
    server.close();
  });

  it('fails with ENOTFOUND for a name that nobody knows', async () => {
    const socket = nodeDgram(new FakeUdp()).createSocket(type);
    const error = await new Promise((resolve) => socket.send('x', 1, 'example.com', resolve));
    expect(error).to.include({ code: 'ENOTFOUND', hostname: 'example.com' });
    socket.close();
  });

  it('sends what was sent before a close, even while binding', async () => {
    const dgram = nodeDgram(new FakeUdp());
    const server = dgram.createSocket(type).bind(9);
    const message = once(server, 'message');
    const client = dgram.createSocket(type);
    client.send('last', 9);
    client.close();
    expect(String((await message)[0])).to.equal('last');
    server.close();
  });

  it('closes as asked for while binding, also where that fails', async () => {
    const dgram = nodeDgram(new FakeUdp());
    const first = dgram.createSocket(type).bind(9);
    await once(first, 'listening');
    const second = dgram.createSocket(type).bind(9);
    const failed = once(second, 'error');
    second.send('never', 9);
    const disposed = second[Symbol.asyncDispose]();
    expect((await failed)[0]).to.include({ code: 'EADDRINUSE' });
    await disposed;
    expect(() => second.close()).to.throw('Not running');
    first.close();
  });

  it('loses nothing when a listener throws', async () => {
    const udp = new FakeUdp();
    const seen: string[] = [];
    const socket = nodeDgram(udp).createSocket(type).bind(9);
    await once(socket, 'listening');
    const before = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.once('uncaughtException', (error) => seen.push(error.message));
    socket.once('message', () => {
      throw new Error('mine');
    });
    const second = new Promise<void>((resolve) => socket.on('message', (data) => data.toString() === 'b' && resolve()));
    socket.send('a', 9, facts.loopback.toString());
    socket.send('b', 9, facts.loopback.toString());
    await second;
    for (const listener of before) process.on('uncaughtException', listener);
    expect(seen).to.deep.equal(['mine']);
    socket.close();
  });
});
