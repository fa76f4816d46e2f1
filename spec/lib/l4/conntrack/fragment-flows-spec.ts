import { expect } from 'chai';
import { forBothVersions } from '../../../both-versions.js';
import { isInvalid, Tracked } from './tracked.js';

forBothVersions('Fragments in the tracking of flows', (facts) => {
  let tracked: Tracked;
  beforeEach(() => {
    tracked = new Tracked(facts);
  });

  it('follow the first of their packet', () => {
    tracked.run('new < udp 5 > 53 (3000) frag 0:1480+ ipid 9');
    const { flow } = tracked;
    for (const rest of ['frag 1480:2960+ ipid 9', 'frag 2960:3008 ipid 9']) {
      expect(tracked.send(`< udp 5 > 53 (3000) ${rest}`).flow).to.equal(flow);
    }
    tracked.run(`
      established  > udp 53 > 5 (3000) frag 0:1480+ ipid 9
      established  > udp 53 > 5 (3000) frag 1480:3008 ipid 9
      new          < ${facts.icmp} echo_request id 7 seq 1 (3000) frag 0:1480+ ipid 10
      new          < ${facts.icmp} echo_request id 7 seq 1 (3000) frag 1480:3008 ipid 10`);
    expect(tracked.tracker.table.size).to.equal(2);
  });

  it('belong to nobody without the first, of another packet, too late, or of a flow that is gone', () => {
    tracked.run('new < udp 5 > 53 (3000) frag 0:1480+ ipid 9');
    const rest = '< udp 5 > 53 (3000) frag 1480:3008';
    expect(isInvalid(tracked.send(`${rest} ipid 8`))).to.equal(true);
    expect(isInvalid(tracked.send(`${rest} ipid 9 from ${facts.c.toString()}`))).to.equal(true);
    expect(isInvalid(tracked.send(`${rest} ipid 9`))).to.equal(false);
    tracked.scheduler.runFor(60_000);
    expect(isInvalid(tracked.send(`${rest} ipid 9`))).to.equal(true);
    tracked.run('new < udp 6 > 53 (3000) frag 0:1480+ ipid 10');
    tracked.tracker.table.delete(tracked.flow);
    expect(isInvalid(tracked.send('< udp 6 > 53 (3000) frag 1480:3008 ipid 10'))).to.equal(true);
  });

  it('of TCP belong to nobody', () => {
    tracked.run(`
      new          < S 0:0(0) win 1000
      established  > S. 0:0(0) ack 1 win 1000
      established  < . 1:1(0) ack 1 win 1000
      invalid      < . 1:801(800) ack 1 win 1000 frag 0:400+ ipid 9
      invalid      < . 1:801(800) ack 1 win 1000 frag 400:820 ipid 9`);
  });
});
