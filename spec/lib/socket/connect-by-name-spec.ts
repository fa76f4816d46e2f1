import { once } from 'node:events';
import { get } from 'node:http';
import type { LookupFunction } from 'node:net';
import { createServer } from 'node:http';
import { expect } from 'chai';
import { parseIp } from '../../../lib/core/address.js';
import type { StagesHandler } from '../../../lib/l7/dns-stages.js';
import type { Lookup } from '../../../lib/socket/lookup.js';
import { agent, serveHttp } from '../../../lib/socket/http.js';
import { connect, listen } from '../../../lib/socket/iterate.js';
import { nodeDgram } from '../../../lib/socket/dgram.js';
import { nodeNet } from '../../../lib/socket/net.js';
import { connectWeb } from '../../../lib/socket/web-streams.js';
import { network } from '../../../operators/testing/network.js';

const FOUR = '10.0.0.2';
const SIX = 'fd00::2';
/** Addresses that nobody has. */
const DEAD4 = '10.0.0.9';
const DEAD6 = 'fd00::9';

/** Two neighbours, and names with the addresses that a test gives them. */
function bench() {
  const net = network({
    hosts: { us: ['10.0.0.1/24', 'fd00::1/64'], them: [`${FOUR}/24`, `${SIX}/64`] },
    links: { lan: { impair: { delay: 5 } } },
  });
  const { us, them } = net.hosts;
  const { timers } = us.env;
  const asked: string[] = [];
  /** In the shape of Node's: all at once. */
  const names =
    (...addresses: string[]): LookupFunction =>
    (host, options, callback) => {
      asked.push(`${host} ${String(options.family)} ${String(options.all)}`);
      process.nextTick(() => {
        if (addresses.length === 0)
          callback(Object.assign(new Error(`nobody knows ${host}`), { code: 'ENOTFOUND' }), '', 0);
        else
          callback(
            null,
            addresses.map((address) => ({ address, family: parseIp(address).version })),
          );
      });
    };
  /** In ours: as they come. */
  const stages = (
    script: readonly (readonly [at: number, addresses: readonly string[] | Error | undefined])[],
  ): Lookup => {
    const find = (_host: string, _family: unknown, handler: StagesHandler) => {
      const armed = script.map(([at, what]) => {
        const timer = timers.timer(() => {
          if (what === undefined || what instanceof Error) handler.done(what);
          else handler.found(what.map(parseIp));
        });
        timer.arm(timers.now() + at);
        return timer;
      });
      return () => {
        for (const timer of armed) timer.cancel();
      };
    };
    return Object.assign(names(), { stages: find, timers });
  };
  const end = async () => {
    await net.advance(Number.POSITIVE_INFINITY);
    net.assertIdle();
    net.dispose();
  };
  return { net, us, them, timers, names, stages, asked, end };
}

