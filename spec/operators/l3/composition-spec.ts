import { expect } from 'chai';
import * as fc from 'fast-check';
import { merge, type Subscription } from 'rxjs';
import { createSandbox } from 'sinon';
import { DropReason } from '../../../lib/core/drops.js';
import { UNDER_WAY } from '../../../lib/core/frame.js';
import { EthernetLink } from '../../../lib/l2/ethernet-link.js';
import { IcmpReports } from '../../../lib/l3/icmp-reports.js';
import { IpTables } from '../../../lib/l3/ip-tables.js';
import { EtherType, Icmpv4Message, IpProtocol, Ipv4Packet } from '../../../lib/wire/index.js';
import { demux } from '../../../operators/flow/demux.js';
import { arp } from '../../../operators/l2/arp.js';
import { ethernet } from '../../../operators/l2/ethernet.js';
import { icmp } from '../../../operators/l3/icmp.js';
import { ipv4 } from '../../../operators/l3/ipv4.js';
import { reassemble } from '../../../operators/l3/reassemble.js';
import { routeAndResolve } from '../../../operators/l3/route-and-resolve.js';
import { type FakeDevice, fakeDevice, type VirtualEnv, virtualEnv } from '../../lib/l2/fake-device.js';
import {
  arpFrame,
  arpReply,
  echoRequest,
  icmpFrame,
  icmpMessage,
  ip,
  pattern,
  PEER,
  udpPacket,
  US,
} from './packets.js';

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

    const link$ = device.frames$.pipe(
      ethernet({ mac: device.mac, multicast: addresses.groupMacs }, env),
      demux((frame) => frame.etherType, { reason: DropReason.EthernetUnknownType }, env),
    );
    const net$ = link$.on(EtherType.Ipv4).pipe(
      ipv4({ addresses }, env),
      reassemble({}, env),
      demux((packet) => packet.protocol, { reason: DropReason.IpUnknownProtocol }, env),
    );
    host = merge(link$.on(EtherType.Arp).pipe(arp(link)), net$.on(IpProtocol.Icmp).pipe(icmp({ tables, reports }, env)))
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

  it('answers a ping that comes in fragments with fragments', () => {
    device.receive(arpFrame());
    const message = echoRequest(pattern(8_000));
    for (let from = 0; from < message.length; from += 1_480) {
      const part = message.slice(from, from + 1_480);
      const fields = { identification: 9, fragmentOffset: from, moreFragments: from + 1_480 < message.length };
      device.receive(icmpFrame(part, fields));
    }
    expect(device.sent.slice(1).map((bytes) => bytes.length)).to.deep.equal([1514, 1514, 1514, 1514, 1514, 642]);
    expect(env.drops.total).to.equal(0);
  });

  it('property: whatever is changed in a frame, it ends in exactly one way', () => {
    const quote = udpPacket({ source: US.ip, destination: PEER.ip });
    const frames = [
      arpFrame(),
      arpReply(),
      icmpFrame(echoRequest()),
      icmpFrame(icmpMessage(3, 3, 0, quote)),
      icmpFrame(echoRequest(), { moreFragments: true, identification: 3 }),
    ];
    const change = fc.record({ at: fc.nat(97), value: fc.nat(255) });
    const cases = fc.record({
      which: fc.nat(frames.length - 1),
      changes: fc.array(change, { maxLength: 3 }),
      cut: fc.option(fc.nat(98)),
    });
    fc.assert(
      fc.property(cases, ({ which, changes, cut }) => {
        const bytes = (frames[which] ?? arpFrame()).slice(0, cut ?? undefined);
        for (const { at, value } of changes) if (at < bytes.length) bytes[at] = value;
        expect(device.receive(bytes)).to.not.equal(UNDER_WAY);
      }),
      { numRuns: 500 },
    );
  });

  describe('reads no further than it must', () => {
    const sandbox = createSandbox();
    afterEach(() => sandbox.restore());

    it('no IPv4 for a foreign MAC address', () => {
      const spy = sandbox.spy(Ipv4Packet, 'check');
      device.receive(icmpFrame(echoRequest(), {}, { to: PEER.mac }));
      expect(spy.callCount).to.equal(0);
      device.receive(icmpFrame(echoRequest()));
      expect(spy.callCount).to.equal(1);
    });
    it('no ICMP for a foreign address, nor after a bad checksum', () => {
      const spy = sandbox.spy(Icmpv4Message, 'check');
      device.receive(icmpFrame(echoRequest(), { destination: ip('10.0.0.3') }));
      const bytes = icmpFrame(echoRequest());
      bytes[24] = (bytes[24] ?? 0) ^ 1;
      device.receive(bytes);
      expect(spy.callCount).to.equal(0);
      expect(env.drops.toJSON()).to.deep.equal({ 'ipv4-not-for-us': 1, 'ipv4-bad-checksum': 1 });
    });
  });
});
