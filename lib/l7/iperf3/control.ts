/** The control connection of a test: bytes are asked for by number, so that nothing is gathered that nobody waits for. */

import type { NetError } from '../../core/errors.js';
import type { Timer, Timers } from '../../core/timers.js';
import type { TcpConnection, TcpHandler } from '../../l4/tcp/api.js';
import { IperfError } from './failure.js';
import { type IperfErrorCode, type IperfState, LENGTH_SIZE, type Members, parseMessage } from './messages.js';

/** Who is told of a control connection's end. */
export interface ControlOwner {
  /** The peer is gone, or said what cannot be. Called once; nothing else is told afterwards. */
  lost(error: IperfError): void;
}

/** How long the other side may take to read the rest of what was sent, in milliseconds. */
const LINGER = 60_000;

const EMPTY = new Uint8Array(0);

/** See the module. At most one request waits at a time. */
export class ControlChannel implements TcpHandler {
  readonly connection: TcpConnection;
  private owner: ControlOwner | undefined;
  private readonly opened: (() => void) | undefined;
  private readonly timers: Timers;
  /** Runs from the end while there is something unsent. */
  private readonly lingering: Timer;
  private buffer: Uint8Array = EMPTY;
  private filled = 0;
  private whole: ((bytes: Uint8Array) => void) | undefined = undefined;
  private pumping = false;
  /** What the send buffer had no room for. */
  private unsent: Uint8Array[] = [];
  private over = false;

  /**
   * @param timers of the host
   * @param open makes the connection with this handler, or takes one over
   * @param opened is told that a connection of ours is established
   */
  constructor(owner: ControlOwner, timers: Timers, open: (handler: TcpHandler) => TcpConnection, opened?: () => void) {
    this.owner = owner;
    this.opened = opened;
    this.timers = timers;
    this.lingering = timers.timer(() => this.abort());
    this.connection = open(this);
    this.connection.setNoDelay(true);
  }

  /** Tells somebody else from now on. */
  handOver(owner: ControlOwner): void {
    this.owner = owner;
  }

  /** Calls `then` with the next `count` bytes, at once where they are there. */
  receive(count: number, then: (bytes: Uint8Array) => void): void {
    this.buffer = new Uint8Array(count);
    this.filled = 0;
    this.whole = then;
    this.pump();
  }

  /** Calls `then` with the next state. */
  receiveState(then: (state: number) => void): void {
    this.receive(1, ([state = 0]) => then(state));
  }

  /** Calls `then` with the next message. One that is too long or cannot be read ends the connection, for that reason. */
  receiveMessage(most: number, reason: IperfErrorCode, then: (message: Members) => void): void {
    const junk = (what: string) => this.fail(new IperfError('EPROTO', `the peer sends ${what}`, reason));
    this.receive(LENGTH_SIZE, (prefix) => {
      const length = new DataView(prefix.buffer).getUint32(0);
      if (length > most) {
        junk(`a message of ${length} bytes`);
        return;
      }
      this.receive(length, (bytes) => {
        const message = parseMessage(bytes);
        if (message === undefined) junk('a message that cannot be read');
        else then(message);
      });
    });
  }

  /** Sends bytes; they must not change. */
  send(bytes: Uint8Array): void {
    if (this.over) return;
    this.unsent.push(bytes);
    this.writable();
  }

  /** Sends a state. */
  sendState(state: IperfState): void {
    this.send(Uint8Array.of(state));
  }

  /** Ends the connection when everything is sent, or within a minute; nothing is told any more. */
  close(): void {
    this.owner = undefined;
    this.whole = undefined;
    if (this.over) return;
    this.over = true;
    if (this.unsent.length === 0) this.connection.close();
    else this.lingering.arm(this.timers.now() + LINGER);
  }

  /** Ends it at once. */
  abort(): void {
    this.owner = undefined;
    this.over = true;
    this.whole = undefined;
    this.unsent = [];
    this.lingering.cancel();
    this.connection.abort();
  }

  connected(): void {
    this.opened?.();
  }

  readable(): void {
    this.pump();
  }

  writable(): void {
    for (let [bytes] = this.unsent; bytes !== undefined; [bytes] = this.unsent) {
      const took = this.connection.write(bytes);
      if (took < bytes.length) {
        this.unsent[0] = bytes.subarray(took);
        return;
      }
      this.unsent.shift();
    }
    if (!this.over) return;
    this.lingering.cancel();
    this.connection.close();
  }

  flushed(): void {}

  closed(error: NetError | undefined): void {
    this.unsent = [];
    this.lingering.cancel();
    this.over = true;
    this.fail(new IperfError('ECONNRESET', error?.message ?? 'the control connection was closed'));
  }

  /** Requests may be made from within `then`: one loop serves them all. */
  private pump(): void {
    if (this.pumping) return;
    this.pumping = true;
    while (this.whole !== undefined && this.fill()) {
      const { whole, buffer } = this;
      this.whole = undefined;
      whole(buffer);
    }
    this.pumping = false;
    // Nothing is asked for while it is our turn: then the end is noticed by what fails next.
    if (this.whole !== undefined && this.connection.readEnded)
      this.fail(new IperfError('ECONNRESET', 'the control connection was closed'));
  }

  private fill(): boolean {
    const { buffer, connection } = this;
    while (this.filled < buffer.length) {
      const part = connection.read(buffer.length - this.filled);
      if (part === undefined) return false;
      buffer.set(part, this.filled);
      this.filled += part.length;
    }
    return true;
  }

  /** The owner ends it, and may say why before: the connection itself may be as good as ever. */
  private fail(error: IperfError): void {
    const { owner } = this;
    this.owner = undefined;
    this.whole = undefined;
    owner?.lost(error);
  }
}
