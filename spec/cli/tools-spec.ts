import { expect } from 'chai';
import { errorMark, errorText } from '../../cli/icmp-text.js';
import { milliseconds, Tally } from '../../cli/ping.js';
import { parseIp } from '../../lib/core/address.js';
import type { PingEvent } from '../../lib/l7/ping.js';
import { run } from './command-run.js';

const PLACE = ['--tap', 'rxnone', '--address', '10.77.0.2/24'];

/** Command lines that can never work, by command, and what is said of them. */
const WRONG: Readonly<Record<string, readonly (readonly [what: string, args: readonly string[], says: RegExp])[]>> = {
  ping: [
    ['no host', PLACE, /name a HOST/],
    ['two hosts', ['10.77.0.1', '10.77.0.3', ...PLACE], /one HOST only: .*"10\.77\.0\.3"/],
    ['both versions', ['www.test', '-4', '-6', ...PLACE], /either -4 or -6/],
    [
      'an address of the other version',
      ['10.77.0.1', '-6', ...PLACE],
      /10\.77\.0\.1 is an IPv4 address, and -6 asks for IPv6/,
    ],
    ['no interface', ['10.77.0.1'], /--tap/],
    ['no address', ['10.77.0.1', '--tap', 'rxnone'], /--address, or .*--dhcp or --slaac/],
    ['no requests', ['10.77.0.1', '-c', '0', ...PLACE], /--count N: .*"0"/],
    ['an interval of nothing', ['10.77.0.1', '-i', '0', ...PLACE], /--interval SECONDS: .*number of seconds.*"0"/],
    ['an interval that is none', ['10.77.0.1', '--interval', '1s', ...PLACE], /--interval SECONDS: .*"1s"/],
    ['more than a packet holds', ['10.77.0.1', '-s', '65508', ...PLACE], /--size BYTES: .*65507/],
    ['no hops', ['10.77.0.1', '-t', '0', ...PLACE], /--ttl N: /],
  ],
  traceroute: [
    ['no host', PLACE, /name a HOST/],
    ['too many hops', ['10.77.0.1', '-m', '256', ...PLACE], /--max-hops N: .*255/],
    ['too many queries', ['10.77.0.1', '-q', '11', ...PLACE], /--queries N: .*10/],
    ['an unknown option', ['10.77.0.1', '--tcp', ...PLACE], /--tcp/],
  ],
  resolve: [
    ['no name', ['--dns', '10.77.0.1', ...PLACE], /name a NAME/],
    ['no name server', ['www.test', ...PLACE], /name a name server with --dns/],
    [
      'an unknown kind of record',
      ['www.test', '--type', 'A,HINFO', '--dns', '10.77.0.1', ...PLACE],
      /--type LIST: .*"HINFO"/,
    ],
    ['a name server that is a name', ['www.test', '--dns', 'localhost', ...PLACE], /--dns SERVER: .*"localhost"/],
  ],
};

for (const [command, wrong] of Object.entries(WRONG)) {
  describe(`rx-netstack ${command}`, () => {
    for (const [what, args, says] of wrong) {
      it(`refuses ${what} in one line`, async () => {
        const { code, stdout, stderr } = await run([command, ...args]);
        expect(stderr).to.match(new RegExp(`^rx-netstack ${command}: .*\\(see rx-netstack ${command} --help\\)\\n$`));
        expect(stderr).to.match(says);
        expect(stdout).to.equal('');
        expect(code).to.equal(2);
      });
    }

    it('explains itself, with examples', async () => {
      const { code, stdout } = await run([command, '--help']);
      for (const word of ['Usage:', '--tap NAME', '--dns SERVER', '--json', 'Examples:', `rx-netstack ${command} `])
        expect(stdout).to.contain(word);
      expect(code).to.equal(0);
    });

    it('is in the list of commands', async () => {
      expect((await run(['--help'])).stdout).to.match(new RegExp(`^ {2}${command} +\\S`, 'm'));
    });
  });
}

describe('the statistics of ping', () => {
  const from = parseIp('10.0.0.2');
  const reply = (rtt: number, more: object = {}): PingEvent => ({
    kind: 'reply',
    sequence: 1,
    from,
    length: 64,
    hopLimit: 64,
    rtt,
    duplicate: false,
    intact: true,
    ...more,
  });

  it('count each request once, with the mean deviation of its times', () => {
    const tally = new Tally(0);
    tally.transmitted = 8;
    for (const event of [
      reply(1),
      reply(2),
      reply(6),
      reply(90, { duplicate: true }),
      reply(3, { intact: false }),
      { kind: 'timeout', sequence: 5 },
      { kind: 'error', sequence: 6, from, error: 'host-unreachable', code: 'EHOSTUNREACH', mtu: 0 },
    ] as const) {
      tally.add(event);
    }
    expect(tally.summary(7003.4)).to.equal(
      '8 packets transmitted, 4 received, +1 duplicates, +1 damaged, +1 errors, 50% packet loss, time 7003ms\n' +
        'rtt min/avg/max/mdev = 1.000/3.000/6.000/1.871 ms',
    );
    expect(tally.toJSON()).to.deep.equal({
      transmitted: 8,
      received: 4,
      duplicates: 1,
      damaged: 1,
      errors: 1,
      loss: 50,
      rtt: { min: 1, avg: 3, max: 6, mdev: 1.871 },
    });
  });

  it('have no times where there is no reply', () => {
    const tally = new Tally(0);
    expect(tally.summary(0)).to.equal('0 packets transmitted, 0 received, 0% packet loss, time 0ms');
    tally.transmitted = 3;
    expect(tally.summary(10)).to.equal('3 packets transmitted, 0 received, 100% packet loss, time 10ms');
    tally.add(reply(1));
    expect(tally.summary(10)).to.contain('66.7% packet loss');
  });

  it('show times with the digits that say something', () => {
    expect([0.0123, 0.5, 2.345678, 23.45678, 234.5678].map(milliseconds)).to.deep.equal([
      '0.012',
      '0.500',
      '2.35',
      '23.5',
      '235',
    ]);
  });
});

describe('ICMP errors in words', () => {
  it('are those of ping and traceroute', () => {
    expect(errorText('packet-too-big', 1280)).to.equal('Packet too big, mtu=1280');
    expect(errorText('packet-too-big', 0)).to.equal('Packet too big');
    expect(errorText('time-exceeded', 0)).to.equal('Time to live exceeded');
    expect([errorMark('host-unreachable'), errorMark('net-unreachable'), errorMark('prohibited')]).to.deep.equal([
      '!H',
      '!N',
      '!X',
    ]);
  });
});
