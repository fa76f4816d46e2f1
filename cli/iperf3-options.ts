/** The options of `rx-netstack iperf3`: those of the program of that name, as far as they mean something here. */

import { DEFAULT_PARAMETERS, DEFAULT_UDP_BITRATE, type IperfParameters, LIMITS } from '../lib/l7/iperf3/parameters.js';
import { IPERF_PORT } from '../lib/l7/iperf3/messages.js';
import { headerSize, MAX_DATAGRAM } from '../lib/l7/iperf3/datagram.js';
import { ArgumentError, type Flag, flag, seconds, text, type Value, type Values, whole, words } from './args.js';
import { VERSION_OPTIONS } from './destination.js';
import { HOST_OPTIONS, type HostOptionTable } from './host-options.js';

/** A rate, and how many blocks leave at once. */
export interface Bitrate {
  readonly rate: number;
  readonly burst: number;
}

const UNITS = ['', 'k', 'm', 'g', 't'] as const;
const DEFAULT_TIME = 10;

/** The units that rates may be printed in. */
const FORMATS = ['k', 'm', 'g', 't', 'K', 'M', 'G', 'T'] as const;

type Format = (typeof FORMATS)[number];
type Flags = 'server' | 'one-off' | 'json' | 'udp' | 'reverse' | 'bidir' | 'no-delay' | 'udp-counters-64bit';
type MoreFlags = 'dont-fragment' | 'get-server-output' | 'ipv4' | 'ipv6';
type Numbers = 'port' | 'interval' | 'time' | 'bytes' | 'blockcount' | 'length' | 'parallel' | 'window' | 'set-mss';
type MoreNumbers = 'tos' | 'fq-rate' | 'omit';
type Texts = 'client' | 'title' | 'extra-data';

/** What the table has. */
export type IperfOptionTable = Readonly<
  Record<Flags | MoreFlags, Flag> & Record<Numbers | MoreNumbers, Value<number>> & Record<Texts, Value<string>>
> &
  HostOptionTable & { readonly format: Value<readonly Format[]>; readonly bitrate: Value<Bitrate> };

/** The table. */
export const IPERF_OPTIONS: IperfOptionTable = {
  server: flag('Be a server.', 's'),
  client: text('HOST', 'Be a client of that server.', 'c'),
  port: whole('N', `The port of the server; ${IPERF_PORT} otherwise.`, 1, 0xffff, 'p'),
  'one-off': flag('Server: end after one test.', '1'),
  interval: seconds('SECONDS', 'Time from report to report, 0 for none; 1 otherwise.', 0, 3600, 'i'),
  format: words('UNIT', `Print rates in ${FORMATS.slice(0, 4).join(', ')}: bits; capitals: bytes.`, FORMATS),
  json: flag('Print JSON.', 'J'),
  udp: flag('Send datagrams, and not streams of TCP.', 'u'),
  bitrate: bitrate('RATE[/BURST]', 'Bits a second of each stream, 0 for any, with K, M, G; 1M for UDP otherwise.'),
  time: whole(
    'SECONDS',
    `How long to send; ${DEFAULT_TIME} otherwise; 0: until told to end, which servers of ours do after a day.`,
    0,
    LIMITS.time,
    't',
  ),
  bytes: size('N', 'How much to send, with K, M, G, instead of how long.', Number.MAX_SAFE_INTEGER, 'n'),
  blockcount: size('N', 'How many blocks or datagrams to send, instead of how long.', Number.MAX_SAFE_INTEGER, 'k'),
  length: size('BYTES', 'Of a block, or datagram; 128K otherwise, or what a packet holds.', LIMITS.length, 'l'),
  parallel: whole('N', 'Streams at the same time.', 1, LIMITS.parallel, 'P'),
  reverse: flag('The server sends.', 'R'),
  bidir: flag('Both send.'),
  window: size('BYTES', 'Socket buffers on both sides.', LIMITS.window, 'w'),
  'set-mss': whole('BYTES', 'Largest segment.', 88, LIMITS.segmentSize, 'M'),
  'no-delay': flag("Without Nagle's algorithm.", 'N'),
  tos: whole('N', 'Type of service of the packets.', 0, 0xff, 'S'),
  'fq-rate': size('RATE', 'Bits a second that TCP paces each stream with.', Number.MAX_SAFE_INTEGER, undefined, 1000),
  omit: whole('SECONDS', 'Leave out what happens at first.', 0, LIMITS.omit, 'O'),
  'udp-counters-64bit': flag('Count datagrams with 64 bits.'),
  'dont-fragment': flag('Refuse datagrams that would have to be cut.'),
  'get-server-output': flag('Print what the server prints, too.'),
  title: text('TEXT', 'Begin each line with it.', 'T'),
  'extra-data': text('TEXT', 'Put it into the JSON of both sides.'),
  ...VERSION_OPTIONS,
  ...HOST_OPTIONS,
};

