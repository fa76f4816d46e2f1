import { expect } from 'chai';
import type { IpVersion } from '../../../../lib/core/address.js';
import type { TcpConnection } from '../../../../lib/l4/tcp/api.js';
import type { Bbr } from '../../../../lib/l4/tcp/congestion/bbr.js';
import type { Connection } from '../../../../lib/l4/tcp/connection.js';
import type { TcpOptions } from '../../../../lib/l4/tcp/options.js';
import { Dut, type Opened } from './dut.js';
import { App, join, Pair, pattern, VERSIONS } from './pair.js';

/** Per version: headers, and the packet and payload sizes of the first link (as the host under test has it) and of the base. */
const SIZES = {
  4: { headers: 40, link: 1500, baseMtu: 1064, base: 1024 },
  6: { headers: 60, link: 1520, baseMtu: 1280, base: 1220 },
} as const;
const FULL = 1460;

/** Sequence ranges of segments that came out. */
function ranges(dut: Dut): string[] {
  return dut.take().map((line) => line.split(' ')[1] ?? '');
}

/** Ranges of segments of these lengths, one behind the other. */
function row(from: number, ...lengths: readonly number[]): string[] {
  let at = from;
  return lengths.map((length) => `${at}:${(at += length)}(${length})`);
}

function control({ connection }: Opened): Connection {
  return connection as Connection;
}

/** A connection that starts at the base size and has sent a probe, with segments of that size behind it. */
function probing(version: IpVersion, options: TcpOptions = {}): { dut: Dut; opened: Opened; c: Connection } {
  const { base } = SIZES[version];
  const dut = new Dut(version, { mtuProbing: 'always', ...options });
  const opened = dut.accepted();
  opened.connection.write(new Uint8Array(100_000));
  const behind = Math.floor((10 * base - FULL) / base);
  expect(ranges(dut)).to.deep.equal(row(1, FULL, ...Array<number>(behind).fill(base)));
  return { dut, opened, c: control(opened) };
}

