/** The services of `rx-netstack host`: echo (RFC 862), discard (RFC 863), chargen (RFC 864) over TCP and UDP, and HTTP. */

import { Readable } from 'node:stream';
import { UsageError } from '../lib/core/errors.js';
import { anyEndpoint } from '../lib/l4/udp.js';
import type { UdpMessage, UdpSocket, UdpSockets } from '../lib/l4/udp-api.js';
import type { TcpSockets } from '../lib/l4/tcp/api.js';
import { serveHttp } from '../lib/socket/http.js';
import { nodeNet } from '../lib/socket/net.js';
import type { Server } from '../lib/socket/server.js';
import type { Socket } from '../lib/socket/socket.js';
import { httpService } from './http-service.js';

/** What the services are served over. */
export interface ServiceHost {
  readonly tcp: TcpSockets;
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

const HTTP = 80;
/** What listens to all of our addresses shares its port with what answers from one of them. */
const SHARED = { reuseAddress: true } as const;

/** Names that {@link startServices} knows. */
export const SERVICE_NAMES = ['echo', 'discard', 'chargen', 'http'] as const;

/** What each service listens to, for people: `echo 7`. */
export function servicePorts(names: readonly string[]): readonly string[] {
  return names.map((name) => `${name} ${SERVICES[name]?.port ?? HTTP}`);
}

/** Starts services by name; naming one twice changes nothing. @throws UsageError `ERR_INVALID_OPTION` for a name that it does not know */
export function startServices(names: readonly string[], host: ServiceHost, stats: () => unknown): RunningServices {
  const known: readonly string[] = SERVICE_NAMES;
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new UsageError('ERR_INVALID_OPTION', `no such service: ${unknown} (there are ${known.join(', ')})`);
  }
  const wanted = [...new Set(names)];
  const sockets = new Set<Socket>();
  const servers: Server[] = [];
  const datagrams: UdpSocket[] = [];
  for (const name of wanted) {
    const service = SERVICES[name];
    if (service === undefined) {
      servers.push(serveHttp(httpService(stats), { tcp: host.tcp, port: HTTP }).on('connection', keep(sockets)));
      continue;
    }
    servers.push(serve(host.tcp, service, keep(sockets)));
    const { port, datagram } = service;
    if (datagram === undefined) continue;
    datagrams.push(answer(host.udp, port, datagram));
  }
  return {
    names: wanted,
    async close() {
      for (const socket of datagrams) socket.close();
      const closed = servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
      for (const socket of sockets) socket.destroy();
      await Promise.all(closed);
    },
  };
}

/** Remembers the sockets that are open, so that closing can end them. */
function keep(sockets: Set<Socket>): (socket: Socket) => void {
  return (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  };
}

function serve(tcp: TcpSockets, service: Service, opened: (socket: Socket) => void): Server {
  const server = nodeNet(tcp).createServer({ allowHalfOpen: true }, (socket) => {
    opened(socket);
    // A connection that breaks is the peer's business; it is counted by TCP.
    socket.on('error', () => {});
    service.stream(socket);
  });
  return server.listen(service.port);
}

function answer(udp: UdpSockets, port: number, respond: (message: UdpMessage) => Uint8Array | undefined): UdpSocket {
  const handler = {
    message(message: UdpMessage) {
      // Never answer a service's port: two of them would talk to each other for ever.
      const data = message.source.port < 1024 ? undefined : respond(message);
      if (data !== undefined) reply(udp, message, data);
    },
    error: () => {},
  };
  // Of both versions.
  return udp.bind(anyEndpoint(6, port), handler, SHARED);
}

/** Answers from where it was asked (RFC 1122 4.1.3.5): a client whose socket is connected hears nobody else. */
function reply(udp: UdpSockets, { source, destination }: UdpMessage, data: Uint8Array): void {
  try {
    const socket = udp.bind(destination, { message: () => {}, error: () => {} }, SHARED);
    try {
      socket.send(data, source);
    } finally {
      socket.close();
    }
  } catch {
    // No way back to the sender.
  }
}
