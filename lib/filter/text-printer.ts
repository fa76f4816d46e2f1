/** Rules as text, such as the parser reads: what it makes of the text is the same again, except for predicates, of which only the name is kept. */

import { type Cidr, type IpVersion, MacAddress } from '../core/address.js';
import {
  type AddressMatch,
  type BitsMatch,
  type Chain,
  demandedProtocol,
  type InterfaceMatch,
  type LimitMatch,
  type MarkStatement,
  type Match,
  type NamedSet,
  type NatStatement,
  type NumberField,
  type NumberMatch,
  type Part,
  type Range,
  type RejectWith,
  type Rule,
  type RuleSet,
  type Statement,
} from './model.js';
import { DAYS, DSCPS, ICMP_TYPES, ICMPV6_TYPES, PROTOCOLS, TCP_FLAGS, VERSIONS, WITH_PORTS, wordOf } from './names.js';

/** A rule set as text: a table of the family `inet`. */
export function printRules(set: RuleSet): string {
  const blocks = [...set.sets.map(printSet), ...set.chains.map(printChain)];
  return `table inet filter {\n${blocks.join('\n')}}\n`;
}

function printSet(set: NamedSet): string {
  const lines = [`type ${set.type}`];
  if (set.type !== 'ifname') lines.push('flags interval');
  const elements = elementsOf(set);
  if (elements.length > 0) lines.push(`elements = { ${elements.join(', ')} }`);
  return block(`set ${set.name}`, lines);
}

function elementsOf(set: NamedSet): readonly string[] {
  switch (set.type) {
    case 'ipv4_addr':
    case 'ipv6_addr':
      return set.elements.map(printPrefix);
    case 'ifname':
      return set.elements.map(quoted);
    case 'inet_service':
      return set.elements.map((range) => printRange(range, String));
    case 'inet_proto':
      return set.elements.map((range) => printRange(range, protocolName));
    case 'mark':
      return set.elements.map((range) => printRange(range, hex));
    default:
      return set.elements.map((range) => printRange(range, macName));
  }
}

function printChain({ name, base, rules }: Chain): string {
  const lines: string[] = [];
  if (base !== undefined) {
    const policy = base.policy === undefined ? '' : ` policy ${base.policy};`;
    lines.push(`type filter hook ${base.hook} priority ${base.priority ?? 0};${policy}`);
  }
  return block(`chain ${name}`, [...lines, ...rules.map(printRule)]);
}

function block(head: string, lines: readonly string[]): string {
  return `\t${head} {\n${lines.map((line) => `\t\t${line}\n`).join('')}\t}\n`;
}

/** A rule as one line. */
export function printRule(rule: Rule): string {
  const { texts } = print(rule);
  const words = texts.filter((text) => text !== '');
  return [...words, ...(rule.comment === undefined ? [] : [`comment ${quoted(rule.comment)}`])].join(' ');
}

/** In which column of {@link printRule} each part stands, from 1. */
export function columnsOf(rule: Rule): readonly number[] {
  let column = 1;
  return print(rule).texts.map((text) => {
    const at = column;
    if (text !== '') column += text.length + 1;
    return at;
  });
}

/** The words of each part; none where the next one says it, too: `tcp dport 22` is two parts. */
function print({ parts }: Rule): { readonly texts: readonly string[] } {
  let protocol: number | undefined;
  const texts = parts.map((part, i) => {
    const isFirst = protocol === undefined;
    protocol ??= demandedProtocol(part);
    const name = protocol === undefined ? undefined : wordOf(PROTOCOLS, protocol);
    const withPorts = name !== undefined && WITH_PORTS.includes(name) ? name : undefined;
    const next = parts[i + 1];
    const isSaid = isFirst && part.kind === 'number' && withPorts !== undefined && next !== undefined && isPorts(next);
    return isSaid ? '' : printPart(part, withPorts);
  });
  return { texts };
}

function isPorts(part: Part): boolean {
  return part.kind === 'number' && (part.field === 'sport' || part.field === 'dport');
}

