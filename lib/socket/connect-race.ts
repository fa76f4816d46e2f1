/**
 * Connecting to a host by its name: its addresses are asked for, and tried as happy eyeballs do (RFC 8305), so that one family that leads
 * nowhere costs a quarter of a second instead of minutes. Under all the faces of sockets.
 */

import type { LookupOptions } from 'node:dns';
import type { LookupFunction } from 'node:net';
import type { IpAddress, IpVersion } from '../core/address.js';
import type { NetError } from '../core/errors.js';
import type { Timers } from '../core/timers.js';
import type { TcpConnection, TcpConnectionOptions, TcpSockets } from '../l4/tcp/api.js';
import type { StagesHandler } from '../l7/dns-stages.js';
import { type Attempt, HappyEyeballs } from '../l7/happy-eyeballs.js';
import type { ConnectOptions } from './connect-options.js';
import { familyOf, literal, localLookup } from './names.js';
import { netCode, notFound, systemError, typeError } from './node-errors.js';
import { wallTimers } from './wall-timers.js';

/** A `dns.lookup` that can also tell addresses as they come; that of {@link lookup} does. */
export interface StagedLookup extends LookupFunction {
  readonly stages?: (host: string, family: 0 | IpVersion, handler: StagesHandler) => () => void;
  /** The clock to wait by where the socket was given none. */
  readonly timers?: Timers;
}

/** How to connect to a name. */
export interface RaceOptions {
  readonly tcp: TcpSockets;
  readonly host: string;
  readonly port: number;
  readonly family: 0 | IpVersion;
  readonly hints?: number | undefined;
  readonly lookup: StagedLookup;
  readonly timers: Timers;
  /** Try the first address only, as `autoSelectFamily: false` says. */
  readonly first: boolean;
  /** Milliseconds between attempts. Default 250. */
  readonly delay?: number | undefined;
  readonly connection: TcpConnectionOptions & { readonly localAddress?: IpAddress; readonly localPort?: number };
}

/** What sockets of all kinds are given about connections. */
export interface SocketDefaults {
  readonly tcp: TcpSockets;
  readonly lookup?: LookupFunction | undefined;
  readonly timers?: Timers | undefined;
  readonly connectionOptions?: TcpConnectionOptions | undefined;
}

/** What a call of `connect` says about one attempt. */
export function attemptOptions(
  { localAddress, localPort }: Pick<ConnectOptions, 'localAddress' | 'localPort'>,
  { connectionOptions }: SocketDefaults,
): RaceOptions['connection'] {
  const from = localAddress === undefined ? undefined : literal(localAddress);
  return {
    ...connectionOptions,
    ...(from === undefined ? {} : { localAddress: from }),
    ...(localPort ? { localPort } : {}),
  };
}

/** What a call of `connect` says about connecting to a name. */
export function raceOptions(
  host: string,
  port: number,
  options: ConnectOptions,
  defaults: SocketDefaults,
): RaceOptions {
  const connection = attemptOptions(options, defaults);
  const lookup: StagedLookup = options.lookup ?? defaults.lookup ?? localLookup;
  return {
    tcp: defaults.tcp,
    host,
    port,
    family: familyOf(options.family) || (connection.localAddress?.version ?? 0),
    hints: options.hints,
    lookup,
    timers: defaults.timers ?? lookup.timers ?? wallTimers,
    first: options.autoSelectFamily === false,
    delay: options.autoSelectFamilyAttemptTimeout,
    connection,
  };
}

/** Who is told. */
export interface RaceHandler {
  /** An address was found, or none; before it is tried. */
  lookedUp?(error: Error | undefined, address: IpAddress | undefined): void;
  /** It is over: the connection belongs to the caller, who sets its handler at once. */
  connected(connection: TcpConnection): void;
  /** It is over: why there is no connection. Of several failures an `AggregateError` with the code of the first. */
  failed(error: Error): void;
}

/** Starts; returns how to give up. */
export function raceByName(options: RaceOptions, handler: RaceHandler): () => void {
  const race = new Race(options, handler);
  return () => race.abort();
}

