import { expect } from 'chai';
import { Prr } from '../../../../lib/l4/tcp/prr.js';
import { forBothVersions } from '../../../both-versions.js';
import { type Block, block, Lossy, MSS, RTT, upTo } from './lossy.js';

describe('Proportional rate reduction (RFC 6937)', () => {
  /** Each acknowledgment brings one segment; what the window allows is sent. Returns how many were sent for each. */
  function replay(prr: Prr, pipe: number, ssthresh: number, count: number, safe: boolean): number[] {
    const sent: number[] = [];
    for (let i = 0, at = pipe; i < count; i++) {
      at--;
      const window = prr.window(at * MSS, ssthresh * MSS, MSS, MSS, safe);
      const room = Math.max(0, Math.floor(window / MSS) - at);
      prr.sent(room * MSS);
      at += room;
      sent.push(room);
    }
    return sent;
  }

  it('halves in step: a segment for each second one that arrives, and ends at ssthresh (6937-1)', () => {
    const prr = new Prr();
    prr.begin(20 * MSS);
    const sent = replay(prr, 20, 10, 20, false);
    expect(sent.reduce((sum, one) => sum + one)).to.equal(10);
    expect(sent.slice(0, 6)).to.deep.equal([1, 0, 1, 0, 1, 0]);
  });

  it('takes seven tenths as exactly', () => {
    const prr = new Prr();
    prr.begin(20 * MSS);
    const sent = replay(prr, 20, 14, 20, false);
    expect(sent.reduce((sum, one) => sum + one)).to.equal(14);
  });

  it('after heavy losses conserves packets, and slow-starts back to ssthresh where all is well (6937-1)', () => {
    const conservative = new Prr();
    conservative.begin(20 * MSS);
    expect(replay(conservative, 4, 10, 3, false)).to.deep.equal([1, 1, 1]);
    const quick = new Prr();
    quick.begin(20 * MSS);
    expect(replay(quick, 4, 10, 8, true)).to.deep.equal([2, 2, 2, 2, 2, 2, 1, 1]);
  });

  it('lets the first retransmission go whatever the numbers say', () => {
    const prr = new Prr();
    prr.begin(20 * MSS);
    expect(prr.window(30 * MSS, 2 * MSS, MSS, 1, false)).to.equal(31 * MSS);
    prr.sent(MSS);
    expect(prr.window(31 * MSS, 2 * MSS, MSS, 1, false)).to.equal(31 * MSS);
  });
});

forBothVersions('Proportional rate reduction of a connection', ({ version }) => {
  /** Ten in flight of which the first is lost: how many come out for each acknowledgment. */
  function recover(lossy: Lossy): number[] {
    lossy.c.write(new Uint8Array(40 * MSS));
    lossy.ranges();
    lossy.wait(RTT);
    const sent: number[] = [];
    for (let i = 2; i <= 10; i++) sent.push(lossy.ack(1, [block(1, i)] as Block[]).length);
    return sent;
  }

  it('sends for every second acknowledgment, where it is on (6937-1)', () => {
    const lossy = new Lossy(version);
    // Limited transmit for two, the retransmission for the third.
    expect(recover(lossy)).to.deep.equal([1, 1, 1, 0, 1, 0, 1, 0, 0]);
    lossy.ack(upTo(12));
    expect(lossy.c.congestion.cwnd, 'the flight is ssthresh then').to.equal(5 * MSS);
    lossy.end();
  });

  it('waits for half of the window, where it is off', () => {
    const lossy = new Lossy(version, { prr: false });
    // The retransmission goes out at once (RFC 6675 5, step 4.3).
    expect(recover(lossy)).to.deep.equal([1, 1, 1, 0, 0, 0, 0, 1, 1]);
    lossy.end();
  });
});
