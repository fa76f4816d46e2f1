import { expect } from 'chai';
import { MacAddress } from '../../../lib/core/address.js';
import { SeededRandom } from '../../../lib/core/random.js';
import { Dhcpv4Server, type Dhcpv4ServerOptions } from '../../../lib/l7/dhcpv4-server.js';
import { type DhcpMessage, dhcpMessage, DhcpType } from '../../../lib/wire/dhcpv4.js';
import type { DhcpOptions } from '../../../lib/wire/dhcpv4-options.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';
import { FakePort, ip, type Said } from './dhcpv4-bench.js';

const HOUR = 3_600_000;
const NOBODY = ip('0.0.0.0');
const mac = (number: number) => new MacAddress(0x0200_0000_0000 + number);

/** A server and its clients, each known by a number. */
class Bench {
  readonly scheduler = new SimulationScheduler();
  readonly port = new FakePort(this.scheduler);
  readonly events: string[] = [];
  readonly server: Dhcpv4Server;

  constructor(options: Partial<Dhcpv4ServerOptions> = {}) {
    this.server = new Dhcpv4Server(
      {
        port: this.port,
        address: '10.0.0.1/24',
        pool: ['10.0.0.10', '10.0.0.12'],
        options: { routers: [ip('10.0.0.1')], dnsServers: [ip('10.0.0.53')], mtu: 1400 },
        changed: ({ address }, event) => this.events.push(`${event} ${address.toString()}`),
        ...options,
      },
      environment({ scheduler: this.scheduler, random: new SeededRandom(1) }),
    );
  }

  /** What the server answers to a client. */
  ask(
    client: number,
    type: number,
    options: DhcpOptions = {},
    fields: Partial<DhcpMessage> = {},
    from = NOBODY,
  ): Said[] {
    const all = { messageType: type, ...options };
    this.port.received?.(dhcpMessage({ request: true, xid: client, mac: mac(client), ...fields, options: all }), from);
    return this.port.said.splice(0);
  }

  one(...asked: Parameters<Bench['ask']>): Said {
    const said = this.ask(...asked);
    const [first] = said;
    if (first === undefined || said.length !== 1) throw new Error(`${said.length} answers`);
    return first;
  }

  /** Discover and request; the address that came of it. */
  lease(client: number, options: DhcpOptions = {}): string {
    const offer = this.one(client, DhcpType.Discover, options);
    const requestedAddress = offer.message.yiaddr;
    const ack = this.one(client, DhcpType.Request, { ...options, requestedAddress, serverId: ip('10.0.0.1') });
    expect(ack.type).to.equal('ack');
    return ack.message.yiaddr.toString();
  }
}

