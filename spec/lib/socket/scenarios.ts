/** What programs do with sockets: each body runs against Node's own `net` and against ours, and the logs of events must be the same. */

import type * as net from 'node:net';

/** The parts of `net` that the scenarios use. */
export type Net = Pick<typeof net, 'connect' | 'createServer' | 'Socket'>;

/** One log per party, since only the order within one party is defined. */
export class Log {
  readonly parties: Record<string, string[]> = {};

  add(party: string, event: string): void {
    (this.parties[party] ??= []).push(event);
  }

  /** Logs every event of a socket; `data` as one sum, since its cutting is not defined. */
  watch(party: string, socket: net.Socket, flow = true): net.Socket {
    let bytes = 0;
    const note = (event: string) => {
      if (bytes > 0) this.add(party, `data ${bytes}`);
      bytes = 0;
      this.add(party, event);
    };
    for (const event of ['connect', 'ready', 'end', 'finish', 'timeout'] as const) socket.on(event, () => note(event));
    socket.on('close', (hadError: boolean) => note(`close ${hadError}`));
    socket.on('error', (error: NodeJS.ErrnoException) => note(`error ${error.code} ${error.syscall} ${error.message}`));
    if (flow) socket.on('data', (data) => (bytes += data.length));
    return socket;
  }
}

/** A body; resolves when everything has been closed. */
export type Scenario = (net: Net, log: Log, host: string) => Promise<void>;

const closed = (emitter: NodeJS.EventEmitter) =>
  new Promise<void>((resolve) => void emitter.once('close', () => resolve()));
const pause = (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms));

/** A server that handles one connection with `serve` and a client that does `act`; both are watched. */
function pair(
  serve: (socket: net.Socket, log: Log) => void,
  act: (socket: net.Socket, log: Log) => void,
  options: {
    server?: net.ServerOpts;
    client?: Partial<net.TcpSocketConnectOpts & net.SocketConstructorOpts>;
    flow?: boolean;
  } = {},
): Scenario {
  return async (net, log, host) => {
    const flow = options.flow ?? true;
    const server = net.createServer(options.server ?? {});
    const served = new Promise<void>((resolve) => {
      server.once('connection', (socket) => {
        log.watch('server', socket, flow).once('close', () => resolve());
        serve(socket, log);
      });
    });
    server.listen(0, host);
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as net.AddressInfo;
    const socket = log.watch('client', net.connect({ port, host, ...options.client } as net.TcpNetConnectOpts), flow);
    act(socket, log);
    await Promise.all([closed(socket), served]);
    await pause(2);
    await new Promise((resolve) => server.close(resolve));
  };
}

const properties = (s: net.Socket) =>
  `${s.connecting} ${s.pending} ${s.readyState} ${s.destroyed} ${s.remoteAddress} ${s.remoteFamily} ${s.localAddress} ${typeof s.localPort}`;

