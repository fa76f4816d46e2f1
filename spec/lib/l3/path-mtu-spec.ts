import { expect } from 'chai';
import { Ipv4Address, Ipv6Address } from '../../../lib/core/address.js';
import { IpTables } from '../../../lib/l3/ip-tables.js';
import { MIN_PATH_MTU, PathMtus } from '../../../lib/l3/path-mtu.js';
import { fakeDevice, virtualEnv } from '../l2/fake-device.js';

describe('path MTUs', () => {
  const env = virtualEnv();
  const { scheduler } = env;

  it('1191, 8201: a report only ever makes a path narrower, for ten minutes, and not narrower than the least', () => {
    const mtus = new PathMtus(env);
    expect(mtus.reported(1, 1400, 1500)).to.equal(1400);
    expect(mtus.reported(1, 1450, 1500)).to.equal(1400);
    expect(mtus.reported(1, 100, 1500)).to.equal(MIN_PATH_MTU);
    expect(mtus.get(2)).to.equal(Number.POSITIVE_INFINITY);
    scheduler.runFor(600_000);
    expect(mtus.get(1)).to.equal(Number.POSITIVE_INFINITY);
  });

  it('an estimate is what a report would make of it, and keeps nothing', () => {
    const mtus = new PathMtus(env);
    expect([mtus.estimate(1400, 1500), mtus.estimate(0, 1500), mtus.estimate(9000, 1500)]).to.deep.equal([
      1400, 1492, 1492,
    ]);
    expect(mtus.size).to.equal(0);
  });

  it('4821 5.2: what a transport found out may also be more than was known; Infinity forgets', () => {
    const mtus = new PathMtus(env);
    mtus.reported(1, 1280, 1500);
    mtus.found(1, 1400);
    expect(mtus.get(1)).to.equal(1400);
    mtus.found(1, Number.POSITIVE_INFINITY);
    expect([mtus.get(1), mtus.size]).to.deep.equal([Number.POSITIVE_INFINITY, 0]);
  });

  it('remembers 256 paths at most, the latest', () => {
    const mtus = new PathMtus(env);
    for (let i = 0; i < 300; i++) mtus.found(i, 1400);
    expect([mtus.size, mtus.get(0), mtus.get(299)]).to.deep.equal([256, Number.POSITIVE_INFINITY, 1400]);
  });

  it('tables know the path and its first link, in both versions, and forget what is no narrower than that', () => {
    const tables = new IpTables(env);
    const device = fakeDevice(env, { mtu: 1500 });
    tables.addAddress(device, '10.0.0.1/24');
    tables.addAddress(device, 'fd00::1/64');
    for (const to of [Ipv4Address.parse('10.0.0.9'), Ipv6Address.parse('fd00::9')]) {
      expect(tables.path(to)).to.include({ mtu: 1500, linkMtu: 1500 });
      tables.foundMtu(to, 1400);
      expect(tables.path(to)).to.include({ mtu: 1400, linkMtu: 1500 });
      expect(tables.estimateMtu(to, 1300, 1400)).to.equal(1300);
      expect(tables.path(to)?.mtu).to.equal(1400);
      expect(tables.tooBig(to, 1300, 1400)).to.equal(1300);
      tables.foundMtu(to, 1500);
      expect(tables.path(to)?.mtu).to.equal(1500);
    }
    expect([tables.mtus.size, tables.mtus6.size]).to.deep.equal([0, 0]);
  });
});
