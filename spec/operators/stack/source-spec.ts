/** Sources that emit while a host subscribes to them, or have ended before. */

import { expect } from 'chai';
import { EMPTY, NEVER, Observable } from 'rxjs';
import { MacAddress, parseIp } from '../../../lib/core/address.js';
import { asRx, Frame, type RxFrame } from '../../../lib/core/frame.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import { layer } from '../../../operators/flow/layer.js';
import { type Host, type HostOptions, host } from '../../../operators/stack/host.js';
import { type RoutedPacket, router } from '../../../operators/stack/router.js';
import { forBothVersions } from '../../both-versions.js';
import { type FakeDevice, fakeDevice, type VirtualEnv, virtualEnv } from '../../lib/l2/fake-device.js';
import { ENDS } from '../l3/router-bench.js';

const MACS = { local: '02:00:00:00:00:01', remote: '02:00:00:00:00:02' };

forBothVersions('the source of a', ({ version, any }) => {
  const { a, left, right } = ENDS[version];
  const length = version === 4 ? 24 : 64;
  const notation = new PacketNotation({ local: left, remote: a, macs: MACS });
  const name = version === 4 ? 'icmp' : 'icmpv6';
  let env: VirtualEnv;
  let device: FakeDevice;
  let sent: string[];

  const kinds: Readonly<Record<string, (options: Pick<HostOptions, 'dad' | 'slaac'>) => Host>> = {
    host: (options) => host({ ...options, device, addresses: [`${left}/${length}`] }, env),
    'host of several devices': (options) => host({ ...options, interfaces: interfaces() }, env),
    router: (options) => router({ ...options, interfaces: interfaces() }, env),
    'router with hooks': (options) => {
      const postrouting = layer<RoutedPacket, RoutedPacket>(() => (packet) => packet);
      return router({ ...options, interfaces: interfaces(), hooks: { postrouting } }, env);
    },
  };
  const interfaces = () => [
    { device, addresses: [`${left}/${length}`] },
    { device: fakeDevice(env, { name: 'right', mac: '02:00:00:00:00:11' }), addresses: [`${right}/${length}`] },
  ];

  /** Emits frames in the very call that subscribes to it. */
  const burst = (...lines: readonly string[]): Observable<RxFrame> =>
    new Observable((subscriber) => {
      for (const line of lines) {
        const frame = notation.build(line, '<', env.pool);
        frame.device = device;
        frame.wholeEnd = frame.end;
        subscriber.next(asRx(frame));
        frame.release();
      }
      return NEVER.subscribe(subscriber);
    });

  beforeEach(() => {
    env = virtualEnv();
    device = fakeDevice(env, { mac: MACS.local });
    sent = [];
  });

  for (const [kind, make] of Object.entries(kinds)) {
    it(`${kind} may emit while it is subscribed to: nothing is lost`, () => {
      const me = make({});
      const messages: number[] = [];
      me.udp.bind({ address: any, port: 9 }, { message: ({ data }) => void messages.push(data.length), error() {} });
      me.neighbours(device)?.setStatic(parseIp(a), MacAddress.parse(MACS.remote).value);
      const frames$ = burst('udp 5 > 9 (12)', `${name} echo_request id 7 seq 1 (8)`, 'S 0:0(0) win 65535');
      const running = frames$.pipe(me).subscribe((frame) => {
        sent.push(notation.format(Frame.from(frame.bytes()), '>'));
        frame.release();
      });
      expect(messages).to.deep.equal([12]);
      expect(env.drops.toJSON()).to.deep.equal({ 'tcp-no-connection': 1 });
      const answers = sent.filter((line) => / echo_reply |^> R/.test(line));
      expect(answers, sent.join('\n')).to.have.length(2);
      running.unsubscribe();
      expect([env.scheduler.pending, env.pool.outstanding]).to.deep.equal([0, 0]);
    });

    it(`${kind} may have ended: it ends too`, () => {
      const me = make({ dad: true, slaac: true });
      const told: string[] = [];
      const error = ({ code }: { readonly code: string }): void => void told.push(code);
      me.udp.bind({ address: any, port: 9 }, { message() {}, error });
      EMPTY.pipe(me).subscribe({ next: (frame: Frame) => frame.release(), complete: () => told.push('complete') });
      env.scheduler.runFor(1000);
      expect(told).to.have.members(['ENETDOWN', 'complete']);
      expect([env.scheduler.pending, env.pool.outstanding]).to.deep.equal([0, 0]);
    });
  }
});
