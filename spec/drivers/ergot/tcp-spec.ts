import { expect } from 'chai';
import net from 'node:net';
import { firstValueFrom } from 'rxjs';
import type { NetModule, TcpStream } from '../../../drivers/ergot/sockets.js';
import { listenErgotTcp } from '../../../drivers/ergot/tcp-listener.js';
import { type ErgotTcpOptions, ergotOverTcp } from '../../../drivers/ergot/tcp.js';
import type { Device } from '../../../lib/core/device.js';
import { DropReason } from '../../../lib/core/drops.js';
import { virtualBench } from '../virtual-rigs.js';
import { hear, keeper, pause, PipeEnd, say, wallEnv } from './rigs.js';
import { until } from '../../until.js';

/** A TCP whose connections come about, or not, as the tests say. */
class Sockets implements NetModule {
  readonly made: PipeEnd[] = [];

  readonly connect = (): TcpStream => {
    const socket = Object.assign(new PipeEnd(), { setNoDelay: () => undefined, setKeepAlive: () => undefined });
    this.made.push(socket);
    return socket;
  };

  createServer(): never {
    throw new Error('no server');
  }
}

/** Lets what Node does later happen. */
async function turn(): Promise<void> {
  for (let i = 0; i < 4; i++) await new Promise(setImmediate);
}

/** A server that is not ours, at a port of its own. */
function listening(server: net.Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' ? (address?.port ?? 0) : 0);
    });
  });
}

