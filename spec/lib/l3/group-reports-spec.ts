import { expect } from 'chai';
import * as fc from 'fast-check';
import { type IpAddress, parseIp } from '../../../lib/core/address.js';
import { packRecords } from '../../../lib/l3/group-reports.js';
import type { GroupRecord } from '../../../lib/wire/group-records.js';

describe('packRecords (RFC 3376 4.2.16)', () => {
  const address = (n: number) => parseIp(`10.0.${n >> 8}.${n & 255}`);
  const group = parseIp('239.1.1.1');
  const sources = (count: number) => Array.from({ length: count }, (_, n) => address(n));
  const sizeOf = (report: readonly GroupRecord<IpAddress>[]) =>
    report.reduce((sum, record) => sum + 8 + record.sources.length * 4, 0);

  it('property: every report fits; splittable records keep all their sources; none is empty that was not', () => {
    const record = fc
      .tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 0, max: 60 }))
      .map(([type, count]): GroupRecord<IpAddress> => ({ type, group, sources: sources(count) }));
    fc.assert(
      fc.property(fc.array(record, { maxLength: 8 }), fc.integer({ min: 12, max: 150 }), (records, room) => {
        const reports = packRecords(records, room, 4);
        for (const report of reports) {
          expect(report.length).to.be.greaterThan(0);
          expect(sizeOf(report)).to.be.at.most(room);
        }
        const kept = reports.flat();
        for (const type of [1, 3, 5, 6]) {
          const count = (list: readonly GroupRecord<IpAddress>[]) =>
            list.filter((one) => one.type === type).flatMap((one) => one.sources).length;
          expect(count(kept)).to.equal(count(records));
        }
        for (const type of [2, 4]) {
          const given = records.filter((one) => one.type === type);
          const found = kept.filter((one) => one.type === type);
          expect(found.map((one) => one.sources.length)).to.deep.equal(
            given.map((one) => Math.min(one.sources.length, Math.floor((room - 8) / 4))),
          );
        }
      }),
      { numRuns: 200 },
    );
  });

  it('a report of exclusion that is too long leaves the rest of its sources out', () => {
    const reports = packRecords([{ type: 4, group, sources: sources(500) }], 1000, 4);
    expect(reports.map((report) => report.map((one) => one.sources.length))).to.deep.equal([[248]]);
  });

  it('records that have no room with one source are left out', () => {
    for (const type of [1, 2, 3, 4, 5, 6]) {
      for (let room = -20; room < 12; room++) {
        expect(packRecords([{ type, group, sources: sources(2) }], room, 4), `${type} in ${room}`).to.deep.equal([]);
      }
      expect(packRecords([{ type, group, sources: [] }], 7, 4)).to.deep.equal([]);
      expect(packRecords([{ type, group, sources: [] }], 8, 4)).to.have.length(1);
    }
  });

  it('other records are split', () => {
    const reports = packRecords([{ type: 5, group, sources: sources(500) }], 1000, 4);
    expect(reports.map((report) => report.map((one) => one.sources.length))).to.deep.equal([[248], [248], [4]]);
    expect(reports.flat().flatMap((one) => one.sources.map(String))).to.deep.equal(sources(500).map(String));
  });
});
