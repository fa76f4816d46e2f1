import { expect } from 'chai';
import { forBothVersions } from '../../../both-versions.js';
import { OPEN, Tracked } from './tracked.js';

forBothVersions('Tracking of TCP where both ends have forgotten a connection, and begin another one', (facts) => {
  let tracked: Tracked;
  beforeEach(() => {
    tracked = new Tracked(facts);
  });

  const ANEW = `${OPEN}
    established  < S 900000:900000(0) win 1000
    established  > S. 700000:700000(0) ack 900001 win 1000`;

  it('follows the new one', () => {
    tracked.run(`${ANEW}
      phase        mid-stream
      established  < . 900001:900001(0) ack 700001 win 1000
      established  < P. 900001:901001(1000) ack 700001 win 1000
      established  > . 700001:700001(0) ack 901001 win 1000
      established  > F. 700001:700001(0) ack 901001 win 1000
      established  < F. 901001:901001(0) ack 700002 win 1000
      established  > . 700002:700002(0) ack 901002 win 1000
      phase        time-wait`);
    expect(tracked.tracker.table.size).to.equal(1);
  });

  it('does so from either side, of one that was closing, and where the answer comes again', () => {
    tracked.run(`${OPEN}
      established  < F. 1:1(0) ack 1 win 1000
      established  > S 700000:700000(0) win 1000
      established  > S 700000:700000(0) win 1000
      established  < S. 900000:900000(0) ack 700001 win 1000
      established  < S. 900000:900000(0) ack 700001 win 1000
      established  > . 700001:700001(0) ack 900001 win 1000
      phase        mid-stream
      established  > R 700001:700001(0) win 0
      phase        reset`);
  });

  it('lets the old one go on should it not be over', () => {
    tracked.run(`${ANEW}
      established  < P. 1:101(100) ack 1 win 1000
      established  > . 1:1(0) ack 101 win 1000`);
  });

  it('believes no answer to another SYN, from the same side, or after the old connection has shown itself', () => {
    const others = [
      '> S. 700000:700000(0) ack 900002 win 1000',
      '< S. 700000:700000(0) ack 900001 win 1000',
      `> . 1:1(0) ack 1 win 1000
      established  > S. 700000:700000(0) ack 900001 win 1000`,
    ];
    for (const other of others) {
      new Tracked(facts).run(`${OPEN}
        established  < S 900000:900000(0) win 1000
        established  ${other}
        phase        established
        invalid      < . 900001:900001(0) ack 700001 win 1000
        invalid      > . 700001:700001(0) ack 900001 win 1000`);
    }
  });
});
