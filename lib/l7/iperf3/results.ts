/** The results that the two sides exchange. */

import { type Count, NOTHING } from './account.js';
import { IperfError } from './failure.js';
import { IperfErrorCode, type Members } from './messages.js';
import type { CpuShare } from './report.js';

/** What one side counted of a stream. */
export interface StreamResult {
  readonly id: number;
  /** Bytes and datagrams since counting began, but with the datagrams from before. */
  readonly count: Count;
  /** Datagrams that were sent and lost before counting began; `undefined` from peers that do not say. */
  readonly omitted: Pick<Count, 'packets' | 'lost'> | undefined;
  /** In milliseconds. */
  readonly jitter: number;
  /** Segments that TCP sent again; `undefined` for those who do not send. */
  readonly retransmits: number | undefined;
  readonly seconds: number;
}

/** What one side counted. */
export interface IperfResults {
  readonly cpu: CpuShare;
  readonly congestion: string | undefined;
  readonly streams: readonly StreamResult[];
  readonly serverOutput: string | object | undefined;
}

/** For what is not known, in the program's way. */
const UNKNOWN = -1;
/** What becomes of that where it is printed without its sign. */
const UNSIGNED = 2 ** 63;

/** Results as they are sent. */
export function emitResults({ cpu, congestion, streams, serverOutput }: IperfResults): object {
  const retransmits = streams.some((stream) => stream.retransmits !== undefined);
  return {
    cpu_util_total: cpu.total,
    cpu_util_user: cpu.user,
    cpu_util_system: cpu.system,
    sender_has_retransmits: retransmits ? 1 : congestion === undefined ? 0 : UNKNOWN,
    ...(congestion !== undefined && { congestion_used: congestion }),
    streams: streams.map(emitStream),
    ...(typeof serverOutput === 'string' && { server_output_text: serverOutput }),
    ...(typeof serverOutput === 'object' && { server_output_json: serverOutput }),
  };
}

function emitStream({ id, count, omitted, jitter, retransmits, seconds }: StreamResult): object {
  return {
    id,
    bytes: count.bytes,
    retransmits: retransmits ?? UNKNOWN,
    jitter: jitter / 1000,
    errors: count.lost,
    ...(omitted && { omitted_errors: omitted.lost }),
    packets: count.packets,
    ...(omitted && { omitted_packets: omitted.packets }),
    start_time: 0,
    end_time: seconds,
  };
}

/**
 * Reads what the other side sent; streams that we do not know are left out by whoever looks for ours.
 *
 * @throws IperfError `EPROTO`
 */
export function parseResults(members: Members): IperfResults {
  const { streams, congestion_used: congestion } = members;
  if (!Array.isArray(streams)) throw unreadable('there are no streams in them');
  const output = members['server_output_text'] ?? members['server_output_json'];
  return {
    cpu: { total: amount(members, 'total'), user: amount(members, 'user'), system: amount(members, 'system') },
    congestion: typeof congestion === 'string' ? congestion.slice(0, 64) : undefined,
    streams: streams.map(parseStream),
    serverOutput: typeof output === 'string' || (typeof output === 'object' && output !== null) ? output : undefined,
  };
}

function parseStream(value: unknown): StreamResult {
  if (typeof value !== 'object' || value === null) throw unreadable('a stream is no object');
  const members = value as Members;
  const retransmits = numberOf(members, 'retransmits', UNKNOWN);
  const hasOmitted = members['omitted_packets'] !== undefined && members['omitted_errors'] !== undefined;
  return {
    id: numberOf(members, 'id'),
    count: {
      ...NOTHING,
      bytes: numberOf(members, 'bytes'),
      packets: numberOf(members, 'packets', 0),
      lost: numberOf(members, 'errors', 0),
    },
    omitted: hasOmitted
      ? { packets: numberOf(members, 'omitted_packets'), lost: numberOf(members, 'omitted_errors') }
      : undefined,
    jitter: numberOf(members, 'jitter', 0) * 1000,
    retransmits: retransmits < 0 || retransmits >= UNSIGNED ? undefined : retransmits,
    seconds: numberOf(members, 'end_time', 0) - numberOf(members, 'start_time', 0),
  };
}

function amount(members: Members, name: string): number {
  return numberOf(members, `cpu_util_${name}`, 0);
}

function numberOf(members: Members, name: string, absent?: number): number {
  const value = members[name] ?? absent;
  if (typeof value === 'number') return value;
  throw unreadable(`${name} is no number`);
}

function unreadable(why: string): IperfError {
  return new IperfError('EPROTO', `the peer's results cannot be read: ${why}`, IperfErrorCode.ReceiveResults);
}
