import { expect } from 'chai';
import * as fc from 'fast-check';
import { Ipv4Address } from '../../../lib/core/address.js';
import { DropReason } from '../../../lib/core/drops.js';
import type { Frame } from '../../../lib/core/frame.js';
import { complement, sum16 } from '../../../lib/wire/checksum.js';
import { GroupRecordType } from '../../../lib/wire/group-records.js';
import {
  IGMP_ROUTER_ALERT,
  IgmpMessage,
  IgmpQuery,
  IgmpReport,
  IgmpReport3,
  IgmpType,
} from '../../../lib/wire/igmp.js';
import { IpProtocol } from '../../../lib/wire/ip.js';
import { Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { emptyFrame, frameOf, frameWith, hexBytes, hexOf, readAll, truncations } from './frames.js';

// Captured: tshark reads the same of them.
const QUERY2 = '1164ee9b00000000';
const REPORT2 = '160008c3e000013c';
const QUERY3 = '1164ec1e00000000027d0000';
const REPORT3 = '2200ea030000000104000000effffffa';

const ip = (text: string): Ipv4Address => Ipv4Address.parse(text);
const anyIp = fc.nat(0xffff_ffff).map((value) => new Ipv4Address(value));
const anyGroup = fc.nat(0x0fff_ffff).map((value) => new Ipv4Address(0xe000_0000 + value));

function emitted(write: (frame: Frame) => void): Frame {
  const frame = emptyFrame();
  write(frame);
  return frame;
}

/** These bytes with a right checksum. */
function sealed(bytes: Uint8Array): Frame {
  const frame = frameOf(bytes);
  if (frame.length < 4) return frame;
  frame.slab.view.setUint16(frame.start + 2, 0);
  frame.slab.view.setUint16(frame.start + 2, complement(sum16(frame.slab.view, frame.start, frame.end)));
  return frame;
}

const check = (frame: Frame): DropReason | undefined => IgmpMessage.check(frame, frame.start);

describe('IgmpMessage', () => {
  it('reads and writes captured queries', () => {
    const two = frameOf(QUERY2);
    expect(check(two)).to.equal(undefined);
    expect(new IgmpQuery(two, two.start)).to.include({
      version: 2,
      maximumResponse: 10_000,
      isGeneral: true,
      interval: 0,
    });
    expect(hexOf(emitted((frame) => IgmpQuery.emit(frame, 2, { maximumResponse: 10_000 })))).to.equal(QUERY2);
    const three = frameOf(QUERY3);
    expect(check(three)).to.equal(undefined);
    const facts = { maximumResponse: 10_000, robustness: 2, interval: 125_000 };
    expect(new IgmpQuery(three, three.start)).to.include({ version: 3, suppress: false, ...facts });
    expect(hexOf(emitted((frame) => IgmpQuery.emit(frame, 3, facts)))).to.equal(QUERY3);
  });

  it('reads and writes captured reports', () => {
    const two = frameOf(REPORT2);
    expect(check(two)).to.equal(undefined);
    expect(new IgmpReport(two, two.start).group.toString()).to.equal('224.0.1.60');
    expect(hexOf(emitted((frame) => IgmpReport.emit(frame, IgmpType.Report2, ip('224.0.1.60'))))).to.equal(REPORT2);
    const three = frameOf(REPORT3);
    expect(check(three)).to.equal(undefined);
    const records = [{ type: GroupRecordType.ChangeToExclude, group: ip('239.255.255.250'), sources: [] }];
    expect(new IgmpReport3(three, three.start).records()).to.deep.equal(records);
    expect(hexOf(emitted((frame) => IgmpReport3.emit(frame, records)))).to.equal(REPORT3);
  });

  it('takes a query without a response time for version 1, which means ten seconds (RFC 2236 4)', () => {
    const one = emitted((frame) => IgmpQuery.emit(frame, 1, { maximumResponse: 0 }));
    expect(check(one)).to.equal(undefined);
    expect(new IgmpQuery(one, one.start)).to.include({ version: 1, maximumResponse: 10_000 });
    // The shortest time of version 2 is not none.
    const two = emitted((frame) => IgmpQuery.emit(frame, 2, { maximumResponse: 0 }));
    expect(new IgmpQuery(two, two.start)).to.include({ version: 2, maximumResponse: 100 });
  });

  it('3376 7.1: takes 8 bytes for version 1 or 2, 12 and more for version 3, and nothing between', () => {
    const whole = emitted((frame) =>
      IgmpQuery.emit(frame, 3, { maximumResponse: 1000, group: ip('232.1.1.1'), sources: [ip('10.0.0.1')] }),
    );
    for (let length = 0; length < whole.length; length++) {
      const verdict = check(sealed(whole.bytes().slice(0, length)));
      expect(verdict, `${length} bytes`).to.equal(length === 8 ? undefined : DropReason.IgmpTruncated);
    }
    const report = emitted((frame) =>
      IgmpReport3.emit(frame, [{ type: 1, group: ip('232.1.1.1'), sources: [ip('10.0.0.1')] }]),
    );
    for (const cut of truncations(report.bytes())) {
      expect(check(sealed(cut.bytes().slice()))).to.equal(DropReason.IgmpTruncated);
    }
    expect(check(sealed(Uint8Array.from([...whole.bytes(), 1, 2])))).to.equal(undefined);
  });

  it('refuses bad checksums, unknown types and groups that are not multicast', () => {
    expect(check(frameOf(QUERY2.replace('ee9b', 'ee9a')))).to.equal(DropReason.IgmpBadChecksum);
    expect(check(sealed(hexBytes('1364000000000000')))).to.equal(DropReason.IgmpUnknownType);
    expect(check(sealed(hexBytes('160000000a000001')))).to.equal(DropReason.IgmpBadGroup);
    expect(check(sealed(hexBytes('1164 0000 0a000001')))).to.equal(DropReason.IgmpBadGroup);
    expect(check(sealed(hexBytes('2200 0000 00000001 01000000 0a000001')))).to.equal(DropReason.IgmpBadGroup);
  });

  it('goes out with a router alert (RFC 2236 2)', () => {
    const frame = emitted((empty) => IgmpReport.emit(empty, IgmpType.Leave, ip('239.1.2.3')));
    Ipv4Packet.emit(frame, {
      source: 0x0a00_0001,
      destination: 0xe000_0002,
      protocol: IpProtocol.Igmp,
      ttl: 1,
      options: [IGMP_ROUTER_ALERT],
    });
    expect(hexOf(frame).slice(40, 48)).to.equal('94040000');
  });

  it('reads back queries', () => {
    const fields = fc.record({
      group: fc.oneof(fc.constant(ip('0.0.0.0')), anyGroup),
      maximumResponse: fc.integer({ min: 1, max: 127 }).map((tenths) => tenths * 100),
      suppress: fc.boolean(),
      robustness: fc.nat(7),
      interval: fc.nat(127).map((seconds) => seconds * 1000),
      sources: fc.array(anyIp, { maxLength: 4 }),
    });
    fc.assert(
      fc.property(fields, fc.constantFrom(2 as const, 3 as const), (values, version) => {
        const frame = emitted((empty) => IgmpQuery.emit(empty, version, values));
        expect(check(frame)).to.equal(undefined);
        const query = new IgmpQuery(frame, frame.start);
        const { group, sources, maximumResponse, ...third } = values;
        expect(query).to.include({ version, maximumResponse, isGeneral: group.isUnspecified });
        expect(query.group).to.deep.equal(group);
        expect(query).to.include(version === 3 ? third : { suppress: false, robustness: 0, interval: 0 });
        expect(query.sources).to.deep.equal(version === 3 ? sources : []);
      }),
    );
  });

  it('reads back reports', () => {
    const record = fc.record({ type: fc.nat(255), group: anyGroup, sources: fc.array(anyIp, { maxLength: 3 }) });
    fc.assert(
      fc.property(fc.array(record, { maxLength: 5 }), (records) => {
        const frame = emitted((empty) => IgmpReport3.emit(empty, records));
        expect(check(frame)).to.equal(undefined);
        expect(new IgmpReport3(frame, frame.start).records()).to.deep.equal(records);
      }),
    );
  });

  it('steps over auxiliary data', () => {
    const record = '01010001 e8010101 0a000001 99999999';
    const frame = sealed(hexBytes(`22000000 00000002 ${record} ${record}`));
    expect(check(frame)).to.equal(undefined);
    expect(new IgmpReport3(frame, frame.start).records()).to.have.length(2);
  });

  it('never throws, on any bytes', () => {
    const type = fc.constantFrom(...Object.values(IgmpType), 0x13);
    const body = fc.uint8Array({ maxLength: 60 }).map((bytes) => {
      if (bytes.length > 6) bytes.set([0, 2], 5);
      if (bytes.length > 10) bytes.set([0, 1], 9);
      return bytes;
    });
    fc.assert(
      fc.property(type, fc.oneof(body, fc.uint8Array({ maxLength: 60 })), fc.boolean(), (kind, rest, right) => {
        const bytes = Uint8Array.from([kind, ...rest]);
        const frame = right ? sealed(bytes) : frameWith(bytes);
        if (check(frame) !== undefined) return;
        const View = kind === IgmpType.Query ? IgmpQuery : kind === IgmpType.Report3 ? IgmpReport3 : IgmpReport;
        const message = new View(frame, frame.start);
        readAll(message);
        if (message instanceof IgmpReport3) message.records();
      }),
    );
  });
});
