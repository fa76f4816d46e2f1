import { expect } from 'chai';
import { Cast } from '../../../lib/core/frame.js';
import { ALL_ROUTERS } from '../../../lib/l3/scope.js';
import type { RouterInterface } from '../../../operators/stack/router.js';
import { type Router, router } from '../../../operators/stack/router.js';
import { type FakeDevice, fakeDevice, type VirtualEnv, virtualEnv } from '../../lib/l2/fake-device.js';
import { messageIn } from '../l3/packets6.js';

/** The type of reports of MLDv2 (RFC 3810 5.2). */
const REPORT = 143;

describe('a router and the group of all routers (RFC 4291 2.8)', () => {
  let env: VirtualEnv;
  let lan: FakeDevice;
  let wan: FakeDevice;
  let me: Router;
  const make = (one: Omit<RouterInterface, 'device'>): void => {
    env = virtualEnv();
    [lan, wan] = [fakeDevice(env, { name: 'lan' }), fakeDevice(env, { name: 'wan', mac: '02:00:00:00:00:11' })];
    me = router(
      {
        interfaces: [
          { device: lan, ...one },
          { device: wan, addresses: ['10.0.0.1/24'] },
        ],
      },
      env,
    );
  };
  const run = (): (() => void) => {
    const running = lan.frames$.pipe(me).subscribe((frame) => {
      (frame.device === wan ? wan : lan).sink.next(frame);
    });
    env.scheduler.runFor(10_000);
    return () => {
      running.unsubscribe();
      expect([env.scheduler.pending, env.pool.outstanding]).to.deep.equal([0, 0]);
    };
  };
  const isMember = (): boolean => {
    const { a, b, c, d } = ALL_ROUTERS;
    const is = me.multicast.isMember(lan, ALL_ROUTERS);
    expect(me.tables.addresses6.accepts(a, b, c, d, lan)).to.equal(is ? Cast.Multicast : undefined);
    expect(me.multicast.isMember(wan, ALL_ROUTERS)).to.equal(false);
    return is;
  };
  /** Whether somebody was told that packets to the group are wanted on the link. */
  const isReported = (): boolean =>
    lan.sent
      .splice(0)
      .filter((bytes) => bytes[12] === 0x86)
      .map((bytes) => messageIn(bytes.subarray(14)))
      .some(({ message, packet: { frame } }) => {
        const bytes = Buffer.from(frame.bytes());
        return message.type === REPORT && bytes.includes(Buffer.from('ff020000000000000000000000000002', 'hex'));
      });

  for (const [name, one] of Object.entries({
    'given addresses': { addresses: ['fd01::1/64'] },
    'addresses that it verifies': { addresses: ['fd01::1/64'], dad: true },
    'addresses that it makes': { slaac: true },
    'an advertisement of its own': { addresses: ['fd01::1/64'], dad: true, advertise: true },
  })) {
    it(`is in it with ${name}, and says so`, () => {
      make(one);
      const stop = run();
      expect([isMember(), isReported()]).to.deep.equal([true, true]);
      stop();
    });
  }

  it('is in it from its first address on until it has none any more', () => {
    make({});
    const stop = run();
    expect([isMember(), isReported()]).to.deep.equal([false, false]);
    me.tables.addAddress(lan, 'fe80::1/64', { tentative: true });
    expect(isMember()).to.equal(false);
    me.tables.addAddress(lan, 'fd01::1/64');
    me.tables.addAddress(lan, 'fd02::1/64');
    env.scheduler.runFor(10_000);
    expect([isMember(), isReported()]).to.deep.equal([true, true]);
    me.tables.removeAddress(lan, 'fd01::1');
    expect(isMember()).to.equal(true);
    me.tables.removeAddress(lan, 'fd02::1');
    expect(isMember()).to.equal(false);
    stop();
  });

  it('is not in it where it takes nothing further', () => {
    make({ addresses: ['fd01::1/64'], forwarding: false });
    const stop = run();
    expect([isMember(), isReported()]).to.deep.equal([false, false]);
    stop();
  });
});
