import { host } from '../../../operators/stack/host.js';
import { net } from '../../../operators/testing/index.js';

describe('a host that announces its addresses', () => {
  it('does so as soon as it is subscribed, and again after two seconds (RFC 5227 2.3)', () => {
    net(({ rx, expectTx, expectDrops, env, device }) => {
      const me = host({ device: device(), addresses: ['192.0.2.7/24'], announce: true }, env);
      const announcement = '> arp who-has 192.0.2.7 tell 192.0.2.7';
      expectTx(rx('3000ms -').pipe(me)).toBe('a 1999ms b 999ms -', { a: announcement, b: announcement });
      expectDrops().toBe('3000ms -');
    });
  });
});
