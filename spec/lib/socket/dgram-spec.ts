import { expect } from 'chai';
import * as nodeDgramModule from 'node:dgram';
import { once } from 'node:events';
import { nodeDgram } from '../../../lib/socket/dgram.js';
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

async function bound(dgram: Dgram): Promise<[nodeDgramModule.Socket, number]> {
  const socket = dgram.createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return [socket, socket.address().port];
}

/** Sends what `send` sends and logs the messages until there were `count`. */
const exchange =
  (count: number, send: (socket: nodeDgramModule.Socket, port: number, log: string[]) => void): Story =>
  async (dgram, log) => {
    const [server, port] = await bound(dgram);
    const client = dgram.createSocket('udp4');
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

const stories: Record<string, Story> = {
  'every way of sending': exchange(9, (s, port) => {
    const bytes = Buffer.from('0123456789');
    s.send('text', port, '127.0.0.1');
    s.send(bytes, port);
    s.send(bytes, 2, 3, port, '127.0.0.1');
    s.send(bytes, 4, 2, port);
    s.send(new Uint16Array([0x4141, 0x4242]), port, 'localhost');
    s.send(['a', Buffer.from('b'), new Uint8Array([0x63])], port, '127.0.0.1');
    s.send([], port, '127.0.0.1');
    s.send('', port, '127.0.0.1');
    s.send(new DataView(new Uint8Array([0x5a]).buffer), port, undefined);
  }),
  'callbacks tell the size': async (dgram, log) => {
    const [server, port] = await bound(dgram);
    for (const args of [
      ['four', port, '127.0.0.1'],
      ['three', 0, 3, port, '127.0.0.1'],
      ['two', port],
    ] as const) {
      await new Promise<void>((resolve) => {
        const told = (error: Error | null, bytes?: number) => resolve(void log.push(`${error} ${bytes}`));
        (server.send as (...all: unknown[]) => void)(...args, told);
      });
    }
    server.close();
  },
  'a connected socket': async (dgram, log) => {
    const [server, port] = await bound(dgram);
    const client = dgram.createSocket('udp4');
    client.on('listening', () => log.push('listening'));
    client.connect(port, '127.0.0.1', () => log.push('connect'));
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
    const client = dgram.createSocket('udp4');
    client.connect(port, '127.0.0.1');
    await once(client, 'connect');
    client.send('anybody?');
    const [error] = await new Promise<[NodeJS.ErrnoException]>((resolve) => client.once('error', (e) => resolve([e])));
    log.push(`${error.code} ${error.syscall} ${error.errno}`);
    client.close();
  },
  'wrong use': async (dgram, log) => {
    const [socket, port] = await bound(dgram);
    const fresh = dgram.createSocket('udp4');
    thrown(
      log,
      () => dgram.createSocket('tcp' as 'udp4'),
      () => socket.bind(0),
      () => socket.send('x', 0),
      () => socket.send('x', 70_000, '127.0.0.1'),
      () => socket.send(5 as unknown as string, port),
      () => socket.send([5] as unknown as string[], port),
      () => socket.send(Buffer.alloc(4), 5, 1, port, '127.0.0.1'),
      () => socket.send(Buffer.alloc(4), 2, 3, port, '127.0.0.1'),
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
    const second = dgram.createSocket('udp4');
    second.bind(port, '127.0.0.1', () => log.push('never'));
    const error = await new Promise<NodeJS.ErrnoException & { address: string }>((resolve) =>
      second.once('error', resolve as () => void),
    );
    log.push(
      `${error.code} ${error.syscall} ${error.errno} ${error.address} ${error.message.replace(`${port}`, 'PORT')}`,
    );
    second.bind({ port: 0, address: '127.0.0.1' }, () => log.push('bound'));
    await once(second, 'listening');
    const { address, family } = second.address();
    log.push(`${address} ${family}`);
    first.close();
    second.close(() => log.push('closed'));
    await once(second, 'close');
  },
  'closing while binding': async (dgram, log) => {
    const client = dgram.createSocket('udp4');
    client.on('listening', () => log.push('listening'));
    client.bind(0, '127.0.0.1');
    client.connect(9, '127.0.0.1', () => log.push('never'));
    client.close(() => log.push('closed'));
    await once(client, 'close');
  },
  'too long, and broadcast not allowed': async (dgram, log) => {
    const [socket, port] = await bound(dgram);
    for (const [size, to] of [
      [70_000, '127.0.0.1'],
      [1, '255.255.255.255'],
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
    const socket = dgram.createSocket({ type: 'udp4', signal: controller.signal });
    socket.on('close', () => log.push('closed'));
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    controller.abort();
    await once(socket, 'close');
  },
};

describe('DatagramSocket', () => {
  for (const [kind, make] of [
    ['sockets in memory', () => new FakeUdp()],
    ['the UDP of the stack', realUdp],
  ] as const) {
    describe(`tells the same story as Node, over ${kind}`, () => {
      for (const [name, story] of Object.entries(stories)) {
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

  it('says clearly that there is no multicast', () => {
    const socket = nodeDgram(new FakeUdp()).createSocket('udp4');
    expect(() => socket.addMembership('224.0.0.1'))
      .to.throw('addMembership ENOTSUP')
      .with.property('code', 'ENOTSUP');
    socket.close();
  });

  it('fails with ENOTFOUND for a name that nobody knows', async () => {
    const socket = nodeDgram(new FakeUdp()).createSocket('udp4');
    const error = await new Promise((resolve) => socket.send('x', 1, 'example.com', resolve));
    expect(error).to.include({ code: 'ENOTFOUND', hostname: 'example.com' });
    socket.close();
  });

  it('sends what was sent before a close, even while binding', async () => {
    const dgram = nodeDgram(new FakeUdp());
    const server = dgram.createSocket('udp4').bind(9);
    const message = once(server, 'message');
    const client = dgram.createSocket('udp4');
    client.send('last', 9);
    client.close();
    expect(String((await message)[0])).to.equal('last');
    server.close();
  });

  it('loses nothing when a listener throws', async () => {
    const udp = new FakeUdp();
    const seen: string[] = [];
    const socket = nodeDgram(udp).createSocket('udp4').bind(9);
    await once(socket, 'listening');
    const before = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.once('uncaughtException', (error) => seen.push(error.message));
    socket.once('message', () => {
      throw new Error('mine');
    });
    const second = new Promise<void>((resolve) => socket.on('message', (data) => data.toString() === 'b' && resolve()));
    socket.send('a', 9, '127.0.0.1');
    socket.send('b', 9, '127.0.0.1');
    await second;
    for (const listener of before) process.on('uncaughtException', listener);
    expect(seen).to.deep.equal(['mine']);
    socket.close();
  });
});
