import { expect } from 'chai';
import dgram from 'node:dgram';
import { EventEmitter, once } from 'node:events';
import type { UdpSocket } from '../../../drivers/ergot/sockets.js';
import { listenErgotUdp, type ErgotUdpListenerOptions } from '../../../drivers/ergot/udp-listener.js';
import { ergotOverUdp } from '../../../drivers/ergot/udp.js';
import type { Device } from '../../../lib/core/device.js';
import { DropReason } from '../../../lib/core/drops.js';
import type { Env } from '../../../lib/core/env.js';
import { virtualBench } from '../virtual-rigs.js';
import { ergotFrame, hear, keeper, pause, say, wallEnv } from './rigs.js';
import { until } from '../../until.js';

type Keep = ReturnType<typeof keeper>;

/** A UDP that does what the tests say. */
class Socket extends EventEmitter implements UdpSocket {
  /** The ports that datagrams went to. */
  readonly sentTo: number[] = [];

  bind(): void {
    // It is bound when the tests say so.
  }

  connect(): void {
    // As that.
  }

  send(message: Uint8Array, sent: (error: Error | null) => void): void;
  send(message: Uint8Array, port: number, address: string, sent: (error: Error | null) => void): void;
  send(_message: Uint8Array, port: unknown, _address?: string, sent?: (error: Error | null) => void): void {
    // As Node's.
    if (port === 0) throw new RangeError('port should be > 0');
    this.sentTo.push(Number(port));
    sent?.(null);
  }

  address(): { address: string; port: number } {
    return { address: '127.0.0.1', port: 1 };
  }

  close(): void {
    this.emit('close');
  }
}

interface Listening {
  readonly port: number;
  readonly devices: Device[];
  readonly heard: ReturnType<typeof hear>[];
  readonly ended: () => string;
  readonly close: () => Promise<void>;
}

async function listen(keep: Keep, env: Env, options: ErgotUdpListenerOptions = {}): Promise<Listening> {
  const listener = keep(listenErgotUdp({ port: 0, ...options }, env));
  const devices: Device[] = [];
  const heard: ReturnType<typeof hear>[] = [];
  let ended = 'open';
  listener.devices$.subscribe({
    next: (device) => {
      devices.push(device);
      heard.push(hear(device));
    },
    complete: () => (ended = 'complete'),
  });
  const { port } = await listener.listening;
  return { port, devices, heard, ended: () => ended, close: () => listener.close() };
}

const HOST = '127.0.0.1';

