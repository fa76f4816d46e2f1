import { expect } from 'chai';
import { filter, merge, share, type Subscription } from 'rxjs';
import { EthernetLink } from '../../../lib/l2/ethernet-link.js';
import { IcmpReports } from '../../../lib/l3/icmp-reports.js';
import { IpTables } from '../../../lib/l3/ip-tables.js';
import { EtherType, IpProtocol } from '../../../lib/wire/index.js';
import { arp } from '../../../operators/l2/arp.js';
import { ethernet } from '../../../operators/l2/ethernet.js';
import { icmp } from '../../../operators/l3/icmp.js';
import { ipv4 } from '../../../operators/l3/ipv4.js';
import { routeAndResolve } from '../../../operators/l3/route-and-resolve.js';
import { type FakeDevice, fakeDevice, type VirtualEnv, virtualEnv } from '../../lib/l2/fake-device.js';
import { arpFrame, echoRequest, icmpFrame, pattern } from './packets.js';

describe('a host, composed of operators', () => {
  let env: VirtualEnv;
  let device: FakeDevice;
  let host: Subscription;

  beforeEach(() => {
    env = virtualEnv();
    device = fakeDevice(env);
    const tables = new IpTables(env);
    tables.addAddress(device, '10.0.0.1/24');
    const { addresses } = tables;
    const link = new EthernetLink({ device, addresses: tables.arpAddresses(device) }, env);
    const reports = new IcmpReports();

    const link$ = device.frames$.pipe(ethernet({ mac: device.mac, multicast: addresses.groupMacs }, env), share());
    const net$ = link$.pipe(
      filter((frame) => frame.etherType === EtherType.Ipv4),
      ipv4({ addresses }, env),
      share(),
    );
    host = merge(
      link$.pipe(
        filter((frame) => frame.etherType === EtherType.Arp),
        arp(link),
      ),
      net$.pipe(
        filter((packet) => packet.protocol === IpProtocol.Icmp),
        icmp({ tables, reports }, env),
      ),
    )
      .pipe(routeAndResolve({ tables, links: [link], reports }, env))
      .subscribe(device.sink);
  });

  afterEach(() => {
    host.unsubscribe();
    expect(env.pool.outstanding).to.equal(0);
    expect(env.scheduler.pending).to.equal(0);
  });

  it('answers ARP, and then ping in the frame that asked', () => {
    device.receive(arpFrame());
    device.receive(icmpFrame(echoRequest(pattern(56))));
    expect(device.sent.map((bytes) => bytes.length)).to.deep.equal([60, 98]);
    expect(device.sent[1]?.slice(42)).to.deep.equal(pattern(56));
    expect(env.drops.toJSON()).to.deep.equal({});
    expect(env.drops.delivered).to.equal(2);
  });

  it('resolves who asked before it answers, if it does not know it', () => {
    device.receive(icmpFrame(echoRequest()));
    expect(device.sent).to.have.length(1);
    device.receive(arpFrame());
    expect(device.sent).to.have.length(3);
    expect(device.sent[1]?.[34]).to.equal(0);
    expect(device.sent[2]?.[21]).to.equal(2);
  });
});
