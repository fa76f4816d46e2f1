/** What is known of a flow at some moment, as an object; for the control plane. */

import { IpProtocol } from '../../wire/ip.js';
import { FlowBit, type FlowRecords } from './flow-records.js';
import { FlowTuple } from './flow-tuple.js';
import { TcpFlow, type TcpPhase } from './tcp-flow.js';

/** Packets of one direction of a flow; all 0 unless they are counted. */
export interface FlowCount {
  readonly packets: number;
  /** Of whole IP packets. */
  readonly bytes: number;
}

/** A tracked flow. It does not change when the flow does. */
export class Flow {
  /** What `Frame.flow` of its packets is. */
  readonly id: number;
  /** Of its first packet. */
  readonly original: FlowTuple = new FlowTuple();
  /** Of what comes back. */
  readonly reply: FlowTuple = new FlowTuple();
  /** Packets went both ways. */
  readonly replied: boolean;
  /** Both ends have shown that they are there: it is not evicted, unless it is closing. */
  readonly assured: boolean;
  /** Of TCP. */
  readonly phase: TcpPhase | undefined;
  /** Milliseconds since its first packet. */
  readonly age: number;
  /** Milliseconds until it is forgotten if no packet comes. */
  readonly expiresIn: number;
  /** Of the user. */
  readonly mark: number;
  /** Of the translator. */
  readonly nat: number;
  readonly counts: readonly [original: FlowCount, reply: FlowCount];

  constructor(records: FlowRecords, slot: number, now: number) {
    this.id = records.idOf(slot);
    records.loadTuple(slot, 0, this.original);
    records.loadTuple(slot, 1, this.reply);
    const bits = records.bits(slot);
    this.replied = (bits & FlowBit.Replied) !== 0;
    this.assured = (bits & FlowBit.Assured) !== 0;
    this.phase = this.original.protocol === IpProtocol.Tcp ? phaseOf(records, slot) : undefined;
    this.age = (now - records.created(slot)) >>> 0;
    this.expiresIn = Math.max(0, ((records.deadlines[slot] ?? 0) - now) | 0);
    this.mark = records.mark(slot);
    this.nat = records.nat(slot);
    const count = (direction: 0 | 1): FlowCount => ({
      packets: records.packets(slot, direction),
      bytes: records.octets(slot, direction),
    });
    this.counts = [count(0), count(1)];
  }

  /** The phase of TCP; of others `new`, `replied` once packets went both ways, `assured` once the first side has gone on after that. */
  get state(): string {
    return this.phase ?? (this.assured ? 'assured' : this.replied ? 'replied' : 'new');
  }

  /** For people: `tcp 10.0.0.1:1024 > 10.0.0.2:80 established, 431999 s left`, and what replies are like where an address is translated. */
  toString(): string {
    const seconds = Math.round(this.expiresIn / 1000);
    const replies = this.translated ? `, replies ${this.reply.toString()}` : '';
    return `${this.original.toString()} ${this.state}, ${seconds} s left${replies}`;
  }

  /** Whether the reply tuple is not the mirror of the original: an address is translated. */
  get translated(): boolean {
    const mirror = new FlowTuple();
    mirror.invert(this.original);
    return !mirror.equals(this.reply);
  }
}

function phaseOf(records: FlowRecords, slot: number): TcpPhase {
  const connection = new TcpFlow();
  connection.load(records, slot);
  return connection.phase;
}
