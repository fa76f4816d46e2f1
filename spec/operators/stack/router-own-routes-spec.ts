import { expect } from 'chai';
import { NEVER } from 'rxjs';
import { parseIp } from '../../../lib/core/address.js';
import type { Env } from '../../../lib/core/env.js';
import type { Frame } from '../../../lib/core/frame.js';
import type { RoutingRule } from '../../../lib/l3/routing-rules.js';
import { anyEndpoint } from '../../../lib/l4/udp.js';
import { Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../../lib/wire/ipv6.js';
import { PacketFields } from '../../../lib/wire/packet-fields.js';
import { layer } from '../../../operators/flow/layer.js';
import { ping } from '../../../operators/l7/ping.js';
import { type RoutedPacket, type Router, type RouterHooks, router } from '../../../operators/stack/router.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';
import { device } from '../../lib/l3/ways-of-flows.js';

const PLACES = {
  4: {
    left: '10.1.0.1',
    right: '10.2.0.1',
    via: ['10.1.0.9', '10.2.0.9'],
    all: '0.0.0.0/0',
    far: '192.0.2.',
    bits: 24,
    echo: 8,
    group: '239.1.2.3',
  },
  6: {
    left: 'fd01::1',
    right: 'fd02::1',
    via: ['fd01::9', 'fd02::9'],
    all: '::/0',
    far: '2001:db8::',
    bits: 64,
    echo: 128,
    group: 'ff05::1:3',
  },
} as const;

interface Options {
  readonly rules?: readonly RoutingRule[];
  /** Of the way out by the second device. */
  readonly table?: string;
  readonly hooks?: RouterHooks;
}

for (const version of [4, 6] as const) {
  const { left, right, via, all, far, bits, echo, group } = PLACES[version];

  /** Makes a router of two ways out, by its options and what it sends itself; returns by which devices that left, and from which addresses. */
  const running = (
    { rules = [], table = 'main', hooks = {} }: Options,
    act: (me: Router, env: Env, scheduler: SimulationScheduler) => void,
  ): { readonly devices: string[]; readonly sources: string[] } => {
    const scheduler = new SimulationScheduler();
    const env = environment({ scheduler, seed: 1 });
    const [first, second] = [device('first'), device('second')];
    const me = router(
      {
        interfaces: [
          { device: first, addresses: [`${left}/${bits}`] },
          { device: second, addresses: [`${right}/${bits}`] },
        ],
        multicast: { silent: true },
        routes: [
          { destination: all, gateway: via[0], device: first },
          { destination: all, gateway: via[1], device: second, table },
        ],
        rules,
        hooks,
      },
      env,
    );
    const devices: string[] = [];
    const sources: string[] = [];
    const subscription = NEVER.pipe(me).subscribe((frame) => {
      const fields = new PacketFields();
      const isOurs = fields.read(frame, frame.start) && (fields.icmpType === echo || fields.destinationPort === 9);
      if (isOurs && frame.device !== undefined) {
        devices.push(frame.device.name);
        sources.push(sourceOf(frame));
      }
      frame.release();
    });
    act(me, env, scheduler);
    subscription.unsubscribe();
    return { devices, sources };
  };

  const sourceOf = (frame: Frame): string =>
    (version === 4 ? new Ipv4Packet(frame, frame.start) : new Ipv6Packet(frame, frame.start)).sourceAddress.toString();

  /** Sends echo requests from these addresses. */
  const pinging =
    (sources: readonly (string | undefined)[]) =>
    (me: Router, env: Env, scheduler: SimulationScheduler): void => {
      for (const [i, source] of sources.entries()) {
        const options = { count: 1, ...(source === undefined ? {} : { source: parseIp(source) }) };
        ping(me.ping, `${far}${i + 1}`, options, env).subscribe({ error: () => {} });
        scheduler.runFor(10);
      }
    };

  /** By which devices a router's echo requests leave. */
  const leaving = (
    rules: readonly RoutingRule[],
    table: string,
    sources: readonly (string | undefined)[],
    hooks: RouterHooks = {},
  ): string[] => running({ rules, table, hooks }, pinging(sources)).devices;

  /** Hooks that write down by which devices packets are said to leave. */
  const watching = (outputs: string[]): RouterHooks => ({
    postrouting: layer<RoutedPacket, RoutedPacket>(() => (packet) => {
      outputs.push(packet.frame.output?.name ?? '-');
      return packet;
    }),
  });

  describe(`what a router sends itself by IPv${version}`, () => {
    it('goes by rules about its source, also if that is chosen by the route', () => {
      const rules = [{ priority: 10, from: `${right}/${bits}`, table: 'second' }];
      expect(leaving(rules, 'second', [left, right, undefined])).to.deep.equal(['first', 'second', 'first']);
    });

    it('goes by rules about what is sent from here', () => {
      const rules = [{ priority: 10, origin: 'local', table: 'second' }] as const;
      expect(leaving(rules, 'second', [undefined, left])).to.deep.equal(['second', 'second']);
    });

    it('shares equally good routes by the flow', () => {
      const sources = Array.from({ length: 24 }, () => left);
      const chosen = leaving([], 'main', sources);
      expect(chosen).to.have.length(24);
      expect(new Set(chosen)).to.deep.equal(new Set(['first', 'second']));
    });

    it('is said in postrouting to leave by the device that rules choose', () => {
      const rules = [{ priority: 10, from: `${right}/${bits}`, table: 'second' }];
      const outputs: string[] = [];
      expect(leaving(rules, 'second', [left, right, undefined], watching(outputs))).to.deep.equal(outputs);
      expect(outputs).to.deep.equal(['first', 'second', 'first']);
    });

    it('is said in postrouting to leave by the device that its flow has', () => {
      const outputs: string[] = [];
      const sources = Array.from({ length: 24 }, () => left);
      expect(leaving([], 'main', sources, watching(outputs))).to.deep.equal(outputs);
      expect(new Set(outputs)).to.deep.equal(new Set(['first', 'second']));
    });

    it('goes by the mark that it got in output', () => {
      const rules = [{ priority: 10, mark: 7, table: 'second' }];
      const outputs: string[] = [];
      const output = layer<RoutedPacket, RoutedPacket>(() => (packet) => {
        packet.frame.mark = 7;
        return packet;
      });
      expect(leaving(rules, 'second', [left], { ...watching(outputs), output })).to.deep.equal(['second']);
      expect(outputs).to.deep.equal(['second']);
    });

    it('keeps the device that it was translated for, though it then is from elsewhere', () => {
      const postrouting = layer<RoutedPacket, RoutedPacket>(() => (packet) => {
        const { frame, offset } = packet;
        if (frame.output?.name === 'second') parseIp(right).write(frame.slab.view, offset + (version === 4 ? 12 : 8));
        return packet;
      });
      const from = Array.from({ length: 24 }, () => left);
      const { devices, sources } = running({ hooks: { postrouting } }, pinging(from));
      expect(new Set(devices)).to.deep.equal(new Set(['first', 'second']));
      expect(sources).to.deep.equal(devices.map((name) => (name === 'first' ? left : right)));
    });

    it('is said in postrouting to leave by the device that a socket chose for a group', () => {
      const outputs: string[] = [];
      const { devices } = running({ hooks: watching(outputs) }, (me) => {
        const socket = me.udp.bind(anyEndpoint(version, 0), { message: () => {}, error: () => {} });
        for (const address of [left, right]) {
          socket.groups.sendBy(parseIp(address));
          socket.send(new Uint8Array(1), { address: parseIp(group), port: 9 });
        }
      });
      expect(devices).to.deep.equal(['first', 'second']);
      expect(outputs).to.deep.equal(devices);
    });
  });
}
