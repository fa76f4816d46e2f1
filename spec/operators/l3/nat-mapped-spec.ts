import { expect } from 'chai';
import type { NatRule } from '../../../lib/l4/nat/rules.js';
import { plainFrame } from '../../lib/wire/plain-packets.js';
import { endsOf, errorAbout, Rig, udp } from './nat-rig.js';

const S = '192.0.2.9:80';
const MAPPED_S = '[::ffff:192.0.2.9]:80';
const RULES: readonly NatRule[] = [
  { kind: 'static', internal: '10.7.0.0/16', external: '100.64.0.0/16' },
  { kind: 'source', from: '10.0.0.0/8', to: '198.51.100.9' },
  { kind: 'source', from: 'fd00::/8', to: '2001:db8::9' },
  { kind: 'forward', protocol: 'udp', address: '198.51.100.8', ports: 53, to: '10.0.0.5' },
];

describe('nat: IPv6 packets of IPv4-mapped addresses', () => {
  let rig: Rig;
  beforeEach(() => (rig = new Rig(RULES)));
  afterEach(() => rig.end());

  it('are translated by no rule of IPv4, whichever way they go', () => {
    for (const to of ['[::ffff:198.51.100.8]:53', '[::ffff:100.64.0.5]:53', '[::ffff:198.51.100.9]:5000']) {
      expect(rig.in(udp, MAPPED_S, to).text).to.equal(`${MAPPED_S} > ${to}`);
    }
    for (const from of ['[::ffff:10.7.0.5]:4000', '[::ffff:10.0.0.5]:4000']) {
      expect(rig.out(udp, from, MAPPED_S).text).to.equal(`${from} > ${MAPPED_S}`);
    }
    expect(rig.nat.stats()).to.include({ mappings: 0, sessions: 0 });
  });

  it('do not go through the mapping of the IPv4 address', () => {
    const external = rig.outside(udp, '10.0.0.5:4000', S);
    const mapped = `[::ffff:198.51.100.9]:${external.split(':')[1]}`;
    expect(rig.out(udp, '[::ffff:10.0.0.5]:4000', MAPPED_S).text).to.equal(`[::ffff:10.0.0.5]:4000 > ${MAPPED_S}`);
    expect(rig.in(udp, MAPPED_S, mapped).text).to.equal(`${MAPPED_S} > ${mapped}`);
    expect(rig.in(udp, S, external).text).to.equal(`${S} > 10.0.0.5:4000`);
  });

  it('are quoted by no error that is translated', () => {
    const external = rig.outside(udp, '10.0.0.5:4000', S);
    const quoted = plainFrame(udp, endsOf(`[::ffff:198.51.100.9]:${external.split(':')[1]}`, MAPPED_S)).bytes();
    const error = errorAbout(Uint8Array.from(quoted), 3);
    expect(rig.in(error, '[2001:db8:9::1]', '[2001:db8::9]').text).to.equal('nat-bad-quote');
  });
});