class Race implements StagesHandler {
  private readonly options: RaceOptions;
  private readonly handler: RaceHandler;
  private eyeballs: HappyEyeballs<TcpConnection> | undefined = undefined;
  private over = false;
  /** Nothing to stop yet: a lookup may answer before it has returned. */
  private stopLookup: () => void = () => undefined;

  constructor(options: RaceOptions, handler: RaceHandler) {
    this.options = options;
    this.handler = handler;
    const { host, family, hints, lookup } = options;
    this.stopLookup =
      lookup.stages === undefined
        ? askAll(host, { family, all: true, ...(hints === undefined ? {} : { hints }) }, lookup, this)
        : lookup.stages(host, family, this);
  }

  abort(): void {
    this.over = true;
    this.stopLookup();
    this.eyeballs?.abort();
  }

  found(addresses: readonly IpAddress[]): void {
    if (this.over || (this.options.first && this.eyeballs !== undefined)) return;
    const tried = this.options.first ? addresses.slice(0, 1) : addresses;
    for (const address of tried) this.handler.lookedUp?.(undefined, address);
    // Whoever was told may have given up.
    if (this.over) return;
    if (this.eyeballs !== undefined) return this.eyeballs.add(tried);
    const { timers, delay } = this.options;
    const done: ConstructorParameters<typeof HappyEyeballs<TcpConnection>>[1]['done'] = (result) => {
      this.over = true;
      this.stopLookup();
      if ('connection' in result) this.handler.connected(result.connection);
      else this.handler.failed(withCode(result.error));
    };
    const how = { connect: this.attempt, done, more: true, ...(delay === undefined ? {} : { delay }) };
    this.eyeballs = new HappyEyeballs(tried, how, { timers });
    this.eyeballs.start();
  }

  done(error: Error | undefined): void {
    if (this.over) return;
    if (this.eyeballs !== undefined) return this.eyeballs.complete();
    this.over = true;
    const why = error ?? notFound(this.options.host);
    this.handler.lookedUp?.(why, undefined);
    this.handler.failed(why);
  }

  private readonly attempt: Attempt<TcpConnection> = (address, told) => {
    const { tcp, port, connection: options } = this.options;
    const failed = (error: unknown) =>
      told.failed(systemError(netCode(error, 'ECONNABORTED'), 'connect', address.toString(), port));
    const nothing = () => undefined;
    const { localAddress = address } = options;
    if (localAddress.version !== address.version) throw systemError('EINVAL', 'connect', address.toString(), port);
    try {
      const connection = tcp.connect(
        { address, port },
        {
          connected: () => told.connected(connection),
          closed: (error: NetError | undefined) => failed(error),
          readable: nothing,
          writable: nothing,
          flushed: nothing,
        },
        options,
      );
      return () => connection.abort();
    } catch (error) {
      throw systemError(netCode(error, 'EINVAL'), 'connect', address.toString(), port);
    }
  };
}

/** Asks a lookup in the shape of Node's, which may answer in any of the ways that Node's own callers put up with. */
function askAll(
  host: string,
  options: LookupOptions & { all: true },
  lookup: LookupFunction,
  handler: StagesHandler,
): () => void {
  lookup(host, options, (error, answer) => {
    if (error) return handler.done(error);
    const addresses: IpAddress[] = [];
    for (const one of Array.isArray(answer) ? (answer as readonly unknown[]) : [answer]) {
      const text = typeof one === 'object' && one !== null && 'address' in one ? String(one.address) : String(one);
      const address = literal(text);
      if (address === undefined)
        return handler.done(typeError('ERR_INVALID_IP_ADDRESS', `Invalid IP address: ${text}`));
      addresses.push(address);
    }
    if (addresses.length > 0) handler.found(addresses);
    return handler.done(undefined);
  });
  return () => undefined;
}

function withCode(error: Error): Error {
  if (!(error instanceof AggregateError)) return error;
  const [first] = error.errors as readonly Error[];
  const message = (error.errors as readonly Error[]).map(({ message: one }) => one).join('; ');
  return Object.assign(error, { code: netCode(first, 'ECONNABORTED'), message });
}
