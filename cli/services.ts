/** The services of `rx-netstack host`: echo (RFC 862), discard (RFC 863), chargen (RFC 864) over TCP and UDP, and HTTP. */

import type { Server as HttpServer } from 'node:http';
import { Readable } from 'node:stream';
import { UsageError } from '../lib/core/errors.js';
import type { IpVersion } from '../lib/core/address.js';
import { anyEndpoint } from '../lib/l4/udp.js';
import type { UdpMessage, UdpSocket, UdpSockets } from '../lib/l4/udp-api.js';
import type { NodeNet } from '../lib/socket/net.js';
import type { Server } from '../lib/socket/server.js';
import type { Socket } from '../lib/socket/socket.js';
import { httpService } from './http-service.js';

/** What the services are served over. */
export interface ServiceHost {
  readonly net: NodeNet;
  readonly udp: UdpSockets;
}

/** Services that run; `close` stops listening and ends what is open. */
export interface RunningServices {
  readonly names: readonly string[];
  close(): Promise<void>;
}

interface Service {
  readonly port: number;
  /** Handles an accepted TCP connection. */
  readonly stream: (socket: Socket) => void;
  /** The answer to a datagram, if there is one. */
  readonly datagram?: (message: UdpMessage) => Uint8Array | undefined;
}

// RFC 864: lines of 72 characters, each line starting one character further in the ring of printable ones.
const PRINTABLE = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join('');
const LINE = 72;
const PATTERN = Buffer.from(
  Array.from({ length: 95 }, (_, i) => `${(PRINTABLE + PRINTABLE).slice(i, i + LINE)}\r\n`).join(''),
);
const CHARGEN_DATAGRAM = 512;

function* pattern(): Generator<Uint8Array> {
  for (;;) yield PATTERN;
}

const SERVICES: Readonly<Record<string, Service>> = {
  echo: {
    port: 7,
    stream: (socket) => void socket.pipe(socket),
    datagram: (message) => message.data,
  },
  discard: {
    port: 9,
    stream: (socket) => void socket.resume().on('end', () => socket.end()),
    datagram: () => undefined,
  },
  chargen: {
    port: 19,
    stream: (socket) => {
      socket.resume().on('end', () => socket.destroy());
      Readable.from(pattern(), { objectMode: false }).pipe(socket);
    },
    datagram: () => PATTERN.subarray(0, CHARGEN_DATAGRAM),
  },
};

/** Names that {@link startServices} knows. */
export const SERVICE_NAMES: readonly string[] = [...Object.keys(SERVICES), 'http'];

/** Starts services by name. @throws UsageError `ERR_INVALID_OPTION` for a name that it does not know */
export function startServices(names: readonly string[], host: ServiceHost, stats: () => unknown): RunningServices {
  const unknown = names.find((name) => !SERVICE_NAMES.includes(name));
  if (unknown !== undefined) {
    throw new UsageError('ERR_INVALID_OPTION', `no such service: ${unknown} (there are ${SERVICE_NAMES.join(', ')})`);
  }
  const sockets = new Set<Socket>();
  const servers: Server[] = [];
  const datagrams: UdpSocket[] = [];
  let http: HttpServer | undefined;
  for (const name of names) {
    const service = SERVICES[name];
    if (service === undefined) {
      http = httpService(stats);
      servers.push(serve(host.net, 80, sockets, (socket) => http?.emit('connection', socket), false));
    } else {
      servers.push(serve(host.net, service.port, sockets, service.stream, true));
      if (service.datagram !== undefined) datagrams.push(answer(host.udp, service.port, service.datagram, 4));
    }
  }
  return {
    names,
    async close() {
      for (const socket of datagrams) socket.close();
      http?.closeAllConnections();
      const closed = servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
      for (const socket of sockets) socket.destroy();
      await Promise.all(closed);
    },
  };
}

function serve(
  net: NodeNet,
  port: number,
  sockets: Set<Socket>,
  handle: (socket: Socket) => void,
  allowHalfOpen: boolean,
): Server {
  const server = net.createServer({ allowHalfOpen }, (socket) => {
    sockets.add(socket);
    // A connection that breaks is the peer's business; it is counted by TCP.
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    handle(socket);
  });
  server.listen(port);
  return server;
}

function answer(
  udp: UdpSockets,
  port: number,
  respond: (message: UdpMessage) => Uint8Array | undefined,
  version: IpVersion,
): UdpSocket {
  const socket = udp.bind(anyEndpoint(version, port), {
    message(message) {
      // Never answer a service's port: two of them would talk to each other for ever.
      const data = message.source.port < 1024 ? undefined : respond(message);
      if (data === undefined) return;
      try {
        socket.send(data, message.source);
      } catch {
        // No way back to the sender.
      }
    },
    error: () => {},
  });
  return socket;
}
