/** Who ends something when it is told of an event stops others that listen: these are not told of it any more. */

import { expect } from 'chai';
import { Ipv4Address } from '../../../lib/core/address.js';
import { EthernetLink } from '../../../lib/l2/ethernet-link.js';
import { IpTables } from '../../../lib/l3/ip-tables.js';
import { advertisement, entered } from '../../operators/l3/packets6.js';
import { fakeDevice, virtualEnv } from '../l2/fake-device.js';

const MAC = 0x0200_0000_0009;

function bench() {
  const env = virtualEnv();
  const device = fakeDevice(env);
  const tables = new IpTables(env);
  const addresses = tables.arpAddresses(device);
  const link = new EthernetLink({ device, addresses, addresses6: tables.ndpAddresses(device) }, env);
  tables.addAddress(device, '10.0.0.1/24');
  return { device, tables, link };
}

type Bench = ReturnType<typeof bench>;
/** What can be listened to, and how it comes that there is something to tell. */
type Source = readonly [
  name: string,
  observe: (on: Bench, listener: () => void) => () => void,
  cause: (on: Bench) => void,
];

const sources: readonly Source[] = [
  [
    'neighbours',
    ({ link }, listener) => link.neighbours.observe(listener),
    ({ link }) => link.neighbours.setStatic(new Ipv4Address(0x0a00_0002), MAC),
  ],
  [
    'claims to addresses',
    ({ link }, listener) => link.arp.claims.observe(listener),
    ({ link }) => {
      link.arp.claims.probe(0x0a00_0003, () => {});
      const packet = { senderIp: 0x0a00_0003, senderMac: MAC, operation: 2, targetIp: 0 };
      link.arp.claims.notice(packet as Parameters<typeof link.arp.claims.notice>[0], false);
    },
  ],
  [
    'messages of neighbour discovery',
    ({ link }, listener) => link.ndp.observe(listener),
    ({ link }) => link.ndp.receive(entered(advertisement())),
  ],
  [
    'addresses',
    ({ tables }, listener) => tables.addresses6.observe(listener),
    ({ tables, device }) => tables.addAddress(device, 'fd00::1/64'),
  ],
];

describe('who was stopped by another listener is not told any more', () => {
  for (const [name, observe, cause] of sources) {
    it(`of ${name}`, () => {
      const on = bench();
      const told: string[] = [];
      observe(on, () => {
        told.push('first');
        stop();
      });
      const stop = observe(on, () => void told.push('second'));
      observe(on, () => void told.push('third'));
      cause(on);
      expect(told).to.deep.equal(['first', 'third']);
      on.link.dispose();
    });
  }
});
