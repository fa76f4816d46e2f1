import { expect } from 'chai';
import { firstValueFrom, lastValueFrom, map, type Observable, Subject, take, timer, toArray } from 'rxjs';
import type { Endpoint } from '../../../lib/l4/tcp/api.js';
import { connect, datagrams, listen, RxConnection } from '../../../operators/l4/sockets.js';
import { forBothVersions } from '../../both-versions.js';
import { sleep, until } from '../../until.js';
import { FakeNetwork, type FakeTcp } from '../../lib/socket/fake-tcp.js';
import { Pair } from '../../lib/l4/tcp/pair.js';
import { FakeUdp } from '../../lib/socket/fake-udp.js';

const bytes = (string: string) => new TextEncoder().encode(string);
const joined = (chunks: Uint8Array[]) => Buffer.concat(chunks);
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error as Error & { code?: string },
  );

forBothVersions('sockets as Observables', (facts) => {
  const { version, a: here, b: there, loopback } = facts;
  const at = (port: number): Endpoint => ({ address: there, port });
  const any = (port: number): Endpoint => ({ address: facts.any, port });
  let network: FakeNetwork;
  let client: FakeTcp;
  let server: FakeTcp;

  beforeEach(() => {
    network = new FakeNetwork({ sendBuffer: 8192, receiveBuffer: 8192 });
    client = network.host(here.toString());
    server = network.host(there.toString());
  });
  afterEach(async () => {
    await until(() => network.connections === 0);
    expect(server.listeners.size).to.equal(0);
  });

  const pair = async (): Promise<[RxConnection, RxConnection]> => {
    const accepted = firstValueFrom(listen(server, any(7)));
    return [await firstValueFrom(connect(client, at(7))), await accepted];
  };

  it('echoes any amount through a sink', async () => {
    const listening = listen(server, any(7)).subscribe((c) => c.data$.subscribe(c.sink));
    const c = await firstValueFrom(connect(client, at(7)));
    const sent = new Uint8Array(100_000).map((_, i) => i * 5);
    const back = lastValueFrom(c.data$.pipe(toArray()));
    c.sink.next(sent);
    c.sink.complete();
    expect(joined(await back).equals(sent)).to.equal(true);
    await lastValueFrom(c.closed$, { defaultValue: undefined });
    listening.unsubscribe();
  });

  it('reads nothing while nobody is subscribed, and goes on when somebody is again', async () => {
    const [a, b] = await pair();
    a.sink.next(new Uint8Array(20_000));
    await until(() => b.raw.readableBytes === 8192);
    expect(a.pending).to.be.greaterThan(0);
    const drained = firstValueFrom(a.drained$);
    const first = await firstValueFrom(b.data$);
    await sleep(5);
    let read = first.length;
    a.end();
    await new Promise<void>((resolve) => {
      b.data$.subscribe({ next: (chunk) => (read += chunk.length), complete: resolve });
    });
    await drained;
    expect(read).to.equal(20_000);
    expect(a.pending).to.equal(0);
    b.end();
  });

  it('gives chunks in the call in which they came', async () => {
    const [a, b] = await pair();
    let inside = false;
    let seen = false;
    const handler = b.raw.handler;
    b.raw.handler = {
      ...handler,
      readable() {
        inside = true;
        handler.readable();
        inside = false;
      },
    };
    b.data$.subscribe(() => (seen = inside));
    a.sink.next(bytes('x'));
    await until(() => seen);
    a.end();
    b.end();
  });

  it('consume works one chunk off before it reads the next', async () => {
    const [a, b] = await pair();
    let working = 0;
    let most = 0;
    let held = true;
    const begin = new Subject<number>();
    const done = lastValueFrom(
      b
        .consume((chunk) => {
          most = Math.max(most, ++working);
          const turn: Observable<number> = held ? begin : timer(2);
          return turn.pipe(
            take(1),
            map(() => {
              working--;
              return chunk.length;
            }),
          );
        })
        .pipe(toArray()),
    );
    a.sink.next(new Uint8Array(50_000));
    // While the first chunk is worked on, the others wait in the connection.
    await until(() => b.raw.readableBytes > 0);
    expect(most).to.equal(1);
    held = false;
    begin.next(0);
    a.end();
    const sizes = await done;
    expect(sizes.reduce((sum, size) => sum + size, 0)).to.equal(50_000);
    expect(most).to.equal(1);
    b.end();
  });

  it('consume does not grow the stack when the work is done at once', async () => {
    network = new FakeNetwork({ segment: 1, receiveBuffer: 1 });
    client = network.host(here.toString());
    server = network.host(there.toString());
    const [a, b] = await pair();
    const done = lastValueFrom(b.consume((chunk) => [chunk]).pipe(toArray()));
    a.sink.next(new Uint8Array(500));
    a.end();
    expect((await done).length).to.equal(500);
    b.end();
  });

  it('consume ends with what its work throws, of a chunk that was there as of one that comes, and resets nothing', () => {
    const stack = new Pair({ version });
    const port: Endpoint = { address: stack.ends[1], port: 7 };
    const told: string[] = [];
    const listening = listen(stack.hosts[1], port).subscribe((c) => {
      const throwing = c.consume(() => {
        throw new Error('mine');
      });
      const later = { error: (error: Error) => told.push(`later: ${error.message}`) };
      const ended = { complete: () => c.end() };
      throwing.subscribe({ error: (error: Error) => told.push(error.message) });
      throwing.subscribe(later);
      stack.env.scheduler.schedule(() => c.data$.subscribe(ended), 100);
    });
    connect(stack.hosts[0], port).subscribe((c) => {
      c.data$.subscribe({ complete: () => told.push('end') });
      c.sink.next(Uint8Array.of(1));
      stack.env.scheduler.schedule(() => c.sink.next(Uint8Array.of(2)), 50);
      stack.env.scheduler.schedule(() => c.end(), 150);
    });
    stack.scheduler.run();
    listening.unsubscribe();
    expect(told).to.deep.equal(['mine', 'later: mine', 'end']);
    stack.expectClean();
  });

  it('two subscribers at once are refused', async () => {
    const [a, b] = await pair();
    const first = b.data$.subscribe();
    expect((await failure(firstValueFrom(b.data$)))?.code).to.equal('ERR_INVALID_STATE');
    first.unsubscribe();
    b.data$.subscribe();
    a.end();
    b.end();
  });

  it('write resolves when taken, in order, and lets the bytes be reused', async () => {
    const [a, b] = await pair();
    const buffer = new Uint8Array(30_000).fill(1);
    let taken = false;
    const first = a.write(buffer).then(() => {
      taken = true;
      buffer.fill(9);
    });
    const second = a.write(new Uint8Array(10).fill(2));
    await sleep(5);
    expect(taken).to.equal(false);
    const all = lastValueFrom(b.data$.pipe(toArray()));
    await Promise.all([first, second]);
    a.end();
    const expected = Buffer.concat([Buffer.alloc(30_000, 1), Buffer.alloc(10, 2)]);
    expect(joined(await all).equals(expected)).to.equal(true);
    b.end();
  });

  it('write rejects after the end, on a reset and by its signal', async () => {
    const [a, b] = await pair();
    const stuck = failure(a.write(new Uint8Array(100_000)));
    const withdrawn = failure(a.write(bytes('x'), { signal: AbortSignal.timeout(5) }));
    expect((await withdrawn)?.name).to.equal('TimeoutError');
    b.abort();
    expect((await stuck)?.code).to.equal('ECONNRESET');
    expect((await failure(lastValueFrom(a.closed$)))?.code).to.equal('ECONNRESET');
    expect((await failure(lastValueFrom(a.data$)))?.code).to.equal('ECONNRESET');
    const [c, d] = await pair();
    c.end();
    expect((await failure(c.write(bytes('late'))))?.code).to.equal('EPIPE');
    d.end();
    c.close();
    d.close();
  });

  it('a write that has begun goes on when it is aborted, and says when its bytes may be reused', async () => {
    const [a, b] = await pair();
    const buffer = new Uint8Array(50_000).fill(1);
    const begun = failure(a.write(buffer, { signal: AbortSignal.timeout(5) })).then((error) => {
      buffer.fill(9);
      return error;
    });
    await sleep(20);
    const all = lastValueFrom(b.data$.pipe(toArray()));
    expect(await begun).to.equal(undefined);
    a.end();
    expect(joined(await all).equals(Buffer.alloc(50_000, 1))).to.equal(true);
    b.end();
  });

  it('an error given to the sink resets', async () => {
    const [a, b] = await pair();
    const failed = failure(lastValueFrom(b.data$));
    a.sink.error(new Error('mine'));
    expect((await failed)?.code).to.equal('ECONNRESET');
  });

  it('connecting fails with its code; unsubscribing gives it up', async () => {
    expect((await failure(firstValueFrom(connect(client, at(8)))))?.code).to.equal('ECONNREFUSED');
    network.silent.add(there.toString());
    const attempt = connect(client, at(7)).subscribe();
    expect(client.connections.size).to.equal(1);
    attempt.unsubscribe();
    expect(client.connections.size).to.equal(0);
  });

  it('runs to completion in virtual time, over the TCP of the stack', () => {
    const stack = new Pair({ version });
    const port: Endpoint = { address: stack.ends[1], port: 7 };
    const listening = listen(stack.hosts[1], port).subscribe((c) => c.data$.subscribe(c.sink));
    const sent = new Uint8Array(300_000).map((_, i) => i * 11);
    const back: Uint8Array[] = [];
    connect(stack.hosts[0], port).subscribe((c) => {
      c.data$.subscribe((chunk) => back.push(chunk));
      c.sink.next(sent);
      c.sink.complete();
    });
    stack.scheduler.run();
    listening.unsubscribe();
    expect(joined(back).equals(sent)).to.equal(true);
    stack.expectClean();
  });

  it('shows chunks where they lie: good until next returns, and other bytes afterwards', () => {
    const stack = new Pair({ version });
    const port: Endpoint = { address: stack.ends[1], port: 7 };
    const seen: Uint8Array[] = [];
    const views: Uint8Array[] = [];
    let ended = false;
    const listening = listen(stack.hosts[1], port).subscribe((c) => {
      const show = (chunk: Uint8Array) => {
        seen.push(chunk.slice());
        views.push(chunk);
      };
      c.views$.pipe(take(3)).subscribe(show);
      stack.env.scheduler.schedule(() => {
        c.views$.subscribe({ next: show, complete: () => c.end() });
      }, 100);
    });
    const sent = new Uint8Array(100_000).map((_, i) => i * 7);
    connect(stack.hosts[0], port).subscribe((c) => {
      c.data$.subscribe({ complete: () => (ended = true) });
      c.sink.next(sent);
      c.sink.complete();
    });
    stack.scheduler.run();
    listening.unsubscribe();
    expect([ended, joined(seen).equals(sent)]).to.deep.equal([true, true]);
    expect(views.slice(0, 3).map((view) => [...new Set(view)])).to.deep.equal([[0xdb], [0xdb], [0xdb]]);
    stack.expectClean();
  });

  it('has one reader at a time, of chunks or of views', () => {
    const stack = new Pair({ version });
    const port: Endpoint = { address: stack.ends[1], port: 7 };
    const codes: (string | undefined)[] = [];
    const refused = { error: ({ code }: { code?: string }) => codes.push(code) };
    const listening = listen(stack.hosts[1], port).subscribe((c) => {
      const first = c.views$.subscribe();
      c.views$.subscribe(refused);
      c.data$.subscribe(refused);
      first.unsubscribe();
      c.data$.subscribe({ complete: () => c.end() });
    });
    connect(stack.hosts[0], port).subscribe((c) => stack.env.scheduler.schedule(() => c.end(), 50));
    stack.scheduler.run();
    listening.unsubscribe();
    expect(codes).to.deep.equal(['ERR_INVALID_STATE', 'ERR_INVALID_STATE']);
    stack.expectClean();
  });

  it('errors with what had ended a connection before it was accepted', () => {
    const stack = new Pair({ version });
    const port: Endpoint = { address: stack.ends[1], port: 7 };
    const told: (string | undefined)[] = [];
    const note = (name: string) => ({
      next: (chunk: Uint8Array) => told.push(`${name} ${chunk.join()}`),
      error: ({ code }: { code?: string }) => told.push(`${name} ${code}`),
      complete: () => told.push(`${name} complete`),
    });
    const connection = stack.hosts[0].connect(port, {
      connected: () => void connection.write(Uint8Array.of(1, 2, 3)),
      flushed: () => connection.abort(),
      readable: () => undefined,
      writable: () => undefined,
      closed: () => undefined,
    });
    const listener = stack.hosts[1].listen(port, { acceptEnded: true });
    stack.scheduler.run();
    const accepted = listener.accept();
    if (accepted === undefined) throw new Error('nobody came');
    expect(accepted.state).to.equal('CLOSED');
    const c = new RxConnection(accepted);
    c.data$.subscribe(note('data'));
    c.closed$.subscribe(note('closed'));
    stack.scheduler.run();
    listener.close();
    expect(told).to.deep.equal(['data 1,2,3', 'data ECONNRESET', 'closed ECONNRESET']);
    stack.expectClean();
  });

  it('tells of trouble that does not end a connection', () => {
    let cut = false;
    const stack = new Pair({ version, carry: () => (cut ? [] : [5]) });
    const port: Endpoint = { address: stack.ends[1], port: 7 };
    const told: string[] = [];
    const listening = listen(stack.hosts[1], port).subscribe((c) => c.data$.subscribe({ complete: () => c.end() }));
    connect(stack.hosts[0], port).subscribe((c) => {
      c.trouble$.subscribe({ next: ({ code }) => told.push(code), complete: () => told.push('over') });
      cut = true;
      stack.env.scheduler.schedule(() => void (cut = false), 3000);
      c.data$.subscribe();
      c.sink.next(Uint8Array.of(1));
      c.end();
    });
    stack.scheduler.run();
    listening.unsubscribe();
    expect(told).to.deep.equal(['ETIMEDOUT', 'over']);
    stack.expectClean();
  });

  it('tells the states of a connection, from the one that it is in, and completes with the last', () => {
    const stack = new Pair({ version });
    const port: Endpoint = { address: stack.ends[1], port: 7 };
    const told: string[] = [];
    const listening = listen(stack.hosts[1], port).subscribe((c) => {
      c.states$.subscribe({ next: (state) => told.push(`server ${state}`), complete: () => told.push('server over') });
      c.data$.subscribe({ complete: () => c.end() });
    });
    let client: RxConnection | undefined;
    connect(stack.hosts[0], port).subscribe((c) => {
      client = c;
      c.data$.subscribe();
      const first = c.states$.subscribe((state) => told.push(`left ${state}`));
      first.unsubscribe();
      c.states$.subscribe((state) => told.push(`client ${state}`));
      expect(c.info()).to.include({ state: 'ESTABLISHED', congestion: 'cubic' });
      c.end();
    });
    stack.scheduler.run();
    listening.unsubscribe();
    expect(told.filter((line) => line.startsWith('server'))).to.deep.equal([
      // The FIN came with the ACK that ended the handshake.
      'server CLOSE-WAIT',
      'server LAST-ACK',
      'server CLOSED',
      'server over',
    ]);
    expect(told.filter((line) => !line.startsWith('server'))).to.deep.equal([
      'left ESTABLISHED',
      'client ESTABLISHED',
      'client FIN-WAIT-1',
      'client FIN-WAIT-2',
      'client TIME-WAIT',
      'client CLOSED',
    ]);
    const late: string[] = [];
    client?.states$.subscribe({ next: (state) => late.push(state), complete: () => late.push('over') });
    expect(late).to.deep.equal(['CLOSED', 'over']);
    stack.expectClean();
  });

  it('listening tells where, fails with its code, and stops when left', async () => {
    let port = 0;
    const first = listen(server, any(0), { onListening: (local) => (port = local.port) }).subscribe();
    expect(port).to.be.greaterThan(0);
    expect((await failure(firstValueFrom(listen(server, any(port)))))?.code).to.equal('EADDRINUSE');
    first.unsubscribe();
  });

  it('datagrams come by messages$ and leave by the sink', async () => {
    const udp = new FakeUdp();
    const local = (port: number): Endpoint => ({ address: loopback, port });
    const echo = datagrams(udp, local(7));
    echo.messages$.pipe(map(({ data, source }) => ({ data, to: source }))).subscribe(echo.sink);
    const me = datagrams(udp, local(0));
    const answers = lastValueFrom(me.messages$.pipe(take(2), toArray()));
    const out = new Subject<string>();
    out.pipe(map((text) => ({ data: bytes(text), to: local(7) }))).subscribe(me.sink);
    out.next('one');
    out.next('two');
    expect((await answers).map(({ data }) => new TextDecoder().decode(data))).to.deep.equal(['one', 'two']);
    const wrong = firstValueFrom(me.errors$);
    me.sink.next({ data: new Uint8Array(70_000), to: local(7) });
    expect((await wrong).code).to.equal('EMSGSIZE');
    out.complete();
    echo.close();
    expect(udp.sockets.size).to.equal(0);
  });
});
