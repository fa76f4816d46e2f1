/** What the code of scripts may ask about a connection: the names and numbers of `tcp_info`, of Linux or FreeBSD. */

import type { TcpConnection, TcpState } from '../../../lib/l4/tcp/api.js';
import { LINUX_STATES, linuxTcpInfo, type TcpInfo } from '../../../lib/l4/tcp/info.js';
import type { Names } from './python.js';
import type { ProfileName } from './settings.js';

const FREEBSD_STATES: Readonly<Record<TcpState, number>> = {
  CLOSED: 0,
  LISTEN: 1,
  'SYN-SENT': 2,
  'SYN-RECEIVED': 3,
  ESTABLISHED: 4,
  'CLOSE-WAIT': 5,
  'FIN-WAIT-1': 6,
  CLOSING: 7,
  'LAST-ACK': 8,
  'FIN-WAIT-2': 9,
  'TIME-WAIT': 10,
};

/** What states are called behind `TCP_`, `TCPS_` or `TCPI_`. */
const STATE_NAMES: readonly (readonly [TcpState, ...string[]])[] = [
  ['CLOSED', 'CLOSE', 'CLOSED'],
  ['LISTEN', 'LISTEN'],
  ['SYN-SENT', 'SYN_SENT'],
  ['SYN-RECEIVED', 'SYN_RECV', 'SYN_RECEIVED', 'SYN_RCVD'],
  ['ESTABLISHED', 'ESTABLISHED'],
  ['CLOSE-WAIT', 'CLOSE_WAIT'],
  ['FIN-WAIT-1', 'FIN_WAIT1', 'FIN_WAIT_1'],
  ['CLOSING', 'CLOSING'],
  ['LAST-ACK', 'LAST_ACK'],
  ['FIN-WAIT-2', 'FIN_WAIT2', 'FIN_WAIT_2'],
  ['TIME-WAIT', 'TIME_WAIT'],
];

const OTHERS: Readonly<Record<string, number>> = {
  TCP_NEW_SYN_RECV: 12,
  TCP_CA_Open: 0,
  TCP_CA_Disorder: 1,
  TCP_CA_CWR: 2,
  TCP_CA_Recovery: 3,
  TCP_CA_Loss: 4,
  TCPI_OPT_TIMESTAMPS: 1,
  TCPI_OPT_SACK: 2,
  TCPI_OPT_WSCALE: 4,
  TCPI_OPT_ECN: 8,
  TCPI_OPT_ECN_SEEN: 16,
  TCPI_OPT_SYN_DATA: 32,
};

const CONSTANTS: Readonly<Record<ProfileName, ReadonlyMap<string, number>>> = {
  linux: constants(LINUX_STATES),
  freebsd: constants(FREEBSD_STATES),
};

function constants(states: Readonly<Record<TcpState, number>>): ReadonlyMap<string, number> {
  const all = new Map(Object.entries(OTHERS));
  for (const [state, ...names] of STATE_NAMES) {
    for (const name of names) for (const prefix of ['TCP', 'TCPS', 'TCPI']) all.set(`${prefix}_${name}`, states[state]);
  }
  return all;
}

/** How many sockets are expected to be in a state. */
export interface StateQuestion {
  readonly state: TcpState;
  readonly count: number;
}

/**
 * How many sockets a command wants to be in a state, as far as we know it: `sockstat -s | grep -c TIME_WAIT | grep 1`, `ss`, `netstat`.
 */
export function stateQuestion(command: string): StateQuestion | undefined {
  const [, name = '', count] =
    /\b(?:sockstat|netstat|ss)\b.*\bgrep\s+-c\s+(?:-\w+\s+)*"?([A-Z][A-Z0-9_-]*)"?\s*\|\s*grep\s+(?:-\w+\s+)*"?(\d+)"?/.exec(
      command,
    ) ?? [];
  const named = STATE_NAMES.find((names) => names.includes(name.replaceAll('-', '_')));
  return named === undefined ? undefined : { state: named[0], count: Number(count) };
}

/** What names stand for, about `connection`. */
export function infoNames(connection: TcpConnection | undefined, profile: ProfileName): Names {
  const info = connection && fieldsOf(connection.info(), profile);
  return (name) => {
    const constant = CONSTANTS[profile].get(name);
    if (constant !== undefined) return constant;
    const field = name.replace(/^tcpi_/, '');
    return info !== undefined && field !== name && Object.hasOwn(info, field) ? info[field] : undefined;
  };
}

/** FreeBSD counts windows in bytes. */
function fieldsOf(info: TcpInfo, profile: ProfileName): Readonly<Record<string, number>> {
  const fields = linuxTcpInfo(info);
  if (profile === 'linux') return fields;
  return {
    ...fields,
    state: FREEBSD_STATES[info.state],
    snd_cwnd: info.sndCwndBytes,
    snd_ssthresh: Math.min(0x4000_0000, info.sndSsthreshBytes),
  };
}
