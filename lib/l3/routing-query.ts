/** What routing may depend on: one record of plain numbers that serves one packet after another. */

import { anyAddress, type IpAddress } from '../core/address.js';
import type { Device } from '../core/device.js';
import type { Frame } from '../core/frame.js';
import type { PacketFields } from '../wire/packet-fields.js';

/** What rules look at, of one packet after another. Addresses are four words, as `PacketFields` has them. */
export class RouteQuery {
  a = 0;
  b = 0;
  c = 0;
  d = 0;
  /** The sender's address; unspecified where it is to be chosen by the route. */
  source0 = 0;
  source1 = 0;
  source2 = 0;
  source3 = 0;
  /** The device that the packet came in by; `undefined` for what is sent from here. */
  device: Device | undefined = undefined;
  mark = 0;
  dscp = 0;
  /** The hash of its flow (`FlowHash`). */
  flow = 0;

  /** Asks for the way of what is sent from here to an address, if known from which. */
  static to(destination: IpAddress, source: IpAddress = anyAddress(destination.version)): RouteQuery {
    const query = new RouteQuery();
    query.a = destination.word(0) | 0;
    query.b = destination.word(1) | 0;
    query.c = destination.word(2) | 0;
    query.d = destination.word(3) | 0;
    query.source0 = source.word(0) | 0;
    query.source1 = source.word(1) | 0;
    query.source2 = source.word(2) | 0;
    query.source3 = source.word(3) | 0;
    return query;
  }

  /** Asks for the way of a packet that came in by `device`, or was made here. */
  read(fields: PacketFields, frame: Frame, device: Device | undefined, flow: number): this {
    this.a = fields.destination0;
    this.b = fields.destination1;
    this.c = fields.destination2;
    this.d = fields.destination3;
    this.source0 = fields.source0;
    this.source1 = fields.source1;
    this.source2 = fields.source2;
    this.source3 = fields.source3;
    this.device = device;
    this.mark = frame.mark;
    this.dscp = fields.trafficClass >>> 2;
    this.flow = flow;
    return this;
  }
}
