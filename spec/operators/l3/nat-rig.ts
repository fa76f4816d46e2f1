/** A translator between two networks, in virtual time: packets go in on one side, and what comes out is looked at closely. */

import { expect } from 'chai';
import { Subject } from 'rxjs';
import { Cidr, type IpAddress, Ipv4Address, Ipv6Address, parseIp } from '../../../lib/core/address.js';
import type { Device } from '../../../lib/core/device.js';
import { type DropReason, dropReasonName } from '../../../lib/core/drops.js';
import type { Frame } from '../../../lib/core/frame.js';
import { IpTables } from '../../../lib/l3/ip-tables.js';
import type { NatOptions } from '../../../lib/l4/nat/options.js';
import type { NatRule } from '../../../lib/l4/nat/rules.js';
import { PacketFields } from '../../../lib/wire/packet-fields.js';
import { isIcmpError, readQuote } from '../../../lib/wire/rewrite.js';
import { type Nat, nat } from '../../../operators/l3/nat.js';
import { fakeDevice, type VirtualEnv, virtualEnv } from '../../lib/l2/fake-device.js';
import { addressBytes, type PlainEnds, plainFrame, type PlainPacket, plainSum } from '../../lib/wire/plain-packets.js';

export const SYN = 0x02;
export const ACK = 0x10;
export const SYN_ACK: number = SYN | ACK;
export const FIN_ACK: number = 0x01 | ACK;
export const RST = 0x04;

export type Side = 'lan' | 'wan' | 'here';

/** What came out: by which side, and whose it is then; or why nothing did. */
export interface Outcome {
  readonly side: Side | undefined;
  /** `10.0.0.5:4000 > 192.0.2.9:53`, of an ICMP error the quoted packet's in brackets behind it; or the reason of the drop. */
  readonly text: string;
  readonly ends: PlainEnds;
  readonly bytes: Uint8Array;
}

const NOBODY: PlainEnds = { source: Ipv4Address.ANY, destination: Ipv4Address.ANY, sourcePort: 0, destinationPort: 0 };

/** Reads `10.0.0.5:4000`, `[fd00::5]:4000` or an address alone. */
export function endOf(text: string): { readonly address: IpAddress; readonly port: number } {
  const match = /^\[(.*)\](?::(\d+))?$/.exec(text) ?? /^([\d.]+)(?::(\d+))?$/.exec(text) ?? ['', text];
  return { address: parseIp(match[1] ?? ''), port: Number(match[2] ?? 0) };
}

export function endsOf(from: string, to: string): PlainEnds {
  const [source, destination] = [endOf(from), endOf(to)];
  return {
    source: source.address,
    destination: destination.address,
    sourcePort: source.port,
    destinationPort: destination.port,
  };
}

const plain = (protocol: PlainPacket['protocol'], more: Partial<PlainPacket> = {}): PlainPacket => ({
  protocol,
  body: Uint8Array.from({ length: 12 }, (_, i) => i),
  checksum: 'full',
  options: 0,
  ...more,
});

export const udp: PlainPacket = plain('udp');
export const echo: PlainPacket = plain('icmp');
export const echoReply: PlainPacket = plain('icmp', { type: 0 });
export const segment = (flags: number): PlainPacket => plain('tcp', { flags });

/** An error about a packet, as its receiver or a router has it. */
export function errorAbout(bytes: Uint8Array, type = 11): PlainPacket {
  const header = (bytes[0] ?? 0) >>> 4 === 6 ? 40 : 20;
  return plain('icmp-error', { body: bytes.slice(0, header + 8), type });
}

/** The identification of a packet of IPv4; of IPv6, where there is none, anything. */
export function identificationOf({ bytes }: Outcome): number {
  return Buffer.from(bytes).readUInt16BE(4);
}

function addressOf(version: number, words: readonly [number, number, number, number]): IpAddress {
  return version === 4 ? new Ipv4Address(words[3]) : new Ipv6Address(...words);
}

