import { expect } from 'chai';
import * as fc from 'fast-check';
import { type IpAddress, Ipv4Address, Ipv6Address } from '../../../../lib/core/address.js';
import type { Connection } from '../../../../lib/l4/tcp/connection.js';
import { ConnectionTable } from '../../../../lib/l4/tcp/demux.js';
import { pushIpHeader } from '../../../../lib/l3/ip-output.js';
import type { IpPacket } from '../../../../lib/wire/ip.js';
import { environment } from '../../../../operators/time/environment.js';
import { viewOf, VERSIONS } from './pair.js';

const LOCAL = { 4: new Ipv4Address(0x0a00_0001), 6: new Ipv6Address(0x2001_0db8, 0, 0, 1) } as const;
const PORTS = 12;
const HOSTS = 3;

/** What a client's address and port are said by, and which of two ports of ours it talks to. */
type Ends = readonly [host: number, port: number, local: number];
interface Act {
  readonly kind: 'insert' | 'remove' | 'find';
  readonly ends: Ends;
}

const ends = fc.tuple(fc.nat(HOSTS - 1), fc.nat(PORTS - 1), fc.nat(1));
const acts = fc.array(
  fc.record({ kind: fc.constantFrom('insert' as const, 'find' as const, 'find' as const, 'remove' as const), ends }),
  { minLength: 50, maxLength: 300 },
);

for (const version of VERSIONS) {
  /** Hosts and ports differ in the same bits, so that a hint made of both is that of several. */
  const remote = (host: number): IpAddress =>
    version === 4 ? new Ipv4Address(0x0a00_0100 + host) : new Ipv6Address(0x2001_0db8, 0, 0, 0x100 + host);
  const port = (number: number): number => 1024 + number;

  describe(`The table of connections over IPv${version}`, () => {
    const env = environment({ seed: 1 });

    function packetOf(host: number): IpPacket {
      const frame = env.pool.alloc(0);
      const rest = { protocol: 6, hopLimit: 64, trafficClass: 0, dontFragment: true };
      pushIpHeader(frame, { version, source: remote(host), destination: LOCAL[version], ...rest }, 0);
      const packet = viewOf(frame);
      if (packet === undefined) throw new Error('no packet');
      return packet;
    }

    const packets = Array.from({ length: HOSTS }, (_, host) => packetOf(host));

    function connectionOf([host, number, local]: Ends): Connection {
      const made = {
        local: { address: LOCAL[version], port: 80 + local },
        remote: { address: remote(host), port: port(number) },
      };
      return made as unknown as Connection;
    }

    it('asks some of them, whichever, until one says yes', () => {
      const table = new ConnectionTable(env.random);
      const all = Array.from({ length: PORTS }, (_, number) => connectionOf([0, number, 0]));
      for (const connection of all) table.insert(connection);
      const asked: Connection[] = [];
      const ask = (most: number, yes: Connection | undefined) => {
        asked.length = 0;
        return table.some(most, (connection) => asked.push(connection) > 0 && connection === yes);
      };
      expect([ask(PORTS, undefined), new Set(asked).size]).to.deep.equal([false, PORTS]);
      const [, second] = asked;
      expect([ask(PORTS, second), asked.length]).to.deep.equal([true, 2]);
      expect([ask(5, undefined), asked.length]).to.deep.equal([false, 5]);
    });

    function found(table: ConnectionTable, [host, number, local]: Ends): Connection | undefined {
      const packet = packets[host];
      return packet && table.find(packet, 80 + local, port(number));
    }

    function play(script: readonly Act[]): void {
      const table = new ConnectionTable(env.random);
      const known = new Map<string, Connection>();
      for (const { kind, ends: at } of script) {
        const key = at.join();
        const there = known.get(key);
        if (kind === 'insert' && there === undefined) {
          const connection = connectionOf(at);
          table.insert(connection);
          known.set(key, connection);
        } else if (kind === 'remove' && there !== undefined) {
          table.remove(there);
          known.delete(key);
        }
        expect(found(table, at)).to.equal(known.get(key));
        expect(table.size).to.equal(known.size);
      }
      for (const [key, connection] of known) {
        const [host = 0, number = 0, local = 0] = key.split(',').map(Number);
        expect(found(table, [host, number, local])).to.equal(connection);
        expect(table.get(connection.local.address, 80 + local, remote(host), port(number))).to.equal(connection);
      }
      expect([...table]).to.have.members([...known.values()]);
    }

    it('finds what is there and nothing else, whatever came, went and was asked for before', () => {
      fc.assert(fc.property(acts, play), { numRuns: 200 });
    });

    it('finds those whose hints are the same', () => {
      const table = new ConnectionTable(env.random);
      // The exclusive or of address and ports is one number for all of them.
      const all = [0, 1, 2].map((host): Ends => [host, host, 0]);
      const made = all.map((one) => connectionOf(one));
      for (const connection of made) table.insert(connection);
      for (let round = 0; round < 3; round++) {
        for (const [i, one] of all.entries()) expect(found(table, one)).to.equal(made[i]);
      }
    });
  });
}
