/** Runs every program of `examples/`, and holds the README to them. */

import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { CaptureReader } from '../lib/capture/reader.js';
import { describeNetns } from './netns/namespace.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const TSX = import.meta.resolve('tsx');
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
const SECONDS = 20;

/** The programs of the README, in its order. */
const PROGRAMS = ['firewall-between-layers', 'http-over-the-stack', 'syn-marbles'] as const;

const sourceOf = (name: string) => readFileSync(join(ROOT, 'examples', `${name}.ts`), 'utf8');
const nodeArgs = (name: string) => [`--import=${TSX}`, join(ROOT, 'examples', `${name}.ts`)];

/** Runs a program to its end, elsewhere than here; fails unless it ends well, in time, and says nothing on standard error. */
function run(name: string, args: readonly string[] = []): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { cwd: tmpdir(), timeout: SECONDS * 1000, killSignal: 'SIGKILL' } as const;
    execFile(process.execPath, [...nodeArgs(name), ...args], options, (error, stdout, stderr) => {
      if (error !== null || stderr !== '') reject(new Error(`${name}: ${error?.message ?? ''}\n${stdout}\n${stderr}`));
      else resolve(stdout);
    });
  });
}

/** What each program prints, and what else is to be seen afterwards. */
const EXPECTED: Readonly<Record<string, () => Promise<void>>> = {
  'firewall-between-layers': async () => {
    expect(await run('firewall-between-layers')).to.equal('port 7: hello\nport 8: no answer\n{ filtered: 1 }\n');
  },
  'http-over-the-stack': async () => {
    expect(await run('http-over-the-stack')).to.equal('200 true\nPOST /hello from ::ffff:10.0.0.2\n');
  },
  'syn-marbles': async () => {
    expect(await run('syn-marbles')).to.equal(
      'in, out, listener told, out, out, in\naccepted: ESTABLISHED\nas expected; nothing is left: no frame, no timer\n',
    );
  },
  'loss-in-virtual-time': async () => {
    const lines = (await run('loss-in-virtual-time')).trimEnd().split('\n');
    expect(lines.map((line) => line.split(' loss')[0])).to.deep.equal(['0 %', '0.1 %', '1 %', '5 %']);
    for (const line of lines) expect(line).to.match(/: \d+ ms, \d+ segments sent again, right: true$/);
    expect(lines[0]).to.contain(' 0 segments');
    expect(lines[3]).to.not.contain(' 0 segments');
  },
  'simulated-network': async () => {
    const directory = mkdtempSync(join(tmpdir(), 'rx-example-'));
    try {
      const path = join(directory, 'cwnd.svg');
      const lines = (await run('simulated-network', [path])).trimEnd().split('\n');
      const seconds = lines.filter((line) => /^\d+ s: 200, 1000000 bytes in \d+ ms$/.test(line));
      expect(seconds).to.have.length(6);
      expect(lines.at(-2)).to.match(
        /^an hour and more of virtual time: 36\d\d s; drops on the slow link: \{ 'link-codel': \d+ \}$/,
      );
      expect(lines.at(-1)).to.match(/^6 connections, two of them drawn in .*cwnd\.svg$/);
      expect(readFileSync(path, 'utf8'))
        .to.match(/^<svg /)
        .and.contain('Two downloads at once');
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
  'groups-and-sources': async () => {
    expect(await run('groups-and-sources')).to.equal('239.1.2.3: hello from 10.0.0.1\nff15::1:2: hello from fd00::1\n');
  },
  'addresses-from-a-router': async () => {
    const lines = (await run('addresses-from-a-router')).trimEnd().split('\n');
    const kinds = lines.map((line) => /^(?:\d+ s: )?(\S+)/.exec(line)?.[1]);
    const learnt = ['parameters', 'route-added', 'route-added', 'dns', 'added', 'added'];
    expect(kinds).to.deep.equal([...learnt, 'name', 'deprecated', 'route-removed', 'removed']);
    expect(lines.at(-1)).to.match(/^63 s: removed stable 2001:db8:1:0:/);
  },
  'home-router': async () => {
    const lines = (await run('home-router')).trimEnd().split('\n');
    expect(sourceOf('home-router').trimEnd().split('\n')).to.have.length.at.most(60);
    expect(lines.slice(0, 2)).to.deep.equal(["the desk's lease: bound", 'the desk has 192.168.7.2/24']);
    expect(lines[2]).to.match(/^the desk has fe80::/);
    expect(lines[3]).to.match(/^the desk has 2001:db8:7:0:/);
    expect(lines.slice(4)).to.deep.equal([
      '198.51.100.7 port 80: hello, 198.51.100.1',
      '198.51.100.1 port 8080: hello, 198.51.100.7',
    ]);
  },
  'dhcp-in-a-house': async () => {
    const lines = (await run('dhcp-in-a-house')).trimEnd().split('\n');
    const about = (who: string) => lines.flatMap((line) => new RegExp(`s: ${who}: (.*)$`).exec(line)?.[1] ?? []);
    expect(about('anne')[0]).to.match(/^link-local 169\.254\./);
    expect(about('anne').slice(1)).to.deep.equal(['link-local', 'bound 10.0.0.100/24', 'renewed 10.0.0.100/24']);
    expect(about('gateway').slice(-2)).to.have.members(['released 10.0.0.100 anne', 'released 10.0.0.101 bert']);
  },
  firewall: async () => {
    expect(await run('firewall')).to.equal(
      `anne to port 80: refused
refused from inner
anne to port 22: no answer
refused from outer
bert to port 80: no answer
bert pings: reply
`,
    );
    const [code = ''] = sourceOf('firewall').split('// That was it.');
    expect(code.split('\n').filter((line) => /^[^/]/.test(line))).to.have.length.at.most(20);
  },
  nat64: async () => {
    expect(await run('nat64')).to.equal(`the server sees 192.0.2.1
the phone reads: hello from IPv4
tcp: 2001:db8::2 is 192.0.2.1
`);
  },
  'bridge-monitor': async () => {
    const seen = (await run('bridge-monitor')).replaceAll(/[0-9a-f:]{17}/g, 'MAC').replaceAll(/id \d+/g, 'id N');
    expect(seen).to.equal(`ARP, Request who-has 10.0.0.2 tell 10.0.0.1
ARP, Reply 10.0.0.2 is-at MAC
IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id N, seq 1, length 64
IP 10.0.0.2 > 10.0.0.1: ICMP echo reply, id N, seq 1, length 64
ping 10.0.0.2: reply
vlan 99, ARP, Request who-has 192.168.99.1 tell 192.168.99.2
vlan 99, IP 192.168.99.2 > 192.168.99.1: ICMP echo request, id N, seq 1, length 64
ping 192.168.99.1: reply
stations at bridge0, left, right
`);
  },
  'names-and-pings': async () => {
    expect(await run('names-and-pings')).to.equal(`addresses: fd00::99, fd00::2
ping 10.0.0.2: reply, reply, reply
hop 1: 10.0.0.2 reached
ping fd00::2: reply, reply, reply
hop 1: fd00::2 reached
200 from fd00::2
`);
  },
  'capture-anywhere': async () => {
    const directory = mkdtempSync(join(tmpdir(), 'rx-example-'));
    try {
      const path = join(directory, 'x.pcapng');
      const stdout = await run('capture-anywhere', [path]);
      expect(stdout).to.match(/^ARP, Request who-has 10\.0\.0\.1 tell 10\.0\.0\.2\nIP .* Flags \[S\]/);
      expect(stdout).to.match(/\nechoed: hello\nwritten to .*x\.pcapng\n$/);
      const reader = new CaptureReader();
      reader.push(readFileSync(path));
      let records = 0;
      while (reader.next() !== undefined) records++;
      expect(reader.end()).to.equal('complete');
      expect(reader.interfaces.map(({ name }) => name)).to.deep.equal(['all', 'small']);
      // Each printed packet was recorded at both points.
      expect(records).to.equal(2 * (stdout.match(/^(ARP,|IP) /gm) ?? []).length);
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
};

/** What the examples of ergot print, in virtual time. */
const ERGOT: Readonly<Record<string, string>> = {
  'ergot-sensors': `10 s, 0.80^2.8: room 0 has 20.5 °C
10 s, 1.80^2.8: room 1 has 20.5 °C
10 s, 2.80^2.8: room 2 has 20.5 °C
10 s, 3.80^2.8: room 3 has 20.5 °C
20 s, 0.80^2.8: room 0 has 20.5 °C
20 s, 1.80^2.8: room 1 has 20.5 °C
20 s, 3.80^2.8: room 3 has 20.5 °C
`,
  'ergot-siblings': `socket 1^3 is 1.9^2.4 to its siblings, 099^12 to the house
lit: true
socket 1^3 is 2.9^2.4 to its siblings, 0A9^12 to the house
lit: true
socket 1^3 is 3.9^2.4 to its siblings, 0B9^12 to the house
lit: true
socket 1^3 is 1.9^2.4 to its siblings, 0D9^12 to the house
lit: false
socket 1^3 is 2.9^2.4 to its siblings, 0E9^12 to the house
lit: false
socket 1^3 is 3.9^2.4 to its siblings, 0F9^12 to the house
lit: false
`,
  'ergot-fixed-group': `the hall knows the eye by 181^12
the arm hears: a wall, 41^8
the hall hears: a wall, 001^12
the hall knows the eye by 0181^16
the arm hears: a wall, 41^8
the hall hears: a wall, 0001^16
`,
  'ergot-leaves': `at first: door 0010^16, window 0018^16, roof 0028^16, cellar 0030^16; 0 left
one more: door 0010^16, window 0018^16, roof 0028^16, cellar 0030^16, garden nowhere; 0 left
the window gone: door 0010^16, roof 0028^16, cellar 0030^16, garden nowhere; 0 left
its lease over: door 0010^16, roof 0028^16, cellar 0030^16, garden 0018^16; 8 left
`,
};

/** Needs a network namespace: tested below. */
const ON_TAP = 'udp-echo-on-tap';
const ON_THREADS = 'parallel-echo';
/** What that runs on each of them. */
const ON_A_THREAD = 'echo-worker';

describe('examples', () => {
  it('are all known here', () => {
    const files = readdirSync(join(ROOT, 'examples')).flatMap((file) => /^(.*)\.ts$/.exec(file)?.[1] ?? []);
    expect(files).to.have.members([...Object.keys(EXPECTED), ...Object.keys(ERGOT), ON_TAP, ON_THREADS, ON_A_THREAD]);
  });

  for (const [name, test] of Object.entries(EXPECTED)) {
    it(`${name} runs, and ends by itself`, test).timeout((SECONDS + 5) * 1000);
  }

  for (const [name, expected] of Object.entries(ERGOT)) {
    it(`${name} runs, and ends by itself`, async () => {
      expect(await run(name)).to.equal(expected);
    }).timeout((SECONDS + 5) * 1000);
  }

  it('have a sensor topic over a mesh of siblings in 40 lines', () => {
    expect(sourceOf('ergot-sensors').trimEnd().split('\n')).to.have.length.at.most(40);
  });
});

/** Sends a datagram that nobody can answer. */
const FROM_PORT_0 = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
s.sendto(bytes([0, 0, 0, 7, 0, 9, 0, 0, 65]), ('10.77.0.2', 0))`;

/** Resets a connection as soon as it is echoed to. */
const RESET = `
const socket = require('node:net').connect(7, '10.77.0.2', () => socket.write('x'));
socket.on('data', () => socket.resetAndDestroy());`;

describeNetns('examples on a TAP', (netns) => {
  it(`${ON_TAP} echoes datagrams of the kernel, and ends when told`, async function () {
    this.timeout(60_000);
    const { namespace } = netns;
    const child = namespace.start(process.execPath, [...nodeArgs(ON_TAP), 'ex0']);
    let printed = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (printed += text));
    while (!printed.includes('\n')) await once(child.stdout ?? child, 'data');
    expect(printed).to.equal('echoing on 10.77.0.2 port 7, by ex0\n');
    await namespace.run('python3', ['-c', FROM_PORT_0]);
    const echoed = await namespace.run('nc', ['-u', '-w', '1', '10.77.0.2', '7'], { input: 'hello' });
    expect(echoed.stdout).to.equal('hello');
    const closed = once(child, 'close') as Promise<[number]>;
    child.kill('SIGTERM');
    expect((await closed)[0]).to.equal(0);
    expect(printed).to.match(/\n\d+ packets delivered, drops: \{.*\}\n$/);
  });

  it(`${ON_THREADS} echoes what the kernel sends, and ends when told`, async function () {
    this.timeout(60_000);
    const { namespace } = netns;
    const child = namespace.start(process.execPath, [...nodeArgs(ON_THREADS), 'ex1']);
    let printed = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (printed += text));
    while (!printed.includes('\n')) await once(child.stdout ?? child, 'data');
    expect(printed).to.equal('echoing on 10.77.0.2 port 7, by 2 workers on ex1\n');
    await namespace.run(process.execPath, ['-e', RESET]);
    for (const line of ['hello', 'again']) {
      const echoed = await namespace.run('nc', ['-N', '-w', '5', '10.77.0.2', '7'], { input: line });
      expect(echoed.stdout).to.equal(line);
    }
    const closed = once(child, 'close') as Promise<[number]>;
    child.kill('SIGTERM');
    expect((await closed)[0]).to.equal(0);
    expect(printed).to.match(/\naccepted: 3\n$/);
  });
});

describe('README', () => {
  for (const name of PROGRAMS) {
    it(`has ${name} as it is in examples/, in under 40 lines`, () => {
      const source = sourceOf(name);
      expect(README).to.contain(`\`\`\`ts\n${source}\`\`\`\n`);
      expect(source.trimEnd().split('\n')).to.have.length.below(40);
    });
  }

  it('has no other programs', () => {
    expect(README.match(/^```ts$/gm)).to.have.length(PROGRAMS.length);
  });

  for (const file of ['README.md', 'CONTRIBUTING.md']) {
    it(`${file} leads nowhere that is not there`, () => {
      const text = readFileSync(join(ROOT, file), 'utf8');
      const targets = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, target = '']) => target);
      expect(targets).to.not.be.empty;
      for (const target of targets) expect(existsSync(join(ROOT, target)), target).to.equal(true);
    });
  }

  it('names scripts, entry points and commands that there are', () => {
    const { scripts, exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      readonly scripts: Readonly<Record<string, string>>;
      readonly exports: Readonly<Record<string, unknown>>;
    };
    const text = README + readFileSync(join(ROOT, 'CONTRIBUTING.md'), 'utf8');
    for (const [, script = ''] of text.matchAll(/npm run ([a-z:]+)/g)) expect(scripts).to.have.property(script);
    const named = [...README.matchAll(/`rx-netstack((?:\/[a-z]+)*)`/g)].map(([, path = '']) => `.${path}`);
    expect(new Set(named)).to.deep.equal(new Set(Object.keys(exports).filter((path) => path !== './package.json')));
  });
});
