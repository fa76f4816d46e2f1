import { expect } from 'chai';
import * as e from '../../../../lib/ergot/index.js';
import { hex } from '../bytes.js';
import { type Node, unwrap, World } from './world.js';

const ROUTER = '0.1:0';

/** A root with two links: what is at the first asks for networks as a bridge would. */
function seeded(options: e.RouterOptions = {}) {
  const world = new World();
  const root = world.root(options);
  const asker = world.edge();
  const other = world.edge();
  const cable = world.join(root, asker);
  world.join(root, other);
  let ports = { refresh: 0, release: 0 };
  const request = (who: Node = asker): e.SeedNetAssignment | string => {
    const answer = unwrap(world.ask(who, e.seedRequest, ROUTER, undefined));
    if (typeof answer === 'string') return answer;
    ports = { refresh: answer.refresh_port, release: answer.release_port };
    return answer.assignment;
  };
  const granted = (): e.SeedNetAssignment => {
    const lease = request();
    if (typeof lease === 'string') throw new Error(lease);
    return lease;
  };
  const refresh = (refresh_net: number, refresh_token: Uint8Array, who: Node = asker) =>
    unwrap(world.ask(who, e.seedRefresh, `0.1:${ports.refresh}`, { refresh_net, refresh_token }));
  const release = (release_net: number, refresh_token: Uint8Array, who: Node = asker) =>
    unwrap(world.ask(who, e.seedRelease, `0.1:${ports.release}`, { release_net, refresh_token }));
  const extended = (net: number, token: Uint8Array): e.SeedNetAssignment => {
    const lease = refresh(net, token);
    if (typeof lease === 'string') throw new Error(lease);
    return lease;
  };
  return { world, root, asker, other, cable, request, granted, refresh, release, extended };
}

const seconds = ({ expires_seconds, max_refresh_seconds, min_refresh_seconds }: e.LeaseTerms) => [
  expires_seconds,
  max_refresh_seconds,
  min_refresh_seconds,
];

describe('the endpoints of seed routers and claims', () => {
  const keys: readonly (readonly [string, e.Key, string])[] = [
    ['seed-router/request', e.seedRequest.requestKey, '6499cc48472da50c'],
    ['seed-router/refresh', e.seedRefresh.requestKey, '8c3172d112e7b0a8'],
    ['seed-router/release', e.seedRelease.requestKey, '5c9116556bd35e88'],
    ['address/claim', e.addressClaim.requestKey, '11a4b63c596a5b01'],
    ['address/refresh', e.addressRefresh.requestKey, 'a412a1cbb78905ab'],
  ];
  for (const [path, key, wanted] of keys) {
    it(`have the key of ${path} (65)`, () => expect(key.toString()).to.equal(wanted));
  }

  it('write what they answer as ergot 0.12 does', () => {
    const refresh_token = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
    const terms = { expires_seconds: 30, max_refresh_seconds: 120, min_refresh_seconds: 62, refresh_token };
    const assignment = { net_id: 300, ...terms };
    const good = e.encode(e.seedRequest.response, {
      kind: 'Ok',
      value: { assignment, refresh_port: 2, release_port: 3 },
    });
    expect(hex(good)).to.equal('00ac021e783e01020304050607080203');
    const node = { node_id: 7, net_id: 1, ...terms };
    const claimed = e.encode(e.addressClaim.response, { kind: 'Ok', value: { assignment: node, refresh_port: 9 } });
    expect(hex(claimed)).to.equal('0007011e783e010203040506070809');
    expect(hex(e.encode(e.seedRelease.response, { kind: 'Ok', value: undefined }))).to.equal('00');
    const assignmentErrors = [
      'ProfileCantSeed',
      'NetIdsExhausted',
      'UnknownSource',
      'UpstreamUnavailable',
      'DelegationDepthExceeded',
      'NetIdCollision',
    ] as const;
    const refreshErrors = [
      'ProfileCantSeed',
      'UnknownNetId',
      'NotAssigned',
      'AlreadyExpired',
      'BadRequest',
      'TooSoon',
      'UpstreamUnavailable',
      'DelegationDepthExceeded',
    ] as const;
    const claimErrors = ['Conflict', 'Exhausted', 'UnknownSource', 'NotSupported', 'InvalidNodeId'] as const;
    const keepErrors = ['UnknownNodeId', 'AlreadyExpired', 'BadRequest', 'TooSoon', 'NotSupported'] as const;
    const coded = <K extends string>(schema: e.Schema<e.Answer<never, K>>, kinds: readonly K[]) =>
      kinds.map((kind) => hex(e.encode(schema, { kind: 'Err', value: { kind } })));
    const numbers = (count: number) => Array.from({ length: count }, (_, i) => `010${i}`);
    expect(coded(e.seedRequest.response as never, assignmentErrors)).to.deep.equal(numbers(6));
    expect(coded(e.seedRefresh.response as never, refreshErrors)).to.deep.equal(numbers(8));
    expect(coded(e.addressClaim.response as never, claimErrors)).to.deep.equal(numbers(5));
    expect(coded(e.addressRefresh.response as never, keepErrors)).to.deep.equal(numbers(5));
  });
});

