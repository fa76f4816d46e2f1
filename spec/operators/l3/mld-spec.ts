import { expect } from 'chai';
import type { Subscription } from 'rxjs';
import { Ipv6Address, MacAddress } from '../../../lib/core/address.js';
import { type DropReason, dropReasonName } from '../../../lib/core/drops.js';
import { Frame } from '../../../lib/core/frame.js';
import type { MulticastOptions } from '../../../lib/l3/multicast.js';
import { EVERYTHING, NOTHING, sourceFilter } from '../../../lib/l3/source-filter.js';
import { EtherType, EthernetFrame } from '../../../lib/wire/ethernet.js';
import type { GroupQueryFields } from '../../../lib/wire/group-records.js';
import { Icmpv6Message, Icmpv6Type, pushIcmpv6Headers } from '../../../lib/wire/icmpv6.js';
import { groupMac, Ipv6Packet } from '../../../lib/wire/ipv6.js';
import { walkExtensions } from '../../../lib/wire/ipv6-extensions.js';
import { MldMessage, MldQuery, MldReport, MldReport2 } from '../../../lib/wire/mld.js';
import { type Host, host, type HostOptions } from '../../../operators/stack/host.js';
import { bytesOf, type FakeDevice, fakeDevice, type VirtualEnv, virtualEnv } from '../../lib/l2/fake-device.js';

const at = (text: string) => Ipv6Address.parse(text);
const GROUP = at('ff15::1');
const ALL_NODES = at('ff02::1');
const ROUTER = at('fe80::9');
const OURS = 'fe80::1/64';
const RECORDS = ['', 'is_in', 'is_ex', 'to_in', 'to_ex', 'allow', 'block'];

/** What an MLD message of ours says; `undefined` for any other frame. Holds that its headers are as RFC 3810 5 asks. */
function textOf(bytes: Uint8Array): string | undefined {
  const frame = Frame.from(bytes);
  const ether = new EthernetFrame(frame, frame.start);
  frame.start += ether.headerLength;
  if (ether.etherType !== EtherType.Ipv6) return undefined;
  expect(Ipv6Packet.check(frame, frame.start)).to.equal(undefined);
  const packet = new Ipv6Packet(frame, frame.start);
  expect(walkExtensions(packet)).to.equal(undefined);
  frame.end = frame.start + packet.totalLength;
  frame.start += packet.headerLength;
  expect(Icmpv6Message.check(packet)).to.equal(undefined);
  const type = frame.slab.view.getUint8(frame.start);
  if (![Icmpv6Type.ListenerReport, Icmpv6Type.ListenerDone, Icmpv6Type.ListenerReport2].some((one) => one === type)) {
    return undefined;
  }
  expect(MldMessage.check(packet), 'hop limit, router alert, source').to.equal(undefined);
  expect(ether.destination, 'MAC address').to.equal(groupMac(packet.destinationAddress));
  return `${packet.sourceAddress.toString()} > ${packet.destinationAddress.toString()}: ${messageOf(frame, type)}`;
}

function messageOf(frame: Frame, type: number): string {
  if (type === Icmpv6Type.ListenerReport) return `v1 ${new MldReport(frame, frame.start).group.toString()}`;
  if (type === Icmpv6Type.ListenerDone) return `done ${new MldReport(frame, frame.start).group.toString()}`;
  const records = new MldReport2(frame, frame.start).records();
  return records
    .map((record) => [RECORDS[record.type], record.group, ...record.sources].map(String).join(' '))
    .join(', ');
}

