/** What RFC 5382 asks of translators, for TCP, with what RFC 7857 changed. */

import { expect } from 'chai';
import type { NatOptions } from '../../../lib/l4/nat/options.js';
import type { SourceRule } from '../../../lib/l4/nat/rules.js';
import { ACK, errorAbout, FIN_ACK, Rig, RST, segment, SYN, SYN_ACK } from './nat-rig.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const TRANSITORY = 4 * MINUTE;
const ESTABLISHED = 124 * MINUTE;
const A = '10.0.0.5:4000';
const B = '10.0.0.6:5000';
const S = '192.0.2.9:80';

describe('RFC 5382: NAT of TCP', () => {
  let rig: Rig;

  function start(rule: Partial<SourceRule> = {}, options: NatOptions = {}): void {
    rig = new Rig([{ kind: 'source', from: '10.0.0.0/8', out: 'wan', to: '198.51.100.1', ...rule }], options);
  }

  /** Opens a connection from inside; returns its external end. */
  function open(from: string = A, to: string = S): string {
    const external = rig.outside(segment(SYN), from, to);
    expect(rig.in(segment(SYN_ACK), to, external)).to.include({ side: 'lan', text: `${to} > ${from}` });
    expect(rig.outside(segment(ACK), from, to)).to.equal(external);
    return external;
  }

  const isOpen = (external: string, to: string = S): boolean => rig.in(segment(ACK), to, external).side === 'lan';

  afterEach(() => rig.end());

  it('REQ-1: a mapping is the same for all destinations (5382-1)', () => {
    start();
    const external = open();
    expect(open(A, '192.0.2.10:443')).to.equal(external);
    expect(open('10.0.0.5:4001')).to.not.equal(external);
    expect(rig.nat.stats()).to.include({ mappings: 2 });
  });

  it('REQ-2: lets a connection be opened, used and finished from either side; nothing begins but with a SYN (5382-2)', () => {
    start({ filter: 'endpoint-independent' });
    expect(rig.out(segment(ACK), A, S).text).to.equal('nat-no-mapping');
    expect(rig.out(segment(RST), A, S).text).to.equal('nat-no-mapping');
    const external = open();
    expect(rig.in(segment(SYN), '203.0.113.1:1', external)).to.include({ side: 'lan' });
    expect(rig.outside(segment(SYN_ACK), A, '203.0.113.1:1')).to.equal(external);
    expect(rig.in(segment(ACK), '203.0.113.1:1', external).side).to.equal('lan');
    expect(rig.in(segment(ACK), '203.0.113.2:1', external).text).to.equal('nat-no-mapping');
    for (const flags of [ACK, FIN_ACK]) expect(rig.outside(segment(flags), A, S)).to.equal(external);
    expect(rig.in(segment(ACK), S, external).side).to.equal('lan');
    expect(rig.in(segment(FIN_ACK), S, external).side).to.equal('lan');
    expect(rig.outside(segment(ACK), A, S)).to.equal(external);
  });

  it('REQ-2 a: lets both ends open a connection at once (5382-2)', () => {
    start();
    const external = rig.outside(segment(SYN), A, S);
    expect(rig.in(segment(SYN), S, external)).to.include({ side: 'lan', text: `${S} > ${A}` });
    expect(rig.outside(segment(SYN_ACK), A, S)).to.equal(external);
    expect(rig.in(segment(SYN_ACK), S, external).side).to.equal('lan');
    rig.pass(ESTABLISHED - 1);
    expect(isOpen(external)).to.equal(true);
  });

  it('REQ-3: a filter that depends on addresses lets in connections from those that one was opened to', () => {
    start();
    const external = open();
    expect(rig.in(segment(SYN), '192.0.2.9:81', external)).to.include({ side: 'lan' });
    expect(rig.in(segment(SYN), '192.0.2.10:80', external).text).to.equal('nat-no-mapping');
    expect(rig.nat.sessions().map(({ state }) => state)).to.have.members(['established', 'opening']);
  });

  it('REQ-3: and no longer than that connection is known', () => {
    start();
    const external = rig.outside(segment(SYN), A, S);
    rig.pass(TRANSITORY - 1);
    expect(rig.in(segment(SYN), '192.0.2.9:81', external).side).to.equal('lan');
    rig.pass(1);
    expect(rig.in(segment(SYN), '192.0.2.9:82', external).side).to.equal(undefined);
    rig.pass(TRANSITORY);
    expect(rig.nat.stats()).to.include({ mappings: 0, sessions: 0, hosts: 0 });
  });

  for (const [version, net, a, host] of [
    [4, {}, A, '192.0.2.9'],
    [6, { from: 'fd00::/8', to: '2001:db8::1' }, '[fd00::5]:4000', '[2001:db8:9::9]'],
  ] as const) {
    it(`REQ-3: knows a connection to port 0 from the leave that its address has (IPv${version})`, () => {
      start(net);
      const external = rig.outside(segment(SYN), a, `${host}:0`);
      expect(rig.in(segment(SYN_ACK), `${host}:0`, external).side).to.equal('lan');
      expect(rig.in(segment(SYN), `${host}:81`, external).side).to.equal('lan');
      rig.out(segment(RST), a, `${host}:0`);
      rig.pass(TRANSITORY);
      expect(rig.nat.stats()).to.include({ mappings: 0, sessions: 0, hosts: 0 });
    });

    it(`REQ-3: a reset from port 0 takes no leave away (IPv${version})`, () => {
      start(net);
      const external = open(a, `${host}:80`);
      expect(rig.in(segment(RST), `${host}:0`, external).text).to.equal('nat-no-mapping');
      rig.pass(TRANSITORY);
      expect(rig.nat.stats()).to.include({ mappings: 1, sessions: 2 });
      expect(rig.in(segment(SYN), `${host}:0`, external)).to.include({ side: 'lan', text: `${host}:0 > ${a}` });
      expect(rig.outside(segment(SYN_ACK), a, `${host}:0`)).to.equal(external);
      for (const port of [80, 0]) rig.out(segment(RST), a, `${host}:${port}`);
      rig.pass(TRANSITORY);
      expect(rig.nat.stats()).to.include({ mappings: 0, sessions: 0, hosts: 0 });
    });
  }

  it('REQ-4: answers a SYN that nobody asked for after six seconds (5382-4)', () => {
    start();
    const external = open();
    expect(rig.in(segment(SYN), '203.0.113.1:7', external).text).to.equal('nat-no-mapping');
    rig.pass(6 * SECOND - 1);
    expect(rig.replies).to.deep.equal([]);
    rig.pass(1);
    expect(rig.replies).to.deep.equal([`198.51.100.1 > 203.0.113.1 [203.0.113.1:7 > ${external}]`]);
  });

  it('REQ-4: and not at all, if a SYN goes out meanwhile (5382-4)', () => {
    start();
    const external = open();
    expect(rig.in(segment(SYN), '203.0.113.1:7', external).side).to.equal(undefined);
    expect(rig.in(segment(SYN), '203.0.113.1:8', external).side).to.equal(undefined);
    rig.pass(5 * SECOND);
    expect(rig.outside(segment(SYN), A, '203.0.113.1:7')).to.equal(external);
    // The peer tries again.
    expect(rig.in(segment(SYN), '203.0.113.1:7', external).side).to.equal('lan');
    rig.pass(5 * SECOND);
    expect(rig.replies).to.deep.equal([`198.51.100.1 > 203.0.113.1 [203.0.113.1:8 > ${external}]`]);
  });

  it('REQ-4: nor if one goes out that was asked for more than once; else there is one answer to all of them (5382-4)', () => {
    start();
    const external = open();
    for (let i = 0; i < 3; i++) {
      for (const port of [7, 8]) rig.in(segment(SYN), `203.0.113.1:${port}`, external);
      rig.pass(SECOND);
    }
    expect(rig.outside(segment(SYN), A, '203.0.113.1:7')).to.equal(external);
    rig.pass(3 * SECOND);
    expect(rig.replies).to.deep.equal([`198.51.100.1 > 203.0.113.1 [203.0.113.1:8 > ${external}]`]);
    rig.pass(10 * SECOND);
    expect(rig.replies).to.have.lengthOf(1);
  });

  it('REQ-4: nor after the end of those who would send it (5382-4)', () => {
    start();
    rig.in(segment(SYN), '203.0.113.1:7', '198.51.100.1:7');
  });

  it('REQ-5: keeps an established connection for two hours and four minutes, whoever speaks (5382-5)', () => {
    start();
    const external = open();
    for (let i = 0; i < 3; i++) {
      rig.pass(ESTABLISHED - 1);
      expect(isOpen(external)).to.equal(true);
      rig.pass(ESTABLISHED - 1);
      expect(rig.outside(segment(ACK), A, S)).to.equal(external);
    }
    rig.pass(ESTABLISHED);
    expect(isOpen(external)).to.equal(false);
  });

  it('REQ-5: keeps one that is opened for four minutes, and what comes in does not make it more (5382-5)', () => {
    start();
    const external = rig.outside(segment(SYN), A, S);
    rig.pass(TRANSITORY - 1);
    expect(isOpen(external)).to.equal(true);
    rig.pass(1);
    expect(isOpen(external)).to.equal(false);
  });

  it('REQ-5: keeps one that both ends have finished for four minutes, one that only one has for as long as ever (5382-5)', () => {
    start();
    const external = open();
    rig.out(segment(FIN_ACK), A, S);
    rig.pass(ESTABLISHED - 1);
    expect(isOpen(external)).to.equal(true);
    rig.in(segment(FIN_ACK), S, external);
    rig.pass(TRANSITORY - 1);
    expect(rig.outside(segment(ACK), A, S)).to.equal(external);
    rig.pass(1);
    expect(isOpen(external)).to.equal(false);
  });

  it('REQ-5: and forgets one that is finished in time, when nobody sends any more (5382-5)', () => {
    start();
    const external = open();
    rig.pass(ESTABLISHED / 2);
    rig.out(segment(FIN_ACK), A, S);
    rig.in(segment(FIN_ACK), S, external);
    rig.pass(TRANSITORY);
    expect(rig.nat.stats()).to.include({ mappings: 0, sessions: 0, hosts: 0 });
  });

  it('REQ-5 a: those times are options (5382-5)', () => {
    start({}, { timeouts: { tcpOpening: 1000, tcpEstablished: 5000, tcpClosing: 2000 } });
    const external = open();
    rig.pass(4999);
    expect(isOpen(external)).to.equal(true);
    rig.out(segment(RST), A, S);
    rig.pass(1999);
    expect(isOpen(external)).to.equal(true);
    rig.pass(2000);
    expect(isOpen(external)).to.equal(false);
  });

  it('lets a connection begin anew on the ends of one that is over', () => {
    start();
    const external = open();
    rig.out(segment(FIN_ACK), A, S);
    rig.in(segment(FIN_ACK), S, external);
    expect(open()).to.equal(external);
    rig.pass(ESTABLISHED - 1);
    expect(isOpen(external)).to.equal(true);
  });

  it('7857 2.2: a reset ends a connection in four minutes, unless the internal host goes on (7857-1)', () => {
    start();
    const external = open();
    expect(rig.in(segment(RST), S, external).side).to.equal('lan');
    rig.pass(TRANSITORY - 1);
    expect(rig.outside(segment(ACK), A, S)).to.equal(external);
    rig.pass(ESTABLISHED - 1);
    expect(isOpen(external)).to.equal(true);
    rig.out(segment(RST), A, S);
    rig.pass(TRANSITORY);
    expect(isOpen(external)).to.equal(false);
  });

  it('REQ-7: no external port is that of two internal ends', () => {
    start({ ports: '2000-2099' });
    const seen = new Set<string>();
    for (let i = 0; i < 100; i++) seen.add(open(`10.0.1.${i}:4000`));
    expect(seen.size).to.equal(100);
    expect(rig.out(segment(SYN), '10.0.2.1:4000', S).text).to.equal('nat-no-port');
  });

  it('REQ-8: internal hosts connect to each other by their external ends, and see those (5382-8)', () => {
    start({ filter: 'endpoint-independent' });
    const b = open(B);
    const { side, ends, text } = rig.out(segment(SYN), A, b);
    expect(side).to.equal('lan');
    const a = `198.51.100.1:${ends.sourcePort}`;
    expect(text).to.equal(`${a} > ${B}`);
    expect(rig.out(segment(SYN_ACK), B, a)).to.include({ side: 'lan', text: `${b} > ${A}` });
    expect(rig.out(segment(ACK), A, b)).to.include({ side: 'lan', text: `${a} > ${B}` });
    expect(rig.nat.sessions().filter(({ state }) => state === 'established')).to.have.lengthOf(3);
  });

  it('REQ-9, REQ-10: translates ICMP errors about segments, and ends nothing because of them (5382-9)', () => {
    start();
    const external = open();
    const { bytes } = rig.out(segment(ACK), A, S);
    const error = rig.in(errorAbout(bytes, 3), '203.0.113.3', '198.51.100.1');
    expect(error).to.include({ side: 'lan', text: `203.0.113.3 > 10.0.0.5 [${A} > ${S}]` });
    expect(isOpen(external)).to.equal(true);
    expect(rig.nat.sessions()).to.have.lengthOf(1);
  });
});
