/** Several devices that lie outside, and what the translator's own host sends beside what it translates. */

import { expect } from 'chai';
import type { NatRule } from '../../../lib/l4/nat/rules.js';
import { plainFrame } from '../../lib/wire/plain-packets.js';
import { endsOf, errorAbout, type Rig, rigs, segment, SYN, SYN_ACK, tables, udp } from './nat-rig.js';

const A = '10.0.0.5:4000';
const S = '192.0.2.9:53';

describe('nat between more than two networks', () => {
  const start = rigs();

  describe('with two devices outside', () => {
    const WAN: NatRule = { kind: 'source', out: 'wan', to: '198.51.100.1' };
    const VPN: NatRule = { kind: 'source', out: 'vpn', to: '203.0.113.1' };
    const STATIC: NatRule = { kind: 'static', internal: '10.8.0.0/24', external: '198.51.100.0/24', out: 'wan' };
    const pairs: readonly (readonly [string, readonly NatRule[]])[] = [
      ['the first', [WAN, VPN]],
      ['the last', [VPN, WAN]],
    ];
    for (const [which, rules] of pairs) {
      it(`takes what comes in by ${which} for what it is: from outside`, () => {
        const it = start(rules);
        const external = it.outside(udp, A, S);
        expect(it.in(udp, S, external)).to.include({ side: 'lan', text: `${S} > ${A}` });
        expect(it.outside(segment(SYN), A, S)).to.match(/^198\.51\.100\.1:/);
        const [end] = it.nat.sessions().filter(({ protocol }) => protocol === 'tcp');
        expect(it.in(segment(SYN_ACK), S, `198.51.100.1:${end?.external.port}`).side).to.equal('lan');
        expect(it.nat.stats()).to.include({ mappings: 2, hosts: 1 });
      });
    }

    it('takes what comes in by one to an address that is translated one to one by the other for from outside, too', () => {
      const it = start([VPN, STATIC]);
      expect(it.in(udp, S, '198.51.100.7:9')).to.include({ side: 'lan', text: `${S} > 10.8.0.7:9` });
      expect(it.nat.stats()).to.include({ mappings: 0 });
    });

    it('still lets internal hosts reach each other by external addresses', () => {
      const forward: NatRule = { kind: 'forward', protocol: 'udp', address: '203.0.113.1', ports: 53, to: '10.0.0.53' };
      const it = start([WAN, VPN, forward]);
      const { side, text } = it.out(udp, A, '203.0.113.1:53');
      expect(side).to.equal('lan');
      expect(text).to.match(/^198\.51\.100\.1:\d+ > 10\.0\.0\.53:53$/);
    });
  });

  describe("with errors of the router's own", () => {
    const FROM: NatRule = { kind: 'source', from: '10.0.0.0/8', to: '198.51.100.1' };
    const MASQUERADE: NatRule = { kind: 'masquerade', out: 'wan' };

    function home(rules: readonly NatRule[]): Rig {
      const own = tables();
      own.set('lan', '10.0.0.1/8');
      own.set('wan', '198.51.100.254/24');
      return start(rules, { tables: () => own.tables }, ['10.0.0.1', '198.51.100.254']);
    }

    it('lets internal hosts have them, whether or not their prefix is translated', () => {
      const it = home([FROM]);
      const about = plainFrame(udp, endsOf(A, S)).bytes();
      const error = it.send('here', errorAbout(about), '10.0.0.1', '10.0.0.5');
      expect(error).to.include({ side: 'lan', text: `10.0.0.1 > 10.0.0.5 [${A} > ${S}]` });
      expect(it.out(errorAbout(about), '10.0.0.7', '192.0.2.10').text).to.equal('nat-no-mapping');
    });

    it('sends those about what came in untranslated from the address that it has', () => {
      const it = home([MASQUERADE]);
      const { bytes } = it.in(udp, S, '10.0.0.99:7');
      expect(it.send('here', errorAbout(bytes), '10.0.0.1', '192.0.2.9')).to.include({ side: 'wan' });
      expect(it.out(errorAbout(bytes), '10.0.0.99', '192.0.2.9').text).to.equal('nat-no-mapping');
    });
  });

  it('forwards ports of an address of a device for as long as the device has it', () => {
    const own = tables();
    own.set('wan', '198.51.100.1/24');
    const it = start(
      [
        { kind: 'source', out: 'wan', from: '10.0.0.0/8', to: '203.0.113.9' },
        { kind: 'forward', on: 'wan', protocol: 'tcp', ports: 80, to: '10.0.0.9' },
        { kind: 'forward', on: 'wan', protocol: 'tcp', ports: 81, to: '10.0.0.9' },
      ],
      { tables: () => own.tables },
    );
    const isForwarded = (address: string): boolean => {
      const targets = [80, 81].map((port) => it.in(segment(SYN), '192.0.2.9:7', `${address}:${port}`).text);
      if (targets[0] !== '192.0.2.9:7 > 10.0.0.9:80') return false;
      expect(targets[1]).to.equal('192.0.2.9:7 > 10.0.0.9:81');
      return true;
    };
    expect(isForwarded('198.51.100.1')).to.equal(true);
    expect(it.nat.stats()).to.include({ mappings: 2 });
    own.set('wan', '198.51.100.7/24');
    expect(isForwarded('198.51.100.7')).to.equal(true);
    expect(it.nat.stats()).to.include({ mappings: 2 });
    expect(it.out(segment(SYN), A, '198.51.100.1:80')).to.include({ side: 'wan' });
    expect(it.out(udp, A, '198.51.100.1:80')).to.include({ side: 'wan' });
    own.set('wan', undefined);
    expect(it.out(segment(SYN), A, '198.51.100.7:80')).to.include({ side: 'wan' });
    own.set('wan', '198.51.100.1/24');
    expect(isForwarded('198.51.100.1')).to.equal(true);
  });
});
