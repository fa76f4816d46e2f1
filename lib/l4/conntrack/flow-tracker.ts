/**
 * Finds out which flow a packet belongs to, and whether it fits there: what a stateful firewall and a translator decide by. Flows are of TCP, whose
 * windows are followed, of UDP, of queries of ICMP, and of anything else between two addresses; errors of ICMP are related to the flow of the
 * packet that they quote.
 */

import { DropReason } from '../../core/drops.js';
import type { Env } from '../../core/env.js';
import { FlowState, type Frame, NOT_PARSED } from '../../core/frame.js';
import { ICMPV4_HEADER } from '../../wire/icmpv4.js';
import { IpProtocol } from '../../wire/ip.js';
import { ipOffset } from '../../wire/network-offset.js';
import { PacketFields } from '../../wire/packet-fields.js';
import { TCP_SEQUENCE } from '../../wire/tcp.js';
import { FlowBit } from './flow-records.js';
import { FragmentFlows } from './fragment-flows.js';
import { Confirmation, FlowTable } from './flow-table.js';
import { FlowTuple } from './flow-tuple.js';
import { IcmpClass, icmpClass } from './icmp-queries.js';
import { hasRightChecksum, hasUdpLength } from './integrity.js';
import { type TrackingOptions, type TrackingSettings, trackingSettings } from './options.js';
import { TcpFacts } from './tcp-facts.js';
import { TcpFlow } from './tcp-flow.js';
import { joinTcp, openTcp, TcpVerdict, trackTcp, wasSent } from './tcp-track.js';

/** Tracks flows; see the operator `conntrack`. */
export class FlowTracker {
  readonly table: FlowTable;
  private readonly settings: TrackingSettings;
  private readonly fields: PacketFields = new PacketFields();
  private readonly quoted: PacketFields = new PacketFields();
  private readonly tuple: FlowTuple = new FlowTuple();
  private readonly segment: TcpFacts = new TcpFacts();
  private readonly connection: TcpFlow = new TcpFlow();
  private readonly fragments: FragmentFlows;

  /** @throws UsageError `ERR_INVALID_OPTION` */
  constructor(options: TrackingOptions, env: Env) {
    this.settings = trackingSettings(options);
    this.table = new FlowTable(this.settings.capacity, this.settings.counting, env);
    this.fragments = new FragmentFlows(env.random);
  }

  /** Sets `flow`, `flowState` and `flowReply` of a frame, whatever they were. */
  track(frame: Frame): void {
    this.find(frame);
    this.table.tell();
  }

  /** Ends the way of a frame through the tracked part: its flow, if it is new, is entered for good. Says why it must be dropped, if so. */
  confirm(frame: Frame): DropReason | undefined {
    if (frame.flow === 0 || frame.flowState !== FlowState.New) return undefined;
    const refusal = this.enter(frame);
    this.table.tell();
    return refusal;
  }

  private find(frame: Frame): void {
    const { fields } = this;
    frame.flow = 0;
    frame.flowReply = false;
    const network = ipOffset(frame);
    // What is not of IP is nobody's flow.
    frame.flowState = network === NOT_PARSED ? FlowState.Untracked : FlowState.Invalid;
    if (!fields.read(frame, network)) return;
    if (fields.isFragment) this.trackFragment(frame);
    else if (fields.transport !== NOT_PARSED) this.trackWhole(frame);
  }

  private enter(frame: Frame): DropReason | undefined {
    switch (this.table.confirm(frame.flow)) {
      case Confirmation.Full:
        return DropReason.ConntrackFull;
      case Confirmation.Clash:
        return DropReason.ConntrackInvalid;
      case Confirmation.Done:
        frame.flow = this.table.confirmed;
        return undefined;
      default:
        return undefined;
    }
  }

