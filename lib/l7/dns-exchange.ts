/**
 * One question put to servers until one answers it: over UDP, with time-outs that double from round to round, and over TCP where the
 * answer did not fit (RFC 1035 4.2, RFC 7766). An answer counts only if it comes from where the question went, to the random port that
 * it came from, with its random number and the question itself (RFC 5452 9.1); late answers still count.
 */

import { anyAddress } from '../core/address.js';
import type { Env } from '../core/env.js';
import { NetError } from '../core/errors.js';
import type { Timer } from '../core/timers.js';
import type { Endpoint, TcpSockets } from '../l4/tcp/api.js';
import type { UdpSockets } from '../l4/udp-api.js';
import { type DnsMessage, type DnsQuestion, DnsRcode, DNS_INTERNET, dnsQuery, emitDns, parseDns } from '../wire/dns.js';
import { sameName } from '../wire/dns-name.js';
import { codeOfRcode, type DnsCode } from './dns-error.js';
import { askOverTcp } from './dns-tcp.js';

/** The transports that questions travel over. */
export interface DnsTransports {
  readonly udp: UdpSockets;
  readonly tcp: TcpSockets;
}

/** How servers are asked. */
export interface DnsExchangeOptions {
  readonly servers: readonly Endpoint[];
  /** Milliseconds to wait for a server in the first round. */
  readonly timeout: number;
  /** How often each server is asked. */
  readonly attempts: number;
  /** Largest answer over UDP, in bytes, that we ask for; 0 asks without EDNS. */
  readonly udpSize: number;
}

/** One question under way. */
export class DnsExchange {
  private readonly question: DnsQuestion;
  private readonly transports: DnsTransports;
  private readonly options: DnsExchangeOptions;
  private readonly env: Env;
  private readonly done: (result: DnsMessage | DnsCode) => void;
  private readonly timer: Timer;
  private readonly closers: (() => void)[] = [];
  private readonly bad = new Set<Endpoint>();
  private readonly plain = new Set<Endpoint>();
  private readonly askedOverTcp = new Set<Endpoint>();
  private attempt = -1;
  private current: Endpoint | undefined = undefined;
  private failure: DnsCode = 'ETIMEOUT';
  private over = false;

  /** Asks at once; `done` is called later, once, unless it is cancelled before. */
  constructor(
    question: DnsQuestion,
    transports: DnsTransports,
    options: DnsExchangeOptions,
    env: Env,
    done: (result: DnsMessage | DnsCode) => void,
  ) {
    this.question = question;
    this.transports = transports;
    this.options = options;
    this.env = env;
    this.done = done;
    this.timer = env.timers.timer(() => this.next());
    this.timer.arm(env.timers.now());
  }

  /** Closes everything; `done` is not called. */
  cancel(): void {
    this.over = true;
    this.timer.cancel();
    for (const close of this.closers.splice(0)) close();
  }

  private finish(result: DnsMessage | DnsCode): void {
    if (this.over) return;
    this.cancel();
    this.done(result);
  }

  /** Goes on to the next server that has not failed; after the last round it is over. */
  private next(): void {
    if (this.over) return;
    const { servers, attempts } = this.options;
    do this.attempt++;
    while (this.attempt < servers.length * attempts && this.bad.has(this.serverOf(this.attempt)));
    if (this.attempt >= servers.length * attempts) return this.finish(this.failure);
    this.ask(this.serverOf(this.attempt));
  }

  private serverOf(attempt: number): Endpoint {
    const { servers } = this.options;
    return servers[attempt % servers.length] ?? { address: anyAddress(4), port: 0 };
  }

  private get patience(): number {
    const { servers, timeout } = this.options;
    return timeout * 2 ** Math.floor(this.attempt / servers.length);
  }

  private ask(server: Endpoint): void {
    const query = this.query(server);
    this.current = server;
    this.timer.arm(this.env.timers.now() + this.patience);
    try {
      // A socket of its own for each attempt: its port is random, and connected to the server it hears nobody else.
      const socket = this.transports.udp.bind(
        { address: anyAddress(server.address.version), port: 0 },
        {
          message: ({ data }) => this.received(data, query, server, false),
          error: (error) => this.failed(server, codeOf(error)),
        },
      );
      this.closers.push(() => socket.close());
      socket.connect(server);
      socket.send(emitDns(query));
    } catch (error) {
      this.failed(server, codeOf(error));
    }
  }

  private query(server: Endpoint): DnsMessage {
    const { udpSize } = this.options;
    const id = this.env.random.below(0x1_0000);
    const edns =
      udpSize === 0 || this.plain.has(server) ? undefined : { udpSize, version: 0, dnssecOk: false, options: [] };
    return dnsQuery(id, this.question, { edns });
  }

  private askOverTcp(server: Endpoint): void {
    const query = this.query(server);
    this.current = server;
    this.timer.arm(this.env.timers.now() + this.patience * 2);
    this.closers.push(
      askOverTcp(this.transports.tcp, server, emitDns(query), {
        message: (data) => this.received(data, query, server, true),
        failed: (error) => this.failed(server, codeOf(error)),
      }),
    );
  }

  /** Bytes from a server, maybe an answer to `query`: what is no answer to what we asked is nobody's business, and we go on waiting. */
  private received(data: Uint8Array, query: DnsMessage, server: Endpoint, overTcp: boolean): void {
    if (this.over) return;
    const response = readResponse(data);
    if (response === undefined || response.id !== query.id || !response.response || !this.repeats(response)) {
      if (overTcp) this.failed(server, 'EBADRESP');
      return;
    }
    const { rcode } = response;
    if (response.truncated && !overTcp) return this.truncated(server);
    if (rcode === DnsRcode.NoError || rcode === DnsRcode.NameError) return this.finish(response);
    // A server that does not know EDNS is asked again without it (RFC 6891 7), once: it may say so many times.
    const dislikesEdns = rcode === DnsRcode.FormatError || rcode === DnsRcode.NotImplemented;
    if (dislikesEdns && query.edns !== undefined) {
      if (this.plain.has(server)) return undefined;
      this.plain.add(server);
      return overTcp ? this.askOverTcp(server) : this.ask(server);
    }
    return this.failed(server, codeOfRcode(rcode));
  }

  /** Once for each server: an answer may come many times, or be forged by whoever saw the question. */
  private truncated(server: Endpoint): void {
    if (this.askedOverTcp.has(server) || this.bad.has(server)) return;
    this.askedOverTcp.add(server);
    this.askOverTcp(server);
  }

  private repeats(response: DnsMessage): boolean {
    const [first, ...more] = response.questions;
    if (first === undefined) return response.rcode === DnsRcode.FormatError;
    const { name, type } = this.question;
    return more.length === 0 && first.type === type && first.class === DNS_INTERNET && sameName(first.name, name);
  }

  private failed(server: Endpoint, code: DnsCode): void {
    if (this.over || this.bad.has(server)) return;
    this.bad.add(server);
    this.failure = code;
    // From a timer: sockets may fail from within the call that opened them.
    if (server === this.current) this.timer.arm(this.env.timers.now());
  }
}

function readResponse(data: Uint8Array): DnsMessage | undefined {
  try {
    return parseDns(data);
  } catch {
    return undefined;
  }
}

function codeOf(error: unknown): DnsCode {
  if (typeof error === 'string') return error as DnsCode;
  return error instanceof NetError && error.code === 'ETIMEDOUT' ? 'ETIMEOUT' : 'ECONNREFUSED';
}
