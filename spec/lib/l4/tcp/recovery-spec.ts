import { expect } from 'chai';
import { tcpConfig } from '../../../../lib/l4/tcp/options.js';
import { forBothVersions } from '../../../both-versions.js';
import { block, full, Lossy, MSS, RTT, upTo } from './lossy.js';

forBothVersions('Loss recovery', ({ version }) => {
  it('tells its state as tcp_info does (GT-77)', () => {
    const lossy = new Lossy(version);
    const states: string[] = [];
    const note = () => states.push(lossy.c.info().caState);
    lossy.write(10);
    note();
    lossy.wait(RTT);
    lossy.ack(1, [block(1, 2)]);
    note();
    lossy.ack(1, [block(1, 4)]);
    note();
    expect(lossy.c.info()).to.include({ sacked: 3, lost: 1, retrans: 1, reordering: 3 });
    lossy.ack(upTo(10));
    note();
    lossy.write(5);
    lossy.c.recovery.reduceForEcn(lossy.c);
    note();
    lossy.wait(700);
    note();
    expect(states).to.deep.equal(['Open', 'Disorder', 'Recovery', 'Open', 'CWR', 'Loss']);
    lossy.end();
  });

  it('the reduction for ECN lasts until something behind what was in flight is acknowledged (3168-1)', () => {
    const lossy = new Lossy(version);
    lossy.write(10);
    lossy.c.recovery.reduceForEcn(lossy.c);
    lossy.c.recovery.reduceForEcn(lossy.c);
    expect(lossy.c.congestion.ssthresh, 'once').to.equal(5 * MSS);
    lossy.c.write(new Uint8Array(10 * MSS));
    let sent = lossy.ranges().length;
    for (let i = 1; i <= 10; i++) sent += lossy.ack(upTo(i)).length;
    expect(sent, 'half of what arrives').to.be.within(5, 6);
    expect(lossy.c.recovery.state).to.equal('cwr');
    lossy.ack(upTo(11));
    expect([lossy.c.recovery.state, lossy.c.congestion.cwnd]).to.deep.equal(['open', 5 * MSS]);
    lossy.end();
  });

  it('samples the round-trip time of what is selectively acknowledged, too, and of nothing that was sent again (6298-4)', () => {
    const lossy = new Lossy(version);
    lossy.write(10);
    lossy.wait(180);
    lossy.ack(1, [block(1, 2)]);
    const { srtt } = lossy.c.rtt;
    expect(srtt).to.be.greaterThan(RTT);
    lossy.ack(1, [block(1, 4)]);
    const before = lossy.c.rtt.srtt;
    lossy.wait(10);
    lossy.ack(upTo(4));
    expect(lossy.c.rtt.srtt).to.equal(before);
    lossy.end();
  });

  it('starts its timer with the first segment, anew with each acknowledgment, and stops it with the last (6298-5)', () => {
    const lossy = new Lossy(version, { tlp: false });
    lossy.write(3);
    const { timers } = lossy.c;
    const first = timers.retransmitAt;
    lossy.wait(RTT);
    lossy.write(1);
    expect(timers.retransmitAt, 'not by more data').to.equal(first);
    lossy.ack(upTo(1));
    expect(timers.retransmitAt).to.equal(lossy.dut.scheduler.now() + lossy.c.rtt.rto);
    const second = timers.retransmitAt;
    lossy.wait(10);
    lossy.ack(upTo(1), [block(2, 3)]);
    lossy.ack(upTo(4));
    expect([second > first, timers.isRetransmitArmed]).to.deep.equal([true, false]);
    lossy.end();
  });

  it('and anew when something arrives that was sent before the first was sent again (6298-5)', () => {
    const lossy = new Lossy(version, { tlp: false, rack: false });
    lossy.write(10);
    lossy.wait(RTT);
    expect(lossy.ack(1, [block(1, 4)])[0]).to.equal(full(0, 1)[0]);
    const { timers, rtt } = lossy.c;
    const first = timers.retransmitAt;
    lossy.wait(50);
    lossy.ack(1, [block(1, 5)]);
    expect(timers.retransmitAt).to.equal(lossy.dut.scheduler.now() + rtt.rto);
    expect(timers.retransmitAt).to.be.greaterThan(first);
    lossy.end();
  });

  it('after a timeout the window is one segment, and grows again; the timeout doubles (GT-70, 6298-5, 5681-7)', () => {
    const lossy = new Lossy(version, { tlp: false, frto: false });
    lossy.write(8);
    expect(lossy.times(1000)).to.deep.equal([
      [300, full(0, 1)[0]],
      [900, full(0, 1)[0]],
    ]);
    expect(lossy.c.congestion).to.include({ cwnd: MSS, ssthresh: 4 * MSS });
    expect(lossy.c.rtt.backoffs).to.equal(2);
    expect(lossy.ack(upTo(1))).to.deep.equal(full(1, 3));
    lossy.end();
  });

  it('has its threshold within limits', () => {
    for (const reordering of [0, 301]) {
      expect(() => tcpConfig({ reordering }))
        .to.throw()
        .with.property('code', 'ERR_INVALID_OPTION');
    }
  });
});
