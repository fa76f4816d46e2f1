import { expect } from 'chai';
import { connect, listen, type TcpAcceptor, type TcpStream, UnexpectedEnd } from '../../../lib/socket/iterate.js';
import { connectWeb, webStreams } from '../../../lib/socket/web-streams.js';
import { forBothVersions } from '../../both-versions.js';
import { sleep, until } from '../../until.js';
import { FakeNetwork, type FakeTcp } from './fake-tcp.js';

const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);
const bytes = (string: string) => new TextEncoder().encode(string);
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error as Error & { code?: string },
  );

forBothVersions('TCP with promises', (facts) => {
  const [HERE, THERE] = [facts.a, facts.b].map(String) as [string, string];
  const at = (port: number) => ({ address: facts.b, port });
  const any = (port: number) => ({ address: facts.any, port });
  let network: FakeNetwork;
  let client: FakeTcp;
  let server: FakeTcp;
  let acceptor: TcpAcceptor;

  beforeEach(() => {
    network = new FakeNetwork({ sendBuffer: 8192, receiveBuffer: 8192 });
    client = network.host(HERE);
    server = network.host(THERE);
    acceptor = listen(server, any(7));
  });
  afterEach(async () => {
    acceptor.close();
    await until(() => network.connections === 0);
    expect(server.listeners.size).to.equal(0);
  });

  const pair = async (): Promise<[TcpStream, TcpStream]> => {
    const [a, b] = await Promise.all([connect(client, at(7)), acceptor.accept()]);
    if (b === undefined) throw new Error('nobody came');
    return [a, b];
  };

  it('carries any amount both ways, in chunks, as an echo', async () => {
    const [a, b] = await pair();
    const echo = (async () => {
      for await (const chunk of b) await b.write(chunk);
      await b.end();
    })();
    const sent = new Uint8Array(200_000).map((_, i) => i * 7);
    const back = (async () => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of a) chunks.push(chunk);
      return Buffer.concat(chunks);
    })();
    await a.write(sent);
    await a.flushed();
    await a.end();
    expect((await back).equals(sent)).to.equal(true);
    await Promise.all([echo, a.closed(), b.closed()]);
  });

  it('a write waits for the reader and lets its bytes be reused', async () => {
    const [a, b] = await pair();
    const buffer = new Uint8Array(50_000).fill(1);
    let written = false;
    const write = a.write(buffer).then(() => {
      written = true;
      buffer.fill(9);
    });
    await sleep(10);
    expect(written).to.equal(false);
    expect((await b.readExactly(50_000)).every((byte) => byte === 1)).to.equal(true);
    await write;
    a.close();
    b.close();
  });

  it('reads exactly, and says what came if there is less', async () => {
    const [a, b] = await pair();
    await a.write(bytes('abcdefg'));
    await a.end();
    expect(text(await b.readExactly(2))).to.equal('ab');
    expect(text(await b.read({ max: 1 }))).to.equal('c');
    const error = await failure(b.readExactly(10));
    expect(error).to.be.instanceOf(UnexpectedEnd);
    expect(text((error as UnexpectedEnd).received)).to.equal('defg');
    expect(await b.read()).to.equal(undefined);
    await b.end();
  });

  it('an aborted read loses nothing', async () => {
    const [a, b] = await pair();
    await a.write(bytes('abc'));
    const controller = new AbortController();
    const reading = failure(b.readExactly(6, { signal: controller.signal }));
    await sleep(5);
    controller.abort(new Error('enough'));
    expect((await reading)?.message).to.equal('enough');
    await a.write(bytes('def'));
    expect(text(await b.readExactly(6))).to.equal('abcdef');
    expect((await failure(b.read({ signal: AbortSignal.abort() })))?.name).to.equal('AbortError');
    a.close();
    b.close();
  });

  it('two reads at once are refused', async () => {
    const [a, b] = await pair();
    const first = b.read();
    expect((await failure(b.read()))?.code).to.equal('ERR_INVALID_STATE');
    await a.write(bytes('x'));
    expect(text(await first)).to.equal('x');
    a.close();
    b.close();
  });

  it('writes keep their order; an aborted write, a write after the end and a reset reject', async () => {
    const [a, b] = await pair();
    const writes = [a.write(bytes('1')), a.write(bytes('2')), a.write(bytes('3'))];
    await Promise.all(writes);
    expect(text(await b.readExactly(3))).to.equal('123');
    const stuck = failure(a.write(new Uint8Array(100_000), { signal: AbortSignal.timeout(5) }));
    expect((await stuck)?.name).to.equal('TimeoutError');
    const waiting = failure(a.write(new Uint8Array(100_000)));
    await sleep(5);
    b.abort();
    expect((await waiting)?.code).to.equal('ECONNRESET');
    expect((await failure(a.closed()))?.code).to.equal('ECONNRESET');
    const [c, d] = await pair();
    await c.end();
    expect((await failure(c.write(bytes('late'))))?.code).to.equal('EPIPE');
    d.close();
  });

  it('a write and a flush that wait for another write have a way out, and nobody gets ahead', async () => {
    const [a, b] = await pair();
    const first = a.write(new Uint8Array(50_000));
    const within = (promise: Promise<unknown>) => Promise.race([failure(promise), sleep(300).then(() => 'stuck')]);
    const soon = () => ({ signal: AbortSignal.timeout(5) });
    const second = a.write(bytes('x'), soon());
    const third = a.write(bytes('y'));
    expect(await within(second)).to.have.property('name', 'TimeoutError');
    expect(await within(a.flushed(soon()))).to.have.property('name', 'TimeoutError');
    expect((await b.readExactly(50_000)).every((byte) => byte === 0)).to.equal(true);
    await Promise.all([first, third]);
    expect(text(await b.readExactly(1))).to.equal('y');
    a.close();
    b.close();
  });

  it('leaving the loop closes the connection', async () => {
    const [a, b] = await pair();
    await a.write(bytes('x'));
    for await (const chunk of b) {
      expect(text(chunk)).to.equal('x');
      break;
    }
    expect(await a.read()).to.equal(undefined);
    await a.end();
  });

  it('connecting fails with a code, or with the reason of its signal', async () => {
    expect((await failure(connect(client, at(8))))?.code).to.equal('ECONNREFUSED');
    network.silent.add(THERE);
    const error = await failure(connect(client, at(7), { signal: AbortSignal.timeout(5) }));
    expect(error?.name).to.equal('TimeoutError');
    expect((await failure(connect(client, at(7), { signal: AbortSignal.abort() })))?.name).to.equal('AbortError');
  });

  it('accepts in a loop until it is closed, by a signal too', async () => {
    const controller = new AbortController();
    const other = listen(server, any(9), { signal: controller.signal });
    const seen: number[] = [];
    const loop = (async () => {
      for await (const stream of other) {
        seen.push(stream.remote.port);
        stream.close();
      }
    })();
    const streams = [await connect(client, at(9)), await connect(client, at(9))];
    await until(() => seen.length === streams.length);
    controller.abort();
    await loop;
    expect(seen).to.deep.equal(streams.map((stream) => stream.local.port));
    for (const stream of streams) stream.close();
    expect((await failure(acceptor.accept({ signal: AbortSignal.timeout(5) })))?.name).to.equal('TimeoutError');
  });

  it('leaves no listener on a signal that outlives many operations', async () => {
    const [a, b] = await pair();
    let listeners = 0;
    const { signal } = new AbortController();
    const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
    signal.addEventListener = (...args: Parameters<typeof add>) => (listeners++, add(...args));
    signal.removeEventListener = (...args: Parameters<typeof remove>) => (listeners--, remove(...args));
    for (let i = 0; i < 20; i++) {
      const read = b.read({ signal });
      await a.write(bytes('x'), { signal });
      await read;
    }
    expect(listeners).to.equal(0);
    a.close();
    b.close();
  });

  describe('as WHATWG streams', () => {
    it('pipes through an echo', async () => {
      const serving = acceptor.accept().then((stream) => {
        const { readable, writable } = webStreams((stream as TcpStream).raw, { allowHalfOpen: true });
        return readable.pipeTo(writable);
      });
      const socket = connectWeb(client, `${facts.url(facts.b)}:7`, { allowHalfOpen: true });
      const info = await socket.opened;
      expect(info.remoteAddress).to.equal(`${facts.url(facts.b)}:7`);
      expect(info.localAddress).to.match(new RegExp(`^${facts.url(facts.a).replace(/[[\].]/g, '\\$&')}:\\d+$`));
      const sent = new Uint8Array(100_000).map((_, i) => i * 3);
      const source = new Blob([sent]).stream() as ReadableStream<Uint8Array>;
      const answer = source.pipeThrough(socket);
      const got = Buffer.from(await new Response(answer as ConstructorParameters<typeof Response>[0]).arrayBuffer());
      expect(got.equals(sent)).to.equal(true);
      await Promise.all([serving, socket.closed]);
    });

    it('reads nothing before it is pulled', async () => {
      const socket = connectWeb(client, { hostname: THERE, port: 7 });
      const stream = await acceptor.accept();
      await stream?.write(new Uint8Array(8192));
      const [connection] = client.connections;
      await until(() => connection?.readableBytes === 8192);
      const reader = socket.readable.getReader();
      const { value } = await reader.read();
      expect(value?.length).to.be.greaterThan(0);
      await socket.close();
      stream?.close();
    });

    it('rejects what fails, everywhere', async () => {
      const socket = connectWeb(client, `${facts.url(facts.b)}:8`);
      for (const promise of [
        socket.opened,
        socket.closed,
        socket.readable.getReader().read(),
        socket.writable.getWriter().write(bytes('x')),
        socket.close(),
      ]) {
        expect((await failure(promise))?.code).to.equal('ECONNREFUSED');
      }
    });

    it('ends with the peer unless half open, and close() ends both ways', async () => {
      const socket = connectWeb(client, `${facts.url(facts.b)}:7`);
      const stream = await acceptor.accept();
      await stream?.end();
      expect((await socket.readable.getReader().read()).done).to.equal(true);
      expect(await stream?.read()).to.equal(undefined);
      await socket.closed;
      const second = connectWeb(client, `${facts.url(facts.b)}:7`);
      const accepted = await acceptor.accept();
      const pending = second.readable.getReader().read();
      await sleep(5);
      await second.close();
      expect((await pending).done).to.equal(true);
      expect(await accepted?.read()).to.equal(undefined);
      await accepted?.end();
    });

    it('abort of the writer resets at once, also while a write waits for the reader', async () => {
      const socket = connectWeb(client, `${facts.url(facts.b)}:7`);
      const stream = await acceptor.accept();
      const writer = socket.writable.getWriter();
      const stuck = failure(writer.write(new Uint8Array(100_000)));
      await sleep(5);
      const how = writer.abort(new Error('no more')).then(() => 'aborted');
      expect(await Promise.race([how, sleep(500).then(() => 'stuck')])).to.equal('aborted');
      expect((await stuck)?.message).to.equal('no more');
      expect((await failure((stream as TcpStream).closed()))?.code).to.equal('ECONNRESET');
    });

    it('abort of the writer gives up a connection that is being opened', async () => {
      network.silent.add(THERE);
      for (const signal of [undefined, new AbortController().signal]) {
        const socket = connectWeb(client, `${facts.url(facts.b)}:7`, { signal });
        const how = socket.writable.abort(new Error('no more')).then(() => 'aborted');
        expect(await Promise.race([how, sleep(500).then(() => 'stuck')])).to.equal('aborted');
        expect((await failure(socket.opened))?.message).to.equal('no more');
        expect(client.connections.size).to.equal(0);
      }
    });

    it('abort of the writer and a close with a reason reset', async () => {
      for (const give of [
        (socket: ReturnType<typeof connectWeb>) => socket.writable.abort(new Error('no more')),
        (socket: ReturnType<typeof connectWeb>) => socket.close('no more'),
      ]) {
        const socket = connectWeb(client, `${facts.url(facts.b)}:7`);
        const stream = await acceptor.accept();
        await socket.opened;
        await give(socket);
        expect((await failure((stream as TcpStream).read()))?.code).to.equal('ECONNRESET');
      }
    });
  });
});
