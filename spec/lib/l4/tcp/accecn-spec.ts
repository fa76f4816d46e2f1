import { expect } from 'chai';
import * as fc from 'fast-check';
import { SeededRandom } from '../../../../lib/core/random.js';
import type { TcpOptions } from '../../../../lib/l4/tcp/options.js';
import { Ecn } from '../../../../lib/wire/ip.js';
import { accepted, accurateHost, connected, countersOf, MSS, OPTION, sees, took } from './accurate.js';
import { codepointOf, mark } from './marking.js';
import { App, join, Pair, pattern, VERSIONS } from './pair.js';

for (const version of VERSIONS) {
  describe(`Accurate ECN over IPv${version}`, () => {
    const host = (options: TcpOptions = {}) => accurateHost(version, options);

    describe('receiver', () => {
      it('RFC 9768 3.2.2.2: counts marked packets modulo eight, and tells the count in every segment', () => {
        const dut = host();
        const connection = accepted(dut);
        const aces = [];
        for (let i = 0; i < 10; i++) {
          const at = 1 + 2000 * i;
          dut.rx(`[ce] .5 ${at}:${at + 1000}(1000) ack 1`);
          dut.rx(`[ect0] .5 ${at + 1000}:${at + 2000}(1000) ack 1`);
          aces.push(took(dut)[0]?.slice(0, 2));
        }
        expect(aces).to.deep.equal(['.6', '.7', '.0', '.1', '.2', '.3', '.4', '.5', '.6', '.7']);
        connection.write(new Uint8Array(10));
        expect(took(dut)[0]).to.match(/^\[ect0\] P\.7/);
        expect(countersOf(connection).received).to.include({
          ce: 15,
          ceBytes: 10_000,
          ect0Bytes: 10_001,
          ect1Bytes: 1,
        });
        dut.expectClean();
      });

      it('RFC 9768 3.2.2.5.1: acknowledges at once where marks begin, and every second one', () => {
        const dut = host();
        accepted(dut);
        const option = (ceb: number, e0b = 1) => `<ECN e1b 1 ceb ${ceb} e0b ${e0b},nop>`;
        dut.rx('[ce] .5 1:11(10) ack 1');
        sees(dut, `.6 1:1(0) ack 11 ${option(10)}`);
        dut.rx('[ce] .5 11:21(10) ack 1');
        sees(dut);
        dut.rx('[ce] .5 21:31(10) ack 1');
        sees(dut, `.0 1:1(0) ack 31 ${option(30)}`);
        dut.rx('[ect0] .5 31:41(10) ack 1');
        sees(dut);
        dut.rx('[ce] .5 41:51(10) ack 1');
        sees(dut, `.1 1:1(0) ack 51 ${option(40, 11)}`);
        dut.expectClean();
      });

      it('RFC 9768 3.2.2.5.1: acknowledges every third marked ACK, though there are no data', () => {
        const dut = host();
        accepted(dut);
        for (let i = 0; i < 6; i++) dut.rx('[ce] .5 1:1(0) ack 1');
        expect(took(dut).map((line) => line.slice(0, 2))).to.deep.equal(['.0', '.3']);
        dut.expectClean();
      });

      it('RFC 9768 3.2: does not count what is not acceptable', () => {
        const dut = host();
        const connection = accepted(dut);
        dut.rx('[ce] .5 1:11(10) ack 1');
        dut.rx('[ce] .5 1:11(10) ack 1');
        dut.rx('[ce] .5 900001:900011(10) ack 1');
        dut.rx('[ce] R.5 900001:900001(0) ack 1');
        expect(countersOf(connection).received.ce).to.equal(6);
        dut.expectClean();
      });

      it('RFC 9768 3.2.3.3: tells bytes when another counter grows, and the time after', () => {
        const dut = host({ delayedAck: 0 });
        accepted(dut);
        dut.wait(100);
        const lines = [];
        for (let i = 0; i < 6; i++) {
          dut.rx(`[${i < 3 ? 'ect0' : 'ect1'}] .5 ${1 + 10 * i}:${11 + 10 * i}(10) ack 1`);
          lines.push(...took(dut));
        }
        expect(lines.map((line) => line.split('<')[1] ?? '')).to.deep.equal([
          'ECN e1b 1 ceb 0 e0b 11,nop>',
          'ECN e1b 1 ceb 0 e0b 21,nop>',
          'ECN e1b 1 ceb 0 e0b 31,nop>',
          'ECN e1b 11 ceb 0 e0b 31,nop>',
          'ECN e1b 21 ceb 0 e0b 31,nop>',
          'ECN e1b 31 ceb 0 e0b 31,nop>',
        ]);
        dut.expectClean();
      });

      it('RFC 9768 3.2.3.3: gives two SACK blocks precedence, and then tells what has changed', () => {
        const dut = host({ sack: true, timestamps: true });
        const listener = dut.listen();
        dut.rx('SEWA 0:0(0) win 65535 <mss 1000,sackOK,TS val 1 ecr 0>');
        sees(dut, 'SW. 0:0(0) ack 1 <mss 1460,sackOK,TS val 1000 ecr 1,ECN e1b 1 ceb 0 e0b 1,nop>');
        dut.rx('.2 1:1(0) ack 1 <nop,nop,TS val 1 ecr 0>');
        listener.accept();
        for (const at of [101, 201, 301, 401]) dut.rx(`[ce] .5 ${at}:${at + 10}(10) ack 1 <nop,nop,TS val 2 ecr 0>`);
        const options = took(dut).map((line) => line.split('ecr 1,')[1]);
        expect(options).to.deep.equal([
          'ECN e1b 1 ceb 10 e0b 1,nop,nop,nop,sack 101:111>',
          'ECN e0b 1 ceb 20,nop,nop,sack 201:211 101:111>',
          'ECN e0b 1 ceb 30,nop,nop,sack 301:311 201:211>',
          'ECN e0b 1 ceb 40,nop,nop,sack 401:411 301:311>',
        ]);
        dut.expectClean();
      });

      it('RFC 9768 3.2.3.3: by default every segment has the option, and room for it, as with Linux', () => {
        const dut = host({ ecnOption: 'full' });
        const connection = connected(dut);
        connection.write(new Uint8Array(2 * MSS - 24));
        sees(dut, `[ect0] .5 1:989(988) ack 1 <${OPTION}>`, `[ect0] P.5 989:1977(988) ack 1 <${OPTION}>`);
        dut.rx('[ect0] P.5 1:11(10) ack 1977');
        dut.wait(40);
        sees(dut, '.5 1977:1977(0) ack 11 <ECN e1b 1 ceb 0 e0b 11,nop>');
        dut.rx('.5 11:11(0) ack 1977');
        connection.end();
        sees(dut, 'F.5 1977:1977(0) ack 11 <ECN e1b 1 ceb 0 e0b 11,nop>');
        dut.expectClean();
      });

      it('sends no option where it is off, and still counts', () => {
        const dut = host({ ecnOption: 'off' });
        dut.listen();
        dut.rx('SEWA 0:0(0) win 65535 <mss 1000>');
        dut.rx('.2 1:1(0) ack 1');
        dut.rx('[ce] .5 1:1001(1000) ack 1');
        sees(dut, 'SW. 0:0(0) ack 1 <mss 1460>', '.6 1:1(0) ack 1001');
        dut.expectClean();
      });

      it('refuses a policy that there is not', () => {
        expect(() => host({ ecnOption: 'often' as 'full' }))
          .to.throw()
          .with.property('code', 'ERR_INVALID_OPTION');
      });

      it('RFC 9768 3.2.2.1: answers a SYN-ACK that comes again like the first', () => {
        const dut = host();
        connected(dut);
        dut.rx(`[ect0] SW. 0:0(0) ack 1 win 65535 <mss 1000,${OPTION}>`);
        expect(took(dut)[0]).to.match(/^\.4 1:1\(0\) ack 1/);
        dut.rx('.5 1:11(10) ack 1');
        dut.wait(40);
        expect(took(dut)[0]).to.match(/^\.5 1:1\(0\) ack 11/);
        dut.expectClean();
      });

      it('RFC 9768 3.2.3: leaves the option out where data leave no room for it', () => {
        const dut = host();
        const connection = connected(dut);
        connection.write(new Uint8Array(3 * MSS - 12));
        sees(
          dut,
          '[ect0] .5 1:1001(1000) ack 1',
          '[ect0] .5 1001:2001(1000) ack 1',
          `[ect0] P.5 2001:2989(988) ack 1 <${OPTION}>`,
        );
        dut.expectClean();
      });

      it('RFC 9768 3.2.3.3: the room that data leave to SACK blocks is not room for the option (RFC 9293 3.7.1)', () => {
        for (const [timestamps, gaps, opts] of [
          [true, 1, 24],
          [false, 2, 20],
          [false, 4, 32],
        ] as const) {
          const dut = host({ sack: true, timestamps });
          const listener = dut.listen();
          const ts = timestamps ? ['TS val 1 ecr 0', '<nop,nop,TS val 1 ecr 1000>'] : ['nop,nop', ''];
          dut.rx(`SEWA 0:0(0) win 65535 <mss ${MSS},sackOK,${ts[0]}>`);
          dut.rx(`.2 1:1(0) ack 1 win 65535 ${ts[1]}`);
          for (let i = 1; i <= gaps; i++)
            dut.rx(`[${i % 2 ? 'ce' : 'ect0'}] .5 ${i}01:${i}11(10) ack 1 win 65535 ${ts[1]}`);
          const sizes: number[][] = [];
          dut.onSegment = ({ frame, payload, headerLength }) => {
            if (frame.end > payload) sizes.push([headerLength - 20, frame.end - payload + headerLength - 20]);
          };
          listener.accept()?.write(new Uint8Array(3000));
          expect(sizes[0]).to.deep.equal([opts, gaps === 4 ? MSS - 4 : MSS]);
          for (const [, size] of sizes) expect(size).to.be.at.most(MSS);
          dut.expectClean();
        }
      });
    });

    describe('sender', () => {
      it('RFC 9768 3.1.5: reduces its window once a round trip, and does not say CWR', () => {
        const dut = host({ initialWindow: 10 });
        const connection = accepted(dut);
        const { counters } = dut.host;
        connection.write(new Uint8Array(30 * MSS));
        dut.take();
        for (let i = 1; i <= 10; i++) dut.rx(`.${(5 + i) & 7} 1:1(0) ack ${i * 1000 + 1}`);
        expect(counters.ecnReductions).to.equal(1);
        expect(connection.info().deliveredCe).to.equal(10);
        for (const line of took(dut)) expect(line).to.match(/^\[ect0\] P?\.5 /);
        dut.rx('.0 1:1(0) ack 11001');
        expect(counters.ecnReductions).to.equal(2);
        dut.expectClean();
      });

      it('RFC 9768 3.2.2.5.2, A.2: takes the counter for wrapped where as many packets were acknowledged, unless bytes contradict', () => {
        const cases = [
          ['.5 1:1(0) ack 9001', 8],
          ['.6 1:1(0) ack 9001', 9],
          ['.7 1:1(0) ack 9001', 2],
          ['.5 1:1(0) ack 7001', 0],
          ['.5 1:1(0) ack 9001 <ECN e0b 1 ceb 0,nop,nop,nop>', 0],
          ['.5 1:1(0) ack 9001 <ECN e0b 1 ceb 8000,nop,nop,nop>', 8],
          ['.6 1:1(0) ack 9001 <ECN e0b 1 ceb 1000,nop,nop,nop>', 1],
          ['.6 1:1(0) ack 9001 <ECN e0b 1 ceb 9000,nop,nop,nop>', 9],
        ] as const;
        for (const [text, marked] of cases) {
          const dut = host({ initialWindow: 10 });
          const connection = accepted(dut);
          connection.write(new Uint8Array(10 * MSS));
          dut.rx(text);
          expect(countersOf(connection).sent.ce - 5, text).to.equal(marked);
          dut.expectClean();
        }
      });

      it('RFC 9768 3.2.2.5.2: counts small segments one by one, and those that are selectively acknowledged', () => {
        const dut = host({ sack: true, timestamps: false });
        const listener = dut.listen();
        dut.rx('SEWA 0:0(0) win 65535 <mss 1000,sackOK,nop,nop>');
        dut.rx('.2 1:1(0) ack 1');
        const connection = listener.accept();
        if (connection === undefined) throw new Error('nothing to accept');
        connection.setNoDelay(true);
        for (let i = 0; i < 10; i++) connection.write(new Uint8Array(10));
        dut.take();
        dut.rx('.7 1:1(0) ack 11 <nop,nop,sack 21:31>');
        expect(countersOf(connection).sent.ce - 5).to.equal(2);
        dut.rx('.7 1:1(0) ack 101');
        expect(countersOf(connection).sent.ce - 5).to.equal(10);
        dut.expectClean();
      });

      it('RFC 9768 3.2.3.1: reads both orders of the option, of any length, beyond 24 bits', () => {
        const dut = host();
        const connection = accepted(dut);
        const { sent } = countersOf(connection);
        const say = (option: string, bytes: number) => {
          connection.write(new Uint8Array(10));
          dut.rx(`.5 1:1(0) ack ${bytes + 1} <${option}>`);
        };
        say('ECN e0b 11 ceb 0,nop,nop,nop', 10);
        expect(sent).to.include({ ect0Bytes: 11, ceBytes: 0, ect1Bytes: 1 });
        say('ECN e1b 5,nop,nop,nop', 20);
        expect(sent).to.include({ ect0Bytes: 11, ceBytes: 0, ect1Bytes: 5 });
        for (const [i, value] of [0x7f_0000, 0xf0_0000, 0x10].entries())
          say(`ECN e0b ${value},nop,nop,nop`, 30 + 10 * i);
        expect(sent.ect0Bytes).to.equal(0x100_0010);
        // What is behind is old.
        say('ECN e0b 5,nop,nop,nop', 60);
        expect(sent.ect0Bytes).to.equal(0x100_0010);
        dut.expectClean();
      });

      it('RFC 9768 3.2.3.2.4: does not believe options that begin with zeros', () => {
        const dut = host();
        const connection = connected(dut, 'SW.', ',ECN e1b 0 ceb 0 e0b 0,nop');
        connection.write(new Uint8Array(10));
        dut.rx('.5 1:1(0) ack 11 <ECN e0b 11 ceb 77,nop,nop,nop>');
        expect(countersOf(connection).sent).to.include({ ect0Bytes: 1, ceBytes: 0 });
        dut.expectClean();
      });

      it('RFC 9768 3.2.3.2.5: marks no more where bytes are reported as marked, and no packet', () => {
        const dut = host();
        const connection = connected(dut);
        connection.write(new Uint8Array(10));
        dut.rx('.5 1:1(0) ack 11 <ECN e0b 1 ceb 10,nop,nop,nop>');
        dut.take();
        connection.write(new Uint8Array(10));
        expect(took(dut)[0]).to.match(/^P\.5/);
        dut.expectClean();
      });

      it('RFC 9768 3.2.2.4: does not heed a counter that begins with zero', () => {
        const dut = host();
        const connection = connected(dut);
        connection.write(new Uint8Array(10));
        dut.rx('.0 1:1(0) ack 11');
        expect(dut.host.counters.ecnReductions).to.equal(0);
        dut.take();
        connection.write(new Uint8Array(10));
        expect(took(dut)[0]).to.match(/^P\.5/);
        dut.expectClean();
      });

      it('RFC 9768 A.1: ignores acknowledgments that others overtook', () => {
        const dut = host();
        const connection = accepted(dut);
        connection.write(new Uint8Array(3 * MSS));
        dut.rx('.6 1:1(0) ack 2001');
        dut.rx('.5 1:1(0) ack 1001');
        dut.rx('.5 1:1(0) ack 2001');
        expect(countersOf(connection).sent.ce).to.equal(6);
        dut.rx('.7 1:1(0) ack 3001');
        expect(countersOf(connection).sent.ce).to.equal(7);
        dut.expectClean();
      });

      it('RFC 9768 3.2.3.2.2: leaves the option out when the first data with it are lost', () => {
        const dut = host();
        const connection = connected(dut);
        connection.write(new Uint8Array(10));
        sees(dut, `[ect0] P.5 1:11(10) ack 1 <${OPTION}>`);
        dut.wait(1000);
        expect(took(dut)[0]).to.equal('P.5 1:11(10) ack 1');
        dut.rx('[ce] .5 1:11(10) ack 11');
        sees(dut, '.6 11:11(0) ack 11');
        dut.expectClean();
      });

      it('RFC 9768 3.2.3.2.2: leaves the option out when what was acknowledged with it keeps coming again', () => {
        const dut = host();
        accepted(dut);
        dut.rx('[ce] .5 1:11(10) ack 1');
        for (let i = 0; i < 3; i++) dut.rx('.5 1:11(10) ack 1');
        expect(took(dut).at(-1)).to.equal('.6 1:1(0) ack 11');
        dut.expectClean();
      });
    });

    describe('end to end', () => {
      interface Run {
        readonly seed: number;
        readonly chance: number;
        /** Of acknowledgments that are lost, and that come twice. */
        readonly loss: number;
        readonly doubling: number;
      }

      /** Both ends' counters after a transfer, and how many packets and bytes were marked on their way. */
      function transfer({ seed, chance, loss, doubling }: Run) {
        const random = new SeededRandom(seed);
        const tcp: TcpOptions = { ecn: 'accurate', maxRto: 1000, dataRetries: 100, mtuProbing: 'off' };
        const pair = new Pair({ version, seed, tcp: [tcp, tcp] });
        let marks = 0;
        pair.carry = (bytes, from) => {
          if (from === 0) {
            if (codepointOf(bytes) === Ecn.Ect0 && random.float() < chance && mark(bytes)) marks++;
            return [20];
          }
          // The handshake, and the last acknowledgments, tell all that was not told before.
          if (random.float() < loss && server.receivedBytes > 0 && server.receivedBytes < SIZE) return [];
          return random.float() < doubling ? [20, 20 + random.below(5)] : [20];
        };
        const client = new App(pattern(SIZE, seed), false);
        const server = new App(new Uint8Array(0), false);
        join(pair, client, server);
        pair.scheduler.runFor(600_000);
        expect(Buffer.compare(server.data, pattern(SIZE, seed))).to.equal(0);
        const [a, b] = [client.connection, server.connection];
        if (a === undefined || b === undefined) throw new Error('not connected');
        const ends = {
          sent: countersOf(a).sent,
          received: countersOf(b).received,
          options: countersOf(b).sendsOptions,
          marks,
          info: a.info(),
        };
        const { counters } = pair.hosts[0];
        a.abort();
        pair.scheduler.run();
        pair.expectClean();
        return { ...ends, counters };
      }
      const SIZE = 200_000;

      it('property: RFC 9768 3.2: the sender knows how many packets and bytes of its own were marked', () => {
        const runs = fc.record({
          seed: fc.integer(),
          chance: fc.double({ min: 0, max: 1, noNaN: true }),
          loss: fc.constant(0),
          doubling: fc.double({ min: 0, max: 0.3, noNaN: true }),
        });
        fc.assert(
          fc.property(runs, (run) => {
            const { sent, received, marks, info } = transfer(run);
            expect(received.ce - 5).to.equal(marks);
            expect(sent).to.deep.equal(received);
            expect(info.deliveredCe).to.equal(marks);
          }),
          { numRuns: 30, seed: 1 },
        );
      });

      it('property: RFC 9768 3.2.2.5.2: lost acknowledgments make it count rather more than fewer, and bytes stay exact', () => {
        let tested = 0;
        const runs = fc.record({
          seed: fc.integer(),
          chance: fc.double({ min: 0, max: 1, noNaN: true }),
          loss: fc.double({ min: 0, max: 0.4, noNaN: true }),
          doubling: fc.double({ min: 0, max: 0.3, noNaN: true }),
        });
        fc.assert(
          fc.property(runs, (run) => {
            const { sent, received, options, counters } = transfer(run);
            // So many acknowledgments in a row were lost that the receiver took the option for the reason.
            if (!options) return;
            tested++;
            expect(sent).to.include({
              ceBytes: received.ceBytes,
              ect0Bytes: received.ect0Bytes,
              ect1Bytes: received.ect1Bytes,
            });
            expect(sent.ce).to.be.at.least(received.ce);
            expect((sent.ce - received.ce) % 8).to.equal(0);
            expect(counters.ecnReductions > 0).to.equal(received.ce > 5);
          }),
          { numRuns: 30, seed: 1 },
        );
        expect(tested).to.be.at.least(20);
      });
    });
  });
}
