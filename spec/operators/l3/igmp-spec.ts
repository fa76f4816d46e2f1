import { expect } from 'chai';
import type { Subscription } from 'rxjs';
import { Ipv4Address, MacAddress } from '../../../lib/core/address.js';
import { type DropReason, dropReasonName } from '../../../lib/core/drops.js';
import { Frame } from '../../../lib/core/frame.js';
import { ipv4GroupMac } from '../../../lib/l2/ethernet-link.js';
import type { MulticastOptions } from '../../../lib/l3/multicast.js';
import { EVERYTHING, NOTHING, sourceFilter } from '../../../lib/l3/source-filter.js';
import { EtherType, EthernetFrame } from '../../../lib/wire/ethernet.js';
import { type GroupQueryFields, GroupRecordType } from '../../../lib/wire/group-records.js';
import {
  IGMP_ROUTER_ALERT,
  IgmpMessage,
  IgmpQuery,
  IgmpReport,
  IgmpReport3,
  IgmpType,
} from '../../../lib/wire/igmp.js';
import { IpProtocol } from '../../../lib/wire/ip.js';
import { type Ipv4Fields, Ipv4OptionType, Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { type Host, host } from '../../../operators/stack/host.js';
import { bytesOf, type FakeDevice, fakeDevice, type VirtualEnv, virtualEnv } from '../../lib/l2/fake-device.js';

const GROUP = Ipv4Address.parse('239.1.1.1');
const OTHER = Ipv4Address.parse('239.2.2.2');
const ALL_HOSTS = Ipv4Address.parse('224.0.0.1');
const ROUTER = Ipv4Address.parse('10.0.0.9');
const [S1, S2] = ['192.0.2.1', '192.0.2.2'].map((text) => Ipv4Address.parse(text)) as [Ipv4Address, Ipv4Address];
const RECORDS = ['', 'is_in', 'is_ex', 'to_in', 'to_ex', 'allow', 'block'];

/** What a frame of ours says, and how: everything that RFC 3376 4 asks of its headers. */
function textOf(bytes: Uint8Array): string {
  const frame = Frame.from(bytes);
  const ether = new EthernetFrame(frame, frame.start);
  frame.start += ether.headerLength;
  expect(Ipv4Packet.check(frame, frame.start)).to.equal(undefined);
  const packet = new Ipv4Packet(frame, frame.start);
  expect(packet.protocol).to.equal(IpProtocol.Igmp);
  expect(ether.destination, 'MAC address').to.equal(ipv4GroupMac(packet.destination));
  expect([packet.hopLimit, packet.trafficClass], 'TTL and precedence').to.deep.equal([1, 0xc0]);
  const alert = packet.options().some(({ type }) => type === Ipv4OptionType.RouterAlert);
  frame.end = frame.start + packet.totalLength;
  frame.start += packet.headerLength;
  expect(IgmpMessage.check(frame, frame.start)).to.equal(undefined);
  const ends = `${packet.sourceAddress.toString()} > ${packet.destinationAddress.toString()}${alert ? ' alert' : ''}`;
  return `${ends}: ${messageOf(frame)}`;
}

function messageOf(frame: Frame): string {
  const { type, group } = new IgmpMessage(frame, frame.start);
  if (type === IgmpType.Report1) return `v1 ${group.toString()}`;
  if (type === IgmpType.Report2) return `v2 ${group.toString()}`;
  if (type === IgmpType.Leave) return `leave ${group.toString()}`;
  const records = new IgmpReport3(frame, frame.start).records();
  return records
    .map((record) => [RECORDS[record.type], record.group, ...record.sources].map(String).join(' '))
    .join(', ');
}

describe('igmp', () => {
  const listener = {};
  let env: VirtualEnv;
  let device: FakeDevice;
  let me: Host;
  let running: Subscription;

  function run(
    options: Omit<MulticastOptions, 'tables' | 'links'> = {},
    addresses = ['10.0.0.1/24'],
    mtu = 1500,
  ): void {
    running?.unsubscribe();
    env = virtualEnv();
    device = fakeDevice(env, { mtu });
    me = host({ device, addresses, multicast: options }, env);
    running = device.frames$.pipe(me).subscribe(device.sink);
  }
  const wait = (ms: number) => env.scheduler.runFor(ms);
  const told = () => device.sent.splice(0).map(textOf);
  const join = (group = GROUP) => me.multicast.listen(listener, device, group, EVERYTHING);
  const joined = (group = GROUP) => {
    join(group);
    wait(60_000);
    told();
  };

  /** A message of another host's, as bytes of a frame. */
  function frameWith(emit: (frame: Frame) => void, fields: Partial<Ipv4Fields> = {}): Uint8Array {
    return bytesOf((frame) => {
      // `emit` appends; headers are pushed.
      frame.start = frame.end = 60_000;
      emit(frame);
      const header = {
        source: ROUTER.value,
        destination: ALL_HOSTS.value,
        protocol: IpProtocol.Igmp,
        ttl: 1,
        options: [IGMP_ROUTER_ALERT],
        ...fields,
      };
      Ipv4Packet.emit(frame, header);
      EthernetFrame.emit(
        frame,
        ipv4GroupMac(header.destination),
        MacAddress.parse('02:00:00:00:00:09').value,
        EtherType.Ipv4,
      );
    });
  }
  const receive = (bytes: Uint8Array): string => {
    const fate = device.receive(bytes);
    return fate < 0 ? 'taken' : dropReasonName(fate as DropReason);
  };
  const query = (
    version: 1 | 2 | 3,
    fields: Partial<GroupQueryFields<Ipv4Address>> = {},
    header: Partial<Ipv4Fields> = {},
  ) => frameWith((frame) => IgmpQuery.emit(frame, version, { maximumResponse: 1000, ...fields }), header);
  const report = (
    type: typeof IgmpType.Report1 | typeof IgmpType.Report2,
    group = GROUP,
    header: Partial<Ipv4Fields> = {},
  ) => frameWith((frame) => IgmpReport.emit(frame, type, group), { destination: group.value, ...header });

  beforeEach(() => run());
  afterEach(() => {
    running.unsubscribe();
    expect(env.pool.outstanding, 'frames').to.equal(0);
    expect(env.scheduler.pending, 'timers').to.equal(0);
  });

  it('3376-1: reports to 224.0.0.22, with router alert, TTL 1, and internetwork control (RFC 3376 4, 4.2.14)', () => {
    join();
    wait(0);
    expect(told()).to.deep.equal(['10.0.0.1 > 224.0.0.22 alert: to_ex 239.1.1.1']);
  });

  it('3376-1: answers general queries, those of groups, and those of sources', () => {
    joined();
    expect(receive(query(3))).to.equal('taken');
    wait(1000);
    expect(receive(query(3, { group: GROUP, maximumResponse: 1000 }, { destination: GROUP.value }))).to.equal('taken');
    wait(1000);
    receive(query(3, { group: GROUP, sources: [S1, S2] }, { destination: GROUP.value }));
    wait(1000);
    const head = '10.0.0.1 > 224.0.0.22 alert:';
    expect(told()).to.deep.equal([
      `${head} is_ex 239.1.1.1`,
      `${head} is_ex 239.1.1.1`,
      `${head} is_in 239.1.1.1 192.0.2.1 192.0.2.2`,
    ]);
  });

  it('a host that is in no group but that of all hosts is silent', () => {
    expect(receive(query(3))).to.equal('taken');
    join(ALL_HOSTS);
    expect(receive(query(2))).to.equal('taken');
    expect(receive(query(1, {}, { options: [] }))).to.equal('taken');
    wait(60_000);
    expect(told()).to.deep.equal([]);
    me.multicast.listen(listener, device, ALL_HOSTS, NOTHING);
  });

  it('reports from 0.0.0.0 while it has no address (RFC 3376 4.2.13)', () => {
    run({}, []);
    join();
    wait(0);
    expect(told()).to.deep.equal(['0.0.0.0 > 224.0.0.22 alert: to_ex 239.1.1.1']);
    wait(60_000);
    told();
    me.tables.addAddress(device, '10.0.0.7/24');
    receive(query(3));
    wait(1000);
    expect(told().at(-1)).to.equal('10.0.0.7 > 224.0.0.22 alert: is_ex 239.1.1.1');
  });

  it('3376-1: to a version 2 querier it reports to the group itself, and leaves to all routers (RFC 2236 3, 9)', () => {
    expect(receive(query(2))).to.equal('taken');
    join();
    wait(0);
    me.multicast.listen(listener, device, GROUP, NOTHING);
    expect(told()).to.deep.equal([
      '10.0.0.1 > 239.1.1.1 alert: v2 239.1.1.1',
      '10.0.0.1 > 224.0.0.2 alert: leave 239.1.1.1',
    ]);
  });

  it('3376-1: to a version 1 querier without router alert, and without leaving (RFC 1112 appendix I)', () => {
    expect(receive(query(1, {}, { options: [] }))).to.equal('taken');
    join();
    wait(0);
    me.multicast.listen(listener, device, GROUP, NOTHING);
    expect(told()).to.deep.equal(['10.0.0.1 > 239.1.1.1: v1 239.1.1.1']);
  });

  it("is kept from reporting by another's report to the group, of either old version", () => {
    joined();
    for (const type of [IgmpType.Report1, IgmpType.Report2] as const) {
      receive(query(2));
      expect(receive(report(type))).to.equal('taken');
      wait(60_000);
    }
    expect(told()).to.deep.equal([]);
    receive(query(2));
    expect(receive(report(IgmpType.Report2, GROUP, { destination: ALL_HOSTS.value }))).to.equal('group-ignored');
    wait(1000);
    expect(told()).to.deep.equal(['10.0.0.1 > 239.1.1.1 alert: v2 239.1.1.1']);
    expect(receive(report(IgmpType.Report2)), 'none is due').to.equal('group-ignored');
  });

  it('heeds a querier without an address, as switches are (RFC 4541 2.1.1)', () => {
    joined();
    expect(receive(query(3, {}, { source: 0 }))).to.equal('taken');
    wait(1000);
    expect(told()).to.have.length(1);
  });

  it('ignores what may be forged: TTL, router alert, general queries not to all hosts (RFC 3376 9.1)', () => {
    joined();
    const bad = [
      query(3, {}, { ttl: 2 }),
      query(3, {}, { ttl: 255 }),
      query(3, {}, { options: [] }),
      query(2, {}, { options: [] }),
      query(3, {}, { destination: GROUP.value }),
      report(IgmpType.Report2, GROUP, { ttl: 2 }),
    ];
    for (const bytes of bad) expect(receive(bytes)).to.equal('igmp-bad-header');
    wait(60_000);
    expect(told()).to.deep.equal([]);
    expect(me.multicast.igmp(device)?.groups.generation, 'the version').to.equal(3);
  });

  it('ignores reports of version 3, leaves, and queries of groups that it is not in', () => {
    joined();
    const records = [{ type: GroupRecordType.ModeIsExclude, group: GROUP, sources: [] }];
    const wrong = frameWith((frame) => IgmpReport3.emit(frame, records), { destination: GROUP.value });
    expect(receive(wrong)).to.equal('group-ignored');
    const leave = frameWith((frame) => IgmpReport.emit(frame, IgmpType.Leave, GROUP), { destination: GROUP.value });
    expect(receive(leave)).to.equal('group-ignored');
    receive(query(3, { group: OTHER }));
    wait(60_000);
    expect(told()).to.deep.equal([]);
  });

  it('drops what is cut, or changed, with a reason, and throws nothing', () => {
    joined();
    const whole = query(3, { group: GROUP, sources: [S1] }, { destination: GROUP.value });
    const message = whole.length - 16;
    for (let length = 0; length < 16; length++) {
      const cut = frameWith((frame) =>
        frame.slab.bytes.set(whole.subarray(message, message + length), frame.put(length)),
      );
      expect(receive(cut), `${length} bytes`).to.match(/^igmp-(truncated|bad-checksum)$/);
    }
    for (let at = message; at < whole.length; at++) {
      const changed = whole.slice();
      changed[at] = (changed[at] ?? 0) ^ 0x55;
      expect(receive(changed), `byte ${at - message}`).to.equal('igmp-bad-checksum');
    }
    wait(60_000);
    expect(told()).to.deep.equal([]);
  });

  it('divides what does not fit into one packet (RFC 3376 4.2.16)', () => {
    run({}, ['10.0.0.1/24'], 576);
    const sources = Array.from({ length: 300 }, (_, n) => new Ipv4Address(0xc000_0200 + n));
    me.multicast.listen(listener, device, GROUP, sourceFilter('include', sources));
    wait(0);
    expect(device.sent.every((bytes) => bytes.length <= 590)).to.equal(true);
    const named = told().flatMap((line) => line.split(' ').slice(6));
    expect(named).to.deep.equal(sources.map(String));
  });

  it('speaks no newer version than it is told to', () => {
    run({ igmpVersion: 2 });
    join();
    wait(0);
    receive(query(3));
    wait(60_000);
    expect(new Set(told())).to.deep.equal(new Set(['10.0.0.1 > 239.1.1.1 alert: v2 239.1.1.1']));
    run({ silent: true });
    join();
    expect(receive(query(3))).to.equal('group-ignored');
    wait(60_000);
    expect(told()).to.deep.equal([]);
  });

  it('tells, once it runs, of groups that were joined before', () => {
    running.unsubscribe();
    env = virtualEnv();
    device = fakeDevice(env);
    me = host({ device, addresses: ['10.0.0.1/24'] }, env);
    join();
    expect(told()).to.deep.equal([]);
    running = device.frames$.pipe(me).subscribe(device.sink);
    wait(0);
    expect(told()).to.deep.equal(['10.0.0.1 > 224.0.0.22 alert: to_ex 239.1.1.1']);
  });
});
