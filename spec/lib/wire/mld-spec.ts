import { expect } from 'chai';
import * as fc from 'fast-check';
import type { Ipv6Address } from '../../../lib/core/address.js';
import { DropReason } from '../../../lib/core/drops.js';
import type { Frame } from '../../../lib/core/frame.js';
import { GroupRecordType } from '../../../lib/wire/group-records.js';
import { Icmpv6Message, Icmpv6Type, pushIcmpv6Headers } from '../../../lib/wire/icmpv6.js';
import { MLD2_ROUTERS, MldMessage, MldQuery, MldReport, MldReport2 } from '../../../lib/wire/mld.js';
import { emptyFrame, hexOf, readAll } from './frames.js';
import { address, anyAddress, anyGroup, captured, enter } from './packets6.js';

// Captured: tshark reads the same of it.
const REPORT2 =
  '3333000000160050b619e65086dd6000000000880001fe800000000000000250b6fffe19e650ff0200000000000000000000000000163a000502000001008f00de650000000604000000ff0200000000000000000000000000fb04000000ff0200000000000000000001ff00000204000000ff02000000000000000000000001000304000000ff0200000000000000000001ff00000004000000ff0200000000000000000001ff19e65004000000ff020000000000000000000000000002';
const REPORT1 =
  '6000000000200001fe800000000000000216cbfffe9a4cb9ff0200000000000000000001ff9a4cb93a000100050200008300ce1100000000ff0200000000000000000001ff9a4cb9';

const ROUTER = address('fe80::1');
const ALL_NODES = address('ff02::1');
const GROUP = address('ff3e::1234');

interface Sent {
  readonly source?: Ipv6Address;
  readonly hopLimit?: number;
  readonly alert?: boolean;
}

function sent(write: (frame: Frame) => void, { source = ROUTER, hopLimit = 1, alert = true }: Sent = {}) {
  const frame = emptyFrame();
  write(frame);
  pushIcmpv6Headers(frame, { source, destination: ALL_NODES, hopLimit }, alert);
  const packet = enter(frame);
  expect(Icmpv6Message.check(packet)).to.equal(undefined);
  return packet;
}

/** The message of `bytes` of ICMPv6, its checksum made right. */
const rawly = (bytes: Uint8Array, options?: Sent) =>
  sent((frame) => frame.slab.bytes.set(bytes, frame.put(bytes.length)), options);

