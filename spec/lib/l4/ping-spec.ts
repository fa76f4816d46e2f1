import { expect } from 'chai';
import { DropReason } from '../../../lib/core/drops.js';
import { NetError } from '../../../lib/core/errors.js';
import type { EchoError, EchoReply, PingHandler } from '../../../lib/l4/ping-api.js';
import { network } from '../../../operators/testing/network.js';
import { forBothVersions } from '../../both-versions.js';

class Gathering implements PingHandler {
  readonly replies: EchoReply[] = [];
  readonly errors: EchoError[] = [];
  reply(reply: EchoReply): void {
    this.replies.push(reply);
  }
  error(error: EchoError): void {
    this.errors.push(error);
  }
}

const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7) & 0xff);

function codeOf(call: () => void): string {
  try {
    call();
    return 'none';
  } catch (error) {
    return error instanceof NetError ? error.code : String(error);
  }
}

forBothVersions('ping sockets', ({ version, a, b, c, cidr, elsewhere, any, loopback }) => {
  const lan = () => network({ hosts: { us: cidr(a), them: cidr(b) } });

  it('hear replies to what they sent, and only to that', () => {
    using net = lan();
    const { ping } = net.hosts.us;
    const [one, two] = [new Gathering(), new Gathering()];
    const first = ping.open(version, one);
    const second = ping.open(version, two);
    expect(first.identifier).not.to.equal(second.identifier);
    first.send({ destination: b, sequence: 7, data: bytes(56), trafficClass: 0x28 });
    first.send({ destination: b, sequence: 0xffff });
    second.send({ destination: b, sequence: 7, data: bytes(1) });
    net.run();
    expect(one.replies).to.deep.equal([
      { source: b, sequence: 7, data: bytes(56), hopLimit: 64, trafficClass: 0x28 },
      { source: b, sequence: 0xffff, data: new Uint8Array(0), hopLimit: 64, trafficClass: 0 },
    ]);
    expect(two.replies.map(({ sequence, data }) => [sequence, data.length])).to.deep.equal([[7, 1]]);
    expect([...one.errors, ...two.errors]).to.deep.equal([]);
    net.assertIdle();
  });

  it('hear nothing after they were closed: the reply is dropped as unsolicited', () => {
    using net = lan();
    const { ping, env } = net.hosts.us;
    const gathering = new Gathering();
    const socket = ping.open(version, gathering);
    socket.send({ destination: b, sequence: 1 });
    socket.close();
    socket.close();
    expect(ping.size).to.equal(0);
    net.run();
    expect(gathering.replies).to.deep.equal([]);
    const reason = version === 4 ? DropReason.Icmpv4Unsolicited : DropReason.Icmpv6Unsolicited;
    expect(env.drops.count(reason)).to.equal(1);
    expect(codeOf(() => socket.send({ destination: b, sequence: 1 }))).to.equal('EBADF');
    net.assertIdle();
  });

  it('send in fragments, and to this host itself', () => {
    using net = lan();
    const { ping } = net.hosts.us;
    const gathering = new Gathering();
    const socket = ping.open(version, gathering);
    socket.send({ destination: b, sequence: 1, data: bytes(8000) });
    socket.send({ destination: a, sequence: 2, data: bytes(20) });
    socket.send({ destination: loopback, sequence: 3, data: bytes(30) });
    net.run();
    const heard = gathering.replies.map(({ source, sequence, data }) => [String(source), sequence, data]);
    expect(heard).to.have.deep.members([
      [String(b), 1, bytes(8000)],
      [String(a), 2, bytes(20)],
      [String(loopback), 3, bytes(30)],
    ]);
    net.assertIdle();
  });

  it('hear that nobody is there', () => {
    using net = lan();
    const gathering = new Gathering();
    net.hosts.us.ping.open(version, gathering).send({ destination: c, sequence: 9 });
    net.run();
    expect(gathering.errors).to.deep.equal([
      { sequence: 9, destination: c, reporter: a, kind: 'host-unreachable', code: 'EHOSTUNREACH', mtu: 0 },
    ]);
    net.assertIdle();
  });

  it('refuse what can never be sent', () => {
    using net = lan();
    const socket = net.hosts.us.ping.open(version, new Gathering());
    const other = version === 4 ? 6 : 4;
    const wrong = net.hosts.us.ping.open(other, new Gathering());
    expect(codeOf(() => wrong.send({ destination: b, sequence: 1 }))).to.equal('EINVAL');
    expect(codeOf(() => socket.send({ destination: any, sequence: 1 }))).to.equal('EINVAL');
    expect(codeOf(() => socket.send({ destination: elsewhere, sequence: 1 }))).to.equal('ENETUNREACH');
    expect(codeOf(() => socket.send({ destination: b, sequence: 1, source: c }))).to.equal('EADDRNOTAVAIL');
    expect(codeOf(() => socket.send({ destination: b, sequence: 1, data: new Uint8Array(65_528) }))).to.equal(
      'EMSGSIZE',
    );
    expect(codeOf(() => socket.send({ destination: b, sequence: 1, source: a }))).to.equal('none');
    net.run();
    net.assertIdle();
  });

  it('whose owner throws do no harm, and are counted', () => {
    using net = lan();
    const { ping, env } = net.hosts.us;
    const socket = ping.open(version, {
      reply: () => {
        throw new Error('reply');
      },
      error: () => {
        throw new Error('error');
      },
    });
    socket.send({ destination: b, sequence: 1 });
    socket.send({ destination: c, sequence: 2 });
    net.run();
    expect(env.drops.count(DropReason.CallbackThrew)).to.equal(2);
    expect(env.pool.outstanding).to.equal(0);
  });

  it('end with their host', () => {
    const net = lan();
    const { ping } = net.hosts.us;
    ping.open(version, new Gathering()).send({ destination: b, sequence: 1 });
    net.dispose();
    expect(ping.size).to.equal(0);
    expect(net.scheduler.pending).to.equal(0);
    expect(codeOf(() => ping.open(version, new Gathering()))).to.equal('ENETDOWN');
    expect(ping.size).to.equal(0);
  });
});
