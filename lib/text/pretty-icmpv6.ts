/** ICMPv6 messages in the words of tcpdump: errors, echo, neighbour discovery and listener discovery. */

import { MacAddress } from '../core/address.js';
import { isIcmpv6Error, Icmpv6Type, type Icmpv6Message } from '../wire/icmpv6.js';
import { readIpv6 } from '../wire/ipv6.js';
import {
  NdpMessage,
  NdpRedirect,
  NeighbourAdvertisement,
  NeighbourSolicitation,
  RouterAdvertisement,
} from '../wire/ndp.js';
import type { NdpOption } from '../wire/ndp-options.js';
import { icmpCodeName, icmpTypeName } from './icmp-names.js';
import { quote } from './pretty-quote.js';

const GROUP = 8;
const LISTENER_LENGTH = 24;
const LISTENER_2_LENGTH = 28;

/** What a message says, without its length. It may be cut anywhere behind its first 8 bytes. */
export function control6(icmp: Icmpv6Message): string {
  const { type, code } = icmp;
  const name = (icmpTypeName(type, 6) ?? `type ${type}`).replaceAll('_', ' ');
  if (isIcmpv6Error(type)) return error(icmp, name);
  switch (type) {
    case Icmpv6Type.EchoRequest:
    case Icmpv6Type.EchoReply:
      return `${name}, id ${icmp.identifier}, seq ${icmp.sequence}`;
    case Icmpv6Type.RouterSolicitation:
      return name + optionsOf(icmp);
    case Icmpv6Type.RouterAdvertisement:
      return name + advertisement(icmp) + optionsOf(icmp);
    case Icmpv6Type.NeighbourSolicitation:
      return name + solicitedOf(icmp) + optionsOf(icmp);
    case Icmpv6Type.NeighbourAdvertisement:
      return name + advertisedOf(icmp) + optionsOf(icmp);
    case Icmpv6Type.Redirect:
      return name + redirect(icmp) + optionsOf(icmp);
    case Icmpv6Type.ListenerQuery:
      return `multicast ${name}${icmp.frame.end - icmp.offset >= LISTENER_2_LENGTH ? ' v2' : ''}${groupOf(icmp)}`;
    case Icmpv6Type.ListenerReport:
    case Icmpv6Type.ListenerDone:
      return `multicast ${name}${groupOf(icmp)}`;
    case Icmpv6Type.ListenerReport2:
      return `multicast listener report v2, ${icmp.rest & 0xffff} group record(s)`;
    default:
      return code === 0 ? name : `${name} code ${code}`;
  }
}

function error(icmp: Icmpv6Message, name: string): string {
  const { type, code, quoted } = icmp;
  const about = quoted === undefined ? '' : ` [${quote(quoted)}]`;
  if (type === Icmpv6Type.PacketTooBig) return `${name}, mtu ${icmp.mtu}${about}`;
  const reason = (icmpCodeName(type, code, 6) ?? (code === 0 ? '' : `code ${code}`)).replaceAll('_', ' ');
  const where = type === Icmpv6Type.ParameterProblem ? ` at ${icmp.pointer}` : '';
  return `${name}${reason === '' ? '' : ` ${reason}`}${where}${about}`;
}

/** Whether the first `length` bytes of the message are there. */
function has({ frame, offset }: Icmpv6Message, length: number): boolean {
  return frame.end - offset >= length;
}

function groupOf(icmp: Icmpv6Message): string {
  if (!has(icmp, LISTENER_LENGTH)) return '';
  const group = readIpv6(icmp.frame.slab.view, icmp.offset + GROUP);
  return group.isUnspecified ? '' : ` for ${group.toString()}`;
}

function solicitedOf(icmp: Icmpv6Message): string {
  if (!has(icmp, 24)) return '';
  return `, who has ${new NeighbourSolicitation(icmp.frame, icmp.offset).target.toString()}`;
}

function advertisedOf(icmp: Icmpv6Message): string {
  if (!has(icmp, 24)) return '';
  const { target, router, solicited, override } = new NeighbourAdvertisement(icmp.frame, icmp.offset);
  const flags = flagList({ router, solicited, override });
  return `, tgt is ${target.toString()}${flags}`;
}

function redirect(icmp: Icmpv6Message): string {
  if (!has(icmp, 40)) return '';
  const { target, destination } = new NdpRedirect(icmp.frame, icmp.offset);
  return `, ${destination.toString()} to ${target.toString()}`;
}

function advertisement(icmp: Icmpv6Message): string {
  if (!has(icmp, 16)) return '';
  const { hopLimit, lifetime, managed, other, preference } = new RouterAdvertisement(icmp.frame, icmp.offset);
  const rank = preference === 0 ? '' : `, pref ${preference > 0 ? 'high' : 'low'}`;
  return `, hop limit ${hopLimit}${flagList({ managed, other })}${rank}, router lifetime ${lifetime}s`;
}

function flagList(flags: Readonly<Record<string, boolean>>): string {
  const set = Object.entries(flags).filter(([, on]) => on);
  return set.length === 0 ? '' : `, Flags [${set.map(([name]) => name).join(', ')}]`;
}

function optionsOf(icmp: Icmpv6Message): string {
  const message = new NdpMessage(icmp.frame, icmp.offset);
  if (message.optionsOffset > icmp.frame.end) return '';
  return message
    .options()
    .map((option) => `, ${optionText(option)}`)
    .join('');
}

function optionText(option: NdpOption): string {
  switch (option.kind) {
    case 'source-link-address':
    case 'target-link-address':
      return `${option.kind.slice(0, 6)} ${new MacAddress(option.mac).toString()}`;
    case 'prefix':
      return `prefix ${option.prefix.toString()}/${option.length}`;
    case 'route':
      return `route ${option.prefix.toString()}/${option.length}`;
    case 'mtu':
      return `mtu ${option.mtu}`;
    case 'rdnss':
      return `rdnss ${option.servers.map((server) => server.toString()).join(' ')}`;
    case 'dnssl':
      return `dnssl ${option.domains.map((domain) => JSON.stringify(domain)).join(' ')}`;
    case 'unknown':
      return `option ${option.type}`;
    default:
      return option.kind;
  }
}
