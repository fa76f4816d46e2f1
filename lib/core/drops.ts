/**
 * Why packets end: the one list of drop reasons, their counters, and the account of what was delivered.
 *
 * A malformed or unwanted packet never errors a stream: whoever refuses it reports a {@link DropReason} and lets nothing through.
 * Whoever takes a packet for good (answers it, queues its data, learns from it) marks it delivered. Per packet the first word
 * counts.
 */

import { DELIVERED, type Frame, UNDER_WAY } from './frame.js';

/** Stable reasons for dropping a packet, by layer. Names in text are the kebab-case of the keys: `ipv4-bad-checksum`. */
export const DropReason = {
  /** Shorter than an Ethernet header, or than the length that an 802.3 header announces. */
  EthernetTruncated: 1,
  /** To a unicast MAC address that is not ours, and the interface is not promiscuous. */
  EthernetNotForUs: 2,
  /** From a multicast or all-zero MAC address. */
  EthernetBadSource: 3,
  /** An EtherType that nobody subscribed to. */
  EthernetUnknownType: 4,
  /** Too short for its 802.1Q tag, or more than two tags. */
  VlanTruncated: 5,
  /** Tagged with a VLAN that is not configured here. */
  VlanUnknown: 6,
  /** A header that ends early. */
  ArpTruncated: 7,
  /** Hardware or protocol type, or an address length, other than Ethernet and IPv4; or an unknown operation. */
  ArpUnsupported: 8,
  /** A sender address that no host can have: multicast, broadcast, or our own MAC. */
  ArpBadSender: 9,
  /** A request for an address that is not ours and not published. */
  ArpNotForUs: 10,
  /** A reply that nobody asked for. */
  ArpUnsolicited: 11,
  /** The packets that wait for a neighbour, or for all of them, had no more room, and this was the neighbour's oldest or has none. */
  NeighbourQueueFull: 12,
  /** The next hop did not answer. */
  NeighbourUnreachable: 13,
  /** The neighbour table was full of entries in use. */
  NeighbourTableFull: 14,
  /** The IP version is neither 4 nor 6, or not the one that this pipeline handles. */
  IpUnknownVersion: 15,
  /** No route to the destination. */
  IpNoRoute: 16,
  /** Larger than the MTU of the next hop, and not to be fragmented. */
  IpTooBig: 17,
  /** The source address is not one that we may send from. */
  IpNotOurSource: 18,
  /** Too short for its header or for the length that the header states. */
  Ipv4Truncated: 19,
  /** Version other than 4, or a header length under 20. */
  Ipv4BadHeader: 20,
  /** The header's checksum is wrong. */
  Ipv4BadChecksum: 21,
  /** To an address that this host does not have. */
  Ipv4NotForUs: 22,
  /** From a multicast, broadcast or reserved address, from loopback on a wire, or from ourselves (RFC 1122 3.2.1.3). */
  Ipv4BadSource: 23,
  /** Options that end early or have an impossible length. */
  Ipv4BadOptions: 24,
  /** A unicast packet in a link-layer broadcast (RFC 1122 3.3.6). */
  Ipv4UnicastInBroadcast: 25,
  /** A protocol that nobody subscribed to. */
  IpUnknownProtocol: 26,
  /** A fragment with an impossible offset or length, or whose marks of congestion contradict those of others. */
  FragmentBad: 27,
  /** A fragment that overlaps another, or its datagram after that. */
  FragmentOverlap: 28,
  /** The memory for reassembly is used up. */
  FragmentMemory: 29,
  /** Fragments whose datagram was not complete in time. */
  FragmentTimeout: 30,
  /** Too short for its type. */
  Icmpv4Truncated: 31,
  /** The checksum is wrong. */
  Icmpv4BadChecksum: 32,
  /** A type that hosts do not handle; silently discarded (RFC 1122 3.2.2). */
  Icmpv4UnknownType: 33,
  /** An error about a packet that we did not send, or whose quoted packet is unusable. */
  Icmpv4BadQuote: 34,
  /** An echo request to a broadcast or multicast address. */
  Icmpv4Broadcast: 35,
  /** An echo reply that nobody waits for. */
  Icmpv4Unsolicited: 36,
  /** Shorter than its header. */
  UdpTruncated: 37,
  /** The length field is shorter than the header or longer than the packet. */
  UdpBadLength: 38,
  /** The checksum is wrong. */
  UdpBadChecksum: 39,
  /** No socket for it; answered by port unreachable where that is allowed. */
  UdpNoSocket: 40,
  /** The socket's receive queue was full. */
  UdpQueueFull: 41,
  /** Shorter than its header. */
  TcpTruncated: 42,
  /** A data offset under 5 or beyond the segment. */
  TcpBadHeader: 43,
  /** The checksum is wrong. */
  TcpBadChecksum: 44,
  /** No connection and no listener for it; answered by RST unless it was one. */
  TcpNoConnection: 45,
  /** To or from an address that is not unicast. */
  TcpNotUnicast: 46,
  /** The listener's queue of embryonic or unaccepted connections is full. */
  TcpBacklogFull: 47,
  /** Wholly outside the receive window: old, duplicate or too far ahead (RFC 9293 3.10.7.4). */
  TcpOutOfWindow: 48,
  /** An acknowledgment of something that was never sent, or too old (RFC 5961 5). */
  TcpBadAck: 49,
  /** Neither ACK nor SYN nor RST where one is required. */
  TcpNoAck: 50,
  /** A timestamp older than the last (PAWS, RFC 7323 5), or none where they were negotiated. */
  TcpOldTimestamp: 51,
  /** A reset that is not exactly at the window's edge, or not acceptable in this state (RFC 5961 3). */
  TcpBadReset: 52,
  /** A SYN in a synchronised state (RFC 5961 4), or one with impossible flags. */
  TcpBadSyn: 53,
  /** Data after the connection was closed for receiving. */
  TcpClosed: 54,
  /** No memory for out-of-order data. */
  TcpOutOfMemory: 55,
  /** A segment that carries nothing new for its state. */
  TcpUnexpected: 56,
  /** The device is closed or failing. */
  DeviceDown: 57,
  /** The device's queue is full. */
  DeviceQueueFull: 58,
  /** Larger than the device can send. */
  DeviceTooBig: 59,
  /** No device to send it. */
  DeviceUnknown: 60,
  /** Lost by an impairment of a simulated link. */
  LinkLoss: 61,
  /** The queue of a rate-limited simulated link was full. */
  LinkQueueFull: 62,
  /** A simulated link was partitioned. */
  LinkPartition: 63,
  /** Rejected by a predicate or rule of the user's. */
  Filtered: 64,
  /** A user callback threw. */
  CallbackThrew: 65,
  /** Over the limit of a rate limiter. */
  RateLimited: 66,
  /** The stack was disposed while the packet waited. */
  Disposed: 67,
  /** It came in while nobody was subscribed to the device. */
  DeviceUnwatched: 68,
  /** A captured packet of another link type than the device that replays it. */
  DeviceOtherMedium: 69,
  /** A source quench (RFC 6633), or a redirect that we do not heed. */
  Icmpv4Ignored: 70,
  /** Nobody subscribed to its key of a `demux`. */
  NotSubscribed: 71,
  /** Too short for its header or for the payload length that the header states. */
  Ipv6Truncated: 72,
  /** Version other than 6, or a jumbogram (RFC 2675), which we do not take. */
  Ipv6BadHeader: 73,
  /** To an address that this host does not have. */
  Ipv6NotForUs: 74,
  /** From a multicast address, from loopback on a wire, or from ourselves (RFC 4291 2.7, 2.5.3). */
  Ipv6BadSource: 75,
  /** An extension header that ends early or is out of place, or more headers or options than we walk. */
  Ipv6BadExtension: 76,
  /** An option that we do not know and whose type asks to discard the packet (RFC 8200 4.2). */
  Ipv6UnknownOption: 77,
  /** A routing header with segments left: no type is followed here, type 0 least of all (RFC 8200 4.4, RFC 5095). */
  Ipv6SourceRouted: 78,
  /** Too short for its type. */
  Icmpv6Truncated: 79,
  /** The checksum is wrong. */
  Icmpv6BadChecksum: 80,
  /** An informational message of a type that hosts do not handle; silently discarded (RFC 4443 2.4 b). */
  Icmpv6UnknownType: 81,
  /** An error about a packet that we did not send, or whose quoted packet is unusable. */
  Icmpv6BadQuote: 82,
  /** An echo reply that nobody waits for. */
  Icmpv6Unsolicited: 83,
  /** Too short for its type or its options (RFC 4861 6.1, 7.1, 8.1). */
  NdpTruncated: 84,
  /** A hop limit other than 255: it came from beyond the link. */
  NdpBadHopLimit: 85,
  /** A code other than 0. */
  NdpBadCode: 86,
  /** An option of length 0, or one that must not be there. */
  NdpBadOption: 87,
  /** A target that is multicast or IPv4-mapped, or not the redirected destination's or a router's. */
  NdpBadTarget: 88,
  /** A source that this type of message must not have. */
  NdpBadSource: 89,
  /** A destination that this type of message must not have, or flags that do not go with it. */
  NdpBadDestination: 90,
  /** It came in fragments (RFC 6980 5). */
  NdpFragmented: 91,
  /** About an address that is not ours, and for which we do not answer. */
  NdpNotForUs: 92,
  /** An answer that nobody asked for. */
  NdpUnsolicited: 93,
  /** Too short for its type, or of a length that no version has (RFC 3810 8.1). */
  MldTruncated: 94,
  /** Not a hop limit of 1, no router alert, or a source that is not link-local (RFC 3810 5.1.14, 6.2). */
  MldBadHeader: 95,
  /** A group that is not multicast. */
  MldBadGroup: 96,
  /** Too short for its type, or of a length that no version has (RFC 3376 7.1). */
  IgmpTruncated: 97,
  /** The checksum is wrong. */
  IgmpBadChecksum: 98,
  /** A type that hosts do not handle (RFC 3376 4). */
  IgmpUnknownType: 99,
  /** A group that is not multicast. */
  IgmpBadGroup: 100,
  /** A message that hosts ignore: another host's report, a router's. */
  GroupIgnored: 101,
  /** Shorter than its header. */
  Dhcpv6Truncated: 102,
  /** Options that end early or contradict themselves. */
  Dhcpv6BadOption: 103,
  /** A type that clients do not handle, relays' among them. */
  Dhcpv6UnknownType: 104,
  /** It answers no request of ours. */
  Dhcpv6Unsolicited: 105,
  /** Not a TTL of 1, no router alert, or a general query that does not go to all hosts (RFC 3376 9.1). */
  IgmpBadHeader: 106,
  /** A source route leads on from here, and none is followed (RFC 1122 3.3.5). */
  Ipv4SourceRouted: 107,
  /** Random early detection of a simulated link dropped it: the queue has been long on average. */
  LinkRed: 108,
  /** The CoDel queue of a simulated link dropped it: frames have waited too long for an interval. */
  LinkCodel: 109,
  /** A switch knows its destination on the port that it came from. */
  BridgeSamePort: 110,
  /** To an address that bridges keep on one segment: 01-80-c2-00-00-00 to 0f (IEEE 802.1Q 8.6.3). */
  BridgeReserved: 111,
  /** A super-segment that cannot be cut: no segment size, headers that end early, or none of the kind that it says it has. */
  SuperSegmentBad: 112,
  /** For another worker, which does not keep up with what is passed on to it. */
  WorkerQueueFull: 113,
  /** Rejected by a rule that tells the sender. */
  FilterRejected: 114,
  /** It fits no state of its flow, or is about a flow that is not known. */
  ConntrackInvalid: 115,
  /** The table of flows is full of flows in use. */
  ConntrackFull: 116,
  /** No port or identifier of the translator's addresses is free. */
  NatNoPort: 117,
  /** Nothing to translate it by: no mapping, or not from where the mapping allows. */
  NatNoMapping: 118,
  /** Of a protocol that cannot be translated. */
  NatUnsupported: 119,
  /** An ICMP error whose quoted packet cannot be translated. */
  NatBadQuote: 120,
  /** The best route says to discard it. */
  RouteBlackhole: 121,
  /** The best route says that it cannot be reached; the sender is told. */
  RouteUnreachable: 122,
  /** The best route says that it is prohibited; the sender is told. */
  RouteProhibited: 123,
  /** Its time to live or hop limit ended here; the sender is told. */
  HopLimitExceeded: 124,
  /** Not to be taken to another link: to or from an address that is good on one link only, or in a frame to everybody. */
  ForwardNotAllowed: 125,
  /** No route for the group, or it came from elsewhere than the route says. */
  MulticastNoRoute: 126,
  /** Too short for its header. */
  VxlanTruncated: 127,
  /** No valid network identifier (RFC 7348 5). */
  VxlanBadHeader: 128,
  /** Of a network that is not ours, or from a peer that is not. */
  VxlanUnknownNetwork: 129,
  /** It cannot be written in the other version of IP (RFC 7915). */
  TranslateImpossible: 130,
  /** It came back to the end of the tunnel that sent it, or its way to the other end leads through the tunnel itself. */
  TunnelLoop: 131,
  /** It met congestion on its way through a tunnel, and its ends do not understand marks (RFC 6040 4.2). */
  TunnelCongestion: 132,
  /** It did not come from where its source is (RFC 3704). */
  ReversePathFailed: 133,
  /** A stage of a pipeline neither passed it on, nor said what became of it: an error of that stage. */
  NoVerdict: 134,
  /** An ergot frame shorter than its header. */
  ErgotTruncated: 135,
  /** A number of more bits than its field has, or a protocol error to any or all sockets. */
  ErgotBadHeader: 136,
  /** A protocol error that does not exist, or bytes after it. */
  ErgotBadError: 137,
  /** Its time to live in an ergot network ended here. */
  ErgotTtlExpired: 138,
  /** A stuffed frame that ends before its codes do. */
  ErgotBadStuffing: 139,
  /** An ergot frame larger than its link carries. */
  ErgotTooLarge: 140,
  /** From an ergot address that nobody there can have: reserved, not of the link that it came by, or that of who received it. */
  ErgotBadSource: 141,
  /** For another node of the same ergot link, which hears it itself. */
  ErgotNotForUs: 142,
  /** No way to its ergot address, or none whose link works. */
  ErgotNoRoute: 143,
  /** Its way leads back to the ergot link that it came by, or it was here before. */
  ErgotRoutingLoop: 144,
  /** From a node number of a shared ergot link that nobody has claimed. */
  ErgotUnclaimed: 145,
  /** By an ergot link that has no network yet. */
  ErgotNoNetwork: 146,
  /** No socket of the node has its port, or its key, or its kind. */
  ErgotNoSocket: 147,
  /** The socket's queue was full. */
  ErgotQueueFull: 148,
  /** Its body is not what the type of the socket says. */
  ErgotBadMessage: 149,
  /** An answer or an error that nobody waits for, or no longer. */
  ErgotUnsolicited: 150,
  /** An ergot frame from a peer that is not the link's, or for which a listener has no room. */
  ErgotUnknownPeer: 151,
} as const;
export type DropReason = (typeof DropReason)[keyof typeof DropReason];

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter, at: number) => (at === 0 ? '' : '-') + letter.toLowerCase());
}

