import { expect } from 'chai';
import type { Subscription } from 'rxjs';
import { Ipv4Address } from '../../../lib/core/address.js';
import { dropReasonName, type DropReason } from '../../../lib/core/drops.js';
import { DELIVERED, Frame, UNDER_WAY } from '../../../lib/core/frame.js';
import type { AddressConflict } from '../../../lib/l2/arp-claims.js';
import { EthernetLink } from '../../../lib/l2/ethernet-link.js';
import { ARP_LENGTH, ArpOperation, ArpPacket } from '../../../lib/wire/arp.js';
import { ETHERNET_HEADER, EthernetFrame } from '../../../lib/wire/ethernet.js';
import { arp } from '../../../operators/l2/arp.js';
import { ethernet } from '../../../operators/l2/ethernet.js';
import { type FakeDevice, fakeDevice, type VirtualEnv, virtualEnv } from '../../lib/l2/fake-device.js';
import { arpFrame, arpReply, BROADCAST_MAC, ip, mac, PEER, US } from '../l3/packets.js';

const OTHER = { ip: ip('10.0.0.9'), mac: mac('02:00:00:00:00:09') };

describe('arp', () => {
  let env: VirtualEnv;
  let device: FakeDevice;
  let link: EthernetLink;
  let owned: Set<number>;
  let running: Subscription;

  /** Delivers a frame; its fate by name. */
  function receive(bytes: Uint8Array): string {
    const fate = device.receive(bytes);
    return fate === DELIVERED ? 'delivered' : fate === UNDER_WAY ? 'nothing' : dropReasonName(fate as DropReason);
  }
  /** The frames that were sent since the last call, as text. */
  function sent(): string[] {
    return device.sent.splice(0).map((bytes) => {
      const frame = Frame.from(bytes);
      const packet = new ArpPacket(frame, frame.start + ETHERNET_HEADER);
      expect(bytes.length).to.equal(60);
      expect([...bytes.subarray(ETHERNET_HEADER + ARP_LENGTH)].every((byte) => byte === 0)).to.equal(true);
      const text = (value: number) => new Ipv4Address(value).toString();
      const to = new EthernetFrame(frame, frame.start).destination === BROADCAST_MAC ? 'all' : 'one';
      return packet.operation === ArpOperation.Request
        ? `${to}: who has ${text(packet.targetIp)} tell ${text(packet.senderIp)}`
        : `${to}: ${text(packet.senderIp)} is at ${packet.senderMac.toString(16)} to ${text(packet.targetIp)}`;
    });
  }
  const peer = () => link.neighbours.get(new Ipv4Address(PEER.ip));
  function ask(): void {
    const packet = env.pool.alloc(28);
    packet.put(28);
    packet.slab.view.setUint8(packet.start, 0x45);
    link.send(packet as never, 0, 0, 0xffff, PEER.ip);
  }

  beforeEach(() => {
    env = virtualEnv();
    device = fakeDevice(env);
    owned = new Set([US.ip]);
    const addresses = { has: (address: number) => owned.has(address), sourceFor: () => US.ip };
    link = new EthernetLink({ device, addresses }, env);
    running = device.frames$
      .pipe(ethernet({ mac: device.mac, promiscuous: true }, env), arp(link))
      .subscribe(device.sink);
  });
  afterEach(() => {
    running.unsubscribe();
    link.dispose();
    expect(env.pool.outstanding).to.equal(0);
    expect(env.scheduler.pending).to.equal(0);
  });

  describe('requests', () => {
    it('826-1: answers for our address, and learns who asked', () => {
      expect(receive(arpFrame())).to.equal('delivered');
      expect(sent()).to.deep.equal(['one: 10.0.0.1 is at 20000000001 to 10.0.0.2']);
      expect(peer()).to.include({ mac: PEER.mac, state: 'stale' });
    });
    it('826-1: merges before it looks at the target, but creates nothing for others', () => {
      const forOther = (senderMac: number) => arpFrame({ targetIp: OTHER.ip, senderMac });
      expect(receive(forOther(PEER.mac))).to.equal('arp-not-for-us');
      expect(peer()).to.equal(undefined);
      receive(arpFrame());
      receive(forOther(OTHER.mac));
      expect(peer()?.mac).to.equal(OTHER.mac);
    });
    it('answers in the frame that asked if it may, in another if not; both leak no byte', () => {
      const tail = Uint8Array.from([...arpFrame(), ...new Uint8Array(18).fill(0xee)]);
      receive(tail);
      const keep = device.frames$.subscribe((frame) => (frame.shared = true));
      receive(tail);
      keep.unsubscribe();
      expect(sent()).to.have.length(2);
    });
    it('answers probes (`arping -D`), and does not learn from them', () => {
      receive(arpFrame({ senderIp: 0 }));
      expect(sent()).to.deep.equal(['one: 10.0.0.1 is at 20000000001 to 0.0.0.0']);
      expect(link.neighbours.size).to.equal(0);
    });
    it('1027: answers for published addresses, with our or another MAC address', () => {
      link.arp.publish(OTHER.ip);
      link.arp.publish(OTHER.ip + 1, OTHER.mac);
      receive(arpFrame({ targetIp: OTHER.ip }));
      receive(arpFrame({ targetIp: OTHER.ip + 1 }));
      link.arp.unpublish(OTHER.ip);
      expect(receive(arpFrame({ targetIp: OTHER.ip }))).to.equal('arp-not-for-us');
      expect(sent()).to.deep.equal([
        'one: 10.0.0.9 is at 20000000001 to 10.0.0.2',
        'one: 10.0.0.10 is at 20000000009 to 10.0.0.2',
      ]);
    });
    it('refuses senders that cannot be', () => {
      for (const bad of [
        { senderIp: ip('224.0.0.1') },
        { senderIp: 0xffff_ffff },
        { senderIp: ip('127.0.0.1') },
        { senderMac: BROADCAST_MAC },
        { senderMac: 0 },
        { senderMac: US.mac },
      ]) {
        expect(receive(arpFrame(bad, { from: OTHER.mac }))).to.equal('arp-bad-sender');
      }
      expect(link.neighbours.size).to.equal(0);
    });
    it('826-2: refuses other hardware, protocols and lengths, and frames cut anywhere', () => {
      for (const at of [14, 16, 18, 19, 20]) {
        const bytes = arpFrame();
        bytes[at] = 9;
        expect(receive(bytes)).to.equal('arp-unsupported');
      }
      for (let length = ETHERNET_HEADER; length < ETHERNET_HEADER + ARP_LENGTH; length++) {
        expect(receive(arpFrame().slice(0, length))).to.equal('arp-truncated');
      }
    });
  });

  describe('replies', () => {
    it('complete what we asked for', () => {
      ask();
      expect(sent()).to.deep.equal(['all: who has 10.0.0.2 tell 10.0.0.1']);
      expect(receive(arpReply())).to.equal('delivered');
      expect(peer()).to.include({ mac: PEER.mac, state: 'reachable' });
      expect(device.sent.splice(0)).to.have.length(1);
    });
    it('arp-sec: create nothing if nobody asked', () => {
      expect(receive(arpReply())).to.equal('arp-unsolicited');
      expect(link.neighbours.size).to.equal(0);
    });
    it('prove nothing about reachability if they are for another host', () => {
      receive(arpFrame());
      receive(arpReply({ targetMac: OTHER.mac, targetIp: OTHER.ip }, { to: OTHER.mac }));
      expect(peer()?.state).to.equal('stale');
    });
    it('826-3: a unicast poll verifies an old entry', () => {
      receive(arpFrame());
      ask();
      device.sent.length = 0;
      env.scheduler.runFor(5_000);
      expect(sent()).to.deep.equal(['one: who has 10.0.0.2 tell 10.0.0.1']);
      receive(arpReply());
      expect(peer()?.state).to.equal('reachable');
    });
  });

  describe('gratuitous ARP', () => {
    it('updates an entry, as a request and as a reply', () => {
      receive(arpFrame());
      expect(receive(arpFrame({ senderMac: OTHER.mac, targetIp: PEER.ip }))).to.equal('delivered');
      expect(peer()).to.include({ mac: OTHER.mac, state: 'stale' });
      receive(arpReply({ targetIp: PEER.ip }, { to: BROADCAST_MAC }));
      expect(peer()).to.include({ mac: PEER.mac, state: 'stale' });
    });
    it('arp-sec: creates none', () => {
      expect(receive(arpFrame({ targetIp: PEER.ip }))).to.equal('arp-not-for-us');
      expect(receive(arpReply({ targetIp: PEER.ip }))).to.equal('arp-unsolicited');
      expect(link.neighbours.size).to.equal(0);
    });
  });

  describe('RFC 5227', () => {
    let conflicts: AddressConflict[];
    beforeEach(() => {
      conflicts = [];
      link.arp.claims.observe((conflict) => conflicts.push(conflict));
    });

    it('5227-1: probes three times, 1 to 2 s apart, and finds a free address free', () => {
      const times: number[] = [];
      const results: boolean[] = [];
      link.arp.claims.probe(OTHER.ip, (result) => results.push(result));
      while (results.length === 0) {
        const before = device.sent.length;
        env.scheduler.step();
        if (device.sent.length > before) times.push(env.timers.now());
      }
      expect(sent()).to.deep.equal(Array.from({ length: 3 }, () => 'all: who has 10.0.0.9 tell 0.0.0.0'));
      const [first = 0, second = 0, third = 0] = times;
      expect(first).to.be.within(0, 1_000);
      expect(second - first).to.be.within(1_000, 2_000);
      expect(third - second).to.be.within(1_000, 2_000);
      expect(env.timers.now() - third).to.equal(2_000);
      expect(results).to.deep.equal([true]);
    });
    for (const [name, frame] of [
      ['a reply', () => arpReply({ senderIp: OTHER.ip })],
      ['any packet of its owner', () => arpFrame({ senderIp: OTHER.ip, targetIp: PEER.ip })],
      ['somebody else who probes for it', () => arpFrame({ senderIp: 0, targetIp: OTHER.ip })],
    ] as const) {
      it(`5227-1: ${name} ends the probe`, () => {
        let free: boolean | undefined;
        link.arp.claims.probe(OTHER.ip, (result) => (free = result));
        env.scheduler.runFor(1_500);
        receive(frame());
        expect(free).to.equal(false);
        expect(conflicts).to.deep.equal([{ address: OTHER.ip, mac: PEER.mac, kind: 'probing' }]);
        expect(env.scheduler.pending).to.equal(0);
      });
    }
    it('5227-1: an address in use that is probed for anew is not defended', () => {
      let free: boolean | undefined;
      link.arp.claims.probe(US.ip, (result) => (free = result));
      env.scheduler.runFor(1_500);
      sent();
      receive(arpReply({ senderIp: US.ip, senderMac: OTHER.mac }));
      expect(free).to.equal(false);
      expect(conflicts).to.deep.equal([{ address: US.ip, mac: OTHER.mac, kind: 'probing' }]);
      expect(sent()).to.deep.equal([]);
    });
    it('5227-2: announces twice, 2 s apart', () => {
      link.arp.claims.announce(US.ip);
      expect(sent()).to.deep.equal(['all: who has 10.0.0.1 tell 10.0.0.1']);
      env.scheduler.runFor(1_999);
      expect(sent()).to.deep.equal([]);
      env.scheduler.runFor(10_000);
      expect(sent()).to.deep.equal(['all: who has 10.0.0.1 tell 10.0.0.1']);
    });
    it('5227-3: notices a second host with our address, and defends it once per 10 s', () => {
      const thief = () => arpFrame({ senderIp: US.ip, senderMac: OTHER.mac, targetIp: PEER.ip });
      receive(thief());
      receive(thief());
      expect(sent()).to.deep.equal(['all: who has 10.0.0.1 tell 10.0.0.1']);
      env.scheduler.runFor(10_000);
      receive(thief());
      expect(sent()).to.have.length(1);
      expect(conflicts.map((conflict) => conflict.kind)).to.deep.equal(['defended', 'persistent', 'defended']);
      expect(link.neighbours.size).to.equal(0);
    });
    it('5227-4: after ten conflicts the next probe waits a minute', () => {
      for (let i = 0; i < 10; i++) {
        link.arp.claims.probe(OTHER.ip, () => {});
        receive(arpReply({ senderIp: OTHER.ip }));
      }
      device.sent.length = 0;
      link.arp.claims.probe(OTHER.ip, () => {});
      env.scheduler.runFor(59_999);
      expect(sent()).to.deep.equal([]);
      env.scheduler.runFor(1_001);
      expect(sent()).to.have.length(1);
    });
    it('a probe can be called off', () => {
      const cancel = link.arp.claims.probe(OTHER.ip, () => expect.fail('was told'));
      cancel();
      env.scheduler.runFor(20_000);
      expect(sent()).to.deep.equal([]);
    });
  });
});
