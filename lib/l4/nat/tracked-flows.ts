/** Tells a table of flows, in front of a translator, what replies to a translated packet will look like when they come. */

import { type Frame, NOT_PARSED } from '../../core/frame.js';
import { ipOffset } from '../../wire/network-offset.js';
import { PacketFields } from '../../wire/packet-fields.js';
import { isIcmpError } from '../../wire/rewrite.js';
import type { FlowTable } from '../conntrack/flow-table.js';
import { FlowTuple } from '../conntrack/flow-tuple.js';

/** See the module. */
export class TrackedFlows {
  private readonly table: FlowTable;
  private readonly fields: PacketFields = new PacketFields();
  private readonly left: FlowTuple = new FlowTuple();
  private readonly reply: FlowTuple = new FlowTuple();

  constructor(table: FlowTable) {
    this.table = table;
  }

  /** A packet leaves, translated: the first of its flow says how those that follow come back. */
  leaves(frame: Frame): void {
    const { fields, left, reply, table } = this;
    if (frame.flow === 0 || !table.isPending(frame.flow)) return;
    const at = ipOffset(frame);
    if (at === NOT_PARSED || !fields.read(frame, at) || fields.transport === NOT_PARSED || isIcmpError(fields)) return;
    left.read(fields);
    reply.invert(left);
    table.setReply(frame.flow, reply);
  }
}
