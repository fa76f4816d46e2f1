/** Segments that a connection or the host will not have: how they are accounted for, and what is answered (RFC 5961). */

import { type DropReason } from '../../core/drops.js';
import type { Env } from '../../core/env.js';
import { type IpOutput, pseudoHeaderSum } from '../../l3/ip-output.js';
import { senderOf } from '../../l3/scope.js';
import { type IpFlow, type IpPacket, IpProtocol } from '../../wire/ip.js';
import { TcpFlag, TcpSegment } from '../../wire/tcp.js';
import type { Connection } from './connection.js';
import type { Segment } from './segment.js';

/** Accounts for a segment that is not taken. */
export function drop(c: Connection, segment: Segment, reason: DropReason): void {
  c.host.env.drops.report(reason, segment.frame, 'tcp');
}

/** Challenge ACKs of one connection, and since when they are counted. Made with the first. */
export class ChallengeBudget {
  sent = 0;
  since: number;

  constructor(now: number) {
    this.since = now;
  }
}

/**
 * Owes an ACK that tells the peer where we are, unless there were many of late (RFC 5961 7). The budget is the connection's own: a common
 * one would tell strangers whether a guess about somebody else's connection was right (CVE-2016-5696).
 */
export function challenge(c: Connection): void {
  const { now, config, counters } = c.host;
  c.challenges ??= new ChallengeBudget(now);
  const { challenges } = c;
  if (now - challenges.since >= config.challengePeriod) {
    challenges.since = now;
    challenges.sent = 0;
  }
  if (challenges.sent >= config.challengeLimit) return;
  challenges.sent++;
  counters.challengeAcks++;
  c.oweAck();
}

/**
 * Answers a segment that belongs to no connection, or acknowledges what was never sent, with a RST that is exact for its sender
 * (RFC 9293 3.10.7.1). Nothing is answered to a RST.
 */
export function refuse(env: Env, output: IpOutput, packet: IpPacket, segment: Segment): boolean {
  if (segment.has(TcpFlag.Rst)) return false;
  const flow = {
    version: packet.version,
    source: packet.destinationAddress,
    destination: senderOf(packet),
    protocol: IpProtocol.Tcp,
    hopLimit: 64,
    trafficClass: 0,
    dontFragment: true,
  } as IpFlow;
  const acked = segment.has(TcpFlag.Ack);
  const frame = env.pool.alloc(0);
  TcpSegment.emit(
    frame,
    {
      sourcePort: segment.destinationPort,
      destinationPort: segment.sourcePort,
      sequence: acked ? segment.ack : 0,
      acknowledgment: acked ? 0 : (segment.seq + segment.span) | 0,
      flags: acked ? TcpFlag.Rst : TcpFlag.Rst | TcpFlag.Ack,
      window: 0,
      urgentPointer: 0,
    },
    0,
  );
  TcpSegment.seal(frame, pseudoHeaderSum(flow, frame.length));
  output.send(frame, flow);
  return true;
}