describe('connecting to a name (RFC 8305)', () => {
  it('tries the addresses in turn, a quarter of a second apart, and keeps the first that answers', async () => {
    const { net, us, them, timers, names, asked, end } = bench();
    const accepted: string[] = [];
    const server = nodeNet(them.tcp).createServer((socket) => {
      accepted.push(String(socket.remoteAddress));
      socket.end('hello');
    });
    server.listen(80);
    const client = nodeNet(us.tcp, { lookup: names(DEAD6, FOUR, SIX), timers }).connect(80, 'www.test');
    const lookups: unknown[] = [];
    client.on('lookup', (error, address, family, host) => lookups.push([error, address, family, host]));
    await net.runUntilSettled(once(client, 'connect'));
    expect(net.now).to.be.within(250, 300);
    expect(client.remoteAddress).to.equal(FOUR);
    expect(client.remoteFamily).to.equal('IPv4');
    expect(asked).to.deep.equal(['www.test 0 true']);
    expect(lookups).to.deep.equal([
      [null, DEAD6, 6, 'www.test'],
      [null, FOUR, 4, 'www.test'],
      [null, SIX, 6, 'www.test'],
    ]);
    const [data] = (await net.runUntilSettled(once(client, 'data'))) as [Buffer];
    expect(data.toString()).to.equal('hello');
    server.close();
    await end();
    expect(accepted).to.deep.equal(['::ffff:10.0.0.1']);
  });

  it('does not wait where an attempt is refused, and tells all refusals in the end', async () => {
    const { net, us, timers, names, end } = bench();
    const client = nodeNet(us.tcp, { lookup: names(SIX, FOUR), timers }).connect(80, 'www.test');
    const [error] = (await net.runUntilSettled(once(client, 'error'))) as [AggregateError];
    expect(net.now).to.be.below(100);
    expect(error).to.be.instanceOf(AggregateError).with.property('code', 'ECONNREFUSED');
    const single = { code: 'ECONNREFUSED', syscall: 'connect', port: 80 };
    expect(error.errors).to.have.length(2);
    expect(error.errors[0]).to.include({ ...single, address: SIX });
    expect(error.errors[1]).to.include({ ...single, address: FOUR });
    await end();
  });

  it('gives the error itself where there was one address, and a name that nobody knows as the lookup has it', async () => {
    const { net, us, timers, names, end } = bench();
    const errorOf = async (lookup: LookupFunction, options = {}) => {
      const client = nodeNet(us.tcp, { lookup, timers }).connect({ port: 80, host: 'www.test', ...options });
      return net.runUntilSettled(
        once(client, 'error').then(
          ([e]: unknown[]) => e,
          (e: unknown) => e,
        ),
      );
    };
    expect(await errorOf(names(FOUR))).to.include({ message: `connect ECONNREFUSED ${FOUR}:80`, errno: -111 });
    expect(await errorOf(names())).to.include({ code: 'ENOTFOUND', message: 'nobody knows www.test' });
    expect(await errorOf(names(FOUR, SIX), { autoSelectFamily: false })).to.include({ address: FOUR });
    expect(await errorOf(names(FOUR), { localAddress: 'fd00::1' })).to.include({ code: 'EINVAL' });
    const bad: LookupFunction = (_host, _options, callback) => process.nextTick(callback, null, 'nonsense', 4);
    expect(await errorOf(bad)).to.include({ code: 'ERR_INVALID_IP_ADDRESS' });
    await end();
  });

  it('puts up with a lookup that answers within the call', async () => {
    const { net, us, them, timers, end } = bench();
    const failure = Object.assign(new Error('nobody knows'), { code: 'ENOTFOUND' });
    const one =
      (address: string): LookupFunction =>
      (_host, _options, callback) =>
        callback(null, address, parseIp(address).version);
    const unknown: LookupFunction = (_host, _options, callback) => callback(failure, '', 0);
    const several =
      (...addresses: string[]): LookupFunction =>
      (_host, _options, callback) =>
        callback(
          null,
          addresses.map((address) => ({ address, family: parseIp(address).version })),
        );
    const staged = Object.assign(one(FOUR), {
      stages: (_host: string, _family: unknown, handler: StagesHandler) => {
        handler.found([parseIp('203.0.113.1')]);
        handler.done(undefined);
        return () => undefined;
      },
    });
    const { signal } = new AbortController();
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    Object.assign(signal, {
      addEventListener: (...args: Parameters<typeof add>) => (listeners++, add(...args)),
      removeEventListener: (...args: Parameters<typeof remove>) => (listeners--, remove(...args)),
    });
    for (const [lookup, code] of [
      [one('203.0.113.1'), 'ENETUNREACH'],
      [several('203.0.113.1', '2001:db8::1'), 'ENETUNREACH'],
      [staged, 'ENETUNREACH'],
      [several(), 'ENOTFOUND'],
      [unknown, 'ENOTFOUND'],
      [one(FOUR), 'ECONNREFUSED'],
    ] as const) {
      const client = nodeNet(us.tcp, { lookup, timers }).connect(80, 'www.test');
      const [error] = (await net.runUntilSettled(once(client, 'error'))) as [Error];
      expect(error).to.have.property('code', code);
      const opening = connect(us.tcp, { host: 'www.test', port: 80 }, { lookup, timers, signal });
      const outcome = await net.runUntilSettled(opening.catch((reason: unknown) => reason));
      expect(outcome).to.have.property('code', code);
      expect(listeners).to.equal(0);
    }
    const acceptor = listen(them.tcp, { address: parseIp(FOUR), port: 80 });
    for (const lookup of [one(FOUR), several(FOUR, SIX)]) {
      const client = nodeNet(us.tcp, { lookup, timers }).connect(80, 'www.test');
      await net.runUntilSettled(once(client, 'connect'));
      client.destroy();
    }
    acceptor.close();
    await end();
  });

  it('and so do servers and datagram sockets: their events come later', async () => {
    const { us, end } = bench();
    const lookup: LookupFunction = (host, _options, callback) =>
      host === 'us.test'
        ? callback(null, '10.0.0.1', 4)
        : callback(Object.assign(new Error('nobody knows'), { code: 'ENOTFOUND' }), '', 0);
    for (const [host, outcome] of [
      ['us.test', 'listening'],
      ['www.test', 'error'],
    ] as const) {
      const server = nodeNet(us.tcp, { lookup }).createServer();
      const socket = nodeDgram(us.udp, { lookup }).createSocket('udp4');
      server.listen(80, host);
      socket.bind(53, host);
      await Promise.all([once(server, outcome), once(socket, outcome)]);
      server.close();
      socket.close();
    }
    await end();
  });

  it('can be given up by a lookup that answers within the call', async () => {
    const { net, us, timers, end } = bench();
    const controller = new AbortController();
    const lookup: LookupFunction = (_host, _options, callback) => {
      controller.abort(new Error('enough'));
      callback(null, FOUR, 4);
    };
    const opening = connect(us.tcp, { host: 'www.test', port: 80 }, { lookup, timers, signal: controller.signal });
    expect(await net.runUntilSettled(opening.catch((error: Error) => error.message))).to.equal('enough');
    const socket = new (nodeNet(us.tcp, { lookup, timers }).Socket)();
    socket.on('lookup', () => socket.destroy());
    socket.connect(80, 'www.test');
    await net.runUntilSettled(once(socket, 'close'));
    expect(us.tcp.size).to.equal(0);
    await end();
  });

  it('goes by the family that is asked for', async () => {
    const { net, us, timers, names, asked, end } = bench();
    const options = { port: 80, host: 'www.test', family: 6 };
    const client = nodeNet(us.tcp, { lookup: names(SIX), timers }).connect(options);
    await net.runUntilSettled(once(client, 'error'));
    const other = nodeNet(us.tcp, { lookup: names(SIX), timers }).connect({
      ...options,
      family: 0,
      localAddress: 'fd00::1',
    });
    await net.runUntilSettled(once(other, 'error'));
    expect(asked).to.deep.equal(['www.test 6 true', 'www.test 6 true']);
    await end();
  });

  it('begins with the addresses that are known first, and takes in those that come later', async () => {
    const { net, us, them, stages, end } = bench();
    const acceptor = listen(them.tcp, { address: parseIp(FOUR), port: 80 });
    const lookup = stages([
      [10, [DEAD6]],
      [400, [FOUR]],
      [401, undefined],
    ]);
    const stream = await net.runUntilSettled(connect(us.tcp, { host: 'www.test', port: 80 }, { lookup }));
    expect(net.now).to.be.within(400, 430);
    expect(String(stream.remote.address)).to.equal(FOUR);
    stream.abort();
    acceptor.close();
    await end();
  });

  it('fails only when no more addresses will come', async () => {
    const { net, us, stages, end } = bench();
    const lookup = stages([
      [10, [SIX]],
      [1000, undefined],
    ]);
    const failed = connect(us.tcp, { host: 'www.test', port: 80 }, { lookup }).catch((error: unknown) => error);
    expect(await net.runUntilSettled(failed)).to.include({ code: 'ECONNREFUSED', address: SIX });
    expect(net.now).to.be.within(1000, 1010);
    await end();
  });

  it('is given up with the socket, or by a signal, in every phase', async () => {
    const { net, us, stages, end } = bench();
    const lookup = stages([
      [100, [DEAD6, DEAD4]],
      [200, undefined],
    ]);
    for (const after of [50, 150, 400]) {
      const controller = new AbortController();
      const opening = connect(us.tcp, { host: 'www.test', port: 80 }, { lookup, signal: controller.signal });
      const outcome = opening.catch((error: Error) => error.message);
      const socket = nodeNet(us.tcp, { lookup }).connect(80, 'www.test');
      const events: string[] = [];
      for (const name of ['connect', 'error', 'close'] as const) socket.on(name, () => events.push(name));
      net.runFor(after);
      controller.abort(new Error('enough'));
      socket.destroy();
      expect(await outcome).to.equal('enough');
      await net.advance(0);
      expect(us.tcp.size, `connections after ${after} ms`).to.equal(0);
      await net.advance(Number.POSITIVE_INFINITY);
      expect(events).to.deep.equal(['close']);
    }
    await end();
  });

  it('serves HTTP by name, and web streams', async () => {
    const { net, us, them, timers, names, end } = bench();
    const web = createServer((_request, response) => response.end('page'));
    const server = serveHttp(web, { tcp: them.tcp, port: 80 });
    const lookup = names(DEAD4, SIX);
    const page = new Promise<string>((resolve, reject) => {
      get('http://www.test/', { agent: agent(us.tcp, { lookup, timers }) }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('end', () => resolve(`${response.socket.remoteAddress} ${text}`));
      }).on('error', reject);
    });
    expect(await net.runUntilSettled(page)).to.equal(`${SIX} page`);
    const opened = connectWeb(us.tcp, 'www.test:80', { lookup, timers });
    expect((await net.runUntilSettled(opened.opened)).remoteAddress).to.equal(`[${SIX}]:80`);
    await net.runUntilSettled(opened.close(new Error('over')).catch(() => undefined));
    opened.closed.catch(() => undefined);
    expect(() => connectWeb(us.tcp, 'www.test:80')).to.throw('www.test');
    server.close();
    await end();
  });
});
