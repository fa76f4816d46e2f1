/**
 * A profile for specs that are about something else: all nodes have a number that they are told, in network 1, and links are cables between them all. It
 * keeps what it was asked to send, and answers with an error that a spec may choose.
 */

import type { Device } from '../../../lib/core/device.js';
import type { Frame } from '../../../lib/core/frame.js';
import * as e from '../../../lib/ergot/index.js';
import { netAddressing } from '../../../lib/ergot/profiles/addressing.js';

export class FlatProfile implements e.Profile<number> {
  readonly addressing: e.Addressing<number> = netAddressing;
  readonly links: e.LinkStatus<number>[] = [];
  /** How often each of these was called. */
  readonly calls = { start: 0, stop: 0 };
  /** The texts of the addresses that something was to be sent to. */
  readonly sent: string[] = [];
  readonly messages: e.Message<number>[] = [];
  /** What `send` is to say, instead of sending. */
  refusal: e.ProtocolError | undefined;
  /** With `refusal` of what is too big. */
  readonly mtu = 99;
  /** Say that all was sent, for want of links. */
  takes = false;
  private readonly node: number;
  private readonly header = new e.FrameHeader();
  private host: e.ProfileNode<number> | undefined;

  constructor(node: number) {
    this.node = node;
  }

  private get owner(): e.ProfileNode<number> {
    if (this.host === undefined) throw new Error('not started');
    return this.host;
  }

  start(node: e.ProfileNode<number>): void {
    this.calls.start++;
    this.host = node;
  }

  stop(): void {
    this.calls.stop++;
  }

  attach(link: Device): void {
    this.links.push({ link, state: e.LinkState.Active, address: e.netAddress(1, this.node, 0) });
    this.owner.changed();
  }

  detach(link: Device): void {
    this.links.splice(
      this.links.findIndex((status) => status.link === link),
      1,
    );
    this.owner.changed();
  }

  receive(_link: Device, frame: Frame): void {
    const { header } = this;
    const { env } = this.owner;
    const wrong = header.read(frame);
    if (wrong !== undefined) return env.drops.report(wrong, frame);
    const message = new e.Message(0);
    Object.assign(message, header);
    message.reach = netAddressing.reach(header.destination);
    message.port = e.portOf(header.destination);
    const all = message.reach === e.Reach.All;
    if (!all && e.nodeOf(header.destination) !== this.node) return env.drops.report(e.protocolErrorReason(6), frame);
    const error = this.owner.deliver(message, frame);
    if (error === undefined) return;
    if (all) env.drops.report(e.protocolErrorReason(error), frame);
    else if (message.kind !== e.FrameKind.Error) this.complain(message, error);
  }

  send(message: e.Message<number>, frame: Frame): e.ProtocolError | undefined {
    this.sent.push(e.netAddressText(message.destination));
    this.messages.push(message);
    if (this.refusal === e.ProtocolError.IsePacketTooBig) message.mtu = this.mtu;
    const local = message.reach !== e.Reach.All && e.nodeOf(message.destination) === this.node;
    const error = this.refusal ?? (local ? e.ProtocolError.IseDestinationLocal : undefined);
    if (error !== undefined) {
      if (error !== e.ProtocolError.IseDestinationLocal && error !== e.ProtocolError.IseRoutingLoop) frame.release();
      return error;
    }
    const { kind, sequence, destination, keyLow, keyHigh, name } = message;
    const source = e.netAddress(1, this.node, message.port);
    Object.assign(this.header, { kind, sequence, destination, keyLow, keyHigh, name, source, ttl: 15 });
    this.header.push(frame);
    for (const { link } of this.links) this.owner.transmit(link, this.owner.env.pool.copy(frame));
    frame.release();
    return this.takes || this.links.length > 0 ? undefined : e.ProtocolError.IseNoRouteToDest;
  }

  /** Tells the sender of a message what was wrong with it. */
  private complain(about: e.Message<number>, error: e.ProtocolError): void {
    const frame = this.owner.env.pool.alloc(16);
    Object.assign(new e.ProtocolErrorBody(), { error }).put(frame);
    const { source, destination, sequence } = about;
    const header = { source: destination, destination: source, sequence, kind: e.FrameKind.Error, ttl: 15 };
    Object.assign(this.header, header).push(frame);
    for (const { link } of this.links) this.owner.transmit(link, this.owner.env.pool.copy(frame));
    frame.release();
  }
}
