/** The socket under test: whose packets a script means, and how its numbers become live ones and back. */

import type { TcpOptionItem } from '../../../lib/text/tcp-option-list.js';
import { Opening } from '../../../lib/text/opening.js';
import type { LivePacket } from './live-packet.js';
import type { Ports, SegmentLine } from './script.js';

/** What the socket under test is, as far as packets are concerned. */
export type FlowRole = 'listener' | 'connecting' | 'connection';

/**
 * One connection of a script. The remote side's sequence numbers are live as they are written; ours are relative to what we chose, which the
 * first SYN that we send tells.
 */
export class Flow {
  role: FlowRole;
  localPort: number;
  remotePort: number;
  /** Live minus script sequence number of our side. */
  localOffset = 0;
  private readonly opening: Opening = new Opening();
  /** The end of what we sent, as it is. */
  private sentEnd: number | undefined = undefined;
  /** The flow label of the first packet of ours. */
  flowLabel: number | undefined = undefined;
  /** What the script calls our timestamps, and what they are. */
  private readonly timestamps: Map<number, number> = new Map();
  private timestampOffset: number | undefined = undefined;
  /** The first timestamp of ours: when, and what the script called it. */
  private firstTimestamp: { readonly time: number; readonly script: number } | undefined = undefined;

  constructor(role: FlowRole, localPort: number, remotePort: number) {
    this.role = role;
    this.localPort = localPort;
    this.remotePort = remotePort;
  }

  owns({ sourcePort, destinationPort }: LivePacket): boolean {
    return sourcePort === this.localPort && destinationPort === this.remotePort;
  }

  /** A packet of ours was expected as `line`: learns our initial sequence number, from a SYN that is not one sent again. */
  learn(line: SegmentLine, packet: LivePacket): void {
    if (line.sequence === undefined || !this.opening.sent(line.flags & packet.flags)) return;
    this.localOffset = line.absoluteSequence ? 0 : (packet.sequence - line.sequence) | 0;
  }

  /** A packet comes in. */
  receive({ flags, sequence = 0 }: SegmentLine): void {
    this.opening.received(flags, sequence);
  }

  /** A packet of ours was sent: returns whether it repeats data. */
  repeats({ sequence, length }: LivePacket): boolean {
    const end = (sequence + length) | 0;
    if (this.sentEnd === undefined || ((end - this.sentEnd) | 0) > 0) {
      this.sentEnd = end;
      return false;
    }
    return length > 0;
  }

  /** A packet of ours was what the script expected: learns what it calls our timestamps. */
  learnTimestamp(line: SegmentLine, packet: LivePacket): void {
    const script = timestampOf(line.options);
    const live = timestampOf(packet.options);
    if (script?.value === undefined || live?.value === undefined) return;
    this.timestamps.set(script.value, live.value);
    this.timestampOffset ??= (live.value - script.value) | 0;
    this.firstTimestamp ??= { time: packet.time, script: script.value };
  }

  /** How a timestamp of ours is called in the script; as it is, before the first was seen. */
  scriptTimestamp(live: number): number {
    return (live - (this.timestampOffset ?? 0)) >>> 0;
  }

  /** When our first timestamp was sent, in milliseconds. */
  get timestampsSince(): number | undefined {
    return this.firstTimestamp?.time;
  }

  get knowsTimestamps(): boolean {
    return this.timestampOffset !== undefined;
  }

  /** The live value of a timestamp of ours that the script has the other side echo. */
  liveEcho(script: number): number {
    return this.timestamps.get(script) ?? (script + (script === 0 ? 0 : (this.timestampOffset ?? 0))) >>> 0;
  }

  /** Our sequence number, as the script counts. */
  scriptSequence(live: number): number {
    return (live - this.localOffset) >>> 0;
  }

  /** Our sequence number, as it is. */
  liveSequence(script: number): number {
    return (script + this.localOffset) >>> 0;
  }

  /** Options that come in, with live numbers: SACK blocks and echoes speak of what we sent. */
  liveOptions(items: readonly TcpOptionItem[], absoluteEcho: boolean): readonly TcpOptionItem[] {
    return items.map((item) => {
      if (item.kind === 'sack') {
        return {
          ...item,
          blocks: item.blocks.map(([a, b]) => [this.liveSequence(a), this.liveSequence(b)] as const),
        };
      }
      if (item.kind !== 'TS' || item.echo === undefined || absoluteEcho) return item;
      return { ...item, echo: this.liveEcho(item.echo) };
    });
  }
}

function timestampOf(options: readonly TcpOptionItem[] | 'any') {
  if (options === 'any') return undefined;
  for (const item of options) if (item.kind === 'TS') return item;
  return undefined;
}

/** The flows of a script, and which of them it means where it names no ports. */
export class Flows {
  current: Flow | undefined = undefined;
  private readonly flows: Flow[] = [];
  private readonly bindPort: number;
  private nextRemotePort = 40_000;

  constructor(bindPort: number) {
    this.bindPort = bindPort;
  }

  listening(port: number): void {
    this.current = new Flow('listener', port, 0);
  }

  connecting(localPort: number, remotePort: number): void {
    this.current = this.add(new Flow('connecting', localPort, remotePort));
  }

  /** The flow of a packet that comes in. */
  inbound(ports: Ports | undefined): Flow {
    if (ports !== undefined) {
      const { source, destination } = ports;
      const known = this.flows.findLast((flow) => flow.localPort === destination && flow.remotePort === source);
      return (this.current = known ?? this.add(new Flow('connection', destination, source)));
    }
    const { current } = this;
    if (current !== undefined && current.role !== 'listener') return current;
    const port = current?.localPort ?? this.bindPort;
    return (this.current = this.add(new Flow('connection', port, this.nextRemotePort++)));
  }

  /** The flow of a packet that is expected to go out; `undefined` where there is none that it could belong to. */
  outbound(ports: Ports | undefined): Flow | undefined {
    if (ports === undefined) return this.current;
    const { source, destination } = ports;
    const known = this.flows.findLast((flow) => flow.localPort === source && flow.remotePort === destination);
    return (this.current = known ?? this.add(new Flow('connection', source, destination)));
  }

  private add(flow: Flow): Flow {
    this.flows.push(flow);
    return flow;
  }
}
