import { expect } from 'chai';
import { Ipv4Address, MacAddress } from '../../../lib/core/address.js';
import { SeededRandom } from '../../../lib/core/random.js';
import { ArpClaims } from '../../../lib/l2/arp-claims.js';
import { Ipv4LinkLocal } from '../../../lib/l7/ipv4ll.js';
import { ArpOperation, type ArpPacket } from '../../../lib/wire/arp.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';
import { ip } from './dhcpv4-bench.js';

/** A link-local address on a wire of the test's own; others have the addresses in `taken`. */
class Bench {
  readonly scheduler = new SimulationScheduler();
  readonly events: string[] = [];
  readonly asked: { readonly at: number; readonly sender: number; readonly target: number }[] = [];
  readonly claims: ArpClaims;
  readonly local: Ipv4LinkLocal;
  taken: (address: number) => boolean = () => false;

  constructor(mac = 7, previous?: string) {
    const env = environment({ scheduler: this.scheduler, random: new SeededRandom(2) });
    this.claims = new ArpClaims((sender, target) => {
      this.asked.push({ at: this.scheduler.now(), sender, target });
      if (!this.taken(target)) return;
      const reply = env.timers.timer(() => this.hear(target, this.local.address?.value === target));
      reply.arm(this.scheduler.now() + 1);
    }, env);
    this.local = new Ipv4LinkLocal(
      {
        mac: new MacAddress(0x0200_0000_0000 + mac),
        claims: this.claims,
        configuration: {
          addAddress: (address) => void this.events.push(`+${address.toString()}`),
          removeAddress: (address) => void this.events.push(`-${address.toString()}`),
        },
        ...(previous === undefined ? {} : { previous: ip(previous) }),
      },
      env,
    );
  }

  /** Somebody says that the address is at its MAC. */
  hear(address: number, isOurs: boolean): void {
    const packet = { operation: ArpOperation.Reply, senderIp: address, senderMac: 9, targetIp: 0 };
    this.claims.notice(packet as ArpPacket, isOurs);
  }

  /** Different addresses that were probed for. */
  get candidates(): number[] {
    return [...new Set(this.asked.filter(({ sender }) => sender === 0).map(({ target }) => target))];
  }
}

