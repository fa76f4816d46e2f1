/** What RFC 8200 and RFC 4443 ask of a host as a whole: packets in, packets out, and nothing else known of it. */

import { expect } from 'chai';
import { Ipv6Address } from '../../../lib/core/address.js';
import { anyEndpoint } from '../../../lib/l4/udp.js';
import type { UdpMessage } from '../../../lib/l4/udp-api.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import { type Host, host } from '../../../operators/stack/host.js';
import { net, type NetHelpers } from '../../../operators/testing/index.js';

const NOTATION = { version: 6, linkType: 'ip' } as const;
const ADDRESSES = { addresses: ['fd3d:a0b:17d6::1/64'], gateway: 'fd3d:a0b:17d6::9' } as const;
const PEER = Ipv6Address.parse('fd3d:fa7b:d17d::1');

interface Outcome {
  readonly answer?: string;
  readonly drop?: string;
}

/** What a host makes of a packet within the call: its answer, or none, and the reason why it drops it, or none. */
function exchange(
  packet: string | Uint8Array,
  { answer, drop }: Outcome,
  prepare: (me: Host) => void = () => {},
): void {
  living(({ rx, expectTx, expectDrops }, me) => {
    prepare(me);
    const out$ = rx('-p-', { p: packet }).pipe(me);
    if (answer === undefined) expectTx(out$).toBe('---');
    else expectTx(out$).toBe('-a-', { a: answer });
    if (drop === undefined) expectDrops().toBe('---');
    else expectDrops().toBe('-d-', { d: drop });
  });
}

function living(body: (helpers: NetHelpers, me: Host) => void, mtu = 1500): void {
  net((helpers) => {
    body(helpers, host({ device: helpers.device({ mtu }), ...ADDRESSES, multicast: { silent: true } }, helpers.env));
  }, NOTATION);
}

/** The bytes of a packet of the notation, some of them changed. */
function packetOf(line: string, changes: Readonly<Record<number, number>> = {}): Uint8Array {
  const bytes = Uint8Array.from(new PacketNotation(NOTATION).build(line).bytes());
  for (const [at, value] of Object.entries(changes)) bytes[Number(at)] = value;
  return bytes;
}

const ECHO = '< icmpv6 echo_request id 7 seq 1 (8)';
const ECHO_REPLY = '> icmpv6 echo_reply id 7 seq 1 (8)';
const ALL_NODES = 'to ff02::1';