describe('ergot over UDP', () => {
  const keep = keeper();

  for (const host of [HOST, '::1']) {
    it(`carries a frame a datagram, both ways, at ${host}`, async () => {
      const env = wallEnv();
      const { port, devices, heard, close } = await listen(keep, env, { host });
      const client = keep(ergotOverUdp({ host, port }, env));
      const atClient = hear(client);
      // Before it is bound.
      for (const byte of [1, 2, 3]) say(client, env, byte);
      await until(() => heard[0]?.bytes.length === 3);
      devices.forEach((device) => say(device, env, 4));
      await until(() => atClient.bytes.length === 1);
      expect([heard[0]?.bytes, atClient.bytes]).to.deep.equal([[1, 2, 3], [4]]);
      expect([client.mtu, devices[0]?.mtu]).to.deep.equal(host === HOST ? [1472, 1472] : [1452, 1452]);
      await Promise.all([client.close(), close()]);
      expect(env.pool.outstanding).to.equal(0);
      expect(env.drops.total).to.equal(0);
    });
  }

  it('binds where it is told, and hears nobody but its peer', async () => {
    const env = wallEnv();
    const { port, devices } = await listen(keep, env);
    const client = keep(ergotOverUdp({ host: HOST, port, localAddress: '127.0.0.2' }, env));
    const heard = hear(client);
    const local = await client.listening;
    expect(local.address).to.equal('127.0.0.2');
    say(client, env, 1);
    await until(() => devices.length === 1);
    expect(devices[0]?.name).to.equal(`udp:127.0.0.2:${local.port}`);
    const stranger = keep(dgram.createSocket('udp4'));
    stranger.send(ergotFrame(env, Uint8Array.of(66)).bytes(), local.port, local.address);
    devices.forEach((device) => say(device, env, 2));
    await until(() => heard.bytes.length > 0);
    await pause(5);
    expect(heard.bytes).to.deep.equal([2]);
  });

  it('hears nobody before its socket is connected, for until then that is anybody', () => {
    const env = wallEnv();
    const socket = new Socket();
    const client = keep(ergotOverUdp({ host: HOST, port: 2025, dgram: { createSocket: () => socket } }, env));
    const heard = hear(client);
    const words = (byte: number): Uint8Array => {
      const frame = ergotFrame(env, Uint8Array.of(byte));
      const bytes = Uint8Array.from(frame.bytes());
      frame.release();
      return bytes;
    };
    socket.emit('listening');
    socket.emit('message', words(66), { address: '127.0.0.9', port: 9 });
    socket.emit('connect');
    socket.emit('message', words(7), { address: HOST, port: 2025 });
    expect(heard.bytes).to.deep.equal([7]);
  });

  it('outlives a peer that is not there', async () => {
    const env = wallEnv();
    const first = await listen(keep, env);
    await first.close();
    const client = keep(ergotOverUdp({ host: HOST, port: first.port }, env));
    const heard = hear(client);
    for (let i = 0; i < 5; i++) {
      say(client, env, i);
      await pause(5);
    }
    // The system tells of every other datagram that nobody was there for the one before.
    expect(env.drops.count(DropReason.DeviceDown)).to.be.within(0, 4);
    expect(heard.ended).to.equal('open');
    const second = await listen(keep, env, { port: first.port });
    say(client, env, 8);
    say(client, env, 9);
    await until(() => second.heard[0]?.bytes.at(-1) === 9);
    await Promise.all([client.close(), second.close()]);
    expect(env.pool.outstanding).to.equal(0);
  });

  for (const code of ['EACCES', 'ECONNREFUSED', 'EHOSTUNREACH', 'ENONET', 'ENOPROTOOPT', 'EPROTO']) {
    it(`outlives what ICMP errors, which anybody can send, make of its socket: ${code}`, () => {
      const env = wallEnv();
      const socket = new Socket();
      const client = keep(ergotOverUdp({ host: '::1', port: 2025, dgram: { createSocket: () => socket } }, env));
      const heard = hear(client);
      socket.emit('listening');
      socket.emit('connect');
      socket.emit('error', Object.assign(new Error(code), { code }));
      expect(heard.ended).to.equal('open');
    });
  }

  it('fails where the system lets it not be', async () => {
    const env = wallEnv();
    const { port, close } = await listen(keep, env);
    const client = keep(ergotOverUdp({ host: HOST, port: 9, localPort: port, localAddress: HOST }, env));
    const heard = hear(client);
    say(client, env, 1);
    expect(await client.listening.catch((error: unknown) => error)).to.have.property('code', 'EADDRINUSE');
    expect(heard.ended).to.equal('EADDRINUSE');
    expect(env.drops.count(DropReason.DeviceDown)).to.equal(1);
    await close();
  });

  it('drops what would wait too long for the system', async () => {
    const env = wallEnv();
    const { port, heard, close } = await listen(keep, env);
    const client = keep(ergotOverUdp({ host: HOST, port, sendQueue: 2 }, env));
    for (let i = 0; i < 5; i++) say(client, env, i);
    expect(env.drops.count(DropReason.DeviceQueueFull)).to.equal(3);
    await until(() => heard[0]?.bytes.length === 2);
    for (let i = 5; i < 10; i++) say(client, env, i);
    expect(env.drops.count(DropReason.DeviceQueueFull)).to.equal(6);
    await Promise.all([client.close(), close()]);
    await pause();
    expect(env.pool.outstanding).to.equal(0);
  });

  it('drops datagrams larger than a frame may be', async () => {
    const env = wallEnv();
    const { port, heard, close } = await listen(keep, env, { mtu: 100 });
    const client = keep(ergotOverUdp({ host: HOST, port }, env));
    for (const length of [1, 91, 92]) client.sink.next(ergotFrame(env, new Uint8Array(length).fill(length)));
    await until(() => env.drops.total > 0);
    expect(env.drops.count(DropReason.ErgotTooLarge)).to.equal(1);
    expect(heard[0]?.bytes).to.deep.equal([1, 91]);
    await Promise.all([client.close(), close()]);
  });

  for (const options of [
    { host: HOST, port: 0 },
    { host: HOST, port: 1, localPort: -1 },
    { host: HOST, port: 1, mtu: 70_000 },
    { host: HOST, port: 1, sendQueue: 0 },
  ]) {
    it(`throws at once for ${JSON.stringify(options)}`, () => {
      expect(() => ergotOverUdp(options, wallEnv()))
        .to.throw()
        .with.property('code', 'ERR_INVALID_OPTION');
    });
  }
});

