/**
 * The multicast calls of a `dgram.Socket`: memberships, and how to send to groups. An interface is named as in Node: by an IPv4 address
 * of it, or by its name as the zone of an IPv6 address (`::%tap0`).
 */

import { EventEmitter } from 'node:events';
import type { IpAddress } from '../core/address.js';
import type { GroupOptions, UdpGroups } from '../l4/udp-api.js';
import { literal } from './names.js';
import { netCode, systemError, typeError } from './node-errors.js';

/** What {@link DatagramGroups} needs to know of the socket. */
export abstract class DatagramGroups extends EventEmitter {
  /** The groups of the bound socket; binds it where `mayBind` is set. @throws Error `ERR_SOCKET_DGRAM_NOT_RUNNING`, NetError `EBADF` */
  protected abstract groupsOf(syscall: string, mayBind: boolean): UdpGroups;

  /**
   * Joins a group: datagrams to it come in, by the interface named, or where the routes lead. A socket that is not bound is bound to a free
   * port of all addresses.
   *
   * @throws NetError `EINVAL`, `ENODEV`, `EADDRINUSE` (joined already); TypeError `ERR_MISSING_ARGS`
   */
  addMembership(multicastAddress: string, multicastInterface?: string): void {
    this.#call('addMembership', multicastAddress, multicastInterface, (groups, group, options) =>
      groups.join(group, options),
    );
  }

  /** Undoes `addMembership`; closing does so, too. @throws NetError `EINVAL`, `ENODEV`, `EADDRNOTAVAIL` (not joined) */
  dropMembership(multicastAddress: string, multicastInterface?: string): void {
    this.#call('dropMembership', multicastAddress, multicastInterface, (groups, group, options) =>
      groups.leave(group, options),
    );
  }

  /** Joins a group as far as one source is concerned. @throws NetError as `addMembership`; `EADDRNOTAVAIL` (joined already) */
  addSourceSpecificMembership(sourceAddress: string, groupAddress: string, multicastInterface?: string): void {
    const name = 'addSourceSpecificMembership';
    const source = this.#source(name, sourceAddress, groupAddress);
    this.#call(name, groupAddress, multicastInterface, (groups, group, options) =>
      groups.join(group, { ...options, source }),
    );
  }

  /** Undoes `addSourceSpecificMembership`. @throws NetError as `dropMembership` */
  dropSourceSpecificMembership(sourceAddress: string, groupAddress: string, multicastInterface?: string): void {
    const name = 'dropSourceSpecificMembership';
    const source = this.#source(name, sourceAddress, groupAddress);
    this.#call(name, groupAddress, multicastInterface, (groups, group, options) =>
      groups.leave(group, { ...options, source }),
    );
  }

  /** @param ttl hops of datagrams to groups, 0 (this host) to 255; the default is 1 */
  setMulticastTTL(ttl: number): number {
    if (typeof ttl !== 'number') throw typeError('ERR_INVALID_ARG_TYPE', 'The "ttl" argument must be of type number.');
    const groups = this.groupsOf('setMulticastTTL', false);
    if (!Number.isInteger(ttl) || ttl < 0 || ttl > 255) throw systemError('EINVAL', 'setMulticastTTL');
    groups.hopLimit = ttl;
    return ttl;
  }

  /** Whether members on this host receive what this socket sends to their groups; they do by default. */
  setMulticastLoopback<T>(flag: T): T {
    this.groupsOf('setMulticastLoopback', false).loopback = Boolean(flag);
    return flag;
  }

  /** Sends to groups by this interface; an unspecified address leaves it to the routes again. @throws NetError `EINVAL`, `EADDRNOTAVAIL` */
  setMulticastInterface(multicastInterface: string): void {
    const name = 'setMulticastInterface';
    if (typeof multicastInterface !== 'string') {
      throw typeError('ERR_INVALID_ARG_TYPE', 'The "interfaceAddress" argument must be of type string.');
    }
    const groups = this.groupsOf(name, false);
    attempt(name, () => groups.sendBy(addressOf(name, multicastInterface)));
  }

  #call(
    name: string,
    groupAddress: string,
    interfaceAddress: string | undefined,
    call: (groups: UdpGroups, group: IpAddress, options: GroupOptions) => void,
  ): void {
    const groups = this.groupsOf(name, true);
    if (!groupAddress) throw typeError('ERR_MISSING_ARGS', 'The "multicastAddress" argument must be specified');
    const group = addressOf(name, groupAddress);
    const choice = interfaceAddress ? addressOf(name, interfaceAddress) : undefined;
    attempt(name, () => call(groups, group, { interface: choice }));
  }

  #source(name: string, sourceAddress: string, groupAddress: string): IpAddress {
    for (const [argument, value] of Object.entries({ sourceAddress, groupAddress })) {
      if (typeof value === 'string') continue;
      throw typeError('ERR_INVALID_ARG_TYPE', `The "${argument}" argument must be of type string.`);
    }
    return addressOf(name, sourceAddress);
  }
}

/** @throws NetError `EINVAL` for what is no address */
function addressOf(name: string, text: string): IpAddress {
  const address = literal(text);
  if (address === undefined) throw systemError('EINVAL', name);
  return address;
}

/** Calls, and words what is thrown as Node does. */
function attempt(name: string, call: () => void): void {
  try {
    call();
  } catch (error) {
    throw systemError(netCode(error, 'EINVAL'), name);
  }
}
