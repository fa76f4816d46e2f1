import { expect } from 'chai';
import { map, type Subscription } from 'rxjs';
import { type DropReason, dropReasonName } from '../../../lib/core/drops.js';
import { Cast } from '../../../lib/core/frame.js';
import { IpTables } from '../../../lib/l3/ip-tables.js';
import { Ipv4Address } from '../../../lib/core/address.js';
import { EtherType } from '../../../lib/wire/ethernet.js';
import { refreshIpv4Checksum } from '../../../lib/wire/ipv4.js';
import { ipv4 } from '../../../operators/l3/ipv4.js';
import { type FakeDevice, fakeDevice, type VirtualEnv, virtualEnv } from '../../lib/l2/fake-device.js';
import { ip, ipPacket, pattern, US } from './packets.js';

describe('ipv4', () => {
  let env: VirtualEnv;
  let device: FakeDevice;
  let tables: IpTables;
  let running: Subscription;
  let got: string[];

  function run(linkCast: Cast = Cast.Unicast, loopback = false): void {
    running?.unsubscribe();
    running = device.frames$
      .pipe(
        map((frame) => {
          frame.linkCast = linkCast;
          return { frame, etherType: EtherType.Ipv4 };
        }),
        ipv4({ addresses: tables.addresses, loopback }, env),
      )
      .subscribe(({ frame, offset }) => {
        expect(frame.network).to.equal(offset);
        got.push(`${frame.ipCast} ${frame.start - offset} ${frame.length} ${frame.wholeEnd - frame.end}`);
        env.drops.deliver(frame);
      });
  }
  function receive(bytes: Uint8Array): string {
    const fate = device.receive(bytes);
    return fate < 0 ? 'taken' : dropReasonName(fate as DropReason);
  }
  const from = (source: string) => receive(ipPacket({ source: ip(source) }, pattern(8)));
  const to = (destination: string) => receive(ipPacket({ destination: ip(destination) }, pattern(8)));
  function broken(at: number, value: number, seal = true): Uint8Array {
    const bytes = ipPacket({}, pattern(8));
    bytes[at] = value;
    if (seal) refreshIpv4Checksum(new DataView(bytes.buffer), 0);
    return bytes;
  }

  beforeEach(() => {
    env = virtualEnv();
    device = fakeDevice(env, { medium: 'ip' });
    tables = new IpTables(env);
    tables.addAddress(device, '10.0.0.1/24');
    got = [];
    run();
  });
  afterEach(() => {
    running.unsubscribe();
    expect(env.pool.outstanding).to.equal(0);
  });

  it('narrows the frame to the payload, without options and padding', () => {
    const options = [{ type: 148, data: Uint8Array.of(0, 0) }];
    receive(Uint8Array.from([...ipPacket({ options }, pattern(8)), 1, 2, 3]));
    expect(got).to.deep.equal(['0 24 8 3']);
  });
  it('1122-I1, 1812-1: refuses a wrong version, length or checksum', () => {
    expect(receive(broken(0, 0x55))).to.equal('ipv4-bad-header');
    expect(receive(broken(0, 0x44))).to.equal('ipv4-bad-header');
    expect(receive(broken(3, 19))).to.equal('ipv4-truncated');
    expect(receive(broken(3, 29))).to.equal('ipv4-truncated');
    expect(receive(broken(8, 63, false))).to.equal('ipv4-bad-checksum');
    const whole = ipPacket({}, pattern(8));
    for (let length = 0; length < whole.length; length++) {
      expect(receive(whole.slice(0, length))).to.equal('ipv4-truncated');
    }
  });
  it('1122-I5: refuses options that end early', () => {
    const options = [{ type: 148, data: Uint8Array.of(0, 0) }];
    const bytes = ipPacket({ options }, pattern(8));
    bytes[21] = 9;
    refreshIpv4Checksum(new DataView(bytes.buffer), 0);
    expect(receive(bytes)).to.equal('ipv4-bad-options');
  });
  it('1122-I2: accepts our addresses, broadcasts and joined groups, and nothing else', () => {
    tables.addresses.join(Ipv4Address.parse('224.1.2.3'));
    expect(['10.0.0.1', '255.255.255.255', '10.0.0.255', '224.0.0.1', '224.1.2.3'].map(to)).to.deep.equal(
      Array.from({ length: 5 }, () => 'taken'),
    );
    expect(got.map((line) => line[0]).join('')).to.equal('02211');
    for (const other of ['10.0.0.2', '10.0.0.0', '224.1.2.4', '127.0.0.1', '0.0.0.0']) {
      expect(to(other)).to.equal('ipv4-not-for-us');
    }
  });
  it('sees addresses come and go', () => {
    tables.addAddress(device, '192.168.7.7/24');
    expect(to('192.168.7.7')).to.equal('taken');
    tables.removeAddress(device, '192.168.7.7');
    expect(to('192.168.7.7')).to.equal('ipv4-not-for-us');
    expect(to('192.168.7.255')).to.equal('ipv4-not-for-us');
  });
  it('1122-I3: refuses sources that no sender has', () => {
    for (const bad of ['0.0.0.1', '127.0.0.1', '224.0.0.1', '240.0.0.1', '255.255.255.255', '10.0.0.1', '10.0.0.255']) {
      expect(from(bad), bad).to.equal('ipv4-bad-source');
    }
    expect(from('10.0.0.2')).to.equal('taken');
  });
  it('takes the unspecified source in UDP broadcasts only: a host that asks DHCP', () => {
    const dhcp = { source: 0, destination: 0xffff_ffff, protocol: 17 };
    expect(receive(ipPacket(dhcp, pattern(8)))).to.equal('taken');
    expect(receive(ipPacket({ ...dhcp, protocol: 6 }, pattern(8)))).to.equal('ipv4-bad-source');
    expect(receive(ipPacket({ ...dhcp, destination: US.ip }, pattern(8)))).to.equal('ipv4-bad-source');
  });
  it('1122-L3: refuses a unicast packet in a link broadcast or multicast', () => {
    for (const cast of [Cast.Broadcast, Cast.Multicast]) {
      run(cast);
      expect(to('10.0.0.1')).to.equal('ipv4-unicast-in-broadcast');
      expect(to('255.255.255.255')).to.equal('taken');
    }
  });
  it('1122-I4: takes a packet whose TTL is 0 or 1', () => {
    expect(receive(ipPacket({ ttl: 0 }, pattern(8)))).to.equal('taken');
    expect(receive(ipPacket({ ttl: 1 }, pattern(8)))).to.equal('taken');
  });
  it('takes loopback and own addresses on the loopback only', () => {
    run(Cast.Unicast, true);
    expect(to('127.0.0.9')).to.equal('taken');
    expect(receive(ipPacket({ source: ip('127.0.0.1'), destination: ip('127.0.0.1') }, pattern(8)))).to.equal('taken');
    expect(receive(ipPacket({ source: US.ip }, pattern(8)))).to.equal('taken');
    expect(from('224.0.0.1')).to.equal('ipv4-bad-source');
  });
});