describe('MldMessage', () => {
  it('reads and writes a captured report of version 2', () => {
    const packet = captured(REPORT2);
    expect(Icmpv6Message.check(packet)).to.equal(undefined);
    expect(MldMessage.check(packet)).to.equal(undefined);
    const report = new MldReport2(packet.frame, packet.frame.start);
    const groups = ['ff02::fb', 'ff02::1:ff00:2', 'ff02::1:3', 'ff02::1:ff00:0', 'ff02::1:ff19:e650', 'ff02::2'];
    expect(report.records()).to.deep.equal(
      groups.map((group) => ({ type: GroupRecordType.ChangeToExclude, group: address(group), sources: [] })),
    );
    const frame = emptyFrame();
    MldReport2.emit(frame, report.records());
    const destination = packet.destinationAddress;
    expect(destination.equals(MLD2_ROUTERS)).to.equal(true);
    pushIcmpv6Headers(frame, { source: packet.sourceAddress, destination, hopLimit: 1 }, true);
    // The host that was captured wrote its router alert behind the padding.
    expect(hexOf(frame).slice(96)).to.equal(REPORT2.slice(28 + 96));
    expect(packet.routerAlert).to.equal(0);
  });

  it('reads and writes a captured report of version 1', () => {
    const packet = captured(`${'00'.repeat(14)}${REPORT1}`);
    expect(MldMessage.check(packet)).to.equal(undefined);
    const report = new MldReport(packet.frame, packet.frame.start);
    expect(report.type).to.equal(Icmpv6Type.ListenerReport);
    expect(report.group.toString()).to.equal('ff02::1:ff9a:4cb9');
    const frame = emptyFrame();
    MldReport.emit(frame, report.group);
    pushIcmpv6Headers(frame, { source: packet.sourceAddress, destination: report.group, hopLimit: 1 });
    expect(hexOf(frame).slice(80)).to.equal(REPORT1.slice(96));
  });

  it('tells done from report', () => {
    const packet = sent((frame) => MldReport.emit(frame, GROUP, true));
    expect(new MldReport(packet.frame, packet.frame.start).type).to.equal(Icmpv6Type.ListenerDone);
  });

  it('3810: wants hop limit 1, a router alert, and a link-local source', () => {
    const query = (frame: Frame) => MldQuery.emit(frame, 2, { maximumResponse: 10_000 });
    const report = (frame: Frame) => MldReport2.emit(frame, []);
    expect(MldMessage.check(sent(query))).to.equal(undefined);
    expect(MldMessage.check(sent(query, { hopLimit: 2 }))).to.equal(DropReason.MldBadHeader);
    expect(MldMessage.check(sent(query, { alert: false }))).to.equal(DropReason.MldBadHeader);
    expect(MldMessage.check(sent(query, { source: address('2001:db8::1') }))).to.equal(DropReason.MldBadHeader);
    // RFC 3590: who has no address yet may report, not ask.
    expect(MldMessage.check(sent(query, { source: address('::') }))).to.equal(DropReason.MldBadHeader);
    expect(MldMessage.check(sent(report, { source: address('::') }))).to.equal(undefined);
  });

  it('wants groups that are multicast', () => {
    expect(MldMessage.check(sent((frame) => MldReport.emit(frame, ROUTER)))).to.equal(DropReason.MldBadGroup);
    expect(MldMessage.check(sent((frame) => MldReport.emit(frame, address('::'))))).to.equal(DropReason.MldBadGroup);
    const query = (frame: Frame) => MldQuery.emit(frame, 1, { maximumResponse: 1, group: ROUTER });
    expect(MldMessage.check(sent(query))).to.equal(DropReason.MldBadGroup);
    const records = [{ type: 1, group: ROUTER, sources: [] }];
    expect(MldMessage.check(sent((frame) => MldReport2.emit(frame, records)))).to.equal(DropReason.MldBadGroup);
  });

  it('3810 8.1: takes 24 bytes for version 1, 28 and more for version 2, and nothing between', () => {
    const whole = emptyFrame();
    MldQuery.emit(whole, 2, { maximumResponse: 1000, group: GROUP, sources: [address('2001:db8::9')] });
    for (let length = 8; length < whole.length; length++) {
      const packet = rawly(whole.bytes().slice(0, length));
      expect(MldMessage.check(packet), `${length} bytes`).to.equal(length === 24 ? undefined : DropReason.MldTruncated);
    }
    const report = emptyFrame();
    MldReport2.emit(report, [{ type: 1, group: GROUP, sources: [ROUTER] }]);
    for (let length = 8; length < report.length; length++) {
      expect(MldMessage.check(rawly(report.bytes().slice(0, length)))).to.equal(DropReason.MldTruncated);
    }
    // Behind it there may be more (RFC 3810 5.1.12, 5.2.11).
    expect(MldMessage.check(rawly(Uint8Array.from([...whole.bytes(), 1, 2])))).to.equal(undefined);
  });

  it('steps over auxiliary data', () => {
    const frame = emptyFrame();
    MldReport2.emit(frame, [{ type: 1, group: GROUP, sources: [ROUTER] }]);
    const [head, record] = [frame.bytes().slice(0, 8), frame.bytes().slice(8)];
    head[7] = 2;
    record[1] = 1;
    const packet = rawly(Uint8Array.from([...head, ...record, 9, 9, 9, 9, ...record, 9, 9, 9, 9]));
    expect(MldMessage.check(packet)).to.equal(undefined);
    expect(new MldReport2(packet.frame, packet.frame.start).records()).to.have.length(2);
  });

  it('reads back queries of both versions', () => {
    const fields = fc.record({
      group: fc.oneof(fc.constant(address('::')), anyGroup),
      maximumResponse: fc.nat(32_767),
      suppress: fc.boolean(),
      robustness: fc.nat(7),
      interval: fc.nat(127).map((seconds) => seconds * 1000),
      sources: fc.array(anyAddress, { maxLength: 4 }),
    });
    fc.assert(
      fc.property(fields, fc.constantFrom(1 as const, 2 as const), (values, version) => {
        const packet = sent((frame) => MldQuery.emit(frame, version, values));
        expect(MldMessage.check(packet)).to.equal(undefined);
        const query = new MldQuery(packet.frame, packet.frame.start);
        const { group, sources, maximumResponse, ...second } = values;
        expect(query).to.include({ version, maximumResponse, isGeneral: group.isUnspecified });
        expect(query.group).to.deep.equal(group);
        expect(query).to.include(version === 2 ? second : { suppress: false, robustness: 0, interval: 0 });
        expect(query.sources).to.deep.equal(version === 2 ? sources : []);
      }),
    );
  });

  it('reads back reports', () => {
    const record = fc.record({ type: fc.nat(255), group: anyGroup, sources: fc.array(anyAddress, { maxLength: 3 }) });
    fc.assert(
      fc.property(fc.array(record, { maxLength: 5 }), (records) => {
        const packet = sent((frame) => MldReport2.emit(frame, records));
        expect(MldMessage.check(packet)).to.equal(undefined);
        expect(new MldReport2(packet.frame, packet.frame.start).records()).to.deep.equal(records);
      }),
    );
  });

  it('never throws, on any bytes', () => {
    const type = fc.constantFrom(130, 131, 132, 143);
    const counts = fc.uint8Array({ minLength: 7, maxLength: 120 }).map((bytes) => {
      bytes.set([0, 2], 5);
      if (bytes.length > 27) bytes.set([0, 1], 25);
      return bytes;
    });
    const views = { 130: MldQuery, 131: MldReport, 132: MldReport, 143: MldReport2 } as const;
    fc.assert(
      fc.property(type, fc.oneof(counts, fc.uint8Array({ minLength: 7, maxLength: 120 })), (kind, rest) => {
        const packet = rawly(Uint8Array.from([kind, ...rest]));
        if (MldMessage.check(packet) !== undefined) return;
        const message = new views[kind](packet.frame, packet.frame.start);
        readAll(message);
        if (message instanceof MldReport2) message.records();
      }),
    );
  });
});
