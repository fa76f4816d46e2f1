/**
 * Finds out which flow a packet belongs to, and whether it fits there: what a stateful firewall and a translator decide by. Flows are of TCP, whose
 * windows are followed, of UDP, of queries of ICMP, and of anything else between two addresses; errors of ICMP are related to the flow of the
 * packet that they quote.
 */

import { DropReason } from '../../core/drops.js';
import type { Env } from '../../core/env.js';
import { FlowState, type Frame, NOT_PARSED } from '../../core/frame.js';
import { IpProtocol } from '../../wire/ip.js';
import { ipOffset } from '../../wire/network-offset.js';
import { PacketFields } from '../../wire/packet-fields.js';
import { FlowBit } from './flow-records.js';
import { Confirmation, FlowTable } from './flow-table.js';
import { FlowTuple } from './flow-tuple.js';
import { IcmpClass, icmpClass } from './icmp-queries.js';
import { type TrackingOptions, type TrackingSettings, trackingSettings } from './options.js';

/** Tracks flows; see the operator `conntrack`. */
export class FlowTracker {
  readonly table: FlowTable;
  private readonly settings: TrackingSettings;
  private readonly fields: PacketFields = new PacketFields();
  private readonly quoted: PacketFields = new PacketFields();
  private readonly tuple: FlowTuple = new FlowTuple();

  /** @throws UsageError `ERR_INVALID_OPTION` */
  constructor(options: TrackingOptions, env: Env) {
    this.settings = trackingSettings(options);
    this.table = new FlowTable(this.settings.capacity, this.settings.counting, env);
  }

  /** Sets `flow`, `flowState` and `flowReply` of a frame, whatever they were. */
  track(frame: Frame): void {
    const { fields } = this;
    frame.flow = 0;
    frame.flowReply = false;
    frame.flowState = FlowState.Invalid;
    if (!fields.read(frame, ipOffset(frame)) || fields.transport === NOT_PARSED) return;
    if (fields.icmpType >= 0) {
      const kind = icmpClass(fields.version === 4 ? 4 : 6, fields.icmpType);
      if (kind === IcmpClass.Error) return this.relate(frame);
      if (kind === IcmpClass.Link) frame.flowState = FlowState.Untracked;
      if (kind === IcmpClass.Link || kind === IcmpClass.Unknown) return;
    }
    this.tuple.read(fields);
    const now = this.table.now();
    const reference = this.table.lookup(this.tuple, now);
    if (reference === 0) this.begin(frame, now);
    else this.follow(frame, reference >>> 1, reference & 1, now);
  }

  /** Ends the way of a frame through the tracked part: its flow, if it is new, is entered for good. Says why it must be dropped, if so. */
  confirm(frame: Frame): DropReason | undefined {
    if (frame.flow === 0 || frame.flowState !== FlowState.New) return undefined;
    switch (this.table.confirm(frame.flow)) {
      case Confirmation.Full:
        return DropReason.ConntrackFull;
      case Confirmation.Clash:
        return DropReason.ConntrackInvalid;
      default:
        return undefined;
    }
  }

  private begin(frame: Frame, now: number): void {
    const { fields, table } = this;
    if (fields.icmpType >= 0 && icmpClass(fields.version === 4 ? 4 : 6, fields.icmpType) !== IcmpClass.Query) return;
    const slot = table.open(this.tuple, now);
    this.follow(frame, slot, 0, now);
  }

  private follow(frame: Frame, slot: number, direction: number, now: number): void {
    const { fields, table } = this;
    const { records } = table;
    let bits = records.bits(slot);
    if (direction === 1) bits |= FlowBit.Replied;
    else if ((bits & FlowBit.Replied) !== 0) bits |= FlowBit.Assured;
    table.setBits(slot, bits);
    records.deadlines[slot] = (now + this.timeout(fields.protocol)) | 0;
    records.count(slot, direction, fields.length);
    frame.flow = records.idOf(slot);
    frame.flowReply = direction === 1;
    frame.flowState = (bits & FlowBit.Replied) === 0 ? FlowState.New : FlowState.Established;
  }

  /** An error of ICMP: it neither renews nor ends the flow that it is about (RFC 5508 4.2, RFC 4787 8). */
  private relate(frame: Frame): void {
    const { fields, quoted, table } = this;
    if (!quoted.readQuoted(frame, fields.transport + 8, fields.end) || quoted.transport === NOT_PARSED) return;
    this.tuple.read(quoted);
    const reference = table.lookup(this.tuple, table.now());
    if (reference === 0) return;
    frame.flow = table.records.idOf(reference >>> 1);
    frame.flowReply = (reference & 1) === 0;
    frame.flowState = FlowState.Related;
  }

  private timeout(protocol: number): number {
    const { timeouts } = this.settings;
    if (protocol === IpProtocol.Tcp) return timeouts.tcpEstablished;
    if (protocol === IpProtocol.Udp) return timeouts.udp;
    return protocol === IpProtocol.Icmp || protocol === IpProtocol.Icmpv6 ? timeouts.icmp : timeouts.other;
  }
}