/** What the options say. */
export type IperfValues = Values<{ readonly [K in keyof IperfOptionTable]: IperfOptionTable[K] }>;

/** Options that only a client has. */
const CLIENT_ONLY = [
  'udp',
  'bitrate',
  'time',
  'bytes',
  'blockcount',
  'length',
  'parallel',
  'reverse',
  'bidir',
  'omit',
  'window',
  'set-mss',
  'no-delay',
  'tos',
  'fq-rate',
  'udp-counters-64bit',
  'dont-fragment',
  'get-server-output',
  'extra-data',
] as const;

/** Holds that it is a server or a client. @throws ArgumentError */
export function checkRole(values: IperfValues): void {
  if (values.server === (values.client !== undefined))
    throw new ArgumentError(values.server ? 'either --server or --client, not both' : 'say --server or --client HOST');
  if (values.ipv4 && values.ipv6) throw new ArgumentError('either -4 or -6, not both');
  const strange = values.server
    ? CLIENT_ONLY.find((name) => values[name] !== undefined && values[name] !== false)
    : undefined;
  if (strange !== undefined) throw new ArgumentError(`--${strange} is for the client to say`);
  if (!values.server && values['one-off']) throw new ArgumentError('--one-off is for the server');
}

/** The parameters of a test. @throws ArgumentError for options that do not go together */
export function parametersOf(values: IperfValues): IperfParameters {
  const { udp, bytes = 0, blockcount = 0, reverse, bidir, time } = values;
  const ends = [time, values.bytes, values.blockcount].filter((one) => one !== undefined && one > 0);
  if (ends.length > 1) throw new ArgumentError('one of --time, --bytes and --blockcount, not more');
  if (reverse && bidir) throw new ArgumentError('either --reverse or --bidir, not both');
  const { length } = values;
  if (length !== undefined) checkLength(length, values);
  const { bitrate: { rate, burst } = { rate: udp ? DEFAULT_UDP_BITRATE : 0, burst: 0 } } = values;
  return {
    ...DEFAULT_PARAMETERS,
    protocol: udp ? 'udp' : 'tcp',
    time: bytes + blockcount > 0 ? 0 : (time ?? DEFAULT_TIME),
    bytes,
    blocks: blockcount,
    omit: values.omit ?? 0,
    parallel: values.parallel ?? 1,
    reverse,
    bidirectional: bidir,
    length: values.length ?? (udp ? 0 : DEFAULT_PARAMETERS.length),
    bitrate: rate,
    burst,
    pacingRate: values['fq-rate'] ?? 0,
    window: values.window ?? 0,
    segmentSize: values['set-mss'] ?? 0,
    noDelay: values['no-delay'],
    trafficClass: values.tos ?? 0,
    counters64: values['udp-counters-64bit'],
    dontFragment: values['dont-fragment'],
    serverOutput: values['get-server-output'],
    title: values.title,
    extraData: values['extra-data'],
  };
}

function checkLength(length: number, values: IperfValues): void {
  const least = values.udp ? headerSize(values['udp-counters-64bit']) : 1;
  const most = values.udp ? MAX_DATAGRAM[4] : LIMITS.length;
  if (length < least || length > most)
    throw new ArgumentError(`--length must be from ${least} to ${most}, not ${length}`);
}

/** A number that may have a unit. */
function size(placeholder: string, help: string, most: number, short?: string, base = 1024): Value<number> {
  return { ...flag(help, short), placeholder, read: (written) => amount(written, base, most) };
}

function bitrate(placeholder: string, help: string): Value<Bitrate> {
  const read = (written: string) => {
    const [rate = '', burst = '0', more] = written.split('/');
    if (more !== undefined) throw new ArgumentError('must be a rate, or a rate and a number of blocks');
    const { MAX_SAFE_INTEGER } = Number;
    return { rate: amount(rate, 1000, MAX_SAFE_INTEGER), burst: amount(burst, 1, LIMITS.burst) };
  };
  return { ...flag(help, 'b'), placeholder, read };
}

function amount(written: string, base: number, most: number): number {
  const [, digits, unit = ''] = /^(\d{1,16}(?:\.\d{1,9})?)([kmgt]?)$/i.exec(written) ?? [];
  const power = UNITS.findIndex((one) => one === unit.toLowerCase());
  const value = Math.floor(Number(digits) * base ** power);
  if (value >= 0 && value <= most) return value;
  throw new ArgumentError(`must be a number up to ${most}, with K, M, G or T for more, not ${JSON.stringify(written)}`);
}
