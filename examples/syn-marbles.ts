/** A marble test of a protocol: a SYN for a listening port is answered in the same call, and again when its timer fires. */
import { tap } from 'rxjs';
import { host, Ipv4Address } from '../operators/main.js';
import { net } from '../operators/testing/index.js';

net(
  ({ rx, expectTx, expectDrops, env, device }) => {
    const me = host({ device: device(), addresses: ['192.168.0.1/16'], gateway: '192.168.0.9' }, env);
    const listener = me.tcp.listen({ address: Ipv4Address.ANY, port: 8080 });
    const calls: string[] = [];
    listener.incoming = () => calls.push('listener told');

    const in$ = rx('   -s 3999ms a-x', {
      s: '< S 0:0(0) win 65535 <mss 1460>',
      a: '< . 1:1(0) ack 1 win 65535',
      x: '< P. 1:6(5 "hello") ack 1 win 65535 bad-checksum',
    });
    const before$ = in$.pipe(tap(() => calls.push('in')));
    const after$ = before$.pipe(me).pipe(tap(() => calls.push('out')));
    // One character is a millisecond. The SYN-ACK goes out in the same one as the SYN came in; its timer repeats it after 1 s and 2 s.
    expectTx(after$).toBe('-s 999ms s 1999ms s', { s: '> S. 0:0(0) ack 1 <mss 1460>' });
    expectDrops().toBe('-- 3999ms --x', { x: 'tcp-bad-checksum' });
    env.scheduler.schedule(() => {
      console.log(calls.join(', '));
      console.log('accepted:', listener.accept()?.state);
    }, 4002);
  },
  { linkType: 'ip', until: 4004 },
);
console.log('as expected; nothing is left: no frame, no timer');