function printPart(part: Part, protocol: string | undefined): string {
  switch (part.kind) {
    case 'number':
      return printNumber(part, protocol);
    case 'bits':
      return printBits(part);
    case 'address':
      return printAddress(part);
    case 'interface':
      return printInterface(part);
    case 'state':
      return `ct state ${negation(part)}${part.states.join(',')}`;
    case 'direction':
      return `ct direction ${part.direction}`;
    case 'fragment':
      return `fragment ${negation(part)}${part.which}`;
    case 'limit':
      return printLimit(part);
    case 'predicate':
      return `when ${negation(part)}${quoted(part.name)}`;
    default:
      return printStatement(part);
  }
}

function negation(match: Exclude<Match, { readonly kind: 'direction' | 'limit' }>): string {
  return match.not === true ? '!= ' : '';
}

const FAMILIES: Readonly<Record<IpVersion, string>> = { 4: 'ip', 6: 'ip6' };

function keyOf({ field, family }: NumberMatch, protocol: string | undefined): string {
  const version = family === undefined ? '' : `${FAMILIES[family]} `;
  switch (field) {
    case 'version':
      return 'meta nfproto';
    case 'protocol':
      return family === undefined ? 'meta l4proto' : `${version}protocol`;
    case 'sport':
    case 'dport':
      return `${protocol ?? 'th'} ${field}`;
    case 'hoplimit':
      return family === 4 ? 'ip ttl' : `${version}hoplimit`;
    case 'dscp':
      return `${version}dscp`;
    case 'icmp-type':
      return `${family === 6 ? 'icmpv6' : 'icmp'} type`;
    case 'icmp-code':
      return `${family === 6 ? 'icmpv6' : 'icmp'} code`;
    case 'ether-source':
      return 'ether saddr';
    case 'ether-destination':
      return 'ether daddr';
    default:
      return `meta ${field}`;
  }
}

function printNumber(match: NumberMatch, protocol: string | undefined): string {
  const write = writerOf(match.field, match.family);
  return `${keyOf(match, protocol)} ${negation(match)}${listed(match.in, (range) => printRange(range, write))}`;
}

function writerOf(field: NumberField, family: IpVersion | undefined): (value: number) => string {
  switch (field) {
    case 'version':
      return (value) => wordOf(VERSIONS, value) ?? String(value);
    case 'protocol':
      return protocolName;
    case 'dscp':
      return (value) => wordOf(DSCPS, value) ?? String(value);
    case 'icmp-type':
      return (value) => wordOf(family === 6 ? ICMPV6_TYPES : ICMP_TYPES, value) ?? String(value);
    case 'mark':
      return hex;
    case 'hour':
      return timeName;
    case 'day':
      return (value) => quoted(wordOf(DAYS, value) ?? String(value));
    case 'ether-source':
    case 'ether-destination':
      return macName;
    default:
      return String;
  }
}

function protocolName(value: number): string {
  return wordOf(PROTOCOLS, value) ?? String(value);
}

function macName(value: number): string {
  return Number.isInteger(value) && value >= 0 && value < 2 ** 48 ? new MacAddress(value).toString() : String(value);
}

