/** Where the links of ergot nodes lead: options, and the devices that they stand for. */

import type { Device } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import { ergotOverEthernet, listenErgotEthernet } from '../../drivers/ergot/ethernet.js';
import type { ErgotListener, ErgotSocketListener } from '../../drivers/ergot/listener.js';
import { LOOPBACK } from '../../drivers/ergot/sockets.js';
import { ergotOverTcp } from '../../drivers/ergot/tcp.js';
import { listenErgotTcp } from '../../drivers/ergot/tcp-listener.js';
import { ergotOverUdp } from '../../drivers/ergot/udp.js';
import { listenErgotUdp } from '../../drivers/ergot/udp-listener.js';
import { ArgumentError, type Many, many, text, type Value } from '../args.js';
import { CommandError, messageOf } from '../command.js';

/** A host and a port, as users write them. */
export interface SocketPlace {
  readonly host: string;
  readonly port: number;
}

/** Where one link leads. */
export type LinkPlace =
  | ({ readonly kind: 'tcp' | 'udp' } & SocketPlace)
  | { readonly kind: 'tap'; readonly name: string };

const SOCKET = /^(?:(\[[0-9a-f:.%\w]+\]|[^:[\]]*):)?(\d{1,5})$/i;

/** Reads `HOST:PORT`, or a port of this machine. @throws ArgumentError */
export function socketPlace(given: string): SocketPlace {
  const [, host = '', digits = ''] = SOCKET.exec(given) ?? [];
  const port = Number(digits);
  if (digits === '' || port > 65_535) {
    throw new ArgumentError(`must be HOST:PORT or a port, as 10.0.0.1:2025, [::1]:2025 or 2025, not "${given}"`);
  }
  return { host: host === '' ? LOOPBACK : host.replace(/^\[|\]$/g, ''), port };
}

function socket(help: string): Value<SocketPlace> {
  return { help, placeholder: '[HOST:]PORT', read: socketPlace };
}

/** Options for who has one link. */
export const EDGE_OPTIONS: {
  readonly tcp: Value<SocketPlace>;
  readonly udp: Value<SocketPlace>;
  readonly tap: Value<string>;
} = {
  tcp: socket('Where a router listens for TCP; the host is this machine where none is said.'),
  udp: socket('Where a router listens for UDP.'),
  tap: text('NAME', 'A TAP interface with a router behind it; needs root.'),
};

/** How {@link EDGE_OPTIONS} are told in the usage of a command. */
export const EDGE_USAGE = '(--tcp [HOST:]PORT | --udp [HOST:]PORT | --tap NAME)';

/** Options for who has links that others open. */
export const LISTENER_OPTIONS: {
  readonly tcp: Many<SocketPlace>;
  readonly udp: Many<SocketPlace>;
  readonly tap: Many<string>;
  readonly upstream: Value<LinkPlace>;
} = {
  tcp: many(socket('Listen for TCP there; port 0 is any that is free. May be repeated, as those that follow.')),
  udp: many(socket('Listen for UDP there.')),
  tap: many(text('NAME', 'Listen on a TAP interface; needs root.')),
  upstream: upstream(),
};

function upstream(): Value<LinkPlace> {
  const read = (given: string): LinkPlace => {
    const [, kind, rest = ''] = /^(tcp|udp|tap):(.+)$/.exec(given) ?? [];
    if (kind === 'tap') return { kind, name: rest };
    if (kind === 'tcp' || kind === 'udp') {
      const place = socketPlace(rest);
      if (place.port === 0) throw new ArgumentError('nobody listens at port 0');
      return { kind, ...place };
    }
    throw new ArgumentError(`must be tcp:HOST:PORT, udp:HOST:PORT or tap:NAME, not ${JSON.stringify(given)}`);
  };
  return { help: 'Be a bridge, and no root: the router above, as tcp:HOST:PORT.', placeholder: 'LINK', read };
}

/** The one link that the options name. @throws ArgumentError */
export function edgePlace(values: {
  readonly tcp: SocketPlace | undefined;
  readonly udp: SocketPlace | undefined;
  readonly tap: string | undefined;
}): LinkPlace {
  const { tcp, udp, tap } = values;
  const places: LinkPlace[] = [];
  if (tcp !== undefined) places.push({ kind: 'tcp', ...tcp });
  if (udp !== undefined) places.push({ kind: 'udp', ...udp });
  if (tap !== undefined) places.push({ kind: 'tap', name: tap });
  const [place, more] = places;
  if (place === undefined || more !== undefined) {
    throw new ArgumentError('name one link: --tcp, --udp or --tap');
  }
  if (place.kind !== 'tap' && place.port === 0) throw new ArgumentError(`--${place.kind}: nobody listens at port 0`);
  return place;
}

/** A link as it is written in messages: `tcp:127.0.0.1:2025`. */
export function placeText(place: LinkPlace): string {
  if (place.kind === 'tap') return `tap:${place.name}`;
  return `${place.kind}:${hostText(place.host)}:${place.port}`;
}

export function hostText(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/** Opens a link. `again`: it connects again when its connection is lost. @throws CommandError */
export async function openLink(place: LinkPlace, again: boolean, env: Env): Promise<OpenPlace<Device>> {
  const name = placeText(place);
  if (place.kind === 'tap') {
    const tap = await openTap(place.name, env);
    const open = ergotOverEthernet(tap, { name }, env);
    return { name, open, close: () => tap.close() };
  }
  const { host, port } = place;
  const open =
    place.kind === 'udp'
      ? ergotOverUdp({ host, port, name }, env)
      : ergotOverTcp({ host, port, name, ...(again ? {} : { retry: false }) }, env);
  return { name, open, close: () => open.close() };
}

/** Something that is open, what it is called, and how it is closed with all that it needs. */
export interface OpenPlace<T> {
  readonly name: string;
  readonly open: T;
  close(): Promise<void>;
}

/** Listens where the options say. @throws CommandError where the system refuses */
export async function listen(
  {
    tcp,
    udp,
    tap,
  }: { readonly tcp: readonly SocketPlace[]; readonly udp: readonly SocketPlace[]; readonly tap: readonly string[] },
  env: Env,
): Promise<readonly OpenPlace<ErgotListener>[]> {
  const places: OpenPlace<ErgotListener>[] = [];
  const add = async (kind: string, place: SocketPlace, listener: ErgotSocketListener): Promise<void> => {
    try {
      const { address, port } = await listener.listening;
      places.push({ name: `${kind}:${hostText(address)}:${port}`, open: listener, close: () => listener.close() });
    } catch (error) {
      throw new CommandError(`cannot listen at ${kind}:${hostText(place.host)}:${place.port}: ${messageOf(error)}`);
    }
  };
  try {
    for (const place of tcp) await add('tcp', place, listenErgotTcp(place, env));
    for (const place of udp) await add('udp', place, listenErgotUdp(place, env));
    for (const name of tap) {
      const device = await openTap(name, env);
      places.push({ name: `tap:${name}`, open: listenErgotEthernet(device, {}, env), close: () => device.close() });
    }
  } catch (error) {
    await closeAll(places);
    throw error;
  }
  return places;
}

export async function closeAll(places: readonly OpenPlace<unknown>[]): Promise<void> {
  await Promise.all(places.map((place) => place.close()));
}

async function openTap(name: string, env: Env): Promise<Device> {
  try {
    const { openTap: open } = await import('../../drivers/tap.js');
    return open({ name, offload: false, coalesce: false }, env);
  } catch (error) {
    throw new CommandError(`cannot open ${name}: ${messageOf(error)}`);
  }
}
