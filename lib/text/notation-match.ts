/** Reduces what was found to what was expected, so that comparing two packets is comparing two lines. */

import { ArpOperation } from '../wire/arp.js';
import { opposite, type NotationContext } from './notation-context.js';
import { formatPacket } from './notation-format.js';
import type { Direction, EnvelopeSpec, IcmpSpec, PacketSpec, PayloadSpec, TcpSpec } from './packet-spec.js';
import type { TcpOptionItem } from './tcp-option-list.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** The canonical lines of both, without what `expected` leaves open. */
export function matchPacket(
  expected: PacketSpec,
  actual: PacketSpec,
  context: NotationContext,
): { readonly expected: string; readonly actual: string } {
  const direction = expected.direction ?? '>';
  const wanted = normalized(expected, context, direction);
  return { expected: formatPacket(wanted), actual: formatPacket(reduced(wanted, actual)) };
}

/** Leaves out what goes without saying, as the reader does, and says what the reader always says. */
function normalized(spec: PacketSpec, context: NotationContext, direction: Direction): PacketSpec {
  const ends = context.ends(direction);
  const out: Mutable<PacketSpec> = { ...spec };
  if (out.from === ends.source) delete out.from;
  if (out.to === context.destination(out, direction)) delete out.to;
  if (out.macFrom === ends.macFrom) delete out.macFrom;
  if (out.macTo === context.macTo(out, direction)) delete out.macTo;
  if (out.kind === 'arp') {
    const usualTarget = out.operation === ArpOperation.Request ? 0 : (spec.macTo ?? ends.macTo);
    if (out.operation !== ArpOperation.Reply && out.senderMac === (spec.macFrom ?? ends.macFrom)) delete out.senderMac;
    if (out.targetMac === usualTarget) delete out.targetMac;
  }
  if (out.kind === 'udp') {
    out.sourcePort ??= ends.sourcePort;
    out.destinationPort ??= ends.destinationPort;
  }
  if (out.kind === 'tcp' && out.sourcePort === ends.sourcePort && out.destinationPort === ends.destinationPort) {
    delete out.sourcePort;
    delete out.destinationPort;
  }
  if ((out.kind === 'icmp' || out.kind === 'icmpv6') && out.quote !== undefined) {
    out.quote = normalized(out.quote, context, opposite(direction)) as NonNullable<IcmpSpec['quote']>;
  }
  return out;
}

function reduced(expected: PacketSpec, actual: PacketSpec): PacketSpec {
  const out: PacketSpec = { ...actual, ...envelope(expected, actual) };
  if (expected.ttl === undefined) delete (out as Mutable<EnvelopeSpec>).ttl;
  if (expected.kind === 'tcp' && out.kind === 'tcp') return reducedTcp(expected, out);
  if (isIcmp(expected) && isIcmp(out)) return reducedIcmp(expected, out);
  if (expected.kind === 'arp' || out.kind === 'arp') return out;
  if (isIcmp(expected) || isIcmp(out)) return out;
  return { ...out, payload: reducedPayload(expected.payload, out.payload) };
}

/** Header values that are compared only where they were expected. */
function envelope(expected: PacketSpec, actual: PacketSpec): EnvelopeSpec {
  const out: Mutable<EnvelopeSpec> = {};
  for (const key of ['tos', 'ipId', 'dontFragment', 'flowLabel'] as const) {
    if (expected[key] === undefined) Object.assign(out, { [key]: undefined });
  }
  if (expected.flowLabel !== undefined) out.flowLabel = actual.flowLabel ?? 0;
  const bits = (actual.tos ?? 0) & 3;
  if (expected.ecn !== undefined && expected.tos !== undefined) out.tos = ((actual.tos ?? 0) & ~3) | (expected.tos & 3);
  if (expected.ecn === 'ect01' && (bits === 1 || bits === 2)) out.ecn = 'ect01';
  else if (expected.ecn !== undefined) out.ecn = (['noecn', 'ect1', 'ect0', 'ce'] as const)[bits] ?? 'noecn';
  return out;
}

function reducedPayload(expected: PayloadSpec, actual: PayloadSpec): PayloadSpec {
  return {
    length: expected.length === undefined ? undefined : actual.length,
    bytes: expected.bytes === 'any' ? 'any' : actual.bytes,
  };
}

function reducedTcp(expected: TcpSpec, actual: TcpSpec): TcpSpec {
  const out: Mutable<TcpSpec> = { ...actual, payload: reducedPayload(expected.payload, actual.payload) };
  if (expected.sequence === undefined) delete out.sequence;
  if (expected.ack === undefined) delete out.ack;
  if (expected.window === undefined) delete out.window;
  if (expected.urgent === undefined) delete out.urgent;
  else out.urgent ??= 0;
  if (expected.options === 'any') out.options = 'any';
  else if (expected.options !== undefined && typeof out.options === 'object') {
    const wanted = expected.options;
    out.options = out.options.map((item, index) => reducedOption(wanted[index], item));
  }
  return out;
}

function reducedOption(expected: TcpOptionItem | undefined, actual: TcpOptionItem): TcpOptionItem {
  if (expected?.kind === 'TS' && actual.kind === 'TS') {
    return {
      kind: 'TS',
      value: expected.value === undefined ? undefined : actual.value,
      echo: expected.echo === undefined ? undefined : actual.echo,
    };
  }
  if (expected?.kind === 'ECN' && actual.kind === 'ECN') {
    return { ...actual, fields: actual.fields.map((value, i) => (isOpen(expected.fields, i) ? undefined : value)) };
  }
  const open = (expected?.kind === 'mss' || expected?.kind === 'wscale') && expected.value === undefined;
  return open && expected.kind === actual.kind ? { kind: expected.kind, value: undefined } : actual;
}

function isOpen(fields: readonly (number | undefined)[], index: number): boolean {
  return index < fields.length && fields[index] === undefined;
}

const OPEN_IN_ICMP = [
  'id',
  'seq',
  'mtu',
  'pointer',
  'gateway',
  'target',
  'flags',
  'linkAddress',
  'rest',
  'quote',
  'payload',
] as const;

function isIcmp(spec: PacketSpec): spec is IcmpSpec {
  return spec.kind === 'icmp' || spec.kind === 'icmpv6';
}

function reducedIcmp(expected: IcmpSpec, actual: IcmpSpec): IcmpSpec {
  const out: Mutable<IcmpSpec> = { ...actual };
  for (const key of OPEN_IN_ICMP) {
    if (expected[key] === undefined) delete out[key];
  }
  if (expected.payload !== undefined && out.payload !== undefined) {
    out.payload = reducedPayload(expected.payload, out.payload);
  }
  if (expected.quote !== undefined && out.quote !== undefined) {
    out.quote = reducedQuote(expected.quote, out.quote);
  }
  return out;
}

/** Of a quoted packet no data are compared, since no router has to quote any. */
function reducedQuote(expected: NonNullable<IcmpSpec['quote']>, actual: NonNullable<IcmpSpec['quote']>): typeof actual {
  const out = reduced(expected, actual) as typeof actual;
  const wanted = expected.payload;
  if (wanted === undefined) return out;
  const length = wanted.length === undefined ? undefined : (actual.payload ?? wanted).length;
  return { ...out, payload: { length, bytes: wanted.bytes } };
}
