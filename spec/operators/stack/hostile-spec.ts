import { expect } from 'chai';
import * as fc from 'fast-check';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { config } from 'rxjs';
import { type CaptureRecord, LinkType, readCapture } from '../../../lib/capture/index.js';
import { Ipv4Address, isGroupMac, MacAddress } from '../../../lib/core/address.js';
import { SeededRandom } from '../../../lib/core/random.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import { readMac, writeMac } from '../../../lib/wire/ethernet.js';
import { TcpFlag } from '../../../lib/wire/tcp.js';
import { ipv4Of, repair, Target } from './hostile.js';

const FOLDER = fileURLToPath(new URL('../../../../shared/captures/', import.meta.url));

/** One thing that is done to a frame; positions are taken modulo its length. */
interface Mutation {
  readonly kind: 'truncate' | 'flip' | 'byte' | 'word' | 'extend' | 'insert';
  readonly at: number;
  readonly value: number;
}

const mutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom('truncate', 'flip', 'byte', 'word', 'extend', 'insert'),
  // Headers are more interesting than what they carry.
  at: fc.oneof(fc.nat(80), fc.nat(2000)),
  value: fc.oneof(fc.constantFrom(0, 1, 0xff, 0xffff, 0x7fff, 0x8000, 0x2000), fc.nat(0xffff)),
});

function mutate(bytes: Uint8Array, { kind, at, value }: Mutation): Uint8Array {
  if (bytes.length === 0) return bytes;
  const from = at % bytes.length;
  const changed = Uint8Array.from(bytes);
  if (kind === 'truncate') return changed.subarray(0, from);
  if (kind === 'extend') return Uint8Array.from([...changed, ...new Uint8Array(value % 200).fill(value)]);
  if (kind === 'insert') {
    return Uint8Array.from([
      ...changed.subarray(0, from),
      ...new Uint8Array(value % 9).fill(at),
      ...changed.subarray(from),
    ]);
  }
  if (kind === 'flip') changed[from] = (changed[from] ?? 0) ^ (1 << (value & 7));
  else changed[from] = value & 0xff;
  if (kind === 'word') changed[from + 1 < changed.length ? from + 1 : from] = value >>> 8;
  return changed;
}

/** Runs `test` and fails if anything threw within a stream, which RxJS would otherwise throw out of nowhere later. */
async function withoutThrowing(test: () => void): Promise<void> {
  const thrown: unknown[] = [];
  const { onUnhandledError } = config;
  config.onUnhandledError = (error) => void thrown.push(error);
  try {
    test();
    await new Promise((resolve) => setTimeout(resolve, 5));
  } finally {
    config.onUnhandledError = onUnhandledError;
  }
  if (thrown.length > 0) throw thrown[0];
}

const notation = new PacketNotation({ local: '10.0.0.2', remote: '10.0.0.9' });
const MAC = MacAddress.parse('02:00:00:00:00:01');
const PEER_MAC = 0x0200_0000_0002;
const OPTIONS = { addresses: ['10.0.0.2/24'], ports: [8080] };

function frameOf(line: string): Uint8Array {
  return notation.build(line, '<').bytes().slice();
}

/** Frames that a host has something to do with, one of each kind. */
const SEEDS: readonly Uint8Array[] = [
  'arp who-has 10.0.0.2 tell 10.0.0.9',
  'arp reply 10.0.0.9 is-at 02:00:00:00:00:02',
  'icmp echo_request id 7 seq 1 (56)',
  'icmp echo_request id 7 seq 1 (80) frag 0:32+',
  'icmp echo_request id 7 seq 1 (80) frag 32:88',
  'udp 53 > 8080 (12)',
  'udp 53 > 9090 (12)',
  'S 0:0(0) win 65535 <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>',
  '. 1:1(0) ack 1 win 65535',
  'P. 1:101(100) ack 1 win 65535',
  'F. 1:1(0) ack 1 win 65535',
  'R 1:1(0) win 0',
].map(frameOf);

/**
 * Plays the peer of a connection that is open, has data under way, and ends; every frame of it goes through `spoil`. What it
 * acknowledges is whatever has come.
 */
