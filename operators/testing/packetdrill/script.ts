/** What a packetdrill script says: the syntax tree between its parser and its run. */

import type { TcpOptionItem } from '../../../lib/text/tcp-option-list.js';
import type { Expression } from './expression.js';
import type { CodeBlock } from './python.js';

/** Where something stands, counted from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** How packets of a run are addressed. */
export type IpMode = 'ipv4' | 'ipv6' | 'ipv4-mapped-ipv6';

/** When an event happens or is expected, in microseconds. */
export type EventTime =
  /** Outbound packets only. */
  | { readonly kind: 'any' }
  | {
      readonly kind: 'at';
      /** Relative to the end of the event before. */
      readonly relative: boolean;
      readonly from: number;
      /** The same as `from`, unless it is a range. */
      readonly to: number;
    };

/** What the IP header is to say. */
export interface IpInfo {
  readonly ecn?: 'noecn' | 'ect0' | 'ect1' | 'ce' | 'ect01';
  readonly tos?: number;
  readonly ttl?: number;
  readonly flowLabel?: number;
}

/** Explicit ports of a packet, as the script numbers them. */
export interface Ports {
  readonly source: number;
  readonly destination: number;
}

/** A TCP segment; absent is what the script leaves out. */
export interface SegmentLine {
  readonly ip: IpInfo;
  readonly ports: Ports | undefined;
  /** Nine control bits. */
  readonly flags: number;
  /** `undefined` for `...`. */
  readonly sequence: number | undefined;
  readonly absoluteSequence: boolean;
  readonly length: number;
  readonly ack: number | undefined;
  readonly absoluteAck: boolean;
  readonly window: number | undefined;
  readonly urgent: number | undefined;
  /** `any` for `<...>`. */
  readonly options: readonly TcpOptionItem[] | 'any';
  /** The echo of the timestamp option is live: `ecr N!`. */
  readonly absoluteEcho: boolean;
}

/** An ICMP error that comes in. */
export interface IcmpLine {
  readonly ip: IpInfo;
  readonly type: string | number;
  readonly code: string | number | undefined;
  readonly mtu: number | undefined;
  readonly id: number | undefined;
  /** The segment that it quotes. */
  readonly quote: { readonly sequence: number; readonly absolute: boolean; readonly length: number } | undefined;
  /** It quotes a datagram. */
  readonly datagram: boolean;
}

/** What a system call is to return. */
export interface CallResult {
  /** `undefined` for `...`. */
  readonly value: Expression | undefined;
  readonly errno: string | undefined;
}

/** A call of the application. */
export interface CallLine {
  readonly name: string;
  readonly args: readonly Expression[];
  readonly result: CallResult;
  /** A blocking call: when it is to return, in microseconds, relative to what its start is relative to. */
  readonly end: number | undefined;
}

/** What happens at an event's time. */
export type Action =
  | { readonly kind: 'inbound' | 'outbound'; readonly segment: SegmentLine }
  | { readonly kind: 'icmp'; readonly message: IcmpLine }
  | { readonly kind: 'call'; readonly call: CallLine }
  | { readonly kind: 'code'; readonly code: CodeBlock }
  | { readonly kind: 'command'; readonly command: string }
  /** Understood, and not run: datagrams. */
  | { readonly kind: 'skip'; readonly what: string };

/** One line of a script. */
export interface ScriptEvent {
  readonly place: Place;
  /** As it stands in the script, without its time, on one line. */
  readonly text: string;
  /** Where it begins and ends in the script, its time included. */
  readonly start: number;
  readonly end: number;
  readonly time: EventTime;
  readonly action: Action;
}

/** The options at the head of a script: the last of a name holds. */
export type ScriptOptions = ReadonlyMap<string, string>;

/** A script. */
export interface Script {
  readonly name: string;
  readonly options: ScriptOptions;
  readonly init: readonly string[];
  readonly events: readonly ScriptEvent[];
  readonly cleanup: string | undefined;
}
