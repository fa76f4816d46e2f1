/**
 * The same language, understood in the plainest way: the tree is walked for each packet. A byte that is not there ends it by an
 * exception. It shares nothing with the compiler but the tree.
 */

import type { Arithmetic, FilterNode, PcapLinkType } from '../../../../lib/filter/pcap-filter/index.js';
import type { AnyPacket } from './arbitrary.js';

class NotThere extends Error {}

const NUMBERS: Readonly<Record<string, number>> = {
  tcp: 6,
  udp: 17,
  sctp: 132,
  icmp: 1,
  igmp: 2,
  igrp: 9,
  pim: 103,
  vrrp: 112,
  carp: 112,
};
const TYPES: Readonly<Record<string, number>> = { ip: 0x800, ip6: 0x86dd, arp: 0x806, rarp: 0x8035, atalk: 0x809b };

/** Whether a packet matches. */
export function naive(node: FilterNode, packet: AnyPacket, linkType: PcapLinkType): boolean {
  // A tree in which no part stands twice: what is made at random may have the same object in several places, behind different tags.
  const tree = JSON.parse(JSON.stringify(node)) as FilterNode;
  const tags = new Map<FilterNode | Arithmetic, number>();
  countTags(tree, tags, { seen: 0 });
  try {
    return new Naive(packet, linkType, tags).matches(tree);
  } catch (error) {
    if (error instanceof NotThere) return false;
    throw error;
  }
}

/** How many `vlan` stand in the text in front of each primitive. */
function countTags(node: FilterNode, tags: Map<FilterNode | Arithmetic, number>, count: { seen: number }): void {
  tags.set(node, count.seen);
  if (node.kind === 'vlan') count.seen++;
  else if (node.kind === 'not') countTags(node.operand, tags, count);
  else if (node.kind === 'and' || node.kind === 'or')
    for (const operand of node.operands) countTags(operand, tags, count);
}

class Naive {
  private readonly packet: AnyPacket;
  private readonly isEthernet: boolean;
  private readonly tags: ReadonlyMap<FilterNode | Arithmetic, number>;
  /** Bytes of tags in front of what is looked at. */
  private shift = 0;

  constructor(packet: AnyPacket, linkType: PcapLinkType, tags: ReadonlyMap<FilterNode | Arithmetic, number>) {
    this.packet = packet;
    this.isEthernet = linkType === 'ethernet';
    this.tags = tags;
  }

  matches(node: FilterNode): boolean {
    this.shift = this.isEthernet ? 4 * (this.tags.get(node) ?? 0) : 0;
    switch (node.kind) {
      case 'and':
        return node.operands.every((operand) => this.matches(operand));
      case 'or':
        return node.operands.some((operand) => this.matches(operand));
      case 'not':
        return !this.matches(node.operand);
      case 'ipv4': {
        const among = (type: number, source: number, destination: number) =>
          this.carries(type) &&
          this.directed(
            node.direction,
            (isSource) =>
              node.mask === 0 || (this.net(isSource ? source : destination, 4) & node.mask) >>> 0 === node.address,
          );
        const { protocol } = node;
        return (
          ((protocol ?? 'ip') === 'ip' && among(0x800, 12, 16)) ||
          ((protocol ?? 'arp') === 'arp' && among(0x806, 14, 24)) ||
          ((protocol ?? 'rarp') === 'rarp' && among(0x8035, 14, 24))
        );
      }
      case 'ipv6':
        return (
          this.carries(0x86dd) &&
          this.directed(node.direction, (isSource) =>
            node.words.every((word, i) => {
              const bits = Math.min(32, Math.max(0, node.bits - 32 * i));
              const mask = bits === 0 ? 0 : (0xffff_ffff << (32 - bits)) >>> 0;
              return mask === 0 || (this.net((isSource ? 8 : 24) + 4 * i, 4) & mask) >>> 0 === word;
            }),
          )
        );
      case 'mac':
        return (
          this.isEthernet &&
          this.directed(node.direction, (isSource) => {
            const at = isSource ? 6 : 0;
            return (
              this.raw(at + 2, 4) === node.address % 2 ** 32 && this.raw(at, 2) === Math.floor(node.address / 2 ** 32)
            );
          })
        );
      case 'port': {
        const wanted = node.protocol === undefined ? [6, 17, 132] : [NUMBERS[node.protocol]];
        const fits = (port: number) => port >= node.low && port <= node.high;
        if (this.carries(0x86dd)) {
          return (
            wanted.includes(this.net(6, 1)) &&
            this.directed(node.direction, (isSource) => fits(this.net(40 + (isSource ? 0 : 2), 2)))
          );
        }
        if (!this.carries(0x800) || !wanted.includes(this.net(9, 1)) || (this.net(6, 2) & 0x1fff) !== 0) return false;
        return this.directed(node.direction, (isSource) => {
          const header = (this.net(0, 1) & 15) * 4;
          return fits(this.net(header + (isSource ? 0 : 2), 2));
        });
      }
      case 'protocol':
        return this.isProtocol(node.layer, node.number);
      case 'broadcast':
        if (node.layer === 'ether')
          return this.isEthernet && this.raw(2, 4) === 0xffff_ffff && this.raw(0, 2) === 0xffff;
        return this.carries(0x800) && [0, 0xffff_ffff].includes(this.net(16, 4));
      case 'multicast':
        if (node.layer === 'ether') return this.isEthernet && (this.raw(0, 1) & 1) === 1;
        return node.layer === 'ip'
          ? this.carries(0x800) && this.net(16, 1) >= 224
          : this.carries(0x86dd) && this.net(24, 1) === 255;
      case 'vlan':
        return (
          this.isEthernet &&
          [0x8100, 0x88a8, 0x9100].some((type) => this.carries(type)) &&
          (node.id === undefined || (this.net(0, 2) & 0xfff) === node.id)
        );
      case 'compare': {
        if (!this.guard(node.left) || !this.guard(node.right)) return false;
        const left = this.value(node.left);
        const right = this.value(node.right);
        switch (node.relation) {
          case '=':
            return left === right;
          case '!=':
            return left !== right;
          case '<':
            return left < right;
          case '<=':
            return left <= right;
          case '>':
            return left > right;
          case '>=':
            return left >= right;
        }
      }
    }
  }

