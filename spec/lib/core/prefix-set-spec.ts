import { expect } from 'chai';
import { parseIp } from '../../../lib/core/address.js';
import { PrefixSet } from '../../../lib/core/prefix-set.js';

function has(set: PrefixSet, text: string): boolean {
  const address = parseIp(text);
  return set.has(address.version, address.word(0), address.word(1), address.word(2), address.word(3));
}

describe('PrefixSet', () => {
  it('tells versions apart', () => {
    const set = PrefixSet.of(['0.0.0.0/0', '2001:db8::/32']);
    expect(has(set, '192.0.2.1')).to.equal(true);
    expect(has(set, '2001:db8:1::1')).to.equal(true);
    expect(has(set, '2001:db9::1')).to.equal(false);
    expect(has(PrefixSet.of(['::/0']), '192.0.2.1')).to.equal(false);
    expect(has(PrefixSet.of(['::/0']), '::1')).to.equal(true);
  });

  it('takes no mapped address of IPv6 for one of IPv4, nor the other way round', () => {
    const four = PrefixSet.of(['10.0.0.0/8', '0.0.0.0/0']);
    expect([has(four, '10.1.2.3'), has(four, '::ffff:10.1.2.3')]).to.deep.equal([true, false]);
    const six = PrefixSet.of(['fc00::/7']);
    expect(six.add('::ffff:0:0/96')).to.equal(true);
    expect([has(six, '10.1.2.3'), has(six, '::ffff:10.1.2.3')]).to.deep.equal([false, true]);
    expect(six.delete('::ffff:0:0/96')).to.equal(true);
    expect([has(six, '::ffff:10.1.2.3'), six.size]).to.deep.equal([false, 1]);
  });

  it('has each prefix once, and keeps what lies in another', () => {
    const set = PrefixSet.of(['10.0.0.0/8', '10.1.0.0/16']);
    expect(set.add('10.1.2.3/16')).to.equal(false);
    expect(set.size).to.equal(2);
    expect(set.delete('10.0.0.0/8')).to.equal(true);
    expect(set.delete('10.0.0.0/8')).to.equal(false);
    expect(has(set, '10.1.255.255')).to.equal(true);
    expect(has(set, '10.2.0.0')).to.equal(false);
    set.clear();
    expect(set.size).to.equal(0);
    expect(has(set, '10.1.255.255')).to.equal(false);
  });

  it('rejects what is no prefix', () => {
    expect(() => PrefixSet.of(['10.0.0.0/33'])).to.throw('out of range');
  });
});
