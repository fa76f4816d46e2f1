/** A DNS question over TCP: message and answer are preceded by their length (RFC 1035 4.2.2, RFC 7766 8). */

import { NetError } from '../core/errors.js';
import type { Endpoint, TcpConnection, TcpSockets } from '../l4/tcp/api.js';

/** Who is told of the answer. One of the two is called, once. */
export interface DnsTcpHandler {
  message(data: Uint8Array): void;
  failed(error: unknown): void;
}

class Asking {
  private readonly handler: DnsTcpHandler;
  private received: Uint8Array = new Uint8Array(0);
  private readonly connection: TcpConnection;
  private over = false;

  constructor(tcp: TcpSockets, server: Endpoint, query: Uint8Array, handler: DnsTcpHandler) {
    this.handler = handler;
    const nothing = (): void => undefined;
    this.connection = tcp.connect(server, {
      connected: nothing,
      writable: nothing,
      flushed: nothing,
      readable: () => this.read(),
      closed: (error) => this.fail(error ?? NetError.of('ECONNRESET', 'read')),
    });
    const framed = new Uint8Array(2 + query.length);
    framed.set([query.length >> 8, query.length & 0xff]);
    framed.set(query, 2);
    // Queries are far smaller than any send buffer.
    this.connection.write(framed);
  }

  cancel(): void {
    if (this.over) return;
    this.over = true;
    this.connection.abort();
  }

  private read(): void {
    if (this.over) return;
    for (let part = this.connection.read(); part !== undefined; part = this.connection.read()) {
      const longer = new Uint8Array(this.received.length + part.length);
      longer.set(this.received);
      longer.set(part, this.received.length);
      this.received = longer;
    }
    const { received } = this;
    const end = received.length < 2 ? Infinity : 2 + (((received[0] ?? 0) << 8) | (received[1] ?? 0));
    if (received.length >= end) {
      this.over = true;
      this.connection.close();
      this.handler.message(received.subarray(2, end));
    } else if (this.connection.readEnded) {
      this.connection.close();
      this.fail(NetError.of('ECONNRESET', 'read'));
    }
  }

  private fail(error: NetError): void {
    if (this.over) return;
    this.over = true;
    this.handler.failed(error);
  }
}

/** Asks over a connection of its own; returns how to give up. */
export function askOverTcp(tcp: TcpSockets, server: Endpoint, query: Uint8Array, handler: DnsTcpHandler): () => void {
  try {
    const asking = new Asking(tcp, server, query, handler);
    return () => asking.cancel();
  } catch (error) {
    handler.failed(error);
    return () => undefined;
  }
}