  private directed(direction: 'src' | 'dst' | 'either' | 'both', test: (isSource: boolean) => boolean): boolean {
    if (direction === 'src') return test(true);
    if (direction === 'dst') return test(false);
    return direction === 'both' ? test(true) && test(false) : test(true) || test(false);
  }

  private raw(at: number, size: number): number {
    const { bytes } = this.packet;
    if (at < 0 || at + size > bytes.length) throw new NotThere();
    return bytes.slice(at, at + size).reduce((sum, byte) => sum * 256 + byte, 0);
  }

  private net(at: number, size: number): number {
    return this.raw((this.isEthernet ? 14 : 0) + this.shift + at, size);
  }

  private carries(type: number): boolean {
    if (!this.isEthernet) {
      if (type !== 0x800 && type !== 0x86dd) return false;
      return this.raw(0, 1) >>> 4 === (type === 0x800 ? 4 : 6);
    }
    const actual = this.raw(12 + this.shift, 2);
    const snap = (organisation: number, protocol: number) =>
      this.net(4, 4) === (organisation % 65_536) * 65_536 + protocol &&
      this.net(0, 4) === 0xaaaa0300 + Math.floor(organisation / 65_536);
    if (type === 0xe0) {
      if (actual === 0x8137) return true;
      return actual <= 1500 && (snap(0, 0x8137) || this.net(0, 1) === 0xe0 || this.net(0, 2) === 0xffff);
    }
    if (type === 0x80f3) return actual === type || (actual <= 1500 && snap(0, type));
    if (type === 0x809b) return actual === type || (actual <= 1500 && snap(0x080007, type));
    if (type > 1500) return actual === type;
    if (actual > 1500) return false;
    return [6, 0xf0, 0xfe].includes(type) ? this.net(0, 2) === type * 257 : this.net(0, 1) === type;
  }

  private isProtocol(layer: string, number: number): boolean {
    if (layer === 'ether') return this.carries(number);
    if (layer !== 'ip6' && this.carries(0x800)) return this.net(9, 1) === number;
    if (layer === 'ip' || !this.carries(0x86dd)) return false;
    return this.net(6, 1) === number || (this.net(6, 1) === 44 && this.net(40, 1) === number);
  }

  /** Whether the headers that a value is read from are there. */
  private guard(node: Arithmetic): boolean {
    switch (node.kind) {
      case 'number':
      case 'length':
        return true;
      case 'negate':
        return this.guard(node.operand);
      case 'binary':
        return this.guard(node.left) && this.guard(node.right);
      case 'load': {
        if (!this.guard(node.offset)) return false;
        if (node.protocol === 'ether') return this.isEthernet;
        const type = TYPES[node.protocol];
        if (type !== undefined) return this.carries(type);
        if (node.protocol === 'icmp6') return this.carries(0x86dd) && this.net(6, 1) === 58;
        return this.carries(0x800) && this.net(9, 1) === NUMBERS[node.protocol] && (this.net(6, 2) & 0x1fff) === 0;
      }
    }
  }

  private value(node: Arithmetic): number {
    switch (node.kind) {
      case 'number':
        return node.value;
      case 'length':
        return this.packet.length;
      case 'negate':
        return Number(BigInt.asUintN(32, -BigInt(this.value(node.operand))));
      case 'load': {
        const offset = this.value(node.offset);
        if (node.protocol === 'ether') return this.raw(offset, node.size);
        if (node.protocol in TYPES) return this.net(offset, node.size);
        return this.net(offset + (node.protocol === 'icmp6' ? 40 : (this.net(0, 1) & 15) * 4), node.size);
      }
      case 'binary':
        return this.operation(node.operator, BigInt(this.value(node.left)), BigInt(this.value(node.right)));
    }
  }

  private operation(operator: string, a: bigint, b: bigint): number {
    const results: Readonly<Record<string, () => bigint>> = {
      '+': () => a + b,
      '-': () => a - b,
      '*': () => a * b,
      '/': () => a / b,
      '%': () => a % b,
      '&': () => a & b,
      '|': () => a | b,
      '^': () => a ^ b,
      '<<': () => (b > 31n ? 0n : a << b),
      '>>': () => (b > 31n ? 0n : a >> b),
    };
    if ((operator === '/' || operator === '%') && b === 0n) throw new NotThere();
    return Number(BigInt.asUintN(32, results[operator]?.() ?? 0n));
  }
}
