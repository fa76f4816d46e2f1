import { expect } from 'chai';
import { Cidr, Ipv6Address } from '../../../lib/core/address.js';
import { Cast } from '../../../lib/core/frame.js';
import { Ipv6Addresses } from '../../../lib/l3/addresses6.js';
import { fakeDevice, virtualEnv } from '../l2/fake-device.js';

const ip = (text: string) => Ipv6Address.parse(text);
const cidr = (text: string) => {
  const [address = '', length] = text.split('/');
  return new Cidr<6>(ip(address), Number(length));
};

describe('Ipv6Addresses', () => {
  const env = virtualEnv();
  const [one, two] = [fakeDevice(env, { name: 'one' }), fakeDevice(env, { name: 'two' })];
  const accepts = (addresses: Ipv6Addresses, text: string, device = one) => {
    const { a, b, c, d } = ip(text);
    return addresses.accepts(a, b, c, d, device);
  };

  it('chooses the source anew after every change, however often it was asked before', () => {
    const addresses = new Ipv6Addresses();
    const target = ip('2001:db8::99');
    const source = () => addresses.sourceFor(one, target)?.toString();
    expect(source()).to.equal(undefined);
    addresses.add(one, cidr('fd00::1/64'));
    expect([source(), source()]).to.deep.equal(['fd00::1', 'fd00::1']);
    addresses.add(one, cidr('2001:db8::1/64'), { tentative: true });
    expect(source()).to.equal('fd00::1');
    addresses.update(one, ip('2001:db8::1'), { tentative: false });
    expect(source()).to.equal('2001:db8::1');
    addresses.add(one, cidr('2001:db8::2/64'));
    addresses.update(one, ip('2001:db8::1'), { deprecated: true });
    expect(source()).to.equal('2001:db8::2');
    addresses.remove(one, ip('2001:db8::2'));
    expect(source()).to.equal('fd00::1');
    // Of another device, and of another target, in turn.
    addresses.add(two, cidr('fe80::2/64'));
    expect(addresses.sourceFor(two, ip('fe80::9'))?.toString()).to.equal('fe80::2');
    expect(addresses.sourceFor(one, ip('fe80::9'))?.toString()).not.to.equal('fe80::2');
    expect(source()).to.equal('fd00::1');
  });

  it('4291-1: has the groups that come with addresses, one for addresses with the same end', () => {
    const addresses = new Ipv6Addresses();
    expect(addresses.groupMacs.size).to.equal(0);
    addresses.add(one, cidr('fd00::1:1/64'));
    addresses.add(one, cidr('fd01::1:1/64'));
    expect([...addresses.groupMacs]).to.have.members([0x3333_0000_0001, 0x3333_ff01_0001]);
    addresses.remove(one, ip('fd00::1:1'));
    expect(accepts(addresses, 'ff02::1:ff01:1')).to.equal(Cast.Multicast);
    addresses.remove(one, ip('fd01::1:1'));
    expect(addresses.groupMacs.size).to.equal(0);
    expect(accepts(addresses, 'ff02::1')).to.equal(undefined);
  });

  it('tells addresses apart that have the same last word', () => {
    const addresses = new Ipv6Addresses();
    for (const text of ['fd00::1', 'fd00:0:0:1::1', 'fd00::1:0:0:1', 'fd00::1:0:1'])
      addresses.add(one, cidr(`${text}/64`));
    for (const text of ['fd00::1', 'fd00:0:0:1::1', 'fd00::1:0:0:1', 'fd00::1:0:1']) {
      expect(accepts(addresses, text), text).to.equal(Cast.Unicast);
    }
    for (const text of ['fd01::1', '::1', 'fd00:0:0:2::1']) expect(accepts(addresses, text)).to.equal(undefined);
  });

  it('8200-5: refuses what no interface can have, the same twice, and links that are too narrow', () => {
    const addresses = new Ipv6Addresses();
    addresses.add(one, cidr('fd00::1/64'));
    for (const text of ['::/64', '::1/128', 'ff02::1/64', 'fd00::1/64']) {
      expect(() => addresses.add(one, cidr(text)), text)
        .to.throw()
        .with.property('code', 'ERR_INVALID_ADDRESS');
    }
    addresses.add(two, cidr('fd00::1/64'));
    const narrow = fakeDevice(env, { name: 'narrow', mtu: 1279 });
    expect(() => addresses.add(narrow, cidr('fd00::1/64')))
      .to.throw('IPv6 needs an MTU of 1280, and narrow has 1279')
      .with.property('code', 'ERR_INVALID_OPTION');
    addresses.add(fakeDevice(env, { name: 'least', mtu: 1280 }), cidr('fd00::1/64'));
  });

  it('tells observers of every change', () => {
    const addresses = new Ipv6Addresses();
    let changes = 0;
    const stop = addresses.observe(() => changes++);
    addresses.add(one, cidr('fd00::1/64'));
    addresses.join(ip('ff02::9'));
    addresses.update(one, ip('fd00::1'), { deprecated: true });
    addresses.leave(ip('ff02::9'));
    addresses.remove(one, ip('fd00::1'));
    expect(changes).to.equal(5);
    stop();
    addresses.add(one, cidr('fd00::1/64'));
    expect(changes).to.equal(5);
  });
});
