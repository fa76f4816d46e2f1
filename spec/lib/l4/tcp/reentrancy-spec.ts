import { expect } from 'chai';
import { SeededRandom } from '../../../../lib/core/random.js';
import type { TcpConnection, TcpHandler } from '../../../../lib/l4/tcp/api.js';
import { forBothVersions } from '../../../both-versions.js';
import { App, Pair, pattern, viewOf as viewed } from './pair.js';

const CALLBACKS = ['connected', 'readable', 'writable', 'flushed', 'closed', 'urgent'] as const;
type Callback = (typeof CALLBACKS)[number];

/** A handler that does something else in one of its callbacks, and checks that it is never called from within itself. */
function handler(act: (callback: Callback) => void, log: string[]): TcpHandler {
  let within = false;
  let closed = false;
  const make = (callback: Callback) => () => {
    expect(within, `${callback} from within another callback`).to.equal(false);
    expect(closed, `${callback} after closed`).to.equal(false);
    within = true;
    log.push(callback);
    if (callback === 'closed') closed = true;
    act(callback);
    within = false;
  };
  const entries = CALLBACKS.map((callback) => [callback, make(callback)] as const);
  return Object.fromEntries(entries) as unknown as TcpHandler;
}

const ACTIONS: Record<string, (c: TcpConnection, pair: Pair) => void> = {
  close: (c) => c.close(),
  abort: (c) => c.abort(),
  end: (c) => c.end(),
  read: (c) => void c.read(),
  'write and close': (c) => {
    try {
      c.write(pattern(3000));
    } catch (error) {
      expect(error).to.have.property('code', 'EPIPE');
    }
    c.close();
  },
  'close, abort, end, read': (c) => {
    c.close();
    c.abort();
    c.end();
    c.read();
  },
  'everything else': (c, pair) => {
    c.setNoDelay(true);
    c.setKeepAlive(true, 100, 10, 2);
    c.setUserTimeout(5000);
    pair.hosts[0]
      .connect(
        { address: pair.ends[1], port: 81 },
        handler(() => {}, []),
      )
      .close();
  },
};

