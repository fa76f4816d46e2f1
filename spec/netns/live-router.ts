/**
 * A router of ours on TAPs in two namespaces, in the test's process.
 *
 *     client --TAP-- us --TAP-- server
 */

import { once } from 'node:events';
import { expect } from 'chai';
import { asyncScheduler, merge, type Subscription } from 'rxjs';
import type { TunOptions } from '../../drivers/tun.js';
import type { IpVersion } from '../../lib/core/address.js';
import type { Device } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import { FramePool } from '../../lib/core/frame.js';
import { router, type Router, type RouterInterface, type RouterOptions } from '../../operators/stack/router.js';
import { toDevices } from '../../operators/stack/to-devices.js';
import { environment } from '../../operators/time/environment.js';
import { TimerWheel } from '../../operators/time/timer-wheel.js';
import type { Namespace, Netns } from './namespace.js';
import { complaints, type Recording } from './recording.js';

/** Addresses by version. */
export const ROUTED: Readonly<
  Record<IpVersion, { readonly client: string; readonly server: string; readonly us: string }>
> = {
  4: { client: '10.1.0.2', server: '10.2.0.2', us: '10.1.0.1' },
  6: { client: 'fd01::2', server: 'fd02::2', us: 'fd01::1' },
};

/** Options of {@link LiveRouter}. */
export interface LiveRouterOptions extends Omit<RouterOptions, 'interfaces'> {
  /** Of both TAPs. */
  readonly driver?: Pick<TunOptions, 'offload' | 'coalesce'>;
  /** What of the interfaces differs. */
  readonly left?: Partial<RouterInterface>;
  readonly right?: Partial<RouterInterface>;
  readonly mtu?: { readonly client?: number; readonly server?: number };
  /** Where what is sent is recorded. */
  readonly recording?: Recording;
  /** What is between the devices, where it is more than one router: the frames of both in, what is to be sent out. */
  readonly between?: (
    left: Device,
    right: Device,
    env: Env,
  ) => { readonly subscription: Subscription; readonly me: Router };
}

/** See the module. */
export class LiveRouter {
  readonly timers: TimerWheel = new TimerWheel(asyncScheduler);
  readonly env: Env = environment({ scheduler: this.timers, pool: new FramePool({ poison: true }) });
  readonly client: Namespace;
  readonly server: Namespace;
  readonly left: Device;
  readonly right: Device;
  readonly me: Router;
  private readonly subscription: Subscription;

  constructor(netns: Netns, options: LiveRouterOptions = {}) {
    const { driver = {}, left, right, mtu = {}, recording, between, ...rest } = options;
    const { env } = this;
    this.client = netns.namespace;
    this.server = netns.make('server');
    this.left = openSide(this.client, 1, { ...driver, mtu: mtu.client ?? 1500 }, env);
    this.right = openSide(this.server, 2, { ...driver, mtu: mtu.server ?? 1500 }, env);
    if (between !== undefined) {
      ({ subscription: this.subscription, me: this.me } = between(this.left, this.right, env));
      return;
    }
    this.me = router(
      {
        ...rest,
        interfaces: [
          { addresses: ['10.1.0.1/24', 'fd01::1/64'], ...left, device: this.left },
          { addresses: ['10.2.0.1/24', 'fd02::1/64'], ...right, device: this.right },
        ],
      },
      env,
    );
    const sent$ = merge(this.left.frames$, this.right.frames$).pipe(this.me);
    const recorded$ = recording === undefined ? sent$ : sent$.pipe(recording.outgoing(env));
    this.subscription = recorded$.subscribe(toDevices(this.left, this.right));
  }

  /** Stops everything, and holds that nothing is left: no timer, no frame, no exception, and no complaint of a kernel unless it may complain. */
  async close(options: { readonly complaints?: boolean } = {}): Promise<void> {
    for (const namespace of [this.client, this.server]) {
      if (options.complaints !== true) expect(await complaints(namespace), 'the kernel').to.deep.equal({});
    }
    this.subscription.unsubscribe();
    for (const device of [this.left, this.right]) await device.close();
    expect(this.timers.pending, 'timers').to.equal(0);
    expect(this.env.pool.outstanding, 'frames').to.equal(0);
    expect(this.env.drops.toJSON()['callback-threw'], 'exceptions').to.equal(undefined);
  }
}

function openSide(namespace: Namespace, network: number, options: TunOptions, env: Env): Device {
  const six = (options.mtu ?? 1500) >= 1280;
  const device = namespace.openTap(
    {
      ...options,
      name: 'tap0',
      mac: `02:77:00:00:00:0${network}`,
      peer: [`10.${network}.0.2/24`, ...(six ? [`fd0${network}::2/64`] : [])],
    },
    env,
  );
  namespace.ip('route', 'add', 'default', 'via', `10.${network}.0.1`);
  if (six) namespace.ip('route', 'add', 'default', 'via', `fd0${network}::1`);
  return device;
}

/**
 * A web server: `GET /N` sends N bytes, whose sha256 is in the header `X-Sha256`; what is put is answered by its sha256. It serves both versions on
 * port 8000.
 */
const WEB_SERVER = `
import hashlib, http.server, random, socket
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def answer(self, body, headers={}):
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        for name, value in headers.items(): self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        body = random.Random(1).randbytes(int(self.path[1:]))
        self.answer(body, {'X-Sha256': hashlib.sha256(body).hexdigest()})
    def do_PUT(self):
        left, digest = int(self.headers['Content-Length']), hashlib.sha256()
        while left > 0:
            data = self.rfile.read(min(left, 1 << 20))
            if not data: break
            digest.update(data)
            left -= len(data)
        self.answer(digest.hexdigest().encode())
    def log_message(self, *args): pass
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True
server = Server(('::', 8000), Handler)
print('ready', flush=True)
server.serve_forever()
`;

/** Starts the web server of a namespace. */
export async function webServer(namespace: Namespace): Promise<void> {
  const child = namespace.start('python3', ['-c', WEB_SERVER]);
  if (child.stdout !== null) await once(child.stdout, 'data');
}

/** Fetches so many bytes and puts as many; asserts that they came as they were sent. */
export async function transferBothWays(client: Namespace, server: string, bytes: number): Promise<void> {
  const url = server.includes(':') ? `http://[${server}]:8000` : `http://${server}:8000`;
  const fetched = await client.sh(
    `curl -sS --fail --max-time 30 -D /dev/stderr ${url}/${bytes} 2> >(grep -i x-sha256 >&2) | sha256sum; sleep 0.1`,
    { timeout: 35_000 },
  );
  const said = /x-sha256: ([0-9a-f]{64})/i.exec(fetched.stderr)?.[1];
  expect(fetched.stdout.slice(0, 64), `fetched: ${fetched.stderr}`).to.equal(said);
  const put = await client.sh(
    `set -o pipefail; head -c ${bytes} /dev/zero | openssl enc -aes-128-ctr -K ${'0'.repeat(32)} -iv ${'1'.repeat(32)} 2>/dev/null > /tmp/put.$$ && ` +
      `sha256sum < /tmp/put.$$ && curl -sS --fail --max-time 30 -H 'Expect:' -T /tmp/put.$$ ${url}/put; rm -f /tmp/put.$$`,
    { timeout: 35_000 },
  );
  const [own = '', theirs = ''] = put.stdout.split(/\s*-?\n/);
  expect(theirs, `put: ${put.stderr}`).to.match(/^[0-9a-f]{64}$/);
  expect(theirs).to.equal(own.slice(0, 64));
}
