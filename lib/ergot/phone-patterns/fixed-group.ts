/**
 * Devices that travel together: the "fixed device group" of ergot proposal 0146, which names it and does not describe it. Where each member lies
 * in the group's scope is hard-coded, so that members know each other's addresses for good and nobody in the group asks anybody for any. The one
 * device with the group's cable to the outside, the gateway, asks there for as many addresses as the whole group has; wherever the group goes, all that
 * changes is what is in front of its addresses.
 */

import { UsageError } from '../../core/errors.js';
import { PhoneAddress } from '../address.js';
import type { PhoneBlock, PhoneLinkOptions } from '../phone/link.js';
import { type PhoneProfile, phoneProfile } from '../phone/profile.js';

/** What a group is made of. */
export interface FixedGroupOptions<N extends string> {
  /** The scope of the group. */
  readonly bits: number;
  /** Where the members lie in it, by their names. What is in front of all of them are the gateway's own sockets. */
  readonly members: Readonly<Record<N, PhoneBlock>>;
}

/** A group, from which each device takes its part. */
export interface FixedGroup<N extends string> {
  /**
   * The gateway's profile. Its links to members have their names; any other link leads out of the group.
   *
   * @throws UsageError `ERR_INVALID_OPTION`
   */
  gateway(): PhoneProfile;
  /** A member's profile: it has one link, to the gateway. */
  member(name: N): PhoneProfile;
  /** The address of a member's socket, as the whole group knows it. @throws UsageError `ERR_INVALID_ADDRESS` */
  address(name: N, port: number): PhoneAddress;
}

/**
 * Describes a fixed device group, the same at each of its devices.
 *
 * @throws UsageError `ERR_INVALID_OPTION` where there are no members, or no room for the gateway's sockets in front of them
 * @example
 * const robot = fixedGroup({ bits: 8, members: { arm: { first: 0x40, len: 6 }, eye: { first: 0x80, len: 6 } } });
 * const arm = ergot(robot.member('arm'));
 */
export function fixedGroup<N extends string>({ bits, members }: FixedGroupOptions<N>): FixedGroup<N> {
  const named = new Map<string, PhoneBlock>(Object.entries<PhoneBlock>(members));
  const room = Math.min(...Array.from(named.values(), ({ first }) => first));
  if (named.size === 0 || !(room >= 2)) {
    throw new UsageError('ERR_INVALID_OPTION', 'no members, or no sockets for the gateway in front of them');
  }
  const sockets = Math.min(7, bits, Math.floor(Math.log2(room)));
  const blockOf = (name: string): PhoneBlock => {
    const block = named.get(name);
    if (block === undefined) throw new UsageError('ERR_INVALID_OPTION', `the group has no member '${name}'`);
    return block;
  };
  return {
    gateway: () =>
      phoneProfile({
        bits,
        sockets,
        link({ name }): PhoneLinkOptions {
          const block = named.get(name);
          return block === undefined ? { kind: 'parent' } : { kind: 'child', blocks: [block] };
        },
      }),
    member(name) {
      const block = blockOf(name);
      return phoneProfile({ bits: block.len, link: () => ({ kind: 'parent', bits, blocks: [block] }) });
    },
    address: (name, port) => new PhoneAddress(blockOf(name).first + port, bits),
  };
}
