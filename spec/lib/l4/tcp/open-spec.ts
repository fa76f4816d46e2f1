import { expect } from 'chai';
import { type IpAddress, ipOf } from '../../../../lib/core/address.js';
import { Cast } from '../../../../lib/core/frame.js';
import { FACTS } from '../../../both-versions.js';
import { Dut, Recorder } from './dut.js';
import { VERSIONS } from './pair.js';

/** Addresses that nobody may send from, those besides where nobody may connect to, and those of links. */
const NOT_UNICAST = {
  4: { sources: ['224.0.0.1', '255.255.255.255', '10.0.0.255', '0.0.0.0'], links: [['10.0.0.255', Cast.Broadcast]] },
  6: { sources: ['ff02::1', 'ff0e::1', '::'], links: [['ff02::1:ff00:1', Cast.Multicast]] },
} as const;

for (const version of VERSIONS) {
  const { any, b, elsewhere, group, headers } = FACTS[version];
  describe(`TCP opening over IPv${version}`, () => {
    it('opens passively; the SYN-ACK goes out and its timer is armed within the same call (SM-02, SM-03)', () => {
      const dut = new Dut(version);
      let told = 0;
      const listener = dut.listen();
      listener.acceptable = () => told++;
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      dut.tx('S. 0:0(0) ack 1 win 65535 <mss 1460>');
      expect(dut.scheduler.pending).to.equal(1);
      dut.rx('. 1:1(0) ack 1 win 1000');
      dut.tx();
      expect(told).to.equal(1);
      expect(listener.accept()?.state).to.equal('ESTABLISHED');
      expect(dut.scheduler.pending).to.equal(0);
      dut.expectClean();
    });

    it('opens actively (GT-03, SM-04)', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.connecting();
      dut.tx('S 0:0(0) win 65535 <mss 1460>');
      dut.rx('S. 0:0(0) ack 1 win 1000 <mss 1000>');
      dut.tx('. 1:1(0) ack 1 win 65535');
      expect(connection.state).to.equal('ESTABLISHED');
      expect(app.events).to.deep.equal(['connected']);
      dut.expectClean();
    });

    it('offers all options in the SYN, and again in its retransmission (GT-06)', () => {
      const dut = new Dut(version, { timestamps: true, windowScaling: true, sack: true });
      dut.connecting();
      dut.tx('S 0:0(0) win 65535 <mss 1460,sackOK,TS val 1000 ecr 0,nop,wscale 7>');
      dut.wait(1000);
      dut.tx('S 0:0(0) win 65535 <mss 1460,sackOK,TS val 2000 ecr 0,nop,wscale 7>');
      dut.rx('S. 0:0(0) ack 1 win 1000 <mss 1460,sackOK,TS val 77 ecr 2000,nop,wscale 7>');
      dut.tx('. 1:1(0) ack 1 win 1024 <nop,nop,TS val 2000 ecr 77>');
      dut.expectClean();
    });

    const offers = [
      ['mss 1460', '<mss 1460>'],
      ['mss 1460,sackOK', '<mss 1460,nop,nop,sackOK>'],
      ['mss 1460,nop,wscale 7', '<mss 1460,nop,wscale 7>'],
      ['mss 1460,nop,nop,TS val 5 ecr 0', '<mss 1460,nop,nop,TS val 1000 ecr 5>'],
    ] as const;
    for (const [offer, answer] of offers) {
      it(`answers the offer of ${offer} with no more than that (GT-47, GT-73, GT-90, 7323-1)`, () => {
        const dut = new Dut(version, { timestamps: true, windowScaling: true, sack: true });
        dut.listen();
        dut.rx(`S 0:0(0) win 1000 <${offer}>`);
        dut.tx(`S. 0:0(0) ack 1 win 65535 ${answer}`);
        dut.expectClean();
      });
    }

    it('caps the MSS that it offers by option and by the MTU (GT-07, MUST-67)', () => {
      const dut = new Dut(version, {}, 1280);
      dut.connecting();
      dut.tx(`S 0:0(0) win 65535 <mss ${1280 - headers}>`);
      dut.connecting({ maxSegmentSize: 700 });
      dut.tx('S 0:0(0) win 65535 <mss 700>');
      dut.expectClean();
    });

    it('opens simultaneously (MUST-10, SM-04)', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.connecting();
      dut.take();
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      dut.tx('S. 0:0(0) ack 1 win 65535 <mss 1460>');
      expect(connection.state).to.equal('SYN-RECEIVED');
      dut.rx('S. 0:0(0) ack 1 win 1000 <mss 1460>');
      expect(connection.state).to.equal('ESTABLISHED');
      dut.tx('. 1:1(0) ack 1 win 65535');
      expect(app.events).to.deep.equal(['connected']);
      dut.expectClean();
    });

    it('connects to itself (GT-24)', () => {
      const dut = new Dut(version);
      dut.loop = true;
      const self = dut.host.connect({ address: dut.own, port: 5000 }, new Recorder(), { localPort: 5000 });
      dut.wait(100);
      expect(self.state).to.equal('ESTABLISHED');
      self.write(Uint8Array.of(1, 2, 3));
      dut.wait(100);
      expect([...(self.read() ?? [])]).to.deep.equal([1, 2, 3]);
      dut.expectClean();
    });

    it('is not told of anything from within connect, even if the answer comes at once', () => {
      const dut = new Dut(version);
      dut.loop = true;
      const listener = dut.host.listen({ address: dut.own, port: 90 });
      const events: string[] = [];
      const nothing = () => {};
      const handler = { connected: () => events.push('connected'), readable: nothing, writable: nothing };
      const connection = dut.host.connect(listener.local, { ...handler, flushed: nothing, closed: nothing });
      expect(events).to.deep.equal([]);
      dut.wait(0);
      expect(events).to.deep.equal(['connected']);
      expect(connection.state).to.equal('ESTABLISHED');
      expect(listener.accept()).not.to.equal(undefined);
      dut.expectClean();
    });

    it('answers an unacceptable ACK in SYN-SENT with RST and goes on (SM-04, E-03)', () => {
      const dut = new Dut(version);
      const { connection } = dut.connecting();
      dut.take();
      for (const ack of [0, 2, 1000]) {
        dut.rx(`S. 0:0(0) ack ${ack} win 1000`);
        dut.tx(`R ${ack}:${ack}(0) win 0`);
      }
      dut.rx('R 0:0(0) win 0');
      dut.rx('R. 0:0(0) ack 2 win 0');
      dut.rx('. 0:0(0) ack 1 win 100');
      dut.tx();
      expect(connection.state).to.equal('SYN-SENT');
      dut.expectClean();
    });

    it('is refused by a RST that acknowledges its SYN; a later SYN-ACK draws RST (GP-48, GT-04)', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.connecting();
      dut.take();
      dut.rx('R. 0:0(0) ack 1 win 0');
      expect(connection.state).to.equal('CLOSED');
      expect(app.events).to.deep.equal(['closed ECONNREFUSED']);
      dut.rx('S. 0:0(0) ack 1 win 1000');
      dut.tx('R 1:1(0) win 0');
      dut.expectClean();
    });

    it('gives up silently when closed or aborted in SYN-SENT (GT-01, GT-05)', () => {
      for (const how of ['close', 'abort'] as const) {
        const dut = new Dut(version);
        const { connection, app } = dut.connecting();
        dut.take();
        connection[how]();
        dut.tx();
        expect(app.events).to.deep.equal([how === 'close' ? 'closed' : 'closed ECONNABORTED']);
        dut.wait(200_000);
        dut.tx();
        dut.rx('S. 0:0(0) ack 1 win 1000');
        dut.tx('R 1:1(0) win 0');
        dut.expectClean();
      }
    });

    it('retransmits the SYN seven times, doubling, for three minutes at least, and times out (GT-70, MUST-22, MUST-23)', () => {
      const dut = new Dut(version);
      const { app } = dut.connecting();
      const times: number[] = [];
      for (let t = 0; t < 256_000; t += 500) {
        if (dut.take().length > 0) times.push(t);
        dut.wait(500);
      }
      expect(times).to.deep.equal([0, 1000, 3000, 7000, 15_000, 31_000, 63_000, 127_000]);
      expect(app.events).to.deep.equal(['closed ETIMEDOUT']);
      dut.expectClean();
    });

    it('retransmits the SYN-ACK five times and forgets (MUST-11, GT-19)', () => {
      const dut = new Dut(version);
      dut.listen();
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      dut.take();
      dut.wait(31_000);
      expect(dut.take().length).to.equal(5);
      expect(dut.host.size).to.equal(1);
      dut.wait(33_000);
      expect(dut.host.size).to.equal(0);
      dut.expectClean();
    });

    it('answers a repeated SYN with the same SYN-ACK (GT-08)', () => {
      const dut = new Dut(version);
      dut.listen();
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      const first = dut.take();
      const { iss } = dut;
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      expect(dut.take()).to.deep.equal(first);
      expect(dut.iss).to.equal(iss);
      dut.expectClean();
    });

    it('in SYN-RECEIVED takes only the ACK of its SYN, and refuses others (GP-21, SM-03, E-09)', () => {
      const dut = new Dut(version);
      const listener = dut.listen();
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      dut.take();
      for (const ack of [0, 2]) {
        dut.rx(`. 1:1(0) ack ${ack} win 1000`);
        dut.tx(`R ${ack}:${ack}(0) win 0`);
      }
      expect(listener.accept()).to.equal(undefined);
      dut.rx('. 1:1(0) ack 1 win 1000');
      dut.tx();
      expect(listener.accept()?.state).to.equal('ESTABLISHED');
      dut.expectClean();
    });

    it('in SYN-RECEIVED answers what is out of the window with an ACK, and still completes (GT-09)', () => {
      const dut = new Dut(version);
      const listener = dut.listen();
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      dut.take();
      dut.rx('. 70001:70001(0) ack 1 win 1000');
      dut.tx('. 1:1(0) ack 1 win 65535');
      dut.rx('. 1:1(0) ack 1 win 1000');
      expect(listener.accept()?.state).to.equal('ESTABLISHED');
      dut.expectClean();
    });

    it('forgets an embryonic connection on RST; the late ACK draws RST (GP-47, MUST-11)', () => {
      const dut = new Dut(version);
      const listener = dut.listen();
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      dut.take();
      dut.rx('R 1:1(0) win 0');
      expect(dut.host.size).to.equal(0);
      dut.rx('. 1:1(0) ack 1 win 1000');
      dut.tx('R 1:1(0) win 0');
      expect(listener.accept()).to.equal(undefined);
      dut.expectClean();
    });

    it('goes from SYN-RECEIVED through FIN to CLOSE-WAIT (SM-03)', () => {
      const dut = new Dut(version);
      const listener = dut.listen();
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      dut.take();
      dut.rx('F. 1:1(0) ack 1 win 1000');
      dut.tx('. 1:1(0) ack 2 win 65535');
      expect(listener.accept()?.state).to.equal('CLOSE-WAIT');
      dut.expectClean();
    });

    it('acknowledges data before they are accepted, and tells the owner who comes later (GT-17)', () => {
      const dut = new Dut(version, { quickAcks: 1 });
      const listener = dut.listen();
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      dut.take();
      dut.rx('P. 1:4(3) ack 1 win 1000');
      dut.tx('. 1:1(0) ack 4 win 65535');
      const connection = listener.accept();
      expect(connection?.readableBytes).to.equal(3);
      const events: string[] = [];
      const nothing = () => {};
      if (connection !== undefined) {
        connection.handler = {
          connected: nothing,
          readable: () => events.push('readable'),
          writable: nothing,
          flushed: nothing,
          closed: nothing,
        };
      }
      dut.wait(0);
      expect(events).to.deep.equal(['readable']);
      dut.expectClean();
    });

    it('queues writes and the end in SYN-SENT (GP-39)', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.connecting();
      connection.write(Uint8Array.of(1, 2, 3));
      connection.end();
      dut.take();
      dut.rx('S. 0:0(0) ack 1 win 1000 <mss 1460>');
      dut.tx('FP. 1:4(3) ack 1 win 65535');
      expect(connection.state).to.equal('FIN-WAIT-1');
      dut.rx('. 1:1(0) ack 5 win 1000');
      expect(connection.state).to.equal('FIN-WAIT-2');
      expect(app.events).to.deep.equal(['connected', 'flushed']);
      dut.expectClean();
    });

    it('lets no more than the window of the handshake fly at first (GP-27)', () => {
      const dut = new Dut(version);
      const { connection } = dut.connected({ win: 64 });
      connection.write(new Uint8Array(500));
      dut.tx('. 1:65(64) ack 1 win 65535');
      dut.expectClean();
    });

    it('holds a full backlog at bay: drops SYNs and final ACKs, and completes after accept (GP-34, GT-18)', () => {
      const dut = new Dut(version);
      const listener = dut.listen({ backlog: 1 });
      dut.peerPort = 1001;
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      const first = dut.iss;
      dut.peerPort = 1002;
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      const second = dut.iss;
      [dut.peerPort, dut.iss] = [1001, first];
      dut.rx('. 1:1(0) ack 1 win 1000');
      [dut.peerPort, dut.iss] = [1002, second];
      dut.take();
      dut.rx('. 1:1(0) ack 1 win 1000');
      dut.peerPort = 1003;
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      dut.tx();
      expect(dut.drops('TcpBacklogFull')).to.equal(2);
      expect(listener.accept()?.remote.port).to.equal(1001);
      dut.peerPort = 1002;
      dut.wait(1000);
      dut.tx('S. 0:0(0) ack 1 win 65535 <mss 1460>');
      dut.rx('. 1:1(0) ack 1 win 1000');
      expect(listener.accept()?.remote.port).to.equal(1002);
      dut.expectClean();
    });

    it('bounds embryonic connections', () => {
      const dut = new Dut(version, { maxEmbryonic: 10, synCookies: 'off' });
      dut.listen();
      for (let port = 1; port <= 50; port++) {
        dut.peerPort = port;
        dut.rx('S 0:0(0) win 1000 <mss 1460>');
      }
      expect(dut.host.size).to.equal(10);
      expect(dut.take().length).to.equal(10);
      dut.host.configure({ maxEmbryonic: 11 });
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      expect(dut.take().length, 'one more where more are allowed meanwhile').to.equal(1);
      dut.expectClean();
    });

    it('resets what was not accepted when the listener closes (GP-35, GT-16)', () => {
      const dut = new Dut(version);
      const listener = dut.listen();
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      dut.rx('. 1:1(0) ack 1 win 1000');
      dut.take();
      listener.close();
      dut.tx('R. 1:1(0) ack 1 win 65535');
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      dut.tx('R. 0:0(0) ack 1 win 0');
      dut.expectClean();
    });

    it('answers what belongs to nobody as RFC 9293 says, and RSTs never (E-01, GT-10..14, SM-01)', () => {
      const dut = new Dut(version);
      dut.rx('S 0:0(0) win 1000');
      dut.tx('R. 0:0(0) ack 1 win 0');
      dut.rx('P. 10:15(5) ack 77 win 1000');
      dut.tx('R 77:77(0) win 0');
      dut.rx('FP 10:15(5) win 1000');
      dut.tx('R. 0:0(0) ack 16 win 0');
      dut.rx('R. 10:10(0) ack 77 win 1000');
      dut.rx('R 10:10(0) win 1000');
      dut.tx();
      dut.listen();
      dut.rx('. 10:10(0) ack 77 win 1000');
      dut.tx('R 77:77(0) win 0');
      dut.rx('S. 10:10(0) ack 77 win 1000');
      dut.tx('R 77:77(0) win 0');
      dut.rx('R 10:10(0) win 1000');
      dut.rx('F 10:10(0) win 1000');
      dut.rx('SF 10:10(0) win 1000');
      dut.tx();
      expect(dut.host.size).to.equal(0);
      dut.expectClean();
    });

    it('drops SYNs from and to what is not unicast (GT-21, MUST-57, MUST-63)', () => {
      const dut = new Dut(version);
      const { sources, links } = NOT_UNICAST[version];
      dut.host.listen({ address: any, port: 80 });
      for (const from of sources) dut.rx('S 0:0(0) win 1000', { from: ipOf(from) });
      for (const [to, cast] of links) dut.rx('S 0:0(0) win 1000', { to: ipOf(to), cast });
      dut.rx('S 0:0(0) win 1000', { to: group, cast: Cast.Multicast });
      dut.tx();
      expect(dut.dropNames()).to.deep.equal([`tcp-not-unicast ${sources.length + 2}`]);
      dut.expectClean();
    });

    it('lets the listener of an address go before that of all addresses (MUST-42)', () => {
      const dut = new Dut(version);
      const all = dut.host.listen({ address: any, port: 80 });
      const one = dut.host.listen({ address: dut.own, port: 80 });
      dut.rx('S 0:0(0) win 1000');
      dut.rx('. 1:1(0) ack 1 win 1000');
      expect([all.accept(), one.accept()?.state]).to.deep.equal([undefined, 'ESTABLISHED']);
      expect(() => dut.host.listen(one.local))
        .to.throw()
        .with.property('code', 'EADDRINUSE');
      dut.expectClean();
    });

    it('refuses impossible opens with the right code (MUST-46)', () => {
      const dut = new Dut(version);
      const handler = { connected() {}, readable() {}, writable() {}, flushed() {}, closed() {} };
      const attempt = (address: IpAddress, port: number, options = {}) => {
        return () => dut.host.connect({ address, port }, handler, options);
      };
      expect(attempt(b, 0)).to.throw().with.property('code', 'EINVAL');
      for (const address of NOT_UNICAST[version].sources) {
        expect(attempt(ipOf(address), 80))
          .to.throw()
          .with.property('code', 'EINVAL');
      }
      expect(attempt(b, 80, { localAddress: elsewhere }))
        .to.throw()
        .with.property('code', 'EADDRNOTAVAIL');
      attempt(b, 80, { localPort: 5 })();
      expect(attempt(b, 80, { localPort: 5 }))
        .to.throw()
        .with.property('code', 'EADDRINUSE');
      expect(attempt(FACTS[version === 4 ? 6 : 4].b, 80))
        .to.throw()
        .with.property('code', 'ENETUNREACH');
      expect(() => dut.host.listen({ address: elsewhere, port: 1 }))
        .to.throw()
        .with.property('code', 'EADDRNOTAVAIL');
      dut.expectClean();
    });

    it('gives every open its own port, avoiding those that are listened on (GT-25)', () => {
      const dut = new Dut(version, { portRange: [5000, 5004] });
      dut.host.listen({ address: dut.own, port: 5002 });
      const ports = [1, 2, 3, 4].map(() => dut.connecting().connection.local.port).sort((a, b) => a - b);
      expect(ports).to.deep.equal([5000, 5001, 5003, 5004]);
      expect(() => dut.connecting())
        .to.throw()
        .with.property('code', 'EADDRNOTAVAIL');
      dut.expectClean();
    });
  });
}
