import { expect } from 'chai';
import { forBothVersions } from '../../../both-versions.js';
import { full, Lossy, MSS, RTT, upTo } from './lossy.js';

const PLAIN = { sack: false } as const;

forBothVersions('Recovery without SACK (RFC 5681, RFC 6582)', ({ version }) => {
  function flight(options: ConstructorParameters<typeof Lossy>[1] = {}): Lossy {
    const lossy = new Lossy(version, options, PLAIN);
    lossy.c.write(new Uint8Array(40 * MSS));
    expect(lossy.ranges()).to.deep.equal(full(0, 10));
    lossy.wait(RTT);
    return lossy;
  }

  it('sends a new segment for each of the first two duplicates, the first again for the third (3042-1, 5681-8)', () => {
    const lossy = flight();
    expect(lossy.ack(1)).to.deep.equal(full(10, 11));
    expect(lossy.ack(1)).to.deep.equal(full(11, 12));
    expect(lossy.ack(1)).to.deep.equal(full(0, 1));
    lossy.end();
  });

  it('nothing new for the first two where limited transmit is off, or the peer has no room (3042-1)', () => {
    const off = flight({ limitedTransmit: false });
    expect([...off.ack(1), ...off.ack(1)]).to.deep.equal([]);
    expect(off.ack(1)).to.deep.equal(full(0, 1));
    off.end();
    const narrow = new Lossy(version, {}, { ...PLAIN, win: 10 * MSS });
    narrow.c.write(new Uint8Array(40 * MSS));
    narrow.ranges();
    const win = 10 * MSS;
    expect([...narrow.ack(1, [], { win }), ...narrow.ack(1, [], { win })]).to.deep.equal([]);
    narrow.end();
  });

  it('a duplicate has no data, no FIN, the same window, and is of what is in flight (5681-8)', () => {
    const lossy = flight();
    const { dut } = lossy;
    for (const win of [65_534, 65_533, 65_532]) lossy.ack(1, [], { win });
    for (let i = 1; i < 4; i++) dut.rx(`. ${i}:${i + 1}(1) ack 1 win 65532`);
    expect(lossy.ranges()).to.deep.equal([]);
    expect(lossy.c.recovery.duplicates).to.equal(0);
    lossy.end();
  });

  it('a threshold of its own (reordering)', () => {
    const lossy = flight({ reordering: 5 });
    for (let i = 0; i < 4; i++) expect(lossy.ack(1)).to.deep.equal(full(10 + i, 11 + i));
    expect(lossy.ack(1)).to.deep.equal(full(0, 1));
    lossy.end();
  });

  it('halves what was in flight without limited transmit; a partial acknowledgment has the next hole sent, a full one ends it (5681-6, 5681-9)', () => {
    const lossy = flight();
    for (let i = 0; i < 3; i++) lossy.ack(1);
    expect(lossy.c.congestion.ssthresh).to.equal(5 * MSS);
    for (let i = 0; i < 5; i++) lossy.ack(1);
    expect(lossy.ack(upTo(4))[0], 'partial').to.equal(full(4, 5)[0]);
    expect(lossy.c.recovery.active).to.equal(true);
    lossy.ack((lossy.c.recovery.recover - lossy.c.snd.iss) | 0);
    expect([lossy.c.recovery.state, lossy.c.congestion.cwnd], 'more is to come').to.deep.equal(['recovery', 5 * MSS]);
    lossy.write(1);
    lossy.ack((lossy.c.snd.nxt - lossy.c.snd.iss) | 0);
    expect([lossy.c.recovery.state, lossy.c.congestion.ssthresh]).to.deep.equal(['open', 5 * MSS]);
    expect(lossy.dut.host.counters.fastRetransmits).to.equal(1);
    lossy.end();
  });

  it('counts what is in flight, not the window, where the application sends less (5681-6)', () => {
    const lossy = new Lossy(version, {}, PLAIN);
    lossy.write(6);
    lossy.wait(RTT);
    for (let i = 0; i < 3; i++) lossy.ack(1);
    expect(lossy.c.congestion.ssthresh).to.equal(3 * MSS);
    lossy.end();
  });

  it('duplicates of what a timeout sent again are no loss (RFC 6582 3.2, 5681-7)', () => {
    const lossy = flight({ frto: false });
    lossy.wait(300);
    const { ssthresh } = lossy.c.congestion;
    for (let i = 0; i < 6; i++) lossy.ack(1);
    expect(lossy.dut.host.counters.fastRetransmits).to.equal(0);
    lossy.wait(700);
    expect(lossy.c.congestion.ssthresh, 'nor is the same segment twice').to.equal(ssthresh);
    lossy.end();
  });

  it('nor are duplicates of the first that was not sent before the timeout, until it is acknowledged (RFC 6582 3.2)', () => {
    const lossy = new Lossy(version, { tlp: false, frto: false }, PLAIN);
    lossy.write(4);
    expect(lossy.wait(400)).to.deep.equal(full(0, 1));
    lossy.ack(upTo(4));
    lossy.write(12);
    for (let i = 0; i < 5; i++) lossy.ack(upTo(4));
    expect(lossy.dut.host.counters.fastRetransmits, 'they may be of what went out twice').to.equal(0);
    lossy.ack(upTo(5));
    for (let i = 0; i < 3; i++) lossy.ack(upTo(5));
    expect(lossy.dut.host.counters.fastRetransmits).to.equal(1);
    lossy.end();
  });

  it('what was sent before the last recovery excuses nothing once it lies far behind (RFC 6582 3.2)', () => {
    for (const behind of [1, 2 ** 31 - 1, 2 ** 31, 3 * 2 ** 30]) {
      const lossy = flight();
      lossy.c.recovery.excused = (lossy.c.snd.una - behind) | 0;
      for (let i = 0; i < 3; i++) lossy.ack(1);
      expect(lossy.dut.host.counters.fastRetransmits, `${behind} bytes`).to.equal(1);
      lossy.end();
    }
  });

  it('a partial acknowledgment has the next hole sent whatever the window (RFC 6582 3.2, 5681-9)', () => {
    const lossy = flight({ limitedTransmit: false });
    for (let i = 0; i < 3; i++) lossy.ack(1);
    expect(lossy.ack(upTo(1))).to.deep.equal(full(1, 2));
    expect(lossy.ack(upTo(2))).to.deep.equal(full(2, 3));
    lossy.end();
  });
});
