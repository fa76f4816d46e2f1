/**
 * Passive opens (RFC 9293 3.10.7.2): what a SYN for a listener leads to. Usually an embryonic connection; where a listener has too many of
 * these, a cookie and no state (RFC 4987); where its backlog is full, nothing: whoever cannot be served is better told nothing than yes.
 */

import type { IpAddress } from '../../core/address.js';
import { DropReason } from '../../core/drops.js';
import type { IpPath, IpPaths } from '../../l3/ip-output.js';
import { senderOf } from '../../l3/scope.js';
import type { IpPacket } from '../../wire/ip.js';
import { TcpFlag } from '../../wire/tcp.js';
import type { Endpoint } from './api.js';
import { Connection } from './connection.js';
import type { TcpContext } from './context.js';
import type { ConnectionTable } from './demux.js';
import { FastOpen } from './fast-open.js';
import { completeByCookie, number, openEarly, prepare, readSyn } from './handshake.js';
import type { SequenceNumbers } from './isn.js';
import type { Listener } from './listener.js';
import { receive } from './receive.js';
import { sendFirstSyn } from './emit.js';
import type { Segment } from './segment.js';
import { asSyn, COOKIE_LIFETIME, sendCookie, SynCookies } from './syn-cookies.js';

const { Ack, Rst, Syn } = TcpFlag;

/** Makes the connections that others open to a host. */
export class PassiveOpens {
  private readonly host: TcpContext;
  private readonly paths: IpPaths;
  private readonly table: ConnectionTable;
  private readonly numbers: SequenceNumbers;
  /** Made when the first is needed. */
  private cookies: SynCookies | undefined = undefined;

  constructor(host: TcpContext, paths: IpPaths, table: ConnectionTable, numbers: SequenceNumbers) {
    this.host = host;
    this.paths = paths;
    this.table = table;
    this.numbers = numbers;
  }

  /** Answers the SYN in `packet`, from `client`. @param beyond an initial sequence number must be after this */
  open(listener: Listener, packet: IpPacket, segment: Segment, client: IpAddress, beyond: number | undefined): void {
    const { synCookies } = this.host.config;
    // A peer with a connection in TIME-WAIT is no stranger.
    const full = !listener.hasRoomForEmbryo && beyond === undefined;
    if (!listener.hasRoom || (full && synCookies === 'off')) {
      this.backlogDrop(packet);
      return;
    }
    const local = listener.endAt(packet.destinationAddress);
    const path = this.pathBack(packet, client, local.address);
    if (path === undefined) return;
    if (full || synCookies === 'always') {
      this.answerWithCookie(listener, packet, segment, path);
      return;
    }
    const connection = this.connection(listener, client, local, segment);
    connection.to('passive-open');
    readSyn(connection, segment);
    connection.to('syn');
    this.host.env.drops.deliver(packet.frame);
    number(connection, this.numbers, path, beyond);
    if (this.mayBeEarly(listener, connection, packet, segment)) {
      this.host.counters.fastOpensPassive++;
      listener.admitEarly(connection);
      openEarly(connection, segment);
    } else listener.adopt(connection);
    sendFirstSyn(connection);
  }

  /** Whether the connection may be served before its handshake is complete (RFC 7413 4.2.2); if not, it may get a cookie. */
  private mayBeEarly(listener: Listener, c: Connection, packet: IpPacket, segment: Segment): boolean {
    const { config, fastOpen, now, counters } = this.host;
    const { options } = segment;
    const asked = options.fastOpenLength >= 0;
    const bare = config.fastOpenWithoutCookie && (asked || segment.length > 0);
    if ((!asked && !bare) || listener.early >= (listener.options.fastOpen ?? 0)) return false;
    const client = packet.sourceAddress;
    const own = packet.destinationAddress;
    const verdict = bare ? 'fresh' : fastOpen.check(options, client, own, now);
    if (verdict === 'wrong' && options.fastOpenLength > 0) counters.fastOpensRejected++;
    c.fastOpen = new FastOpen();
    c.fastOpen.experimental = options.fastOpenExperimental;
    if (verdict !== 'fresh') c.fastOpen.reply = fastOpen.cookieFor(client, own, now);
    if (verdict !== 'wrong') c.fastOpen.begin(listener);
    return c.fastOpen.isEarly;
  }

  /** The segment size in the cookie that the segment returns, or 0; -1 if none is expected. */
  cookieIn(listener: Listener, packet: IpPacket, segment: Segment): number {
    const { now } = this.host;
    if (this.cookies === undefined || now - listener.cookieAt > COOKIE_LIFETIME) return -1;
    if ((segment.flags & (Ack | Syn | Rst)) !== Ack) return -1;
    return this.cookies.check(packet, segment, now);
  }

  /** Makes the connection that a returned cookie stands for; returns whether there is one, or may be later. */
  acceptCookie(listener: Listener, packet: IpPacket, segment: Segment): boolean {
    const { counters } = this.host;
    const mss = this.cookieIn(listener, packet, segment);
    if (mss <= 0) {
      if (mss === 0) counters.cookiesRejected++;
      return false;
    }
    if (!listener.hasRoom) {
      // Whatever the peer has to say it will say again.
      this.backlogDrop(packet);
      return true;
    }
    const client = senderOf(packet);
    const local = listener.endAt(packet.destinationAddress);
    const path = this.pathBack(packet, client, local.address);
    if (path === undefined) return true;
    counters.cookiesAccepted++;
    const connection = this.connection(listener, client, local, segment);
    const offset = this.timestampOffset(packet, segment);
    connection.to('passive-open');
    const asAck = asSyn(segment, mss, offset, connection.config);
    readSyn(connection, segment);
    asAck();
    prepare(connection, (segment.ack - 1) | 0, offset, path);
    connection.parent = listener;
    listener.admit(connection);
    completeByCookie(connection);
    receive(connection, segment, packet);
    return true;
  }

  private answerWithCookie(listener: Listener, packet: IpPacket, segment: Segment, path: IpPath): void {
    const { host } = this;
    this.cookies ??= new SynCookies(host.env.random);
    listener.cookieAt = host.now;
    listener.answered({ address: senderOf(packet), port: segment.sourcePort });
    host.env.drops.deliver(packet.frame);
    const cookie = this.cookies.make(packet, segment, host.now);
    const timestampOffset = this.timestampOffset(packet, segment);
    sendCookie(host, packet, segment, cookie, { listen: listener.options, path, timestampOffset });
  }

  private timestampOffset(packet: IpPacket, { destinationPort, sourcePort }: Segment): number {
    return this.numbers.timestampOffset(packet.destinationAddress, destinationPort, senderOf(packet), sourcePort);
  }

  /** A connection between `client` and our end, in the table. */
  private connection(listener: Listener, client: IpAddress, local: Endpoint, segment: Segment): Connection {
    const remote = { address: client, port: segment.sourcePort };
    const connection = new Connection(this.host, local, remote, undefined, listener.options);
    this.table.insert(connection);
    return connection;
  }

  /** The way to `client`, who sent `packet` to `own`; drops the packet where there is none. */
  private pathBack(packet: IpPacket, client: IpAddress, own: IpAddress): IpPath | undefined {
    const path = this.paths.path(client, own);
    if (path === undefined) this.host.env.drops.report(DropReason.IpNoRoute, packet.frame, 'tcp');
    return path;
  }

  private backlogDrop(packet: IpPacket): void {
    const { counters, env } = this.host;
    counters.backlogDrops++;
    env.drops.report(DropReason.TcpBacklogFull, packet.frame, 'tcp');
  }
}
