import { expect } from 'chai';
import * as fc from 'fast-check';
import { SeededRandom } from '../../../../lib/core/random.js';
import type { TcpConnection, TcpListenOptions } from '../../../../lib/l4/tcp/api.js';
import type { TcpOptions } from '../../../../lib/l4/tcp/options.js';
import { Dut } from './dut.js';
import { mark, MarkingQueue } from './marking.js';
import { App, join, Pair, pattern, VERSIONS } from './pair.js';

const MSS = 1000;

/** Exactly these segments came out since the last look, whatever their windows. */
function sees(dut: Dut, ...lines: string[]): void {
  expect(dut.takeBare()).to.deep.equal(lines);
}

for (const version of VERSIONS) {
  describe(`ECN over IPv${version}`, () => {
    const host = (options: TcpOptions = {}) => new Dut(version, options);

    /** A connection that the peer opened with ECN. */
    function accepted(dut: Dut, options: TcpListenOptions = {}): TcpConnection {
      const listener = dut.listen(options);
      dut.rx(`SEW 0:0(0) win 65535 <mss ${MSS}>`);
      dut.rx('. 1:1(0) ack 1 win 65535');
      const connection = listener.accept();
      if (connection === undefined) throw new Error('nothing to accept');
      sees(dut, 'SE. 0:0(0) ack 1 <mss 1460>');
      return connection;
    }

    describe('handshake', () => {
      it('agrees to it where the peer asks: SEW, SE. (SHLD-8, 3168-1)', () => {
        const dut = host();
        dut.listen();
        dut.rx('SEW 0:0(0) win 65535 <mss 1000>');
        sees(dut, 'SE. 0:0(0) ack 1 <mss 1460>');
        dut.wait(1000);
        sees(dut, 'SE. 0:0(0) ack 1 <mss 1460>');
        dut.expectClean();
      });

      for (const flags of ['SE', 'SW', 'SEW', 'SEWA', 'SA', 'SEA', 'SWA']) {
        it(`GT-23: accepts a ${flags} and answers ${flags.startsWith('SEW') ? 'SE.' : 'S.'}`, () => {
          const dut = host();
          dut.listen();
          dut.rx(`${flags} 0:0(0) win 65535 <mss 1000>`);
          sees(dut, `S${flags.startsWith('SEW') ? 'E' : ''}. 0:0(0) ack 1 <mss 1460>`);
          dut.expectClean();
        });
      }

      it('does not agree where it is off, for the host or the listener', () => {
        for (const [options, listening] of [
          [{ ecn: 'off' }, {}],
          [{ ecn: 'on' }, { ecn: 'off' }],
        ] as const) {
          const dut = host(options);
          dut.listen(listening);
          dut.rx('SEW 0:0(0) win 65535 <mss 1000>');
          sees(dut, 'S. 0:0(0) ack 1 <mss 1460>');
          dut.expectClean();
        }
      });

      it('does not agree to a SYN that is marked itself, for a router played with it', () => {
        for (const mark of ['ect0', 'ect1', 'ce']) {
          const dut = host();
          dut.listen();
          dut.rx(`[${mark}] SEW 0:0(0) win 65535 <mss 1000>`);
          sees(dut, 'S. 0:0(0) ack 1 <mss 1460>');
          dut.expectClean();
        }
      });

      it('asks for it where it is on, for the host or the connection: SEW (SHLD-8, 3168-1)', () => {
        for (const [options, connecting] of [
          [{ ecn: 'on' }, {}],
          [{}, { ecn: 'on' }],
        ] as const) {
          const dut = host(options);
          dut.connecting(connecting);
          sees(dut, 'SEW 0:0(0) <mss 1460>');
          dut.rx('SE. 0:0(0) ack 1 win 65535 <mss 1000>');
          sees(dut, '. 1:1(0) ack 1');
          dut.expectClean();
        }
      });

      it('does not ask by default', () => {
        const dut = host();
        dut.connecting();
        sees(dut, 'S 0:0(0) <mss 1460>');
        dut.expectClean();
      });

      it('refuses a mode that there is not', () => {
        expect(() => host({ ecn: 'maybe' as 'on' }))
          .to.throw()
          .with.property('code', 'ERR_INVALID_OPTION');
      });

      for (const answer of ['S.', 'SW.', 'SEW.']) {
        it(`takes a peer that answers ${answer} for one without it (3168-2)`, () => {
          const dut = host({ ecn: 'on' });
          const { connection } = dut.connecting();
          dut.rx(`${answer} 0:0(0) ack 1 win 65535 <mss 1000>`);
          dut.take();
          connection.write(new Uint8Array(MSS));
          sees(dut, 'P. 1:1001(1000) ack 1');
          dut.rx('[ce] P. 1:11(10) ack 1001');
          dut.wait(40);
          sees(dut, '. 1001:1001(0) ack 11');
          dut.expectClean();
        });
      }

      it('sends a lost SYN again without it (3168-1)', () => {
        const dut = host({ ecn: 'on' });
        dut.connecting();
        dut.wait(3000);
        sees(dut, 'SEW 0:0(0) <mss 1460>', 'S 0:0(0) <mss 1460>', 'S 0:0(0) <mss 1460>');
        dut.rx('S. 0:0(0) ack 1 win 65535 <mss 1000>');
        sees(dut, '. 1:1(0) ack 1');
        dut.expectClean();
      });

      it('sends it again with ECN if the fallback is off', () => {
        const dut = host({ ecn: 'on', ecnFallback: false });
        dut.connecting();
        dut.wait(1000);
        sees(dut, 'SEW 0:0(0) <mss 1460>', 'SEW 0:0(0) <mss 1460>');
        dut.expectClean();
      });

      it('echoes marks, but sends none, where the first SYN was answered after one without it (3168-1)', () => {
        const dut = host({ ecn: 'on' });
        const { connection } = dut.connecting();
        dut.wait(1000);
        dut.rx('SE. 0:0(0) ack 1 win 65535 <mss 1000>');
        dut.take();
        connection.write(new Uint8Array(10));
        sees(dut, 'P. 1:11(10) ack 1');
        dut.rx('[ce] P. 1:11(10) ack 11');
        sees(dut, 'E. 11:11(0) ack 11');
        dut.expectClean();
      });

      it('sends no marks where the peer gave up ECN in a SYN that it sent again (3168-1)', () => {
        const dut = host();
        const listener = dut.listen();
        dut.rx('SEW 0:0(0) win 65535 <mss 1000>');
        dut.rx('S 0:0(0) win 65535 <mss 1000>');
        dut.rx('. 1:1(0) ack 1');
        dut.take();
        listener.accept()?.write(new Uint8Array(10));
        sees(dut, 'P. 1:11(10) ack 1');
        dut.expectClean();
      });

      it('opens at the same time: SEW, SEW, SE., SE. (3168-1)', () => {
        const dut = host({ ecn: 'on' });
        const { connection } = dut.connecting();
        dut.rx('SEW 0:0(0) win 65535 <mss 1000>');
        sees(dut, 'SEW 0:0(0) <mss 1460>', 'SE. 0:0(0) ack 1 <mss 1460>');
        dut.rx('SE. 0:0(0) ack 1 win 65535 <mss 1000>');
        dut.take();
        connection.write(new Uint8Array(10));
        sees(dut, '[ect0] P. 1:11(10) ack 1');
        dut.expectClean();
      });

      it('opens at the same time with a peer that does not ask', () => {
        const dut = host({ ecn: 'on' });
        dut.connecting();
        dut.rx('S 0:0(0) win 65535 <mss 1000>');
        sees(dut, 'SEW 0:0(0) <mss 1460>', 'S. 0:0(0) ack 1 <mss 1460>');
        dut.expectClean();
      });
    });

    describe('sender', () => {
      it('marks new data, and neither SYN, ACK, FIN, RST nor what is sent again (3168-1)', () => {
        const dut = host();
        const connection = accepted(dut);
        connection.write(new Uint8Array(2 * MSS));
        sees(dut, '[ect0] . 1:1001(1000) ack 1', '[ect0] P. 1001:2001(1000) ack 1');
        dut.rx('. 1:1(0) ack 1001');
        dut.wait(1000);
        const again = dut.takeBare();
        expect(again).to.include('P. 1001:2001(1000) ack 1');
        expect(again.join()).not.to.include('ect');
        dut.rx('P. 1:11(10) ack 2001');
        dut.wait(40);
        sees(dut, '. 2001:2001(0) ack 11');
        connection.end();
        sees(dut, 'F. 2001:2001(0) ack 11');
        connection.abort();
        expect(dut.take().join()).to.match(/^R/);
        dut.expectClean();
      });

      it('marks data that go with the FIN', () => {
        const dut = host();
        const connection = accepted(dut, {});
        dut.host.enter();
        connection.setNoDelay(false);
        connection.write(new Uint8Array(10));
        connection.write(new Uint8Array(10));
        connection.end();
        dut.host.leave();
        sees(dut, '[ect0] P. 1:11(10) ack 1', '[ect0] FP. 11:21(10) ack 1');
        dut.expectClean();
      });

      it('marks no window probe (3168-1)', () => {
        const dut = host();
        const connection = accepted(dut);
        dut.rx('. 1:1(0) ack 1 win 0');
        connection.write(new Uint8Array(10));
        dut.wait(1000);
        const probes = dut.take();
        expect(probes.length).to.be.greaterThan(0);
        expect(probes.join()).not.to.include('ect');
        dut.expectClean();
      });

      it('keeps the user’s traffic class out of the two bits', () => {
        const dut = host();
        const { connection } = dut.connected({ trafficClass: 0xbb });
        let classes: number[] = [];
        const { emit } = dut.host.output;
        dut.host.output.emit = (packet) => {
          const word = packet.slab.view.getUint16(packet.start);
          classes.push(version === 4 ? word & 0xff : (word >>> 4) & 0xff);
          emit?.(packet);
        };
        connection.write(new Uint8Array(10));
        expect(classes).to.deep.equal([0xb8]);
        classes = [];
        connection.abort();
        dut.expectClean();
      });

      it('adds the mark to the user’s traffic class', () => {
        const dut = host();
        const connection = accepted(dut, { trafficClass: 0xb8 });
        const classes: number[] = [];
        const { emit } = dut.host.output;
        dut.host.output.emit = (packet) => {
          const word = packet.slab.view.getUint16(packet.start);
          classes.push(version === 4 ? word & 0xff : (word >>> 4) & 0xff);
          emit?.(packet);
        };
        connection.write(new Uint8Array(10));
        dut.rx('P. 1:11(10) ack 11');
        dut.wait(40);
        expect(classes).to.deep.equal([0xba, 0xb8]);
        dut.expectClean();
      });

      it('reduces its window once a round trip, and says CWR with the next new data (3168-1)', () => {
        const dut = host({ initialWindow: 10 });
        const connection = accepted(dut);
        const { counters } = dut.host;
        connection.write(new Uint8Array(30 * MSS));
        expect(dut.take()).to.have.length(10);
        dut.rx('E. 1:1(0) ack 1001');
        expect(counters.ecnReductions).to.equal(1);
        for (let i = 2; i <= 10; i++) dut.rx(`E. 1:1(0) ack ${i * 1000 + 1}`);
        expect(counters.ecnReductions).to.equal(1);
        expect(counters.eceReceived).to.equal(10);
        const sent = dut.takeBare();
        expect(sent[0]).to.equal('[ect0] W. 10001:11001(1000) ack 1');
        expect(sent.slice(1).join()).not.to.include('W');
        // 0.7 of the window that was full.
        expect(sent.length).to.equal(7);
        // What was sent before the reduction says nothing new; what was sent after it does.
        dut.rx('E. 1:1(0) ack 11001');
        expect(counters.ecnReductions).to.equal(2);
        expect(counters.retransmits).to.equal(0);
        dut.expectClean();
      });

      it('says CWR after a loss, too (3168-1)', () => {
        const dut = host({ sack: true, timestamps: false });
        const listener = dut.listen();
        dut.rx(`SEW 0:0(0) win 65535 <mss ${MSS},sackOK,nop,nop>`);
        dut.rx('. 1:1(0) ack 1');
        const connection = listener.accept();
        dut.take();
        connection?.write(new Uint8Array(10 * MSS));
        dut.take();
        dut.rx('. 1:1(0) ack 1 <nop,nop,sack 1001:5001>');
        expect(dut.takeBare()[0]).to.equal('. 1:1001(1000) ack 1');
        connection?.write(new Uint8Array(10 * MSS));
        dut.rx('. 1:1(0) ack 10001');
        expect(dut.takeBare()[0]).to.equal('[ect0] W. 10001:11001(1000) ack 1');
        dut.expectClean();
      });

      it('says CWR after a timeout (3168-1)', () => {
        const dut = host();
        const connection = accepted(dut);
        connection.write(new Uint8Array(MSS));
        dut.wait(1000);
        expect(dut.takeBare().at(-1)).to.equal('P. 1:1001(1000) ack 1');
        dut.rx('. 1:1(0) ack 1001');
        connection.write(new Uint8Array(MSS));
        sees(dut, '[ect0] PW. 1001:2001(1000) ack 1');
        dut.expectClean();
      });

      it('does not reduce again for marks while losses are repaired', () => {
        const dut = host({ sack: true, timestamps: false });
        const listener = dut.listen();
        dut.rx(`SEW 0:0(0) win 65535 <mss ${MSS},sackOK,nop,nop>`);
        dut.rx('. 1:1(0) ack 1');
        listener.accept()?.write(new Uint8Array(10 * MSS));
        dut.rx('. 1:1(0) ack 1 <nop,nop,sack 1001:5001>');
        dut.rx('E. 1:1(0) ack 5001');
        expect(dut.host.counters.ecnReductions).to.equal(0);
        expect(dut.host.counters.fastRetransmits).to.equal(1);
        dut.expectClean();
      });

      it('says CWR only once, with data, not with an ACK', () => {
        const dut = host();
        const connection = accepted(dut);
        connection.write(new Uint8Array(MSS));
        dut.take();
        dut.rx('E. 1:1(0) ack 1001');
        dut.rx('P. 1:11(10) ack 1001');
        dut.wait(40);
        sees(dut, '. 1001:1001(0) ack 11');
        connection.write(new Uint8Array(2 * MSS));
        sees(dut, '[ect0] W. 1001:2001(1000) ack 11', '[ect0] P. 2001:3001(1000) ack 11');
        dut.expectClean();
      });

      it('ignores ECE where ECN was not agreed on', () => {
        const dut = host();
        const { connection } = dut.accepted({ mss: MSS });
        connection.write(new Uint8Array(2 * MSS));
        dut.take();
        dut.rx('E. 1:1(0) ack 1001');
        connection.write(new Uint8Array(MSS));
        sees(dut, 'P. 2001:3001(1000) ack 1');
        expect(dut.host.counters.ecnReductions).to.equal(0);
        dut.expectClean();
      });

      it('ignores ECE in an acknowledgment of what was never sent', () => {
        const dut = host();
        const connection = accepted(dut);
        connection.write(new Uint8Array(MSS));
        dut.rx('E. 1:1(0) ack 5001');
        expect(dut.host.counters.ecnReductions).to.equal(0);
        dut.expectClean();
      });
    });

    describe('receiver', () => {
      it('says ECE at once and in every segment until CWR (3168-1)', () => {
        const dut = host();
        const connection = accepted(dut);
        dut.rx('[ect0] . 1:1001(1000) ack 1');
        sees(dut);
        dut.rx('[ce] . 1001:2001(1000) ack 1');
        sees(dut, 'E. 1:1(0) ack 2001');
        dut.rx('[ect0] P. 2001:3001(1000) ack 1');
        sees(dut, 'E. 1:1(0) ack 3001');
        connection.write(new Uint8Array(10));
        sees(dut, '[ect0] PE. 1:11(10) ack 3001');
        dut.rx('[ect0] W. 3001:4001(1000) ack 11');
        sees(dut, '. 11:11(0) ack 4001');
        dut.rx('[ect0] . 4001:5001(1000) ack 11');
        dut.rx('[ect0] . 5001:6001(1000) ack 11');
        sees(dut, '. 11:11(0) ack 6001');
        dut.expectClean();
      });

      it('does not take CWR for an answer to the mark that came with it (3168-1)', () => {
        const dut = host();
        accepted(dut);
        dut.rx('[ce] . 1:1001(1000) ack 1');
        sees(dut, 'E. 1:1(0) ack 1001');
        dut.rx('[ce] W. 1001:2001(1000) ack 1');
        sees(dut, 'E. 1:1(0) ack 2001');
        expect(dut.host.counters.ceReceived).to.equal(2);
        dut.expectClean();
      });

      it('echoes a mark on data out of order (3168-1)', () => {
        const dut = host({ sack: true });
        accepted(dut);
        dut.rx('[ce] . 1001:2001(1000) ack 1');
        sees(dut, 'E. 1:1(0) ack 1');
        dut.expectClean();
      });

      it('echoes no mark on segments without data, or that are old', () => {
        const dut = host();
        accepted(dut);
        dut.rx('[ect0] . 1:1001(1000) ack 1');
        dut.rx('[ce] . 1001:1001(0) ack 1');
        dut.rx('[ce] . 1:1001(1000) ack 1');
        sees(dut, '. 1:1(0) ack 1001');
        dut.expectClean();
      });

      it('acknowledges at once what comes without a mark among others: it was waited for', () => {
        const dut = host();
        accepted(dut);
        dut.rx('[ect0] . 1:101(100) ack 1');
        sees(dut);
        dut.rx('. 101:201(100) ack 1');
        sees(dut, '. 1:1(0) ack 201');
        dut.expectClean();
      });

      it('says nothing of marks where ECN was not agreed on', () => {
        const dut = host();
        dut.accepted({ mss: MSS });
        dut.rx('[ce] . 1:1001(1000) ack 1');
        dut.rx('[ce] . 1001:2001(1000) ack 1');
        sees(dut, '. 1:1(0) ack 2001');
        expect(dut.host.counters.ceReceived).to.equal(0);
        dut.expectClean();
      });
    });

    describe('end to end', () => {
      const SIZE = 1_000_000;

      /** A transfer over a queue of 100 Mbit/s and 20 ms that tolerates 40 kB. */
      function transfer(ecn: 'on' | 'off'): { pair: Pair; queue: MarkingQueue } {
        const pair = new Pair({ version, tcp: [{ ecn }, {}] });
        const queue = new MarkingQueue(pair, 12_500, 40_000, 10);
        pair.carry = queue.carry;
        const client = new App(pattern(SIZE));
        const server = new App();
        join(pair, client, server);
        pair.scheduler.run();
        expect(Buffer.compare(server.data, pattern(SIZE))).to.equal(0);
        pair.expectClean();
        return { pair, queue };
      }

      it('loses nothing at a queue that marks, where flows without ECN lose (SHLD-8, 3168-1)', () => {
        const marked = transfer('on');
        const lost = transfer('off');
        expect(marked.queue.marked).to.be.greaterThan(0);
        expect(marked.queue.dropped).to.equal(0);
        expect(marked.pair.hosts[0].counters.retransmits).to.equal(0);
        expect(marked.pair.hosts[0].counters.ecnReductions).to.be.greaterThan(0);
        expect(marked.pair.hosts[1].counters.ceReceived).to.equal(marked.queue.marked);
        expect(lost.queue.marked).to.equal(0);
        expect(lost.queue.dropped).to.be.greaterThan(0);
        expect(lost.pair.hosts[0].counters.retransmits).to.be.greaterThan(0);
        // Nobody waits for what is sent again.
        expect(marked.pair.hosts[1].counters.outOfOrder).to.equal(0);
        expect(lost.pair.hosts[1].counters.outOfOrder).to.be.greaterThan(0);
      });

      it('property: marks lead to reductions, at most one in a round trip, and lose no byte (3168-1)', () => {
        const delay = 25;
        fc.assert(
          fc.property(fc.integer(), fc.double({ min: 0, max: 0.3, noNaN: true }), fc.nat(3), (seed, chance, losses) => {
            const random = new SeededRandom(seed);
            const pair = new Pair({ version, seed, tcp: [{ ecn: 'on' }, {}] });
            const { counters } = pair.hosts[0];
            let marks = 0;
            const reductions: number[] = [];
            pair.carry = (bytes, from) => {
              // What the sender did before it sent this.
              while (reductions.length < counters.ecnReductions) reductions.push(pair.scheduler.now());
              if (random.float() < losses / 100) return [];
              if (from === 0 && random.float() < chance && mark(bytes)) marks++;
              return [delay];
            };
            const client = new App(pattern(100_000, seed));
            const server = new App();
            join(pair, client, server);
            pair.scheduler.run();
            expect(Buffer.compare(server.data, pattern(100_000, seed))).to.equal(0);
            expect(reductions.length).to.be.at.most(marks);
            if (losses === 0) expect(reductions.length > 0).to.equal(marks > 0);
            reductions.forEach((at, i) => {
              if (i > 0) expect(at - (reductions[i - 1] ?? 0)).to.be.at.least(2 * delay);
            });
            pair.expectClean();
          }),
          { numRuns: 50, seed: 1 },
        );
      });
    });
  });
}
