/** A host with accurate ECN under test: what its tests share. */

import { expect } from 'chai';
import type { IpVersion } from '../../../../lib/core/address.js';
import type { AccurateEcn } from '../../../../lib/l4/tcp/accecn.js';
import type { TcpConnection } from '../../../../lib/l4/tcp/api.js';
import type { Connection } from '../../../../lib/l4/tcp/connection.js';
import type { TcpOptions } from '../../../../lib/l4/tcp/options.js';
import { Dut } from './dut.js';

export const MSS = 1000;
export const OPTION = 'ECN e1b 1 ceb 0 e0b 1,nop';

/** What came out since the last look, without windows, and with the three bits of an ACK as a number. */
export function took(dut: Dut): string[] {
  return dut.takeBare().map((line) =>
    line.replace(/^((?:\[\w+\] )?[FRPU]*)(E?)(W?)(A?)\. /, (_all, head: string, e, w, a) => {
      return `${head}.${(a === '' ? 0 : 4) + (w === '' ? 0 : 2) + (e === '' ? 0 : 1)} `;
    }),
  );
}

/** Exactly these segments came out since the last look. */
export function sees(dut: Dut, ...lines: string[]): void {
  expect(took(dut)).to.deep.equal(lines);
}

export function accurateHost(version: IpVersion, options: TcpOptions = {}): Dut {
  return new Dut(version, { ecn: 'accurate', ecnOption: 'sparing', ...options });
}

/** A connection that the peer opened. */
export function accepted(dut: Dut): TcpConnection {
  const listener = dut.listen();
  dut.rx(`SEWA 0:0(0) win 65535 <mss ${MSS}>`);
  dut.rx(`.2 1:1(0) ack 1 win 65535 <${OPTION}>`);
  const connection = listener.accept();
  if (connection === undefined) throw new Error('nothing to accept');
  dut.take();
  return connection;
}

/** A connection that we opened. */
export function connected(dut: Dut, answer = 'SW.', option = `,${OPTION}`): TcpConnection {
  const { connection } = dut.connecting();
  dut.rx(`${answer} 0:0(0) ack 1 win 65535 <mss ${MSS}${option}>`);
  dut.take();
  return connection;
}

export function countersOf(connection: TcpConnection): AccurateEcn {
  const accurate = (connection as Connection).ecn?.accurate;
  if (accurate === undefined) throw new Error('not accurate');
  return accurate;
}