function endsIn(fields: PacketFields): PlainEnds {
  const { version, source0, source1, source2, source3, destination0, destination1, destination2, destination3 } =
    fields;
  const isQuery = fields.icmpType >= 0;
  return {
    source: addressOf(version, [source0, source1, source2, source3]),
    destination: addressOf(version, [destination0, destination1, destination2, destination3]),
    sourcePort: isQuery ? fields.icmpIdentifier : fields.sourcePort,
    destinationPort: isQuery ? fields.icmpIdentifier : fields.destinationPort,
  };
}

export function textOf({ source, destination, sourcePort, destinationPort }: PlainEnds): string {
  const end = (address: IpAddress, port: number) =>
    `${address.version === 6 ? `[${address.toString()}]` : address.toString()}:${port}`;
  return `${end(source, sourcePort)} > ${end(destination, destinationPort)}`;
}

/** Addresses as a router has them. */
export function tables(): {
  readonly tables: IpTables;
  readonly set: (device: string, address: string | undefined) => void;
} {
  const env = virtualEnv();
  const known = new IpTables(env);
  const devices = new Map(['lan', 'wan'].map((name) => [name, fakeDevice(env, { name })]));
  const current = new Map<string, Cidr>();
  return {
    tables: known,
    set(name, address) {
      const device = devices.get(name);
      const old = current.get(name);
      if (device === undefined) throw new Error(name);
      if (old !== undefined) known.removeAddress(device, old.address);
      current.delete(name);
      if (address === undefined) return;
      current.set(name, Cidr.parse(address));
      known.addAddress(device, address);
    },
  };
}

/** See the module. Internal addresses are 10.0.0.0/8 and fd00::/8; those given as `here` are the router's. */
export class Rig {
  readonly env: VirtualEnv = virtualEnv();
  readonly nat: Nat;
  readonly lan: Device;
  readonly wan: Device;
  /** Errors that the translator sent. */
  readonly replies: string[] = [];
  private readonly here: readonly string[];
  private readonly pre = new Subject<Frame>();
  private readonly post = new Subject<Frame>();
  private passed: Frame | undefined = undefined;
  private readonly reasons: DropReason[] = [];
  private readonly running: { unsubscribe(): void }[] = [];

  constructor(rules: readonly NatRule[], options: NatOptions = {}, here: readonly string[] = []) {
    this.lan = fakeDevice(this.env, { name: 'lan', medium: 'ip' });
    this.wan = fakeDevice(this.env, { name: 'wan', medium: 'ip' });
    this.here = here;
    this.nat = nat(rules, options, this.env);
    this.env.drops.observe(({ reason }) => this.reasons.push(reason));
    this.resume();
  }

  /** A packet comes in on one side, and goes through the router. */
  send(side: Side, packet: PlainPacket, from: string, to: string): Outcome {
    const ends = endsOf(from, to);
    const frame = this.frameOf(packet, ends);
    const outcome = this.route(side, frame);
    if (outcome.side !== undefined && packet.protocol !== 'icmp-error') {
      // Nothing but the ends and the identification has changed, and the checksums are those of a packet that was sent so.
      const identification = identificationOf(outcome);
      expect(Buffer.from(outcome.bytes).toString('hex')).to.equal(
        Buffer.from(plainFrame({ ...packet, identification }, outcome.ends).bytes()).toString('hex'),
      );
    }
    frame.release();
    return outcome;
  }

  out(packet: PlainPacket, from: string, to: string): Outcome {
    return this.send('lan', packet, from, to);
  }

  in(packet: PlainPacket, from: string, to: string): Outcome {
    return this.send('wan', packet, from, to);
  }

  /** Where a packet from inside appears to come from, outside. */
  outside(packet: PlainPacket, from: string, to: string): string {
    const outcome = this.out(packet, from, to);
    expect(outcome.side, outcome.text).to.equal('wan');
    return outcome.text.split(' > ')[0] ?? '';
  }

