/** Peers that go away, talk nonsense, or ask for too much: a clear end each, and nothing is left. */

import { expect } from 'chai';
import { spy, stub } from 'sinon';
import type { NetError } from '../../../../lib/core/errors.js';
import type { TcpConnection } from '../../../../lib/l4/tcp/api.js';
import { anyEndpoint } from '../../../../lib/l4/udp.js';
import { emitMessage, IPERF_PORT, IperfErrorCode, IperfState } from '../../../../lib/l7/iperf3/messages.js';
import { forBothVersions } from '../../../both-versions.js';
import { IperfBench, Log, MEGABIT } from './bench.js';

const COOKIE = Buffer.from(`${'c'.repeat(36)}\0`);

/** A connection whose bytes a test writes itself. */
class Raw {
  readonly connection: TcpConnection;
  readonly received: number[] = [];
  ended: NetError | 'end' | undefined = undefined;
  /** Reads nothing. */
  deaf = false;

  constructor(bench: IperfBench, ...bytes: readonly Uint8Array[]) {
    const remote = { address: bench.facts.a, port: IPERF_PORT };
    this.connection = bench.net.hosts.client.tcp.connect(remote, {
      connected: () => undefined,
      readable: () => this.readable(),
      writable: () => undefined,
      flushed: () => undefined,
      closed: (error) => (this.ended ??= error ?? 'end'),
    });
    for (const one of bytes) this.connection.write(one);
  }

  private readable(): void {
    if (this.deaf) return;
    for (let part = this.connection.read(); part !== undefined; part = this.connection.read())
      this.received.push(...part);
    if (!this.connection.readEnded) return;
    this.ended ??= 'end';
    this.connection.close();
  }
}

