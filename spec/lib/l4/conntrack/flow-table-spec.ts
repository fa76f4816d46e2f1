import { expect } from 'chai';
import * as fc from 'fast-check';
import { ipOf } from '../../../../lib/core/address.js';
import { DropReason } from '../../../../lib/core/drops.js';
import { FlowTuple } from '../../../../lib/l4/conntrack/flow-tuple.js';
import { forBothVersions, type VersionFacts } from '../../../both-versions.js';
import { type Ends, mirrorOf, type NaiveFlow, NaiveTable, textOf } from './oracle.js';
import { stateOf, Tracked } from './tracked.js';

const CAPACITY = 5;

type Step =
  | { readonly kind: 'packet'; readonly ends: Ends; readonly dropped: boolean; readonly translate: Ends | undefined }
  | { readonly kind: 'reply' | 'again' | 'delete'; readonly of: number }
  | { readonly kind: 'wait'; readonly time: number };

function endsOf({ a, b, c }: VersionFacts): fc.Arbitrary<Ends> {
  const address = fc.constantFrom(a.toString(), b.toString(), c.toString());
  return fc
    .record({
      protocol: fc.constantFrom('udp' as const, 'udp' as const, 'icmp' as const, 'other' as const),
      source: address,
      destination: address,
      sourcePort: fc.integer({ min: 1, max: 3 }),
      destinationPort: fc.integer({ min: 0, max: 1 }),
    })
    .map((ends) => (ends.protocol === 'other' ? { ...ends, sourcePort: 0, destinationPort: 0 } : ends))
    .filter((ends) => textOf(ends) !== textOf(mirrorOf(ends)));
}

function stepsOf(facts: VersionFacts): fc.Arbitrary<Step[]> {
  const ends = endsOf(facts);
  const packet = fc.record({
    kind: fc.constant('packet' as const),
    ends,
    dropped: fc.integer({ min: 0, max: 9 }).map((of) => of === 0),
    translate: fc.option(ends, { nil: undefined, freq: 4 }),
  });
  const of = fc.nat(CAPACITY * 2);
  const other = fc.record({ kind: fc.constantFrom('reply' as const, 'reply' as const, 'again' as const), of });
  const less = fc.record({ kind: fc.constant('delete' as const), of });
  // When the table is full it is searched for expired flows once a second: so exact is the oracle.
  const wait = fc.record({
    kind: fc.constant('wait' as const),
    time: fc.integer({ min: 1, max: 70 }).map((s) => s * 1000),
  });
  return fc.array(fc.oneof({ arbitrary: packet, weight: 6 }, { arbitrary: other, weight: 5 }, less, wait), {
    maxLength: 60,
    size: 'max',
  });
}

/** The tracker and the oracle side by side. */
class Pair {
  readonly tracked: Tracked;
  readonly naive: NaiveTable = new NaiveTable(CAPACITY);
  private readonly facts: VersionFacts;
  private readonly ids = new Map<NaiveFlow, number>();
  private readonly known: NaiveFlow[] = [];

  constructor(facts: VersionFacts) {
    this.facts = facts;
    this.tracked = new Tracked(facts, { capacity: CAPACITY });
  }

  take(step: Step): void {
    const { naive, tracked } = this;
    if (step.kind === 'wait') {
      tracked.scheduler.runFor(step.time);
      naive.now += step.time;
    } else if (step.kind === 'packet') this.send(step.ends, step.dropped, step.translate);
    else {
      const flow = this.known[step.of % Math.max(this.known.length, 1)];
      if (flow === undefined) return;
      if (step.kind === 'delete') this.remove(flow);
      else this.send(endsIn(step.kind === 'reply' ? flow.reply : flow.original), false, undefined);
    }
    const flows = new Set([...tracked.tracker.table.flows()].map(({ id }) => id));
    expect(flows).to.deep.equal(new Set(naive.live.map((flow) => this.ids.get(flow))));
    expect(tracked.tracker.table.size).to.be.within(flows.size, CAPACITY);
  }

  private remove(flow: NaiveFlow): void {
    const isThere = this.naive.live.includes(flow);
    expect(this.tracked.tracker.table.delete(this.ids.get(flow) ?? 0) || !isThere).to.equal(true);
    this.naive.delete(flow);
  }