for (const version of VERSIONS) {
  const { headers, link, baseMtu, base } = SIZES[version];

  describe(`PLPMTUD over IPv${version} (RFC 4821, RFC 8899): black holes`, () => {
    it('three timeouts of a full segment in a row: what follows is of the base size, and may be larger again once that arrives', () => {
      const dut = new Dut(version, { frto: false });
      const opened = dut.accepted();
      opened.connection.write(new Uint8Array(30_000));
      expect(ranges(dut)).to.have.length(10);
      dut.wait(200);
      dut.wait(400);
      expect(ranges(dut), 'two timeouts say nothing').to.deep.equal(['1:1461(1460)', '1:1461(1460)']);
      dut.wait(800);
      expect(ranges(dut)).to.deep.equal(row(1, base));
      const c = control(opened);
      expect([c.mtu, c.snd.mss, c.plpmtud?.search.state]).to.deep.equal([baseMtu, base, 'base']);
      expect(dut.host.counters.blackHoles).to.equal(1);
      dut.rx(`. 1:1(0) ack ${1 + base}`);
      expect(c.plpmtud?.search.state).to.equal('searching');
      expect(ranges(dut), 'the rest of the flight').to.deep.equal(row(1 + base, FULL - base, base, FULL - base));
      opened.connection.abort();
      dut.expectClean();
    });

    it('where the packets of another connection get through it is two timeouts later, and nobody else’s business', () => {
      const found: number[] = [];
      const paths = { foundMtu: (_: unknown, mtu: number) => found.push(mtu) };
      const pair = new Pair({ version, carry: () => [20] });
      Object.assign(pair.hosts[0]['paths'], paths);
      const to = { address: pair.ends[1], port: 80 };
      const listener = pair.hosts[1].listen(to, { receiveBuffer: 8192 });
      listener.acceptable = () => void new App().attach(listener.accept() as TcpConnection);
      const open = (bytes: number) => {
        const app = new App(pattern(bytes), false);
        app.connection = pair.hosts[0].connect(to, app, { sendBuffer: bytes });
        return app.connection as Connection;
      };
      const stuck = open(60_000);
      const other = open(2_000_000);
      // Of the first one all that is larger than the base size vanishes; the other one has the road to itself, for ten seconds.
      pair.carry = (bytes, from) => {
        const port = new DataView(bytes.buffer, bytes.byteOffset).getUint16(version === 4 ? 20 : 40);
        return from === 0 && port === stuck.local.port && bytes.length > baseMtu ? [] : [20];
      };
      pair.scheduler.runFor(4_000);
      expect([stuck.retries, stuck.mtu], 'after four timeouts').to.deep.equal([4, 1500]);
      pair.scheduler.runFor(5_000);
      expect(stuck.mtu, 'it helps itself').to.equal(baseMtu);
      expect(pair.hosts[0].counters.blackHoles).to.equal(1);
      expect(found, 'what the host was told').to.deep.equal([]);
      expect(other.mtu).to.equal(1500);
      for (const host of pair.hosts) host.dispose();
      pair.scheduler.runFor(100);
      pair.expectClean();
    });

    it('asks for other connections only where the segment is one that some paths do not carry', () => {
      for (const [bytes, times] of [
        [512, 0],
        [3000, 1],
      ] as const) {
        const dut = new Dut(version);
        let asked = 0;
        dut.host.othersGetThrough = () => ++asked < 0;
        const opened = dut.accepted();
        opened.connection.write(new Uint8Array(bytes));
        dut.wait(1500);
        expect([control(opened).retries, asked]).to.deep.equal([3, times]);
        opened.connection.abort();
        dut.expectClean();
      }
    });

    it('nothing of it with a segment that every path carries, nor with a window that is shut, nor when it is off', () => {
      for (const [options, bytes, window] of [
        [{}, 512, 65_535],
        [{}, 3000, 0],
        [{ mtuProbing: 'off' }, 3000, 65_535],
      ] as const) {
        const dut = new Dut(version, options);
        const opened = dut.accepted();
        opened.connection.write(new Uint8Array(bytes));
        if (window === 0) dut.rx('. 1:1(0) ack 1 win 0');
        dut.wait(10_000);
        expect(dut.host.counters.timeouts).to.be.at.least(4);
        expect([dut.host.counters.blackHoles, control(opened).mtu]).to.deep.equal([0, link]);
        opened.connection.abort();
        dut.expectClean();
      }
    });

    it('the base size vanishes too: packets of the least size, which may be cut (IPv4 only)', () => {
      const dut = new Dut(4);
      const opened = dut.accepted();
      const c = control(opened);
      opened.connection.write(new Uint8Array(3000));
      dut.wait(1500);
      expect([c.mtu, !c.mayFragment]).to.deep.equal([1064, true]);
      dut.wait(20_000);
      expect([c.mtu, !c.mayFragment, c.plpmtud?.search.state]).to.deep.equal([552, false, 'error']);
      dut.take();
      dut.rx('. 1:1(0) ack 513');
      expect(ranges(dut)[0]).to.equal('513:1025(512)');
      opened.connection.abort();
      dut.expectClean();
    });
  });

  describe(`PLPMTUD over IPv${version}: probes`, () => {
    it('one that arrives was all the proof, and costs nothing', () => {
      const { dut, opened, c } = probing(version);
      expect(dut.host.counters.mtuProbes).to.equal(1);
      const { cwnd } = c.congestion;
      dut.rx('. 1:1(0) ack 1461');
      expect([c.mtu, c.snd.mss, c.plpmtud]).to.deep.equal([link, FULL, undefined]);
      expect(c.congestion.cwnd, 'bytes in flight, as in slow start').to.equal(cwnd + FULL);
      expect(ranges(dut).every((range) => range.endsWith('(1460)'))).to.equal(true);
      opened.connection.abort();
      dut.expectClean();
    });

    it('a recovery far behind keeps none from being sent', () => {
      for (const behind of [1, 2 ** 31, 3 * 2 ** 30]) {
        const dut = new Dut(version, { mtuProbing: 'always' });
        const opened = dut.accepted();
        const { recovery, snd } = control(opened);
        recovery.excused = (snd.una - behind) | 0;
        opened.connection.write(new Uint8Array(100_000));
        expect(ranges(dut)[0], `${behind} bytes`).to.equal(row(1, FULL)[0]);
        opened.connection.abort();
        dut.expectClean();
      }
    });

    it('the loss of one is not congestion: its data go out again at once, in segments of the usual size', () => {
      const { dut, opened, c } = probing(version);
      const { cwnd, ssthresh } = c.congestion;
      dut.rx('. 1:1(0) ack 1');
      dut.rx('. 1:1(0) ack 1');
      expect(ranges(dut), 'limited transmit').to.have.length(2);
      dut.rx('. 1:1(0) ack 1');
      expect(ranges(dut)).to.deep.equal(row(1, base, FULL - base));
      expect([c.congestion.cwnd, c.congestion.ssthresh]).to.deep.equal([cwnd, ssthresh]);
      expect([dut.host.counters.fastRetransmits, dut.host.counters.mtuProbesLost]).to.deep.equal([0, 1]);
      for (let i = 0; i < 7; i++) dut.rx('. 1:1(0) ack 1');
      expect(ranges(dut), 'further duplicates are of the same loss').to.deep.equal([]);
      dut.rx(`. 1:1(0) ack ${1 + base}`);
      dut.rx(`. 1:1(0) ack ${(c.snd.nxt - c.snd.iss) | 0}`);
      expect([c.congestion.cwnd > cwnd, c.congestion.ssthresh, c.mtu]).to.deep.equal([true, ssthresh, baseMtu]);
      expect(
        ranges(dut).every((range) => range.endsWith(`(${base})`)),
        'no probe for a while',
      ).to.equal(true);
      dut.wait(0);
      opened.connection.abort();
      dut.expectClean();
    });

    it('nor does a control hear of it that hears of all acknowledgments', () => {
      const { dut, opened, c } = probing(version, { congestion: 'bbr' });
      const { path } = c.congestion as Bbr;
      for (let i = 0; i < 3; i++) dut.rx('. 1:1(0) ack 1');
      expect([dut.host.counters.mtuProbesLost, c.rate?.lost, path.lossInRound]).to.deep.equal([1, FULL, false]);
      dut.rx(`. 1:1(0) ack ${(c.snd.nxt - c.snd.iss) | 0}`);
      expect([path.lossInRound, path.lossEvents]).to.deep.equal([false, 0]);
      opened.connection.abort();
      dut.expectClean();
    });

    it('what is lost besides is congestion', () => {
      const { dut, opened, c } = probing(version);
      const { cwnd } = c.congestion;
      for (let i = 0; i < 3; i++) dut.rx('. 1:1(0) ack 1');
      dut.take();
      dut.rx('. 1:1(0) ack 1461');
      for (let i = 0; i < 3; i++) dut.rx('. 1:1(0) ack 1461');
      expect(ranges(dut)).to.include(row(1461, base)[0]);
      expect(dut.host.counters.fastRetransmits).to.equal(1);
      expect(c.congestion.ssthresh).to.be.below(cwnd);
      opened.connection.abort();
      dut.expectClean();
    });

    it('one that was lost with others says nothing about its size', () => {
      const dut = new Dut(version, { mtuProbing: 'always' });
      const opened = dut.accepted();
      const c = control(opened);
      opened.connection.write(new Uint8Array(base));
      opened.connection.write(new Uint8Array(100_000));
      expect(ranges(dut).slice(0, 3)).to.deep.equal(row(1, base, FULL, base));
      for (let i = 0; i < 3; i++) dut.rx('. 1:1(0) ack 1');
      expect(ranges(dut)).to.include(row(1, base)[0]);
      expect(c.recovery.active).to.equal(true);
      dut.rx(`. 1:1(0) ack ${1 + base}`);
      expect(ranges(dut)[0], 'the next hole').to.equal(row(1 + base, base)[0]);
      expect([c.plpmtud?.search.probed, dut.host.counters.mtuProbesLost]).to.deep.equal([0, 0]);
      dut.rx(`. 1:1(0) ack ${(c.snd.nxt - c.snd.iss) | 0}`);
      expect([c.mtu, c.plpmtud?.search.state], 'its data arrived, not the probe').to.deep.equal([baseMtu, 'searching']);
      opened.connection.abort();
      dut.expectClean();
    });

    it('after three losses a smaller one, none within a second; congestion control never hears of it', () => {
      const sizes: number[] = [];
      const times: number[] = [];
      const pair = new Pair({
        version,
        mtu: link,
        tcp: [{ mtuProbing: 'always', timestamps: false }, {}],
        carry: (bytes, from) => {
          const { mss = FULL } = (client.connection as Connection | undefined)?.snd ?? {};
          if (from === 0 && bytes.length - headers > mss) {
            sizes.push(bytes.length);
            times.push(pair.scheduler.now());
          }
          return bytes.length > 1400 ? [] : [50];
        },
      });
      const client = new App(pattern(20_000_000));
      const server = new App();
      join(pair, client, server, { server: { receiveBuffer: 65_536 } });
      pair.scheduler.runFor(15_000);
      const thrice = (size: number) => [size, size, size];
      const found = version === 4 ? [1280, 1400] : [1400];
      expect(sizes).to.deep.equal([...thrice(link), ...found, ...thrice(1450), ...thrice(1420)]);
      const [first = 0] = times;
      times.slice(1).forEach((time, i) => {
        const former = times[i] ?? first;
        if ((sizes[i] ?? 0) > 1400) expect(time - former).to.be.within(1000, 1300);
      });
      expect(pair.hosts[0].counters).to.include({ fastRetransmits: 0, timeouts: 0, mtuProbes: sizes.length });
      expect((client.connection as Connection).congestion.ssthresh, 'slow start never ended').to.equal(0x7fff_ffff);
      for (const { connection } of [client, server]) connection?.abort();
      pair.scheduler.run();
      pair.expectClean();
    });

    it('none where its loss would not show: too few data, a small window, a small congestion window', () => {
      const little = new Dut(version, { mtuProbing: 'always' });
      little.accepted().connection.write(new Uint8Array(FULL + 3 * base - 1));
      expect(ranges(little)).to.include(row(1, base)[0]);
      const shut = new Dut(version, { mtuProbing: 'always' });
      shut.accepted({ win: FULL + 3 * base - 1 }).connection.write(new Uint8Array(50_000));
      expect(ranges(shut)).to.include(row(1, base)[0]);
      const slow = new Dut(version, { mtuProbing: 'always', initialWindow: 4 });
      slow.accepted().connection.write(new Uint8Array(50_000));
      expect(ranges(slow)).to.include(row(1, base)[0]);
      for (const dut of [little, shut, slow]) dut.expectClean();
    });

    it('a timeout of one is a lost probe, and a timeout', () => {
      const { dut, opened, c } = probing(version);
      dut.wait(200);
      expect(ranges(dut)).to.deep.equal(row(1, base));
      expect([dut.host.counters.mtuProbesLost, c.plpmtud?.search.probed]).to.deep.equal([1, 0]);
      expect(c.congestion.cwnd).to.equal(base);
      opened.connection.abort();
      dut.expectClean();
    });

    it('off, blackhole and always are all there is', () => {
      expect(() => new Dut(version, { mtuProbing: 'sometimes' as 'off' }))
        .to.throw()
        .with.property('code', 'ERR_INVALID_OPTION');
    });

    it('the peer takes no larger segments: nothing is probed', () => {
      const dut = new Dut(version, { mtuProbing: 'always' });
      const opened = dut.accepted({ mss: 536 });
      opened.connection.write(new Uint8Array(50_000));
      expect(ranges(dut)[0]).to.equal('1:537(536)');
      expect(control(opened).plpmtud).to.equal(undefined);
      opened.connection.abort();
      dut.expectClean();
    });
  });

  describe(`PLPMTUD over IPv${version}: ICMP (RFC 5927 4.1, RFC 8899 4.6)`, () => {
    it('a router names the size: a probe is sent again in pieces without blame, and the next has that size', () => {
      const { dut, opened, c } = probing(version);
      const { cwnd, ssthresh } = c.congestion;
      expect(dut.icmp('packet-too-big', 'EMSGSIZE', 1, 1300)).to.equal(true);
      expect(ranges(dut).slice(0, 2)).to.deep.equal(row(1, base, FULL - base));
      for (let i = 0; i < 8; i++) dut.rx('. 1:1(0) ack 1');
      expect(dut.host.counters.fastRetransmits).to.equal(0);
      expect([c.congestion.cwnd, c.congestion.ssthresh]).to.deep.equal([cwnd, ssthresh]);
      dut.take();
      const before = (c.snd.nxt - c.snd.iss) | 0;
      dut.rx(`. 1:1(0) ack ${before}`);
      expect(ranges(dut)[0]).to.equal(row(before, 1300 - headers)[0]);
      dut.rx(`. 1:1(0) ack ${before + 1300 - headers}`);
      expect([c.mtu, c.plpmtud?.search.state]).to.deep.equal([1300, 'complete']);
      opened.connection.abort();
      dut.expectClean();
    });

    it('is not believed about what is not in flight, nor if it is no answer to what was sent', () => {
      const { dut, opened, c } = probing(version);
      const end = (c.snd.nxt - c.snd.iss) | 0;
      for (const [seq, mtu] of [
        [0, 600],
        [end, 600],
        [1, link],
        [1, 9000],
        [1461, baseMtu],
      ] as const) {
        expect(dut.icmp('packet-too-big', 'EMSGSIZE', seq, mtu), `${seq}, ${mtu}`).to.equal(false);
      }
      expect([c.mtu, dut.take()]).to.deep.equal([baseMtu, []]);
      opened.connection.abort();
      dut.expectClean();
    });

    it('8201: never below the least, and larger packets are tried again ten minutes later', () => {
      const dut = new Dut(version);
      const opened = dut.accepted();
      const c = control(opened);
      opened.connection.write(new Uint8Array(2000));
      dut.icmp('packet-too-big', 'EMSGSIZE', 1, 68);
      expect([c.mtu, c.snd.mss, !c.mayFragment]).to.deep.equal(version === 4 ? [552, 512, false] : [1280, base, true]);
      dut.rx('. 1:1(0) ack 2001');
      dut.wait(599_999);
      dut.take();
      opened.connection.write(new Uint8Array(20_000));
      expect(ranges(dut), 'not yet').to.include(row(2001, c.snd.mss)[0]);
      dut.wait(1);
      dut.rx(`. 1:1(0) ack ${(c.snd.nxt - c.snd.iss) | 0}`);
      expect(ranges(dut).some((range) => range.endsWith(`(${FULL})`))).to.equal(true);
      opened.connection.abort();
      dut.expectClean();
    });
  });
}
