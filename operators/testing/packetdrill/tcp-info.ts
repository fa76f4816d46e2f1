/** What the code of scripts may ask about a connection, in the names and numbers of Linux's `tcp_info`. */

import type { TcpConnection } from '../../../lib/l4/tcp/api.js';
import { linuxTcpInfo } from '../../../lib/l4/tcp/info.js';
import type { Names } from './python.js';

const CONSTANTS: Readonly<Record<string, number>> = {
  TCP_ESTABLISHED: 1,
  TCP_SYN_SENT: 2,
  TCP_SYN_RECV: 3,
  TCP_FIN_WAIT1: 4,
  TCP_FIN_WAIT2: 5,
  TCP_TIME_WAIT: 6,
  TCP_CLOSE: 7,
  TCP_CLOSE_WAIT: 8,
  TCP_LAST_ACK: 9,
  TCP_LISTEN: 10,
  TCP_CLOSING: 11,
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
  // FreeBSD's numbers of the states.
  TCPS_CLOSED: 0,
  TCPS_LISTEN: 1,
  TCPS_SYN_SENT: 2,
  TCPS_SYN_RECEIVED: 3,
  TCPS_ESTABLISHED: 4,
  TCPS_CLOSE_WAIT: 5,
  TCPS_FIN_WAIT_1: 6,
  TCPS_CLOSING: 7,
  TCPS_LAST_ACK: 8,
  TCPS_FIN_WAIT_2: 9,
  TCPS_TIME_WAIT: 10,
};

/** What names stand for, about `connection`. */
export function infoNames(connection: TcpConnection | undefined): Names {
  const info = connection && linuxTcpInfo(connection.info());
  return (name) => {
    if (Object.hasOwn(CONSTANTS, name)) return CONSTANTS[name];
    const field = name.replace(/^tcpi_/, '');
    return info !== undefined && field !== name && Object.hasOwn(info, field) ? info[field] : undefined;
  };
}
