/** What RFC 5508 asks of translators, for ICMP, with what RFC 7857 changed. */

import { expect } from 'chai';
import type { NatOptions } from '../../../lib/l4/nat/options.js';
import type { NatRule } from '../../../lib/l4/nat/rules.js';
import { echo, echoReply, endOf, errorAbout, Rig, segment, SYN, udp } from './nat-rig.js';

const MINUTE = 60_000;
const S = '192.0.2.9';
const ROUTER = '203.0.113.3';
const SOURCE: NatRule = { kind: 'source', from: '10.0.0.0/8', out: 'wan', to: '198.51.100.1' };
/** One to one: 10.8.0.x is 198.51.100.x outside. */
const BASIC: NatRule = { kind: 'static', internal: '10.8.0.64/26', external: '198.51.100.64/26', out: 'wan' };
const identifierOf = (external: string): number => endOf(external).port;

describe('RFC 5508: NAT of ICMP', () => {
  let rig: Rig;

  function start(rules: readonly NatRule[] = [SOURCE], options: NatOptions = {}): void {
    rig = new Rig(rules, options);
  }

  afterEach(() => rig.end());

  it('REQ-1: lets queries out and their answers in, of hosts that chose the same identifier, too (5508-1)', () => {
    start();
    const hosts = ['10.0.0.5', '10.0.0.6', '10.0.0.7'];
    const externals = hosts.map((host) => rig.outside(echo, `${host}:77`, S));
    expect(new Set(externals).size).to.equal(3);
    for (const [i, external] of externals.entries()) {
      const answer = rig.in(echoReply, `${S}:${identifierOf(external)}`, external);
      expect(answer).to.include({ side: 'lan', text: `${S}:77 > ${hosts[i]}:77` });
    }
    expect(rig.in(echo, `${S}:1`, externals[0] ?? '').text).to.equal('nat-no-mapping');
    expect(rig.in(echoReply, '192.0.2.10:1', externals[0] ?? '').text).to.equal('nat-no-mapping');
  });

  it('REQ-1 a: the mapping of an identifier is the same for all destinations (5508-1)', () => {
    start();
    const external = rig.outside(echo, '10.0.0.5:77', S);
    expect(rig.outside(echo, '10.0.0.5:77', '192.0.2.10')).to.equal(external);
    expect(rig.outside(echo, '10.0.0.5:78', S)).to.not.equal(external);
  });

  it('REQ-2: keeps a query for a minute, and no longer; that time is an option (5508-1)', () => {
    for (const icmp of [MINUTE, 2 * MINUTE]) {
      start([SOURCE], { timeouts: { icmp } });
      const external = rig.outside(echo, '10.0.0.5:77', S);
      rig.pass(icmp - 1);
      expect(rig.in(echoReply, `${S}:${identifierOf(external)}`, external).side).to.equal('lan');
      rig.pass(1);
      expect(rig.in(echoReply, `${S}:${identifierOf(external)}`, external).text).to.equal('nat-no-mapping');
      if (icmp === MINUTE) rig.end();
    }
  });

  it('REQ-3: drops errors whose checksum is wrong, or that of the header that they quote; not of its payload', () => {
    start();
    const { bytes } = rig.out(udp, '10.0.0.5:4000', `${S}:53`);
    const spoilt = (at: number): Uint8Array => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
    expect(rig.in(errorAbout(bytes), ROUTER, '198.51.100.1').side).to.equal('lan');
    expect(rig.in(errorAbout(spoilt(4)), ROUTER, '198.51.100.1').text).to.equal('nat-bad-quote');
    expect(rig.in(errorAbout(spoilt(26)), ROUTER, '198.51.100.1').side).to.equal('lan');
    const wrong = { ...errorAbout(bytes), checksum: 'none' } as const;
    expect(rig.in(wrong, ROUTER, '198.51.100.1').text).to.equal('nat-bad-quote');
  });

  it('REQ-4: translates errors from outside, and what they quote, by the mapping of that (5508-2)', () => {
    start();
    for (const [packet, from, to] of [
      [udp, '10.0.0.5:4000', `${S}:53`],
      [segment(SYN), '10.0.0.5:4001', `${S}:80`],
      [echo, '10.0.0.5:77', `${S}:77`],
    ] as const) {
      const { bytes } = rig.out(packet, from, to);
      const { side, text } = rig.in(errorAbout(bytes), ROUTER, '198.51.100.1');
      expect(side).to.equal('lan');
      expect(text).to.equal(`${ROUTER} > 10.0.0.5 [${from} > ${to}]`);
    }
  });

  it('REQ-4: drops those about what it knows no mapping for, or no session (5508-2)', () => {
    start();
    const { bytes } = rig.out(udp, '10.0.0.5:4000', `${S}:53`);
    const elsewhere = rig.out(udp, '10.0.0.6:4000', '192.0.2.10:53');
    const other = bytes.slice();
    // Another source port; the checksum that covers it is not looked at.
    other[20] = (other[20] ?? 0) ^ 1;
    expect(rig.in(errorAbout(other), ROUTER, '198.51.100.1').text).to.equal('nat-no-mapping');
    const mixed = Uint8Array.from([...elsewhere.bytes.slice(0, 20), ...bytes.slice(20)]);
    expect(rig.in(errorAbout(mixed), ROUTER, '198.51.100.1').text).to.equal('nat-no-mapping');
    expect(rig.in(errorAbout(new Uint8Array(4)), ROUTER, '198.51.100.1').text).to.equal('nat-bad-quote');
  });

  it('REQ-5: translates errors from inside, about what had come in; they come from the external address (5508-2)', () => {
    start();
    const external = rig.outside(udp, '10.0.0.5:4000', `${S}:53`);
    const { bytes } = rig.in(udp, `${S}:53`, external);
    // From the host itself, or a router on the way to it.
    for (const from of ['10.0.0.5', '10.0.0.1']) {
      const { side, text } = rig.out(errorAbout(bytes, 3), from, S);
      expect(side).to.equal('wan');
      expect(text).to.equal(`198.51.100.1 > ${S} [${S}:53 > ${external}]`);
    }
    const foreign = rig.in(udp, '203.0.113.5:1', '10.0.0.99:2');
    expect(rig.out(errorAbout(foreign.bytes, 3), '10.0.0.99', '203.0.113.5').text).to.equal('nat-no-mapping');
  });

  it('REQ-5 c: of a host whose address is translated one to one, they come from that of its own', () => {
    start([BASIC, SOURCE]);
    const { bytes } = rig.in(udp, `${S}:53`, '198.51.100.70:9');
    expect(rig.out(errorAbout(bytes, 3), '10.8.0.70', S).text).to.equal(
      `198.51.100.70 > ${S} [${S}:53 > 198.51.100.70:9]`,
    );
  });

  it('REQ-6: errors neither refresh nor end a session (5508-3)', () => {
    start();
    const { bytes, ends } = rig.out(echo, '10.0.0.5:77', S);
    const external = `198.51.100.1:${ends.sourcePort}`;
    rig.pass(MINUTE - 1);
    expect(rig.in(errorAbout(bytes), ROUTER, '198.51.100.1').side).to.equal('lan');
    expect(rig.in(echoReply, `${S}:${identifierOf(external)}`, external).side).to.equal('lan');
    rig.pass(1);
    expect(rig.in(echoReply, `${S}:${identifierOf(external)}`, external).side).to.equal(undefined);
  });

  it('REQ-7: of hosts with addresses of their own outside, lets one query the other by them', () => {
    start([BASIC, SOURCE]);
    const query = rig.out(echo, '10.8.0.65:7', '198.51.100.66');
    expect(query).to.include({ side: 'lan', text: '198.51.100.65:7 > 10.8.0.66:7' });
    const answer = rig.out(echoReply, '10.8.0.66:7', '198.51.100.65');
    expect(answer).to.include({ side: 'lan', text: '198.51.100.66:7 > 10.8.0.65:7' });
    // And of one that shares its address.
    const shared = rig.out(echo, '10.0.0.5:7', '198.51.100.66');
    expect(shared.text).to.match(/^198\.51\.100\.1:\d+ > 10\.8\.0\.66:/);
    const back = rig.out(echoReply, `10.8.0.66:${shared.ends.sourcePort}`, `198.51.100.1:${shared.ends.sourcePort}`);
    expect(back).to.include({ side: 'lan', text: '198.51.100.66:7 > 10.0.0.5:7' });
  });

  it('REQ-7 a: translates hairpinned errors to the ends that the quoted packet was sent between (5508-4)', () => {
    start([{ ...SOURCE, filter: 'endpoint-independent' }]);
    const b = rig.outside(udp, '10.0.0.6:5000', `${S}:53`);
    const { bytes, side } = rig.out(udp, '10.0.0.5:4000', b);
    expect(side).to.equal('lan');
    // As 10.0.0.6 says that nobody listens there.
    const error = rig.out(errorAbout(bytes, 3), '10.0.0.6', '198.51.100.1');
    expect(error).to.include({ side: 'lan', text: `198.51.100.1 > 10.0.0.5 [10.0.0.5:4000 > ${b}]` });
  });

  it('REQ-8: tells senders of packets that there is no room for; that is an option', () => {
    start([{ ...SOURCE, ports: '2000' }]);
    rig.out(udp, '10.0.0.5:4000', `${S}:53`);
    expect(rig.out(udp, '10.0.0.6:4000', `${S}:53`).text).to.equal('nat-no-port');
    expect(rig.replies).to.deep.equal([`198.51.100.1 > 10.0.0.6 [10.0.0.6:4000 > ${S}:53]`]);
    rig.end();
    start([{ ...SOURCE, ports: '2000' }], { reportExhaustion: false });
    rig.out(udp, '10.0.0.5:4000', `${S}:53`);
    expect(rig.out(udp, '10.0.0.6:4000', `${S}:53`).text).to.equal('nat-no-port');
    expect(rig.replies).to.deep.equal([]);
  });

  it('REQ-4, REQ-5: does the same with those of IPv6', () => {
    start([{ kind: 'source', from: 'fd00::/8', out: 'wan', to: '2001:db8::1' }]);
    const [a, remote, router] = ['[fd00::5]:4000', '[2001:db8:9::1]:53', '2001:db8:8::1'];
    const sent = rig.out(udp, a, remote);
    const external = sent.text.split(' > ')[0] ?? '';
    const error = rig.in(errorAbout(sent.bytes, 3), `[${router}]`, '[2001:db8::1]');
    expect(error).to.include({ side: 'lan', text: `${router} > fd00::5 [${a} > ${remote}]` });
    const answer = rig.in(udp, remote, external);
    const refusal = rig.out(errorAbout(answer.bytes, 1), '[fd00::5]', '[2001:db8:9::1]');
    expect(refusal.text).to.equal(`2001:db8::1 > 2001:db8:9::1 [${remote} > ${external}]`);
    const wrong = { ...errorAbout(sent.bytes, 3), checksum: 'none' } as const;
    expect(rig.in(wrong, `[${router}]`, '[2001:db8::1]').text).to.equal('nat-bad-quote');
  });

  it('REQ-10: translates all kinds of errors, time exceeded and unreachable among them', () => {
    start();
    const { bytes } = rig.out(udp, '10.0.0.5:4000', `${S}:53`);
    for (const type of [3, 4, 5, 11, 12]) {
      expect(rig.in(errorAbout(bytes, type), ROUTER, '198.51.100.1').side).to.equal('lan');
    }
  });
});
