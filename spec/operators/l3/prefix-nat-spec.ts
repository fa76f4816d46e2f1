import { expect } from 'chai';
import * as fc from 'fast-check';
import { of, Subject } from 'rxjs';
import { parseIp } from '../../../lib/core/address.js';
import { UsageError } from '../../../lib/core/errors.js';
import { Frame } from '../../../lib/core/frame.js';
import { Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../../lib/wire/ipv6.js';
import { prefixNat } from '../../../operators/l3/prefix-nat.js';
import { environment } from '../../../operators/time/environment.js';
import { forBothVersions } from '../../both-versions.js';
import { type PlainEnds, plainIp, type PlainPacket, plainFrame, plainSegment } from '../../lib/wire/plain-packets.js';
import { hex, isSound } from '../../lib/l4/nat64/rig.js';

const PLACES = {
  4: {
    rule: { internal: '10.1.0.0/16', external: '198.18.0.0/16' },
    inside: '10.1.2.3',
    other: '10.1.7.7',
    seen: '198.18.2.3',
    seenOther: '198.18.7.7',
    far: '192.0.2.9',
    router: '192.0.2.1',
  },
  6: {
    rule: { internal: 'fd01:203:405::/48', external: '2001:db8:1::/48' },
    inside: 'fd01:203:405:1::1234',
    other: 'fd01:203:405:1::7',
    seen: '2001:db8:1:d550::1234',
    seenOther: '2001:db8:1:d550::7',
    far: '2001:db8:9::9',
    router: '2001:db8:9::1',
  },
} as const;

type Packet = Ipv4Packet | Ipv6Packet;
const viewOf = (frame: Frame): Packet =>
  (frame.bytes()[0] ?? 0) >>> 4 === 4 ? new Ipv4Packet(frame, frame.start) : new Ipv6Packet(frame, frame.start);

forBothVersions('prefixNat', ({ version }) => {
  const { rule, inside, other, seen, seenOther, far, router } = PLACES[version];
  const env = environment({ seed: 1 });
  const ends = (source: string, destination: string): PlainEnds => ({
    source: parseIp(source),
    destination: parseIp(destination),
    sourcePort: 7,
    destinationPort: 8,
  });
  const protocols = ['tcp', 'udp', 'icmp', 'dccp', 'udp-lite'] as const;
  const plain = (protocol: PlainPacket['protocol'], body: Uint8Array = new Uint8Array(9)): PlainPacket => ({
    protocol,
    body,
    checksum: 'full',
    options: 0,
  });
  const bytes = (packet: PlainPacket, of: PlainEnds) => plainIp(packet, of, plainSegment(packet, of));

  /** What comes out of a half, of the bytes of a packet. */
  function through(side: 'prerouting' | 'postrouting' | 'both', frame: Frame): Uint8Array[] {
    const border = prefixNat([rule], env);
    const out: Uint8Array[] = [];
    const operator = side === 'both' ? border : border[side];
    of(viewOf(frame))
      .pipe(operator)
      .subscribe((packet) => out.push(Uint8Array.from(packet.frame.bytes())));
    return out;
  }
  const one = (side: 'prerouting' | 'postrouting' | 'both', packet: Uint8Array) =>
    hex(through(side, Frame.from(packet))[0] ?? new Uint8Array());

  it('makes internal sources external ones, and external destinations internal ones', () => {
    for (const protocol of protocols) {
      const packet = plain(protocol);
      for (const side of ['postrouting', 'both'] as const) {
        expect(one(side, bytes(packet, ends(inside, far)))).to.equal(hex(bytes(packet, ends(seen, far))));
      }
      for (const side of ['prerouting', 'both'] as const) {
        expect(one(side, bytes(packet, ends(far, seen)))).to.equal(hex(bytes(packet, ends(far, inside))));
      }
    }
  });

  it('lets pass what is of neither network, and what stays inside', () => {
    for (const of of [ends(far, far), ends(inside, other), ends(far, inside)]) {
      expect(one('both', bytes(plain('udp'), of))).to.equal(hex(bytes(plain('udp'), of)));
    }
    expect(one('prerouting', bytes(plain('udp'), ends(inside, far)))).to.equal(
      hex(bytes(plain('udp'), ends(inside, far))),
    );
    expect(one('postrouting', bytes(plain('udp'), ends(far, seen)))).to.equal(
      hex(bytes(plain('udp'), ends(far, seen))),
    );
  });

  it('brings internal hosts together that use external addresses, so that answers come the same way', () => {
    const packet = plain('udp');
    expect(one('prerouting', bytes(packet, ends(inside, seenOther)))).to.equal(hex(bytes(packet, ends(seen, other))));
  });

  it('translates what ICMP errors quote, in either direction', () => {
    for (const protocol of ['tcp', 'udp', 'icmp'] as const) {
      const sent = (source: string, destination: string) => bytes(plain(protocol), ends(source, destination));
      const error = (quoted: Uint8Array, of: PlainEnds) => bytes(plain('icmp-error', quoted), of);
      expect(one('prerouting', error(sent(seen, far), ends(far, seen)))).to.equal(
        hex(error(sent(inside, far), ends(far, inside))),
      );
      expect(one('postrouting', error(sent(far, inside), ends(inside, far)))).to.equal(
        hex(error(sent(far, seen), ends(seen, far))),
      );
    }
  });

  it('translates what a router quotes that has seen the packet as it is inside', () => {
    const about = (to: string) => bytes(plain('icmp-error', bytes(plain('udp'), ends(far, to))), ends(router, far));
    for (const side of ['postrouting', 'both'] as const) expect(one(side, about(inside))).to.equal(hex(about(seen)));
    expect(one('prerouting', about(inside))).to.equal(hex(about(inside)));
  });

  it('keeps checksums right for any packet, partial ones too', () => {
    fc.assert(
      fc.property(fc.constantFrom(...protocols), fc.uint8Array({ maxLength: 100 }), (protocol, body) => {
        const [out = new Uint8Array()] = through('both', Frame.from(bytes(plain(protocol, body), ends(inside, far))));
        expect(isSound(out)).to.equal(true);
      }),
    );
    const partial = plainFrame({ ...plain('tcp'), checksum: 'partial' }, ends(inside, far));
    const expected = plainFrame({ ...plain('tcp'), checksum: 'partial' }, ends(seen, far));
    expect(hex(through('both', partial)[0] ?? new Uint8Array())).to.equal(hex(expected.bytes()));
  });

  it('changes a copy of what others look at', () => {
    const frame = Frame.from(bytes(plain('udp'), ends(inside, far)));
    frame.shared = true;
    expect(hex(through('postrouting', frame)[0] ?? new Uint8Array())).to.equal(
      hex(bytes(plain('udp'), ends(seen, far))),
    );
    expect(hex(frame.bytes())).to.equal(hex(bytes(plain('udp'), ends(inside, far))));
    expect(env.pool.outstanding).to.equal(0);
  });

  it('never throws, whatever the bytes', () => {
    const source = new Subject<Packet>();
    const border = prefixNat([rule], env);
    source.pipe(border).subscribe();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 90 }), fc.nat(70), fc.nat(255), (body, at, value) => {
        const made = bytes(plain('icmp-error', body), ends(inside, far));
        if (at < made.length) made[at] = value;
        source.next(viewOf(Frame.from(made)));
      }),
    );
  });

  it('ends with its source', () => {
    let ended = false;
    const source = new Subject<Packet>();
    source.pipe(prefixNat([rule], env)).subscribe({ complete: () => (ended = true) });
    source.complete();
    expect(ended).to.equal(true);
  });
});

