import { expect } from 'chai';
import { SeededRandom } from '../../../../lib/core/random.js';
import type { TcpConnection } from '../../../../lib/l4/tcp/api.js';
import { App, Pair, pattern, VERSIONS } from './pair.js';

/** Reads some bytes now and then. */
class SlowReader extends App {
  private readonly pair: Pair;
  private readonly random: SeededRandom;
  private readonly pace: number;
  private reading = false;

  constructor(pair: Pair, random: SeededRandom, pace: number) {
    super();
    this.pair = pair;
    this.random = random;
    this.pace = pace;
  }

  override readable(): void {
    if (this.reading) return;
    this.reading = true;
    this.pair.env.scheduler.schedule(() => this.take(), this.random.below(this.pace));
  }

  private take(): void {
    this.reading = false;
    const { connection } = this;
    const bytes = connection?.read(1 + this.random.below(3 * this.pace * this.pace));
    if (connection === undefined || bytes === undefined) return;
    this.chunks.push(bytes);
    this.receivedBytes += bytes.length;
    if (connection.readableBytes > 0) this.readable();
  }
}

/** From 1 byte to 16 MiB, each order of magnitude alike. */
const size = (random: SeededRandom): number => Math.floor(2 ** (random.float() * 24));

for (const version of VERSIONS) {
  describe(`TCP windows over IPv${version}`, () => {
    it('never stall, whatever their size and however slowly an application reads (MUST-34, MUST-35, MUST-39, SHLD-14, SM-13)', () => {
      for (let seed = 1; seed <= 60; seed++) {
        const random = new SeededRandom(seed);
        const fixed = random.below(2) === 0;
        const buffer = size(random);
        const tcp = {
          receiveBuffer: fixed ? 1 << 17 : buffer,
          receiveBufferMax: size(random),
          memory: random.below(3) === 0 ? size(random) : 1 << 28,
          receiveWindow: random.below(2) === 0 ? ('gradual' as const) : ('whole' as const),
          wholeSegmentBuffers: random.below(2) === 0,
          initialReceiveWindow: 1 + random.below(65_535),
          timestamps: random.below(2) === 0,
          delayedAck: [0, 40, 200][random.below(3)] ?? 0,
          ackPolicy: (['adaptive', 'every-second', 'full-sized'] as const)[random.below(3)] ?? 'adaptive',
        };
        const lossy = random.below(3) === 0;
        const pair = new Pair({
          version,
          seed,
          tcp: [tcp, tcp],
          carry: () => (lossy && random.below(50) === 0 ? [] : [random.below(2) === 0 ? 5 : 6]),
        });
        const least = Math.min(fixed ? buffer : tcp.receiveBuffer, tcp.memory);
        const data = pattern(Math.min(500_000, 50 + 40 * least, 2000 + 20 * tcp.initialReceiveWindow), seed);
        const client = new App(data, false);
        const server = new SlowReader(pair, random, 1 + random.below(40));
        const options = fixed ? { receiveBuffer: buffer } : {};
        const listener = pair.hosts[1].listen({ address: pair.ends[1], port: 80 }, options);
        listener.acceptable = () => {
          const connection: TcpConnection | undefined = listener.accept();
          if (connection !== undefined) server.attach(connection);
        };
        client.connection = pair.hosts[0].connect({ address: pair.ends[1], port: 80 }, client);
        for (let i = 0; i < 4000 && server.receivedBytes < data.length; i++) {
          pair.scheduler.runFor(1000);
          // Buffers change while data are on their way. (A window that became tiny is used five times a second: RFC 9293 3.8.6.2.1.)
          if (i < 8 && random.below(3) === 0) server.connection?.setReceiveBuffer(2000 + size(random));
        }
        expect(server.receivedBytes, `seed ${seed}: bytes that arrived`).to.equal(data.length);
        expect(Buffer.from(server.data).equals(Buffer.from(data)), `seed ${seed}`).to.equal(true);
        client.connection?.close();
        server.connection?.close();
        pair.scheduler.runFor(200_000);
        for (const { memory } of pair.hosts) expect(memory.used, `seed ${seed}: memory`).to.equal(0);
        listener.close();
        pair.expectClean();
      }
    }).timeout(60_000);
  });
}
