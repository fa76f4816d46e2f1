/**
 * A VXLAN between us and the kernel's own device.
 *
 *     kernel 10.42.0.1 -- vxlan42 == UDP over TAP == vxlan42 -- us 10.42.0.2
 */

import { expect } from 'chai';
import { readFileSync } from 'node:fs';
import type { Subscription } from 'rxjs';
import { type RunningServices, startServices } from '../../cli/services.js';
import { type VxlanDevice, vxlanDevice, type VxlanDeviceOptions } from '../../drivers/vxlan.js';
import { readCapture } from '../../lib/capture/index.js';
import type { IpVersion } from '../../lib/core/address.js';
import { Frame } from '../../lib/core/frame.js';
import { anyEndpoint } from '../../lib/l4/udp.js';
import { IPERF_PORT } from '../../lib/l7/iperf3/messages.js';
import { IperfServer } from '../../lib/l7/iperf3/server.js';
import { describe as describePacket, type PacketDescription } from '../../lib/text/describe.js';
import { host, type Host } from '../../operators/stack/host.js';
import { Log } from '../lib/l7/iperf3/bench.js';
import { LIVE, LiveHost, type LiveOptions } from './live-host.js';
import { describeNetns, type Namespace } from './namespace.js';
import { Recording } from './recording.js';
import { digestOf, transfers } from './transfers.js';

const VNI = 42;
const OVER = { 4: '10.42.0.2', 6: 'fd42::2' } as const;
const OVER_AT = { 4: '10.42.0.2', 6: '[fd42::2]' } as const;
const LINK_MTU = 1500;

interface Options {
  readonly vxlan?: Partial<VxlanDeviceOptions>;
  /** Further words for the kernel's device. */
  readonly kernel?: readonly string[];
  readonly live?: LiveOptions;
}

/** Two hosts of ours, one on the other: the upper one's Ethernet is carried by the lower one's UDP. */
class LiveVxlan {
  readonly under: LiveHost;
  readonly device: VxlanDevice;
  readonly me: Host;
  private readonly subscription: Subscription;
  private readonly services: RunningServices;

  constructor(namespace: Namespace, version: IpVersion, { vxlan, kernel = [], live = {} }: Options = {}) {
    const { ours, theirs, options } = LIVE[version];
    this.under = new LiveHost(namespace, { ...options, ...live, services: [] });
    const { env } = this.under;
    const ends = ['local', theirs, 'remote', ours, 'dstport', '4789'];
    namespace.ip('link', 'add', 'vxlan42', 'type', 'vxlan', 'id', `${VNI}`, ...ends, 'dev', 'tap0', ...kernel);
    namespace.ip('addr', 'add', '10.42.0.1/24', 'dev', 'vxlan42');
    namespace.ip('addr', 'add', 'fd42::1/64', 'dev', 'vxlan42', 'nodad');
    namespace.ip('link', 'set', 'vxlan42', 'up');
    this.device = vxlanDevice(
      { vni: VNI, underlay: this.under.me, local: ours, peers: [theirs], mac: '02:42:00:00:00:02', ...vxlan },
      env,
    );
    this.me = host({ device: this.device, addresses: [`${OVER[4]}/24`, `${OVER[6]}/64`] }, env);
    this.subscription = this.device.frames$.pipe(this.me).subscribe(this.device.sink);
    this.services = startServices(['http'], { tcp: this.me.tcp, udp: this.me.udp }, () => this.me.stats());
  }

  async close(): Promise<void> {
    await this.services.close();
    this.subscription.unsubscribe();
    await this.device.close();
    await this.under.close({ complaints: true });
    expect(this.under.me.udp.tunnels.size).to.equal(0);
  }
}

/** What is looked at in the program's JSON. */
interface Report {
  readonly error?: string;
  readonly end: Readonly<Record<'sum' | 'sum_received', { readonly bits_per_second: number } | undefined>>;
}

/** Of tunnelled frames all values, outermost first. */
const FIELDS = ['eth.src', 'eth.dst', 'ip.src', 'ip.dst', 'ipv6.src', 'ipv6.dst', 'udp.dstport', 'vxlan.vni'] as const;

