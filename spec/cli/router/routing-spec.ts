import { expect } from 'chai';
import { parseIp } from '../../../lib/core/address.js';
import { IpTables } from '../../../lib/l3/ip-tables.js';
import type { Route } from '../../../lib/l3/routes.js';
import { RouteQuery } from '../../../lib/l3/routing-query.js';
import { RoutingTables } from '../../../lib/l3/routing-tables.js';
import { readConfiguration } from '../../../cli/router/read.js';
import { StaticRouting } from '../../../cli/router/routing.js';
import { environment } from '../../../operators/time/environment.js';
import { forBothVersions } from '../../both-versions.js';
import { device } from '../../lib/l3/ways-of-flows.js';

const ADDRESSES = ['10.1.0.1/24', 'fd01::1/64'];
const PLACES = {
  4: { network: '10.1.0.0/24', neighbour: '10.1.0.2', far: '10.9.0.2', inside: '10.0.0.0/8', gateway: '10.1.0.9' },
  6: { network: 'fd01::/64', neighbour: 'fd01::2', far: 'fd09::2', inside: 'fd00::/8', gateway: 'fd01::9' },
} as const;

forBothVersions('routes of a configuration', ({ version }) => {
  const { network, neighbour, far, inside, gateway } = PLACES[version];
  const other = PLACES[version === 4 ? 6 : 4];

  /** The routing of a router on one link, and what becomes of it by a configuration with these lines. */
  function make() {
    const lan = device('lan');
    const routing = { 4: new RoutingTables(4), 6: new RoutingTables(6) } as const;
    const tables = new IpTables(environment(), routing[4], routing[6]);
    for (const address of ADDRESSES) tables.addAddress(lan, address);
    const routes = new StaticRouting(
      routing,
      () => lan,
      (address) => tables.deviceTo(address),
    );
    const change = (...lines: readonly string[]) => {
      const devices = `devices: { lan: { addresses: ['${ADDRESSES.join("', '")}'] } }`;
      routes.change(readConfiguration([devices, ...lines].join('\n'), 'f'));
    };
    const to = (text: string): Route | undefined => {
      const address = parseIp(text);
      return routing[address.version].find(RouteQuery.to(address));
    };
    return { change, to };
  }

  it('come and go over that of a network of ours', () => {
    const { change, to } = make();
    const connected = to(neighbour);
    const own = (mtu: number) => `{ to: '${network}', device: lan, mtu: ${mtu} }`;
    change(`routes: [${own(1400)}]`);
    expect(to(neighbour)?.mtu).to.equal(1400);
    change(`routes: [${own(1400)}, ${own(1300)}]`);
    expect(to(neighbour)?.mtu).to.equal(1300);
    change(`routes: [${own(1200)}]`);
    expect(to(neighbour)?.mtu).to.equal(1200);
    change();
    expect(to(neighbour)).to.equal(connected);
  });

  it('of one version are taken whatever the rule for the main table says of the other', () => {
    const { change, to } = make();
    const way = `routes: [{ to: default, via: '${other.gateway}' }, { to: default, via: '${gateway}' }]`;
    change(way, `policy: [{ priority: 32766, to: '${inside}', table: main }]`);
    expect(to(far)?.gateway?.toString()).to.equal(gateway);
    expect(to(version === 4 ? '192.0.2.1' : '2001:db8::1')).to.equal(undefined);
    expect(to(other.far)?.gateway?.toString()).to.equal(other.gateway);
  });
});
