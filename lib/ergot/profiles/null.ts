/** The profile of a node without links: its sockets talk to each other alone. */

import type { Device } from '../../core/device.js';
import { DropReason } from '../../core/drops.js';
import { UsageError } from '../../core/errors.js';
import type { Frame } from '../../core/frame.js';
import { ProtocolError } from '../frame-error.js';
import { type Message, Reach } from '../message.js';
import { NET_LOCAL, networkOf, nodeOf } from '../net-address.js';
import type { Addressing, LinkStatus, Profile, ProfileNode } from '../profile.js';
import { netAddressing } from './addressing.js';
import { Dispatch } from './dispatch.js';

class NullProfile implements Profile<number> {
  readonly addressing: Addressing<number> = netAddressing;
  readonly links: readonly LinkStatus<number>[] = [];
  private dispatch: Dispatch | undefined;

  start(node: ProfileNode<number>): void {
    this.dispatch = new Dispatch(node);
  }

  stop(): void {}

  attach(link: Device): void {
    throw new UsageError('ERR_INVALID_OPTION', `a node without links cannot use '${link.name}'`);
  }

  detach(_link: Device): void {}

  receive(_link: Device, frame: Frame): void {
    this.running.drop(DropReason.DeviceUnknown, frame);
  }

  send(message: Message<number>, frame: Frame): ProtocolError | undefined {
    const { destination, reach } = message;
    if (reach === Reach.All) return ProtocolError.IseRoutingLoop;
    const isHere = networkOf(destination) === NET_LOCAL && nodeOf(destination) === 0;
    return isHere ? ProtocolError.IseDestinationLocal : this.running.refuse(ProtocolError.IseNoRouteToDest, frame);
  }

  private get running(): Dispatch {
    if (this.dispatch === undefined) throw new UsageError('ERR_INVALID_STATE', 'the profile was not started');
    return this.dispatch;
  }
}

/**
 * Makes the profile of a node without links. What its sockets send to address `0.0` is for its own sockets; all else has no route.
 *
 * @example
 * const node = ergot(nullProfile());
 */
export function nullProfile(): Profile<number> {
  return new NullProfile();
}
