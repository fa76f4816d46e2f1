import { expect } from 'chai';
import { NEVER } from 'rxjs';
import { parseIp } from '../../../lib/core/address.js';
import type { RoutingRule } from '../../../lib/l3/routing-rules.js';
import { PacketFields } from '../../../lib/wire/packet-fields.js';
import { ping } from '../../../operators/l7/ping.js';
import { router } from '../../../operators/stack/router.js';
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
  },
  6: {
    left: 'fd01::1',
    right: 'fd02::1',
    via: ['fd01::9', 'fd02::9'],
    all: '::/0',
    far: '2001:db8::',
    bits: 64,
    echo: 128,
  },
} as const;

for (const version of [4, 6] as const) {
  const { left, right, via, all, far, bits, echo } = PLACES[version];

  /** By which devices a router's echo requests leave. */
  const leaving = (
    rules: readonly RoutingRule[],
    table: string,
    sources: readonly (string | undefined)[],
  ): string[] => {
    const scheduler = new SimulationScheduler();
    const env = environment({ scheduler, seed: 1 });
    const [first, second] = [device('first'), device('second')];
    const me = router(
      {
        interfaces: [
          { device: first, addresses: [`${left}/${bits}`] },
          { device: second, addresses: [`${right}/${bits}`] },
        ],
        routes: [
          { destination: all, gateway: via[0], device: first },
          { destination: all, gateway: via[1], device: second, table },
        ],
        rules,
      },
      env,
    );
    const chosen: string[] = [];
    const running = NEVER.pipe(me).subscribe((frame) => {
      const fields = new PacketFields();
      const isEcho = fields.read(frame, frame.start) && fields.icmpType === echo;
      if (isEcho && frame.device !== undefined) chosen.push(frame.device.name);
      frame.release();
    });
    for (const [i, source] of sources.entries()) {
      const options = { count: 1, ...(source === undefined ? {} : { source: parseIp(source) }) };
      ping(me.ping, `${far}${i + 1}`, options, env).subscribe({ error: () => {} });
      scheduler.runFor(10);
    }
    running.unsubscribe();
    return chosen;
  };

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
  });
}
