import { expect } from 'chai';
import { Ipv4Address } from '../../../lib/core/address.js';
import { IcmpReports } from '../../../lib/l3/icmp-reports.js';
import { IpTables } from '../../../lib/l3/ip-tables.js';
import { ethernet } from '../../../operators/l2/ethernet.js';
import { icmp } from '../../../operators/l3/icmp.js';
import { ipv4 } from '../../../operators/l3/ipv4.js';
import { host } from '../../../operators/stack/host.js';
import { type NetHelpers, net } from '../../../operators/testing/index.js';

/** The layers up to ICMP, put together by hand. */
function echoing({
  env,
  device,
}: NetHelpers): (in$: ReturnType<NetHelpers['rx']>) => ReturnType<ReturnType<typeof icmp>> {
  const own = device();
  const tables = new IpTables(env);
  tables.addAddress(own, '192.168.0.1/16');
  return (in$) =>
    in$.pipe(
      ethernet({ mac: own.mac }, env),
      ipv4({ addresses: tables.addresses }, env),
      icmp({ tables, reports: new IcmpReports() }, env),
    );
}

describe('packet marbles over the real layers', () => {
  it('ping: answered in the frame that asked, and only what was asked of us', () => {
    net((helpers) => {
      const { rx, expectTx, expectDrops } = helpers;
      const in$ = rx('                       --e--x--|', {
        e: '< icmp echo_request id 7 seq 1 (56)',
        x: '< icmp echo_request id 7 seq 2 (56) bad-checksum',
      });
      expectTx(echoing(helpers)(in$)).toBe('   --r-----|', { r: '> icmp echo_reply id 7 seq 1 (56)' });
      expectDrops().toBe('                   -----d--', { d: 'icmpv4-bad-checksum' });
    });
  });

  it('a host resolves, answers and refuses', () => {
    net(({ rx, expectTx, env, device }) => {
      const me = host({ device: device(), addresses: ['192.0.2.7/24'] }, env);
      const in$ = rx('          a-e-s--', {
        a: '< arp who-has 192.0.2.7 tell 192.0.2.1',
        e: '< icmp echo_request id 7 seq 1 (5 "hello") to 192.0.2.7',
        s: '< S 0:0(0) win 65535 <mss 1460> to 192.0.2.7',
      });
      expectTx(in$.pipe(me)).toBe('a-e-s--', {
        a: '> arp reply 192.0.2.7 is-at 02:00:00:00:00:01',
        e: '> icmp echo_reply id 7 seq 1 (5 "hello") from 192.0.2.7',
        s: '> R. 0:0(0) ack 1 from 192.0.2.7',
      });
    });
  });

  it('a SYN for a listening port: answered in the same call, the answer repeated by its timer', () => {
    net(
      ({ rx, expectTx, env, device }) => {
        const me = host({ device: device(), addresses: ['192.168.0.1/16'], gateway: '192.168.0.9' }, env);
        const listener = me.tcp.listen({ address: Ipv4Address.ANY, port: 8080 });
        const in$ = rx('          s 2000ms a d - r', {
          s: '< S 0:0(0) win 65535 <mss 1460>',
          a: '< . 1:1(0) ack 1 win 65535',
          d: '< P. 1:6(5 "hello") ack 1 win 65535',
          r: '< R. 6:6(0) ack 1 win 65535',
        });
        expectTx(in$.pipe(me)).toBe('s 999ms s 1000ms - a--', {
          s: '> S. 0:0(0) ack 1 <mss 1460>',
          a: '> . 1:1(0) ack 6',
        });
        env.scheduler.schedule(() => expect(listener.accept()?.readableBytes).to.equal(5), 2003);
      },
      { linkType: 'ip' },
    );
  });

  it('fails where the answer is another', () => {
    const wrong = (): void =>
      net((helpers) => {
        const in$ = helpers.rx('-e-|', { e: '< icmp echo_request id 7 seq 1 (5 "hello")' });
        helpers.expectTx(echoing(helpers)(in$)).toBe('-r-|', { r: '> icmp echo_reply id 7 seq 1 (5 "hallo")' });
      });
    expect(wrong).to.throw('+       1 ms  > icmp echo_reply id 7 seq 1 (5 "hello")');
  });
});
