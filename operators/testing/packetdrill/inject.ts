/** Packets of a script that come in, with live numbers. */

import type { IpVersion } from '../../../lib/core/address.js';
import { TcpFlag } from '../../../lib/wire/tcp.js';
import type { EnvelopeSpec, TcpSpec } from '../../../lib/text/packet-spec.js';
import type { Flow } from './flow.js';
import { icmpNumbers } from './icmp-numbers.js';
import type { Outcome } from './result.js';
import type { IcmpLine, IpInfo, SegmentLine } from './script.js';
import type { World } from './world.js';

/** The largest payload that one packet carries; more comes as several, as from a device that gathers segments. */
const MOST = 65_000;

/** A segment comes in. */
export function receiveSegment(world: World, flow: Flow, line: SegmentLine): void {
  const { length, flags, sequence = 0 } = line;
  flow.receive(line);
  let offset = 0;
  do {
    const size = Math.min(MOST, length - offset);
    const last = offset + size === length;
    world.inject({
      ...tcpSpec(flow, line),
      ...envelope(line.ip, world.ends.version),
      flags: last ? flags : flags & ~(TcpFlag.Fin | TcpFlag.Psh),
      sequence: (sequence + offset) >>> 0,
      payload: { length: size, bytes: undefined },
    });
    offset += size;
  } while (offset < length);
}

function tcpSpec(flow: Flow, line: SegmentLine): TcpSpec {
  const { ack, absoluteAck, window = 0, urgent, options, absoluteEcho } = line;
  return {
    kind: 'tcp',
    sourcePort: flow.remotePort,
    destinationPort: flow.localPort,
    flags: line.flags,
    absoluteSequence: true,
    absoluteAck: true,
    payload: { length: 0, bytes: undefined },
    window,
    options: options === 'any' ? [] : flow.liveOptions(options, absoluteEcho),
    ...(ack === undefined ? {} : { ack: absoluteAck ? ack : flow.liveSequence(ack) }),
    ...(urgent === undefined ? {} : { urgent }),
  };
}

function envelope(ip: IpInfo, version: IpVersion): EnvelopeSpec {
  return {
    ...(ip.ecn === undefined ? {} : { ecn: ip.ecn }),
    ...(ip.tos === undefined ? {} : { tos: ip.tos }),
    ...(ip.ttl === undefined ? {} : { ttl: ip.ttl }),
    ...(ip.flowLabel === undefined || version === 4 ? {} : { flowLabel: ip.flowLabel }),
  };
}

/** An ICMP error comes in, about a segment of ours. */
export function receiveIcmp(world: World, flow: Flow | undefined, message: IcmpLine): Outcome {
  const { version } = world.ends;
  const numbers = icmpNumbers(message, version);
  if ('unknown' in numbers) return { kind: 'unsupported', reason: `${numbers.unknown} in IPv${version}` };
  if (message.datagram) return { kind: 'skipped', reason: 'a datagram' };
  const { quote, mtu, id } = message;
  if (quote !== undefined && flow === undefined) return { kind: 'unsupported', reason: 'an error about no connection' };
  const quoted: TcpSpec | undefined = quote && {
    kind: 'tcp',
    sourcePort: flow?.localPort ?? 0,
    destinationPort: flow?.remotePort ?? 0,
    flags: TcpFlag.Ack,
    sequence: quote.absolute ? quote.sequence : (flow?.liveSequence(quote.sequence) ?? 0),
    absoluteSequence: true,
    payload: { length: Math.min(quote.length, MOST), bytes: undefined },
  };
  world.inject({
    kind: version === 6 ? 'icmpv6' : 'icmp',
    ...envelope(message.ip, version),
    ...numbers,
    ...(mtu === undefined ? {} : { mtu }),
    ...(id === undefined ? {} : { id }),
    ...(quoted === undefined ? {} : { quote: quoted }),
  });
  return { kind: 'ok' };
}