describe('ergot over TCP', () => {
  const keep = keeper();

  it('connects when there is somebody to connect to', async () => {
    const env = wallEnv();
    const free = net.createServer();
    const port = await listening(free);
    await new Promise((done) => free.close(done));
    const client = keep(ergotOverTcp({ port, retry: { first: 5 } }, env));
    const states: boolean[] = [];
    client.connected$.subscribe((connected) => void states.push(connected));
    say(client, env, 1);
    expect(env.drops.count(DropReason.DeviceDown)).to.equal(1);
    await pause();
    const listener = keep(listenErgotTcp({ port }, env));
    const accepted = await firstValueFrom(listener.devices$);
    const heard = hear(accepted);
    await until(() => client.connected);
    say(client, env, 2);
    await until(() => heard.bytes.length > 0);
    expect(heard.bytes).to.deep.equal([2]);
    expect(accepted.name).to.match(/^tcp:127\.0\.0\.1:\d+$/);
    await Promise.all([client.close(), listener.close()]);
    expect(states).to.deep.equal([false, true, false]);
  });

  it('connects again when its connection is gone, and stays the same device', async () => {
    const env = wallEnv();
    const listener = keep(listenErgotTcp({ port: 0 }, env));
    const accepted: Device[] = [];
    const heard: ReturnType<typeof hear>[] = [];
    listener.devices$.subscribe((device) => {
      accepted.push(device);
      heard.push(hear(device));
    });
    const { port } = await listener.listening;
    const client = keep(ergotOverTcp({ port, retry: { first: 5 } }, env));
    const atClient = hear(client);
    // Each change is seen, however short the time without a connection is.
    const states: boolean[] = [];
    client.connected$.subscribe((connected) => void states.push(connected));
    for (let round = 0; round < 3; round++) {
      await until(() => states.length === 2 * round + 2 && accepted.length === round + 1);
      expect(atClient.ended).to.equal('open');
      say(client, env, round);
      await until(() => heard[round]?.bytes.length === 1);
      if (round < 2) await accepted[round]?.close();
    }
    await Promise.all([client.close(), listener.close()]);
    expect(states).to.deep.equal([false, true, false, true, false, true, false]);
    expect(heard.map(({ bytes, ended }) => [...bytes, ended])).to.deep.equal([
      [0, 'complete'],
      [1, 'complete'],
      [2, 'complete'],
    ]);
    expect(atClient).to.deep.equal({ bytes: [], ended: 'complete' });
  });

  it('ends with its only connection where it is not to try again', async () => {
    const env = wallEnv();
    const listener = keep(listenErgotTcp({ port: 0 }, env));
    const accepted: Device[] = [];
    listener.devices$.subscribe((device) => void accepted.push(device));
    const { port } = await listener.listening;
    const client = keep(ergotOverTcp({ port, retry: false }, env));
    const heard = hear(client);
    await until(() => client.connected && accepted.length === 1);
    await listener.close();
    await until(() => heard.ended !== 'open');
    expect(heard.ended).to.equal('complete');
    const late = hear(keep(ergotOverTcp({ port, retry: { first: 1, attempts: 3 } }, env)));
    await until(() => late.ended !== 'open');
    expect(late.ended).to.equal('ECONNREFUSED');
  });

  it('fails with a reset where it is not to try again', async () => {
    const env = wallEnv();
    const server = keep(net.createServer((socket) => socket.resetAndDestroy()));
    const port = await listening(server);
    const client = keep(ergotOverTcp({ port, retry: false }, env));
    const heard = hear(client);
    await until(() => heard.ended !== 'open');
    expect(heard.ended).to.equal('ECONNRESET');
    say(client, env, 1);
    expect(env.drops.count(DropReason.DeviceDown)).to.equal(1);
  });

  describe('in virtual time', () => {
    it('waits longer and longer, never twice the same, and anew when a peer has spoken', async () => {
      const { env, scheduler } = virtualBench();
      const sockets = new Sockets();
      const client = ergotOverTcp({ net: sockets, retry: { first: 100, most: 1000 } }, env);
      const waits: number[] = [];
      for (let i = 0; i < 6; i++) {
        sockets.made.at(-1)?.destroy(new Error('refused'));
        await turn();
        const from = scheduler.now();
        while (sockets.made.length === i + 1) scheduler.runFor(1);
        waits.push(scheduler.now() - from);
      }
      [100, 200, 400, 800, 1000, 1000].forEach((most, i) => {
        expect(waits[i]).to.be.within(most / 2, most + 1);
      });
      expect(new Set(waits).size).to.be.above(4);
      const last = sockets.made.at(-1);
      last?.emit('connect');
      last?.push(Uint8Array.of(6, 1, 1, 1, 3, 15, 0));
      await turn();
      last?.push(null);
      await turn();
      expect(client.connected).to.equal(false);
      const { length } = sockets.made;
      scheduler.runFor(101);
      expect(sockets.made.length).to.equal(length + 1);
      await client.close();
      expect(scheduler.pending).to.equal(0);
      expect(sockets.made.every(({ destroyed }) => destroyed)).to.equal(true);
    });

    it('gives an attempt up that takes too long', () => {
      const { env, scheduler } = virtualBench();
      const sockets = new Sockets();
      const client = ergotOverTcp({ net: sockets, connectTimeout: 2000, retry: { first: 100, attempts: 2 } }, env);
      const heard = hear(client);
      scheduler.runFor(2101);
      expect(sockets.made.map(({ destroyed }) => destroyed)).to.deep.equal([true, false]);
      expect(heard.ended).to.equal('open');
      scheduler.runFor(2000);
      expect(heard.ended).to.equal('ETIMEDOUT');
      expect(scheduler.pending).to.equal(0);
    });

    it('leaves nothing when it is closed while it connects, or waits', async () => {
      for (const waiting of [false, true]) {
        const { env, scheduler } = virtualBench();
        const sockets = new Sockets();
        const client = ergotOverTcp({ net: sockets }, env);
        if (waiting) sockets.made[0]?.destroy(new Error('refused'));
        await turn();
        await client.close();
        sockets.made[0]?.emit('connect');
        scheduler.runFor(60_000);
        expect(sockets.made).to.have.lengthOf(1);
        expect(sockets.made[0]?.destroyed).to.equal(true);
        expect(scheduler.pending).to.equal(0);
      }
    });
  });

  for (const [what, options] of [
    ['no port', { port: 0 }],
    ['a port that is none', { port: 65_536 }],
    ['no MTU', { mtu: 0 }],
    ['a queue that is none', { sendQueue: Number.NaN }],
    ['no time to connect', { connectTimeout: 0 }],
    ['no attempt', { retry: { attempts: 0 } }],
    ['waits that get shorter', { retry: { first: 10, most: 5 } }],
  ] satisfies [string, ErgotTcpOptions][]) {
    it(`throws at once for ${what}`, () => {
      const make = () => ergotOverTcp({ net: new Sockets(), ...options }, wallEnv());
      expect(make).to.throw().with.property('code', 'ERR_INVALID_OPTION');
    });
  }
});

