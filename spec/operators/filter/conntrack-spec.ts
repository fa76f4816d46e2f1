import { expect } from 'chai';
import { EMPTY, Subject } from 'rxjs';
import { DropReason } from '../../../lib/core/drops.js';
import { FlowState, type Frame } from '../../../lib/core/frame.js';
import { IpProtocol } from '../../../lib/wire/ip.js';
import { FlowTuple } from '../../../lib/l4/conntrack/flow-tuple.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import { type ConntrackOptions, conntrack, type FlowEvent } from '../../../operators/filter/conntrack.js';
import { where } from '../../../operators/flow/where.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';
import { FACTS, forBothVersions, type VersionFacts } from '../../both-versions.js';

const { New, Established, Related, Invalid, Untracked } = FlowState;

/** A tracking that packets in text are sent through; `allowed` stands between it and the end of the way. */
function through(facts: VersionFacts, options: ConntrackOptions = {}, allowed: (frame: Frame) => boolean = () => true) {
  const scheduler = new SimulationScheduler();
  const env = environment({ scheduler, seed: 1 });
  const tracking = conntrack(options, env);
  const notation = new PacketNotation({ local: facts.a.toString(), remote: facts.b.toString() });
  const in$ = new Subject<Frame>();
  const out: Frame[] = [];
  in$.pipe(tracking, where(allowed, DropReason.Filtered, env), tracking.confirm).subscribe((frame) => out.push(frame));
  /** What the packet's frame says after it has gone its way. */
  const send = (text: string) => {
    const frame = notation.build(text);
    in$.next(frame);
    return frame;
  };
  return { scheduler, env, tracking, in$, out, send };
}

