import { expect } from 'chai';
import { statisticsTable } from '../../cli/statistics.js';
import { run } from './command-run.js';

describe('rx-netstack host', () => {
  const RIGHT = ['--tap', 'rxnone', '--address', '10.77.0.2/24'];
  const wrong: Record<string, { readonly args: readonly string[]; readonly says: RegExp }> = {
    'no interface': { args: ['--address', '10.77.0.2/24'], says: /--tap/ },
    'no address': { args: ['--tap', 'rxnone'], says: /--address/ },
    'no prefix length': { args: ['--tap', 'rxnone', '--address', '10.77.0.2'], says: /--address .*prefix length/ },
    'a bad address': { args: ['--tap', 'rxnone', '--address', '10.77.0.256/24'], says: /--address .*10\.77\.0\.256/ },
    'a bad IPv6 address': { args: ['--tap', 'rxnone', '--address', 'fd00::/129'], says: /--address .*129/ },
    'an address twice': { args: [...RIGHT, '--address', '10.77.0.2/16'], says: /10\.77\.0\.2\/16 is there twice/ },
    'a group as an address': {
      args: ['--tap', 'rxnone', '--address', '224.0.0.1/24'],
      says: /--address 224\.0\.0\.1\/24: 224\.0\.0\.1 cannot be the address of an interface/,
    },
    'the loopback address of IPv6': {
      args: [...RIGHT, '--address', '::1/128'],
      says: /--address ::1\/128: ::1 cannot be the address/,
    },
    'IPv6 with packets too small for it': {
      args: ['--tap', 'rxnone', '--address', 'fd77::2/64', '--mtu', '1279'],
      says: /--address fd77::2\/64: IPv6 needs an MTU of 1280/,
    },
    'autoconfiguration with packets too small for IPv6': {
      args: ['--tap', 'rxnone', '--slaac', '--mtu', '1279'],
      says: /--slaac: IPv6 needs an MTU of 1280/,
    },
    'a gateway elsewhere': {
      args: [...RIGHT, '--gateway', '10.78.0.1'],
      says: /--gateway 10\.78\.0\.1 is not in the network of 10\.77\.0\.2\/24 /,
    },
    'a gateway of a version that we do not speak': {
      args: [...RIGHT, '--gateway', 'fe80::1'],
      says: /--gateway fe80::1 .*no IPv6 address/,
    },
    'two gateways of a version': {
      args: [...RIGHT, '--gateway', '10.77.0.1', '--gateway', '10.77.0.3'],
      says: /two gateways for IPv4/,
    },
    'a name server that is a name': { args: [...RIGHT, '--dns', 'ns.test'], says: /--dns SERVER: .*"ns\.test"/ },
    'a name server with a bad port': { args: [...RIGHT, '--dns', '[fd00::1]:70000'], says: /no port 70000/ },
    'a multicast MAC address': { args: [...RIGHT, '--mac', '01:00:5e:00:00:01'], says: /--mac/ },
    'a tiny MTU': { args: [...RIGHT, '--mtu', '20'], says: /--mtu .*576/ },
    'no list of processors': {
      args: [...RIGHT, '--receive-processors', '0,two'],
      says: /--receive-processors LIST: 0,two is no list of processors/,
    },
    'an unknown service': { args: [...RIGHT, '--serve', 'echo,gopher'], says: /--serve .*gopher/ },
    'an unknown option': { args: [...RIGHT, '--fast'], says: /--fast/ },
    'an argument too many': { args: [...RIGHT, 'now'], says: /"now"/ },
  };
  for (const [what, { args, says }] of Object.entries(wrong)) {
    it(`refuses ${what} in one line`, async () => {
      const { code, stdout, stderr } = await run(['host', ...args]);
      expect(stderr).to.match(/^rx-netstack host: .*\(see rx-netstack host --help\)\n$/);
      expect(stderr).to.match(says);
      expect(stdout).to.equal('');
      expect(code).to.equal(2);
    });
  }

  it('says in one line that a capture cannot be written, before it opens anything', async () => {
    expect(await run(['host', ...RIGHT, '--pcap', '/nowhere/x.pcapng'])).to.deep.equal({
      code: 1,
      stdout: '',
      stderr: 'rx-netstack host: cannot write /nowhere/x.pcapng: no such file or directory (ENOENT)\n',
    });
  });

  it('explains itself, with examples', async () => {
    const { code, stdout } = await run(['host', '--help']);
    for (const word of ['--serve LIST', 'echo 7, discard 9, chargen 19, http 80', 'Examples:', '# now ping 10.77.0.2'])
      expect(stdout).to.contain(word);
    expect(code).to.equal(0);
  });

  it('lays statistics out as a table, without the zeros of groups', () => {
    const table = statisticsTable({
      uptime: 1.5,
      counters: { received: { packets: 1234, bytes: 56_789 }, delivered: 1200, tcp: { segmentsIn: 7, reset: 0 } },
      drops: { 'tcp-bad-checksum': 3 },
      connections: {},
    });
    expect(table).to.equal(`host
  seconds              1.5
  delivered          1,200
received
  packets            1,234
  bytes             56,789
tcp
  segments in            7
connections: none
drops
  tcp-bad-checksum       3
`);
  });
});
