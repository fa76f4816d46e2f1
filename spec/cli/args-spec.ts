import { expect } from 'chai';
import * as args from '../../cli/args.js';
import { ArgumentError, type Options, parseArguments } from '../../cli/args.js';

const OPTIONS = {
  json: args.flag('JSON.', 'j'),
  tap: args.text('NAME', 'Interface.'),
  mtu: args.whole('N', 'MTU.', 68, 9000),
  serve: args.words('LIST', 'Services.', ['echo', 'http']),
  address: args.prefix('IP/N', 'Address.'),
  gateway: args.address('IP', 'Gateway.'),
  peer: args.ipv4Address('IP', 'Peer.'),
  mac: args.mac('MAC', 'MAC.'),
} satisfies Options;

describe('cli arguments', () => {
  it('reads flags, values and what is neither', () => {
    const line =
      'a --json --tap=t0 --mtu 1400 --serve echo,http --address 10.0.0.2/24 --gateway ::1 --mac 02:00:00:00:00:01 -- -b';
    const { values, positionals } = parseArguments(line.split(' '), OPTIONS);
    expect(positionals).to.deep.equal(['a', '-b']);
    expect(values).to.include({ json: true, tap: 't0', mtu: 1400, peer: undefined });
    expect(values.serve).to.deep.equal(['echo', 'http']);
    expect([values.address, values.gateway, values.mac].join()).to.equal('10.0.0.2/24,::1,02:00:00:00:00:01');
    expect(parseArguments(['-j'], OPTIONS).values.json).to.equal(true);
    expect(parseArguments([], OPTIONS).values).to.deep.include({ json: false, tap: undefined });
  });

  const wrong: readonly [line: string[], message: RegExp][] = [
    [['--jsn'], /^Unknown option '--jsn'$/],
    [['-q'], /^Unknown option '-q'$/],
    [['--json=1'], /--json/],
    [['--tap'], /--tap/],
    [['--tap', '--json'], /--tap/],
    [['--tap='], /--tap NAME: must not be empty/],
    [['--mtu', '67'], /--mtu N: must be a whole number from 68 to 9000, not "67"/],
    [['--mtu', '1e3'], /not "1e3"/],
    [['--mtu', '1500.5'], /whole/],
    [['--mtu', ''], /whole/],
    [['--serve', 'echo,ftp'], /must be of echo, http, not "ftp"/],
    [['--address', '10.0.0.2'], /prefix length, as in/],
    [['--address', '10.0.0.2/33'], /--address IP\/N: .*out of range/],
    [['--address', '10.0.0.256/24'], /not an IPv4 address/],
    [['--gateway', 'example'], /not an IPv4 address: "example"/],
    [['--peer', '::1'], /not an IPv4 address/],
    [['--mac', '02:00:00:00:00'], /not a MAC address/],
    [['--mac', 'ff:ff:ff:ff:ff:ff'], /of one interface/],
    [['--mac', '00:00:00:00:00:00'], /of one interface/],
  ];
  for (const [line, message] of wrong) {
    it(`refuses ${line.join(' ')}, in one line`, () => {
      const attempt = () => parseArguments(line, OPTIONS);
      expect(attempt).to.throw(ArgumentError, message).with.property('message').that.does.not.match(/\n/);
    });
  }

  it('explains the table in columns', () => {
    const { json, tap } = OPTIONS;
    expect(args.optionsHelp({ json, tap })).to.equal('  -j, --json      JSON.\n      --tap NAME  Interface.\n');
  });
});
