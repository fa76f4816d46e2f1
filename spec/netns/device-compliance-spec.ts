import { compliance, type Rig } from '../../drivers/compliance.js';
import { asTx, FramePool } from '../../lib/core/frame.js';
import { environment } from '../../operators/time/environment.js';
import { describeNetns, type Namespace } from './namespace.js';

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 15));
}

/** Two TAPs on a bridge of the kernel's: what one sends the other receives. */
function tapRig(namespace: Namespace): Rig {
  const env = environment({ pool: new FramePool({ poison: true }) });
  const farEnv = environment();
  namespace.sysctl('net.ipv6.conf.default.disable_ipv6', 1);
  const device = namespace.openTap({ name: 'tap0' }, env);
  const far = namespace.openTap({ name: 'tap1' }, farEnv);
  namespace.ip('link', 'add', 'br0', 'up', 'type', 'bridge', 'forward_delay', '0');
  namespace.ip('link', 'set', 'tap0', 'master', 'br0');
  namespace.ip('link', 'set', 'tap1', 'master', 'br0');
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
    sent: () => sent,
    settle: pause,
    fail: () => void namespace.ip('link', 'del', 'tap0'),
    dispose: () => far.close(),
  };
}

describeNetns('TAP on a bridge', (netns) => {
  compliance('tap', () => tapRig(netns.namespace), { describe, it });
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
