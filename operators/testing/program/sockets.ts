/** The host's sockets as a program gets them: what comes from the network enters the program by its own doors, and what it opened is known. */

import { errorMonitor } from 'node:events';
import type { LookupFunction } from 'node:net';
import type { Timers } from '../../../lib/core/timers.js';
import type { TcpConnection, TcpHandler, TcpListener, TcpSockets } from '../../../lib/l4/tcp/api.js';
import type { UdpMessage, UdpSockets, UdpViewer } from '../../../lib/l4/udp-api.js';
import { type DatagramSocket, nodeDgram, type NodeDgram } from '../../../lib/socket/dgram.js';
import { type NodeNet, nodeNet } from '../../../lib/socket/net.js';
import type { ListenArguments, Server } from '../../../lib/socket/server.js';
import type { Socket } from '../../../lib/socket/socket.js';
import type { Program } from './program.js';

function bound(program: Program, handler: TcpHandler): TcpHandler {
  return {
    connected: program.bind(() => handler.connected()),
    readable: program.bind(() => handler.readable()),
    writable: program.bind(() => handler.writable()),
    flushed: program.bind(() => handler.flushed()),
    closed: program.bind((error) => handler.closed(error)),
  };
}

/** Has a connection tell the program by its doors, whatever handler it is given. */
function entering(program: Program, connection: TcpConnection): TcpConnection {
  let current: TcpHandler | undefined;
  const prototype = Object.getPrototypeOf(connection) as object;
  const inherited = Object.getOwnPropertyDescriptor(prototype, 'handler');
  return Object.defineProperty(connection, 'handler', {
    get: () => current ?? (inherited?.get?.call(connection) as TcpHandler),
    set(handler: TcpHandler) {
      current = handler;
      inherited?.set?.call(connection, bound(program, handler));
    },
  });
}

function programTcp(program: Program): TcpSockets {
  const { tcp } = program.stack;
  return {
    connect: (remote, handler, options) => entering(program, tcp.connect(remote, bound(program, handler), options)),
    listen: (local, options) => {
      const listener = tcp.listen(local, options);
      const door: TcpListener = {
        local: listener.local,
        accept: () => {
          const connection = listener.accept();
          return connection && entering(program, connection);
        },
        get acceptable() {
          return listener.acceptable;
        },
        set acceptable(callback) {
          listener.acceptable = callback && program.bind(callback);
        },
        close: () => listener.close(),
      };
      return door;
    },
  };
}

function programUdp(program: Program): UdpSockets {
  const { udp } = program.stack;
  return {
    bind: (local, handler, options) =>
      udp.bind(
        local,
        {
          ...('view' in handler
            ? { view: program.bind((...datagram: Parameters<UdpViewer['view']>) => handler.view(...datagram)) }
            : { message: program.bind((message: UdpMessage) => handler.message(message)) }),
          error: program.bind((error) => handler.error(error)),
          report: program.bind((report) => handler.report?.(report)),
        },
        options,
      ),
  };
}

/** The host's clock, whose timers enter the program. */
export function enteringTimers(program: Program): Timers {
  return {
    now: () => program.timers.now(),
    timer: (callback: (owner: never) => void, owner?: unknown) =>
      program.timers.timer(program.bind(() => callback(owner as never))),
    asOne: (event) => program.timers.asOne(event),
    atEnd: (task) => program.timers.atEnd(program.bind(task)),
  };
}

/** Something that can keep a program running. */
interface Handle {
  ref(): unknown;
  unref(): unknown;
  once(event: 'close', listener: () => void): unknown;
}

/** Notes a socket or server that is open, until it is closed. */
function adopt(program: Program, handle: Handle, release: () => void): void {
  program.hold(handle, release);
  handle.once('close', () => program.letGo(handle));
}

function withReferences<T extends Handle>(program: Program, handle: T): T {
  handle.ref = () => {
    program.keep(handle, true);
    return handle;
  };
  handle.unref = () => {
    program.keep(handle, false);
    return handle;
  };
  return handle;
}

/** The module `node:net` of a program. */
export function programNet(program: Program, lookup: LookupFunction): NodeNet {
  const base = nodeNet(programTcp(program), { timers: enteringTimers(program), lookup });
  const opened = (socket: Socket) => adopt(program, socket, () => socket.destroy());
  const ProgramSocket = class extends base.Socket {
    constructor(...args: ConstructorParameters<NodeNet['Socket']>) {
      super(...args);
      withReferences(program, this);
    }
    override connect(...args: unknown[]): this {
      super.connect(...(args as Parameters<Socket['connect']>));
      opened(this);
      return this;
    }
  };
  const ProgramServer = class extends base.Server {
    constructor(...args: ConstructorParameters<NodeNet['Server']>) {
      const [options, listener] = args;
      super(options);
      withReferences(program, this);
      this.on('connection', (socket: Socket) => opened(withReferences(program, socket)));
      if (listener !== undefined) this.on('connection', listener);
    }
    override listen(...args: ListenArguments): this {
      super.listen(...args);
      adopt(program, this, () => this.close());
      // Hears of errors without answering for them.
      this.once(errorMonitor, () => program.letGo(this));
      return this;
    }
  };
  const connect = (...args: unknown[]): Socket => {
    const [first] = args;
    const options = typeof first === 'object' && first !== null ? first : {};
    return new ProgramSocket(options).connect(...args);
  };
  const createServer = (...args: unknown[]): Server => {
    const [first, second] = args;
    return typeof first === 'function'
      ? new ProgramServer({}, first as (socket: Socket) => void)
      : new ProgramServer(first ?? {}, second as (socket: Socket) => void);
  };
  return {
    ...base,
    Socket: ProgramSocket,
    Stream: ProgramSocket,
    Server: ProgramServer,
    connect,
    createConnection: connect,
    createServer,
  };
}

/** The module `node:dgram` of a program. */
export function programDgram(program: Program, lookup: LookupFunction): NodeDgram & { readonly Socket: unknown } {
  const base = nodeDgram(programUdp(program), { lookup });
  return {
    Socket: Object,
    createSocket: (...args) => {
      const socket: DatagramSocket = withReferences(program, base.createSocket(...args));
      const bind = socket.bind.bind(socket);
      // Sending binds as well, and does so by way of `bind`.
      socket.bind = (...where) => {
        bind(...where);
        adopt(program, socket, () => socket.close());
        const failed = () => program.letGo(socket);
        socket.once(errorMonitor, failed).prependOnceListener('listening', () => socket.off(errorMonitor, failed));
        return socket;
      };
      return socket;
    },
  };
}
