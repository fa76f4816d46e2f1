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
  wait: args.seconds('SECONDS', 'Wait.', 0.01, 60, 'w'),
  route: args.many(args.prefix('IP/N', 'Routes.')),
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
    expect(parseArguments([], OPTIONS).values).to.deep.include({ json: false, tap: undefined, route: [] });
  });

  it('reads seconds as milliseconds, and options that repeat as lists', () => {
    const waits = ['1', '0.25', '.5', '60'].map((text) => parseArguments(['-w', text], OPTIONS).values.wait);
    expect(waits).to.deep.equal([1000, 250, 500, 60_000]);
    const { route } = parseArguments(['--route', '10.0.0.0/8', '--route=fd00::/8'], OPTIONS).values;
    expect(route.map(String)).to.deep.equal(['10.0.0.0/8', 'fd00::/8']);
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
    [['--wait', '0'], /--wait SECONDS: must be a number of seconds from 0.01 to 60, not "0"/],
    [['--wait', '1e1'], /not "1e1"/],
    [['--wait', '.'], /not "\."/],
    [['--route', 'fd00::/8', '--route', 'x/8'], /--route IP\/N: not an IPv4 address: "x"/],
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
