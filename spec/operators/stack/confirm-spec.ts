import { expect } from 'chai';
import { anyEndpoint } from '../../../lib/l4/udp.js';
import type { TcpHandler } from '../../../lib/l4/tcp/api.js';
import { network } from '../../../operators/testing/index.js';
import { forBothVersions } from '../../both-versions.js';

const quiet: TcpHandler = { connected() {}, readable() {}, writable() {}, flushed() {}, closed() {} };

forBothVersions('a neighbour that TCP talks to', (facts) => {
  /** States that b's entry goes through at a in five minutes, in which a writes a few bytes every ten seconds or none. */
  function statesOf(write: boolean): string[] {
    const net = network({ hosts: { a: facts.cidr(facts.a), b: facts.cidr(facts.b) } });
    const { a, b } = net.hosts;
    const listener = b.tcp.listen(anyEndpoint(facts.version, 7));
    const connection = a.tcp.connect({ address: facts.b, port: 7 }, quiet);
    net.runFor(100);
    const states: string[] = [];
    a.neighbours(net.links.lan.end('a'))?.observe((event) => states.push(event.state));
    for (let i = 0; i < 30; i++) {
      net.runFor(10_000);
      if (write) connection.write(new Uint8Array(10));
      // A datagram needs the neighbour but proves nothing.
      else
        a.udp
          .bind(anyEndpoint(facts.version, 0), { message() {}, error() {} })
          .send(new Uint8Array(1), { ...connection.remote });
      listener.accept()?.read();
    }
    net.dispose();
    return states;
  }

  it('is known to be reachable as long as it acknowledges (RFC 4861 7.3.1)', () => {
    expect(statesOf(true)).to.not.include.members(['probe']);
  });

  it('is verified where nothing vouches for it', () => {
    expect(statesOf(false)).to.include.members(['stale', 'delay', 'probe', 'reachable']);
  });
});
