import { expect } from 'chai';
import { UsageError } from '../../../../lib/core/errors.js';
import { SeededRandom } from '../../../../lib/core/random.js';
import { SiblingMesh, type SiblingRecord } from '../../../../lib/ergot/phone-patterns/sibling-mesh.js';

const INTERVAL = 100;
const LIFETIME = 450;
const PREFIX = { levels: [{ bits: 10, kind: 0, ranges: [{ local: 0, address: 0x40, len: 6 }] }] };

/** Routers that talk by cables which lose, delay and overtake; links are called by the number of who is at the other end. */
class Layer {
  now = 0;
  readonly routers: (SiblingMesh<number> | undefined)[] = [];
  readonly cut = new Set<string>();
  private readonly random: SeededRandom;
  private readonly loss: number;
  private readonly wire: { due: number; to: number; from: number; records: readonly SiblingRecord[] }[] = [];

  constructor(count: number, seed: number, loss: number) {
    this.random = new SeededRandom(seed);
    this.loss = loss;
    for (let id = 0; id < count; id++) this.start(id);
  }

  start(id: number): SiblingMesh<number> {
    return (this.routers[id] = new SiblingMesh<number>(id, LIFETIME, this.now));
  }

  kill(id: number): void {
    this.routers[id] = undefined;
  }

  say(from: number): void {
    const records = this.routers[from]?.say();
    if (records === undefined) return;
    for (const to of this.routers.keys()) {
      if (to === from || this.cut.has(key(from, to)) || this.random.float() < this.loss) continue;
      this.wire.push({ due: this.now + 1 + this.random.below(30), to, from, records });
    }
  }

  /** Lets time pass; each router says something at every interval, and at once when it hears news. */
  run(time: number): void {
    for (const end = this.now + time; this.now < end; this.now++) {
      for (const [id, router] of this.routers.entries()) {
        if ((this.now + id * 17) % INTERVAL === 0 || router?.expire(this.now) === true) this.say(id);
      }
      const arrived = this.wire.filter(({ due }) => due <= this.now);
      for (const one of arrived) {
        this.wire.splice(this.wire.indexOf(one), 1);
        if (this.cut.has(key(one.from, one.to))) continue;
        if (this.routers[one.to]?.hear(one.from, one.from, one.records, this.now) === true) this.say(one.to);
      }
    }
  }

  /** Routers between two, as a search of all cables finds, without passing `without`; -1 for none. */
  distance(from: number, to: number, without: number): number {
    const far = new Map([[from, 0]]);
    for (const [at, distance] of far) {
      for (const next of this.routers.keys()) {
        if (next === at || next === without || far.has(next)) continue;
        if (this.routers[next] !== undefined && !this.cut.has(key(at, next))) far.set(next, distance + 1);
      }
    }
    return far.get(to) ?? -1;
  }
}

const key = (a: number, b: number): string => [a, b].sort((one, other) => one - other).join('-');

/** What each router should know by now. */
function check(layer: Layer, parents: ReadonlySet<number>, what: string): void {
  for (const [id, router] of layer.routers.entries()) {
    if (router === undefined) continue;
    const near = [...layer.routers.keys()].filter(
      (other) => layer.routers[other] !== undefined && layer.distance(id, other, -1) >= 0,
    );
    const lowest = near.filter((other) => parents.has(other)).sort((a, b) => a - b)[0];
    expect(router.chosen(layer.now), `${what}: chosen at ${id}`).to.equal(lowest);
    for (const to of layer.routers.keys()) {
      if (to === id) continue;
      const ways = [...layer.routers.keys()]
        .filter((by) => by !== id && layer.routers[by] !== undefined && !layer.cut.has(key(id, by)))
        .map((by) => ({ link: by, distance: layer.routers[to] === undefined ? -1 : layer.distance(by, to, id) }))
        .filter(({ distance }) => distance >= 0)
        .sort((a, b) => a.distance - b.distance || a.link - b.link);
      const found = router.ways(to).sort((a, b) => a.distance - b.distance || a.link - b.link);
      expect(found, `${what}: from ${id} to ${to}`).to.deep.equal(ways);
      expect(router.reaches(to)).to.equal(ways.length > 0);
    }
  }
}

