import { expect } from 'chai';
import { lastValueFrom, toArray } from 'rxjs';
import { type IpAddress, parseIp } from '../../../lib/core/address.js';
import { UsageError } from '../../../lib/core/errors.js';
import type { EchoRequest, PingHandler, PingSockets } from '../../../lib/l4/ping-api.js';
import type { PingEvent } from '../../../lib/l7/ping.js';
import { ping } from '../../../operators/l7/ping.js';
import { network } from '../../../operators/testing/network.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';
import { forBothVersions } from '../../both-versions.js';

const THERE = parseIp('10.0.0.2');

/** A socket whose other end is the test. */
class Fake implements PingSockets {
  readonly scheduler = new SimulationScheduler();
  readonly env = environment({ scheduler: this.scheduler, seed: 1 });
  readonly sent: [at: number, request: EchoRequest][] = [];
  readonly events: string[] = [];
  open = (_version: 4 | 6, handler: PingHandler) => {
    this.handler = handler;
    this.isOpen = true;
    return {
      version: 4 as const,
      identifier: 1,
      send: (request: EchoRequest) => {
        this.sent.push([this.scheduler.now(), request]);
        this.answer?.(request);
      },
      close: () => {
        this.isOpen = false;
      },
    };
  };
  isOpen = false;
  answer: ((request: EchoRequest) => void) | undefined;
  private handler: PingHandler | undefined;

  reply(sequence: number, after: number, more: { data?: Uint8Array; source?: IpAddress } = {}): void {
    const [, request] = this.sent.findLast(([, one]) => one.sequence === sequence) ?? [];
    const reply = {
      source: THERE,
      sequence,
      data: request?.data ?? new Uint8Array(0),
      hopLimit: 60,
      trafficClass: 0,
      ...more,
    };
    this.scheduler.schedule(() => this.handler?.reply(reply), after);
  }

  fail(sequence: number, after: number, destination: IpAddress = THERE): void {
    const error = {
      sequence,
      destination,
      reporter: parseIp('10.0.0.9'),
      kind: 'time-exceeded',
      code: 'EHOSTUNREACH',
      mtu: 0,
    } as const;
    this.scheduler.schedule(() => this.handler?.error(error), after);
  }

  /** Pings, and writes down what is heard and when. */
  ping(options: Parameters<typeof ping>[2]): { unsubscribe(): void } {
    const say = (text: string) => void this.events.push(`${this.scheduler.now()} ${text}`);
    return ping(this, THERE, options, this.env).subscribe({
      next: (event) => say(textOf(event)),
      complete: () => say('done'),
      error: (error: Error) => say(error.message),
    });
  }
}

function textOf(event: PingEvent): string {
  if (event.kind !== 'reply') return `${event.kind} ${event.sequence}`;
  const { sequence, rtt, duplicate, intact } = event;
  return `reply ${sequence} ${rtt}${duplicate ? ' again' : ''}${intact ? '' : ' damaged'}`;
}