describe('a host, by RFC 8200', () => {
  describe('extension headers', () => {
    it('8200-1: one by one, in their order, and then the payload', () => {
      const headers = 'hopopts 0x050200000100 routing 0x0000000000000000 dstopts 0x010400000000';
      exchange(`${ECHO} ${headers}`, { answer: ECHO_REPLY });
    });
    it('8200-1: an unknown next header is a parameter problem, wherever it stands (GP-08)', () => {
      const problem = (pointer: number) => `> icmpv6 parameter_problem next_header pointer ${pointer} [ip 254 (8 ...)]`;
      exchange('< ip 254 (8)', { answer: problem(6), drop: 'ip-unknown-protocol' });
      exchange('< ip 254 (8) dstopts 0x010400000000', { answer: problem(40), drop: 'ip-unknown-protocol' });
    });
    it('8200-1: and so are hop-by-hop options that do not come first', () => {
      const bytes = packetOf(`${ECHO} dstopts 0x010400000000 routing 0x0000000000000000`, { 40: 0 });
      exchange(bytes, {
        answer: '> icmpv6 parameter_problem next_header pointer 40',
        drop: 'ipv6-bad-extension',
      });
    });
    it('8200-1: "no next header" is the end, of which nothing is said', () => {
      exchange('< ip 59 (8)', { drop: 'ip-unknown-protocol' });
    });

    for (const header of ['hopopts', 'dstopts']) {
      const withType = (type: string, to = '') => `${ECHO} ${header} 0x${type}0400000000 ${to}`;
      const problem = '> icmpv6 parameter_problem option pointer 42 [icmpv6 echo_request id 7 seq 1 (8 ...)]';
      it(`8200-2: an unknown option of ${header} is skipped, or drops the packet, as its type says (GP-17)`, () => {
        exchange(withType('1e'), { answer: ECHO_REPLY });
        exchange(withType('5e'), { drop: 'ipv6-unknown-option' });
        exchange(withType('9e'), { drop: 'ipv6-unknown-option', answer: problem });
        exchange(withType('de'), { drop: 'ipv6-unknown-option', answer: problem });
      });
      it(`8200-2: and who sent it to a group is told, or not, as its type in ${header} says (GP-17)`, () => {
        const toGroup = '> icmpv6 parameter_problem option pointer 42';
        exchange(withType('5e', ALL_NODES), { drop: 'ipv6-unknown-option' });
        exchange(withType('9e', ALL_NODES), { drop: 'ipv6-unknown-option', answer: toGroup });
        exchange(withType('de', ALL_NODES), { drop: 'ipv6-unknown-option' });
      });
    }

    it('8200-3: a source route that is done is skipped, whatever its type', () => {
      for (const type of ['00', '02', '04', 'fd']) {
        exchange(`${ECHO} routing 0x${type}0000000000`, { answer: ECHO_REPLY });
      }
    });
    it('8200-3: one that is not is a parameter problem, of type 0, too (RFC 5095)', () => {
      for (const type of ['00', 'fd']) {
        exchange(`${ECHO} routing 0x${type}0100000000fd000000000000000000000000000009`, {
          answer: '> icmpv6 parameter_problem field pointer 42',
          drop: 'ipv6-source-routed',
        });
      }
    });
  });

  describe('fragments', () => {
    const whole = '< icmpv6 echo_request id 7 seq 1 (2000)';
    const first = `${whole} frag 0:1232+ ipid 9`;
    const last = `${whole} frag 1232:2008 ipid 9`;

    it('8200-4: are put together in either order, and answered (GP-09, 8200-5)', () => {
      for (const order of ['-fl-', '-lf-']) {
        living(({ rx, expectTx, expectDrops }, me) => {
          const answer = { r: '> icmpv6 echo_reply id 7 seq 1 (2000)' };
          expectTx(rx(order, { f: first, l: last }).pipe(me)).toBe('--r-', answer);
          expectDrops().toBe('----');
        }, 9_000);
      }
    });
    it('8200-4: are made of what is too big, here where it is sent (GP-09)', () => {
      living(({ rx, expectTx }, me) => {
        expectTx(rx('-fl-', { f: first, l: last }).pipe(me)).toBe('--(ab)-', {
          a: '> icmpv6 echo_reply id 7 seq 1 (2000) frag 0:1448+',
          b: '> icmpv6 echo_reply id 7 seq 1 (2000) frag 1448:2008',
        });
      });
    });
    it('8200-4: after 60 s time exceeded, code 1, quotes the first one (GP-10, GP-12)', () => {
      living(({ rx, expectTx, expectDrops }, me) => {
        expectTx(rx('-f 59999ms --', { f: first }).pipe(me)).toBe('- 60000ms e', {
          e: '> icmpv6 time_exceeded reassembly',
        });
        expectDrops().toBe('- 60000ms d', { d: 'fragment-timeout' });
      });
    });
    it('8200-4: and nothing is said where the first one never came (GP-11)', () => {
      living(({ rx, expectTx, expectDrops }, me) => {
        expectTx(rx('-l 60000ms -', { l: last }).pipe(me)).toBe('- 60000ms -');
        expectDrops().toBe('- 60000ms d', { d: 'fragment-timeout' });
      });
    });
    it('8200-4: one whose length is no multiple of eight points to the payload length (GP-13)', () => {
      const bytes = packetOf('< ip 17 (12) frag 0:12 ipid 9', { 43: 1 });
      exchange(bytes, { answer: '> icmpv6 parameter_problem field pointer 4', drop: 'fragment-bad' });
    });
    it('8200-4: one behind the largest packet points to its offset (GP-14)', () => {
      const far = '< ip 17 (16) frag 65528:65544 ipid 9';
      exchange(far, { answer: '> icmpv6 parameter_problem field pointer 42', drop: 'fragment-bad' });
    });
    it('8200-4: a first one without all headers is a parameter problem, code 3 (RFC 7112)', () => {
      const bytes = packetOf('< ip 60 (8) frag 0:8+ ipid 9', { 48: 17, 49: 4 });
      exchange(bytes, { answer: '> icmpv6 parameter_problem incomplete_chain pointer 0', drop: 'fragment-bad' });
    });
    it('8200-4: an overlap discards all of them, silently, with those that follow (GP-16, 5722)', () => {
      const over = `${whole} frag 1000:1400+ ipid 9`;
      living(({ rx, expectTx, expectDrops }, me) => {
        expectTx(rx('-fo-----l-', { f: first, o: over, l: last }).pipe(me)).toBe('----------');
        expectDrops().toBe('--(dd)--d', { d: 'fragment-overlap' });
      });
    });
    it('8200-4: exact duplicates do no harm (GP-15)', () => {
      living(({ rx, expectTx, expectDrops }, me) => {
        const answer = { r: '> icmpv6 echo_reply id 7 seq 1 (2000)' };
        expectTx(rx('-ffl-', { f: first, l: last }).pipe(me)).toBe('---r-', answer);
        expectDrops().toBe('-----');
      }, 9_000);
    });
    it('6946: one that is the whole packet is taken by itself, whatever of the same identification waits', () => {
      living(({ rx, expectTx, expectDrops }, me) => {
        const atomic = '< icmpv6 echo_request id 8 seq 1 (8) frag 0:16 ipid 9';
        expectTx(rx('-fal-', { f: first, a: atomic, l: last }).pipe(me)).toBe('--br-', {
          b: '> icmpv6 echo_reply id 8 seq 1 (8)',
          r: '> icmpv6 echo_reply id 7 seq 1 (2000)',
        });
        expectDrops().toBe('-----');
      }, 9_000);
    });
  });

  describe('the header', () => {
    it('8200-7: a packet that has arrived is taken, even with a hop limit of 0', () => {
      for (const ttl of [0, 1]) exchange(`${ECHO} ttl ${ttl}`, { answer: ECHO_REPLY });
    });
    it('8200-7: what is for another host is neither answered nor passed on', () => {
      for (const to of ['fd3d:a0b:17d6::2', '2001:db8::1', '::1', 'ff02::2']) {
        exchange(`${ECHO} to ${to}`, { drop: 'ipv6-not-for-us' });
      }
    });
    it('sources that no sender has are refused', () => {
      for (const from of ['ff02::1', '::1', '::', 'fd3d:a0b:17d6::1']) {
        exchange(`${ECHO} from ${from}`, { drop: 'ipv6-bad-source' });
      }
    });
    it('8200-6: a UDP datagram without a checksum is discarded', () => {
      const heard: UdpMessage[] = [];
      const bind = (me: Host) => void me.udp.bind(anyEndpoint(6, 1024), listener(heard));
      exchange(packetOf('< udp 53 > 1024 (3)', { 46: 0, 47: 0 }), { drop: 'udp-bad-checksum' }, bind);
      expect(heard).to.deep.equal([]);
      exchange('< udp 53 > 1024 (3)', {}, bind);
      expect(heard).to.have.length(1);
    });
    it('8200-5: no packet is larger than 1280 bytes where the path is not known to carry more', () => {
      const report = '< icmpv6 packet_too_big mtu 1280 [udp 1024 > 53 (2000)]';
      living(({ rx, expectTx, env }, me) => {
        const socket = me.udp.bind(anyEndpoint(6, 1024), listener([]));
        const send = () => socket.send(new Uint8Array(2_000), { address: PEER, port: 53 });
        env.scheduler.schedule(send, 1);
        env.scheduler.schedule(send, 5);
        expectTx(rx('--r--', { r: report }).pipe(me)).toBe('-(ab)(cd)', {
          a: '> udp 1024 > 53 (2000) frag 0:1448+',
          b: '> udp 1024 > 53 (2000) frag 1448:2008',
          c: '> udp 1024 > 53 (2000) frag 0:1232+',
          d: '> udp 1024 > 53 (2000) frag 1232:2008',
        });
      });
    });
  });
});

