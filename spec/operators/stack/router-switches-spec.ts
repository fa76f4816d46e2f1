import { expect } from 'chai';
import { Ipv6Address, parseIp } from '../../../lib/core/address.js';
import { ALL_ROUTERS } from '../../../lib/l3/scope.js';
import type { RouterInterface } from '../../../operators/stack/router.js';
import { forBothVersions } from '../../both-versions.js';
import { pinged, PLACES, routed } from './router-networks.js';

/** A router between a host that goes by what routers advertise and one that does not care. */
function make(left: Omit<RouterInterface, 'device'>) {
  const { net, router } = routed(
    { me: { slaac: true, addresses: ['fd01::2/64'] }, far: { addresses: ['fd02::2/64'], gateway: 'fd02::1' } },
    { r: { on: { left: { addresses: ['fd01::1/64'], ...left }, right: { addresses: ['fd02::1/64'] } } } },
    { left: { between: ['me', 'r'] }, right: { between: ['far', 'r'] } },
  );
  const { me } = net.hosts;
  const [device, own] = ['r', 'me'].map((name) => net.links['left']?.end(name));
  if (device === undefined || own === undefined) throw new Error('both are on the link');
  const switches = router.switches(device);
  if (switches === undefined) throw new Error('it is an interface of the router');
  /** What the host makes of the router that it asks where it lives, and of what that advertises; and whether that is in the group of routers. */
  const seen = async () => {
    const far = parseIp('fd02::2');
    me.neighbours(own)?.flush();
    await pinged(net, me, 'fd01::1');
    return {
      hasWay: me.tables.path(far) !== undefined,
      isRouter: me.neighbours(own)?.get(Ipv6Address.parse('fd01::1'))?.isRouter,
      isMember: router.multicast.isMember(device, ALL_ROUTERS),
    };
  };
  return { net, me, own, switches, seen };
}

const NONE = { hasWay: false, isRouter: false, isMember: false };

describe('a router whose interface takes nothing further', () => {
  it('is none to its neighbours from then on, and says so; it is one again when it does (RFC 4861 6.2.5)', async () => {
    const { net, me, own, switches, seen } = make({ advertise: true });
    net.runFor(20_000);
    expect(await seen()).to.deep.equal({ hasWay: true, isRouter: true, isMember: true });
    expect((await pinged(net, me, 'fd02::2'))[0]).to.include({ kind: 'reply', hopLimit: 63 });
    for (let i = 0; i < 2; i++) {
      switches.forwarding = false;
      net.runFor(10);
      expect(await seen()).to.deep.equal(NONE);
      // Nor does it answer who asks for routers.
      me.autoconf.interface6(own)?.discovery?.start();
      net.runFor(20_000);
      expect(await seen()).to.deep.equal(NONE);
      switches.forwarding = true;
      net.runFor(20_000);
      expect(await seen()).to.deep.equal({ hasWay: true, isRouter: true, isMember: true });
    }
    net.dispose();
  });

  it('is none from the beginning, whatever it would advertise, until it does', async () => {
    const { net, switches, seen } = make({ forwarding: false, advertise: true });
    net.runFor(20_000);
    expect(await seen()).to.deep.equal(NONE);
    switches.forwarding = true;
    net.runFor(20_000);
    expect(await seen()).to.deep.equal({ hasWay: true, isRouter: true, isMember: true });
    net.dispose();
  });

  it('is none to who knows of it from elsewhere, either: it says so where it is asked for (RFC 4861 7.2.5)', async () => {
    const { net, switches, seen } = make({});
    for (const is of [true, false, true]) {
      switches.forwarding = is;
      expect(await seen()).to.deep.equal({ hasWay: false, isRouter: is, isMember: is });
    }
    net.dispose();
  });

  it('keeps its other switches', () => {
    const { net, switches } = make({ redirects: false, clampMss: 1300 });
    expect(switches).to.include({ forwarding: true, redirects: false, clampMss: 1300 });
    Object.assign(switches, { forwarding: false, redirects: true, clampMss: false });
    expect(switches).to.include({ forwarding: false, redirects: true, clampMss: false });
    net.dispose();
  });

  it('advertises again no sooner than it may (RFC 4861 6.2.6)', () => {
    const { net, me, switches } = make({ advertise: true });
    net.runFor(60_000);
    const told: number[] = [];
    me.autoconf.events$.subscribe(({ kind }) => {
      if (kind === 'route-added') told.push(net.now);
    });
    const from = net.now;
    switches.forwarding = false;
    net.runFor(1);
    switches.forwarding = true;
    net.runFor(2_990);
    expect(told).to.deep.equal([]);
    net.runFor(1_000);
    expect(told.map((at) => Math.floor((at - from) / 1000))).to.deep.equal([3]);
    net.dispose();
  });
});

forBothVersions('a router that answers for hosts behind it', ({ version }) => {
  const { a, b } = PLACES[version];

  it('does so as long as it takes further what comes for them', async () => {
    // Hosts whose networks are so large that they know of no router.
    const side = (addresses: string[]) => ({ addresses, proxy: true });
    const { net, router } = routed(
      { a: { addresses: `${a}/8` }, b: { addresses: `${b}/8` } },
      { r: { on: { left: side(['10.1.0.1/24', 'fd01::1/64']), right: side(['10.2.0.1/24', 'fd02::1/64']) } } },
      { left: { between: ['a', 'r'] }, right: { between: ['b', 'r'] } },
    );
    const own = net.links['left']?.end('a');
    const device = net.links['left']?.end('r');
    const switches = device && router.switches(device);
    if (own === undefined || switches === undefined) throw new Error('both are on the link');
    for (const is of [true, false, true]) {
      switches.forwarding = is;
      net.hosts.a.neighbours(own)?.flush();
      const [answer] = await pinged(net, net.hosts.a, b);
      expect(answer?.kind === 'reply').to.equal(is);
      expect(net.hosts.a.neighbours(own)?.get(parseIp(b))?.mac !== undefined).to.equal(is);
    }
    net.dispose();
  });
});
