/**
 * What stands between the sockets of an ergot node and its links. A profile knows addresses and links, and decides where a frame goes; the net
 * stack knows sockets, and nothing of either. Each profile has one kind of addresses, `A`.
 */

import type { Device } from '../core/device.js';
import type { Env } from '../core/env.js';
import type { Frame } from '../core/frame.js';
import type { ProtocolError } from './frame-error.js';
import type { Message, Reach } from './message.js';
import type { NetStackApi } from './net-stack-api.js';

/** What a net stack must know of addresses. */
export interface Addressing<A> {
  /** This node, on whatever link: who sends to a socket of it, or to any, sends to own sockets only. */
  readonly here: A;
  /** All nodes, and all sockets there: where broadcasts go. */
  readonly everyone: A;
  /** Ports are 1 to this. */
  readonly lastPort: number;
  /** Whether sequence numbers begin anywhere rather than at 0: where routers know packets by them, who begins anew must not seem to repeat itself. */
  readonly randomSequence: boolean;
  /** Whether own sockets are among all those that an address stands for: they get what this node sends there. */
  includesHere(address: A): boolean;
  /** How many sockets an address stands for. */
  reach(address: A): Reach;
  /** The port of an address that stands for one socket. */
  port(address: A): number;
  /** The same node with another port. */
  withPort(address: A, port: number): A;
  /** All sockets of the node whose address with port 0 it is, and of those that lie within its addresses. */
  all(address: A): A;
  equals(a: A, b: A): boolean;
  text(address: A): string;
  /** @throws UsageError `ERR_INVALID_ADDRESS` */
  parse(text: string): A;
}

/** What is known of a link. */
export const LinkState = {
  /** It was taken away, or its liveness ran out where that ends it. */
  Down: 'down',
  /** Nothing says yet, or nothing says any more, who is at the other end. */
  Inactive: 'inactive',
  /** There is a node number, and no network yet. */
  ActiveLocal: 'active-local',
  Active: 'active',
} as const;
export type LinkState = (typeof LinkState)[keyof typeof LinkState];

/** A link as a profile shows it. */
export interface LinkStatus<A> {
  readonly link: Device;
  readonly state: LinkState;
  /** Our address there, with port 0; once it is known. */
  readonly address: A | undefined;
}

/** What a profile is given by the node that it serves. */
export interface ProfileNode<A> {
  readonly env: Env;
  /** For the profile's own conversations: it may serve endpoints, ask others', publish. */
  readonly stack: NetStackApi<A>;
  /**
   * Gives own sockets a message whose frame is lent: `undefined` if one of them took it, which the net stack notes as a delivery; otherwise what the
   * sender is to be told. What became of the frame is noted, except of what was for all and nobody took: the profile knows whether it went further.
   */
  deliver(message: Message<A>, frame: Frame): ProtocolError | undefined;
  /** Sends a frame by a link, header and all. Takes over its reference. */
  transmit(link: Device, frame: Frame): void;
  /** Says that something in `links` is no more what it was. */
  changed(): void;
}

/** Where frames go. One profile serves one node. */
export interface Profile<A> {
  readonly addressing: Addressing<A>;
  readonly links: readonly LinkStatus<A>[];
  /** Begins to serve; called once, before anything else. The stack can be used from then on. */
  start(node: ProfileNode<A>): void;
  /** Ends: leaves no timer armed. */
  stop(): void;
  /** Takes a link. @throws UsageError `ERR_INVALID_OPTION` for one that it has, cannot use, or has no room for */
  attach(link: Device): void;
  /** Forgets a link, and all that led to it. */
  detach(link: Device): void;
  /** Handles a frame that came by `link`, and is lent; it begins at its header. Ends in a delivery, a transmission or a drop reason. */
  receive(link: Device, frame: Frame): void;
  /**
   * Sends what a socket of ours says: the frame is the body, with headroom in front. Takes over its reference. The error is for the caller; that what
   * is for this node is `IseDestinationLocal`, and that what would go back where it came from is `IseRoutingLoop`, is for the net stack, which
   * then gives it to own sockets: in these two cases the frame stays the caller's, as it was. With `IsePacketTooBig`, `message.mtu` says how large it
   * may be.
   */
  send(message: Message<A>, frame: Frame): ProtocolError | undefined;
}