/** What tshark prints of {@link FIELDS}. */
function lineOf(outer: PacketDescription): string {
  const all = [outer, outer.inner].filter((one) => one !== undefined);
  const of = (layer: string, field: 'linkSrc' | 'linkDst' | 'src' | 'dst' | 'dport'): string =>
    all.flatMap((one) => (one.layers.includes(layer as never) ? [`${one[field]}`] : [])).join(',');
  const networks = ['ipv4', 'ipv6'].flatMap((layer) => [of(layer, 'src'), of(layer, 'dst')]);
  return [of('eth', 'linkSrc'), of('eth', 'linkDst'), ...networks, of('udp', 'dport'), `${outer.vni}`].join('\t');
}

for (const version of [4, 6] as const) {
  describeNetns(`VXLAN over IPv${version}, with the kernel's own device`, (netns) => {
    const ping = async (to: string, ...more: string[]): Promise<string> =>
      (await netns.namespace.run('ping', ['-c', '20', '-i', '0.1', '-W', '2', ...more, to])).stdout;

    it('carries pings of both versions, as long as the link takes and longer', async function () {
      this.timeout(60_000);
      const live = new LiveVxlan(netns.namespace, version);
      expect(live.device.mtu).to.equal(LINK_MTU - (version === 4 ? 50 : 70));
      for (const to of Object.values(OVER)) {
        expect(await ping(to)).to.match(/20 received, 0% packet loss/);
        expect(await ping(to, '-M', 'do', '-s', `${live.device.mtu - (to.includes(':') ? 48 : 28)}`)).to.contain(
          ' 0% packet loss',
        );
        expect(await ping(to, '-s', '8000')).to.match(/20 received, 0% packet loss/);
      }
      expect(live.device.stations.map(({ peer }) => peer.toString())).to.deep.equal([LIVE[version].theirs]);
      await live.close();
    });

    it('carries files whole, both ways, whatever TCP hands over at once', async function () {
      this.timeout(120_000);
      for (const offload of [true, false]) {
        const live = new LiveVxlan(netns.namespace, version, { live: { driver: { offload } } });
        for (const at of Object.values(OVER_AT)) {
          const { fetch, upload } = transfers(netns.namespace, 20_000, at);
          for (const length of [0, 1, 100_000, 20_000_000]) {
            expect(await fetch(length), `download of ${length}`).to.equal(await digestOf(length));
            expect(await upload(length), `upload of ${length}`).to.equal(await digestOf(length));
          }
        }
        await live.close();
      }
    });

    it('carries iperf3 both ways, over TCP and UDP', async function () {
      this.timeout(60_000);
      const live = new LiveVxlan(netns.namespace, version);
      const soon = (work: () => void): void => void setImmediate(work);
      const outside = { env: live.under.env, soon };
      const server = new IperfServer(live.me, outside, { local: anyEndpoint(6, IPERF_PORT), printer: () => new Log() });
      for (const to of Object.values(OVER)) {
        for (const args of [[], ['-R'], ['-u', '-b', '50M'], ['-u', '-b', '50M', '-R']]) {
          const run = ['-c', to, '-t', '1', '-J', ...args];
          const { stdout } = await netns.namespace.run('iperf3', run, { timeout: 20_000 });
          const { end, error } = JSON.parse(stdout) as Report;
          expect(error, `${to} ${args.join(' ')}`).to.equal(undefined);
          const { bits_per_second: rate } = end.sum_received ?? end.sum ?? { bits_per_second: 0 };
          expect(rate, `${to} ${args.join(' ')}`).to.be.above(1e6);
        }
      }
      server.close();
      await live.close();
    });

    it('is read by tshark as by us, whoever made the tunnel', async function () {
      this.timeout(60_000);
      const recording = new Recording();
      const live = new LiveVxlan(netns.namespace, version, { live: { recording, both: true } });
      await ping(OVER[4]);
      await ping(OVER[6], '-s', '3000');
      const { fetch } = transfers(netns.namespace, 20_000, OVER_AT[4]);
      expect(await fetch(100_000)).to.equal(await digestOf(100_000));
      await live.close();
      const lines = await recording.tshark('vxlan', '-T', 'fields', ...FIELDS.flatMap((field) => ['-e', field]));
      const ours = [...readCapture(readFileSync(recording.path))]
        .map(({ data }) => describePacket(Frame.from(data)))
        .filter(({ layers }) => layers.includes('vxlan'));
      expect(lines.length).to.be.above(100);
      expect(ours.map(lineOf)).to.deep.equal(lines);
      await recording.expectSound({ frames: 50 });
    });
  });
}
