/**
 * DHCPv6 as Observables: the client that gets addresses for a device of a host, and the one that only asks for settings. These are sources
 * rather than operators, hence they make their Observables.
 */

import { Observable } from 'rxjs';
import type { Ipv6Address } from '../../lib/core/address.js';
import type { Device } from '../../lib/core/device.js';
import { type Dhcpv6Change, Dhcpv6Client } from '../../lib/l7/dhcpv6-client.js';
import { type Dhcpv6Information, Dhcpv6InformationClient } from '../../lib/l7/dhcpv6-information.js';
import { configuration6Of, type Dhcpv6Lease } from '../../lib/l7/dhcpv6-lease.js';
import { dhcpv6Port } from '../../lib/l7/dhcpv6-port.js';
import type { DnsSettings } from '../../lib/l7/dns-sources.js';
import { duidOfMac } from '../../lib/wire/dhcpv6.js';
import type { DhcpHost } from './dhcp-host.js';

/** Options of {@link dhcpv6Information}. */
export interface Dhcpv6InformationOptions {
  /** A device of the host, with a link-local address sooner or later. */
  readonly device: Device;
  /** Gets the name servers and search domains, e.g. `me.nameServers.from('dhcpv6')`. */
  readonly resolver?: DnsSettings<Ipv6Address>;
  /** Who the client is (RFC 8415 11); it should stay the same for ever. Default: made of the MAC address. */
  readonly duid?: Uint8Array;
  /** Emits when the link was lost and is back: servers are then asked again. */
  readonly linkUp$?: Observable<unknown>;
}

/** Options of {@link dhcpv6}. */
export interface Dhcpv6Options extends Dhcpv6InformationOptions {
  /** Which of the client's interfaces this is, 32 bits; it should stay the same for ever. Default: made of the MAC address. */
  readonly iaid?: number;
  /** Take addresses that a server commits rapidly (RFC 8415 18.2.1). Default true. */
  readonly rapidCommit?: boolean;
  /** Use addresses only after nobody else was found to have them (RFC 8415 18.2.10.1). Default true. */
  readonly verify?: boolean;
}

/** What happens to a lease. */
export interface Dhcpv6Event {
  readonly kind: Dhcpv6Change;
  readonly lease: Dhcpv6Lease | undefined;
}

/**
 * Gets addresses for a device of a host by DHCPv6 (RFC 8415) while subscribed, and name servers with them.
 *
 *     server   ---A----r---------r----------     A: advertises, r: replies
 *     out      ----------b-------R----d---e     b: bound, once nobody is found to have the addresses, R: renewed, d: deprecated, e: expired
 *
 * The host must be running. Unsubscribing takes the addresses away at once, and tells the server; that is tried for 15 seconds at most, as
 * long as the host runs. Completes when the host ends, errors where the port is taken (`EADDRINUSE`), or the host has
 * ended before (`ENETDOWN`).
 *
 * **State and timers** those of the client, none after the server was told.
 *
 * @example
 * const me = host({ device: tap, slaac: true });
 * tap.frames$.pipe(me).subscribe(tap.sink);
 * dhcpv6(me, { device: tap, resolver: me.nameServers.from('dhcpv6') }).subscribe(({ kind, lease }) => console.log(kind, lease?.addresses.map(({ address }) => address.toString())));
 */
export function dhcpv6(host: DhcpHost, options: Dhcpv6Options): Observable<Dhcpv6Event> {
  const { device, resolver, linkUp$, verify = true, rapidCommit = true } = options;
  const { duid = duidOfMac(device.mac.value), iaid = device.mac.value % 2 ** 32 } = options;
  return new Observable((subscriber) => {
    const { env, tables, udp } = host;
    const port = dhcpv6Port(udp, tables, device);
    const claims = verify ? host.autoconf?.interface6(device) : undefined;
    const configuration = configuration6Of(tables, device, claims, resolver);
    const changed = (lease: Dhcpv6Lease | undefined, kind: Dhcpv6Change) => subscriber.next({ kind, lease });
    const client = new Dhcpv6Client({ port, configuration, duid, iaid, rapidCommit, changed }, env);
    const links = linkUp$?.subscribe(() => client.linkChanged());
    subscriber.add(() => {
      links?.unsubscribe();
      client.release(() => port.close());
    });
    // Also while the server is still being told, and nobody listens any more.
    port.ended = () => {
      client.dispose();
      subscriber.complete();
    };
    client.start();
  });
}

/**
 * Asks for name servers, but no addresses, by DHCPv6 (RFC 8415 18.2.6) while subscribed, and again when the answer is old.
 *
 *     server   ---r---------r---     r: replies
 *     out      ---i---------i---     i: information
 *
 * The host must be running. Unsubscribing takes away what was configured. Completes when the host ends, errors where the port is
 * taken (`EADDRINUSE`), or the host has ended before (`ENETDOWN`).
 *
 * **State and timers** those of the client, none after unsubscribing.
 *
 * @example
 * dhcpv6Information(me, { device: tap, resolver: me.nameServers.from('dhcpv6') }).subscribe(({ dnsServers }) => console.log(dnsServers.map(String)));
 */
export function dhcpv6Information(host: DhcpHost, options: Dhcpv6InformationOptions): Observable<Dhcpv6Information> {
  const { device, resolver, linkUp$, duid = duidOfMac(device.mac.value) } = options;
  return new Observable((subscriber) => {
    const { env, tables, udp } = host;
    const port = dhcpv6Port(udp, tables, device);
    const configuration = configuration6Of(tables, device, undefined, resolver);
    const changed = (information: Dhcpv6Information) => subscriber.next(information);
    const client = new Dhcpv6InformationClient({ port, configuration, duid, changed }, env);
    const links = linkUp$?.subscribe(() => client.linkChanged());
    subscriber.add(() => {
      links?.unsubscribe();
      client.dispose();
    });
    port.ended = () => subscriber.complete();
    client.start();
  });
}