describe('listener of ergot over UDP', () => {
  const keep = keeper();

  it('has a link for each peer, and forgets who is silent for long', async () => {
    const { env, scheduler } = virtualBench();
    const { port, devices, heard, close } = await listen(keep, env, { idle: 1000 });
    const [one, two] = [1, 2].map(() => keep(ergotOverUdp({ host: HOST, port }, env)));
    if (one === undefined || two === undefined) throw new Error('two ports make two links');
    say(one, env, 1);
    await until(() => devices.length === 1);
    scheduler.runFor(600);
    say(two, env, 2);
    await until(() => devices.length === 2);
    scheduler.runFor(600);
    expect(heard.map(({ bytes, ended }) => [...bytes, ended])).to.deep.equal([
      [1, 'complete'],
      [2, 'open'],
    ]);
    say(one, env, 3);
    await until(() => devices.length === 3);
    expect(heard[2]?.bytes).to.deep.equal([3]);
    await Promise.all([one.close(), two.close(), close()]);
    expect(heard.every(({ ended }) => ended === 'complete')).to.equal(true);
    expect(scheduler.pending).to.equal(0);
  });

  it('makes no link of garbage, nor of more peers than it may', async () => {
    const env = wallEnv();
    const { port, devices, ended, close } = await listen(keep, env, { mostPeers: 1 });
    const stranger = keep(dgram.createSocket('udp4'));
    for (let i = 0; i < 20; i++) {
      stranger.send(
        Uint8Array.from({ length: i }, () => 0xff),
        port,
        HOST,
      );
      await pause(1);
    }
    await until(() => env.drops.total === 20);
    expect(env.drops.count(DropReason.ErgotTruncated) + env.drops.count(DropReason.ErgotBadHeader)).to.equal(20);
    expect(devices).to.have.lengthOf(0);
    const one = keep(ergotOverUdp({ host: HOST, port }, env));
    say(one, env, 1);
    await until(() => devices.length === 1);
    stranger.send(ergotFrame(env, Uint8Array.of(1)).bytes(), port, HOST);
    await until(() => env.drops.count(DropReason.ErgotUnknownPeer) === 1);
    // Closing a link makes room.
    await devices[0]?.close();
    stranger.send(ergotFrame(env, Uint8Array.of(1)).bytes(), port, HOST);
    await until(() => devices.length === 2);
    stranger.close();
    await Promise.all([once(stranger, 'close'), one.close(), close()]);
    expect(ended()).to.equal('complete');
  });

  it('has no link for who cannot be answered: nobody is at port 0', () => {
    const env = wallEnv();
    const socket = new Socket();
    const listener = keep(listenErgotUdp({ dgram: { createSocket: () => socket } }, env));
    listener.devices$.subscribe((device) => {
      hear(device);
      say(device, env, 1);
    });
    const frame = ergotFrame(env, Uint8Array.of(1));
    for (const port of [0, 9]) socket.emit('message', Uint8Array.from(frame.bytes()), { address: '10.0.0.9', port });
    frame.release();
    expect(socket.sentTo).to.deep.equal([9]);
    expect(env.drops.count(DropReason.ErgotUnknownPeer)).to.equal(1);
    expect(env.pool.outstanding).to.equal(0);
  });

  it('lets the end of one peer be told to another, when all of them end', async () => {
    const env = wallEnv();
    const { port, devices, close } = await listen(keep, env);
    const clients = [1, 2].map(() => keep(ergotOverUdp({ host: HOST, port }, env)));
    clients.forEach((client) => say(client, env, 1));
    await until(() => devices.length === 2);
    const [first, second] = devices;
    let wrong: unknown;
    first?.frames$.subscribe({
      complete() {
        try {
          if (second !== undefined) say(second, env, 2);
        } catch (error) {
          wrong = error;
        }
      },
    });
    await close();
    expect(wrong).to.equal(undefined);
    await until(() => env.pool.outstanding === 0);
  });

  it('says that it cannot listen', async () => {
    const env = wallEnv();
    const { port } = await listen(keep, env);
    const second = keep(listenErgotUdp({ port }, env));
    let told: unknown;
    second.devices$.subscribe({ error: (error: unknown) => (told = error) });
    const failed = await second.listening.catch((error: unknown) => error);
    expect(failed).to.have.property('code', 'EADDRINUSE');
    expect(told).to.equal(failed);
  });

  for (const code of ['EACCES', 'EPERM']) {
    it(`says that it may not listen, and outlives what it may not do later: ${code}`, async () => {
      const error = Object.assign(new Error(code), { code });
      for (const isBound of [false, true]) {
        const socket = new Socket();
        const listener = keep(listenErgotUdp({ dgram: { createSocket: () => socket } }, wallEnv()));
        let told: unknown;
        listener.devices$.subscribe({ error: (one: unknown) => (told = one) });
        if (isBound) socket.emit('listening');
        socket.emit('error', error);
        expect(told).to.equal(isBound ? undefined : error);
        if (!isBound) expect(await listener.listening.catch((one: unknown) => one)).to.equal(error);
      }
    });
  }
});