forBothVersions('iperf3, peers that do not behave', (facts) => {
  let bench: IperfBench;
  beforeEach(() => {
    bench = new IperfBench(facts);
  });
  afterEach(() => {
    // Whatever happened: the next test is as good as the first.
    bench.net.runFor(200);
    expect(bench.run({ time: 1 }).error).to.equal(undefined);
    bench.close();
  });

  /** Speaks up to a point, and returns what the server said. */
  const say = (...bytes: readonly Uint8Array[]): Raw => {
    const raw = new Raw(bench, ...bytes);
    bench.net.runFor(500);
    return raw;
  };

  it('a client that goes away in the middle', () => {
    for (const parameters of [{}, { reverse: true }, { protocol: 'udp', bitrate: MEGABIT, length: 500 }] as const) {
      const { client } = bench.start(parameters);
      bench.net.runFor(1500);
      expect(bench.tests.at(-1)?.begun).not.to.equal(undefined);
      client.stop();
      bench.net.runFor(1000);
      expect(bench.outcomes.at(-1)).to.have.property('code', 'ECANCELED');
      expect(bench.tests.at(-1)?.error).to.have.property('message', 'the client has ended the test');
    }
  });

  it('a client whose connection breaks without a word', () => {
    const raw = say(COOKIE, emitMessage({ tcp: true, time: 10, parallel: 2 }));
    expect(raw.received).to.deep.equal([IperfState.ParameterExchange, IperfState.CreateStreams]);
    raw.connection.abort();
    bench.net.runFor(100);
    expect(bench.outcomes[0]).to.have.property('code', 'ECONNRESET');
    say(COOKIE, emitMessage({ tcp: true, time: 10, parallel: 2 })).connection.end();
    bench.net.runFor(100);
    expect(bench.outcomes[1]).to.have.property('message', 'the control connection was closed');
  });

  it('a client that falls silent', () => {
    const cases = [[COOKIE], [COOKIE, emitMessage({ tcp: true, time: 10, parallel: 1 })]];
    for (const bytes of cases) {
      say(...bytes);
      bench.net.runFor(40_000);
      expect(bench.outcomes.at(-1)).to.have.property('code', 'ETIMEDOUT');
    }
    const shy = say(Buffer.from('nothing'));
    bench.net.runFor(15_000);
    expect(shy.ended).to.have.property('code', 'ECONNRESET');
  });

  it('a second client is told that the server is busy, and the first goes on', () => {
    const { log } = bench.start({ time: 3 });
    bench.net.runFor(1000);
    const { log: second } = bench.start({});
    bench.net.runFor(1500);
    expect(second.error).to.have.property('code', 'EBUSY');
    expect(say(COOKIE).received).to.deep.equal([IperfState.AccessDenied]);
    bench.net.runFor(3000);
    expect(log.end).not.to.equal(undefined);
  });

  it('a stream with the cookie of somebody else', () => {
    const { log } = bench.start({ protocol: 'udp', length: 100, bitrate: MEGABIT, time: 1 });
    bench.net.runFor(2);
    expect(say(COOKIE).received).to.deep.equal([IperfState.AccessDenied]);
    bench.net.runFor(3000);
    expect(log.end).not.to.equal(undefined);
  });

  it('no cookie', () => {
    for (const bytes of [
      Buffer.from('GET / HTTP/1.1\r\nHost: iperf.example.com\r\n\r\n'),
      Buffer.alloc(37),
      Buffer.alloc(40, 0xff),
    ]) {
      const raw = say(bytes);
      expect(raw.received).to.deep.equal([]);
      expect(raw.ended).to.have.property('code', 'ECONNRESET');
    }
    expect(bench.tests).to.deep.equal([]);
  });

  const refusal = (code: number) => [IperfState.ParameterExchange, IperfState.ServerError, 0, 0, 0, code, 0, 0, 0, 0];

  it('parameters that are none', () => {
    const lengths = [0, 65_537, 0xffff_ffff].map((length) => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(length);
      return bytes;
    });
    const texts = ['[]', 'null', '{', '"', '\ud800'].map((text) =>
      Buffer.concat([Buffer.from([0, 0, 0, Buffer.byteLength(text)]), Buffer.from(text)]),
    );
    for (const bytes of [...lengths, ...texts]) {
      const raw = say(COOKIE, bytes);
      expect(raw.received, bytes.toString('latin1')).to.deep.equal(refusal(IperfErrorCode.ReceiveParameters));
      expect(bench.outcomes.at(-1)).to.have.property('code', 'EPROTO');
    }
  });

  it('parameters that are absurd', () => {
    const cases: readonly (readonly [number, object])[] = [
      [IperfErrorCode.Streams, { parallel: 129 }],
      [IperfErrorCode.Streams, { parallel: 0 }],
      [IperfErrorCode.Streams, { parallel: 1e9 }],
      [IperfErrorCode.Streams, { parallel: '8' }],
      [IperfErrorCode.BlockSize, { len: (1 << 20) + 1 }],
      [IperfErrorCode.BlockSize, { len: 0 }],
      [IperfErrorCode.BlockSize, { udp: true, len: 11 }],
      [IperfErrorCode.BlockSize, { udp: true, len: 15, udp_counters_64bit: 1 }],
      [IperfErrorCode.BlockSize, { udp: true, len: 65_508 }],
      [IperfErrorCode.Duration, { time: 86_401 }],
      [IperfErrorCode.Duration, { time: -1 }],
      [IperfErrorCode.Duration, { time: 0.5 }],
      [IperfErrorCode.Omit, { omit: 601 }],
      [IperfErrorCode.SegmentSize, { MSS: 1 }],
      [IperfErrorCode.SegmentSize, { MSS: 65_000 }],
      [IperfErrorCode.BufferSize, { window: 2 ** 40 }],
      [IperfErrorCode.TypeOfService, { TOS: 256 }],
      [IperfErrorCode.Burst, { burst: 1001 }],
      [IperfErrorCode.Sctp, { sctp: true }],
      [IperfErrorCode.ReceiveParameters, { num: -1 }],
      [IperfErrorCode.ReceiveParameters, { bandwidth: 1e300 }],
      [IperfErrorCode.ReceiveParameters, { reverse: true, bidirectional: true }],
    ];
    for (const [code, parameters] of cases) {
      const raw = say(COOKIE, emitMessage({ tcp: !('udp' in parameters), parallel: 1, len: 1000, ...parameters }));
      expect(raw.received, JSON.stringify(parameters)).to.deep.equal(refusal(code));
    }
  });

  it('states that make no sense', () => {
    for (const state of [0, 1, 13, 16, 77, 0xff]) {
      const raw = say(COOKIE, emitMessage({ tcp: true, parallel: 1, time: 1 }), Uint8Array.of(state));
      expect(raw.received.slice(2)).to.deep.equal([
        IperfState.ServerError,
        0,
        0,
        0,
        IperfErrorCode.ReceiveMessage,
        0,
        0,
        0,
        0,
      ]);
    }
  });

  it('results that are none', () => {
    for (const results of [{}, { streams: 1 }, { streams: [null] }, { streams: [{ id: 'x' }] }]) {
      const raw = new Raw(bench, COOKIE, emitMessage({ tcp: true, parallel: 1, time: 1, len: 1000 }));
      bench.net.runFor(100);
      const stream = new Raw(bench, COOKIE);
      bench.net.runFor(100);
      stream.connection.write(Buffer.alloc(5000));
      raw.connection.write(Uint8Array.of(IperfState.TestEnd));
      raw.connection.write(emitMessage(results));
      bench.net.runFor(500);
      expect(raw.received.slice(4, 5), JSON.stringify(results)).to.deep.equal([IperfState.ExchangeResults]);
      expect(raw.received.slice(5, 10)).to.deep.equal([IperfState.ServerError, 0, 0, 0, IperfErrorCode.ReceiveResults]);
      expect(bench.tests.at(-1)?.end?.streams[0]?.received?.count.bytes).to.equal(5000);
    }
  });

  it('a client that hears nothing until its stream ends', () => {
    const raw = new Raw(bench, COOKIE, emitMessage({ tcp: true, parallel: 1, time: 1, len: 100_000, reverse: true }));
    bench.net.runFor(100);
    const stream = new Raw(bench, COOKIE);
    bench.net.runFor(1000);
    expect(stream.ended).to.equal(undefined);
    raw.connection.write(Uint8Array.of(IperfState.TestEnd));
    bench.net.runFor(5000);
    expect(stream.ended).to.equal('end');
    expect(stream.received.length % 100_000).to.equal(0);
    raw.connection.abort();
  });

  it('a client that never ends its test', () => {
    const raw = new Raw(bench, COOKIE, emitMessage({ tcp: true, parallel: 1, time: 0, len: 1000 }));
    bench.net.runFor(100);
    const stream = new Raw(bench, COOKIE);
    for (let second = 0; second < 86_400; second += 100) {
      stream.connection.write(Uint8Array.of(0));
      bench.net.runFor(100_000);
    }
    expect(bench.outcomes).to.deep.equal([]);
    bench.net.runFor(20_000);
    expect(bench.outcomes[0]).to.have.property('message', 'the client does not end the test');
    raw.connection.abort();
    stream.connection.abort();
  });

  it('a client that wants much output and reads none', () => {
    const output = stub(Log.prototype, 'output').returns('x'.repeat(4 << 20));
    const members = { tcp: true, parallel: 1, time: 1, len: 1000, get_server_output: 1 };
    const raw = new Raw(bench, COOKIE, emitMessage(members));
    bench.net.runFor(100);
    const stream = new Raw(bench, COOKIE);
    bench.net.runFor(100);
    stream.connection.write(Buffer.alloc(5000));
    raw.deaf = true;
    raw.connection.write(Uint8Array.of(IperfState.TestEnd));
    raw.connection.write(emitMessage({ streams: [{ id: 1, bytes: 5000 }] }));
    bench.net.runFor(40_000);
    output.restore();
    expect(bench.tests[0]?.end).not.to.equal(undefined);
    const states = () => [...bench.net.hosts.server.tcp.connections()].map(({ state }) => state);
    expect(states()).to.include('ESTABLISHED');
    bench.net.runFor(60_000);
    expect(states()).not.to.include('ESTABLISHED');
    expect(bench.outcomes).to.deep.equal([undefined]);
    expect(raw.ended).to.have.property('code', 'ECONNRESET');
  });

  it('a client that wants tiny blocks in a large buffer gets them in few writes', () => {
    for (const more of [{}, { bandwidth: 1e12 }, { burst: 1000, bandwidth: 1e12 }, { num: 1 << 20 }]) {
      const members = { tcp: true, parallel: 1, time: 10, len: 1, reverse: true, window: 1 << 20, ...more };
      const raw = new Raw(bench, COOKIE, emitMessage(members));
      bench.net.runFor(100);
      const write = spy(Object.getPrototypeOf(raw.connection) as TcpConnection, 'write');
      const stream = new Raw(bench, COOKIE);
      bench.net.runFor(20);
      write.restore();
      const bytes = write.args.reduce((sum, [data]) => sum + data.length, 0);
      expect(bytes, JSON.stringify(more)).to.be.above(1 << 19);
      expect(write.callCount, JSON.stringify(more)).to.be.below(200);
      stream.connection.abort();
      raw.connection.abort();
      bench.net.runFor(100);
    }
  });

  it('datagrams of somebody else, and such as are none of ours', () => {
    const { log } = bench.start({ protocol: 'udp', length: 1000, bitrate: MEGABIT, time: 2, omit: 1 });
    const socket = bench.net.hosts.client.udp.bind(anyEndpoint(facts.version, 0), {
      message: () => undefined,
      error: () => undefined,
    });
    for (let i = 0; i < 30; i++) {
      bench.net.runFor(100);
      for (const size of [0, 3, 4, 5, 11, 12, 1000])
        socket.send(Buffer.alloc(size, 0xff), { address: facts.a, port: IPERF_PORT });
    }
    socket.close();
    bench.net.runFor(2000);
    expect(log.end?.streams[0]?.received?.count.lost).to.equal(0);
  });
});