const NAMES: readonly string[] = Object.entries(DropReason).reduce<string[]>((names, [key, value]) => {
  names[value] = kebab(key);
  return names;
}, []);

/** The reason's name in text, e.g. `ipv4-bad-checksum`. */
export function dropReasonName(reason: DropReason): string {
  return NAMES[reason] ?? `drop-${reason}`;
}

/** The reason of that name, or `undefined`. */
export function dropReasonOf(name: string): DropReason | undefined {
  const reason = NAMES.indexOf(name);
  return reason > 0 ? (reason as DropReason) : undefined;
}

/** One dropped packet, as observers see it: the frame is valid only during the call. */
export interface Drop {
  readonly reason: DropReason;
  /** The operator or machine that dropped it, e.g. `ipv4`. */
  readonly operator: string;
  /** The packet, narrowed as far as it was parsed; `undefined` where only its descriptor was at hand. */
  readonly frame: Frame | undefined;
}

/** Counts drops by reason, and deliveries; tells observers of each drop, if there are any. */
export class Drops {
  private readonly counts = new Float64Array(NAMES.length);
  private listeners: readonly ((drop: Drop) => void)[] = [];
  /** Packets that were taken for good. */
  delivered = 0;

  /**
   * Ends a packet's way here. The first word about a frame counts: a frame that was dropped or delivered before is not counted again.
   * Returns `undefined`, so that a step can end with `return drops.report(...)`.
   */
  report(reason: DropReason, frame?: Frame, operator = ''): undefined {
    if (frame !== undefined) {
      if (frame.fate !== UNDER_WAY) return undefined;
      frame.fate = reason;
    }
    this.counts[reason] = (this.counts[reason] ?? 0) + 1;
    if (this.listeners.length > 0) {
      const drop = { reason, operator, frame };
      for (const listener of this.listeners) listener(drop);
    }
    return undefined;
  }

