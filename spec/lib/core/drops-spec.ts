import { expect } from 'chai';
import { type Drop, DropReason, Drops, dropReasonName, dropReasonOf } from '../../../lib/core/drops.js';
import { NetError, UsageError } from '../../../lib/core/errors.js';
import { DELIVERED, Frame } from '../../../lib/core/frame.js';

const frame = () => Frame.from(new Uint8Array(1));

describe('DropReason', () => {
  it('numbers its reasons from 1 without gaps or doubles, so that numbers stay stable', () => {
    const numbers = Object.values(DropReason);
    expect(numbers).to.deep.equal(numbers.map((_, i) => i + 1));
  });

  it('has a name in text for each, and finds it again', () => {
    expect(dropReasonName(DropReason.Ipv4BadChecksum)).to.equal('ipv4-bad-checksum');
    expect(dropReasonName(DropReason.TcpNoAck)).to.equal('tcp-no-ack');
    for (const reason of Object.values(DropReason)) expect(dropReasonOf(dropReasonName(reason))).to.equal(reason);
    expect(new Set(Object.values(DropReason).map(dropReasonName)).size).to.equal(Object.keys(DropReason).length);
    expect(dropReasonOf('no-such-reason')).to.equal(undefined);
    expect(dropReasonOf('')).to.equal(undefined);
  });
});

describe('Drops', () => {
  it('counts the first word about a frame, and that only', () => {
    const drops = new Drops();
    const [one, other] = [frame(), frame()];
    expect(drops.report(DropReason.Filtered, one, 'where')).to.equal(undefined);
    drops.report(DropReason.IpNoRoute, one);
    drops.deliver(one);
    drops.deliver(other);
    drops.deliver(other);
    drops.report(DropReason.Filtered, other);
    expect(one.fate).to.equal(DropReason.Filtered);
    expect(other.fate).to.equal(DELIVERED);
    expect(drops.toJSON()).to.deep.equal({ filtered: 1 });
    expect([drops.total, drops.delivered, drops.count(DropReason.IpNoRoute)]).to.deep.equal([1, 1, 0]);
  });

  it('counts each drop without a frame', () => {
    const drops = new Drops();
    for (let i = 0; i < 3; i++) drops.report(DropReason.LinkLoss);
    expect(drops.count(DropReason.LinkLoss)).to.equal(3);
  });

  it('tells observers once per drop, until they stop', () => {
    const drops = new Drops();
    const seen: Drop[] = [];
    const stop = drops.observe((drop) => seen.push(drop));
    const one = frame();
    drops.report(DropReason.Filtered, one, 'where');
    drops.report(DropReason.Filtered, one, 'where');
    stop();
    drops.report(DropReason.Filtered);
    expect(seen).to.deep.equal([{ reason: DropReason.Filtered, operator: 'where', frame: one }]);
  });

  it('lets one listener observe twice and stop once, also while being told', () => {
    const drops = new Drops();
    let seen = 0;
    const stops: (() => void)[] = [];
    const listener = () => {
      seen++;
      stops[0]?.();
    };
    stops.push(drops.observe(listener), drops.observe(listener));
    drops.report(DropReason.Filtered);
    expect(seen).to.equal(2);
    drops.report(DropReason.Filtered);
    expect(seen).to.equal(3);
  });
});

describe('errors', () => {
  it('carry a code', () => {
    expect(new UsageError('ERR_UNSUPPORTED', 'no')).to.include({
      code: 'ERR_UNSUPPORTED',
      name: 'UsageError',
      message: 'no',
    });
    expect(NetError.of('ECONNREFUSED', 'connect', '10.0.0.1', 80)).to.include({
      code: 'ECONNREFUSED',
      message: 'connect ECONNREFUSED 10.0.0.1:80',
      syscall: 'connect',
      address: '10.0.0.1',
      port: 80,
    });
    expect(NetError.of('EACCES', 'open')).to.include({ message: 'open EACCES', address: undefined, port: undefined });
    expect(NetError.of('EHOSTUNREACH', 'send', '10.0.0.1').message).to.equal('send EHOSTUNREACH 10.0.0.1');
  });
});
