/**
 * `node:http` of a program: Node's own, whose servers listen on the host and whose agents connect from it. Dates in responses are
 * virtual, for a run must not depend on when it is made. Limits in wall-clock time (`headersTimeout`, `requestTimeout`) do not apply.
 */

import http from 'node:http';
import type { Duplex } from 'node:stream';
import type { NetConnectOptions, NodeNet } from '../../../lib/socket/net.js';
import type { ListenArguments, Server } from '../../../lib/socket/server.js';
import { codedError } from '../../../lib/socket/node-errors.js';

// Node looks for slow requests this often, by the clock of the process: never.
const NEVER_CHECK = 0x7fff_ffff;

type Listener = (request: http.IncomingMessage, response: http.ServerResponse) => void;
type Arguments = readonly unknown[];

/** The options that Node hands to an agent, as `connect` of the host takes them. */
function connectOptions(options: http.ClientRequestArgs): NetConnectOptions {
  const { port, host, localAddress, localPort, family, lookup, timeout } = options;
  return {
    port: port ?? 80,
    host: host ?? 'localhost',
    localAddress,
    family,
    timeout,
    ...(localPort === undefined ? {} : { localPort }),
    ...(lookup === undefined ? {} : { lookup }),
  };
}

function agentClass(net: NodeNet) {
  return class Agent extends http.Agent {
    override createConnection(options: http.ClientRequestArgs): Duplex {
      return net.connect(connectOptions(options));
    }
  };
}

/** The arguments of `http.request` with an agent of the host's where Node would take its own. */
function requestArguments(args: Arguments, agent: http.Agent, Agent: new () => http.Agent): Arguments {
  const [first] = args;
  const isUrl = typeof first === 'string' || first instanceof URL;
  const given = isUrl ? args[1] : first;
  const options = (typeof given === 'object' && given !== null ? given : {}) as http.RequestOptions;
  const callback = args.find((one) => typeof one === 'function');
  const { agent: asked } = options;
  const used = asked === false ? new Agent() : (asked ?? (options.createConnection === undefined ? agent : undefined));
  const merged = { ...options, ...(used === undefined ? {} : { agent: used }) };
  return [...(isUrl ? [first] : []), merged, ...(callback === undefined ? [] : [callback])];
}

/** A response that is dated by `now`. */
function responseClass(Base: typeof http.ServerResponse, now: () => number) {
  return class ServerResponse extends Base {
    override writeHead(...args: unknown[]): this {
      if (this.sendDate && !this.hasHeader('date')) this.setHeader('Date', new globalThis.Date(now()).toUTCString());
      return super.writeHead(...(args as [number]));
    }
  };
}

function serverClass(net: NodeNet, now: () => number) {
  return class HttpServer extends http.Server {
    private port: Server | undefined = undefined;

    constructor(first?: http.ServerOptions | Listener, second?: Listener) {
      const options = typeof first === 'object' ? first : {};
      const listener = typeof first === 'function' ? first : second;
      const ServerResponse = responseClass(options.ServerResponse ?? http.ServerResponse, now);
      super({ connectionsCheckingInterval: NEVER_CHECK, ...options, ServerResponse } as http.ServerOptions, listener);
      Object.defineProperty(this, 'listening', { get: () => this.port?.listening ?? false });
    }

    override listen(...args: unknown[]): this {
      if (this.port !== undefined) {
        throw codedError('ERR_SERVER_ALREADY_LISTEN', 'Listen method has been called more than once without closing.');
      }
      const callback = args.at(-1);
      const where = (typeof callback === 'function' ? args.slice(0, -1) : args) as ListenArguments;
      if (typeof callback === 'function') this.once('listening', callback as () => void);
      const port = net.createServer({ allowHalfOpen: true, noDelay: true });
      this.port = port;
      const tell = (event: string, ...values: unknown[]) => this.emit(event, ...values);
      port.on('listening', () => tell('listening'));
      port.on('connection', (socket) => tell('connection', socket));
      port.on('drop', (what) => tell('drop', what));
      port.on('error', (error) => {
        this.port = undefined;
        tell('error', error);
      });
      if (this.maxConnections) port.maxConnections = this.maxConnections;
      port.listen(...where);
      return this;
    }

    override close(callback?: (error?: Error) => void): this {
      const { port } = this;
      if (port === undefined) return super.close(callback);
      this.port = undefined;
      this.closeIdleConnections();
      // Node's own `close` tells `close` at once, since it knows of no handle: when the port is closed that is right.
      port.close(() => super.close(() => callback?.()));
      return this;
    }

    override address(): ReturnType<http.Server['address']> {
      return this.port?.address() ?? null;
    }

    override getConnections(callback: (error: Error | null, count: number) => void): this {
      if (this.port === undefined) callback(null, 0);
      else this.port.getConnections(callback);
      return this;
    }

    override ref(): this {
      this.port?.ref();
      return this;
    }
    override unref(): this {
      this.port?.unref();
      return this;
    }
  };
}

/** The module `node:http` of a program. @param now milliseconds of the host's clock */
export function programHttp(net: NodeNet, now: () => number): Record<string, unknown> {
  const Agent = agentClass(net);
  const HttpServer = serverClass(net, now);
  // As Node's own global agent is made.
  const made: { globalAgent: http.Agent } = { globalAgent: new Agent({ keepAlive: true, timeout: 5000 }) };
  const ClientRequest = class extends http.ClientRequest {
    constructor(...args: unknown[]) {
      const [input, ...rest] = requestArguments(args, made.globalAgent, Agent);
      super(...([input, ...rest] as unknown as ConstructorParameters<typeof http.ClientRequest>));
    }
  };
  const request = (...args: unknown[]) => new ClientRequest(...args);
  const get = (...args: unknown[]) => {
    const sent = request(...args);
    sent.end();
    return sent;
  };
  const createServer = (...args: unknown[]) => new HttpServer(...(args as [http.ServerOptions, Listener]));
  return Object.assign(made, {
    METHODS: http.METHODS,
    STATUS_CODES: http.STATUS_CODES,
    IncomingMessage: http.IncomingMessage,
    OutgoingMessage: http.OutgoingMessage,
    ServerResponse: http.ServerResponse,
    maxHeaderSize: http.maxHeaderSize,
    validateHeaderName: http.validateHeaderName,
    validateHeaderValue: http.validateHeaderValue,
    Agent,
    ClientRequest,
    Server: HttpServer,
    createServer,
    get,
    request,
  });
}
