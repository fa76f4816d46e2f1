/** The services that benchmarks ask of TCP, as handlers: discard, echo and source (RFC 863, RFC 862). */

import type { ByteSink, TcpConnection, TcpHandler } from '../lib/l4/tcp/api.js';

/** What a source writes at once. */
export const BLOCK: Buffer = Buffer.alloc(131_072, 'rx-netstack ');

/** Looks at what comes, where it lies. */
export class Discard implements TcpHandler {
  protected readonly connection: TcpConnection;

  constructor(connection: TcpConnection) {
    this.connection = connection;
    connection.setNoDelay(true);
  }

  connected(): void {}
  writable(): void {}
  flushed(): void {}
  closed(): void {}

  readable(): void {
    this.take();
    if (this.connection.readEnded) this.connection.close();
  }

  protected take(): void {
    while (this.connection.consume(ignore) > 0);
  }
}

function ignore(): void {}

/** Writes what it is shown, as far as there is room. */
export class Echo extends Discard {
  private readonly back: ByteSink;

  constructor(connection: TcpConnection) {
    super(connection);
    // Where the sources run, a function in a field is given its name each time, for much.
    this.back = (bytes, from, to) => {
      connection.writeCopy(bytes, from, to);
    };
  }

  override writable(): void {
    this.take();
  }

  protected override take(): void {
    const { connection } = this;
    while (connection.readableBytes > 0 && connection.consume(this.back, connection.writableBytes) > 0);
  }
}

/** Writes for as long as somebody reads. */
export class Source extends Discard {
  override writable(): void {
    while (this.connection.write(BLOCK) === BLOCK.length);
  }
}