function converse(target: Target, spoil: (bytes: Uint8Array, n: number) => Uint8Array): void {
  let next = 0;
  let n = 0;
  const send = (line: string): void => {
    const bytes = frameOf(line);
    const view = new DataView(bytes.buffer);
    if (line.includes(' ack ')) view.setUint32(42, next);
    repair(bytes);
    target.feed(spoil(bytes, n++));
    for (const sent of target.sent.splice(0)) {
      const ip = ipv4Of(sent);
      if (ip?.view.getUint8(ip.at + 9) !== 6) continue;
      const { at, payload, view: out } = ip;
      const header = (out.getUint8(payload + 12) >>> 4) * 4;
      const length = at + out.getUint16(at + 2) - payload - header;
      const marks = out.getUint8(payload + 13) & (TcpFlag.Syn | TcpFlag.Fin) ? 1 : 0;
      next = (out.getUint32(payload + 4) + length + marks) >>> 0;
    }
    target.wait(30);
  };
  send('arp who-has 10.0.0.2 tell 10.0.0.9');
  send('S 0:0(0) win 65535 <mss 1460,sackOK>');
  send('. 1:1(0) ack 1 win 65535');
  send('P. 1:101(100) ack 1 win 65535');
  send('P. 301:401(100) ack 1 win 65535');
  send('P. 201:301(100) ack 1 win 65535');
  send('P. 101:201(100) ack 1 win 65535 urg 5');
  send('. 401:401(0) ack 1 win 0');
  send('. 401:401(0) ack 1 win 65535');
  send('icmp unreachable host [301:401(100)]');
  send('F. 401:401(0) ack 1 win 65535');
  send('. 402:402(0) ack 1 win 65535');
}

describe('a host that is fed with bad frames', () => {
  it('tells the fate of each valid frame of every kind, once', () =>
    withoutThrowing(() => {
      const target = new Target(OPTIONS, MAC);
      for (const bytes of SEEDS) target.feed(bytes);
      expect(target.sent.length).to.be.greaterThan(4);
      target.finish();
    }));

  it('survives every frame cut at every byte', () =>
    withoutThrowing(() => {
      const target = new Target(OPTIONS, MAC);
      for (const bytes of SEEDS) {
        for (let length = 0; length < bytes.length; length++) {
          const cut = bytes.slice(0, length);
          target.feed(cut);
          // As long as it says it is.
          const ip = ipv4Of(cut);
          ip?.view.setUint16(ip.at + 2, length - ip.at);
          repair(cut);
          target.feed(cut);
        }
        target.wait(100);
      }
      target.finish();
    }));

  it('survives frames that were changed at random, with and without right checksums', () =>
    withoutThrowing(() => {
      const hostile = fc.record({
        seed: fc.constantFrom(...SEEDS),
        mutations: fc.array(mutation, { minLength: 1, maxLength: 5 }),
        repaired: fc.boolean(),
        wait: fc.constantFrom(0, 1, 500, 40_000),
      });
      fc.assert(
        fc.property(fc.array(hostile, { minLength: 10, maxLength: 30 }), (frames) => {
          const target = new Target(OPTIONS, MAC);
          for (const { seed, mutations, repaired, wait } of frames) {
            const bytes = mutations.reduce(mutate, seed);
            if (repaired) repair(bytes);
            target.feed(bytes);
            target.wait(wait);
          }
          target.finish();
        }),
        { numRuns: 200 },
      );
    }));

  it('survives a connection of which any frames are spoilt, get lost, or come twice', () =>
    withoutThrowing(() => {
      const plan = fc.array(fc.record({ n: fc.nat(11), mutation, repaired: fc.boolean() }), { maxLength: 6 });
      let opened = 0;
      fc.assert(
        fc.property(plan, (spoilt) => {
          const target = new Target(OPTIONS, MAC);
          converse(target, (bytes, n) =>
            spoilt
              .filter((one) => one.n === n)
              .reduce((changed, one) => {
                const result = mutate(changed, one.mutation);
                if (one.repaired) repair(result);
                return result;
              }, bytes),
          );
          opened += target.host.tcp.counters.accepted;
          target.finish();
        }),
        { numRuns: 300 },
      );
      expect(opened, 'connections that were opened').to.be.greaterThan(100);
    }));

  it('plays a conversation to its end if nothing is spoilt', () =>
    withoutThrowing(() => {
      const target = new Target(OPTIONS, MAC);
      converse(target, (bytes) => bytes);
      expect(target.host.tcp.counters).to.include({ accepted: 1, reset: 0, timedOut: 0 });
      expect(target.host.tcp.size).to.equal(0);
      target.finish();
    }));
});