describe('a host, by RFC 4443', () => {
  it('4443-2: answers an echo from the address that was asked, to a group from one of its own', () => {
    exchange('< icmpv6 echo_request id 7 seq 1 (5 "hello")', { answer: '> icmpv6 echo_reply id 7 seq 1 (5 "hello")' });
    exchange(`${ECHO} ${ALL_NODES}`, { answer: ECHO_REPLY });
  });
  it('4443-1: says that a port is unreachable, in at most 1280 bytes', () => {
    const quote = (length: number) => `> icmpv6 unreachable port [udp 53 > 1024 (${length} ...)]`;
    exchange('< udp 53 > 1024 (12)', { answer: quote(12), drop: 'udp-no-socket' });
    living(({ rx, env }, me) => {
      const lengths: number[] = [];
      rx('-u-', { u: '< udp 53 > 1024 (1440)' })
        .pipe(me)
        .subscribe((frame) => {
          lengths.push(frame.length);
          frame.release();
        });
      env.scheduler.schedule(() => expect(lengths).to.deep.equal([1_280]), 2);
    });
  });
  it('4443-1: says nothing about what was sent to a group, or comes from none', () => {
    exchange(`< udp 53 > 1024 (12) ${ALL_NODES}`, { drop: 'udp-no-socket' });
    exchange(`< ip 254 (8) ${ALL_NODES}`, { drop: 'ip-unknown-protocol' });
    exchange(`< ip 254 (8) ${ALL_NODES} from ::`, { drop: 'ip-unknown-protocol' });
  });
  it('4443-1: says nothing about errors, known and unknown, and about redirects', () => {
    const option = 'dstopts 0x9e0400000000';
    for (const message of ['unreachable port (48)', 'type 100 (8)', 'redirect (32)']) {
      exchange(`< icmpv6 ${message} ${option}`, { drop: 'ipv6-unknown-option' });
    }
    const answer = '> icmpv6 parameter_problem option pointer 42';
    exchange(`< icmpv6 type 200 (8) ${option}`, { drop: 'ipv6-unknown-option', answer });
  });
  it('4443-1: discards messages that it does not know, and bad checksums', () => {
    exchange('< icmpv6 type 200 (8)', { drop: 'icmpv6-unknown-type' });
    exchange('< icmpv6 type 100 (8)', { drop: 'icmpv6-bad-quote' });
    exchange(`${ECHO} bad-checksum`, { drop: 'icmpv6-bad-checksum' });
  });
  it('4443-1: sends 50 errors at once, and then 1,000 a second', () => {
    living(({ rx, env }, me) => {
      let sent = 0;
      rx(`-${'u'.repeat(200)}-`, { u: '< udp 53 > 1024 (12)' })
        .pipe(me)
        .subscribe((frame) => {
          sent++;
          frame.release();
        });
      env.scheduler.schedule(() => expect(sent).to.equal(200), 201);
    });
    living(({ rx, env }, me) => {
      let sent = 0;
      rx(`-(${'u'.repeat(200)})-`, { u: '< udp 53 > 1024 (12)' })
        .pipe(me)
        .subscribe((frame) => {
          sent++;
          frame.release();
        });
      env.scheduler.schedule(() => expect(sent).to.equal(50), 2);
    });
  });
  it('4443-1: brings errors to the socket that they are about', () => {
    const errors: string[] = [];
    const connect = (me: Host) => {
      const socket = me.udp.bind(anyEndpoint(6, 1024), { message() {}, error: ({ code }) => errors.push(code) });
      socket.connect({ address: PEER, port: 53 });
    };
    exchange('< icmpv6 unreachable port [udp 1024 > 53 (12)]', {}, connect);
    expect(errors[0]).to.equal('ECONNREFUSED');
  });
  it('4443-3: believes no packet too big below 1280, and none that raises the path MTU', () => {
    living(({ rx, env }, me) => {
      me.udp.bind(anyEndpoint(6, 1024), listener([]));
      const mtus: (number | undefined)[] = [];
      const look = () => mtus.push(me.tables.path(PEER)?.mtu);
      for (const time of [0, 2, 4, 6]) env.scheduler.schedule(look, time);
      rx('-a-b-c--', {
        a: '< icmpv6 packet_too_big mtu 1400 [udp 1024 > 53 (1452)]',
        b: '< icmpv6 packet_too_big mtu 1450 [udp 1024 > 53 (1452)]',
        c: '< icmpv6 packet_too_big mtu 100 [udp 1024 > 53 (1352)]',
      })
        .pipe(me)
        .subscribe((frame) => frame.release());
      env.scheduler.schedule(() => expect(mtus).to.deep.equal([1_500, 1_400, 1_400, 1_280]), 7);
    });
  });
});

function listener(heard: UdpMessage[]): { message(message: UdpMessage): void; error(): void } {
  return { message: (message) => void heard.push(message), error() {} };
}