forBothVersions('iperf3, a server that does not behave', (facts) => {
  /** A client whose server says these bytes. */
  function against(...bytes: readonly number[]): IperfBench['tests'][number] {
    const bench = new IperfBench(facts);
    bench.server.close();
    bench.net.runFor(10);
    const listener = bench.net.hosts.server.tcp.listen(anyEndpoint(facts.version, IPERF_PORT));
    listener.acceptable = () => {
      const connection = listener.accept();
      connection?.write(Uint8Array.from(bytes));
    };
    const { log } = bench.start({});
    bench.net.runFor(100_000);
    listener.close();
    for (const connection of bench.net.hosts.server.tcp.connections()) connection.abort();
    bench.close();
    return log;
  }

  it('ends in an error that says why', () => {
    const { ParameterExchange, ServerError, ServerTerminate, TestRunning, DisplayResults } = IperfState;
    expect(against().error).to.have.property('code', 'ETIMEDOUT');
    expect(against(0xff).error).to.have.property('message', 'the server is busy with another test');
    expect(against(ServerTerminate).error).to.have.property('code', 'ECANCELED');
    expect(against(ServerError, 0, 0, 0, 6, 0, 0, 0, 0).error).to.have.property(
      'message',
      'the server refuses: too many streams',
    );
    expect(against(ServerError, 0, 0, 0, 99, 0, 0, 0, 0).error).to.have.property(
      'message',
      'the server refuses: error 99',
    );
    expect(against(TestRunning).error).to.have.property(
      'message',
      'the server says TestRunning, which nobody expects now',
    );
    expect(against(ParameterExchange, DisplayResults).error).to.have.property('code', 'EPROTO');
    expect(against(ParameterExchange, ParameterExchange).error).to.have.property('code', 'EPROTO');
    expect(against(0).error).to.have.property('code', 'EPROTO');
  });

  it('nobody listens', () => {
    const bench = new IperfBench(facts);
    bench.server.close();
    bench.net.runFor(10);
    expect(bench.run({}).error).to.have.property('message').that.contains('ECONNREFUSED');
    bench.close();
  });

  it('the server ends in the middle', () => {
    const bench = new IperfBench(facts);
    const { log } = bench.start({});
    bench.net.runFor(1500);
    bench.server.close();
    bench.net.runFor(1000);
    expect(log.error).to.have.property('message', 'the server has ended the test');
    bench.close();
  });
});
