import { expect } from 'chai';
import * as fc from 'fast-check';
import type { NatFilter } from '../../../lib/l4/nat/rules.js';
import { Rig, udp } from './nat-rig.js';

const TIMEOUT = 300_000;
const PORTS = { from: 2000, to: 2005 };

interface End {
  readonly host: number;
  readonly port: number;
}

type Step =
  | { readonly kind: 'out' | 'hairpin'; readonly from: End; readonly to: End; readonly at: number }
  | { readonly kind: 'in'; readonly from: End; readonly at: number }
  | { readonly kind: 'pass'; readonly ms: number };

const remote = fc.record({ host: fc.integer({ min: 1, max: 2 }), port: fc.constantFrom(0, 53, 54) });
const internal = fc.record({ host: fc.integer({ min: 1, max: 2 }), port: fc.integer({ min: 4000, max: 4003 }) });
const at = fc.integer({ min: PORTS.from, max: PORTS.to });
const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof<fc.Arbitrary<Step>[]>(
    fc.record({ kind: fc.constantFrom('out', 'out', 'hairpin'), from: internal, to: remote, at }),
    fc.record({ kind: fc.constant('in'), from: remote, at }),
    fc.record({ kind: fc.constant('pass'), ms: fc.constantFrom(1, TIMEOUT / 3, TIMEOUT / 2, TIMEOUT - 1) }),
  ),
  { minLength: 20, maxLength: 80 },
);

/** What RFC 4787 says of mappings and filters, as naively as can be. */
class Model {
  private now = 0;
  /** When each internal end last sent to each remote end, and the external port that it has. */
  private readonly sent: { readonly from: string; readonly to: string; readonly port: number; at: number }[] = [];
  private readonly filter: NatFilter;

  constructor(filter: NatFilter) {
    this.filter = filter;
  }

  pass(ms: number): void {
    this.now += ms;
  }

  private live() {
    return this.sent.filter((one) => one.at + TIMEOUT > this.now);
  }

  /** The external port of an internal end, or `undefined`. */
  portOf(from: string): number | undefined {
    return this.live().find((one) => one.from === from)?.port;
  }

  /** The internal end that has an external port. */
  ownerOf(port: number): string | undefined {
    return this.live().find((one) => one.port === port)?.from;
  }

  /** Those of the parity of `like`, or of either where there are none. */
  free(like: number): number[] {
    const all = Array.from({ length: PORTS.to - PORTS.from + 1 }, (_, i) => PORTS.from + i);
    const free = all.filter((port) => this.ownerOf(port) === undefined);
    const alike = free.filter((port) => port % 2 === like % 2);
    return alike.length > 0 ? alike : free;
  }

  send(from: string, to: string, port: number): void {
    this.sent.push({ from, to, port, at: this.now });
  }

  admits(from: string, port: number): boolean {
    const [address] = from.split(':');
    return this.live().some((one) => {
      if (one.port !== port) return false;
      if (this.filter === 'endpoint-independent') return true;
      return this.filter === 'address-dependent' ? one.to.split(':')[0] === address : one.to === from;
    });
  }

  get mappings(): number {
    return new Set(this.live().map(({ from }) => from)).size;
  }
}

const inside = ({ host, port }: End): string => `10.0.0.${host}:${port}`;
const outside = ({ host, port }: End): string => `192.0.2.${host}:${port}`;

/** What is sent out gets the port that it has, or any that is free; returns it, or `undefined` where there is none. */
function expectSent(
  model: Model,
  from: End,
  to: string,
  external: string | undefined,
  text: string,
): number | undefined {
  const known = model.portOf(inside(from));
  const free = model.free(from.port);
  if (known === undefined && free.length === 0) {
    expect(text).to.equal('nat-no-port');
    return undefined;
  }
  const port = Number(external?.split(':')[1]);
  if (known === undefined) expect(free, text).to.include(port);
  else expect(port, text).to.equal(known);
  model.send(inside(from), to, port);
  return port;
}

function play(rig: Rig, model: Model, step: Step): void {
  if (step.kind === 'pass') {
    rig.pass(step.ms);
    model.pass(step.ms);
    return;
  }
  const to = `198.51.100.1:${step.at}`;
  if (step.kind === 'in') {
    const { text } = rig.in(udp, outside(step.from), to);
    const admitted = model.admits(outside(step.from), step.at);
    expect(text).to.equal(admitted ? `${outside(step.from)} > ${model.ownerOf(step.at)}` : 'nat-no-mapping');
    return;
  }
  if (step.kind === 'out') {
    const { text } = rig.out(udp, inside(step.from), outside(step.to));
    expectSent(model, step.from, outside(step.to), text.split(' > ')[0], text);
    return;
  }
  const owner = model.ownerOf(step.at);
  const { text, side } = rig.out(udp, inside(step.from), to);
  if (owner === undefined) {
    expect(text).to.equal('nat-no-mapping');
    return;
  }
  // Whether or not it is let in, it went out: the sender has a mapping, and has opened it for the answer.
  const known = rig.nat
    .mappings()
    .find(({ internal: end }) => `${end.address.toString()}:${end.port}` === inside(step.from));
  const port = expectSent(model, step.from, to, known === undefined ? undefined : `_:${known.external.port}`, text);
  if (port === undefined) return;
  const admitted = model.admits(`198.51.100.1:${port}`, step.at);
  expect(text).to.equal(admitted ? `198.51.100.1:${port} > ${owner}` : 'nat-no-mapping');
  expect(side).to.equal(admitted ? 'lan' : undefined);
}

describe('nat, held against a naive one', () => {
  for (const filter of ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'] as const) {
    it(`maps and filters as it does, ${filter}`, () => {
      fc.assert(
        fc.property(steps, (all) => {
          const source = { kind: 'source', from: '10.0.0.0/8', out: 'wan', to: '198.51.100.1' } as const;
          const rig = new Rig([{ ...source, ports: '2000-2005', filter }], { capacity: 100 });
          const model = new Model(filter);
          for (const step of all) {
            play(rig, model, step);
            expect(rig.nat.stats().mappings).to.equal(model.mappings);
          }
          rig.pass(TIMEOUT);
          expect(rig.nat.stats()).to.include({ mappings: 0, sessions: 0, hosts: 0 });
          rig.end();
        }),
        { numRuns: 200 },
      );
    });
  }
});