function timeName(value: number): string {
  const two = (number: number) => String(number).padStart(2, '0');
  return quoted(`${two(Math.floor(value / 3600))}:${two(Math.floor(value / 60) % 60)}:${two(value % 60)}`);
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

function quoted(text: string): string {
  return `"${text}"`;
}

/** Ends of ranges are no words: those have hyphens of their own. */
function printRange([low, high]: Range, write: (value: number) => string): string {
  if (low === high) return write(low);
  const [from, to] = [write(low), write(high)];
  return WORD.test(from) || WORD.test(to) ? `${low}-${high}` : `${from}-${to}`;
}
const WORD = /^"?[a-z][^:]*$/i;

function listed<T>(values: readonly T[] | { readonly set: string }, write: (value: T) => string): string {
  if ('set' in values) return `@${values.set}`;
  const [first] = values;
  return values.length === 1 && first !== undefined ? write(first) : `{ ${values.map(write).join(', ')} }`;
}

function printPrefix(prefix: Cidr): string {
  const whole = prefix.version === 4 ? 32 : 128;
  return prefix.length === whole ? prefix.address.toString() : prefix.toString();
}

function printAddress(match: AddressMatch): string {
  const family = match.family === undefined ? '' : `${FAMILIES[match.family]} `;
  const key = match.side === 'source' ? 'saddr' : 'daddr';
  return `${family}${key} ${negation(match)}${listed(match.in, printPrefix)}`;
}

function printInterface(match: InterfaceMatch): string {
  return `${match.way === 'in' ? 'iifname' : 'oifname'} ${negation(match)}${listed(match.in, quoted)}`;
}

function printBits(match: BitsMatch): string {
  const operator = match.not === true ? '!=' : '==';
  if (match.field === 'mark') return `meta mark & ${hex(match.mask)} ${operator} ${hex(match.value)}`;
  const mask = flagNames(match.mask);
  return `tcp flags & ${mask.includes(' ') ? `(${mask})` : mask} ${operator} ${flagNames(match.value)}`;
}

function flagNames(bits: number): string {
  const names = [...TCP_FLAGS].flatMap(([name, bit]) => ((bits & bit) === 0 ? [] : [name]));
  return names.length === 0 ? '0x0' : names.join(' | ');
}

function printLimit({ rate, per, burst, unit, over, key }: LimitMatch): string {
  const words = ['limit rate'];
  if (over === true) words.push('over');
  words.push(unit === 'bytes' ? `${rate} bytes/${per}` : `${rate}/${per}`);
  if (burst !== undefined) words.push(`burst ${burst} ${unit ?? 'packets'}`);
  if (key === undefined) return words.join(' ');
  words.push(`per ${key.by === 'source' ? 'saddr' : 'daddr'}`);
  if (key.bits?.[4] !== undefined) words.push(`ip prefix ${key.bits[4]}`);
  if (key.bits?.[6] !== undefined) words.push(`ip6 prefix ${key.bits[6]}`);
  if (key.size !== undefined) words.push(`size ${key.size}`);
  return words.join(' ');
}

const REJECTS: Readonly<Record<RejectWith, string>> = {
  'port-unreachable': 'icmpx port-unreachable',
  'net-unreachable': 'icmpx no-route',
  'host-unreachable': 'icmpx host-unreachable',
  'protocol-unreachable': 'icmpx prot-unreachable',
  prohibited: 'icmpx admin-prohibited',
  'tcp-reset': 'tcp reset',
};

function printStatement(statement: Statement): string {
  switch (statement.kind) {
    case 'count':
      return 'counter';
    case 'log':
      return statement.prefix === undefined ? 'log' : `log prefix ${quoted(statement.prefix)}`;
    case 'mark':
      return `meta mark set ${printMark(statement)}`;
    case 'reject':
      return `reject with ${REJECTS[statement.with]}`;
    case 'jump':
    case 'goto':
      return `${statement.kind} ${statement.chain}`;
    case 'accept':
    case 'drop':
    case 'return':
      return statement.kind;
    default:
      return printNat(statement);
  }
}

function printMark({ and, xor }: MarkStatement): string {
  if (and === 0) return hex(xor);
  if (xor === 0) return `meta mark & ${hex(and)}`;
  if (~and >>> 0 === xor) return `meta mark | ${hex(xor)}`;
  return and === 0xffff_ffff ? `meta mark ^ ${hex(xor)}` : `meta mark & ${hex(and)} ^ ${hex(xor)}`;
}

function printNat(statement: NatStatement): string {
  const ports = statement.ports === undefined ? '' : `:${printRange(statement.ports, String)}`;
  if (statement.kind === 'redirect' || statement.kind === 'masquerade') {
    return ports === '' ? statement.kind : `${statement.kind} to ${ports}`;
  }
  const { kind, address } = statement;
  const text = address.version === 6 && ports !== '' ? `[${address.toString()}]` : address.toString();
  return `${kind} ${FAMILIES[address.version]} to ${text}${ports}`;
}
