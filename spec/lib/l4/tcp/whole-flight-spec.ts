import { expect } from 'chai';
import * as fc from 'fast-check';
import { SeededRandom } from '../../../../lib/core/random.js';
import { Connection } from '../../../../lib/l4/tcp/connection.js';
import type { TcpOptions } from '../../../../lib/l4/tcp/options.js';
import { Dut } from './dut.js';
import { VERSIONS } from './pair.js';

const CONTROLS = ['cubic', 'newreno', 'bbr'] as const;

/** A connection that goes straight where it can; or step by step, as all do that have known trouble and have settings of their own. */
class Way {
  readonly dut: Dut;
  readonly connection: Connection;

  constructor(version: 4 | 6, options: TcpOptions, stepwise: boolean) {
    this.dut = new Dut(version, { sack: true, windowScaling: true, ...options });
    const listener = this.dut.listen();
    const stamps = options.timestamps === true;
    this.dut.rx(`S 0:0(0) win 20000 <mss 1000,sackOK${stamps ? ',TS val 100 ecr 0' : ''},nop,wscale 4>`);
    this.dut.take();
    this.dut.rx(`. 1:1(0) ack 1 win 1000 ${stamps ? '<nop,nop,TS val 101 ecr 1000>' : ''}`);
    const connection = listener.accept();
    if (!(connection instanceof Connection)) throw new Error('nothing to accept');
    this.connection = connection;
    if (!stepwise) return;
    expect(connection.recovery.known.rack).to.equal(undefined);
    expect(connection.ownSettings.corked).to.equal(false);
  }

  look(): unknown[] {
    const { dut, connection } = this;
    const { rtt, rate, timers } = connection;
    const { scheduler, host } = dut;
    const { acknowledgment } = host;
    const deadline = timers.retransmitAt;
    return [
      dut.take(),
      connection.info(),
      Object.entries(rtt),
      Object.entries(rate ?? {}),
      Object.entries(acknowledgment),
      deadline,
      host.memory.used,
      scheduler.pending,
    ];
  }
}

/** What the application and the peer do next, the same for both. */
function step(random: SeededRandom, ways: readonly Way[], stamps: boolean): void {
  const some = 1 + random.below(random.below(2) === 0 ? 1000 : 4000);
  const kind = random.below(8);
  const part = random.below(6) === 0 ? random.below(2000) : 0;
  const window = random.below(20) === 0 ? 0 : 900 + random.below(4) * 50;
  const wait = random.below(random.below(8) === 0 ? 700 : 20);
  for (const { dut, connection } of ways) {
    const { snd, rcv } = connection;
    const una = (snd.una - snd.iss) | 0;
    const ack = Math.max(una, ((snd.nxt - snd.iss) | 0) - part);
    const next = (rcv.nxt - rcv.irs) | 0;
    const rest = `ack ${ack} win ${window} ${stamps ? `<nop,nop,TS val ${dut.scheduler.now()} ecr 1000>` : ''}`;
    if (kind < 3) connection.write(new Uint8Array(some));
    else if (kind < 6) dut.rx(`. ${next}:${next}(0) ${rest}`);
    else if (kind === 6) {
      dut.rx(`P. ${next}:${next + 64}(64) ${rest}`);
      while (connection.read() !== undefined);
    } else dut.wait(wait);
  }
}

for (const version of VERSIONS) {
  describe(`requests and answers of one segment over IPv${version}`, () => {
    for (const congestion of CONTROLS) {
      it(`lead straight to where step by step leads, with ${congestion}`, () => {
        fc.assert(
          fc.property(fc.integer(), fc.boolean(), fc.boolean(), (seed, timestamps, noDelay) => {
            const options: TcpOptions = { congestion, timestamps, tlp: noDelay };
            const ways = [new Way(version, options, false), new Way(version, options, true)] as const;
            for (const { connection } of ways) connection.setNoDelay(noDelay);
            const random = new SeededRandom(seed);
            for (let i = 0; i < 60; i++) {
              step(random, ways, timestamps);
              expect(ways[0].look()).to.deep.equal(ways[1].look());
            }
            for (const { dut, connection } of ways) {
              connection.abort();
              dut.expectClean();
            }
          }),
          { numRuns: 30 },
        );
      });
    }
  });
}
