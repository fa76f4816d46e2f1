/** What RFC 4787 asks of translators, for UDP; each test has the two sides of what it asks. */

import { expect } from 'chai';
import type { NatOptions } from '../../../lib/l4/nat/options.js';
import type { NatFilter, NatRule, SourceRule } from '../../../lib/l4/nat/rules.js';
import { echo, echoReply, endOf, errorAbout, identificationOf, Rig, segment, SYN, udp } from './nat-rig.js';

const MINUTE = 60_000;
const A = '10.0.0.5:4000';
const S1 = '192.0.2.9:53';
const S2 = '192.0.2.10:99';
const portOf = (end: string): number => endOf(end).port;

describe('RFC 4787: NAT of UDP', () => {
  let rig: Rig;

  function start(rule: Partial<SourceRule> = {}, options: NatOptions = {}, more: readonly NatRule[] = []): void {
    rig = new Rig([{ kind: 'source', from: '10.0.0.0/8', out: 'wan', to: '198.51.100.1', ...rule }, ...more], options);
  }

  afterEach(() => rig.end());

  it('REQ-1: a mapping is the same for all destinations, and another for another internal end (4787-1)', () => {
    start();
    const external = rig.outside(udp, A, S1);
    expect(rig.outside(udp, A, S2)).to.equal(external);
    expect(rig.outside(udp, A, '192.0.2.9:54')).to.equal(external);
    expect(rig.outside(udp, '10.0.0.5:4001', S1)).to.not.equal(external);
    expect(rig.outside(udp, '10.0.0.6:4000', S1)).to.not.equal(external);
    expect(rig.in(udp, S1, external)).to.include({ side: 'lan', text: `${S1} > ${A}` });
    expect(rig.nat.stats()).to.include({ mappings: 3, hosts: 2 });
  });

  it('REQ-2: an internal host has one external address for all that it sends, of all protocols (4787-2)', () => {
    start({ to: ['198.51.100.0/28', '198.51.100.100-198.51.100.103'] });
    const addresses = new Set<string>();
    for (let host = 1; host <= 60; host++) {
      const own = new Set<string>();
      for (let port = 5000; port < 5005; port++) {
        own.add(endOf(rig.outside(udp, `10.0.0.${host}:${port}`, S1)).address.toString());
        own.add(endOf(rig.outside(segment(SYN), `10.0.0.${host}:${port}`, S1)).address.toString());
        own.add(endOf(rig.outside(echo, `10.0.0.${host}:${port}`, '192.0.2.9')).address.toString());
      }
      expect(own.size).to.equal(1);
      for (const one of own) addresses.add(one);
    }
    expect(addresses.size).to.be.greaterThan(10);
  });

  it('REQ-3: no external port is that of two internal ends, of one protocol (4787-3)', () => {
    start({ ports: '2000-2999' });
    const seen = new Set<string>();
    for (let i = 0; i < 500; i++) seen.add(rig.outside(udp, `10.0.1.${i % 250}:${4000 + i}`, S1));
    for (let i = 0; i < 500; i++) seen.add(rig.outside(udp, `10.0.2.${i % 250}:${4001 + i}`, S1));
    expect(seen.size).to.equal(1000);
    for (const end of seen) expect(portOf(end)).to.be.within(2000, 2999);
  });

  it('REQ-3 a: ports below 1024 stay below it, and others above', () => {
    start();
    for (let port = 1; port < 1024; port += 100) {
      expect(portOf(rig.outside(udp, `10.0.0.5:${port}`, S1))).to.be.within(1, 1023);
      expect(portOf(rig.outside(udp, `10.0.0.5:${port + 1023}`, S1))).to.be.within(1024, 65_535);
    }
  });

  it('REQ-4: even ports stay even, and odd ones odd (4787-3)', () => {
    start();
    for (let port = 5000; port < 5100; port++) {
      expect(portOf(rig.outside(udp, `10.0.0.5:${port}`, S1)) & 1).to.equal(port & 1);
    }
  });

  it('REQ-3 a, REQ-4: but rather any port of the rule is given than none', () => {
    start({ ports: '1000-1047' });
    const ports = Array.from({ length: 48 }, (_, i) => portOf(rig.outside(udp, `10.0.1.${i}:123`, S1)));
    expect(new Set(ports).size).to.equal(48);
    expect(ports.slice(0, 12).every((port) => port < 1024 && port % 2 === 1)).to.equal(true);
    expect(ports.slice(12, 24).every((port) => port < 1024 && port % 2 === 0)).to.equal(true);
    expect(ports.slice(24).every((port) => port >= 1024 && port <= 1047)).to.equal(true);
    expect(rig.out(udp, '10.0.2.1:123', S1).text).to.equal('nat-no-port');
  });

  it('REQ-3 a: internal ports above 1023 are not given those below, which services have', () => {
    start({ ports: '1000-1025' });
    for (let i = 0; i < 2; i++) expect(portOf(rig.outside(udp, `10.0.1.${i}:4000`, S1))).to.be.within(1024, 1025);
    expect(rig.out(udp, '10.0.1.3:4000', S1).text).to.equal('nat-no-port');
  });

  it('REQ-4: a host has all ports of its blocks, of either parity, once it may have no more blocks', () => {
    start({ ports: '2000-2031', blocks: { size: 8, most: 2 } });
    const ports = Array.from({ length: 16 }, (_, i) => portOf(rig.outside(udp, `10.0.0.5:${4000 + 2 * i}`, S1)));
    expect(new Set(ports).size).to.equal(16);
    expect(ports.slice(0, 8).every((port) => port % 2 === 0)).to.equal(true);
    expect(rig.out(udp, '10.0.0.5:4032', S1).text).to.equal('nat-no-port');
  });

  it('REQ-5: a mapping lives for five minutes after the last packet that went out, and no longer (4787-4)', () => {
    start();
    const external = rig.outside(udp, A, S1);
    rig.pass(5 * MINUTE - 1);
    expect(rig.in(udp, S1, external).side).to.equal('lan');
    rig.pass(1);
    expect(rig.in(udp, S1, external).text).to.equal('nat-no-mapping');
    expect(rig.nat.stats()).to.include({ mappings: 0, sessions: 0, hosts: 0 });
  });

  it('REQ-5 b: that time is an option', () => {
    start({}, { timeouts: { udp: 2 * MINUTE } });
    const external = rig.outside(udp, A, S1);
    rig.pass(2 * MINUTE - 1);
    expect(rig.in(udp, S1, external).side).to.equal('lan');
    rig.pass(1);
    expect(rig.in(udp, S1, external).side).to.equal(undefined);
  });

  it('REQ-6: what goes out keeps a mapping alive, what comes in does not (4787-6)', () => {
    start();
    const external = rig.outside(udp, A, S1);
    for (let i = 0; i < 5; i++) {
      rig.pass(4 * MINUTE);
      expect(rig.outside(udp, A, S1)).to.equal(external);
    }
    rig.pass(4 * MINUTE);
    expect(rig.in(udp, S1, external).side).to.equal('lan');
    rig.pass(MINUTE);
    expect(rig.in(udp, S1, external).text).to.equal('nat-no-mapping');
  });

  it('REQ-6 a: unless that is asked for', () => {
    start({}, { refreshInbound: true });
    const external = rig.outside(udp, A, S1);
    for (let i = 0; i < 5; i++) {
      rig.pass(4 * MINUTE);
      expect(rig.in(udp, S1, external).side).to.equal('lan');
    }
  });

  const filters: readonly (readonly [NatFilter, boolean, boolean])[] = [
    ['endpoint-independent', true, true],
    ['address-dependent', true, false],
    ['address-and-port-dependent', false, false],
  ];
  for (const [filter, otherPort, otherAddress] of filters) {
    it(`REQ-8: lets in from whom a filter that is ${filter} lets in, and from nobody else (4787-7)`, () => {
      start({ filter });
      const external = rig.outside(udp, A, S1);
      expect(rig.in(udp, S1, external).side).to.equal('lan');
      const expectIn = (from: string, admitted: boolean) => {
        const { side, text } = rig.in(udp, from, external);
        expect(side).to.equal(admitted ? 'lan' : undefined);
        expect(text).to.equal(admitted ? `${from} > ${A}` : 'nat-no-mapping');
      };
      expectIn('192.0.2.9:54', otherPort);
      expectIn('192.0.2.10:53', otherAddress);
      expect(rig.outside(udp, A, '192.0.2.10:53')).to.equal(external);
      expectIn('192.0.2.10:53', true);
    });
  }

  it('REQ-8: forgets for whom a filter lets in one by one, while the mapping goes on (4787-7)', () => {
    start();
    const external = rig.outside(udp, A, S1);
    rig.pass(3 * MINUTE);
    expect(rig.outside(udp, A, S2)).to.equal(external);
    rig.pass(2 * MINUTE);
    expect(rig.in(udp, S1, external).side).to.equal(undefined);
    expect(rig.in(udp, S2, external).side).to.equal('lan');
  });

  it('REQ-9: internal hosts reach each other by their external ends, and see those (4787-8)', () => {
    start();
    const a = rig.outside(udp, A, S1);
    const b = rig.outside(udp, '10.0.0.6:5000', S1);
    // Each has to have sent something to the other's external address, as anybody.
    expect(rig.out(udp, A, b).text).to.equal('nat-no-mapping');
    expect(rig.out(udp, '10.0.0.6:5000', a)).to.include({ side: 'lan', text: `${b} > ${A}` });
    expect(rig.out(udp, A, b)).to.include({ side: 'lan', text: `${a} > 10.0.0.6:5000` });
    expect(rig.in(udp, S1, a)).to.include({ side: 'lan', text: `${S1} > ${A}` });
  });

  it('REQ-9: one that has no mapping yet gets one by that (4787-8)', () => {
    start({ filter: 'endpoint-independent' });
    const a = rig.outside(udp, A, S1);
    const { side, ends } = rig.out(udp, '10.0.0.7:7000', a);
    expect(side).to.equal('lan');
    expect(ends.source.toString()).to.equal('198.51.100.1');
    expect(rig.outside(udp, '10.0.0.7:7000', S1)).to.equal(`198.51.100.1:${ends.sourcePort}`);
  });

  it('REQ-11: does the same after any number of packets, and under a full table refuses rather than changes its ways (4787-11)', () => {
    start({ ports: '3000-3009' });
    const held = new Map<string, string>();
    for (let port = 6000; port < 6010; port++) held.set(`10.0.0.5:${port}`, rig.outside(udp, `10.0.0.5:${port}`, S1));
    expect(new Set(held.values()).size).to.equal(10);
    for (let i = 0; i < 100; i++) {
      expect(rig.out(udp, `10.0.0.8:${1024 + i}`, S1).text).to.equal('nat-no-port');
    }
    for (const [internal, external] of held) expect(rig.outside(udp, internal, S2)).to.equal(external);
    rig.pass(5 * MINUTE);
    expect(rig.out(udp, '10.0.0.8:1024', S1).side).to.equal('wan');
  });

  it('REQ-12: an ICMP error ends no mapping, and is translated whoever sent it (4787-10)', () => {
    start();
    const { ends, bytes } = rig.out(udp, A, S1);
    const external = `198.51.100.1:${ends.sourcePort}`;
    for (const router of ['203.0.113.77', '192.0.2.9']) {
      const error = rig.in(errorAbout(bytes, 3), router, '198.51.100.1');
      expect(error).to.include({ side: 'lan', text: `${router} > 10.0.0.5 [${A} > ${S1}]` });
    }
    expect(rig.in(udp, S1, external).side).to.equal('lan');
    rig.pass(5 * MINUTE);
    expect(rig.in(udp, S1, external).side).to.equal(undefined);
  });

  it('7857 10: gives packets that may be fragmented identifications of their own, as if one host had sent them', () => {
    start();
    const seen = new Set<number>();
    for (let host = 1; host <= 100; host++) {
      seen.add(identificationOf(rig.out(udp, `10.0.0.${host}:4000`, S1)));
      const whole = rig.out({ ...udp, dontFragment: true }, `10.0.0.${host}:4000`, S1);
      expect(identificationOf(whole)).to.equal(0x1234);
    }
    expect(seen.size).to.equal(100);
  });

  it('passes what no rule is about, in both directions', () => {
    start();
    expect(rig.send('lan', udp, A, '10.9.9.9:53')).to.include({ side: 'lan', text: `${A} > 10.9.9.9:53` });
    expect(rig.in(udp, '203.0.113.5:1', A)).to.include({ side: 'lan', text: `203.0.113.5:1 > ${A}` });
    expect(rig.in(udp, '203.0.113.5:1', '203.0.113.6:2')).to.include({ side: 'wan' });
    expect(rig.in(echoReply, '203.0.113.5:1', '198.51.100.1:1').text).to.equal('nat-no-mapping');
  });
});