describe('SiblingMesh', () => {
  for (const count of [1, 2, 3, 4]) {
    it(`knows all ways among ${count}, and chooses the lowest that has a parent`, () => {
      const layer = new Layer(count, count, 0);
      const parents = new Set([count - 1]);
      layer.routers[count - 1]?.set(true, PREFIX);
      layer.run(2 * LIFETIME);
      check(layer, parents, 'begun');
      for (const router of layer.routers) {
        expect(router?.prefix(layer.now)).to.deep.equal(PREFIX);
      }
    });
  }

  it('puts itself forward only when it has heard of the others', () => {
    const layer = new Layer(1, 1, 0);
    const [router] = layer.routers;
    router?.set(true, undefined);
    expect(router?.settledAt).to.equal(LIFETIME);
    layer.run(LIFETIME - 1);
    expect(router?.chosen(layer.now)).to.equal(undefined);
    layer.run(1);
    expect(router?.chosen(layer.now)).to.equal(0);
  });

  it('follows cables that fail and heal, routers that die and begin anew, over bad cables, whatever the seed', () => {
    for (let seed = 0; seed < 200; seed++) {
      const random = new SeededRandom(seed);
      const layer = new Layer(2 + random.below(3), seed, 0.2);
      const parents = new Set<number>();
      const setParent = (id: number, has: boolean) => {
        if (has) parents.add(id);
        else parents.delete(id);
        layer.routers[id]?.set(has, has ? PREFIX : undefined);
      };
      for (const id of layer.routers.keys()) setParent(id, random.below(2) === 0);
      for (let step = 0; step < 6; step++) {
        const [a, b] = [random.below(layer.routers.length), random.below(layer.routers.length)];
        const what = random.below(5);
        if (what === 0) layer.kill(a);
        else if (what === 1) setParent(a, random.below(2) === 0);
        else if (what === 2) layer.cut.add(key(a, b));
        else if (what === 3) layer.cut.delete(key(a, b));
        else {
          layer.start(a);
          setParent(a, parents.has(a));
        }
        layer.run(6 * LIFETIME);
        // A fifth is lost, so that now and then somebody is not heard of for a while: what is so in the end counts.
        for (let more = 0; more < 20 && !agrees(layer, parents); more++) layer.run(50);
        check(layer, parents, `seed ${seed}, step ${step}`);
      }
    }
  });

  it('is never heard for who it is not, and outlives what it said before it began anew', () => {
    const [one, other] = [new SiblingMesh<string>(0, LIFETIME, 0), new SiblingMesh<string>(1, LIFETIME, 0)];
    other.set(true, undefined);
    for (let i = 0; i < 100; i++) other.say();
    expect(one.hear('a', 0, other.say(), 0)).to.equal(false);
    expect(one.hear('a', 4, other.say(), 0)).to.equal(false);
    expect(one.deadline).to.equal(Number.POSITIVE_INFINITY);
    expect(one.hear('a', 1, other.say(), 0)).to.equal(true);
    expect(one.hear('a', 1, other.say(), 5)).to.equal(false);
    expect(one.deadline).to.equal(LIFETIME + 5);
    const again = new SiblingMesh<string>(1, LIFETIME, 10);
    again.hear('a', 0, one.say(), 10);
    const [first] = again.say();
    // The other said 104 times something, before it began anew and heard of that.
    expect(first?.sequence).to.equal(105);
    expect(one.hear('a', 1, [first ?? raise()], 10)).to.equal(true);
    expect(one.reaches(1)).to.equal(true);
    expect(one.forget('b')).to.equal(false);
    expect(one.forget('a')).to.equal(true);
    expect(one.reaches(1)).to.equal(false);
    expect(one.expire(10 + LIFETIME)).to.equal(true);
    expect(one.expire(10 + LIFETIME)).to.equal(false);
  });

  it('refuses what is no router of a layer', () => {
    for (const [id, lifetime] of [
      [4, 1],
      [-1, 1],
      [0.5, 1],
      [0, 0],
      [0, Number.NaN],
    ] as const) {
      expect(() => new SiblingMesh(id, lifetime, 0))
        .to.throw(UsageError)
        .with.property('code', 'ERR_INVALID_OPTION');
    }
  });
});

function raise(): never {
  throw new Error('nothing was said');
}

function agrees(layer: Layer, parents: ReadonlySet<number>): boolean {
  try {
    check(layer, parents, '');
    return true;
  } catch {
    return false;
  }
}