describe('prefixNat', () => {
  it('translates no mapped address of IPv6 by networks of IPv4', () => {
    const env = environment({ seed: 1 });
    const packet: PlainPacket = { protocol: 'udp', body: new Uint8Array(4), checksum: 'full', options: 0 };
    const { rule, inside, far, seen } = PLACES[4];
    for (const [source, destination] of [
      [inside, far],
      [far, seen],
    ]) {
      const ends: PlainEnds = {
        source: parseIp(`::ffff:${source}`),
        destination: parseIp(`::ffff:${destination}`),
        sourcePort: 1,
        destinationPort: 2,
      };
      const out: string[] = [];
      of(viewOf(plainFrame(packet, ends)))
        .pipe(prefixNat([rule], env))
        .subscribe(({ frame }) => out.push(hex(frame.bytes())));
      expect(out).to.deep.equal([hex(plainFrame(packet, ends).bytes())]);
    }
  });

  it('drops what has no address in the other network', () => {
    const env = environment({ seed: 1 });
    const { rule, far } = PLACES[6];
    const border = prefixNat([rule], env);
    const ends: PlainEnds = {
      source: parseIp('fd01:203:405:ffff::1'),
      destination: parseIp(far),
      sourcePort: 1,
      destinationPort: 2,
    };
    const packet: PlainPacket = { protocol: 'udp', body: new Uint8Array(4), checksum: 'full', options: 0 };
    const frame = plainFrame(packet, ends);
    of(viewOf(frame))
      .pipe(border)
      .subscribe(() => expect.fail());
    expect(env.drops.toJSON()).to.deep.equal({ 'translate-impossible': 1 });
  });

  it('needs rules', () => {
    expect(() => prefixNat([]))
      .to.throw(UsageError)
      .with.property('code', 'ERR_INVALID_OPTION');
  });
});
