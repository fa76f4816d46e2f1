import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { stringify } from 'yaml';
import { checkConfiguration, inOrder, kindOf } from '../../../cli/router/check.js';
import { ConfigurationError } from '../../../cli/router/problem.js';
import { readConfiguration } from '../../../cli/router/read.js';
import { jsonSchema } from '../../../cli/router/schema.js';

const EXAMPLES = new URL('../../../examples/router/', import.meta.url);

/** What is said of a text, without the name of its file. */
function refused(text: string): string[] {
  try {
    readConfiguration(text, 'f');
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    expect(error.code).to.equal('ERR_BAD_CONFIGURATION');
    return error.message.split('\n').map((line) => line.replace(/^f:/, ''));
  }
  return [];
}

const TWO = 'devices: { a: { addresses: [10.0.0.1/24] }, b: { addresses: [10.1.0.1/24] } }\n';

describe('the configuration of a router', () => {
  for (const file of readdirSync(EXAMPLES)) {
    it(`is read: ${file}`, () => {
      const configuration = readConfiguration(readFileSync(new URL(file, EXAMPLES), 'utf8'), file);
      expect(inOrder(configuration.devices)).to.have.members(Object.keys(configuration.devices));
    });
  }

  it('is the same in JSON', () => {
    const value = { devices: { a: { addresses: ['10.0.0.1/24'] } }, routes: [{ to: '10.9.0.0/16', via: '10.0.0.9' }] };
    const expected = readConfiguration(stringify(value), 'yaml');
    for (const indent of [undefined, 2, '\t']) {
      expect(readConfiguration(JSON.stringify(value, undefined, indent), 'json')).to.deep.equal(expected);
    }
  });

  it('takes words for what they mean', () => {
    const { devices, metrics } = readConfiguration(`${TWO}metrics: '[::1]:9100'\n`, 'f');
    expect(devices['a']?.addresses?.map(String)).to.deep.equal(['10.0.0.1/24']);
    expect(metrics).to.deep.equal({ address: '::1', port: 9100 });
    expect(Object.values(devices).map((device) => kindOf(device))).to.deep.equal(['tap', 'tap']);
  });

  for (const [what, text, ...said] of [
    ['nothing', '', '1:1: expected object, received null'],
    ['no device', 'devices: {}', '1:10: devices: expected at least one device'],
    ['an unknown key', `${TWO}route: []`, '2:1: route: there is no such key'],
    [
      'an unknown key of a device',
      'devices:\n  a:\n    adresses: [10.0.0.1/24]\n    mtu: 1\n',
      '4:10: devices.a.mtu: expected an MTU: a whole number from 576 to 65521',
      '3:5: devices.a.adresses: there is no such key',
    ],
    [
      'a bad name',
      'devices: { "a b": {} }',
      '1:12: devices.a b: expected a name of 1 to 15 letters, digits and . _ -, not "a b"',
    ],
    [
      'a bad address',
      'devices: { a: { addresses: [10.0.0.1] } }',
      '1:29: devices.a.addresses[0]: expected an address with a prefix length, not "10.0.0.1"',
    ],
    ['a key twice', 'devices: { a: {} }\ndevices: { b: {} }', '2:1: Map keys must be unique'],
    [
      'one of several alternatives, wrong inside',
      'devices: { a: { advertise: { lifetime: 9, dsn: [] } } }',
      '1:43: devices.a.advertise.dsn: there is no such key',
    ],
    [
      'search domains that are none',
      `devices: { a: { advertise: { search: [home.arpa, 'a..b', '', ${'x'.repeat(64)}, 'ж.example'] } } }`,
      '1:50: devices.a.advertise.search[1]: expected a domain name, not "a..b"',
      '1:58: devices.a.advertise.search[2]: expected a domain name, not ""',
      `1:62: devices.a.advertise.search[3]: expected a domain name, not "${'x'.repeat(64)}"`,
      '1:128: devices.a.advertise.search[4]: expected a domain name, not "ж.example"',
    ],
    [
      'a name server that is told of by no advertisement',
      "devices: { a: { advertise: { dns: ['fd00::53', 192.0.2.53] } } }",
      '1:48: devices.a.advertise.dns[1]: expected an IPv6 address, not "192.0.2.53"',
    ],
    [
      'routers and name servers that are leased with no IPv4 address',
      "devices: { a: { addresses: [10.0.0.1/24], dhcp: { first: 10.0.0.10, last: 10.0.0.20, routers: ['fd00::1'], dns: [10.0.0.1, 'fd00::53'] } } }",
      '1:96: devices.a.dhcp.routers[0]: expected an IPv4 address, not "fd00::1"',
      '1:124: devices.a.dhcp.dns[1]: expected an IPv4 address, not "fd00::53"',
    ],
    [
      'lifetimes that a router cannot have',
      'devices: { a: { advertise: { lifetime: 3 } }, b: { advertise: { lifetime: 9001 } } }',
      '1:40: devices.a.advertise.lifetime: expected 0, or a router lifetime in seconds: a whole number from 4 to 9000',
      '1:75: devices.b.advertise.lifetime: expected 0, or a router lifetime in seconds: a whole number from 4 to 9000',
    ],
    [
      'advertisements where packets are too small for IPv6',
      'devices: { a: { mtu: 1279, advertise: true }, b: { mtu: 1280, advertise: true }, c: { mtu: 1000, advertise: false } }',
      '1:28: devices.a.advertise: IPv6 needs an MTU of 1280',
    ],
    [
      'addresses that no interface has, or not with its MTU',
      "devices: { a: { addresses: [224.0.0.1/24, 0.0.0.0/0, 10.0.0.1/24] }, b: { mtu: 1279, addresses: ['::1/128', 'fd00::1/64'] } }",
      '1:29: devices.a.addresses[0]: 224.0.0.1 cannot be the address of an interface',
      '1:43: devices.a.addresses[1]: 0.0.0.0 cannot be the address of an interface',
      '1:98: devices.b.addresses[0]: ::1 cannot be the address of an interface',
      '1:109: devices.b.addresses[1]: IPv6 needs an MTU of 1280',
    ],
    [
      'MAC addresses of more than one interface, and of none',
      "devices: { a: { mac: 'ff:ff:ff:ff:ff:ff' }, b: { mac: '00:00:00:00:00:00' }, c: { mac: '02:00:00:00:00:01' } }",
      '1:22: devices.a.mac: expected the MAC address of one interface, not "ff:ff:ff:ff:ff:ff"',
      '1:55: devices.b.mac: expected the MAC address of one interface, not "00:00:00:00:00:00"',
    ],
    [
      'addresses that are reserved elsewhere',
      "devices: { a: { addresses: [10.0.0.1/24], dhcp: { first: 10.0.0.10, last: 10.0.0.20, reservations: { '02:00:00:00:00:01': 10.1.0.9, '02:00:00:00:00:02': 'fd00::9', '02:00:00:00:00:03': 10.0.0.9 } } } }",
      '1:123: devices.a.dhcp.reservations.02:00:00:00:00:01: expected an address of 10.0.0.0/24',
      '1:154: devices.a.dhcp.reservations.02:00:00:00:00:02: expected an address of 10.0.0.0/24',
    ],
    [
      'a prefix with more bits',
      `${TWO}routes:\n  - { to: 10.9.0.1/16, via: 10.0.0.9 }`,
      '3:11: routes[0].to: expected a prefix, or default',
    ],
    [
      'metrics for everybody',
      `${TWO}metrics: 0.0.0.0:80`,
      '2:10: metrics: expected a loopback address and a port, not "0.0.0.0:80"',
    ],
    [
      'a route that leads nowhere',
      `${TWO}routes: [{ to: 10.9.0.0/16 }]`,
      '2:10: routes[0]: expected via, device or through',
    ],
    [
      'a gateway far away',
      `${TWO}routes: [{ to: 10.9.0.0/16, via: 192.0.2.1 }]`,
      '2:34: routes[0].via: 192.0.2.1 is on no network of ours; say by which device',
    ],
    [
      'a gateway of the other version',
      `${TWO}routes: [{ to: 10.9.0.0/16, via: 'fd00::1', device: a }]`,
      '2:34: routes[0].via: expected an IPv4 address, as the destination',
    ],
    [
      'a way to nowhere with a way',
      `${TWO}routes: [{ to: 10.9.0.0/16, type: blackhole, device: a }]`,
      '2:10: routes[0]: a route of type blackhole leads nowhere: neither via, device nor through',
    ],
    [
      'an unknown device',
      `${TWO}routes: [{ to: 10.9.0.0/16, device: c }]`,
      '2:37: routes[0].device: there is no device c',
    ],
    [
      'a table without routes',
      `${TWO}policy: [{ priority: 1, table: t }]`,
      '2:32: policy[0].table: no route is in table t',
    ],
    [
      'a rule that no table takes',
      `${TWO}policy: [{ priority: 1, action: prohibit, suppressPrefixLength: 0 }]`,
      '2:10: policy[0]: only routes of a table can be suppressed',
    ],
    ['neither table nor action', `${TWO}policy: [{ priority: 1 }]`, '2:10: policy[0]: expected either table or action'],
    [
      'a device that stands on itself',
      'devices: { a: { vlan: { parent: b, id: 1 } }, b: { vlan: { parent: a, id: 1 } } }',
      '1:12: devices.a: it stands on itself',
      '1:47: devices.b: it stands on itself',
    ],
    [
      'a parent that there is not',
      'devices: { a: { vlan: { parent: b, id: 1 } } }',
      '1:33: devices.a.vlan.parent: there is no device b',
    ],
    [
      'what only some devices have',
      'devices: { a: {}, b: { vlan: { parent: a, id: 1 }, io: calls }, c: { kind: tun, dhcp: { first: 1.1.1.1, last: 1.1.1.2 } } }',
      '1:52: devices.b.io: only TAP and TUN devices have this',
      '1:81: devices.c.dhcp: only Ethernet devices have this',
      '1:81: devices.c.dhcp: expected first and last in an IPv4 network of the device',
    ],
    [
      'processors that cannot be',
      'devices: { a: { receiveProcessors: some }, b: { receiveProcessors: [0, 0.5] } }',
      '1:36: devices.a.receiveProcessors: expected none, all, readers, adaptive or a list of processors',
      '1:72: devices.b.receiveProcessors[1]: expected the number of a processor: a whole number from 0 to 8191',
    ],
    [
      'a latency that cannot be',
      'devices: { a: { wakeLatency: -1 } }',
      '1:30: devices.a.wakeLatency: expected microseconds: a whole number from 0 to 1000000',
    ],
    [
      'a latency of a device that is not the kernel’s',
      'devices: { a: { wakeLatency: 0 }, b: { vlan: { parent: a, id: 1 }, wakeLatency: 0 } }',
      '1:68: devices.b.wakeLatency: only TAP and TUN devices have this',
    ],
    [
      'processors of a device that is not the kernel’s',
      'devices: { a: { receiveProcessors: all }, b: { vlan: { parent: a, id: 1 }, receiveProcessors: [0] } }',
      '1:76: devices.b.receiveProcessors: only TAP and TUN devices have this',
    ],
    [
      'an address twice',
      'devices: { a: { addresses: [10.0.0.1/24] }, b: { addresses: [10.0.0.1/16] } }',
      '1:62: devices.b.addresses[0]: a has that address, too',
    ],
    [
      'a port of two bridges, with an address',
      'devices: { p: { addresses: [10.0.0.1/24] }, b: { bridge: { ports: [p] } }, c: { bridge: { ports: [p] } } }',
      '1:68: devices.b.bridge.ports[0]: p has addresses: give them to the bridge',
      '1:99: devices.c.bridge.ports[0]: it is a port of b already',
      '1:99: devices.c.bridge.ports[0]: p has addresses: give them to the bridge',
    ],
    [
      'a tunnel from an address of others',
      `devices: { a: {}, x: { vxlan: { id: 1, local: 10.0.0.9, peers: ['fd00::1'] } } }`,
      '1:47: devices.x.vxlan.local: no device has the address 10.0.0.9',
      '1:65: devices.x.vxlan.peers[0]: expected an IPv4 address, as the local one',
    ],
    [
      'NAT at an unknown device',
      `${TWO}nat: { masquerade: [{ out: w }] }`,
      '2:28: nat.masquerade[0].out: there is no device w',
    ],
  ] as const) {
    it(`says where it is wrong: ${what}`, () => {
      expect(refused(text)).to.deep.equal(said);
    });
  }

  it('says where in the rules it is wrong', () => {
    const text = `${TWO}firewall: |\n  table inet t {\n    chain c {\n      type filter hook forward priority 0;\n      tcp dport 99999 accept\n    }\n  }\n`;
    const [first = ''] = refused(text);
    expect(first).to.match(/^6:\d+: firewall: /);
    expect(text.split('\n')[5]).to.contain('99999');
  });

  it('takes no rules that the router cannot do', () => {
    const table = (rule: string) =>
      `${TWO}firewall: |\n  table inet t { chain c { type filter hook forward priority 0;\n    ${rule}\n  } }\n`;
    expect(refused(table('tcp dport 80 accept'))).to.deep.equal([]);
    expect(refused(table('masquerade'))[0]).to.match(/^4:\d+: firewall: /);
    expect(refused(table('jump nowhere'))[0]).to.match(/^4:\d+: firewall: .*nowhere/);
    expect(refused(`${TWO}nat: { source: [{ to: [192.0.2.1] }] }`)[0]).to.match(/^2:\d+: nat: NAT rule 1: /);
  });

  it('does not let aliases grow without end', () => {
    const bomb = [
      'a: &a [x, x]',
      ...Array.from('bcdefghijkl', (key, i) => `${key}: &${key} [${Array(9).fill(`*${'abcdefghijkl'[i]}`).join()}]`),
    ];
    expect(refused(bomb.join('\n'))[0]).to.contain('Excessive alias count');
  });

  it('never fails otherwise, whatever the text', () => {
    const whole = readFileSync(new URL('campus.yaml', EXAMPLES), 'utf8');
    const cut = fc.tuple(fc.nat(whole.length), fc.nat(40), fc.string({ maxLength: 6 }));
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          cut.map(([at, length, text]) => whole.slice(0, at) + text + whole.slice(at + length)),
        ),
        (text) => {
          for (const line of refused(text)) expect(line).to.match(/^[1-9]\d*:[1-9]\d*: \S/);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('never fails otherwise, whatever the values', () => {
    const word = fc.constantFrom<unknown>(
      'a',
      'b',
      'default',
      '10.0.0.1/24',
      '10.0.0.9',
      'fd00::1',
      'fd00::/64',
      7,
      0,
      true,
      null,
      'tun',
      'blackhole',
    );
    const keys = [
      'to',
      'via',
      'device',
      'type',
      'table',
      'through',
      'priority',
      'from',
      'action',
      'parent',
      'id',
      'ports',
      'local',
      'out',
      'first',
      'last',
    ];
    const some = fc.letrec<{ node: unknown }>((tie) => ({
      node: fc.oneof(
        { maxDepth: 4 },
        word,
        fc.array(tie('node'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...keys, 'vlan', 'bridge', 'vxlan', 'dhcp', 'addresses', 'a', 'b'), tie('node'), {
          maxKeys: 4,
        }),
      ),
    })).node;
    const tops = fc.record(
      { devices: some, routes: some, policy: some, nat: some, firewall: some },
      { requiredKeys: ['devices'] },
    );
    fc.assert(
      fc.property(tops, (value) => void refused(stringify(value))),
      { numRuns: 500 },
    );
  });

  it('is described for editors by the schema in the documents', () => {
    const file = new URL('../../../docs/router.schema.json', import.meta.url);
    expect(JSON.parse(readFileSync(file, 'utf8'))).to.deep.equal(jsonSchema());
  });

  it('has nothing wrong where it says so', () => {
    const configuration = readConfiguration(TWO, 'f');
    expect(checkConfiguration(configuration)).to.deep.equal([]);
  });
});