  private trackWhole(frame: Frame): void {
    const { fields } = this;
    if (this.settings.checksums === 'all' && !hasRightChecksum(frame, fields)) return;
    switch (fields.protocol) {
      case IpProtocol.Tcp:
        return this.trackTcp(frame);
      case IpProtocol.Udp:
        if (hasUdpLength(frame, fields)) this.trackOther(frame, this.settings.timeouts.udp);
        return;
      default:
        if (fields.icmpType >= 0) this.trackIcmp(frame);
        else this.trackOther(frame, this.settings.timeouts.other);
    }
  }

  /** Later fragments follow the first. Of TCP a whole segment is needed, and nobody cuts errors of ICMP. */
  private trackFragment(frame: Frame): void {
    const { fields, fragments, table } = this;
    const now = table.now();
    if (fields.fragmentOffset > 0) {
      fragments.follow(frame, fields, now);
      if (frame.flow === 0 || table.records.slotOf(frame.flow) !== 0) return;
      frame.flow = 0;
      frame.flowState = FlowState.Invalid;
    } else if (fields.transport !== NOT_PARSED && fields.protocol !== IpProtocol.Tcp) {
      this.trackWhole(frame);
      if (frame.flow !== 0 && frame.flowState !== FlowState.Related) fragments.note(frame, fields, now);
    }
  }

  /** Reference to the flow of the packet that was read, or 0. */
  private lookup(now: number): number {
    this.tuple.read(this.fields);
    return this.table.lookup(this.tuple, now);
  }

  private trackOther(frame: Frame, timeout: number): void {
    const { table } = this;
    const now = table.now();
    const reference = this.lookup(now);
    if (reference === 0 && !this.isIntact(frame)) return;
    const slot = reference === 0 ? table.open(this.tuple, now) : reference >>> 1;
    const direction = reference & 1;
    let bits = table.records.bits(slot);
    if (direction === 1) bits |= FlowBit.Replied;
    else if ((bits & FlowBit.Replied) !== 0) bits |= FlowBit.Assured;
    this.renew(slot, now + timeout);
    this.tell(frame, slot, direction, bits);
  }

  private trackIcmp(frame: Frame): void {
    const { version, icmpType } = this.fields;
    const kind = icmpClass(version === 4 ? 4 : 6, icmpType);
    if (kind === IcmpClass.Link) frame.flowState = FlowState.Untracked;
    else if (kind === IcmpClass.Error) this.relate(frame);
    else if (kind === IcmpClass.Query) this.trackOther(frame, this.settings.timeouts.icmp);
    // An answer that nobody asked for opens no flow.
    else if (kind === IcmpClass.Answer && this.lookup(this.table.now()) !== 0) {
      this.trackOther(frame, this.settings.timeouts.icmp);
    }
  }

  private trackTcp(frame: Frame): void {
    const { segment, table, connection } = this;
    segment.read(this.fields);
    if (!segment.isPossible) return;
    if ((segment.syn || segment.rst || segment.fin) && !this.isIntact(frame)) return;
    const now = table.now();
    const reference = this.lookup(now);
    if (reference === 0) return this.beginTcp(frame, now);
    const slot = reference >>> 1;
    const direction = reference & 1;
    connection.load(table.records, slot);
    const verdict = trackTcp(connection, segment, direction === 1, this.settings.windows);
    if (verdict === TcpVerdict.Invalid) return;
    if (verdict === TcpVerdict.Reopens) {
      table.remove(slot, 'replaced');
      this.beginTcp(frame, now);
      return;
    }
    connection.store(table.records, slot);
    if (verdict === TcpVerdict.Accepted) this.renew(slot, now + this.tcpTimeout(connection));
    this.tell(frame, slot, direction, this.tcpBits(slot, direction));
  }

