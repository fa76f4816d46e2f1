/** An ergot frame as plain data for machines and people: who says what to whom, and what is wrong with it. */

import { DropReason, dropReasonName } from '../core/drops.js';
import type { Frame } from '../core/frame.js';
import { FrameHeader, FrameKind } from './frame.js';
import { ProtocolErrorBody, protocolErrorName } from './frame-error.js';
import { Key } from './key.js';
import { netAddressText } from './net-address.js';
import { LINK_SCOPE, PhoneCast, PhoneHeader } from './phone/header.js';
import { PhoneTarget } from './phone/target.js';
import { decode, type Schema } from './schema.js';
import { type AnyDescriptor, WELL_KNOWN_SOCKETS } from './services/well-known.js';
import { valueText } from './value-text.js';

/** Which addresses the frames of a link have. Nothing in a frame says so. */
export type ErgotFormat = 'net' | 'phone';

/** How a frame is to be read. */
export interface ErgotTextOptions {
  /** Default `net`: that of ergot 0.12. */
  readonly format?: ErgotFormat;
  /** Endpoints and topics whose keys are recognised, beside those that are well known. */
  readonly known?: readonly AnyDescriptor[];
  /** Bytes that the frame had, where a capture kept fewer. */
  readonly wireLength?: number;
}

/** What {@link describeErgot} tells; keys are absent where they do not apply. */
export interface ErgotDescription {
  readonly source?: string;
  readonly destination?: string;
  /** `request`, `response`, `topic`, `error`, or the number of any other kind. */
  readonly kind?: string;
  readonly sequence?: number;
  readonly ttl?: number;
  /** Of frames to any or all sockets: the key, 16 hexadecimal digits. */
  readonly key?: string;
  /** Whose key it is. */
  readonly path?: string;
  /** The hash of the name, 8 hexadecimal digits. */
  readonly name?: string;
  /** Of protocol errors: which. */
  readonly error?: string;
  /** Of `IsePacketTooBig`. */
  readonly mtu?: number;
  /** What the body says, where the key tells its type. */
  readonly value?: string;
  /** Bytes of the body; of the frame where its header cannot be read. */
  readonly length: number;
  /** Name of the drop reason for a frame that cannot be what it should be. */
  readonly malformed?: string;
  /** Of bodies that are not of their type: what is wrong, and at which byte. */
  readonly because?: string;
}

/** Signs of `PhoneTarget`, by `PhoneCast`. */
const PHONE_SIGNS = ['', '?', '*', '+'] as const;

const KINDS: Readonly<Record<number, string>> = {
  [FrameKind.Request]: 'request',
  [FrameKind.Response]: 'response',
  [FrameKind.Topic]: 'topic',
  [FrameKind.Error]: 'error',
};

/** What both kinds of headers say. */
type AnyHeader = FrameHeader | PhoneHeader;

/** Describes a frame that begins at its header. Never throws, whatever the bytes, and changes nothing. */
export function describeErgot(frame: Frame, options: ErgotTextOptions = {}): ErgotDescription {
  const { format = 'net', wireLength = 0 } = options;
  const missing = Math.max(0, wireLength - frame.length);
  const header = format === 'phone' ? new PhoneHeader() : new FrameHeader();
  const wrong = header.read(frame);
  if (wrong !== undefined) {
    const length = frame.length + missing;
    const isCut = missing > 0 && wrong === DropReason.ErgotTruncated;
    return isCut ? { length } : { length, malformed: dropReasonName(wrong) };
  }
  const { kind, sequence, ttl } = header;
  return {
    ...endsOf(header),
    kind: KINDS[kind] ?? String(kind),
    sequence,
    ttl,
    ...(header.keyed ? keyOf(header) : {}),
    ...(missing > 0 ? {} : bodyOf(frame, header, options.known ?? [])),
    length: frame.end - header.body + missing,
  };
}

function endsOf(header: AnyHeader): { readonly source: string; readonly destination: string } {
  if (header instanceof FrameHeader) {
    return { source: netAddressText(header.source), destination: netAddressText(header.destination) };
  }
  const { source, sourceBits, destination, bits, cast } = header;
  return { source: phoneText(source, sourceBits, PhoneCast.One), destination: phoneText(destination, bits, cast) };
}

/** A number at the other end of the link stands for itself; others are addresses of their scope. */
function phoneText(value: number, bits: number, cast: PhoneCast): string {
  if (bits !== LINK_SCOPE) return new PhoneTarget(value, bits, cast).toString();
  return `${value.toString(16).toUpperCase()}@link${PHONE_SIGNS[cast]}`;
}

function keyOf(header: AnyHeader): { readonly key: string; readonly name?: string } {
  const key = new Key(header.keyLow, header.keyHigh).toString();
  return { key, ...(header.name === 0 ? {} : { name: (header.name >>> 0).toString(16).padStart(8, '0') }) };
}

type Body = Pick<ErgotDescription, 'path' | 'error' | 'mtu' | 'value' | 'malformed' | 'because'>;

/** What the body says, as far as the header tells what it is. */
function bodyOf(frame: Frame, header: AnyHeader, known: readonly AnyDescriptor[]): Body {
  if (header.kind === FrameKind.Error) return errorOf(frame, header.body);
  const descriptor = header.keyed ? descriptorOf(header, known) : undefined;
  if (descriptor === undefined) return {};
  const { path } = descriptor;
  const schema: Schema<unknown> = 'message' in descriptor ? descriptor.message : descriptor.request;
  const decoded = decode(schema, frame.slab.bytes, header.body, frame.end);
  if (decoded.ok) return decoded.value === undefined ? { path } : { path, value: valueText(decoded.value) };
  const { code, offset } = decoded.error;
  return { path, malformed: dropReasonName(DropReason.ErgotBadMessage), because: `${code} at byte ${offset}` };
}

function errorOf(frame: Frame, body: number): Body {
  const record = new ProtocolErrorBody();
  const wrong = record.read(frame, body);
  if (wrong !== undefined) return { malformed: dropReasonName(wrong) };
  return { error: protocolErrorName(record.error), ...(record.mtu > 0 ? { mtu: record.mtu } : {}) };
}

function descriptorOf(header: AnyHeader, known: readonly AnyDescriptor[]): AnyDescriptor | undefined {
  const key = new Key(header.keyLow, header.keyHigh);
  return [...WELL_KNOWN_SOCKETS, ...known].find((one) =>
    'message' in one
      ? header.kind === FrameKind.Topic && one.key.equals(key)
      : header.kind === FrameKind.Request && one.requestKey.equals(key),
  );
}
