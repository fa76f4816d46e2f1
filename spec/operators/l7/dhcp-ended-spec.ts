import { expect } from 'chai';
import { type Observable, repeat } from 'rxjs';
import type { Device } from '../../../lib/core/device.js';
import type { NetError } from '../../../lib/core/errors.js';
import { dhcpv4, dhcpv4Server } from '../../../operators/l7/dhcpv4.js';
import { dhcpv6, dhcpv6Information } from '../../../operators/l7/dhcpv6.js';
import type { Host } from '../../../operators/stack/host.js';
import { network } from '../../../operators/testing/network.js';

const KINDS: Readonly<Record<string, (me: Host, device: Device) => Observable<unknown>>> = {
  dhcpv4: (me, device) => dhcpv4(me, { device }),
  dhcpv4Server: (me, device) => dhcpv4Server(me, { device, address: '10.0.0.1/24', pool: ['10.0.0.5', '10.0.0.9'] }),
  dhcpv6: (me, device) => dhcpv6(me, { device }),
  dhcpv6Information: (me, device) => dhcpv6Information(me, { device }),
};

describe('DHCP on a host that has ended', () => {
  for (const [name, make] of Object.entries(KINDS)) {
    it(`${name} completes, does not begin anew, and leaves nothing running`, () => {
      const net = network({ hosts: { me: ['10.0.0.1/24', 'fe80::1/64'], other: {} } });
      const device = net.links.lan.end('me');
      const told: string[] = [];
      const end = { complete: () => told.push('complete'), error: ({ code }: NetError) => told.push(code) };
      const running$ = make(net.hosts.me, device);
      running$.subscribe(end);
      running$.pipe(repeat()).subscribe(end);
      net.runFor(100);
      net.dispose();
      expect(told).to.have.members(['complete', 'ENETDOWN']);
      net.runFor(20_000);
      net.assertIdle();
    });
  }
});
