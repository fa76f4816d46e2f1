/** A resolver on a simulated network, with servers that answer as a test says. */

import { expect } from 'chai';
import { parseIp } from '../../../lib/core/address.js';
import type { Endpoint, TcpConnection } from '../../../lib/l4/tcp/api.js';
import type { UdpSocket } from '../../../lib/l4/udp-api.js';
import { anyEndpoint } from '../../../lib/l4/udp.js';
import { DnsError } from '../../../lib/l7/dns-error.js';
import { DnsResolver, type DnsResolverOptions } from '../../../lib/l7/dns-resolver.js';
import {
  type DnsData,
  type DnsMessage,
  DnsRcode,
  type DnsRecord,
  DnsType,
  emitDns,
  parseDns,
} from '../../../lib/wire/dns.js';
import { type Network, network } from '../../../operators/testing/network.js';

export const SERVERS: readonly string[] = ['10.0.0.53', '10.0.0.54'];

export const rr = (name: string, type: number, data: DnsData, ttl = 60): DnsRecord => ({
  name,
  type,
  class: 1,
  ttl,
  data,
});
export const a = (name: string, address: string, ttl?: number): DnsRecord =>
  rr(name, DnsType.A, { kind: 'address', address: parseIp(address) }, ttl);
export const cname = (name: string, target: string, ttl?: number): DnsRecord =>
  rr(name, DnsType.CNAME, { kind: 'name', name: target }, ttl);
export const soa = (ttl: number, minimum: number): DnsRecord =>
  rr(
    'test',
    DnsType.SOA,
    {
      kind: 'soa',
      primary: 'ns.test',
      mailbox: 'root.test',
      serial: 1,
      refresh: 1,
      retry: 1,
      expire: 1,
      minimum,
    },
    ttl,
  );

export interface Heard {
  readonly server: string;
  readonly query: DnsMessage;
  readonly from: Endpoint;
  readonly at: number;
  readonly tcp: boolean;
}
export type Answer = Partial<DnsMessage> | undefined;
export type Zone = (name: string, type: number, heard: Heard) => Answer | readonly Answer[];

/** A resolver on a simulated network, with servers that answer as `zone` says; `undefined` stays silent. */
export class Bench {
  readonly net: Network<'us' | 's0' | 's1'>;
  readonly resolver: DnsResolver;
  readonly heard: Heard[] = [];
  private readonly sockets: UdpSocket[] = [];

  constructor(zone: Zone, options: DnsResolverOptions = {}, loss = 0) {
    const hosts = { us: '10.0.0.1/24', s0: `${SERVERS[0]}/24`, s1: `${SERVERS[1]}/24` };
    this.net = network({ hosts, links: { lan: { impair: { delay: 10, loss } } } });
    const { us, s0, s1 } = this.net.hosts;
    this.resolver = new DnsResolver(us, { servers: SERVERS, ...options }, us.env);
    for (const [number, server] of [s0, s1].entries()) this.serve(number, server, zone);
  }

  /** A server says something that nobody has just asked for. */
  sayAs(number: number, data: Uint8Array, to: Endpoint): void {
    this.sockets[number]?.send(data, to);
  }

  private serve(number: number, host: (typeof this.net.hosts)['us'], zone: Zone): void {
    const answers = (data: Uint8Array, from: Endpoint, tcp: boolean): Uint8Array[] => {
      const query = parseDns(data);
      const heard = { server: `s${number}`, query, from, at: this.net.now, tcp };
      this.heard.push(heard);
      const [question] = query.questions;
      if (question === undefined) return [];
      const said = zone(question.name, question.type, heard);
      const list: readonly Answer[] = Array.isArray(said) ? (said as readonly Answer[]) : [said as Answer];
      return list.flatMap((one) => (one ? [emitDns({ ...query, edns: undefined, response: true, ...one })] : []));
    };
    const socket = host.udp.bind(anyEndpoint(4, 53), {
      message: ({ data, source }) => {
        for (const answer of answers(data, source, false)) socket.send(answer, source);
      },
      error: () => undefined,
    });
    this.sockets.push(socket);
    const listener = host.tcp.listen(anyEndpoint(4, 53));
    listener.acceptable = () => {
      const connection = listener.accept();
      if (connection !== undefined) this.serveTcp(connection, (data) => answers(data, connection.remote, true));
    };
  }

  private serveTcp(connection: TcpConnection, answers: (data: Uint8Array) => Uint8Array[]): void {
    const readable = () => {
      const data = connection.read();
      if (connection.readEnded) return connection.end();
      if (data === undefined) return undefined;
      for (const answer of answers(data.subarray(2))) {
        connection.write(Uint8Array.of(answer.length >> 8, answer.length & 0xff));
        connection.write(answer);
      }
      return undefined;
    };
    const nothing = () => undefined;
    connection.handler = { connected: nothing, writable: nothing, flushed: nothing, closed: nothing, readable };
    if (connection.readableBytes > 0) readable();
  }

  /** What a promise settles with: a value, or the code of the error. */
  async settle<T>(promise: Promise<T>): Promise<T | string> {
    const caught = promise.catch((error: unknown) => (error instanceof DnsError ? error.code : String(error)));
    return this.net.runUntilSettled(caught);
  }

  addresses(name: string, options?: Parameters<DnsResolver['lookup']>[1]): Promise<string | string[]> {
    return this.settle(this.resolver.lookup(name, options).then((found) => found.map(String)));
  }

  /** Lets what is left happen, and asserts that nothing stays. */
  end(): void {
    this.net.run();
    expect(this.resolver.pending).to.equal(0);
    expect(this.net.hosts.us.udp.size, 'sockets').to.equal(0);
    this.net.assertIdle();
    this.net.dispose();
  }
}

export const nothing: Answer = { rcode: DnsRcode.NameError };