  private send(ends: Ends, dropped: boolean, translate: Ends | undefined): void {
    const { naive, tracked } = this;
    const { tracker } = tracked;
    const frame = tracked.notation.build(lineOf(ends, this.facts));
    tracker.track(frame);
    const { flow, state, isReply } = naive.track(ends);
    expect([stateOf(frame), frame.flowReply]).to.deep.equal([state, isReply]);
    if (flow === undefined) return;
    if (this.ids.has(flow)) expect(frame.flow).to.equal(this.ids.get(flow));
    else this.ids.set(flow, frame.flow);
    if (translate !== undefined && textOf(translate) !== flow.original) this.translate(flow, frame.flow, translate);
    if (dropped) return;
    // As much as the reply tuple of a flow may be taken by another since it was set, so may the mirror.
    const clashes = !flow.confirmed && naive.owner(flow.reply) !== undefined;
    const confirmed = !clashes && naive.confirm(flow);
    const refusal = clashes ? DropReason.ConntrackInvalid : DropReason.ConntrackFull;
    expect(tracker.confirm(frame)).to.equal(confirmed ? undefined : refusal);
    if (confirmed && !this.known.includes(flow)) this.known.push(flow);
  }

  private translate(flow: NaiveFlow, id: number, reply: Ends): void {
    const may = !flow.confirmed && this.naive.owner(textOf(reply)) === undefined && reply.protocol === flow.protocol;
    if (reply.protocol !== flow.protocol) return;
    expect(this.tracked.tracker.table.setReply(id, tupleOf(reply, this.facts))).to.equal(may);
    if (may) flow.reply = textOf(reply);
  }
}

function endsIn(text: string): Ends {
  const [protocol, source = '', sourcePort, destination = '', destinationPort] = text.split(' ');
  const ports = { sourcePort: Number(sourcePort), destinationPort: Number(destinationPort) };
  return { protocol: protocol as Ends['protocol'], source, destination, ...ports };
}

function lineOf({ protocol, source, destination, sourcePort, destinationPort }: Ends, { icmp }: VersionFacts): string {
  const addresses = `from ${source} to ${destination}`;
  if (protocol === 'udp') return `< udp ${sourcePort} > ${destinationPort} (4) ${addresses}`;
  if (protocol === 'other') return `< ip 47 (8) ${addresses}`;
  return `< ${icmp} ${destinationPort === 0 ? 'echo_request' : 'echo_reply'} id ${sourcePort} seq 1 (4) ${addresses}`;
}

function tupleOf(ends: Ends, { version }: VersionFacts): FlowTuple {
  const [echo, answer, icmp] = version === 4 ? [8, 0, 1] : [128, 129, 58];
  const destinationPort = ends.protocol === 'icmp' ? [echo, answer][ends.destinationPort] : ends.destinationPort;
  return FlowTuple.of({
    protocol: { udp: 17, icmp, other: 47 }[ends.protocol],
    source: ipOf(ends.source),
    destination: ipOf(ends.destination),
    sourcePort: ends.sourcePort,
    destinationPort: destinationPort ?? 0,
  });
}

forBothVersions('FlowTable', (facts) => {
  it('finds, forgets and evicts what an array would', () => {
    fc.assert(
      fc.property(stepsOf(facts), (steps) => {
        const pair = new Pair(facts);
        for (const step of steps) pair.take(step);
        pair.tracked.tracker.table.dispose();
        expect(pair.tracked.scheduler.pending).to.equal(0);
      }),
      { numRuns: 300 },
    );
  });

  it('makes one flow of packets that waited on their way', () => {
    const { tracker, notation } = new Tracked(facts);
    const [first, second, translated] = ['', '', ''].map(() => notation.build('< udp 5 > 53 (4)'));
    if (first === undefined || second === undefined || translated === undefined) throw new Error('three frames');
    for (const frame of [first, second, translated]) tracker.track(frame);
    expect(new Set([first.flow, second.flow, translated.flow]).size).to.equal(3);
    const reply = tupleOf(
      { ...endsIn('udp x 53 y 9'), source: facts.a.toString(), destination: facts.c.toString() },
      facts,
    );
    expect(tracker.table.setReply(translated.flow, reply)).to.equal(true);
    expect([first, second, translated].map((frame) => tracker.confirm(frame))).to.deep.equal([
      undefined,
      undefined,
      DropReason.ConntrackInvalid,
    ]);
    expect([second.flow, tracker.table.size]).to.deep.equal([first.flow, 1]);
  });

  it('lets packets wait on their way, so many of new flows as is bounded', () => {
    const { tracker, notation } = new Tracked(facts);
    const frames = Array.from({ length: 300 }, (_, port) => notation.build(`< udp ${port + 1} > 53 (4)`));
    for (const frame of frames) tracker.track(frame);
    for (const frame of frames) expect(tracker.confirm(frame)).to.equal(undefined);
    expect([...tracker.table.flows()].map(({ original }) => original.sourcePort)).to.have.members(
      Array.from({ length: 256 }, (_, i) => i + 45),
    );
  });
});