  /**
   * Ends an outgoing frame's way: reports it and gives its reference back. Its way out has an account of its own, since a frame that
   * answers in place was delivered before, on its way in.
   */
  refuse(reason: DropReason, frame: Frame, operator = ''): void {
    const { fate } = frame;
    frame.fate = UNDER_WAY;
    this.report(reason, frame, operator);
    if (fate !== UNDER_WAY) frame.fate = fate;
    frame.release();
  }

  /** Marks a received frame as taken for good: answered, queued, learnt from. */
  deliver(frame: Frame): void {
    if (frame.fate !== UNDER_WAY) return;
    frame.fate = DELIVERED;
    this.delivered++;
  }

  /** How many packets were dropped for `reason`. */
  count(reason: DropReason): number {
    return this.counts[reason] ?? 0;
  }

  /** All drops. */
  get total(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }

  /** The reasons that occurred, by name. */
  toJSON(): Record<string, number> {
    const out: Record<string, number> = {};
    this.counts.forEach((count, reason) => {
      if (count > 0) out[dropReasonName(reason as DropReason)] = count;
    });
    return out;
  }

  /** Calls `listener` for each drop from now on; returns how to stop. Listeners must not throw. */
  observe(listener: (drop: Drop) => void): () => void {
    // One of its own, so that who observes twice can stop once.
    const own = (drop: Drop) => listener(drop);
    this.listeners = [...this.listeners, own];
    return () => {
      this.listeners = this.listeners.filter((other) => other !== own);
    };
  }
}