/** A host in the place of the one that most frames of a capture were sent to. */
function victimOf(records: readonly CaptureRecord[]): Target {
  const destinations = new Map<number, number>();
  const ports = new Set<number>();
  let mac = 0;
  for (const { data } of records) {
    const ip = ipv4Of(data);
    if (ip === undefined) continue;
    const { at, payload, view } = ip;
    const destination = view.getUint32(at + 16);
    const top = destination >>> 24;
    if (top > 0 && top < 224 && top !== 127) destinations.set(destination, (destinations.get(destination) ?? 0) + 1);
    if (!isGroupMac(readMac(view, 0))) mac ||= readMac(view, 0);
    if (payload + 4 <= data.length) ports.add(view.getUint16(payload + 2));
  }
  ports.delete(0);
  const [most = [0x0a000002, 0]] = [...destinations].sort((one, other) => other[1] - one[1]);
  const addresses = [`${new Ipv4Address(most[0]).toString()}/32`];
  return new Target({ addresses, ports: [...ports].slice(0, 20) }, mac === 0 ? MAC : new MacAddress(mac));
}

/** The frame as if it were sent to the host, by another. */
function forUs(data: Uint8Array, target: Target): Uint8Array {
  const bytes = Uint8Array.from(data);
  const ip = ipv4Of(bytes);
  const [own] = target.host.tables.addresses.list();
  if (ip === undefined || own === undefined) return bytes;
  const { at, view } = ip;
  const { value } = own.cidr.address;
  writeMac(view, 0, own.device.mac.value);
  writeMac(view, 6, PEER_MAC);
  view.setUint32(at + 16, value);
  if (view.getUint32(at + 12) === value) view.setUint32(at + 12, value ^ 1);
  repair(bytes);
  return bytes;
}

describe('a host that is fed with every shared capture', () => {
  const names = existsSync(FOLDER) ? readdirSync(FOLDER).filter((name) => !/\.(json|md)$/.test(name)) : [];
  if (names.length === 0) {
    it('SKIPPED: ../shared/captures is not there, so no captured frame was fed');
    return;
  }
  let delivered = 0;
  let fed = 0;

  for (const name of names) {
    it(`tells the fate of each frame, once, and is left with nothing: ${name}`, () =>
      withoutThrowing(() => {
        const records = [...readCapture(readFileSync(FOLDER + name))];
        const random = new SeededRandom(name.length);
        const target = victimOf(records);
        for (const { data, linkType } of records) {
          // What is not Ethernet is fed as if it were: bytes are bytes.
          const ours = linkType === LinkType.Ethernet ? forUs(data, target) : data;
          target.feed(data);
          target.feed(ours);
          target.feed(ours.slice(0, random.below(ours.length + 1)));
          const changed = Uint8Array.from(ours);
          for (let i = random.below(4); i >= 0 && changed.length > 0; i--) {
            const at = random.below(Math.min(changed.length, 80));
            changed[at] = (changed[at] ?? 0) ^ (1 << random.below(8));
          }
          target.feed(changed);
          const repaired = Uint8Array.from(changed);
          repair(repaired);
          target.feed(repaired);
          target.wait(random.below(50) === 0 ? 40_000 : random.float() * 20);
        }
        fed += target.fed;
        delivered += target.env.drops.delivered;
        target.finish();
      }));
  }

  it('has met frames of both fates', () => {
    expect(fed).to.be.greaterThan(1000);
    expect(delivered).to.be.greaterThan(100).and.lessThan(fed);
  });
});