describe('leases of networks (67)', () => {
  it('are given for 30 seconds: the lowest network that is free, and a token', () => {
    const { world, granted } = seeded();
    const first = granted();
    const second = granted();
    expect([first.net_id, second.net_id]).to.deep.equal([3, 4]);
    expect(seconds(first)).to.deep.equal([30, 120, 62]);
    expect(first.refresh_token.length).to.equal(8);
    expect(hex(first.refresh_token)).to.not.equal(hex(second.refresh_token));
    expect(world.end()).to.deep.equal([0, 0]);
  });

  it('are extended to 120 seconds once 62 or less are left', () => {
    const { world, granted, refresh, extended } = seeded();
    const first = granted();
    const lease = extended(first.net_id, first.refresh_token);
    expect(seconds(lease)).to.deep.equal([120, 120, 62]);
    world.until(57.999);
    expect(refresh(3, lease.refresh_token)).to.equal('TooSoon');
    world.until(58);
    expect(seconds(extended(3, lease.refresh_token))).to.deep.equal([120, 120, 62]);
  });

  it('have a new token then, and the one before hears the same answer again', () => {
    const { world, granted, refresh, extended } = seeded();
    const first = granted();
    const second = extended(3, first.refresh_token);
    expect(hex(second.refresh_token)).to.not.equal(hex(first.refresh_token));
    world.until(10.5);
    const again = extended(3, first.refresh_token);
    expect(seconds(again)).to.deep.equal([110, 120, 62]);
    expect(hex(again.refresh_token)).to.equal(hex(second.refresh_token));
    world.until(60);
    const third = extended(3, second.refresh_token);
    expect(refresh(3, first.refresh_token)).to.equal('BadRequest');
    expect(hex(extended(3, second.refresh_token).refresh_token)).to.equal(hex(third.refresh_token));
    expect(refresh(3, new Uint8Array(8))).to.equal('BadRequest');
  });

  it('are as long as the router is told', () => {
    const { world, granted, refresh, extended, request } = seeded({
      leases: { first: 2, longest: 5, refreshBelow: 3, tombstone: 1 },
      seedRoutes: 1,
    });
    const first = granted();
    expect(seconds(first)).to.deep.equal([2, 5, 3]);
    const second = extended(3, first.refresh_token);
    expect(seconds(second)).to.deep.equal([5, 5, 3]);
    world.until(1.999);
    expect(refresh(3, second.refresh_token)).to.equal('TooSoon');
    world.until(2);
    const third = extended(3, second.refresh_token);
    world.until(7);
    expect(refresh(3, third.refresh_token)).to.equal('AlreadyExpired');
    expect(request()).to.equal('NetIdsExhausted');
    world.until(8);
    expect(granted().net_id).to.equal(3);
  });

  for (const leases of [{ first: 0 }, { longest: 65_536 }, { refreshBelow: 1.5 }, { tombstone: -1 }]) {
    it(`cannot be as long as ${JSON.stringify(leases)}`, () => {
      expect(() => e.routerProfile({ leases }))
        .to.throw()
        .with.property('code', 'ERR_INVALID_OPTION');
    });
  }

  it('end after their time: 30 seconds', () => {
    const { world, granted, refresh } = seeded();
    const { refresh_token } = granted();
    world.until(29.999);
    expect(refresh(3, Uint8Array.of(...refresh_token.slice(0, 7), 0))).to.equal('BadRequest');
    world.until(30);
    expect(refresh(3, refresh_token)).to.equal('AlreadyExpired');
  });

  it('end after their time: 120 seconds', () => {
    const { world, granted, refresh, extended } = seeded();
    const { refresh_token } = extended(3, granted().refresh_token);
    world.until(120);
    expect(refresh(3, refresh_token)).to.equal('AlreadyExpired');
  });

  it('are kept for 30 seconds more, and then given to others', () => {
    const { world, granted, refresh } = seeded();
    const { refresh_token } = granted();
    world.until(59.999);
    expect(refresh(3, refresh_token)).to.equal('AlreadyExpired');
    expect(granted().net_id).to.equal(4);
    world.until(60);
    expect(refresh(3, refresh_token)).to.equal('UnknownNetId');
    expect(granted().net_id).to.equal(3);
  });

  it('can be given back, and are free at once', () => {
    const { granted, release, extended, refresh } = seeded();
    const first = granted();
    const { refresh_token } = extended(3, first.refresh_token);
    expect(release(3, first.refresh_token)).to.equal('BadRequest');
    expect(release(3, refresh_token)).to.equal(undefined);
    expect(release(3, refresh_token)).to.equal('UnknownNetId');
    expect(refresh(3, refresh_token)).to.equal('UnknownNetId');
    expect(granted().net_id).to.equal(3);
  });

  it('cannot be given back when they are over', () => {
    const { world, granted, release } = seeded();
    const { refresh_token } = granted();
    world.until(30);
    expect(release(3, refresh_token)).to.equal('AlreadyExpired');
  });

  it('are of those who have them, and only of networks that are leased', () => {
    const { granted, refresh, release, request, other } = seeded();
    const { refresh_token } = granted();
    expect(request(other)).to.include({ net_id: 4 });
    expect(refresh(3, refresh_token, other)).to.equal('BadRequest');
    expect(release(3, refresh_token, other)).to.equal('BadRequest');
    expect(refresh(1, refresh_token)).to.equal('NotAssigned');
    expect(refresh(9, refresh_token)).to.equal('UnknownNetId');
  });

  it('are so many at most, tombstones among them', () => {
    const { world, granted, request } = seeded({ seedRoutes: 2 });
    granted();
    world.until(1);
    granted();
    expect(request()).to.equal('NetIdsExhausted');
    world.until(59.999);
    expect(request()).to.equal('NetIdsExhausted');
    world.until(60);
    expect(granted().net_id).to.equal(3);
    expect(request()).to.equal('NetIdsExhausted');
  });

  it('are not given to oneself, nor where there are none', () => {
    const { world, root } = seeded();
    expect(unwrap(world.ask(root, e.seedRequest, '0.0:0', undefined))).to.equal('UnknownSource');
    expect(seeded({ seedRoutes: 0 }).request()).to.equal('NsseNoRoute');
  });

  it('lead to whoever has them, as long as they last', () => {
    const { world, asker, other, cable, granted } = seeded();
    granted();
    const heard: string[] = [];
    cable.ends[1].frames$.subscribe((frame) => {
      const header = new e.FrameHeader();
      header.read(frame);
      heard.push(`${e.netAddressText(header.source)} > ${e.netAddressText(header.destination)}`);
    });
    world.ping(asker, '0.1:0');
    world.ping(other, '0.1:0');
    heard.length = 0;
    world.until(29.999);
    world.ping(other, '3.2:7');
    expect(heard).to.deep.equal(['2.2:2 > 3.2:7']);
    world.until(30);
    expect(world.ping(other, '3.2:7')).to.equal('IseNoRouteToDest');
    cable.unplug();
    expect(world.end()).to.deep.equal([0, 0]);
  });

  it('end with the link that they are behind, and are kept for 30 seconds', () => {
    const { world, root, other, cable, granted, request } = seeded();
    granted();
    cable.unplug();
    world.join(root, world.edge());
    expect(world.states(root).map((text) => text.slice(3))).to.deep.equal(['active 2.1:0', 'active 1.1:0']);
    expect(world.ping(other, '0.1:0')).to.equal(42);
    expect(world.ping(other, '3.2:7')).to.equal('IseNoRouteToDest');
    expect(request(other)).to.include({ net_id: 4 });
    world.until(30);
    expect(request(other)).to.include({ net_id: 3 });
  });
});
