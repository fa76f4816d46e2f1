import { expect } from 'chai';
import * as fc from 'fast-check';
import { filter, map, type MonoTypeOperatorFunction, Subject } from 'rxjs';
import { traceText } from '../../../cli/trace-text.js';
import { DropReason } from '../../../lib/core/drops.js';
import type { Env } from '../../../lib/core/env.js';
import { FlowState, type Frame, FramePool } from '../../../lib/core/frame.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import { Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { layer } from '../../../operators/flow/layer.js';
import { pipeline } from '../../../operators/flow/pipeline.js';
import type { PacketTrace } from '../../../operators/flow/pipeline-trace.js';
import { responder } from '../../../operators/flow/responder.js';
import { where } from '../../../operators/flow/where.js';
import { environment } from '../../../operators/time/environment.js';
import { anyFrame } from '../../lib/filter/pcap-filter/arbitrary.js';

type Operator = MonoTypeOperatorFunction<Frame>;

const SYN = '< 40000 > 80 S 5:5(0) win 65535 from 10.0.0.2 to 192.0.2.1';
const DNS = '< udp 1024 > 53 (4) from 10.0.0.2 to 192.0.2.1';

function changes(change: (frame: Frame) => void): Operator {
  return layer(() => (frame) => {
    change(frame);
    return frame;
  });
}

/** Writes another source address, and leaves the checksums as they are. */
const translates = changes((frame) => frame.slab.view.setUint32(frame.start + 26, 0xc6336401));

