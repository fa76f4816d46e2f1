import { expect } from 'chai';
import { EMPTY, NEVER, type Observable, Subject, throwError } from 'rxjs';
import { UsageError } from '../../../lib/core/errors.js';
import type { Frame } from '../../../lib/core/frame.js';
import type { NatOptions } from '../../../lib/l4/nat/options.js';
import type { NatRule } from '../../../lib/l4/nat/rules.js';
import { Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { nat } from '../../../operators/l3/nat.js';
import { fakeDevice, virtualEnv } from '../../lib/l2/fake-device.js';
import { type PlainPacket, plainFrame } from '../../lib/wire/plain-packets.js';
import { ACK, echo, endsOf, errorAbout, FIN_ACK, rigs, RST, segment, SYN, SYN_ACK, tables, udp } from './nat-rig.js';

const S = '192.0.2.9:80';
const MASQUERADE: NatRule = { kind: 'masquerade', out: 'wan' };
const GRE: PlainPacket = { ...udp, protocol: 'dccp' };

describe('nat', () => {
  const start = rigs();

  describe('masquerade', () => {
    function home(more: readonly NatRule[] = [], options: NatOptions = {}) {
      const own = tables();
      own.set('lan', '10.0.0.1/8');
      own.set('wan', '198.51.100.1/24');
      const all = start([MASQUERADE, ...more], { tables: () => own.tables, ...options }, ['198.51.100.1', '10.0.0.1']);
      return { own, rig: all };
    }

    it('translates to the address of the device, and to nothing where it has none', () => {
      const { own, rig: it } = home();
      expect(it.outside(udp, '10.0.0.5:4000', S)).to.match(/^198\.51\.100\.1:/);
      own.set('wan', undefined);
      expect(it.out(udp, '10.0.0.5:4000', S).text).to.equal('nat-no-port');
      expect(it.nat.stats()).to.include({ mappings: 0, sessions: 0 });
    });

    it('follows the address, and forgets what stood for the old one', () => {
      const { own, rig: it } = home();
      const before = it.outside(udp, '10.0.0.5:4000', S);
      own.set('wan', '198.51.100.7/24');
      expect(it.outside(udp, '10.0.0.5:4000', S)).to.match(/^198\.51\.100\.7:/);
      expect(it.in(udp, S, before).side).to.equal('here');
      expect(it.nat.stats()).to.include({ mappings: 1, sessions: 1, hosts: 1 });
    });

    it("leaves what is for the router to it, and keeps to ports that are not its sockets'", () => {
      const { rig: it } = home();
      expect(it.in(segment(SYN), '203.0.113.1:7', '198.51.100.1:22').side).to.equal('here');
      expect(it.send('here', segment(SYN_ACK), '198.51.100.1:22', '203.0.113.1:7').text).to.equal(
        '198.51.100.1:22 > 203.0.113.1:7',
      );
      expect(it.in(echo, '203.0.113.1:7', '198.51.100.1').side).to.equal('here');
      expect(it.nat.stats()).to.include({ mappings: 0 });
      for (let port = 2000; port < 2500; port++) {
        const { ends } = it.out(udp, `10.0.0.5:${port}`, S);
        expect(ends.sourcePort).to.be.within(1024, 49_151);
      }
    });

    it('knows the connections of the router itself, whose ports stay theirs', () => {
      const { rig: it } = home([], { timeouts: { udp: 1000 } });
      expect(it.send('here', segment(SYN), '198.51.100.1:50000', S).text).to.equal(`198.51.100.1:50000 > ${S}`);
      expect(it.in(segment(SYN_ACK), S, '198.51.100.1:50000')).to.include({ side: 'here' });
      expect(it.send('here', udp, '198.51.100.1:123', S).text).to.equal(`198.51.100.1:123 > ${S}`);
      expect(it.in(udp, '203.0.113.9:1', '198.51.100.1:123').side).to.equal('here');
      expect(it.send('here', segment(ACK), '198.51.100.1:50000', '203.0.113.9:1').side).to.equal('wan');
      expect(it.nat.mappings().map(({ kind }) => kind)).to.deep.equal(['local', 'local']);
      // One that is in use is not given to the router, either.
      const taken = it.outside(udp, '10.0.0.5:4000', S).split(':')[1] ?? '';
      const other = it.send('here', udp, `198.51.100.1:${taken}`, S);
      expect(other.side).to.equal('wan');
      expect(other.ends.sourcePort).to.not.equal(Number(taken));
      expect(it.in(udp, S, `198.51.100.1:${other.ends.sourcePort}`).text).to.equal(`${S} > 198.51.100.1:${taken}`);
    });

    it("lets pass what only links see, and the router's other addresses", () => {
      const { own, rig: it } = home();
      for (const [from, to] of [
        ['0.0.0.0:68', '255.255.255.255:67'],
        ['169.254.7.7:5', '192.0.2.9:6'],
        ['198.51.100.1:5353', '224.0.0.251:5353'],
        ['10.0.0.1:5', '192.0.2.9:6'],
      ] as const) {
        expect(it.send('here', udp, from, to)).to.include({ side: 'wan', text: `${from} > ${to}` });
      }
      own.set('wan', undefined);
      expect(it.send('here', udp, '0.0.0.0:68', '255.255.255.255:67').side).to.equal('wan');
    });

    it('forwards ports of that address, from outside and from inside', () => {
      const { own, rig: it } = home([
        { kind: 'forward', protocol: ['tcp', 'udp'], ports: '8000-8009', to: '10.0.0.80', toPort: 80 },
      ]);
      const open = (external: string) => {
        expect(it.in(segment(SYN), '203.0.113.1:7', `${external}:8003`).text).to.equal('203.0.113.1:7 > 10.0.0.80:83');
        expect(it.out(segment(SYN_ACK), '10.0.0.80:83', '203.0.113.1:7').text).to.equal(
          `${external}:8003 > 203.0.113.1:7`,
        );
      };
      open('198.51.100.1');
      expect(it.in(segment(SYN), '203.0.113.1:7', '198.51.100.1:8010').side).to.equal('here');
      const { ends, text } = it.out(segment(SYN), '10.0.0.5:4000', '198.51.100.1:8000');
      expect(text).to.equal(`198.51.100.1:${ends.sourcePort} > 10.0.0.80:80`);
      const back = it.out(segment(SYN_ACK), '10.0.0.80:80', `198.51.100.1:${ends.sourcePort}`);
      expect(back.text).to.equal('198.51.100.1:8000 > 10.0.0.5:4000');
      own.set('wan', '198.51.100.7/24');
      open('198.51.100.7');
    });

    it('forwards all ports of that address that no other rule does', () => {
      const { own, rig: it } = home([
        { kind: 'forward', protocol: 'tcp', address: '198.51.100.1', ports: '8000-8001', to: '10.0.0.81' },
        { kind: 'forward', protocol: ['tcp', 'udp'], ports: '8000-8002', to: '10.0.0.80' },
      ]);
      for (const lan of ['10.0.0.1/8', '10.0.0.2/8']) {
        own.set('lan', lan);
        const targets = [8000, 8001, 8002].map((port) =>
          [segment(SYN), udp].map((packet) => it.in(packet, '203.0.113.1:7', `198.51.100.1:${port}`).text),
        );
        expect(targets).to.deep.equal([
          ['203.0.113.1:7 > 10.0.0.81:8000', '203.0.113.1:7 > 10.0.0.80:8000'],
          ['203.0.113.1:7 > 10.0.0.81:8001', '203.0.113.1:7 > 10.0.0.80:8001'],
          ['203.0.113.1:7 > 10.0.0.80:8002', '203.0.113.1:7 > 10.0.0.80:8002'],
        ]);
      }
    });

    it('forwards ports of an address that a rule names whether or not the device has it', () => {
      const { own, rig: it } = home([
        { kind: 'forward', protocol: 'tcp', address: '198.51.100.1', ports: 80, to: '10.0.0.80' },
      ]);
      for (const address of ['198.51.100.1/24', undefined, '198.51.100.7/24', '198.51.100.1/24']) {
        own.set('wan', address);
        expect(it.in(segment(SYN), '203.0.113.1:7', '198.51.100.1:80').text).to.equal('203.0.113.1:7 > 10.0.0.80:80');
        expect(it.out(segment(SYN_ACK), '10.0.0.80:80', '203.0.113.1:7').text).to.equal(
          '198.51.100.1:80 > 203.0.113.1:7',
        );
      }
    });
  });

  describe('forwarding', () => {
    const FORWARD: NatRule = { kind: 'forward', protocol: 'udp', address: '198.51.100.1', ports: 53, to: '10.0.0.53' };
    const SOURCE: NatRule = { kind: 'source', from: '10.0.0.0/8', out: 'wan', to: '198.51.100.1', ports: '1-100' };

    it('lets anybody in, and translates the answers and no more', () => {
      const it = start([FORWARD]);
      expect(it.in(udp, '203.0.113.1:7', '198.51.100.1:53')).to.include({ text: '203.0.113.1:7 > 10.0.0.53:53' });
      expect(it.out(udp, '10.0.0.53:53', '203.0.113.1:7').text).to.equal('198.51.100.1:53 > 203.0.113.1:7');
      expect(it.out(udp, '10.0.0.53:53', '203.0.113.2:7').text).to.equal('10.0.0.53:53 > 203.0.113.2:7');
      expect(it.in(udp, '203.0.113.1:7', '198.51.100.1:54').text).to.equal('nat-no-mapping');
    });

    it('never gives such a port to anybody else', () => {
      const it = start([FORWARD, SOURCE]);
      const ports = new Set<number>();
      for (let i = 1; i < 100; i++) ports.add(it.out(udp, `10.0.1.${i}:3`, S).ends.sourcePort);
      expect(ports.size).to.equal(99);
      expect(ports.has(53)).to.equal(false);
      expect(it.out(udp, '10.0.1.100:3', S).text).to.equal('nat-no-port');
    });

    it('knows by the session which of two ports of one internal end an answer comes from', () => {
      const it = start([FORWARD, { ...FORWARD, ports: 5353, toPort: 53 }]);
      it.in(udp, '203.0.113.1:7', '198.51.100.1:53');
      it.in(udp, '203.0.113.2:7', '198.51.100.1:5353');
      expect(it.out(udp, '10.0.0.53:53', '203.0.113.1:7').text).to.equal('198.51.100.1:53 > 203.0.113.1:7');
      expect(it.out(udp, '10.0.0.53:53', '203.0.113.2:7').text).to.equal('198.51.100.1:5353 > 203.0.113.2:7');
    });

    it('translates errors of the forwarded host, and of routers in front of it', () => {
      const it = start([FORWARD]);
      const { bytes } = it.in(udp, '203.0.113.1:7', '198.51.100.1:53');
      for (const from of ['10.0.0.53', '10.0.0.1']) {
        expect(it.out(errorAbout(bytes, 3), from, '203.0.113.1').text).to.equal(
          '198.51.100.1 > 203.0.113.1 [203.0.113.1:7 > 198.51.100.1:53]',
        );
      }
    });

    it('gives up what nobody answers for what is new, and never what is answered', () => {
      const it = start([FORWARD], { capacity: 20 });
      it.in(udp, '203.0.113.1:7', '198.51.100.1:53');
      it.out(udp, '10.0.0.53:53', '203.0.113.1:7');
      for (let port = 1; port < 1000; port++) {
        expect(it.in(udp, `203.0.113.9:${port}`, '198.51.100.1:53').side).to.equal('lan');
      }
      expect(it.out(udp, '10.0.0.53:53', '203.0.113.1:7').text).to.equal('198.51.100.1:53 > 203.0.113.1:7');
      expect(it.nat.stats()).to.include({ sessions: 20, evicted: 980 });
      it.pass(30_000);
      expect(it.nat.stats()).to.include({ sessions: 1 });
    });

    it('gives up connections that nobody inside has opened or answered, whatever else the other end sent', () => {
      const it = start([{ ...FORWARD, protocol: 'tcp' }, SOURCE], { capacity: 20 });
      for (let port = 1; port < 100; port++) {
        for (const flags of [SYN, port % 2 === 0 ? RST : FIN_ACK, ACK]) {
          expect(it.in(segment(flags), `203.0.113.9:${port}`, '198.51.100.1:53').side).to.equal('lan');
        }
      }
      expect(it.out(segment(SYN), '10.0.0.5:4000', S).side).to.equal('wan');
    });

    it('gives up connections that their openers have not gone on with, and forgets them in the time of those that open', () => {
      const it = start([{ ...FORWARD, protocol: 'tcp' }, SOURCE], { capacity: 20 });
      const knock = (port: number, ...more: readonly number[]): void => {
        it.in(segment(SYN), `203.0.113.9:${port}`, '198.51.100.1:53');
        it.out(segment(SYN_ACK), '10.0.0.53:53', `203.0.113.9:${port}`);
        for (const flags of more) it.in(segment(flags), `203.0.113.9:${port}`, '198.51.100.1:53');
      };
      knock(1000, ACK);
      for (let port = 1; port < 100; port++) knock(port, SYN);
      expect(it.out(segment(SYN), '10.0.0.5:4000', S).side).to.equal('wan');
      it.pass(240_000);
      expect(it.nat.sessions().map(({ remote, state }) => [remote.port, state])).to.deep.equal([[1000, 'established']]);
    });

    it('gives up connections that are over, the first one first, and none that is open', () => {
      const it = start([{ ...FORWARD, protocol: 'tcp' }], { capacity: 20 });
      const connect = (port: number): string => {
        const { side, text } = it.in(segment(SYN), `203.0.113.9:${port}`, '198.51.100.1:53');
        if (side === 'lan') {
          it.out(segment(SYN_ACK), '10.0.0.53:53', `203.0.113.9:${port}`);
          it.in(segment(ACK), `203.0.113.9:${port}`, '198.51.100.1:53');
        }
        return text;
      };
      for (let port = 1; port <= 20; port++) connect(port);
      expect(connect(21)).to.equal('nat-no-mapping');
      for (const port of [7, 3]) it.out(segment(RST), '10.0.0.53:53', `203.0.113.9:${port}`);
      expect(connect(21)).to.equal('203.0.113.9:21 > 10.0.0.53:53');
      expect(it.in(segment(ACK), '203.0.113.9:7', '198.51.100.1:53').text).to.equal('nat-no-mapping');
      expect(it.in(segment(ACK), '203.0.113.9:3', '198.51.100.1:53').side).to.equal('lan');
      expect(it.nat.stats()).to.include({ sessions: 20, evicted: 1 });
    });

    it('ends what is answered in the time of that, even where that is shorter', () => {
      const it = start([FORWARD], { timeouts: { udp: 1000, udpUnanswered: 5000 } });
      it.in(udp, '203.0.113.1:7', '198.51.100.1:53');
      it.out(udp, '10.0.0.53:53', '203.0.113.1:7');
      it.pass(1000);
      expect(it.nat.stats()).to.include({ mappings: 0, sessions: 0 });
    });
  });

  describe('one to one', () => {
    for (const [version, internal, external, a, b, remote] of [
      [4, '10.8.0.0/24', '198.51.100.0/24', '10.8.0.9', '198.51.100.9', '192.0.2.9'],
      [6, 'fd00:1::/48', '2001:db8:1::/48', '[fd00:1::9:9]', '[2001:db8:1::9:9]', '[2001:db8:9::1]'],
    ] as const) {
      it(`translates the addresses of a prefix of IPv${version}, whatever they carry, and nothing else`, () => {
        const it = start([{ kind: 'static', internal, external, out: 'wan' }]);
        for (const packet of [udp, segment(FIN_ACK), GRE]) {
          expect(it.out(packet, `${a}:5`, `${remote}:6`).text).to.equal(`${b}:5 > ${remote}:6`);
          expect(it.in(packet, `${remote}:6`, `${b}:5`).text).to.equal(`${remote}:6 > ${a}:5`);
        }
        const { bytes } = it.out(udp, `${a}:5`, `${remote}:6`);
        const bare = (text: string): string => text.replace(/[[\]]/g, '');
        expect(it.in(errorAbout(bytes, version === 4 ? 11 : 3), remote, b).text).to.equal(
          `${bare(remote)} > ${bare(a)} [${a}:5 > ${remote}:6]`,
        );
        expect(it.out(udp, `${a}:5`, `${version === 4 ? '10.9.9.9' : '[fd00:2::1]'}:6`).side).to.equal('lan');
        expect(it.nat.stats()).to.include({ mappings: 0, sessions: 0 });
      });
    }
  });

  it('translates IPv6 as it does IPv4', () => {
    const it = start([{ kind: 'source', from: 'fd00::/8', out: 'wan', to: '2001:db8::1-2001:db8::4' }]);
    const [a, remote] = ['[fd00::5]:4000', '[2001:db8:9::1]:80'];
    for (const packet of [udp, echo]) {
      const external = it.outside(packet, a, remote);
      expect(external).to.match(/^\[2001:db8::[1-4]\]:/);
      expect(it.outside(packet, a, '[2001:db8:9::2]:81')).to.equal(external);
    }
    const external = it.outside(segment(SYN), a, remote);
    expect(it.in(segment(SYN_ACK), remote, external).text).to.equal(`${remote} > ${a}`);
    expect(it.nat.stats()).to.include({ mappings: 3, hosts: 1 });
  });

  it('drops what cannot be translated, and passes it where nothing has to be', () => {
    const it = start([{ kind: 'source', from: '10.0.0.0/16', to: '198.51.100.1' }]);
    expect(it.out(GRE, '10.0.0.5', '192.0.2.9').text).to.equal('nat-unsupported');
    expect(it.in(GRE, '192.0.2.9', '198.51.100.1').text).to.equal('nat-unsupported');
    expect(it.out(GRE, '10.1.0.5', '192.0.2.9').side).to.equal('wan');
  });

  it('keeps ports where that is asked for, as long as they are free', () => {
    const it = start([{ kind: 'source', from: '10.0.0.0/8', to: '198.51.100.1', preservePorts: true }]);
    expect(it.outside(udp, '10.0.0.5:4000', S)).to.equal('198.51.100.1:4000');
    expect(it.outside(udp, '10.0.0.6:4000', S)).to.not.equal('198.51.100.1:4000');
    expect(it.outside(segment(SYN), '10.0.0.6:4000', S)).to.equal('198.51.100.1:4000');
  });

  it('gives hosts ports in blocks of their own, of all protocols, where that is asked for', () => {
    const it = start([
      { kind: 'source', from: '10.0.0.0/8', to: '198.51.100.1', ports: '2000-2063', blocks: { size: 16, most: 2 } },
    ]);
    const blockOf = (packet: PlainPacket, from: string) => {
      const { side, ends, text } = it.out(packet, from, S);
      return side === 'wan' ? Math.floor((ends.sourcePort - 2000) / 16) : text;
    };
    const blocks = new Map<number, Set<number | string>>([1, 2, 3].map((host) => [host, new Set()]));
    for (let port = 4000; port < 4016; port++) {
      for (const [host, own] of blocks) {
        own.add(blockOf(udp, `10.0.0.${host}:${port}`));
        own.add(blockOf(segment(SYN), `10.0.0.${host}:${port}`));
        own.add(blockOf(echo, `10.0.0.${host}:${port}`));
      }
    }
    // Three hosts filled a block each; there is one more.
    expect(new Set([...blocks.values()].flatMap((own) => [...own]))).to.have.lengthOf(3);
    expect(blockOf(udp, '10.0.0.1:4016')).to.be.within(0, 3);
    expect(blockOf(udp, '10.0.0.2:4016')).to.equal('nat-no-port');
    expect(blockOf(udp, '10.0.0.4:4016')).to.equal('nat-no-port');
    it.pass(300_000);
    expect(it.nat.stats()).to.include({ hosts: 0 });
    for (let host = 1; host <= 4; host++) expect(blockOf(udp, `10.0.0.${host}:4016`)).to.be.within(0, 3);
    expect(blockOf(udp, '10.0.0.5:4016')).to.equal('nat-no-port');
  });

  it('lets no internal host have more than its part', () => {
    const it = start([{ kind: 'source', from: '10.0.0.0/8', to: '198.51.100.1' }], { perHost: 10 });
    for (let port = 1; port <= 10; port++) expect(it.out(udp, `10.0.0.5:${port}`, S).side).to.equal('wan');
    expect(it.out(udp, '10.0.0.5:11', S).text).to.equal('nat-no-port');
    expect(it.out(udp, '10.0.0.5:1', '203.0.113.1:1').text).to.equal('nat-no-port');
    expect(it.out(udp, '10.0.0.6:11', S).side).to.equal('wan');
    it.nat.clear();
    expect(it.nat.stats()).to.include({ mappings: 0, sessions: 0, hosts: 0 });
    expect(it.out(udp, '10.0.0.5:11', S).side).to.equal('wan');
  });

  it('has another address of the pool for a new host, where the first has no port left', () => {
    const it = start([{ kind: 'source', from: '10.0.0.0/8', to: '198.51.100.0/30', ports: '2000-2001' }]);
    const seen = new Set<string>();
    for (let host = 1; host <= 8; host++) seen.add(it.outside(segment(SYN), `10.0.0.${host}:5000`, S));
    expect(seen.size).to.equal(8);
    expect(it.out(segment(SYN), '10.0.0.9:5000', S).text).to.equal('nat-no-port');
    // Mappings of other protocols have ports of their own (RFC 7857 5).
    expect(it.out(udp, '10.0.0.9:5000', S).side).to.equal('wan');
  });

  it('copies what others hold, and narrowed packets with their headers', () => {
    const env = virtualEnv();
    const wan = fakeDevice(env, { name: 'wan' });
    const translator = nat([{ kind: 'source', from: '10.0.0.0/8', to: '198.51.100.1' }], {}, env);
    const made = plainFrame(udp, endsOf('10.0.0.5:4000', S));
    const frame = env.pool.copy(made);
    frame.network = frame.start;
    frame.output = wan;
    const before = Buffer.from(frame.bytes()).toString('hex');
    const packet = new Ipv4Packet(frame, frame.start);
    frame.start += 20;
    frame.retain();
    const seen: number[] = [];
    const input = new Subject<Ipv4Packet>();
    const running = input.pipe(translator.postrouting).subscribe((out) => {
      expect(out.frame).to.not.equal(frame);
      expect(Ipv4Packet.check(out.frame, out.offset)).to.equal(undefined);
      expect(out.frame.start).to.equal(out.offset + 20);
      seen.push(out.source);
    });
    input.next(packet);
    expect(seen).to.deep.equal([0xc633_6401]);
    frame.start -= 20;
    expect(Buffer.from(frame.bytes()).toString('hex')).to.equal(before);
    frame.release();
    frame.release();
    running.unsubscribe();
    expect(env.pool.outstanding).to.equal(0);
    expect(env.scheduler.pending).to.equal(0);
  });

  for (const name of ['prerouting', 'postrouting'] as const) {
    it(`${name} lives as its source does, and leaves no timer to whoever leaves early`, () => {
      const env = virtualEnv();
      const translator = nat([MASQUERADE], {}, env);
      const tell = (source: Observable<Frame>): unknown[] => {
        const events: unknown[] = [];
        const running = source.pipe(translator[name]).subscribe({
          next: () => events.push('next'),
          error: (error: unknown) => events.push(error),
          complete: () => events.push('complete'),
        });
        running.unsubscribe();
        return events;
      };
      expect(tell(NEVER)).to.deep.equal([]);
      expect(tell(EMPTY)).to.deep.equal(['complete']);
      expect(tell(throwError(() => 'broken'))).to.deep.equal(['broken']);
      const input = new Subject<Frame>();
      input.pipe(translator[name]).subscribe().unsubscribe();
      expect(input.observed).to.equal(false);
      expect(env.scheduler.pending).to.equal(0);
    });
  }

  it('takes a bounded amount of memory', () => {
    const { bytes } = nat([MASQUERADE], { capacity: 1 << 18 }).stats();
    expect(bytes / (1 << 18)).to.be.below(213);
  });

  it('goes on where it was, once somebody is subscribed again', () => {
    const it = start([{ kind: 'source', from: '10.0.0.0/8', to: '198.51.100.1' }]);
    const external = it.outside(udp, '10.0.0.5:4000', S);
    it.pause();
    expect(it.env.scheduler.pending).to.equal(0);
    it.pass(299_999);
    it.resume();
    expect(it.in(udp, S, external).side).to.equal('lan');
    it.pause();
    it.pass(1_000_000);
    it.resume();
    it.pass(0);
    expect(it.in(udp, S, external).text).to.equal('nat-no-mapping');
  });

  it('passes on what is no IP packet, and ends with its source', () => {
    const env = virtualEnv();
    const translator = nat([MASQUERADE], {}, env);
    const input = new Subject<Frame>();
    const events: unknown[] = [];
    input.pipe(translator.prerouting, translator.postrouting).subscribe({
      next: (frame) => events.push(frame.length),
      complete: () => events.push('complete'),
    });
    const frame = env.pool.alloc(10);
    frame.put(10);
    input.next(frame);
    frame.release();
    input.complete();
    expect(events).to.deep.equal([10, 'complete']);
  });

  const wrong: readonly (readonly [string, readonly NatRule[], NatOptions?])[] = [
    ['a source rule for everything', [{ kind: 'source', to: '198.51.100.1' }]],
    ['a pool that is too large', [{ kind: 'source', from: '10.0.0.0/8', to: '198.0.0.0/8' }]],
    ['a pool of two versions', [{ kind: 'source', from: '10.0.0.0/8', to: ['198.51.100.1', '2001:db8::1'] }]],
    ['a range that runs backwards', [{ kind: 'source', from: '10.0.0.0/8', to: '198.51.100.9-198.51.100.1' }]],
    ['no address', [{ kind: 'source', from: '10.0.0.0/8', to: 'nonsense' }]],
    ['blocks that do not fit', [{ ...MASQUERADE, ports: '2000-2009', blocks: { size: 16 } }]],
    ['blocks of ports that are kept', [{ ...MASQUERADE, preservePorts: true, blocks: { size: 16 } }]],
    ['ports that are none', [{ ...MASQUERADE, ports: '0-70000' }]],
    ['a forward of nothing known', [{ kind: 'forward', protocol: 'tcp', ports: 80, to: '10.0.0.5' }]],
    [
      'ports forwarded twice',
      [
        { kind: 'forward', protocol: 'tcp', on: 'wan', ports: '80-90', to: '10.0.0.5' },
        { kind: 'forward', protocol: 'tcp', on: 'wan', ports: 85, to: '10.0.0.6' },
      ],
    ],
    [
      'ports beyond the last',
      [{ kind: 'forward', protocol: 'tcp', on: 'wan', ports: '1-9', to: '10.0.0.5', toPort: 65_530 }],
    ],
    ['prefixes of two lengths', [{ kind: 'static', internal: '10.0.0.0/24', external: '198.51.100.0/25' }]],
    ['no capacity', [MASQUERADE], { capacity: 0 }],
    ['a timeout that is none', [MASQUERADE], { timeouts: { udp: 0 } }],
  ];
  for (const [what, rules, options] of wrong) {
    it(`refuses ${what}`, () => {
      expect(() => nat(rules, options)).to.throw(UsageError);
    });
  }
});
