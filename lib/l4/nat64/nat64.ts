/** A stateful translator as a whole (RFC 6146): the table, the translation, and what it sends by itself. */

import { Ipv6Address } from '../../core/address.js';
import type { Env } from '../../core/env.js';
import { asTxPacket, type Frame, type TxPacket } from '../../core/frame.js';
import { pushIpHeader, pseudoHeaderSum } from '../../l3/ip-output.js';
import { type IpFlow, IpProtocol } from '../../wire/ip.js';
import { TcpFlag, TcpSegment } from '../../wire/tcp.js';
import { PROTOCOL_NAMES } from '../nat/protocols.js';
import { type Nat64Forward, type Nat64Timeouts, StatefulMapper, type StatefulOptions } from './stateful.js';
import { Translator, type TranslatorOptions } from './translator.js';

export type { Nat64Forward, Nat64Timeouts };

/** Options of a stateful translator. */
export interface Nat64Options extends StatefulOptions, TranslatorOptions {}

/** A mapping, for people. */
export interface Nat64Mapping {
  readonly protocol: 'tcp' | 'udp' | 'icmp';
  readonly internal: { readonly address: Ipv6Address; readonly port: number };
  readonly external: { readonly address: string; readonly port: number };
  /** Remote ends that it is used with; a forwarded port counts one more. */
  readonly sessions: number;
}

/** Something that packets go through and come out of in the other version of IP: what operators and devices are made of. */
export interface PacketTranslator {
  /** See {@link Translator.translate}. */
  translate(frame: Frame, network: number, emit: (frame: Frame) => void): boolean;
  /** Where packets of its own go, with their references. */
  reply: ((packet: TxPacket) => void) | undefined;
  /** Cancels its timers, and lets go of what waits. It can be used again. */
  dispose(): void;
}

/** A stateful NAT64. */
export class Nat64Machine implements PacketTranslator {
  readonly mapper: StatefulMapper;
  private readonly translator: Translator;
  private readonly env: Env;

  /** @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS` */
  constructor(options: Nat64Options, env: Env) {
    this.env = env;
    this.mapper = new StatefulMapper(options, env);
    this.translator = new Translator(this.mapper, options, env);
    this.mapper.probe = (session) => this.probe(session);
    this.mapper.unanswered = (frame) => this.translator.answer(frame, 'port-unreachable');
  }

  get reply(): ((packet: TxPacket) => void) | undefined {
    return this.translator.reply;
  }
  set reply(reply: ((packet: TxPacket) => void) | undefined) {
    this.translator.reply = reply;
  }

  /** Packets that were translated. */
  get translated(): number {
    return this.translator.translated;
  }

  translate(frame: Frame, network: number, emit: (frame: Frame) => void): boolean {
    this.mapper.wakeUp();
    const took = this.translator.translate(frame, network, emit);
    const { fragments } = this.mapper;
    for (let late = fragments.next(); late !== undefined; late = fragments.next()) {
      this.translator.translate(late, late.start, emit);
      late.release();
    }
    return took;
  }

  /** The mappings as they are now. */
  list(): Nat64Mapping[] {
    const { mappings, pool } = this.mapper;
    const found: Nat64Mapping[] = [];
    mappings.forEach((slot) =>
      found.push({
        protocol: PROTOCOL_NAMES[mappings.protocol(slot)],
        internal: { address: this.internal(slot), port: mappings.internalPort(slot) },
        external: {
          address: pool.addresses[mappings.external(slot)]?.toString() ?? '',
          port: mappings.externalPort(slot),
        },
        sessions: mappings.sessions(slot),
      }),
    );
    return found;
  }

  dispose(): void {
    this.mapper.dispose();
  }

  private internal(mapping: number): Ipv6Address {
    const { mappings } = this.mapper;
    const word = (index: 0 | 1 | 2 | 3) => mappings.word(mapping, index);
    return new Ipv6Address(word(0), word(1), word(2), word(3));
  }

  /** An acknowledgment of nothing, to which the host of IPv6 answers if it still knows the connection (RFC 6146 3.5.2.3). */
  private probe(session: number): void {
    const { mapper, reply, env } = this;
    if (reply === undefined) return;
    const { mappings, sessions, prefix } = mapper;
    const mapping = sessions.mapping(session);
    const remote = sessions.word(session, 3);
    const flow: IpFlow<6> = {
      version: 6,
      source: new Ipv6Address(prefix.word0, prefix.word1(remote), prefix.word2(remote), prefix.word3(remote)),
      destination: this.internal(mapping),
      protocol: IpProtocol.Tcp,
      hopLimit: 64,
      trafficClass: 0,
      dontFragment: false,
    };
    const frame = env.pool.alloc(0);
    const ports = { sourcePort: sessions.port(session), destinationPort: mappings.internalPort(mapping) };
    TcpSegment.emit(
      frame,
      { ...ports, sequence: 0, acknowledgment: 0, flags: TcpFlag.Ack, window: 0, urgentPointer: 0 },
      0,
    );
    TcpSegment.seal(frame, pseudoHeaderSum(flow, frame.length));
    pushIpHeader(frame, flow, 0);
    reply(asTxPacket(frame));
  }
}
