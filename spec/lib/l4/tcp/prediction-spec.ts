import { expect } from 'chai';
import * as fc from 'fast-check';
import { SeededRandom } from '../../../../lib/core/random.js';
import type { TcpConnection } from '../../../../lib/l4/tcp/api.js';
import type { TcpOptions } from '../../../../lib/l4/tcp/options.js';
import { Dut } from './dut.js';
import { VERSIONS } from './pair.js';

const OPTIONS: TcpOptions = {
  ackPolicy: 'adaptive',
  quickAcks: 16,
  receiveWindow: 'gradual',
  receiveBuffer: 20_000,
  timestamps: true,
  windowScaling: true,
  sack: true,
};

/** A connection whose segments go by header prediction; or, where the peer asked for ECN and never uses it, check by check. */
class Way {
  readonly dut: Dut;
  readonly connection: TcpConnection;
  readonly said: string[] = [];
  readonly read: number[] = [];

  constructor(version: 4 | 6, ecn: boolean) {
    this.dut = new Dut(version, OPTIONS);
    const listener = this.dut.listen();
    this.dut.rx(`${ecn ? 'SEW' : 'S'} 0:0(0) win 20000 <mss 1000,sackOK,TS val 100 ecr 0,nop,wscale 4>`);
    this.dut.take();
    this.dut.rx('. 1:1(0) ack 1 win 1000 <nop,nop,TS val 101 ecr 1000>');
    const connection = listener.accept();
    if (connection === undefined) throw new Error('nothing to accept');
    this.connection = connection;
  }

  /** What can be seen of it. */
  look(): unknown[] {
    const { dut, connection, said } = this;
    said.push(
      ...dut
        .take()
        .map((line) => line.replace(/^\[\w+\] /, '').replace(/^[A-Z]+/, (flags) => flags.replace(/[EW]/g, ''))),
    );
    const { options: _, ...info } = connection.info();
    return [said, this.read, info, dut.host.memory.used, dut.dropNames()];
  }
}

/** What the peer and the application do next, the same for both. */
function step(random: SeededRandom, ways: readonly Way[], peer: { next: number; value: number }): void {
  const some = 1 + random.below(1000);
  const kind = random.below(12);
  const acked = random.below(3);
  const window = random.below(20) === 0 ? 0 : 900 + random.below(4) * 50;
  const behind = random.below(1500);
  const value = peer.value + (random.below(30) === 0 ? -5 : random.below(3));
  const wait = random.below(100);
  for (const { dut, connection, read } of ways) {
    const sent = connection.info().bytesSent - connection.info().bytesRetrans + 1;
    const ack = acked === 0 ? sent : Math.max(1, sent - connection.unacknowledgedBytes);
    const rest = `ack ${ack} win ${window} <nop,nop,TS val ${value} ecr 1000>`;
    const at = kind === 8 ? peer.next + behind : kind === 9 ? Math.max(1, peer.next - behind) : peer.next;
    if (kind < 5 || kind === 8 || kind === 9) {
      dut.rx(`${acked === 1 ? 'P' : ''}. ${at}:${at + some}(${some}) ${rest}`);
    } else if (kind === 5) dut.rx(`. ${peer.next}:${peer.next}(0) ${rest}`);
    else if (kind === 6) dut.wait(wait);
    else if (kind === 7) connection.write(new Uint8Array(some));
    else for (let bytes = connection.read(); bytes !== undefined; bytes = connection.read()) read.push(...bytes);
  }
  peer.value = Math.max(peer.value, value);
  const [first] = ways;
  // The peer goes on where it was acknowledged, at least.
  if (first !== undefined) peer.next = 1 + first.connection.info().bytesReceived;
}

for (const version of VERSIONS) {
  describe(`header prediction of TCP over IPv${version}`, () => {
    it('leads where checking everything leads', () => {
      fc.assert(
        fc.property(fc.integer(), (seed) => {
          const ways = [new Way(version, false), new Way(version, true)] as const;
          const random = new SeededRandom(seed);
          const peer = { next: 1, value: 101 };
          for (let i = 0; i < 60; i++) {
            step(random, ways, peer);
            expect(ways[0].look()).to.deep.equal(ways[1].look());
          }
          for (const { dut, connection } of ways) {
            connection.abort();
            dut.expectClean();
          }
        }),
        { numRuns: 60 },
      );
    });
  });
}