forBothVersions('TCP handlers that call back', ({ version }) => {
  for (const callback of CALLBACKS.filter((name) => name !== 'urgent')) {
    for (const [name, action] of Object.entries(ACTIONS)) {
      for (const side of [0, 1]) {
        it(`may ${name} in ${callback}, at the ${side === 0 ? 'opening' : 'accepting'} end`, () => {
          const pair = new Pair({ version, seed: 2 });
          const log: string[] = [];
          let acted = 0;
          const run = (app: App, connection: () => TcpConnection | undefined) =>
            handler((now) => {
              if (now === 'readable') app.readable();
              if (now === 'connected' || now === 'writable') app[now]();
              const c = connection();
              if (now !== callback || acted++ > 0 || c === undefined) return;
              action(c, pair);
            }, log);
          const client = new App(pattern(9000));
          const server = new App(pattern(9000));
          const listener = pair.hosts[1].listen({ address: pair.ends[1], port: 80 }, { sendBuffer: 2000 });
          listener.acceptable = () => {
            server.attach(listener.accept() as TcpConnection);
            const { connection } = server;
            if (side === 1 && connection !== undefined) connection.handler = run(server, () => connection);
            server.start();
          };
          const remote = { address: pair.ends[1], port: 80 };
          const watched = run(client, () => client.connection);
          client.connection = pair.hosts[0].connect(remote, side === 0 ? watched : client, { sendBuffer: 2000 });
          pair.scheduler.run();
          if (side === 0 || callback !== 'connected') expect(acted).to.be.greaterThan(0);
          expect(log.filter((entry) => entry === 'closed').length).to.equal(1);
          listener.close();
          pair.expectClean();
        });
      }
    }
  }

  it('may accept, close the listener and connect within acceptable', () => {
    const pair = new Pair({ version });
    const server = new App(pattern(100));
    const listener = pair.hosts[1].listen({ address: pair.ends[1], port: 80 });
    listener.acceptable = () => {
      const connection = listener.accept();
      listener.close();
      if (connection !== undefined) server.attach(connection).start();
    };
    const client = new App(pattern(50));
    client.connection = pair.hosts[0].connect({ address: pair.ends[1], port: 80 }, client);
    pair.scheduler.run();
    expect([client.receivedBytes, server.receivedBytes]).to.deep.equal([100, 50]);
    pair.expectClean();
  });

  it('are told of nothing from within their own calls, even over a pipe without delay', () => {
    for (let seed = 1; seed < 20; seed++) {
      const random = new SeededRandom(seed);
      const pair = new Pair({ version, seed });
      for (const from of [0, 1] as const) {
        const to = pair.hosts[from === 0 ? 1 : 0];
        pair.hosts[from].output.emit = (packet) => {
          const bytes = packet;
          const copy = pair.env.pool.copy(bytes);
          packet.release();
          const view = viewed(copy);
          if (view !== undefined) to.receive(view);
          copy.release();
        };
      }
      const data = pattern(50_000, seed);
      const client = new App(data);
      const server = new App(data);
      const listener = pair.hosts[1].listen(
        { address: pair.ends[1], port: 80 },
        { receiveBuffer: 1 + random.below(9000) },
      );
      listener.acceptable = () => server.attach(listener.accept() as TcpConnection).start();
      const remote = { address: pair.ends[1], port: 80 };
      client.connection = pair.hosts[0].connect(remote, client, { receiveBuffer: 1 + random.below(9000) });
      expect(client.events).to.deep.equal([]);
      pair.scheduler.run();
      expect([client.receivedBytes, server.receivedBytes]).to.deep.equal([50_000, 50_000]);
      pair.expectClean();
    }
  });

  it('may answer each other for ever over a loopback: others get their turn', () => {
    const pair = new Pair({ version });
    const [host] = pair.hosts;
    host.output.emit = (packet) => {
      const view = viewed(packet);
      if (view !== undefined) host.receive(view);
      packet.release();
    };
    const nothing = { connected() {}, readable() {}, writable() {}, flushed() {}, closed() {} };
    let turns = 0;
    const answer = (connection: () => TcpConnection | undefined): TcpHandler => ({
      ...nothing,
      readable: () => {
        while (connection()?.read() !== undefined);
        connection()?.write(Uint8Array.of(++turns & 0xff));
      },
    });
    const listener = host.listen({ address: pair.ends[0], port: 80 });
    listener.acceptable = () => {
      const connection = listener.accept();
      if (connection !== undefined) connection.handler = answer(() => connection);
    };
    const client: TcpConnection = host.connect(
      { address: pair.ends[0], port: 80 },
      answer(() => client),
    );
    client.write(Uint8Array.of(0));
    for (let i = 0; i < 10; i++) pair.scheduler.step();
    expect(turns).to.be.within(1000, 20_000);
    host.dispose();
    pair.hosts[1].dispose();
    pair.expectClean();
  });

  it('that throw lose their connection, and nobody else does', () => {
    const pair = new Pair({ version });
    const listener = pair.hosts[1].listen({ address: pair.ends[1], port: 80 });
    const servers: App[] = [];
    listener.acceptable = () => {
      const server = new App(new Uint8Array(0), servers.length > 0);
      servers.push(server.attach(listener.accept() as TcpConnection));
      if (servers.length === 1) {
        server.readable = () => {
          throw new Error('broken');
        };
      }
      server.start();
    };
    const clients = [0, 1].map(() => {
      const client = new App(pattern(1000));
      client.connection = pair.hosts[0].connect({ address: pair.ends[1], port: 80 }, client);
      return client;
    });
    pair.scheduler.run();
    expect(clients.map((client) => client.error?.code)).to.deep.equal(['ECONNRESET', undefined]);
    expect(servers[1]?.receivedBytes).to.equal(1000);
    expect(pair.hosts[1].counters.handlersThrew).to.equal(1);
    pair.expectClean();
  });
});