export const scenarios: Record<string, Scenario> = {
  'client sends and ends, server echoes': pair(
    (s) => s.pipe(s),
    (c) => c.end('hello'),
  ),
  'server speaks first and ends': pair(
    (s) => s.end('bye'),
    () => undefined,
  ),
  'writes before the connection, callbacks in order': pair(
    (s) => s.resume(),
    (c, log) => {
      c.write('one', () => log.add('client', 'wrote one'));
      c.write('two', () => log.add('client', 'wrote two'));
      c.end('three', () => log.add('client', 'ended'));
    },
  ),
  'half open: the answer comes after the end': pair(
    (s) => s.on('end', () => setTimeout(() => s.end('late'), 5)),
    (c) => c.end('question'),
    { server: { allowHalfOpen: true }, client: { allowHalfOpen: true } },
  ),
  'server ends, client with half open ends later': pair(
    (s) => s.end('x'),
    (c) => c.on('end', () => setTimeout(() => c.end('y'), 5)),
    { client: { allowHalfOpen: true }, server: { allowHalfOpen: true } },
  ),
  'client is destroyed at once': async (net, log, host) => {
    const server = net.createServer((s) => s.on('error', () => undefined)).listen(0, host);
    await new Promise((resolve) => server.once('listening', resolve));
    const c = log.watch('client', net.connect((server.address() as net.AddressInfo).port, host));
    log.add('client', `${c.connecting} ${c.pending} ${c.readyState}`);
    c.destroy();
    log.add('client', `${c.connecting} ${c.pending} ${c.readyState} ${c.destroyed}`);
    await closed(c);
    await new Promise((resolve) => server.close(resolve));
  },
  'client destroys on connect': pair(
    () => undefined,
    (c) => c.on('connect', () => c.destroy()),
  ),
  'client destroys with an error': pair(
    () => undefined,
    (c) => c.on('connect', () => c.destroy(new Error('enough'))),
  ),
  'client destroys with written bytes': pair(
    () => undefined,
    (c, log) =>
      c.on('connect', () => c.write('last words', () => log.add('client', 'written'))) &&
      c.on('ready', () => c.destroy()),
  ),
  'client resets': pair(
    () => undefined,
    // Not at once: whether a connection that was reset before it was accepted is still handed over is the stack's choice.
    (c) => c.on('ready', () => void setTimeout(() => c.resetAndDestroy(), 5)),
  ),
  'server resets after data': pair(
    (s) => s.on('data', () => s.resetAndDestroy()),
    (c) => c.write('go'),
  ),
  'resetting what never connected': async (net, log) => {
    const socket = log.watch('client', new net.Socket());
    log.add('client', `${socket.pending} ${socket.readyState} ${JSON.stringify(socket.address())}`);
    socket.resetAndDestroy();
    await closed(socket);
  },
  'destroySoon after a write': pair(
    () => undefined,
    (c) => c.on('ready', () => (c.write('soon'), c.destroySoon())),
  ),
  'write after end': pair(
    (s) => s.resume(),
    (c, log) =>
      c.on('ready', () => {
        c.end('x');
        c.write('y', (error) => log.add('client', `callback ${(error as NodeJS.ErrnoException).code}`));
      }),
  ),
  'write after the peer has ended': pair(
    (s) => s.end(),
    (c, log) =>
      c.on('end', () =>
        setTimeout(() => {
          log.add('client', `${c.writable} ${c.readyState}`);
          c.on('error', () => undefined);
        }, 0),
      ),
  ),
  refused: async (net, log, host) => {
    const server = net.createServer().listen(0, host);
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as net.AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const c = net.connect(port, host);
    c.on('error', (e: NodeJS.ErrnoException & { address: string; port: number }) =>
      log.add(
        'client',
        `${e.code} ${e.errno} ${e.syscall} ${e.address} ${e.port === port} ${e.message.replace(`${port}`, 'PORT')}`,
      ),
    );
    c.on('connect', () => log.add('client', 'connect'));
    c.on('close', (hadError) => log.add('client', `close ${hadError}`));
    c.write('never', (error) => log.add('client', `callback ${(error as NodeJS.ErrnoException | null)?.code}`));
    await closed(c);
    await pause(1);
  },
  'address in use': async (net, log, host) => {
    const first = net.createServer().listen(0, host);
    await new Promise((resolve) => first.once('listening', resolve));
    const { port } = first.address() as net.AddressInfo;
    const second = net.createServer();
    await new Promise<void>((resolve) => {
      second.on('error', (e: NodeJS.ErrnoException & { address: string; port: number }) => {
        log.add(
          'server',
          `${e.code} ${e.errno} ${e.syscall} ${e.address} ${e.port === port} ${e.message.replace(`${port}`, 'PORT')}`,
        );
        resolve();
      });
      second.listen(port, host);
    });
    log.add('server', `${second.listening} ${JSON.stringify(second.address())}`);
    second.close((error) => log.add('server', `closed ${(error as NodeJS.ErrnoException).code}`));
    await new Promise((resolve) => first.close(resolve));
  },
  'properties through a life': pair(
    (s, log) => {
      log.add('server', `${properties(s)} ${s.remotePort !== s.localPort}`);
      s.on('end', () => log.add('server', `${s.bytesRead} ${s.bytesWritten} ${s.readyState}`));
      s.end('12345');
    },
    (c, log) => {
      log.add('client', properties(c));
      c.on('connect', () => log.add('client', properties(c)));
      c.write('äbc');
      log.add('client', `${c.bytesWritten}`);
      c.on('close', () =>
        log.add('client', `${c.bytesRead} ${c.bytesWritten} ${c.connecting} ${c.pending} ${c.readyState}`),
      );
      c.on('end', () => c.end('z'));
    },
    { client: { allowHalfOpen: true }, server: { allowHalfOpen: true } },
  ),
  'listens on all addresses of both IP versions': async (net, log, host) => {
    const told = (s: net.Socket) =>
      `${s.remoteAddress} ${s.remoteFamily} ${s.localAddress} ${s.localFamily} ${(s.address() as net.AddressInfo).address}`;
    const serve = (s: net.Socket) => {
      log.add('server', told(s));
      s.end();
    };
    const server = net.createServer(serve).listen(0);
    await new Promise((resolve) => server.once('listening', resolve));
    const { address, family, port } = server.address() as net.AddressInfo;
    log.add('server', `${address} ${family}`);
    const mapped = host.includes(':') ? host : `::ffff:${host}`;
    for (const to of [host, mapped]) {
      const c = net.connect(port, to).resume();
      c.on('connect', () => log.add('client', told(c)));
      await closed(c);
    }
    await new Promise((resolve) => server.close(resolve));
  },
  'idle timeout does not close': pair(
    (s) => s.resume(),
    (c) => c.setTimeout(20, () => c.end()),
  ),
  'timeout is put off by activity': pair(
    (s) => s.pipe(s),
    (c, log) => {
      c.setTimeout(120);
      c.on('timeout', () => c.destroy());
      let left = 8;
      c.on('connect', () => {
        const timer = setInterval(() => {
          log.add('client', 'ping');
          c.write('p');
          if (--left === 0) clearInterval(timer);
        }, 20);
      });
    },
    { flow: false },
  ),
  'timeout taken back': pair(
    (s) => setTimeout(() => s.end(), 40),
    (c) => {
      const told = () => undefined;
      c.setTimeout(10, told);
      c.setTimeout(0, told);
      c.resume();
    },
  ),
  'paused reader gets everything later': pair(
    (s) => s.end(Buffer.alloc(200_000, 7)),
    (c) => {
      c.pause();
      setTimeout(() => c.resume(), 20);
    },
  ),
  'back-pressure: write says no, drain follows': pair(
    (s) => {
      s.pause();
      setTimeout(() => s.resume(), 20);
    },
    (c, log) =>
      c.on('ready', () => {
        log.add('client', `${c.write(Buffer.alloc(8 << 20))}`);
        c.once('drain', () => {
          log.add('client', `drain ${c.writableLength} ${c.bytesWritten}`);
          c.end();
        });
      }),
  ),
  'aborted by a signal': async (net, log, host) => {
    const server = net.createServer((s) => s.resume()).listen(0, host);
    await new Promise((resolve) => server.once('listening', resolve));
    const controller = new AbortController();
    const { port } = server.address() as net.AddressInfo;
    const c = log.watch('client', net.connect({ port, host, signal: controller.signal } as net.TcpNetConnectOpts));
    c.once('ready', () => controller.abort());
    await closed(c);
    await new Promise((resolve) => server.close(resolve));
  },
  'server closed by a signal': async (net, log, host) => {
    const controller = new AbortController();
    const server = net.createServer().listen({ port: 0, host, signal: controller.signal });
    server.on('listening', () => log.add('server', `listening ${server.listening}`));
    server.on('close', () => log.add('server', `close ${server.listening}`));
    setTimeout(() => controller.abort(), 5);
    await closed(server);
  },
  'server close waits for connections': async (net, log, host) => {
    const server = net.createServer((s) => s.resume()).listen(0, host);
    await new Promise((resolve) => server.once('listening', resolve));
    const c = net.connect((server.address() as net.AddressInfo).port, host);
    await new Promise((resolve) => server.once('connection', resolve));
    server.close(() => log.add('server', 'closed'));
    log.add('server', `${server.listening} ${JSON.stringify(server.address())}`);
    server.getConnections((error, count) => log.add('server', `${error} ${count}`));
    setTimeout(() => {
      log.add('server', 'client leaves');
      c.end();
    }, 10);
    await Promise.all([closed(server), closed(c)]);
  },
  'more than maxConnections': async (net, log, host) => {
    const server = net.createServer((s) => s.resume()).listen(0, host);
    server.maxConnections = 1;
    server.on('drop', (data) =>
      log.add('server', `drop ${data?.localAddress} ${data?.remoteFamily} ${typeof data?.remotePort}`),
    );
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as net.AddressInfo;
    const a = net.connect(port, host);
    await new Promise((resolve) => server.once('connection', resolve));
    const b = log.watch('second', net.connect(port, host));
    await closed(b);
    a.end();
    await new Promise((resolve) => server.close(resolve));
  },
  pauseOnConnect: pair(
    (s, log) => {
      log.add('server', `${s.isPaused()} ${s.readableFlowing}`);
      setTimeout(() => s.resume(), 10);
    },
    (c) => c.end('data'),
    { server: { pauseOnConnect: true }, flow: true },
  ),
  'a name through a lookup of ours': async (net, log, host) => {
    const server = net.createServer((s) => s.end()).listen(0, host);
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as net.AddressInfo;
    const family = host.includes(':') ? 6 : 4;
    const lookup: net.LookupFunction = (name, _options, callback) =>
      setTimeout(() => callback(null, name === '' ? name : host, family), 1);
    const c = net.connect({ port, host: 'somewhere.example', family, lookup });
    c.on('lookup', (error, address, family, name) => log.add('client', `lookup ${error} ${address} ${family} ${name}`));
    log.watch('client', c);
    await closed(c);
    await new Promise((resolve) => server.close(resolve));
  },
  'a name that nobody knows': async (net, log) => {
    const lookup: net.LookupFunction = (name, _options, callback) =>
      setTimeout(
        () => callback(Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' }), '', 0),
        1,
      );
    const c = net.connect({ port: 1, host: 'nowhere.example', family: 4, lookup });
    c.on('lookup', (error, address) => log.add('client', `lookup ${error?.message} ${address || undefined}`));
    log.watch('client', c);
    await closed(c);
  },
  'a socket is used again': async (net, log, host) => {
    const server = net.createServer((s) => s.end('hi')).listen(0, host);
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as net.AddressInfo;
    const c = log.watch('client', new net.Socket());
    c.connect(port, host);
    await closed(c);
    c.connect(port, host);
    await closed(c);
    await new Promise((resolve) => server.close(resolve));
  },
  'wrong use': async (net, log) => {
    const tries: (() => unknown)[] = [
      () => net.connect({ port: 70_000 }),
      () => net.connect({} as net.TcpNetConnectOpts),
      () => net.connect({ port: 'abc' as unknown as number }),
      () => net.connect({ port: 1, localAddress: 'here' }),
      () => net.createServer().listen(-1),
      () => net.createServer().listen({}),
    ];
    for (const attempt of tries) {
      try {
        attempt();
        log.add('client', 'nothing thrown');
      } catch (error) {
        log.add('client', `${(error as Error).name} ${(error as NodeJS.ErrnoException).code}`);
      }
    }
  },
};