  pass(milliseconds: number): void {
    this.env.scheduler.runFor(milliseconds);
  }

  /** Nobody sends packets through for a while. */
  pause(): void {
    for (const one of this.running.splice(0)) one.unsubscribe();
  }

  resume(): void {
    this.running.push(
      this.pre.pipe(this.nat.prerouting).subscribe((frame) => (this.passed = frame)),
      this.post.pipe(this.nat.postrouting).subscribe((frame) => (this.passed = frame)),
      this.nat.replies$.subscribe((reply) => {
        this.replies.push(this.read(reply).text);
        reply.release();
      }),
    );
  }

  /** No timer and no frame is left. */
  end(): void {
    this.pause();
    expect(this.env.scheduler.pending).to.equal(0);
    expect(this.env.pool.outstanding).to.equal(0);
  }

  private frameOf(packet: PlainPacket, ends: PlainEnds): Frame {
    const made = plainFrame(packet, ends);
    const frame = this.env.pool.copy(made);
    frame.network = frame.start;
    return frame;
  }

  private route(side: Side, frame: Frame): Outcome {
    frame.device = side === 'here' ? undefined : side === 'lan' ? this.lan : this.wan;
    if (side !== 'here' && !this.through(this.pre, frame)) return this.dropped();
    const to = this.sideOf(this.endsOf(frame).destination.toString());
    if (to === 'here') return this.read(frame, to);
    frame.output = to === 'lan' ? this.lan : this.wan;
    return this.through(this.post, frame) ? this.read(frame, to) : this.dropped();
  }

  private through(hook: Subject<Frame>, frame: Frame): boolean {
    this.passed = undefined;
    hook.next(frame);
    return this.passed === frame;
  }

  private sideOf(address: string): Side {
    if (this.here.includes(address)) return 'here';
    return address.startsWith('10.') || address.startsWith('fd') ? 'lan' : 'wan';
  }

  private dropped(): Outcome {
    const reason = this.reasons.at(-1);
    const text = reason === undefined ? 'lost' : dropReasonName(reason);
    return { side: undefined, text, ends: NOBODY, bytes: new Uint8Array(0) };
  }

  private endsOf(frame: Frame): PlainEnds {
    const fields = new PacketFields();
    expect(fields.read(frame, frame.start)).to.equal(true);
    return endsIn(fields);
  }

  private read(frame: Frame, side?: Side): Outcome {
    const [fields, quote] = [new PacketFields(), new PacketFields()];
    expect(fields.read(frame, frame.start)).to.equal(true);
    const ends = endsIn(fields);
    const bytes = Uint8Array.from(frame.bytes());
    if (!isIcmpError(fields)) return { side, text: textOf(ends), ends, bytes };
    expect(readQuote(frame, fields, quote)).to.equal(true);
    const message = bytes.slice(bytes.length - (fields.end - fields.transport));
    const length = Uint8Array.of(message.length >>> 8, message.length & 0xff, 0, 58);
    const addresses = Uint8Array.from([...addressBytes(ends.source), ...addressBytes(ends.destination), ...length]);
    expect(plainSum(message, fields.version === 4 ? 0 : plainSum(addresses))).to.equal(0xffff);
    if (fields.version === 4) expect(plainSum(message.subarray(8, 28))).to.equal(0xffff);
    const outer = `${ends.source.toString()} > ${ends.destination.toString()}`;
    return { side, text: `${outer} [${textOf(endsIn(quote))}]`, ends, bytes };
  }
}

/** Makes translators for the tests of the suite that this is called in, one for each: it is ended when the test is over. */
export function rigs(): (rules: readonly NatRule[], options?: NatOptions, here?: readonly string[]) => Rig {
  let rig: Rig | undefined;
  afterEach(() => {
    rig?.end();
    rig = undefined;
  });
  return (rules, options = {}, here = []) => {
    rig = new Rig(rules, options, here);
    return rig;
  };
}
