/** Writes filters as text: one way for each, with every qualifier said. Reading it back gives the same tree. */

import { Ipv4Address, Ipv6Address, MacAddress } from '../../core/address.js';
import type { Arithmetic, Direction, FilterNode, Ipv4Node, PortNode, Primitive, ProtocolNode } from './ast.js';
import { PROTOCOL_KEYWORDS } from './names.js';
import { maskOf } from './numbers.js';

const DIRECTIONS: Readonly<Record<Direction, string>> = {
  src: 'src ',
  dst: 'dst ',
  either: '',
  both: 'src and dst ',
};

/** The canonical text of a filter; of the one of all packets, nothing. */
export function printPcapFilter(node: FilterNode): string {
  switch (node.kind) {
    case 'and':
    case 'or':
      return node.operands.map(operandText).join(` ${node.kind} `);
    case 'not':
      return `not ${operandText(node.operand)}`;
    default:
      return primitiveText(node);
  }
}

function operandText(node: FilterNode): string {
  return node.kind === 'and' || node.kind === 'or' ? `(${printPcapFilter(node)})` : printPcapFilter(node);
}

function primitiveText(node: Primitive): string {
  switch (node.kind) {
    case 'ipv4':
      return ipv4Text(node);
    case 'ipv6': {
      const { direction, words, bits } = node;
      const address = new Ipv6Address(...words).toString();
      return DIRECTIONS[direction] + (bits === 128 ? `host ${address}` : `net ${address}/${bits}`);
    }
    case 'mac':
      return `ether ${DIRECTIONS[node.direction]}host ${new MacAddress(node.address).toString()}`;
    case 'port':
      return portText(node);
    case 'protocol':
      return protocolText(node);
    case 'broadcast':
    case 'multicast':
      return `${node.layer} ${node.kind}`;
    case 'vlan':
      return node.id === undefined ? 'vlan' : `vlan ${node.id}`;
    case 'compare':
      return `${arithmeticText(node.left)} ${node.relation} ${arithmeticText(node.right)}`;
  }
}

function prefixText(protocol: string | undefined, direction: Direction): string {
  return (protocol === undefined ? '' : `${protocol} `) + DIRECTIONS[direction];
}

function ipv4Text({ protocol, direction, address, mask }: Ipv4Node): string {
  const prefix = prefixText(protocol, direction);
  const text = new Ipv4Address(address).toString();
  const bits = Math.clz32(~mask);
  if (mask === 0xffff_ffff) return `${prefix}host ${text}`;
  if (mask === maskOf(bits)) return `${prefix}net ${text}/${bits}`;
  return `${prefix}net ${text} mask ${new Ipv4Address(mask).toString()}`;
}

function portText({ protocol, direction, low, high }: PortNode): string {
  const prefix = prefixText(protocol, direction);
  return low === high ? `${prefix}port ${low}` : `${prefix}portrange ${low}-${high}`;
}

function protocolText({ layer, number }: ProtocolNode): string {
  for (const [name, keyword] of PROTOCOL_KEYWORDS) {
    if (keyword.layer === layer && keyword.number === number) return name;
  }
  if (layer === 'ether') return `ether proto 0x${number.toString(16)}`;
  return layer === 'any' ? `proto ${number}` : `${layer} proto ${number}`;
}

function arithmeticText(node: Arithmetic): string {
  switch (node.kind) {
    case 'number':
      return String(node.value);
    case 'length':
      return 'len';
    case 'load':
      return `${node.protocol}[${arithmeticText(node.offset)}${node.size === 1 ? '' : `:${node.size}`}]`;
    case 'binary':
      return `(${arithmeticText(node.left)} ${node.operator} ${arithmeticText(node.right)})`;
    case 'negate':
      return `-${arithmeticText(node.operand)}`;
  }
}