describe('Ipv4LinkLocal (3927)', () => {
  it('probes three times, takes the address, announces it twice', () => {
    const bench = new Bench();
    bench.local.start();
    bench.local.start();
    bench.scheduler.run();
    const [candidate = 0] = bench.candidates;
    const text = new Ipv4Address(candidate).toString();
    expect(text).to.match(/^169\.254\./);
    expect(bench.asked.map(({ sender, target }) => [sender === 0 ? 'probe' : 'announce', target])).to.deep.equal([
      ['probe', candidate],
      ['probe', candidate],
      ['probe', candidate],
      ['announce', candidate],
      ['announce', candidate],
    ]);
    expect(bench.events).to.deep.equal([`+${text}/16`]);
    expect(bench.local.address?.value).to.equal(candidate);
  });

  it('chooses from 169.254.1.0 to 169.254.254.255, evenly, and by the MAC address', () => {
    const firstOf = (mac: number) => {
      const bench = new Bench(mac);
      bench.local.start();
      bench.scheduler.runFor(1000);
      return bench.candidates[0] ?? 0;
    };
    const all = Array.from({ length: 300 }, (_, mac) => firstOf(mac));
    expect(all.every((value) => value >= ip('169.254.1.0').value && value <= ip('169.254.254.255').value)).to.equal(
      true,
    );
    expect(new Set(all).size).to.be.above(295);
    expect(new Set(all.map((value) => (value >> 12) & 15)).size).to.equal(16);
    expect(firstOf(7)).to.equal(firstOf(7));
  });

  it('tries another when somebody has it, and ten a minute apart after ten (5227-4)', () => {
    const bench = new Bench();
    bench.taken = () => true;
    bench.local.start();
    bench.scheduler.runFor(600_000);
    const starts = bench.candidates.map((target) => bench.asked.find((one) => one.target === target)?.at ?? 0);
    expect(bench.events).to.deep.equal([]);
    expect(starts[9] ?? 0).to.be.below(20_000);
    const late = starts.slice(10).map((at, index) => at - (starts[index + 9] ?? 0));
    expect(late.length).to.be.within(8, 10);
    expect(Math.min(...late)).to.be.at.least(60_000);
    bench.taken = () => false;
    bench.scheduler.runFor(120_000);
    expect(bench.events).to.have.length(1);
  });

  it('defends once, then gives in (5227-3)', () => {
    const bench = new Bench();
    bench.local.start();
    bench.scheduler.run();
    const { value = 0 } = bench.local.address ?? {};
    bench.asked.length = 0;
    bench.hear(value, true);
    expect(bench.asked.map(({ sender }) => sender)).to.deep.equal([value]);
    bench.scheduler.runFor(9000);
    bench.hear(value, true);
    expect(bench.events.at(-1)).to.equal(`-${new Ipv4Address(value).toString()}`);
    bench.scheduler.run();
    expect(bench.local.address?.value).not.to.equal(value);
    expect(bench.events).to.have.length(3);
  });

  it('probes anew when the link comes back, keeps what is free meanwhile, and gives up what is not', () => {
    const bench = new Bench();
    bench.local.linkChanged();
    expect(bench.scheduler.pending).to.equal(0);
    bench.local.start();
    bench.scheduler.run();
    const { value = 0 } = bench.local.address ?? {};
    const [taken] = bench.events;
    bench.asked.length = 0;
    bench.local.linkChanged();
    bench.scheduler.run();
    expect(bench.asked.map(({ sender }) => sender)).to.deep.equal([0, 0, 0, value, value]);
    expect(bench.events).to.deep.equal([taken]);
    bench.taken = (address) => address === value;
    bench.local.linkChanged();
    bench.scheduler.run();
    expect(bench.events.slice(1)).to.have.length(2);
    expect(bench.events[1]).to.equal(`-${new Ipv4Address(value).toString()}`);
    expect(bench.local.address?.value).not.to.equal(value);
  });

  it('begins with the address of the last time, if that was one', () => {
    const first = (previous: string) => {
      const bench = new Bench(7, previous);
      bench.local.start();
      bench.scheduler.run();
      return bench.local.address?.toString();
    };
    expect(first('169.254.7.7')).to.equal('169.254.7.7');
    expect(first('10.0.0.7')).to.match(/^169\.254\./);
  });

  it('takes nothing once who is told of a conflict has ended it', () => {
    const bench = new Bench(7, '169.254.7.7');
    bench.taken = () => true;
    bench.claims.observe(({ kind }) => void (kind === 'probing' && bench.local.dispose()));
    bench.local.start();
    while (bench.asked.length === 0) bench.scheduler.step();
    bench.scheduler.runFor(1);
    bench.taken = () => false;
    expect(bench.scheduler.pending).to.equal(0);
    bench.scheduler.run();
    expect(bench.events).to.deep.equal([]);
  });

  it('stops at any time without a trace, and begins with the same address again', () => {
    for (const after of [0, 500, 2500, 5000, 9000]) {
      const bench = new Bench();
      bench.local.start();
      bench.scheduler.runFor(after);
      bench.local.stop();
      expect(bench.scheduler.pending, `after ${after} ms`).to.equal(0);
      expect(bench.events.length % 2).to.equal(0);
      bench.local.start();
      bench.scheduler.run();
      expect(bench.candidates).to.have.length(1);
      bench.local.dispose();
      expect(bench.scheduler.pending).to.equal(0);
    }
    const announcing = new Bench();
    announcing.local.start();
    while (announcing.local.address === undefined) announcing.scheduler.step();
    announcing.local.stop();
    expect(announcing.scheduler.pending, 'an announcement').to.equal(0);
    // Also between a conflict and the next try.
    const bench = new Bench();
    bench.taken = () => true;
    bench.local.start();
    while (bench.asked.length === 0) bench.scheduler.step();
    bench.scheduler.step();
    bench.local.stop();
    expect(bench.scheduler.pending).to.equal(0);
  });
});
