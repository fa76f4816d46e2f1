/** What a frame's header says to the two ends, in whichever addresses: what sockets and profiles tell each other beside the frame itself. */

/** How many sockets a message is for. */
export const Reach = {
  /** The one at `port`. */
  One: 0,
  /** The only one that has the key, and the name if there is one. */
  Any: 1,
  /** All that have the key, and the name if there is one. */
  All: 2,
} as const;
export type Reach = (typeof Reach)[keyof typeof Reach];

/**
 * A message's description: one record for many. Addresses `A` are those of the profile: numbers as `net-address.ts` has them, or phone-number
 * addresses.
 */
export class Message<A> {
  /** A `FrameKind`, or another number to 255. */
  kind = 0;
  /** 0 to 65535. Answers have that of their request. */
  sequence = 0;
  reach: Reach = Reach.One;
  /** Of what is sent, the sender's port; of what is delivered, the receiver's where `reach` is `One`. */
  port = 0;
  /** Of what is delivered: whom to answer. What is sent has it from the profile. */
  source: A;
  /** Of what is sent: where to. Of what is delivered: what the sender wrote. */
  destination: A;
  /** Halves of the key, signed; where `reach` is not `One`. */
  keyLow = 0;
  keyHigh = 0;
  /** The hash of the name, signed, or 0 for none; where `reach` is not `One`. */
  name = 0;
  /** Where the body begins in the frame's slab; it ends where the frame does. */
  body = 0;
  /** Of what could not be sent for `IsePacketTooBig`: bytes that a frame may have there, header and all. */
  mtu = 0;

  /** @param nowhere the address to begin with */
  constructor(nowhere: A) {
    this.source = nowhere;
    this.destination = nowhere;
  }
}