forBothVersions('conntrack', (facts) => {
  it('tells new from established, and which way a packet goes', () => {
    const { send, tracking } = through(facts);
    const first = send('< udp 5000 > 53 (10)');
    expect(first).to.include({ flowState: New, flowReply: false });
    expect(first.flow).to.not.equal(0);
    expect(send('< udp 5000 > 53 (10)')).to.include({ flowState: New, flowReply: false, flow: first.flow });
    expect(send('> udp 53 > 5000 (10)')).to.include({ flowState: Established, flowReply: true, flow: first.flow });
    expect(send('< udp 5000 > 53 (10)')).to.include({ flowState: Established, flowReply: false, flow: first.flow });
    expect(send('< udp 5001 > 53 (10)').flow).to.not.equal(first.flow);
    expect(tracking.table.size).to.equal(2);
  });

  it('takes no room for what is dropped on the way', () => {
    const { send, tracking, env } = through(facts, {}, ({ flowState }) => flowState !== New);
    for (let port = 1; port < 2000; port++) send(`< udp ${port} > 53 (10)`);
    expect(tracking.table.size).to.equal(0);
    expect(env.drops.total).to.equal(1999);
  });

  it('relates errors to the flow of what they quote', () => {
    const { send } = through(facts);
    const { flow } = send('< udp 5000 > 53 (10)');
    expect(send(`> ${facts.icmp} unreachable port [udp 5000 > 53 (10)]`)).to.include({
      flowState: Related,
      flowReply: true,
      flow,
    });
    expect(send(`< ${facts.icmp} unreachable port [udp 53 > 5000 (10)]`)).to.include({
      flowState: Related,
      flowReply: false,
      flow,
    });
    expect(send(`> ${facts.icmp} unreachable port [udp 5001 > 53 (10)]`)).to.include({ flowState: Invalid, flow: 0 });
  });

  it('forgets flows in time, and leaves no timer', () => {
    const { send, tracking, scheduler } = through(facts);
    const { flow } = send('< udp 5000 > 53 (10)');
    scheduler.runFor(119_999);
    expect(send('> udp 53 > 5000 (10)').flow).to.equal(flow);
    scheduler.runFor(120_000);
    expect(send('> udp 53 > 5000 (10)')).to.include({ flowState: New });
    expect(tracking.table.size).to.equal(1);
    scheduler.run();
    expect([tracking.table.size, scheduler.pending]).to.deep.equal([0, 0]);
    send('< udp 5000 > 53 (10)');
    tracking.dispose();
    expect([tracking.table.size, scheduler.pending]).to.deep.equal([0, 0]);
    send('< udp 5000 > 53 (10)');
    expect([tracking.table.size, scheduler.pending]).to.deep.equal([0, 0]);
  });

  it('tells of flows that come and go, while somebody listens', () => {
    const { send, tracking } = through(facts);
    const events: FlowEvent[] = [];
    const subscription = tracking.events$.subscribe((event) => events.push(event));
    const { flow } = send('< udp 5000 > 53 (10)');
    send('> udp 53 > 5000 (10)');
    send('< udp 5000 > 53 (10)');
    expect(tracking.table.delete(flow)).to.equal(true);
    subscription.unsubscribe();
    send('< udp 5000 > 53 (10)');
    expect(events.map(({ type }) => type)).to.deep.equal(['new', 'established', 'destroyed']);
    expect(events[2]).to.include({ why: 'deleted' });
    expect(new Set(events.map((event) => event.flow.id))).to.deep.equal(new Set([flow]));
  });

  it('takes a reply tuple that is not the mirror, unless it is taken', () => {
    const { a, b, c } = facts;
    const { tracking, env } = through(facts);
    const { table } = tracking;
    const notation = new PacketNotation({ local: facts.a.toString(), remote: facts.b.toString() });
    const replies = FlowTuple.of({
      protocol: IpProtocol.Udp,
      source: a,
      destination: c,
      sourcePort: 53,
      destinationPort: 7000,
    });
    const in$ = new Subject<Frame>();
    const answers: boolean[] = [];
    const translate = where(
      (frame: Frame) => answers.push(table.setReply(frame.flow, replies)) > 0,
      DropReason.Filtered,
      env,
    );
    in$.pipe(tracking, translate, tracking.confirm).subscribe();
    const first = notation.build('< udp 5000 > 53 (10)');
    in$.next(first);
    in$.next(notation.build('< udp 5001 > 53 (10)'));
    in$.next(first);
    expect(answers).to.deep.equal([true, false, false]);
    expect(table.find(replies)).to.equal(first.flow);
    const flow = table.flow(first.flow);
    expect(flow?.translated).to.equal(true);
    expect(flow?.reply.toString()).to.equal(replies.toString());
    expect(flow?.original.sourceAddress.toString()).to.equal(b.toString());
    expect(table.deleteWhere(({ translated }) => translated)).to.equal(1);
    expect(table.find(replies)).to.equal(0);
  });

  it('leaves alone what is of a link only', () => {
    const { send } = through(facts);
    if (facts.version === 6)
      expect(send('< icmpv6 neighbor_solicitation target fe80::1')).to.include({ flowState: Untracked });
    expect(send('< udp 5000 > 53 (10) frag 8:18')).to.include({ flowState: Invalid });
  });
});

describe('conntrack', () => {
  it('can drop what fits no flow', () => {
    const { send, env, out } = through(FACTS[4], { invalid: 'drop' });
    send('> icmp echo_reply id 7 seq 1 (56)');
    expect(out).to.deep.equal([]);
    expect(env.drops.count(DropReason.ConntrackInvalid)).to.equal(1);
  });

  it('throws for options that cannot be', () => {
    const wrong: ConntrackOptions[] = [
      { capacity: 0 },
      { capacity: 2 ** 24 },
      { timeouts: { udp: 0 } },
      { timeouts: { udp: Number.NaN } },
    ];
    for (const options of wrong)
      expect(() => conntrack(options))
        .to.throw()
        .with.property('code', 'ERR_INVALID_OPTION');
    expect(() => EMPTY.pipe(conntrack()).subscribe()).to.not.throw();
  });
});