describe('listener of ergot over TCP', () => {
  const keep = keeper();

  it('takes so many connections and no more, and tells late subscribers of those that are open', async () => {
    const env = wallEnv();
    const listener = keep(listenErgotTcp({ port: 0, mostConnections: 2 }, env));
    const { port } = await listener.listening;
    const clients = [1, 2].map(() => keep(ergotOverTcp({ port }, env)));
    const devices: Device[] = [];
    const count = listener.devices$.subscribe((device) => void devices.push(device));
    await until(() => devices.length === 2);
    const third = keep(ergotOverTcp({ port, retry: false }, env));
    const heard = hear(third);
    await until(() => heard.ended !== 'open');
    count.unsubscribe();
    const late: Device[] = [];
    let ended = false;
    listener.devices$.subscribe({ next: (device) => void late.push(device), complete: () => (ended = true) });
    expect(late).to.deep.equal(devices);
    await devices[0]?.close();
    await until(() => late.length === 3);
    await Promise.all([...clients.map((client) => client.close()), listener.close()]);
    expect(ended).to.equal(true);
  });

  it('says that it cannot listen', async () => {
    const env = wallEnv();
    const first = keep(listenErgotTcp({ port: 0 }, env));
    const { port } = await first.listening;
    const second = keep(listenErgotTcp({ port }, env));
    let told: unknown;
    second.devices$.subscribe({ error: (error: unknown) => (told = error) });
    const failed = await second.listening.catch((error: unknown) => error);
    expect(failed).to.have.property('code', 'EADDRINUSE');
    expect(told).to.equal(failed);
  });

  it('goes on where a connection could not be accepted', async () => {
    const env = wallEnv();
    const servers: net.Server[] = [];
    const createServer = (): net.Server => {
      const server = net.createServer();
      servers.push(server);
      return server;
    };
    const listener = keep(listenErgotTcp({ port: 0, net: { connect: net.connect, createServer } }, env));
    const { port } = await listener.listening;
    const ends: string[] = [];
    const devices: Device[] = [];
    listener.devices$.subscribe({
      next: (device) => void devices.push(device),
      error: () => void ends.push('error'),
      complete: () => void ends.push('complete'),
    });
    const first = keep(ergotOverTcp({ port }, env));
    await until(() => devices.length === 1);
    const heard = hear(devices[0] as Device);
    servers[0]?.emit('error', Object.assign(new Error('accept EMFILE'), { code: 'EMFILE' }));
    const second = keep(ergotOverTcp({ port }, env));
    await until(() => devices.length === 2);
    say(first, env, 1);
    await until(() => heard.bytes.length === 1);
    expect(ends).to.deep.equal([]);
    await Promise.all([first.close(), second.close(), listener.close()]);
    expect(ends).to.deep.equal(['complete']);
  });

  it('may be closed before it listens', async () => {
    const listener = listenErgotTcp({ host: 'localhost', port: 0 }, wallEnv());
    await listener.close();
    expect(await listener.listening.catch((error: unknown) => error)).to.have.property('code', 'ECANCELED');
  });

  it('outlives what does not speak ergot', async () => {
    const env = wallEnv();
    const listener = keep(listenErgotTcp({ port: 0, mtu: 100 }, env));
    const { port } = await listener.listening;
    const heard: ReturnType<typeof hear>[] = [];
    listener.devices$.subscribe((device) => void heard.push(hear(device)));
    const browser = net.connect(port, '127.0.0.1');
    browser.write(`GET / HTTP/1.1\r\nHost: a.test\r\n${'X-Long: 1\r\n'.repeat(1000)}\r\n`);
    browser.end();
    await until(() => heard[0]?.ended === 'complete');
    const noise = net.connect(port, '127.0.0.1');
    for (let i = 0; i < 50; i++) noise.write(Uint8Array.from({ length: 997 }, (_, j) => (i * 31 + j * j) & 0xff));
    noise.resetAndDestroy();
    const client = keep(ergotOverTcp({ port }, env));
    await until(() => client.connected && heard.length >= 2);
    say(client, env, 9);
    await until(() => heard.some(({ bytes }) => bytes.length === 1 && bytes[0] === 9));
    expect(env.pool.outstanding).to.equal(0);
  });

  it('throws at once for what no connection could be made with', () => {
    for (const options of [
      { port: 0, sendQueue: Number.NaN },
      { port: 0, mtu: 9 },
      { port: 0, mostConnections: 0 },
    ]) {
      const make = () => keep(listenErgotTcp(options, wallEnv()));
      expect(make).to.throw().with.property('code', 'ERR_INVALID_OPTION');
    }
  });
});
