import { expect } from 'chai';
import * as fc from 'fast-check';
import { Subject } from 'rxjs';
import { UNDER_WAY } from '../../../lib/core/frame.js';
import type { NatRule } from '../../../lib/l4/nat/rules.js';
import { nat, type NatPacket } from '../../../operators/l3/nat.js';
import { fakeDevice, virtualEnv } from '../../lib/l2/fake-device.js';
import { plainFrame, type PlainPacket } from '../../lib/wire/plain-packets.js';
import { endsOf, RST, SYN } from './nat-rig.js';

const RULES: readonly NatRule[] = [
  { kind: 'static', internal: '10.8.0.0/24', external: '198.51.100.0/24' },
  { kind: 'source', from: '10.0.0.0/8', out: 'wan', to: '203.0.113.1', ports: '2000-2003' },
  { kind: 'source', from: 'fd00::/8', out: 'wan', to: '2001:db8::1', filter: 'endpoint-independent' },
  { kind: 'forward', protocol: ['tcp', 'udp'], address: '203.0.113.1', ports: '80-81', to: '10.0.0.80' },
];

const ends = fc
  .tuple(
    fc.constantFrom('10.0.0.5', '10.8.0.7', '203.0.113.1', '198.51.100.7', '192.0.2.9'),
    fc.constantFrom('[fd00::5]', '[2001:db8::1]', '[2001:db8:9::9]'),
    fc.constantFrom('10.0.0.80', '10.8.0.8', '203.0.113.1', '198.51.100.8', '192.0.2.8'),
    fc.constantFrom('[fd00::6]', '[2001:db8::1]', '[2001:db8:9::8]'),
    fc.boolean(),
    fc.constantFrom(0, 80, 81, 2000, 2001),
    fc.constantFrom(0, 80, 81, 2000, 2002),
  )
  .map(([a4, a6, b4, b6, six, from, to]) => endsOf(`${six ? a6 : a4}:${from}`, `${six ? b6 : b4}:${to}`));

const packet: fc.Arbitrary<PlainPacket> = fc.record({
  protocol: fc.constantFrom('tcp', 'udp', 'icmp', 'dccp'),
  body: fc.uint8Array({ maxLength: 40 }),
  checksum: fc.constant('full' as const),
  options: fc.constantFrom(0, 8),
  flags: fc.oneof(fc.constantFrom(SYN, RST), fc.nat(0x3f)),
});

/** Packets, errors that quote packets, both with some bytes wrong, cut short; and rubbish. */
const bytes: fc.Arbitrary<Uint8Array> = fc
  .tuple(packet, ends, ends, fc.boolean(), fc.array(fc.tuple(fc.nat(120), fc.nat(255)), { maxLength: 3 }), fc.nat(120))
  .map(([one, of, about, quotes, spoils, cut]) => {
    const quoted = plainFrame(one, about).bytes();
    const error: PlainPacket = { protocol: 'icmp-error', body: quoted.slice(0, 60), checksum: 'full', options: 0 };
    const made = quotes ? plainFrame(error, of).bytes().slice() : plainFrame(one, of).bytes().slice();
    for (const [at, value] of spoils) if (at < made.length) made[at] = value;
    return cut < 20 ? made.slice(0, cut) : made;
  });

describe('nat, of anything', () => {
  it('passes every packet on or drops it, whatever its bytes, and keeps its length', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(bytes, fc.boolean()), { minLength: 1, maxLength: 30 }), (all) => {
        const env = virtualEnv();
        const [lan, wan] = [fakeDevice(env, { name: 'lan' }), fakeDevice(env, { name: 'wan' })];
        const translator = nat(RULES, { capacity: 8, perHost: 4 }, env);
        const input = new Subject<NatPacket>();
        let passed = 0;
        const running = input.pipe(translator.prerouting, translator.postrouting).subscribe(() => passed++);
        running.add(translator.replies$.subscribe((reply) => reply.release()));
        for (const [data, out] of all) {
          const frame = env.pool.alloc(data.length);
          frame.slab.bytes.set(data, frame.put(data.length));
          frame.network = frame.start;
          [frame.device, frame.output] = out ? [lan, wan] : [wan, lan];
          const before = passed;
          input.next(frame);
          expect(frame.length).to.equal(data.length);
          expect(passed - before).to.equal(frame.fate === UNDER_WAY ? 1 : 0);
          frame.release();
        }
        const { mappings, sessions } = translator.stats();
        expect(mappings).to.be.at.most(sessions);
        expect(sessions).to.be.at.most(8);
        env.scheduler.runFor(10_000_000);
        expect(translator.stats()).to.include({ mappings: 0, sessions: 0, hosts: 0 });
        running.unsubscribe();
        expect(env.scheduler.pending).to.equal(0);
        expect(env.pool.outstanding).to.equal(0);
      }),
      { numRuns: 500 },
    );
  });
});
