/** What the tracking of flows costs per packet, by how many flows there are, and in memory. The packets are of all flows in no order. */

import type { Frame } from '../lib/core/frame.js';
import { FlowTracker } from '../lib/l4/conntrack/flow-tracker.js';
import { PacketNotation } from '../lib/text/notation.js';
import { ipOffset } from '../lib/wire/network-offset.js';
import { PacketFields } from '../lib/wire/packet-fields.js';
import { environment } from '../operators/time/environment.js';
import { SimulationScheduler } from '../operators/time/simulation-scheduler.js';
import { type Row, row } from './report.js';

const SECTION = 'Flow tracking';
const COUNTS = [1000, 100_000, 1_000_000] as const;
const PACKETS = 200_000;
/** Odd, so that multiples of it modulo a power of two visit everything. */
const STRIDE = 0x9e37_79b1;

/** One packet that is made one of any flow, in place. */
class Template {
  readonly frame: Frame;
  private readonly address: number;
  private readonly port: number;

  constructor(version: 4 | 6, line: string) {
    this.frame = new PacketNotation({ version }).build(line);
    const fields = new PacketFields();
    fields.read(this.frame, ipOffset(this.frame));
    const isReply = line.startsWith('>');
    const [v4, v6] = isReply ? [16, 36] : [12, 20];
    this.address = fields.network + (version === 4 ? v4 : v6);
    this.port = fields.transport + (isReply ? 2 : 0);
  }

  of(flow: number): Frame {
    const { view } = this.frame.slab;
    view.setUint32(this.address, 0x0a00_0000 + (flow >>> 12));
    view.setUint16(this.port, 1024 + (flow & 0xfff));
    return this.frame;
  }
}

/** A tracker with that many established flows, and what sends packets of them. */
class Tracked {
  readonly tracker: FlowTracker;
  private readonly mask: number;
  private readonly data: Template;
  private readonly answer: Template;
  private next = 0;

  constructor(version: 4 | 6, protocol: 'tcp' | 'udp', flows: number) {
    const env = environment({ scheduler: new SimulationScheduler(), seed: 1 });
    this.tracker = new FlowTracker({ capacity: flows, checksums: 'none' }, env);
    this.mask = 2 ** Math.floor(Math.log2(flows)) - 1;
    const opening =
      protocol === 'tcp'
        ? ['< S 0:0(0) win 1000', '> S. 0:0(0) ack 1 win 1000', '< . 1:1(0) ack 1 win 1000']
        : ['< udp 1024 > 53 (64)', '> udp 53 > 1024 (64)', '< udp 1024 > 53 (64)'];
    const templates = opening.map((line) => new Template(version, line));
    for (let flow = 0; flow < flows; flow++) for (const template of templates) this.pass(template.of(flow));
    const [, , first = ''] = opening;
    this.data = new Template(version, first);
    this.answer = new Template(version, protocol === 'tcp' ? '> . 1:1(0) ack 1 win 1000' : (opening[1] ?? ''));
  }

  /** Nanoseconds a packet, both ways in turn, of flows that are all over the table. */
  measure(): number {
    const begun = process.hrtime.bigint();
    for (let i = 0; i < PACKETS; i++) {
      const flow = (Math.imul(this.next++, STRIDE) >>> 4) & this.mask;
      this.pass((i & 1) === 0 ? this.data.of(flow) : this.answer.of(flow));
    }
    return Number(process.hrtime.bigint() - begun) / PACKETS;
  }

  /** Bytes of the heap that each packet takes. */
  allocated(): number {
    globalThis.gc?.({ type: 'minor' });
    const before = process.memoryUsage().heapUsed;
    this.measure();
    return Math.max(0, process.memoryUsage().heapUsed - before) / PACKETS;
  }

  private pass(frame: Frame): void {
    this.tracker.track(frame);
    this.tracker.confirm(frame);
  }
}

/** SYNs, each of a flow of its own, to a table that is full of such: nanoseconds each, with another flow evicted. */
function flood(): number {
  const env = environment({ scheduler: new SimulationScheduler(), seed: 1 });
  const tracker = new FlowTracker({ capacity: 100_000, checksums: 'none' }, env);
  const template = new Template(4, '< S 0:0(0) win 1000');
  const pour = (from: number) => {
    for (let flow = from; flow < from + PACKETS; flow++) {
      const frame = template.of(flow);
      tracker.track(frame);
      tracker.confirm(frame);
    }
  };
  pour(0);
  const begun = process.hrtime.bigint();
  pour(PACKETS);
  return Number(process.hrtime.bigint() - begun) / PACKETS;
}

/** Measures everything, `rounds` times, interleaved. */
export function conntrackBenchmark(rounds: number): Row[] {
  const kinds = (['tcp', 'udp'] as const).flatMap((protocol) => ([4, 6] as const).map((v) => ({ protocol, v })));
  const rows: Row[] = [];
  for (const flows of COUNTS) {
    for (const { protocol, v } of kinds) {
      const tracked = new Tracked(v, protocol, flows);
      tracked.measure();
      const name = `${protocol.toUpperCase()} over IPv${v}, ${flows.toLocaleString('en')} flows`;
      rows.push(
        row(
          SECTION,
          name,
          'ns',
          Array.from({ length: rounds }, () => tracked.measure()),
        ),
      );
      if (flows === COUNTS[0]) {
        const bytes = Array.from({ length: rounds }, () => tracked.allocated());
        rows.push(row(SECTION, `${name}: memory allocated per packet`, 'B', bytes));
      }
      if (protocol === 'tcp' && v === 4) {
        const each = tracked.tracker.table.bytes / flows;
        rows.push(row(SECTION, `memory per flow, table of ${flows.toLocaleString('en')}`, 'B', [each]));
      }
    }
  }
  const floods = Array.from({ length: rounds }, flood);
  rows.push(row(SECTION, 'a SYN that evicts another, full table of 100,000', 'ns', floods));
  return rows;
}
