/** Servers that say whatever comes to their mind: clients bear it, make no storm of packets of it, and leave nothing behind. */

import { expect } from 'chai';
import { SeededRandom } from '../../../lib/core/random.js';
import { DhcpType } from '../../../lib/wire/dhcpv4.js';
import { Dhcpv6Type } from '../../../lib/wire/dhcpv6.js';
import type { Dhcpv6Option } from '../../../lib/wire/dhcpv6-options.js';
import { ClientBench, ip as ip4 } from './dhcpv4-bench.js';
import { ClientBench6, DUID, IAID, ip as ip6, status } from './dhcpv6-bench.js';

const SEEDS = 40;
const HOUR = 3_600_000;

describe('DHCP clients and hostile servers', () => {
  it('DHCPv4: two messages a second at most, and all is undone at the end', () => {
    const states = new Set<string>();
    for (let seed = 0; seed < SEEDS; seed++) {
      const random = new SeededRandom(seed);
      const any = <T>(...all: readonly T[]): T => all[random.below(all.length)] as T;
      const bench = new ClientBench({}, seed);
      bench.port.heard = (said) => {
        const times = any(0, 1, 5, 60, 0xffff_ffff);
        const type = any<number>(...Object.values(DhcpType));
        const options = {
          ...(random.below(4) === 0 ? {} : { leaseTime: any(0, 1, 3, 60, 600, 0xffff_ffff) }),
          ...(random.below(2) === 0 ? {} : { renewalTime: times, rebindingTime: any(0, 1, 7, 1000) }),
          ...(random.below(2) === 0 ? {} : { subnetMask: ip4(any('255.255.255.0', '255.0.255.0', '0.0.0.0')) }),
          ...(random.below(2) === 0 ? {} : { mtu: any(0, 68, 65_535), routers: [ip4(any('10.0.0.1', '0.0.0.0'))] }),
        };
        const yiaddr = ip4(any('10.0.0.5', '10.0.0.6', '0.0.0.0', '255.255.255.255', '127.0.0.1'));
        const answer = bench.env.timers.timer(() => bench.answer(said, type, options, { yiaddr }));
        answer.arm(bench.scheduler.now() + any(1, 10, 1000));
        if (random.below(3) === 0) bench.claims.free = random.below(2) === 0;
        if (random.below(5) === 0) bench.claims.conflict(ip4('10.0.0.5'), any('persistent', 'defended', 'probing'));
      };
      bench.client.start();
      for (let minute = 0; minute < 60; minute++) {
        bench.scheduler.runFor(HOUR / 60);
        states.add(bench.client.state);
        if (random.below(10) === 0) bench.client.linkChanged();
      }
      expect(bench.port.said.length, `seed ${seed}`).to.be.below(7200);
      bench.port.heard = () => undefined;
      bench.client.release();
      bench.client.dispose();
      bench.scheduler.runFor(1000);
      expect(bench.scheduler.pending, `seed ${seed}`).to.equal(0);
      const added = bench.interface.told.filter((line) => /^\+[\d.]+\/\d+$/.test(line));
      const removed = bench.interface.told.filter((line) => /^-[\d.]+$/.test(line));
      expect(added.length, `seed ${seed}`).to.equal(removed.length);
    }
    expect([...states]).to.include.members(['SELECTING', 'BOUND']);
  });

  it('DHCPv6: two messages a second at most, and all is undone at the end', () => {
    const states = new Set<string>();
    for (let seed = 0; seed < SEEDS; seed++) {
      const random = new SeededRandom(seed);
      const any = <T>(...all: readonly T[]): T => all[random.below(all.length)] as T;
      const bench = new ClientBench6({}, seed);
      const address = (): Dhcpv6Option => ({
        kind: 'ia-address',
        address: ip6(any('2001:db8::1', '2001:db8::2', '2001:db8::3', 'fe80::1', '::')),
        preferredLifetime: any(0, 1, 60, 0xffff_ffff),
        validLifetime: any(0, 1, 60, 600, 0xffff_ffff),
        options: random.below(4) === 0 ? [status(random.below(7))] : [],
      });
      const association = (): Dhcpv6Option => ({
        kind: 'ia-na',
        iaid: any(IAID, IAID, IAID, 1),
        t1: any(0, 1, 10, 0xffff_ffff),
        t2: any(0, 1, 10, 0xffff_ffff),
        options: [address(), address(), ...(random.below(3) === 0 ? [status(random.below(7))] : [])],
      });
      const option = (): Dhcpv6Option =>
        any<() => Dhcpv6Option>(
          () => association(),
          () => ({ kind: 'rapid-commit' }),
          () => status(random.below(7)),
          () => ({ kind: 'preference', value: any(0, 255) }),
          () => ({ kind: 'sol-max-rt', seconds: any(0, 60, 0xffff_ffff) }),
        )();
      bench.port.said.push = (...said) => {
        for (const { message, type } of said) {
          states.add(type);
          const options: Dhcpv6Option[] = [
            { kind: 'client-id', duid: DUID },
            { kind: 'server-id', duid: Uint8Array.of(0, 3, random.below(3)) },
            association(),
            ...Array.from({ length: random.below(3) }, option),
          ];
          const { transaction } = message;
          const kind = any(Dhcpv6Type.Reply, Dhcpv6Type.Reply, Dhcpv6Type.Advertise, Dhcpv6Type.Reconfigure);
          const answer = bench.env.timers.timer(() => bench.port.received?.({ type: kind, transaction, options }));
          answer.arm(bench.scheduler.now() + any(1, 10, 1000));
        }
        return Array.prototype.push.apply(bench.port.said, said);
      };
      bench.client.start();
      for (let minute = 0; minute < 60; minute++) {
        bench.scheduler.runFor(HOUR / 60);
        if (random.below(10) === 0) bench.client.linkChanged();
        if (random.below(5) === 0) bench.interface.taken.add(any('2001:db8::1', '2001:db8::2'));
        else bench.interface.taken.clear();
      }
      expect(bench.port.said.length, `seed ${seed}`).to.be.below(7200);
      bench.client.release();
      bench.scheduler.runFor(60_000);
      expect(bench.scheduler.pending, `seed ${seed}`).to.equal(0);
      const count = (start: string) => bench.interface.told.filter((line) => line.startsWith(start)).length;
      expect(count('?'), `seed ${seed}`).to.equal(count('-') + count('duplicate'));
    }
    expect([...states]).to.include.members(['solicit', 'request', 'renew', 'decline', 'confirm', 'release']);
  });
});