  private beginTcp(frame: Frame, now: number): void {
    const { segment, connection, table } = this;
    if (segment.syn && !segment.ack) openTcp(connection, segment);
    else if (segment.syn || segment.rst || segment.fin || this.settings.midStream === 'invalid') return;
    else if (this.settings.midStream === 'untracked') {
      frame.flowState = FlowState.Untracked;
      return;
    } else joinTcp(connection, segment);
    const slot = table.open(this.tuple, now);
    connection.store(table.records, slot);
    this.renew(slot, now + this.tcpTimeout(connection));
    this.tell(frame, slot, 0, 0);
  }

  private tcpBits(slot: number, direction: number): number {
    const { connection, table } = this;
    let bits = table.records.bits(slot) & ~FlowBit.Closing;
    if (direction === 1) bits |= FlowBit.Replied;
    if (connection.isMutual) bits |= FlowBit.Assured;
    if (connection.isOver) bits |= FlowBit.Closing;
    return bits;
  }

  private tcpTimeout(connection: TcpFlow): number {
    const { timeouts } = this.settings;
    if (connection.reset) return timeouts.tcpReset;
    if (!connection.isMutual) return timeouts.tcpOpening;
    if (connection.isClosed) return timeouts.tcpClosing;
    if (connection.owes && !connection.midStream) return timeouts.tcpUnacknowledged;
    if (connection.isClosing) return timeouts.tcpHalfClosed;
    return connection.midStream ? timeouts.tcpMidStream : timeouts.tcpEstablished;
  }

  /** An error of ICMP: it neither renews nor ends the flow that it is about (RFC 5508 4.2, RFC 4787 8). */
  private relate(frame: Frame): void {
    const { fields, quoted, table } = this;
    if (!quoted.readQuoted(frame, fields.transport + ICMPV4_HEADER, fields.end)) return;
    if (quoted.transport === NOT_PARSED || quoted.version !== fields.version) return;
    // Whom it is sent to sent the packet that it quotes.
    if (!quotesItsReceiver(fields, quoted) || !this.isIntact(frame) || !this.quotesFlow()) return;
    this.tuple.read(quoted);
    const reference = table.lookup(this.tuple, table.now());
    if (reference === 0) return;
    const slot = reference >>> 1;
    const isReply = (reference & 1) === 1;
    if (quoted.protocol === IpProtocol.Tcp) {
      this.connection.load(table.records, slot);
      // Its sequence number is within the eight bytes that every error quotes.
      if (!wasSent(this.connection, isReply, quoted.view.getInt32(quoted.transport + TCP_SEQUENCE))) return;
    }
    frame.flow = table.records.idOf(slot);
    frame.flowReply = !isReply;
    frame.flowState = FlowState.Related;
  }

  /** Errors are not about errors (RFC 1122 3.2.2). */
  private quotesFlow(): boolean {
    const { icmpType, version } = this.quoted;
    if (icmpType < 0) return true;
    const kind = icmpClass(version === 4 ? 4 : 6, icmpType);
    return kind === IcmpClass.Query || kind === IcmpClass.Answer;
  }

  private isIntact(frame: Frame): boolean {
    return this.settings.checksums !== 'control' || hasRightChecksum(frame, this.fields);
  }

  private renew(slot: number, deadline: number): void {
    this.table.records.deadlines[slot] = deadline | 0;
  }

  /** What the packet is to its flow, and the flow from now on. */
  private tell(frame: Frame, slot: number, direction: number, bits: number): void {
    const { records } = this.table;
    records.count(slot, direction, this.fields.length);
    frame.flow = records.idOf(slot);
    frame.flowReply = direction === 1;
    frame.flowState = direction === 0 && (bits & FlowBit.Replied) === 0 ? FlowState.New : FlowState.Established;
    this.table.setBits(slot, bits);
  }
}

function quotesItsReceiver(error: PacketFields, quoted: PacketFields): boolean {
  return (
    error.destination3 === quoted.source3 &&
    error.destination2 === quoted.source2 &&
    error.destination1 === quoted.source1 &&
    error.destination0 === quoted.source0
  );
}
