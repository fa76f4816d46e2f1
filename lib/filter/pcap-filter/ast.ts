/** What a filter says: its syntax tree. Qualifiers that were inherited stand in each node, and names are numbers. */

import type { ProtocolLayer } from './names.js';

/** Which of source and destination a primitive is about; `either` where nothing was said. */
export type Direction = 'src' | 'dst' | 'either' | 'both';

/** An IPv4 address or network, in the packets of a protocol or in all that have such addresses. */
export interface Ipv4Node {
  readonly kind: 'ipv4';
  readonly protocol: 'ip' | 'arp' | 'rarp' | undefined;
  readonly direction: Direction;
  /** Unsigned; bits that are not in the mask are 0. */
  readonly address: number;
  readonly mask: number;
}

export interface Ipv6Node {
  readonly kind: 'ipv6';
  readonly direction: Direction;
  /** Four unsigned words, most significant first; bits behind `bits` are 0. */
  readonly words: readonly [number, number, number, number];
  readonly bits: number;
}

export interface MacNode {
  readonly kind: 'mac';
  readonly direction: Direction;
  readonly address: number;
}

/** Ports `low` to `high`, both included, of one transport or of TCP, UDP and SCTP. */
export interface PortNode {
  readonly kind: 'port';
  readonly protocol: 'tcp' | 'udp' | 'sctp' | undefined;
  readonly direction: Direction;
  readonly low: number;
  readonly high: number;
}

export interface ProtocolNode {
  readonly kind: 'protocol';
  readonly layer: ProtocolLayer;
  readonly number: number;
}

/** Frames or packets to everybody, or to a group. */
export interface CastNode {
  readonly kind: 'broadcast' | 'multicast';
  readonly layer: 'ether' | 'ip' | 'ip6';
}

/** A tagged frame; with it, what stands behind it in the text is about what is behind the tag. */
export interface VlanNode {
  readonly kind: 'vlan';
  readonly id: number | undefined;
}

export type Relation = '=' | '!=' | '<' | '<=' | '>' | '>=';

export interface CompareNode {
  readonly kind: 'compare';
  readonly relation: Relation;
  readonly left: Arithmetic;
  readonly right: Arithmetic;
}

export type BinaryOperator = '+' | '-' | '*' | '/' | '%' | '&' | '|' | '^' | '<<' | '>>';

/** A number made of unsigned 32-bit numbers. */
export type Arithmetic =
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'length' }
  | {
      readonly kind: 'load';
      /** A keyword of `PROTOCOL_KEYWORDS`, or `ether`. */
      readonly protocol: string;
      readonly offset: Arithmetic;
      readonly size: 1 | 2 | 4;
    }
  | {
      readonly kind: 'binary';
      readonly operator: BinaryOperator;
      readonly left: Arithmetic;
      readonly right: Arithmetic;
    }
  | { readonly kind: 'negate'; readonly operand: Arithmetic };

/** One condition. */
export type Primitive = Ipv4Node | Ipv6Node | MacNode | PortNode | ProtocolNode | CastNode | VlanNode | CompareNode;

/** A whole filter. An empty one, of all packets, is an `and` of nothing. */
export type FilterNode =
  | Primitive
  | { readonly kind: 'and' | 'or'; readonly operands: readonly FilterNode[] }
  | { readonly kind: 'not'; readonly operand: FilterNode };

/** `left` and `right` under one operator; lists of the same operator become one. */
export function combined(kind: 'and' | 'or', left: FilterNode, right: FilterNode): FilterNode {
  const operands = [left, right].flatMap((node) => (node.kind === kind ? node.operands : [node]));
  return { kind, operands };
}