describe('traces of a pipeline', () => {
  let env: Env = environment();
  let in$ = new Subject<Frame>();
  const notation = new PacketNotation();
  beforeEach(() => {
    env = environment({ seed: 1, pool: new FramePool({ poison: true }) });
    in$ = new Subject();
  });
  afterEach(() => expect(env.pool.outstanding).to.equal(0));

  function send(...lines: string[]): void {
    for (const line of lines) {
      const frame = notation.build(line, '<', env.pool);
      in$.next(frame);
      frame.release();
    }
  }

  function traced(stages: ReturnType<typeof pipeline<Frame>>, text?: string): PacketTrace[] {
    const traces: PacketTrace[] = [];
    stages.trace$(text).subscribe((trace) => traces.push(trace));
    return traces;
  }

  it('tell which stages a packet passed, what each decided, and how it changed', () => {
    const stages = pipeline<Frame>(
      [
        ['look', changes(() => {})],
        [
          'mark',
          changes((frame) => {
            frame.mark = 5;
            frame.flow = 12;
            frame.flowState = FlowState.New;
          }),
        ],
        ['nat', translates],
        ['limit', where((frame) => frame.length < 50, DropReason.RateLimited, env)],
        ['behind', changes(() => {})],
      ],
      env,
    );
    const traces = traced(stages);
    in$.pipe(stages).subscribe();
    send(SYN, DNS);
    const [dropped, passed] = traces;
    expect(dropped?.steps.map(({ stage, verdict }) => `${stage} ${verdict}`)).to.deep.equal([
      'look passed',
      'mark passed',
      'nat passed',
      'limit dropped',
    ]);
    expect(dropped).to.deep.include({ verdict: 'dropped', reason: 'rate-limited' });
    const [look, mark, nat, limit] = dropped?.steps ?? [];
    expect(look).to.deep.equal({ stage: 'look', verdict: 'passed', changes: [], notes: [] });
    expect(mark?.notes).to.deep.equal(['mark 0 -> 5', 'flow 0 -> 12', 'flow state untracked -> new']);
    expect(nat?.changes).to.deep.equal([
      { offset: 26, before: Uint8Array.of(10, 0, 0, 2), after: Uint8Array.of(198, 51, 100, 1) },
    ]);
    expect(dropped?.text).to.include('40000 > 80 S 5:5(0)').and.to.include('from 10.0.0.2 to 192.0.2.1');
    expect(nat?.text).to.include('from 198.51.100.1 to 192.0.2.1');
    expect(limit).to.deep.include({ reason: 'rate-limited', changes: [] });
    expect(passed).to.deep.include({ verdict: 'passed' }).and.not.to.have.property('reason');
    expect(passed?.steps.length).to.equal(5);
  });

  it('tell a frame from a packet without link header, whatever its addresses are', () => {
    const stages = pipeline<Frame>([['nat', translates]], env);
    const traces = traced(stages);
    in$.pipe(stages).subscribe();
    // The first bytes of this one could be an IPv6 header.
    send('< udp 1024 > 53 (100) mac-to 64:d1:54:00:00:10');
    expect(traces[0]?.text).to.match(/^udp 1024 > 53 \(100\) .* mac-to 64:d1:54:00:00:10$/);
  });

  it('are of the packets that a filter wants, as they come in', () => {
    const stages = pipeline<Frame>([['nat', translates]], env);
    const tcp = traced(stages, 'tcp port 80 and src host 10.0.0.2');
    const udp = traced(stages, 'udp');
    const none = traced(stages, 'src host 198.51.100.1');
    in$.pipe(stages).subscribe();
    send(SYN, DNS, DNS);
    expect([tcp.length, udp.length, none.length]).to.deep.equal([1, 2, 0]);
    expect(() => stages.trace$('tcp port')).to.throw('column 9');
  });

  it('may be asked for by a condition; one that throws wants nothing, and harms nobody', () => {
    const stages = pipeline<Frame>([['nat', translates]], env);
    let traces = 0;
    let out = 0;
    stages
      .trace$(() => {
        throw new Error('mine');
      })
      .subscribe(() => traces++);
    in$.pipe(stages).subscribe(() => out++);
    send(SYN);
    expect([traces, out]).to.deep.equal([0, 1]);
  });

  it('do nothing to packets, and nothing is done while nobody is subscribed', () => {
    const stages = pipeline<Frame>(
      [
        ['nat', translates],
        ['limit', where((frame) => frame.length > 50, undefined, env)],
      ],
      env,
    );
    const seen: string[] = [];
    let asked = 0;
    const subscription = stages
      .trace$((frame) => asked++ === 0 && frame.length > 0)
      .subscribe(() => seen.push('trace'));
    in$
      .pipe(
        stages,
        map((frame) => notation.format(frame, '<')),
      )
      .subscribe((line) => seen.push(line));
    send(SYN);
    subscription.unsubscribe();
    send(SYN, DNS);
    expect(asked).to.equal(1);
    expect(seen.length).to.equal(3);
    expect(seen[0]).to.equal('trace');
    expect(seen[1]).to.equal(seen[2]);
    expect(stages.counters()['nat']).to.deep.include({ in: 3, out: 3 });
    expect(env.drops.toJSON()).to.deep.equal({ filtered: 1 });
  });

  it('show the stages of a nested pipeline in place of it', () => {
    const inner = pipeline<Frame>(
      [
        ['nat', translates],
        ['limit', where((frame) => frame.length > 50, undefined, env)],
      ],
      env,
    );
    const middle = pipeline<Frame>(
      [
        ['inner', inner],
        ['empty', pipeline<Frame>([], env)],
      ],
      env,
    );
    const outer = pipeline<Frame>(
      [
        ['first', changes(() => {})],
        ['middle', middle],
        ['last', changes(() => {})],
      ],
      env,
    );
    const traces = traced(outer);
    const own = traced(inner, 'udp');
    in$.pipe(outer).subscribe();
    send(SYN, DNS);
    expect(traces.map(({ steps }) => steps.map(({ stage }) => stage))).to.deep.equal([
      ['first', 'middle/inner/nat', 'middle/inner/limit', 'middle/empty', 'last'],
      ['first', 'middle/inner/nat', 'middle/inner/limit'],
    ]);
    expect(traces[0]?.steps[1]?.changes.length).to.equal(1);
    expect(traces[0]?.steps[4]?.changes).to.deep.equal([]);
    expect(traces[1]).to.deep.include({ verdict: 'dropped', reason: 'filtered' });
    expect(own.map(({ steps }) => steps.map(({ stage }) => stage))).to.deep.equal([['nat', 'limit']]);
  });

  it('tell of packets that are held, taken, lost, and of those that come in on the way', () => {
    const kept: Frame[] = [];
    let letGo = () => {};
    const holds: Operator = responder((emit) => {
      letGo = () => {
        for (const frame of kept.splice(0)) {
          emit(frame);
          frame.release();
        }
      };
      return { next: (frame) => kept.push(frame.retain()) };
    });
    const takes: Operator = layer(() => (frame) => {
      if (frame.length > 50) return frame;
      env.drops.deliver(frame);
      return undefined;
    });
    const stages = pipeline<Frame>(
      [
        ['holds', holds],
        ['takes', takes],
        ['loses', filter((frame) => frame.mark === 0)],
      ],
      env,
    );
    const traces = traced(stages);
    in$.pipe(stages).subscribe();
    send(SYN, DNS, SYN);
    for (const [i, frame] of kept.entries()) frame.mark = i === 2 ? 1 : 0;
    letGo();
    expect(traces.map(({ from, verdict, reason, steps }) => [from, verdict, reason, steps.length])).to.deep.equal([
      [undefined, 'held', undefined, 1],
      [undefined, 'held', undefined, 1],
      [undefined, 'held', undefined, 1],
      ['takes', 'passed', undefined, 2],
      ['takes', 'taken', undefined, 1],
      ['takes', 'none', 'no-verdict', 2],
    ]);
  });

  it('can be told of any bytes, and never harm what they are of', () => {
    const anyBytes = fc.oneof(
      anyFrame.map(({ bytes }) => bytes),
      fc.uint8Array({ maxLength: 80 }),
    );
    fc.assert(
      fc.property(
        fc.array(anyBytes, { maxLength: 10 }),
        fc.nat(),
        fc.integer({ min: -20, max: 20 }),
        (packets, at, grown) => {
          const source$ = new Subject<Frame>();
          const writes = changes((frame) => {
            if (frame.length > 0) frame.slab.bytes[frame.start + (at % frame.length)] = 0xdb;
            frame.start = Math.min(frame.end, frame.start - grown);
          });
          const stages = pipeline<Frame>([['writes', writes]], env);
          const traces = traced(stages);
          let out = 0;
          source$.pipe(stages).subscribe(() => out++);
          for (const bytes of packets) {
            const frame = env.pool.alloc(bytes.length);
            frame.slab.bytes.set(bytes, frame.put(bytes.length));
            source$.next(frame);
            frame.release();
          }
          expect([out, traces.length]).to.deep.equal([packets.length, packets.length]);
          for (const trace of traces) expect(traceText(trace)).to.include('writes  passed');
        },
      ),
      { numRuns: 300 },
    );
  });

  it('are of views as well, with a header that is put in front', () => {
    const grows: MonoTypeOperatorFunction<Ipv4Packet> = layer(() => (packet) => {
      const { frame } = packet;
      frame.start = frame.network - 4;
      frame.slab.bytes.fill(7, frame.start, frame.network);
      frame.network = frame.start;
      return packet;
    });
    const stages = pipeline<Ipv4Packet>([['grows', grows]], env);
    const traces: PacketTrace[] = [];
    stages.trace$().subscribe((trace) => traces.push(trace));
    const views$ = new Subject<Ipv4Packet>();
    views$.pipe(stages).subscribe();
    const frame = new PacketNotation({ linkType: 'ip' }).build(DNS, '<', env.pool);
    frame.network = frame.start;
    frame.wholeEnd = frame.end;
    views$.next(new Ipv4Packet(frame, frame.start));
    frame.release();
    expect(traces[0]?.text).to.include('udp 1024 > 53 (4)');
    expect(traces[0]?.steps[0]?.changes).to.deep.equal([
      { offset: 0, before: new Uint8Array(0), after: Uint8Array.of(7, 7, 7, 7) },
    ]);
  });
});