describe('ping', () => {
  it('sends at the interval, waits for the last reply, and tells each with its time', () => {
    const fake = new Fake();
    fake.answer = ({ sequence }) => fake.reply(sequence, 30);
    fake.ping({ count: 3, interval: 100, size: 10, hopLimit: 5, trafficClass: 4, dontFragment: true });
    fake.scheduler.run();
    expect(fake.events).to.deep.equal(['30 reply 1 30', '130 reply 2 30', '230 reply 3 30', '230 done']);
    const data = Uint8Array.from({ length: 10 }, (_, i) => i);
    const fields = { destination: THERE, data, hopLimit: 5, trafficClass: 4, dontFragment: true };
    expect(fake.sent).to.deep.equal([0, 100, 200].map((at, i) => [at, { ...fields, sequence: i + 1 }]));
    expect([fake.isOpen, fake.scheduler.pending]).to.deep.equal([false, 0]);
  });

  it('tells what was not answered in time, what came late, again, damaged, or as an error', () => {
    const fake = new Fake();
    fake.answer = ({ sequence, data = new Uint8Array(0) }) => {
      if (sequence === 1) fake.reply(1, 700);
      if (sequence === 2) fake.fail(2, 20);
      if (sequence === 3) for (const after of [10, 20]) fake.reply(3, after);
      if (sequence === 4) fake.reply(4, 5, { data: data.map((byte) => byte ^ 1) });
      if (sequence === 5) fake.reply(6, 5);
    };
    fake.ping({ count: 5, interval: 100, timeout: 500 });
    fake.scheduler.run();
    expect(fake.events).to.deep.equal([
      '120 error 2',
      '210 reply 3 10',
      '220 reply 3 20 again',
      '305 reply 4 5 damaged',
      '500 timeout 1',
      '700 reply 1 700',
      '900 timeout 5',
      '900 done',
    ]);
  });

  it('heeds no error about somebody else', () => {
    const fake = new Fake();
    fake.answer = () => fake.fail(1, 5, parseIp('10.0.0.3'));
    fake.ping({ count: 1, timeout: 50 });
    fake.scheduler.run();
    expect(fake.events).to.deep.equal(['50 timeout 1', '50 done']);
  });

  it('goes on beyond 65,536 requests without a mistake', () => {
    const fake = new Fake();
    fake.answer = ({ sequence }) => fake.reply(sequence, 1);
    let last = 0;
    const subscription = ping(fake, THERE, { interval: 2, size: 0 }, fake.env).subscribe(
      (event) => (last = event.sequence),
    );
    fake.scheduler.runFor(2 * 65_540);
    expect(last).to.be.at.least(65_538);
    subscription.unsubscribe();
    expect([fake.isOpen, fake.scheduler.pending]).to.deep.equal([false, 1], 'a reply under way');
    fake.scheduler.run();
  }).timeout(10_000);

  it('ends when nobody listens any more', () => {
    const fake = new Fake();
    const subscription = fake.ping({ interval: 10 });
    fake.scheduler.runFor(25);
    subscription.unsubscribe();
    fake.scheduler.run();
    expect(fake.sent).to.have.length(3);
    expect(fake.events).to.deep.equal([]);
    expect(fake.isOpen).to.equal(false);
  });

  it('fails with what cannot be sent, and with options that make no sense', () => {
    const fake = new Fake();
    fake.answer = () => {
      throw new Error('no way');
    };
    fake.ping({ count: 2 });
    fake.scheduler.run();
    expect(fake.events).to.deep.equal(['0 no way']);
    for (const options of [{ count: 0 }, { size: -1 }, { size: 65_508 }, { timeout: 0 }, { interval: Number.NaN }]) {
      let failure: unknown;
      ping(new Fake(), THERE, options, fake.env).subscribe({ error: (error: unknown) => (failure = error) });
      expect(failure).to.be.instanceOf(UsageError).with.property('code', 'ERR_INVALID_OPTION');
    }
  });
});

forBothVersions('ping of a host', ({ a, b, cidr }) => {
  it('crosses a link that doubles and loses', async () => {
    using net = network({
      hosts: { us: cidr(a), them: cidr(b) },
      links: { lan: { impair: { delay: 10, loss: 0.2, duplicate: 0.2 } } },
    });
    const { us } = net.hosts;
    const events = await net.runUntilSettled(
      lastValueFrom(ping(us.ping, String(b), { count: 100, interval: 50 }, us.env).pipe(toArray())),
    );
    const replies = events.filter((event) => event.kind === 'reply');
    const lost = events.filter(({ kind }) => kind === 'timeout').length;
    const again = replies.filter(({ duplicate }) => duplicate).length;
    expect(replies.length - again + lost).to.equal(100);
    expect(lost).to.be.within(15, 60);
    expect(again).to.be.within(10, 60);
    expect(replies.every(({ intact, rtt, from }) => intact && rtt >= 20 && from.equals(b))).to.equal(true);
    net.run();
    net.assertIdle();
  });
});
