/**
 * DHCPv4 as Observables: the client that configures a device of a host, and the server for the hosts of a link. These are sources rather than
 * operators, hence they make their Observables.
 */

import { Observable } from 'rxjs';
import type { Ipv4Address } from '../../lib/core/address.js';
import type { Device } from '../../lib/core/device.js';
import {
  type AddressClaims,
  type DhcpEvent,
  Dhcpv4Client,
  type Dhcpv4ClientOptions,
} from '../../lib/l7/dhcpv4-client.js';
import { configurationOf, type DhcpLease, type InterfaceConfiguration } from '../../lib/l7/dhcpv4-lease.js';
import type { DhcpBinding } from '../../lib/l7/dhcpv4-pool.js';
import { dhcpPort } from '../../lib/l7/dhcpv4-port.js';
import { Dhcpv4Server, type Dhcpv4ServerOptions } from '../../lib/l7/dhcpv4-server.js';
import type { DnsSettings } from '../../lib/l7/dns-sources.js';
import { Ipv4LinkLocal } from '../../lib/l7/ipv4ll.js';
import type { DhcpHost } from './dhcp-host.js';

/** Options of {@link dhcpv4}. */
export interface Dhcpv4Options
  extends Pick<
    Dhcpv4ClientOptions,
    'hostName' | 'clientId' | 'previous' | 'parameterList' | 'startDelay' | 'verifyWithin'
  > {
  /** A device of the host. */
  readonly device: Device;
  /** Gets the name servers and search domains of leases, e.g. `me.nameServers.from('dhcpv4')`. */
  readonly resolver?: DnsSettings<Ipv4Address>;
  /** Use addresses only after nobody else was found to have them (RFC 5227). Default true. */
  readonly verify?: boolean;
  /** Use an address of 169.254/16 while no server answers (RFC 3927). Default true, where addresses are verified. */
  readonly linkLocal?: boolean;
  /** Emits when the link was lost and is back: the lease is then asked about. */
  readonly linkUp$?: Observable<unknown>;
}

/** What happens to a lease; `link-local`: no server answers, this is the address (or, `undefined`, no more) until one does. */
export type Dhcpv4Event =
  | { readonly kind: DhcpEvent; readonly lease: DhcpLease | undefined }
  | { readonly kind: 'link-local'; readonly address: Ipv4Address | undefined };

/**
 * Configures a device of a host by DHCPv4 (RFC 2131) while subscribed: address, routes, MTU, name servers.
 *
 *     server   -----a---------a-----------x     a: acknowledges, x: refuses
 *     out      --------b------r-----------R     b: bound, once nobody is found to have the address, r: renewed, R: refused
 *
 * The host must be running. Unsubscribing gives the lease back and takes away what it configured. Completes when the host ends, errors
 * where the port is taken (`EADDRINUSE`), or the host has ended before (`ENETDOWN`).
 *
 * **State and timers** those of the client, none after unsubscribing.
 *
 * @example
 * const me = host({ device: tap });
 * tap.frames$.pipe(me).subscribe(tap.sink);
 * dhcpv4(me, { device: tap, resolver: me.nameServers.from('dhcpv4') }).subscribe(({ kind, lease }) => console.log(kind, lease?.address.toString()));
 */
export function dhcpv4(host: DhcpHost, options: Dhcpv4Options): Observable<Dhcpv4Event> {
  const { device, resolver, verify = true, linkLocal = true, linkUp$, ...rest } = options;
  return new Observable((subscriber) => {
    const { env, tables, udp } = host;
    const claims = verify ? host.claims(device) : undefined;
    const configuration = configurationOf(tables, device, resolver);
    const port = dhcpPort(udp, device, 'client', env);
    const changed = (address: Ipv4Address | undefined) => subscriber.next({ kind: 'link-local', address });
    const fallback =
      linkLocal && claims !== undefined ? linkLocalOf({ host, device, claims, configuration, changed }) : undefined;
    const client = new Dhcpv4Client(
      {
        ...rest,
        port,
        configuration,
        claims,
        ...(fallback === undefined ? {} : { fallback }),
        changed: (lease, kind) => subscriber.next({ kind, lease }),
      },
      env,
    );
    const links = linkUp$?.subscribe(() => {
      fallback?.linkChanged();
      client.linkChanged();
    });
    subscriber.add(() => {
      links?.unsubscribe();
      client.release();
      client.dispose();
      fallback?.dispose();
    });
    port.ended = () => subscriber.complete();
    client.start();
  });
}

function linkLocalOf(parts: {
  readonly host: DhcpHost;
  readonly device: Device;
  readonly claims: AddressClaims;
  readonly configuration: InterfaceConfiguration;
  readonly changed: (address: Ipv4Address | undefined) => void;
}): Ipv4LinkLocal {
  const { host, device, ...rest } = parts;
  return new Ipv4LinkLocal({ mac: device.mac, ...rest }, host.env);
}

/** Options of {@link dhcpv4Server}. */
export interface Dhcpv4ServeOptions extends Omit<Dhcpv4ServerOptions, 'port' | 'changed'> {
  /** The device of the host whose link is served; it has `address`. */
  readonly device: Device;
}

/** What the server did with an address. */
export interface Dhcpv4ServerEvent {
  readonly kind: 'bound' | 'released' | 'declined';
  readonly binding: DhcpBinding;
}

/**
 * Gives addresses to the hosts of a link (RFC 2131 4.3) while subscribed; leases are forgotten at the end.
 *
 *     requests   --d-q------q------r---     d: discover, q: request (anew, and to renew), r: release
 *     out        ----b------b------R---     b: bound, R: released
 *
 * The host must be running. Completes when it ends; errors with `EADDRINUSE`, `ENETDOWN` where it has ended before, `EADDRNOTAVAIL` where the host does not have the
 * address, and UsageError for settings that cannot work.
 *
 * **State and timers** a table of leases; no timer.
 *
 * @example
 * dhcpv4Server(gateway, { device: lan, address: '10.0.0.1/24', pool: ['10.0.0.100', '10.0.0.199'], options: { routers: [own] } }).subscribe();
 */
export function dhcpv4Server(host: DhcpHost, options: Dhcpv4ServeOptions): Observable<Dhcpv4ServerEvent> {
  const { device, ...rest } = options;
  return new Observable((subscriber) => {
    const port = dhcpPort(host.udp, device, 'server', host.env);
    subscriber.add(() => port.close());
    port.ended = () => subscriber.complete();
    const changed = (binding: DhcpBinding, kind: Dhcpv4ServerEvent['kind']) => subscriber.next({ kind, binding });
    // It lives by what it hears, and ends with its port.
    void new Dhcpv4Server({ ...rest, port, changed }, host.env);
  });
}