describe('Dhcpv4Server (2131-3)', () => {
  it('offers and grants, with the options that the client asks for', () => {
    const bench = new Bench();
    const offer = bench.one(7, DhcpType.Discover, { parameterList: [1, 6, 26] }, { secs: 3 });
    expect(offer.type).to.equal('offer');
    expect(offer.message).to.include({ request: false, xid: 7 });
    expect(offer.message.yiaddr.toString()).to.equal('10.0.0.10');
    expect(offer.message.options.serverId?.toString()).to.equal('10.0.0.1');
    expect(offer.message.options).to.deep.include({
      leaseTime: 3600,
      renewalTime: 1800,
      rebindingTime: 3150,
      mtu: 1400,
    });
    expect(offer.message.options.subnetMask?.toString()).to.equal('255.255.255.0');
    expect(offer.message.options.routers, 'it was not asked for').to.equal(undefined);
    expect(bench.server.pool.bindings()).to.deep.equal([]);
    const selecting = { requestedAddress: ip('10.0.0.10'), serverId: ip('10.0.0.1'), hostName: 'guest' };
    const ack = bench.one(7, DhcpType.Request, selecting);
    expect(ack.type).to.equal('ack');
    expect(ack.message.options.routers?.join()).to.equal('10.0.0.1');
    expect(bench.events).to.deep.equal(['bound 10.0.0.10']);
    const [binding] = bench.server.pool.bindings();
    expect(binding).to.include({ state: 'bound', expiresAt: HOUR });
    expect(binding?.mac.equals(mac(7))).to.equal(true);
  });

  it('answers to where the client can hear it (RFC 2131 4.1)', () => {
    const bench = new Bench();
    const discover = (fields: Partial<DhcpMessage>) => bench.one(7, DhcpType.Discover, {}, fields).way;
    expect(discover({})).to.equal(`to 10.0.0.10 at ${mac(7).toString()}`);
    expect(discover({ broadcast: true })).to.equal('broadcast from 10.0.0.1');
    expect(discover({ giaddr: ip('10.0.0.2') })).to.equal('to 10.0.0.2 port 67');
    bench.lease(7);
    expect(bench.one(7, DhcpType.Request, {}, { ciaddr: ip('10.0.0.10') }).way).to.equal('to 10.0.0.10');
    // A refusal is for everybody to hear: the address is no good.
    const refused = bench.one(7, DhcpType.Request, { requestedAddress: ip('10.0.0.77') });
    expect([refused.type, refused.way]).to.deep.equal(['nak', 'broadcast from 10.0.0.1']);
    expect(refused.message.yiaddr.isUnspecified).to.equal(true);
    expect(bench.one(8, DhcpType.Request, {}, { ciaddr: ip('10.0.0.10') }).way).to.equal('broadcast from 10.0.0.1');
    const relayed = bench.one(8, DhcpType.Request, {}, { ciaddr: ip('10.0.0.10'), giaddr: ip('10.0.0.2') });
    expect(relayed.way).to.equal('to 10.0.0.2 port 67');
    expect(relayed.message.broadcast, 'the relay must broadcast it').to.equal(true);
    expect(
      bench.ask(7, DhcpType.Discover, {}, { giaddr: ip('10.9.0.2') }),
      'a relay of another network',
    ).to.have.length(0);
  });

  it('keeps little of a client, whatever it says that it is called', () => {
    const bench = new Bench();
    const clientId = (length: number) => ({ clientId: new Uint8Array(length).fill(200) });
    expect(bench.ask(1, DhcpType.Discover, clientId(256))).to.deep.equal([]);
    expect(bench.lease(1, clientId(255))).to.equal('10.0.0.10');
    bench.lease(2, { hostName: 'x'.repeat(256) });
    bench.lease(3, { hostName: 'x'.repeat(255) });
    expect(bench.server.pool.bindings().map(({ hostName }) => hostName?.length)).to.deep.equal([
      undefined,
      undefined,
      255,
    ]);
  });

  it('gives each client one address, the same again, its reservation, its wish', () => {
    const bench = new Bench({ reservations: { [mac(3).toString()]: '10.0.0.200' } });
    expect(bench.lease(1)).to.equal('10.0.0.10');
    expect(bench.lease(2, { requestedAddress: ip('10.0.0.12') })).to.equal('10.0.0.12');
    expect(bench.lease(1)).to.equal('10.0.0.10');
    expect(bench.lease(3)).to.equal('10.0.0.200');
    expect(bench.lease(4)).to.equal('10.0.0.11');
    expect(bench.ask(5, DhcpType.Discover), 'the pool is empty').to.have.length(0);
    // Who names itself is known by that, whatever its MAC address.
    expect(bench.ask(6, DhcpType.Discover, { clientId: Uint8Array.of(1, 2) })).to.have.length(0);
    expect(bench.server.pool.bindings()).to.have.length(4);
  });

  it('gives an address to somebody else only when its time is over', () => {
    const bench = new Bench({ pool: ['10.0.0.10', '10.0.0.10'], leaseTime: 60 });
    bench.lease(1);
    bench.scheduler.runFor(59_999);
    expect(bench.ask(2, DhcpType.Discover)).to.have.length(0);
    bench.scheduler.runFor(1);
    expect(bench.lease(2)).to.equal('10.0.0.10');
    // The first one comes back, too late.
    expect(bench.one(1, DhcpType.Request, {}, { ciaddr: ip('10.0.0.10') }).type).to.equal('nak');
    expect(bench.ask(1, DhcpType.Discover)).to.have.length(0);
  });

  it('keeps an offer for a minute, and forgets it when the client takes another', () => {
    const bench = new Bench({ pool: ['10.0.0.10', '10.0.0.10'] });
    bench.one(1, DhcpType.Discover);
    expect(bench.ask(2, DhcpType.Discover)).to.have.length(0);
    expect(
      bench.ask(1, DhcpType.Request, { requestedAddress: ip('10.0.0.9'), serverId: ip('10.0.0.2') }),
    ).to.have.length(0);
    bench.one(2, DhcpType.Discover);
    bench.scheduler.runFor(60_000);
    bench.one(3, DhcpType.Discover);
  });

  it('renews, and refuses what it knows to be wrong', () => {
    const bench = new Bench();
    bench.lease(1);
    bench.scheduler.runFor(HOUR / 2);
    const renewed = bench.one(1, DhcpType.Request, {}, { ciaddr: ip('10.0.0.10') });
    expect([renewed.type, renewed.message.ciaddr.toString()]).to.deep.equal(['ack', '10.0.0.10']);
    expect(bench.server.pool.bindings()[0]?.expiresAt).to.equal(HOUR * 1.5);
    const type = (client: number, options: DhcpOptions, fields: Partial<DhcpMessage> = {}) =>
      bench.ask(client, DhcpType.Request, options, fields).map((said) => said.type);
    // INIT-REBOOT with another's address, from another network, with one that we forgot, and without any.
    expect(type(2, { requestedAddress: ip('10.0.0.10') })).to.deep.equal(['nak']);
    expect(type(2, { requestedAddress: ip('10.1.0.10') })).to.deep.equal(['nak']);
    expect(type(2, { requestedAddress: ip('10.0.0.11') })).to.deep.equal(['ack']);
    expect(type(3, { requestedAddress: ip('10.0.0.99') })).to.deep.equal(['nak']);
    expect(type(3, {})).to.deep.equal([]);
    // An offer that was never made.
    expect(type(4, { requestedAddress: ip('10.0.0.12'), serverId: ip('10.0.0.1') })).to.deep.equal(['nak']);
  });

  it('stays silent about what it does not know where it is not alone', () => {
    const bench = new Bench({ authoritative: false });
    expect(bench.ask(3, DhcpType.Request, { requestedAddress: ip('10.0.0.99') })).to.have.length(0);
  });

  it('takes addresses back, and keeps those that somebody else has out of use for a while', () => {
    const bench = new Bench({ pool: ['10.0.0.10', '10.0.0.10'] });
    const serverId = ip('10.0.0.1');
    const ours = ip('10.0.0.10');
    bench.lease(1);
    // Somebody else's name, another server, and not from the address.
    bench.ask(2, DhcpType.Release, { serverId }, { ciaddr: ours }, ours);
    bench.ask(1, DhcpType.Release, { serverId: ip('10.0.0.2') }, { ciaddr: ours }, ours);
    bench.ask(1, DhcpType.Release, { serverId }, { ciaddr: ours }, ip('10.0.0.66'));
    expect(bench.server.pool.bindings()).to.have.length(1);
    bench.ask(1, DhcpType.Release, { serverId }, { ciaddr: ours }, ours);
    expect(bench.server.pool.bindings()).to.have.length(0);
    expect(bench.lease(2)).to.equal('10.0.0.10');
    bench.ask(2, DhcpType.Decline, { serverId, requestedAddress: ours });
    expect(bench.events).to.deep.equal([
      'bound 10.0.0.10',
      'released 10.0.0.10',
      'bound 10.0.0.10',
      'declined 10.0.0.10',
    ]);
    expect(bench.ask(2, DhcpType.Discover)).to.have.length(0);
    expect(bench.ask(3, DhcpType.Discover)).to.have.length(0);
    bench.scheduler.runFor(600_000);
    expect(bench.lease(3)).to.equal('10.0.0.10');
  });

  it('keeps a declined address out of use while the client that declined it has another', () => {
    const bench = new Bench();
    const declined = { serverId: ip('10.0.0.1'), requestedAddress: ip('10.0.0.10') };
    bench.lease(1);
    bench.ask(1, DhcpType.Decline, declined);
    expect(bench.lease(1)).to.equal('10.0.0.11');
    expect(bench.lease(2, { requestedAddress: ip('10.0.0.10') })).to.equal('10.0.0.12');
    expect(bench.ask(3, DhcpType.Discover)).to.have.length(0);
    bench.scheduler.runFor(600_000);
    expect(bench.lease(3)).to.equal('10.0.0.10');
    // The first client still is known by its second address.
    expect(bench.lease(1)).to.equal('10.0.0.11');
  });

  it('keeps a reserved address of the pool for its client', () => {
    const bench = new Bench({ reservations: { [mac(3).toString()]: '10.0.0.10' } });
    expect(bench.lease(1)).to.equal('10.0.0.11');
    expect(bench.lease(2, { requestedAddress: ip('10.0.0.10') })).to.equal('10.0.0.12');
    expect(bench.ask(4, DhcpType.Discover)).to.have.length(0);
    expect(bench.one(4, DhcpType.Request, { requestedAddress: ip('10.0.0.10') }).type).to.equal('nak');
    expect(bench.lease(3)).to.equal('10.0.0.10');
  });

  it('informs who has an address of its own (RFC 2131 4.3.5)', () => {
    const bench = new Bench();
    const told = bench.one(1, DhcpType.Inform, {}, { ciaddr: ip('10.0.0.99') });
    expect([told.type, told.way]).to.deep.equal(['ack', 'to 10.0.0.99']);
    expect(told.message.options.leaseTime).to.equal(undefined);
    expect(told.message.options.routers?.join()).to.equal('10.0.0.1');
    expect(told.message.yiaddr.isUnspecified).to.equal(true);
    expect(bench.ask(1, DhcpType.Inform)).to.have.length(0);
  });

  it('gives leases for ever, and ignores answers of other servers', () => {
    const bench = new Bench({ leaseTime: Infinity });
    const { options } = bench.one(1, DhcpType.Discover).message;
    expect(options).to.include({ leaseTime: 0xffff_ffff });
    expect(options.renewalTime).to.equal(undefined);
    bench.lease(1);
    bench.scheduler.runFor(HOUR * 1e6);
    expect(bench.server.pool.bindings()).to.have.length(1);
    expect(bench.ask(1, DhcpType.Offer)).to.have.length(0);
    expect(bench.ask(1, DhcpType.Discover, {}, { request: false })).to.have.length(0);
  });

  it("never gives its own address, nor the network's, nor two clients the same, whatever they ask for", () => {
    const bench = new Bench({ address: '10.0.0.2/29', pool: ['10.0.0.0', '10.0.0.7'], options: {} });
    const random = new SeededRandom(5);
    const owners = new Map<string, number>();
    for (let step = 0; step < 500; step++) {
      const client = random.below(12);
      const requestedAddress = ip(`10.0.0.${random.below(9)}`);
      const [offer] = bench.ask(client, DhcpType.Discover, random.below(2) === 0 ? {} : { requestedAddress });
      const wanted = offer?.message.yiaddr ?? requestedAddress;
      const selecting = offer === undefined ? {} : { serverId: ip('10.0.0.2') };
      const [answer] = bench.ask(client, DhcpType.Request, { requestedAddress: wanted, ...selecting });
      if (answer?.type === 'ack') {
        const address = answer.message.yiaddr.toString();
        expect(address).not.to.be.oneOf(['10.0.0.0', '10.0.0.2', '10.0.0.7']);
        const [binding] = bench.server.pool.bindings().filter((one) => one.address.toString() === address);
        expect(binding?.mac.equals(mac(client))).to.equal(true);
        owners.set(address, client);
      }
      if (random.below(4) === 0) bench.scheduler.runFor(HOUR / 2);
      const held = bench.server.pool.bindings().map(({ mac: { value } }) => value);
      expect(new Set(held).size, 'one address a client').to.equal(held.length);
    }
    expect(owners.size).to.equal(5);
  });

  it('refuses settings that cannot work', () => {
    const make = (options: Partial<Dhcpv4ServerOptions>) => () => new Bench(options);
    expect(make({ address: 'fd00::1/64' })).to.throw('IPv4');
    expect(make({ pool: ['10.0.0.10', '10.0.1.10'] })).to.throw('network');
    expect(make({ pool: ['10.0.0.12', '10.0.0.10'] })).to.throw('network');
    expect(make({ leaseTime: 0 })).to.throw('leases');
    expect(make({ reservations: { [mac(1).toString()]: '10.3.0.1' } })).to.throw('network');
  });
});
