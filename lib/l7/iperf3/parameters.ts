/** The parameters of a test, as the client sends them and the server believes them: within limits. */

import type { IpVersion } from '../../core/address.js';
import { IperfError } from './failure.js';
import { IperfErrorCode, type Members } from './messages.js';
import { headerSize, MAX_DATAGRAM } from './datagram.js';

/** What a test measures, and how. Sizes in bytes, times in seconds, rates in bits a second. */
export interface IperfParameters {
  readonly protocol: 'tcp' | 'udp';
  /** How long it takes; 0 where `bytes` or `blocks` ends it, or nothing does. */
  readonly time: number;
  /** How long it runs before anything counts. */
  readonly omit: number;
  /** Ends the test, over all streams; 0: does not. */
  readonly bytes: number;
  readonly blocks: number;
  /** Streams in each direction. */
  readonly parallel: number;
  /** The server sends. */
  readonly reverse: boolean;
  /** Both send. */
  readonly bidirectional: boolean;
  /** Bytes of one write, or datagram. */
  readonly length: number;
  /** Of each stream; 0: any. */
  readonly bitrate: number;
  /** Blocks that are sent at once where there is a rate. */
  readonly burst: number;
  /** Rate that TCP paces each stream with; 0: any. */
  readonly pacingRate: number;
  /** Bytes of socket buffers, both; 0: as the stack likes. */
  readonly window: number;
  /** Largest segment; 0: as the stack likes. */
  readonly segmentSize: number;
  readonly noDelay: boolean;
  readonly trafficClass: number;
  /** Datagrams are counted with 64 bits and not 32. */
  readonly counters64: boolean;
  readonly dontFragment: boolean;
  /** The client wants to see what the server prints. */
  readonly serverOutput: boolean;
  readonly title: string | undefined;
  readonly extraData: string | undefined;
}

/** What is asked for where nothing is said. */
export const DEFAULT_PARAMETERS: IperfParameters = {
  protocol: 'tcp',
  time: 10,
  omit: 0,
  bytes: 0,
  blocks: 0,
  parallel: 1,
  reverse: false,
  bidirectional: false,
  length: 128 * 1024,
  bitrate: 0,
  burst: 0,
  pacingRate: 0,
  window: 0,
  segmentSize: 0,
  noDelay: false,
  trafficClass: 0,
  counters64: false,
  dontFragment: false,
  serverOutput: false,
  title: undefined,
  extraData: undefined,
};

/** Rate of a stream of datagrams where none is given, in bits a second. */
export const DEFAULT_UDP_BITRATE: number = 1024 * 1024;

/** The largest values that a test may have; what is measured must not be a way to harm. A server ends a test of no time after the longest one, too. */
export const LIMITS: Readonly<
  Record<'time' | 'omit' | 'parallel' | 'length' | 'window' | 'segmentSize' | 'burst' | 'text', number>
> = {
  time: 86_400,
  omit: 600,
  parallel: 128,
  length: 1024 * 1024,
  window: 512 * 1024 * 1024,
  segmentSize: 9 * 1024,
  burst: 1000,
  text: 1024,
};

/** Smallest segment that may be asked for (RFC 9293 3.7.1 has 536 for what must work; the program allows 88). */
const MIN_SEGMENT = 88;

/**
 * Reads what a client sends.
 *
 * @throws IperfError `EPROTO`, with what to tell the client
 */
export function parseParameters(members: Members): IperfParameters {
  const protocol = protocolOf(members);
  const counters64 = isOn(members, 'udp_counters_64bit');
  const { ReceiveParameters } = IperfErrorCode;
  const parameters: IperfParameters = {
    protocol,
    counters64,
    time: number(members, 'time', LIMITS.time, IperfErrorCode.Duration),
    omit: number(members, 'omit', LIMITS.omit, IperfErrorCode.Omit),
    bytes: number(members, 'num', Number.MAX_SAFE_INTEGER, ReceiveParameters),
    blocks: number(members, 'blockcount', Number.MAX_SAFE_INTEGER, ReceiveParameters),
    parallel: number(members, 'parallel', LIMITS.parallel, IperfErrorCode.Streams, 1),
    length: number(members, 'len', maxLength(protocol), IperfErrorCode.BlockSize, DEFAULT_PARAMETERS.length),
    bitrate: number(members, 'bandwidth', Number.MAX_SAFE_INTEGER, ReceiveParameters),
    burst: number(members, 'burst', LIMITS.burst, IperfErrorCode.Burst),
    pacingRate: number(members, 'fqrate', Number.MAX_SAFE_INTEGER, ReceiveParameters),
    window: number(members, 'window', LIMITS.window, IperfErrorCode.BufferSize),
    segmentSize: number(members, 'MSS', LIMITS.segmentSize, IperfErrorCode.SegmentSize),
    trafficClass: number(members, 'TOS', 0xff, IperfErrorCode.TypeOfService),
    reverse: isOn(members, 'reverse'),
    bidirectional: isOn(members, 'bidirectional'),
    noDelay: isOn(members, 'nodelay'),
    dontFragment: isOn(members, 'dont_fragment'),
    serverOutput: isOn(members, 'get_server_output'),
    title: text(members, 'title'),
    extraData: text(members, 'extra_data'),
  };
  checkParameters(parameters);
  return parameters;
}

