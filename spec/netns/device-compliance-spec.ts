import { compliance, type Rig } from '../../drivers/compliance.js';
import type { TapOptions } from '../../drivers/tap.js';
import { asTx, FramePool } from '../../lib/core/frame.js';
import { environment } from '../../operators/time/environment.js';
import { describeNetns, type Namespace } from './namespace.js';

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 15));
}

type Driver = Pick<TapOptions, 'offload' | 'io' | 'busyPoll'>;

/** Each way in which a device may read and write. */
const WAYS: readonly (readonly [name: string, driver: Driver])[] = [
  ['by io_uring', { io: 'uring' }],
  ['by calls', { io: 'calls' }],
  ['by io_uring, without offload', { io: 'uring', offload: false }],
  ['by calls, without offload, busy polling', { io: 'calls', offload: false, busyPoll: 1000 }],
];

/** TAPs on a bridge of the kernel's: what one sends the others receive. One of them is the wire, and one has offloads of its own. */
function tapRig(namespace: Namespace, driver: Driver): Rig {
  const env = environment({ pool: new FramePool({ poison: true }) });
  const farEnv = environment();
  namespace.sysctl('net.ipv6.conf.default.disable_ipv6', 1);
  const device = namespace.openTap({ ...driver, name: 'tap0' }, env);
  const far = namespace.openTap({ name: 'tap1', offload: false, coalesce: false }, farEnv);
  const able = namespace.openTap({ name: 'tap2' }, farEnv);
  namespace.ip('link', 'add', 'br0', 'up', 'type', 'bridge', 'forward_delay', '0');
  for (const { name } of [device, far, able]) namespace.ip('link', 'set', name, 'master', 'br0');
  const sent: Uint8Array[] = [];
  far.frames$.subscribe((frame) => void sent.push(Uint8Array.from(frame.bytes())));
  return {
    device,
    env,
    inject(bytes) {
      const frame = farEnv.pool.alloc(bytes.length);
      frame.slab.bytes.set(bytes, frame.put(bytes.length));
      far.sink.next(asTx(frame));
    },
    injectFrame: (frame) => able.sink.next(frame),
    sent: () => sent,
    settle: pause,
    fail: () => void namespace.ip('link', 'del', 'tap0'),
    dispose: async () => void (await Promise.all([far.close(), able.close()])),
  };
}

describeNetns('TAP on a bridge', (netns) => {
  for (const [name, driver] of WAYS) compliance(`tap ${name}`, () => tapRig(netns.namespace, driver), { describe, it });
});

// The kernel routes what a TUN sends, and would change it on its way back: what comes and goes is tested in tun-spec.
describeNetns('TUN', (netns) => {
  const rig = (): Rig => {
    const env = environment({ pool: new FramePool({ poison: true }) });
    return {
      device: netns.namespace.openTun({ name: 'tun0' }, env),
      env,
      settle: pause,
      fail: () => void netns.namespace.ip('link', 'del', 'tun0'),
    };
  };
  compliance('tun', rig, { describe, it });
});
