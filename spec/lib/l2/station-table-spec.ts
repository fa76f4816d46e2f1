import { expect } from 'chai';
import * as fc from 'fast-check';
import { StationTable } from '../../../lib/l2/station-table.js';

const AGEING = 100;

/** A table that keeps everything that it ever heard, and looks through all of it. */
class Naive {
  private heard: { mac: number; port: string; at: number }[] = [];
  private readonly told = new Map<number, string>();
  private readonly most: number;

  constructor(most: number) {
    this.most = most;
  }

  learn(mac: number, port: string, at: number): void {
    if (this.told.has(mac)) return;
    this.heard = [...this.heard.filter((one) => one.mac !== mac), { mac, port, at }].slice(-this.most);
  }
  find(mac: number, now: number): string | undefined {
    const told = this.told.get(mac);
    if (told !== undefined) return told;
    const one = this.heard.find((other) => other.mac === mac);
    if (one === undefined || now - one.at < AGEING) return one?.port;
    this.heard = this.heard.filter((other) => other !== one);
    return undefined;
  }
  pin(mac: number, port: string): void {
    this.heard = this.heard.filter((one) => one.mac !== mac);
    this.told.set(mac, port);
  }
  unpin(mac: number): boolean {
    return this.told.delete(mac);
  }
  forget(port: string): void {
    this.heard = this.heard.filter((one) => one.port !== port);
    for (const [mac, its] of this.told) if (its === port) this.told.delete(mac);
  }
  list(now: number): string[] {
    const told = [...this.told].map(([mac, port]) => `${mac} ${port} told`);
    const heard = this.heard.filter(({ at }) => now - at < AGEING).map(({ mac, port, at }) => `${mac} ${port} ${at}`);
    return [...told.toSorted(), ...heard];
  }
  get size(): number {
    return this.heard.length;
  }
}

const high = (mac: number): number => Math.floor(mac / 2 ** 32);
const low = (mac: number): number => mac | 0;

describe('StationTable', () => {
  it('knows what a list of all that was heard and told says, whatever happens', () => {
    // Few addresses, so that they meet; they differ in either half.
    const mac = fc.tuple(fc.constantFrom(0x0200, 0x0204, 0xfcff), fc.constantFrom(0, 1, 2, 0x8000_0000, 0xffff_ffff));
    const step = fc.record({
      act: fc.constantFrom('learn', 'learn', 'learn', 'find', 'find', 'pin', 'unpin', 'forget'),
      mac: mac.map(([upper, lower]) => upper * 2 ** 32 + lower),
      port: fc.constantFrom('left', 'middle', 'right'),
      wait: fc.constantFrom(0, 1, 50, 100),
    });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 100 }),
        fc.integer({ min: 1, max: 12 }),
        fc.nat(),
        (steps, most, secret) => {
          const table = new StationTable<string>(AGEING, most, secret);
          const naive = new Naive(most);
          let now = 0;
          for (const { act, mac: one, port, wait } of steps) {
            now += wait;
            if (act === 'learn') {
              table.learn(high(one), low(one), port, now);
              naive.learn(one, port, now);
            } else if (act === 'find') expect(table.find(high(one), low(one), now)).to.equal(naive.find(one, now));
            else if (act === 'pin') {
              table.pin(one, port);
              naive.pin(one, port);
            } else if (act === 'unpin') expect(table.unpin(one)).to.equal(naive.unpin(one));
            else {
              table.forget(port);
              naive.forget(port);
            }
            expect(table.size).to.equal(naive.size);
            const told = table.list(now).filter(({ heardAt }) => heardAt === undefined);
            const heard = table.list(now).filter(({ heardAt }) => heardAt !== undefined);
            expect([
              ...told.map((entry) => `${entry.mac} ${entry.port} told`).toSorted(),
              ...heard.map((entry) => `${entry.mac} ${entry.port} ${entry.heardAt}`),
            ]).to.deep.equal(naive.list(now));
          }
        },
      ),
    );
  });

  it('holds as many as it is told to, in memory that does not grow with the addresses that it sees', () => {
    const table = new StationTable<number>(AGEING, 1000, 12_345);
    for (let i = 0; i < 100_000; i++) table.learn(0x0200 + (i >>> 12), Math.imul(i, 0x1234_5677), i, 0);
    expect(table.size).to.equal(1000);
    for (let i = 99_000; i < 100_000; i++) {
      expect(table.find(0x0200 + (i >>> 12), Math.imul(i, 0x1234_5677), 0)).to.equal(i);
    }
    expect(table.find(0x0200 + (98_999 >>> 12), Math.imul(98_999, 0x1234_5677), 0)).to.equal(undefined);
  });
});
