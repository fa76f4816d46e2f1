import { expect } from 'chai';
import { SeededRandom } from '../../../lib/core/random.js';
import { endpoint, PhoneAddress, topic, u32 } from '../../../lib/ergot/index.js';
import { allOf, groupOf } from '../../../lib/ergot/phone/index.js';
import { HELLO_INTERVAL, type LayerPlan, plan, type Station, Topology } from './phone-topology.js';

const SEEDS = 200;
/** They are tried in so many parts. */
const PARTS = 4;
const PORT = 1;
const count = endpoint('test/count', u32, u32);
const news = topic('test/news', u32);
/** What the routers of a layer know of each other is what is so. */
const SETTLED = 5 * HELLO_INTERVAL;
/** Longer than a subscription takes that goes up and up. */
const SUBSCRIBED = 80;
/** Longer than any way. */
const WAY = 60;

/** Whom a message came to, and how often. */
class Witness {
  readonly got = new Map<Station, number>();

  saw(station: Station): void {
    this.got.set(station, (this.got.get(station) ?? 0) + 1);
  }

  /** Names of those that got it, once each, or more often. */
  names(): string[] {
    return Array.from(this.got, ([{ name }, times]) => (times === 1 ? name : `${name} ${times} times`)).sort();
  }
}

class Trial {
  readonly topology: Topology;
  /** Who wants what is sent to the multicast address of a layer. */
  private readonly members = new Map<LayerPlan, Set<Station>>();
  private witness = new Witness();

  constructor(seed: number, random: SeededRandom) {
    this.topology = new Topology(seed, random, plan(random, 1 + random.below(3)));
    for (const station of this.topology.stations) {
      const { node } = station.watched;
      node.serve(count, { port: PORT }).subscribe((request) => {
        this.witness.saw(station);
        request.answer(request.value + 1);
      });
      node.topic(news).subscribe(() => this.witness.saw(station));
    }
  }

  /** Asks one station another by its address in the scope of a layer; who was asked, and what was answered. */
  ask(from: Station, to: Station, layer: LayerPlan): { got: string[]; answer: string } {
    const { topology } = this;
    this.witness = new Witness();
    let answer = 'nothing';
    from.watched.node.request(count, topology.addressOf(to, PORT, layer), 41, { timeout: WAY - 1 }).subscribe({
      next: ({ value, source }) => (answer = `${value} from ${source.toString()}`),
      error: ({ code }: { code: string }) => (answer = code),
    });
    topology.net.run(WAY);
    return { got: this.witness.names(), answer };
  }

  /** Says something to a whole scope, or to a group; who heard. */
  tell(from: Station, to: PhoneAddress): string[] {
    this.witness = new Witness();
    from.watched.node.publish(news, to, 1);
    this.topology.net.run(WAY);
    return this.witness.names();
  }

  /** Has some stations subscribe to the multicast address of some layers that they are in, while all is well. */
  subscribe(random: SeededRandom, what: string): void {
    const { stations, net } = this.topology;
    const answers: string[] = [];
    for (const station of stations) {
      if (random.below(2) === 0) continue;
      const layer = station.path[random.below(station.path.length)] ?? raise();
      this.members.set(layer, (this.members.get(layer) ?? new Set()).add(station));
      station.profile.subscribe(this.topology.groupOf(layer), ({ kind, value }) =>
        answers.push(kind === 'Ok' ? kind : `${station.name}: ${value.kind}`),
      );
      net.run(SUBSCRIBED);
    }
    expect(answers, what).to.deep.equal(answers.map(() => 'Ok'));
  }

  /** Has each third member not want it any more. */
  unsubscribe(random: SeededRandom): void {
    for (const [layer, members] of this.members) {
      for (const station of members) {
        if (random.below(3) > 0) continue;
        members.delete(station);
        station.profile.unsubscribe(this.topology.groupOf(layer));
      }
    }
    this.topology.net.run(SUBSCRIBED);
  }

  check(random: SeededRandom, what: string): void {
    const { stations, net } = this.topology;
    for (let i = 0; i < 4; i++) {
      const [from, to] = [stations[random.below(stations.length)], stations[random.below(stations.length)]];
      if (from === undefined || to === undefined) continue;
      const reached = this.topology.reachable(from);
      const common = from.path.filter((layer) => to.path.includes(layer));
      const scope = common[random.below(common.length)] ?? raise();
      // It turns around where that scope is, be the other as near as can be.
      const turns = [...reached].some(({ path }) => path.at(-1) === scope);
      const expected = turns && reached.has(to);
      const sent = total(this.topology);
      const { got, answer } = this.ask(from, to, scope);
      const asks = `${what}: ${from.name} asks ${to.name} of ^${scope.bits}`;
      expect(got, asks).to.deep.equal(expected ? [to.name] : []);
      expect(answer.startsWith('42 from'), `${asks}: ${answer}`).to.equal(expected);
      // There and back, and what routers say to each other meanwhile.
      expect(total(this.topology) - sent, `${asks}: frames`).to.be.below(2 * stations.length + 100);
      const layer = from.path[random.below(from.path.length)] ?? raise();
      const bits = random.below(3) === 0 ? 32 : layer.bits;
      const within = stations.filter((one) => reached.has(one) && (bits === 32 || one.path.includes(layer)));
      const said = this.tell(from, allOf(new PhoneAddress(0, bits)));
      expect(said, `${what}: ${from.name} tells ^${bits}`).to.deep.equal(names(within));
      // Who says it hears it at its own sockets, too.
      const members = [...(this.members.get(layer) ?? [])].filter((one) => reached.has(one));
      const heard = this.tell(from, groupOf(this.topology.groupOf(layer)));
      expect(heard, `${what}: ${from.name} tells a group of ^${layer.bits}`).to.deep.equal(names([...members, from]));
    }
    expect(net.nodes.map(({ lost }) => lost)).to.deep.equal(net.nodes.map(() => 0));
  }
}

function names(stations: readonly Station[]): string[] {
  return [...new Set(stations.map(({ name }) => name))].sort();
}

function raise(): never {
  throw new Error('no layer');
}

/** Frames that were sent so far by all nodes together. */
function total({ net }: Topology): number {
  return net.nodes.reduce((sum, { sent }) => sum + sent, 0);
}

function trySeed(seed: number): number {
  const random = new SeededRandom(seed);
  const trial = new Trial(seed, random);
  const { topology } = trial;
  const { wires, stations, net } = topology;
  net.run(SETTLED);
  trial.subscribe(random, `seed ${seed}`);
  trial.check(random, `seed ${seed}, all well`);
  for (let step = 0; step < 2 && wires.length > 0; step++) {
    for (const wire of wires) if (random.below(4) === 0) topology.set(wire, random.below(2) === 0);
    net.run(SETTLED);
    trial.check(random, `seed ${seed}, step ${step}`);
  }
  for (const wire of wires) topology.set(wire, true);
  net.run(SETTLED);
  trial.unsubscribe(random);
  trial.check(random, `seed ${seed}, all well again`);
  net.end();
  return stations.length;
}

describe('random networks of phone-number addresses, whose cables fail and heal', () => {
  for (let part = 0; part < PARTS; part++) {
    const seeds = Array.from({ length: SEEDS / PARTS }, (_, i) => part + i * PARTS);
    it(`bring each frame to whom it is for, once, and to nobody else: part ${part + 1} of ${SEEDS} networks`, () => {
      expect(Math.max(...seeds.map(trySeed))).to.be.greaterThan(20);
    }).timeout(60_000);
  }
});
