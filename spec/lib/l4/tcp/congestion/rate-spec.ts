import { expect } from 'chai';
import { Acknowledgment } from '../../../../../lib/l4/tcp/congestion/congestion.js';
import { Delivery } from '../../../../../lib/l4/tcp/delivery.js';
import { RateSampler } from '../../../../../lib/l4/tcp/rate.js';
import { SentQueue } from '../../../../../lib/l4/tcp/sent-queue.js';
import { SentSegmentPool } from '../../../../../lib/l4/tcp/sent-segment.js';

/** A queue whose segments of 1000 bytes are sent and acknowledged at given times. */
class Flow {
  readonly queue: SentQueue;
  readonly rate: RateSampler = new RateSampler();
  readonly ack: Acknowledgment = new Acknowledgment();
  private nxt = 0;
  private una = 0;

  constructor(queue: SentQueue = new SentQueue(new SentSegmentPool())) {
    this.queue = queue;
  }

  send(now: number, segments = 1): void {
    this.queue.rate = this.rate;
    for (let i = 0; i < segments; i++) this.queue.push(this.nxt, (this.nxt += 1000), false, now);
  }
  arrive(now: number, segments = 1, minRtt = 10): Acknowledgment {
    this.queue.acknowledge((this.una += 1000 * segments), new Delivery());
    this.ack.now = now;
    this.queue.rate?.fill(this.ack, minRtt, this.queue.notes);
    return this.ack;
  }
}

describe('delivery-rate sampler', () => {
  it('measures what was delivered between sending and delivery', () => {
    const flow = new Flow();
    for (let t = 0; t < 10; t++) flow.send(t);
    expect(flow.arrive(10).rate, 'one segment in a round trip').to.equal(100);
    flow.send(10);
    for (let t = 11; t < 20; t++) {
      flow.arrive(t);
      flow.send(t);
    }
    expect(flow.arrive(20)).to.deep.include({ rate: 1000, totalDelivered: 11_000, priorDelivered: 1000 });
    expect(flow.queue.rate).to.include({ rate: 1000, delivered: 11_000, rateIsAppLimited: false });
  });

  it('is not flattered by compressed acknowledgments: what was sent slowly was delivered slowly', () => {
    const flow = new Flow();
    for (let t = 0; t < 20; t += 2) flow.send(t);
    for (let i = 0; i < 9; i++) flow.arrive(40);
    expect(flow.arrive(40).rate).to.equal(10_000 / 40);
  });

  it('is not flattered by bursts: a sample over less than a round trip is none', () => {
    const flow = new Flow();
    flow.send(0, 4);
    flow.arrive(10, 2);
    expect(flow.arrive(10, 2, 20).rate).to.equal(0);
  });

  it('counts a round when what was sent after its beginning is delivered', () => {
    const flow = new Flow();
    flow.send(0, 4);
    const starts: boolean[] = [];
    for (let t = 10; t < 50; t += 10) {
      for (let i = 0; i < 4; i++) {
        starts.push(flow.arrive(t).roundStart);
        flow.send(t);
      }
    }
    expect(starts.map(Number).join('')).to.equal('1000100010001000');
  });

  it('marks samples that the application limited, until what was in flight then is delivered', () => {
    const flow = new Flow();
    flow.send(0, 2);
    flow.queue.rate?.limitedByApplication(2000);
    flow.send(0, 1);
    const marks: boolean[] = [];
    for (let t = 10; t < 60; t += 10) {
      marks.push(flow.arrive(t).rateIsAppLimited);
      flow.send(t);
    }
    expect(marks).to.deep.equal([false, false, true, true, true]);
    flow.send(60);
    expect(flow.arrive(70).rateIsAppLimited, 'after the bubble').to.equal(false);
  });

  it('compares with the beginning of the flight while no segment of it arrived whole, whoever had the queue before', () => {
    const other = new Flow();
    other.send(0, 20);
    const begun = new Flow(other.queue);
    other.arrive(10, 20);
    begun.send(100, 3);
    begun.arrive(110, 3);
    begun.send(200, 2);
    expect(begun.arrive(210, 0.5)).to.deep.include({
      rate: 0,
      roundStart: false,
      totalDelivered: 3500,
      priorDelivered: 3000,
      sentInFlight: 1000,
      lostSinceSent: 0,
    });
  });

  it('says whether there is a sample: an acknowledgment that delivers no segment repeats what the last one said', () => {
    const flow = new Flow();
    flow.send(0, 2);
    expect(flow.arrive(5, 0), 'nothing').to.include({ sampled: false, priorDelivered: 0 });
    expect(flow.arrive(10, 0.5), 'half of one').to.include({ sampled: false, priorDelivered: 0 });
    expect(flow.arrive(10, 0.5)).to.include({ sampled: true });
    expect(flow.arrive(15, 0)).to.include({ sampled: false });
  });

  it('tells of each loss once, whether an acknowledgment found it or not; but not of what is excused', () => {
    const flow = new Flow();
    flow.send(0, 5);
    const { head } = flow.queue;
    if (head?.next?.next === undefined) throw new Error('nothing in flight');
    flow.queue.markLost(head);
    expect(flow.arrive(10, 0).lost).to.equal(1000);
    expect(flow.arrive(11, 0).lost).to.equal(0);
    flow.queue.markLost(head.next);
    flow.rate.excuse();
    flow.queue.markLost(head.next.next);
    expect(flow.arrive(12, 0).lost).to.equal(1000);
    expect(flow.rate.lost).to.equal(3000);
  });

  it('measures retransmissions by when they were sent last, and counts losses since', () => {
    const flow = new Flow();
    flow.send(0, 2);
    const { head } = flow.queue;
    if (head === undefined) throw new Error('nothing in flight');
    flow.queue.markLost(head);
    expect(flow.queue.rate?.lost).to.equal(1000);
    flow.queue.resent(head, 30);
    expect(head.inFlight).to.equal(2000);
    expect(flow.arrive(50, 1)).to.deep.include({ rate: 1000 / 50, lostSinceSent: 0, sentInFlight: 2000 });
    expect(flow.arrive(60, 1), 'sent before the loss').to.deep.include({ lostSinceSent: 1000, sentInFlight: 2000 });
  });
});