describe('mld', () => {
  const listener = {};
  let env: VirtualEnv;
  let device: FakeDevice;
  let me: Host;
  let running: Subscription;

  function run(options: Partial<HostOptions> = {}): void {
    running?.unsubscribe();
    env = virtualEnv();
    device = fakeDevice(env);
    me = host({ device, addresses: [OURS], ...options }, env);
    running = device.frames$.pipe(me).subscribe(device.sink);
  }
  const wait = (ms: number) => env.scheduler.runFor(ms);
  const told = () =>
    device.sent
      .splice(0)
      .map(textOf)
      .filter((text) => text !== undefined);
  const join = (group = GROUP) => me.multicast.listen(listener, device, group, EVERYTHING);
  const quiet = () => {
    wait(60_000);
    told();
  };

  /** A message of another host's, as bytes of a frame. */
  function frameWith(
    emit: (frame: Frame) => void,
    fields: { source?: Ipv6Address; destination?: Ipv6Address; hopLimit?: number; alert?: boolean } = {},
  ): Uint8Array {
    return bytesOf((frame) => {
      // `emit` appends; headers are pushed.
      frame.start = frame.end = 60_000;
      emit(frame);
      const { source = ROUTER, destination = ALL_NODES, hopLimit = 1, alert = true } = fields;
      pushIcmpv6Headers(frame, { source, destination, hopLimit }, alert);
      const mac = MacAddress.parse('02:00:00:00:00:09').value;
      EthernetFrame.emit(frame, groupMac(destination), mac, EtherType.Ipv6);
    });
  }
  const receive = (bytes: Uint8Array): string => {
    const fate = device.receive(bytes);
    return fate < 0 ? 'taken' : dropReasonName(fate as DropReason);
  };
  const query = (
    version: 1 | 2,
    fields: Partial<GroupQueryFields<Ipv6Address>> = {},
    header: Parameters<typeof frameWith>[1] = {},
  ) => frameWith((frame) => MldQuery.emit(frame, version, { maximumResponse: 1000, ...fields }), header);
  const report = (group = GROUP, header: Parameters<typeof frameWith>[1] = {}) =>
    frameWith((frame) => MldReport.emit(frame, group), { destination: group, ...header });

  beforeEach(() => run());
  afterEach(() => {
    running.unsubscribe();
    expect(env.pool.outstanding, 'frames').to.equal(0);
    expect(env.scheduler.pending, 'timers').to.equal(0);
  });

  it('RFC 8200 5: tells nothing on a link that is too narrow for IPv6', () => {
    run();
    for (const mtu of [68, 75, 91, 1279]) {
      running.unsubscribe();
      env = virtualEnv();
      device = fakeDevice(env, { mtu });
      me = host({ device, addresses: ['10.0.0.1/24'] }, env);
      running = device.frames$.pipe(me).subscribe(device.sink);
      join();
      me.multicast.listen({}, device, at('ff35::1'), sourceFilter('include', [at('fd00::1')]));
      wait(60_000);
      expect(told()).to.deep.equal([]);
    }
  });

  it('3810/9777: reports the solicited-node groups of its addresses, from the link-local one (RFC 3810 5.2.13, 5.2.14)', () => {
    wait(0);
    expect(told()).to.deep.equal(['fe80::1 > ff02::16: to_ex ff02::1:ff00:1']);
    quiet();
    me.tables.addAddress(device, 'fd00::77/64');
    me.tables.addAddress(device, 'fd01::77/64');
    wait(0);
    expect(told(), 'one group of two addresses').to.deep.equal(['fe80::1 > ff02::16: to_ex ff02::1:ff00:77']);
    quiet();
    me.tables.removeAddress(device, 'fd00::77');
    wait(0);
    expect(told()).to.deep.equal([]);
    me.tables.removeAddress(device, 'fd01::77');
    wait(0);
    expect(told()).to.deep.equal(['fe80::1 > ff02::16: to_in ff02::1:ff00:77']);
  });

  it('4291-1: never reports the group of all nodes, nor what stays on the node or has no scope (RFC 3810 6)', () => {
    quiet();
    const silent = ['ff02::1', 'ff01::5', 'ff00::5', 'ff11::1234'].map(at);
    for (const group of silent) join(group);
    for (const group of silent) receive(query(2, { group }, { destination: group }));
    receive(query(2));
    wait(60_000);
    expect(told()).to.deep.equal(['fe80::1 > ff02::16: is_ex ff02::1:ff00:1']);
    for (const group of silent) me.multicast.listen(listener, device, group, NOTHING);
  });

  it('3810/9777: answers general queries, those of groups, and those of sources', () => {
    join();
    quiet();
    receive(query(2, { group: GROUP }, { destination: GROUP }));
    wait(1000);
    receive(query(2, { group: GROUP, sources: [at('fd00::5')] }, { destination: GROUP }));
    wait(1000);
    receive(query(2));
    wait(1000);
    expect(told()).to.deep.equal([
      'fe80::1 > ff02::16: is_ex ff15::1',
      'fe80::1 > ff02::16: is_in ff15::1 fd00::5',
      'fe80::1 > ff02::16: is_ex ff02::1:ff00:1, is_ex ff15::1',
    ]);
  });

  it('2710: to a version 1 querier it reports to the group itself, and is done to all routers', () => {
    quiet();
    expect(receive(query(1))).to.equal('taken');
    wait(1000);
    join();
    wait(0);
    me.multicast.listen(listener, device, GROUP, NOTHING);
    expect(told()).to.deep.equal([
      'fe80::1 > ff02::1:ff00:1: v1 ff02::1:ff00:1',
      'fe80::1 > ff15::1: v1 ff15::1',
      'fe80::1 > ff02::2: done ff15::1',
    ]);
  });

  it("2710: is kept from reporting by another's report to the group", () => {
    join();
    quiet();
    receive(query(1, { group: GROUP }, { destination: GROUP }));
    expect(receive(report())).to.equal('taken');
    expect(receive(report()), 'none is due').to.equal('group-ignored');
    wait(60_000);
    expect(told()).to.deep.equal([]);
    receive(query(1, { group: GROUP }, { destination: GROUP }));
    expect(receive(report(GROUP, { destination: ALL_NODES })), 'to somewhere else').to.equal('group-ignored');
    wait(1000);
    expect(told()).to.have.length(1);
  });

  it('4862-1, 3590: while its address is verified it reports from ::, not before the probe may be sent, and then again', () => {
    run({ dad: true });
    const start = env.timers.now();
    const reports: { at: number; text: string }[] = [];
    for (let i = 0; i < 4000; i++) {
      wait(1);
      for (const text of told()) reports.push({ at: env.timers.now() - start, text });
    }
    const nameless = reports.filter(({ text }) => text.startsWith(':: >'));
    const named = reports.filter(({ text }) => text.startsWith('fe80::1 >'));
    expect(nameless[0]?.text).to.equal(':: > ff02::16: to_ex ff02::1:ff00:1');
    // The delay is random, and not 0 with this seed.
    expect(nameless[0]?.at).to.be.within(2, 1001);
    expect(named.map(({ text }) => text)).to.deep.equal(Array(2).fill('fe80::1 > ff02::16: to_ex ff02::1:ff00:1'));
    expect(named[0]?.at, 'once verified').to.be.greaterThan(1000);
  });

  it('ignores queries that no router sent: hop limit, router alert, source (RFC 3810 6.2)', () => {
    quiet();
    const bad = [
      query(2, {}, { hopLimit: 2 }),
      query(2, {}, { alert: false }),
      query(2, {}, { source: at('fd00::9') }),
      query(2, {}, { source: Ipv6Address.ANY }),
    ];
    for (const bytes of bad) expect(receive(bytes)).to.equal('mld-bad-header');
    wait(60_000);
    expect(told()).to.deep.equal([]);
    expect(me.multicast.mld(device)?.groups.generation).to.equal(3);
  });

  it('ignores reports of version 2, and what is done', () => {
    join();
    quiet();
    const record = { type: 2, group: GROUP, sources: [] };
    expect(receive(frameWith((frame) => MldReport2.emit(frame, [record]), { destination: GROUP }))).to.equal(
      'group-ignored',
    );
    expect(receive(frameWith((frame) => MldReport.emit(frame, GROUP, true), { destination: GROUP }))).to.equal(
      'group-ignored',
    );
  });

  it('drops what is cut with a reason', () => {
    quiet();
    const whole = query(2, { group: GROUP, sources: [at('fd00::5')] });
    const message = whole.subarray(whole.length - 44);
    for (let length = 8; length < 44; length++) {
      const cut = frameWith((frame) => frame.slab.bytes.set(message.subarray(0, length), frame.put(length)));
      // 24 bytes are a query of version 1.
      expect(receive(cut), `${length} bytes`).to.equal(length === 24 ? 'taken' : 'mld-truncated');
    }
  });

  it('speaks no newer version than it is told to', () => {
    const multicast: Omit<MulticastOptions, 'tables' | 'links'> = { mldVersion: 1 };
    run({ multicast });
    wait(60_000);
    receive(query(2));
    wait(60_000);
    expect(new Set(told())).to.deep.equal(new Set(['fe80::1 > ff02::1:ff00:1: v1 ff02::1:ff00:1']));
  });
});
