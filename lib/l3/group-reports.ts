/** How group records are divided among reports so that each fits into a packet (RFC 3376 4.2.16, RFC 3810 5.2.15). */

import type { IpAddress } from '../core/address.js';
import { type GroupRecord, GroupRecordType } from '../wire/group-records.js';

/**
 * The records of each report. Of a record that says which sources are excluded and that does not fit into one report, the rest of the
 * sources is left out: more is then asked for than is wanted. Other records are split. Those that have no room with even one of their sources
 * are left out.
 *
 * @param room bytes for records in a report
 * @param addressLength bytes of an address: 4 or 16
 */
export function packRecords<A extends IpAddress>(
  records: readonly GroupRecord<A>[],
  room: number,
  addressLength: 4 | 16,
): GroupRecord<A>[][] {
  const reports: GroupRecord<A>[][] = [];
  const header = 4 + addressLength;
  let report: GroupRecord<A>[] = [];
  let left = room;
  const put = (record: GroupRecord<A>) => {
    report.push(record);
    left -= header + record.sources.length * addressLength;
  };
  const close = () => {
    if (report.length > 0) reports.push(report);
    report = [];
    left = room;
  };
  for (const record of records) {
    let { sources } = record;
    if (header + Math.min(sources.length, 1) * addressLength > room) continue;
    while (header + sources.length * addressLength > left) {
      const fit = Math.floor((left - header) / addressLength);
      if (isWhole(record.type)) {
        // In a report of its own, as much as fits.
        if (report.length === 0) sources = sources.slice(0, fit);
        else close();
        continue;
      }
      if (fit > 0) {
        put({ ...record, sources: sources.slice(0, fit) });
        sources = sources.slice(fit);
      }
      close();
    }
    put({ ...record, sources });
  }
  close();
  return reports;
}

function isWhole(type: number): boolean {
  return type === GroupRecordType.ModeIsExclude || type === GroupRecordType.ChangeToExclude;
}
