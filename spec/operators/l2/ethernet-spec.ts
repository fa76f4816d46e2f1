import { expect } from 'chai';
import type { OperatorFunction, Subscription } from 'rxjs';
import { type DropReason, dropReasonName } from '../../../lib/core/drops.js';
import { asTx, Frame, type RxFrame, type TxFrame } from '../../../lib/core/frame.js';
import { ipv4GroupMac } from '../../../lib/l2/ethernet-link.js';
import { EtherType, EthernetFrame, type LinkPacket } from '../../../lib/wire/ethernet.js';
import { ethernet, type EthernetOptions } from '../../../operators/l2/ethernet.js';
import { rawIp } from '../../../operators/l2/raw-ip.js';
import { tagVlan, vlan } from '../../../operators/l2/vlan.js';
import { of } from 'rxjs';
import { bytesOf, type FakeDevice, fakeDevice, type VirtualEnv, virtualEnv } from '../../lib/l2/fake-device.js';
import { BROADCAST_MAC, ip, mac, pattern, PEER, pushBytes, US } from '../l3/packets.js';

describe('l2', () => {
  let env: VirtualEnv;
  let device: FakeDevice;
  let running: Subscription | undefined;
  let got: { cast: number; etherType: number; payload: Uint8Array; link: number; rest: number }[];

  function run(operator: OperatorFunction<RxFrame, LinkPacket>): void {
    running?.unsubscribe();
    running = device.frames$.pipe(operator).subscribe(({ frame, etherType }) => {
      const { linkCast: cast, link, wholeEnd, end } = frame;
      got.push({
        cast,
        etherType,
        payload: Uint8Array.from(frame.bytes()),
        link: frame.start - link,
        rest: wholeEnd - end,
      });
      env.drops.deliver(frame);
    });
  }
  const runEthernet = (options: Partial<EthernetOptions> = {}) => run(ethernet({ mac: device.mac, ...options }, env));
  function receive(bytes: Uint8Array): string {
    const fate = device.receive(bytes);
    return fate < 0 ? 'taken' : dropReasonName(fate as DropReason);
  }
  function frameOf(
    to: number,
    from: number = PEER.mac,
    type: number = EtherType.Ipv4,
    payload = pattern(50),
  ): Uint8Array {
    return bytesOf((frame) => {
      pushBytes(frame, payload);
      EthernetFrame.emit(frame, to, from, type);
    });
  }

  beforeEach(() => {
    env = virtualEnv();
    device = fakeDevice(env);
    got = [];
  });
  afterEach(() => {
    running?.unsubscribe();
    running = undefined;
    expect(env.pool.outstanding).to.equal(0);
  });

  describe('ethernet', () => {
    const group = ipv4GroupMac(ip('239.129.2.3'));
    it('lets through what is for us, and says how it was addressed', () => {
      const groups = new Set<number>();
      runEthernet({ multicast: groups });
      expect(receive(frameOf(US.mac))).to.equal('taken');
      expect(receive(frameOf(BROADCAST_MAC))).to.equal('taken');
      expect(receive(frameOf(group))).to.equal('ethernet-not-for-us');
      groups.add(group);
      expect(receive(frameOf(group))).to.equal('taken');
      expect(receive(frameOf(PEER.mac))).to.equal('ethernet-not-for-us');
      expect(got.map(({ cast }) => cast)).to.deep.equal([0, 2, 1]);
      expect(got[0]).to.include({ etherType: EtherType.Ipv4, link: 14, rest: 0 });
      expect(got[0]?.payload).to.deep.equal(pattern(50));
    });
    it('maps groups to their low 23 bits', () => {
      expect(group).to.equal(mac('01:00:5e:01:02:03'));
    });
    it('lets through everything if promiscuous, all groups if told', () => {
      runEthernet({ promiscuous: true });
      expect(receive(frameOf(PEER.mac))).to.equal('taken');
      expect(receive(frameOf(group))).to.equal('taken');
      runEthernet({ multicast: 'all' });
      expect(receive(frameOf(group))).to.equal('taken');
    });
    it('refuses group senders, and frames cut in the header', () => {
      runEthernet();
      expect(receive(frameOf(US.mac, BROADCAST_MAC))).to.equal('ethernet-bad-source');
      expect(receive(frameOf(US.mac, 0))).to.equal('ethernet-bad-source');
      for (let length = 0; length < 14; length++) {
        expect(receive(frameOf(US.mac).slice(0, length))).to.equal('ethernet-truncated');
      }
      expect(receive(frameOf(US.mac).slice(0, 14))).to.equal('taken');
    });
    it('1122-L1: takes an 802.3 length at its word, and a SNAP header off', () => {
      runEthernet();
      const snap = Uint8Array.from([0xaa, 0xaa, 3, 0, 0, 0, 8, 0, 1, 2, 3, 0, 0, 0, 0]);
      receive(frameOf(US.mac, PEER.mac, 11, snap));
      expect(got[0]).to.include({ etherType: EtherType.Ipv4, link: 22, rest: 4 });
      expect(got[0]?.payload).to.deep.equal(Uint8Array.of(1, 2, 3));
      expect(receive(frameOf(US.mac, PEER.mac, 51))).to.equal('ethernet-truncated');
    });
  });

  describe('rawIp', () => {
    it('goes by the version', () => {
      run(rawIp(env));
      expect(receive(Uint8Array.of(0x45, 0))).to.equal('taken');
      expect(receive(Uint8Array.of(0x60, 0))).to.equal('taken');
      expect(receive(Uint8Array.of(0x50, 0))).to.equal('ip-unknown-version');
      expect(receive(new Uint8Array(0))).to.equal('ip-unknown-version');
      expect(got.map(({ etherType }) => etherType)).to.deep.equal([EtherType.Ipv4, EtherType.Ipv6]);
    });
  });

  describe('vlan', () => {
    /** A frame tagged by `tagVlan`. */
    function tagged(...vids: number[]): Uint8Array {
      let bytes = new Uint8Array();
      of<TxFrame>(asTx(Frame.from(frameOf(US.mac))))
        .pipe(tagVlan(vids.map((vid) => ({ vid }))))
        .subscribe((frame) => (bytes = Uint8Array.from(frame.bytes())));
      return bytes;
    }
    const runVlan = (...ids: number[]) =>
      run((source) => source.pipe(ethernet({ mac: device.mac }, env), vlan(ids, env)));

    it('802.1Q-1: takes the tag of its VLAN off', () => {
      runVlan(7);
      expect(receive(tagged(7))).to.equal('taken');
      expect(got[0]).to.include({ etherType: EtherType.Ipv4, link: 18 });
      expect(got[0]?.payload).to.deep.equal(pattern(50));
      expect(receive(tagged(8))).to.equal('vlan-unknown');
      expect(receive(frameOf(US.mac))).to.equal('vlan-unknown');
    });
    it('802.1Q-1: reads two tags, the outer one first', () => {
      const bytes = tagged(100, 7);
      expect([bytes[12], bytes[13], bytes[16], bytes[17]]).to.deep.equal([0x88, 0xa8, 0x81, 0x00]);
      runVlan(100, 7);
      expect(receive(bytes)).to.equal('taken');
      expect(receive(tagged(7, 100))).to.equal('vlan-unknown');
      expect(receive(tagged(100))).to.equal('vlan-unknown');
    });
    it('refuses tags that end early', () => {
      runVlan(7);
      for (let length = 14; length < 18; length++)
        expect(receive(tagged(7).slice(0, length))).to.equal('vlan-truncated');
    });
  });
});
