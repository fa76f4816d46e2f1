/** A small DHCPv6 server on a host, for tests: one address after the other, on record. */

import { Ipv6Address } from '../../../lib/core/address.js';
import type { Endpoint } from '../../../lib/l4/tcp/api.js';
import type { UdpSocket } from '../../../lib/l4/udp-api.js';
import { anyEndpoint } from '../../../lib/l4/udp.js';
import { optionOf } from '../../../lib/l7/dhcpv6-lease.js';
import {
  DHCPV6_SERVER_PORT,
  DHCPV6_SERVERS,
  Dhcpv6Type,
  duidOfMac,
  emitDhcpv6,
  parseDhcpv6,
} from '../../../lib/wire/dhcpv6.js';
import type { Dhcpv6Option } from '../../../lib/wire/dhcpv6-options.js';
import type { Host } from '../../../operators/stack/host.js';

const DUID = duidOfMac(0x0200_0000_00fe);
const NAMES: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(Dhcpv6Type).map(([name, code]) => [code, name.toLowerCase()]),
);
const PREFIX = Ipv6Address.parse('2001:db8::');

/** Options of {@link TestServer6}. */
export interface TestServer6Options {
  /** Lifetimes in seconds. */
  readonly preferred?: number;
  readonly valid?: number;
  readonly settings?: readonly Dhcpv6Option[];
}

/** See the module. */
export class TestServer6 {
  /** Types of the messages that came, in order. */
  readonly heard: string[] = [];
  /** Who has which address, by its last word. */
  readonly leases: Map<string, number> = new Map();
  private readonly options: TestServer6Options;
  private readonly socket: UdpSocket;
  private next = 0x50;

  constructor(host: Host, options: TestServer6Options = {}) {
    this.options = options;
    this.socket = host.udp.bind(anyEndpoint(6, DHCPV6_SERVER_PORT), {
      message: ({ data, source }) => this.receive(data, source),
      error: () => undefined,
    });
    this.socket.groups.join(DHCPV6_SERVERS);
  }

  close(): void {
    this.socket.close();
  }

  private receive(data: Uint8Array, from: Endpoint): void {
    const message = parseDhcpv6(data);
    if (message === undefined) return;
    const { type, transaction, options } = message;
    this.heard.push(NAMES[type] ?? '');
    const duid = optionOf(options, 'client-id')?.duid ?? new Uint8Array();
    const own: Dhcpv6Option[] = [
      { kind: 'client-id', duid },
      { kind: 'server-id', duid: DUID },
      ...(this.options.settings ?? []),
    ];
    const answer = emitDhcpv6({
      type: type === Dhcpv6Type.Solicit ? Dhcpv6Type.Advertise : Dhcpv6Type.Reply,
      transaction,
      options: [...own, ...this.grant(type, duid.join(), optionOf(options, 'ia-na')?.iaid)],
    });
    this.socket.send(answer, from);
  }

  private grant(type: number, client: string, iaid: number | undefined): readonly Dhcpv6Option[] {
    const ends: readonly number[] = [Dhcpv6Type.Release, Dhcpv6Type.Decline];
    if (ends.includes(type)) this.leases.delete(client);
    if (iaid === undefined || ends.includes(type)) return [];
    const last = this.leases.get(client) ?? this.next++;
    this.leases.set(client, last);
    const { preferred = 60, valid = 120 } = this.options;
    const address = new Ipv6Address(PREFIX.a, PREFIX.b, 0, last);
    const times = { preferredLifetime: preferred, validLifetime: valid };
    return [{ kind: 'ia-na', iaid, t1: 0, t2: 0, options: [{ kind: 'ia-address', address, ...times, options: [] }] }];
  }
}