/**
 * Holds that the parameters make a test.
 *
 * @throws IperfError `EPROTO`
 */
export function checkParameters(parameters: IperfParameters): void {
  const { protocol, length, segmentSize, parallel, reverse, bidirectional, counters64 } = parameters;
  const least = protocol === 'udp' ? headerSize(counters64) : 1;
  if (length < least || length > maxLength(protocol))
    throw refusal(IperfErrorCode.BlockSize, `a block of ${length} bytes`);
  if (segmentSize !== 0 && (segmentSize < MIN_SEGMENT || segmentSize > LIMITS.segmentSize))
    throw refusal(IperfErrorCode.SegmentSize, `segments of ${segmentSize} bytes`);
  if (parallel < 1 || parallel > LIMITS.parallel) throw refusal(IperfErrorCode.Streams, `${parallel} streams`);
  if (reverse && bidirectional)
    throw refusal(IperfErrorCode.ReceiveParameters, 'reverse and bidirectional at the same time');
}

/** What a client sends, in the program's words. */
export function emitParameters(parameters: IperfParameters, version: string): object {
  const { protocol, title, extraData, bitrate, burst, pacingRate, window, segmentSize, trafficClass } = parameters;
  return {
    [protocol]: true,
    omit: parameters.omit,
    time: parameters.time,
    num: parameters.bytes,
    blockcount: parameters.blocks,
    ...(segmentSize > 0 && { MSS: segmentSize }),
    ...(parameters.noDelay && { nodelay: true }),
    parallel: parameters.parallel,
    ...(parameters.reverse && { reverse: true }),
    ...(parameters.bidirectional && { bidirectional: true }),
    ...(window > 0 && { window }),
    len: parameters.length,
    ...(bitrate > 0 && { bandwidth: bitrate }),
    ...(pacingRate > 0 && { fqrate: pacingRate }),
    pacing_timer: 1000,
    ...(burst > 0 && { burst }),
    ...(trafficClass > 0 && { TOS: trafficClass }),
    ...(title !== undefined && { title }),
    ...(extraData !== undefined && { extra_data: extraData }),
    ...(parameters.serverOutput && { get_server_output: 1 }),
    ...(parameters.counters64 && { udp_counters_64bit: 1 }),
    ...(parameters.dontFragment && { dont_fragment: 1 }),
    client_version: version,
  };
}

/**
 * The size of datagrams where none is given: what a segment of the control connection holds goes in one piece.
 *
 * @param segmentSize bytes of data that a segment of the control connection carries
 */
export function datagramLength(version: IpVersion, segmentSize: number): number {
  return Math.max(headerSize(true), Math.min(segmentSize, MAX_DATAGRAM[version]));
}

function maxLength(protocol: 'tcp' | 'udp'): number {
  return protocol === 'udp' ? MAX_DATAGRAM[4] : LIMITS.length;
}

function protocolOf(members: Members): 'tcp' | 'udp' {
  if (isOn(members, 'sctp')) throw refusal(IperfErrorCode.Sctp, 'SCTP');
  return isOn(members, 'udp') ? 'udp' : 'tcp';
}

/** Switches are `true` in some versions of the program and 1 in others. */
function isOn(members: Members, name: string): boolean {
  const value = members[name];
  return value === true || (typeof value === 'number' && value !== 0);
}

function number(members: Members, name: string, most: number, code: IperfErrorCode, absent = 0): number {
  const value = members[name] ?? absent;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= most) return value;
  throw refusal(code, `${name} ${JSON.stringify(value).slice(0, 40)}`);
}

function text(members: Members, name: string): string | undefined {
  const value = members[name];
  return typeof value === 'string' ? value.slice(0, LIMITS.text) : undefined;
}

function refusal(code: IperfErrorCode, what: string): IperfError {
  return new IperfError('EPROTO', `the client asks for what cannot be: ${what}`, code);
}
