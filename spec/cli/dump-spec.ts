import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { isoTime } from '../../cli/packet-lines.js';
import type { CapturePacket } from '../../lib/capture/capture.js';
import { PcapWriter } from '../../lib/capture/pcap.js';
import { PcapngWriter } from '../../lib/capture/pcapng-writer.js';
import { Frame } from '../../lib/core/frame.js';
import { PacketNotation } from '../../lib/text/notation.js';
import { EthernetFrame, EtherType } from '../../lib/wire/ethernet.js';
import { IpProtocol } from '../../lib/wire/ip.js';
import { Ipv4Packet } from '../../lib/wire/ipv4.js';
import { UdpDatagram } from '../../lib/wire/udp.js';
import { concat, Gathered } from '../lib/capture/capture-bytes.js';
import { run } from './command-run.js';

const CAPTURES = new URL('../../../shared/captures/', import.meta.url).pathname;
const MAIN = new URL('../../cli/main.ts', import.meta.url).pathname;

/** A UDP packet without checksum, from 10.0.0.1:1111 to 10.0.0.2:53. */
function ipPacket(payload = 4): Frame {
  const frame = Frame.from(new Uint8Array(payload).fill(0x41));
  UdpDatagram.emit(frame, 1111, 53, 0);
  frame.slab.view.setUint16(frame.start + 6, 0);
  Ipv4Packet.emit(frame, { source: 0x0a000001, destination: 0x0a000002, protocol: IpProtocol.Udp });
  return frame;
}

function etherPacket(): Uint8Array {
  const frame = ipPacket();
  EthernetFrame.emit(frame, 0x02_00_00_00_00_02, 0x02_00_00_00_00_01, EtherType.Ipv4);
  return frame.bytes();
}

const AT = { seconds: 1_700_000_000, nanoseconds: 123_456_789 };

describe('rx-netstack dump', () => {
  let directory = '';
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'rx-netstack-dump-'));
  });
  after(() => rmSync(directory, { recursive: true }));

  function saved(name: string, bytes: Uint8Array): string {
    writeFileSync(join(directory, name), bytes);
    return join(directory, name);
  }

  function pcap(packets: readonly CapturePacket[], linkType = 1, precision: 'us' | 'ns' = 'us'): Uint8Array {
    const file = new Gathered();
    const writer = new PcapWriter(file, { linkType, precision });
    for (const packet of packets) writer.write(packet);
    return file.bytes;
  }

  const three = () => pcap([1, 2, 3].map(() => ({ ...AT, data: etherPacket() })));

  function lines(text: string): Record<string, unknown>[] {
    return text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  it('prints a line per packet', async () => {
    const { code, stdout, stderr } = await run(['dump', saved('a.pcap', three())]);
    expect({ code, stderr }).to.deep.equal({ code: 0, stderr: '' });
    const printed = stdout.split('\n');
    expect(printed.length).to.equal(4);
    expect(printed[1]).to.equal('2 2023-11-14T22:13:20.123456Z IP 10.0.0.1.1111 > 10.0.0.2.53: UDP, length 4');
  });

  it('prints IPv6, with its extension headers, fragments and checksums', async () => {
    const notation = new PacketNotation({ local: '2001:db8::1', remote: '2001:db8::2' });
    const packets = [
      '> S 0:0(0) win 9 hopopts 0x05020000',
      '> udp 53 > 1024 (100) frag 8:24+ ipid 9',
      '> icmpv6 neighbor_solicitation target 2001:db8::2 lladdr 02:00:00:00:00:01',
      '> icmpv6 echo_request id 1 seq 2 (3) bad-checksum',
    ].map((line) => ({ ...AT, data: notation.build(line).bytes() }));
    const path = saved('six.pcap', pcap(packets));
    const { stdout } = await run(['dump', path]);
    expect(
      stdout
        .replaceAll(/^\d \S+ /gm, '')
        .trimEnd()
        .split('\n'),
    ).to.deep.equal([
      'IP6 2001:db8::1.8080 > 2001:db8::2.40000: HBH Flags [S], seq 0, win 9, length 0',
      'IP6 2001:db8::1 > 2001:db8::2: udp, fragment id 9 offset 8+, length 16',
      'IP6 2001:db8::1 > ff02::1:ff00:2: ICMP6, neighbor solicitation, who has 2001:db8::2, source 02:00:00:00:00:01, length 32',
      'IP6 2001:db8::1 > 2001:db8::2: ICMP6, echo request, id 1, seq 2, length 11 (bad icmpv6 checksum)',
    ]);
    const ends = { src: '2001:db8::1', dst: '2001:db8::2' };
    const objects = lines((await run(['dump', '--json', path])).stdout);
    expect(objects[0]).to.deep.include({
      ...ends,
      layers: ['eth', 'ipv6', 'hopopts', 'tcp'],
      checksums: { tcp: 'good' },
    });
    expect(objects[1]).to.deep.include({ ...ends, layers: ['eth', 'ipv6', 'fragment'] });
    expect(objects[1]?.['fragment']).to.deep.equal({ id: 9, offset: 8, more: true });
    expect(objects[2]).to.deep.include({ dst: 'ff02::1:ff00:2', linkDst: '33:33:ff:00:00:02' });
    expect(objects[3]).to.deep.include({ ...ends, layers: ['eth', 'ipv6', 'icmpv6'], checksums: { icmpv6: 'bad' } });
  });

  it('prints what matches an expression, with the numbers that the packets have', async () => {
    const notation = new PacketNotation();
    const lines = ['> udp 1024 > 53 (4)', '> S 0:0(0) win 9', '> udp 1024 > 54 (4)'];
    const path = saved('mixed.pcap', pcap(lines.map((line) => ({ ...AT, data: notation.build(line).bytes() }))));
    const numbers = async (...args: string[]) => {
      const { code, stdout, stderr } = await run(['dump', ...args]);
      expect({ code, stderr }).to.deep.equal({ code: 0, stderr: '' });
      return stdout
        .split('\n')
        .map((line) => line.split(' ')[0])
        .join(' ')
        .trim();
    };
    expect(await numbers('-r', path, 'udp')).to.equal('1 3');
    expect(await numbers('-r', path, 'udp', 'and', 'not', 'port', '53')).to.equal('3');
    expect(await numbers(path, '--count', '1', '--', 'udp', 'or tcp')).to.equal('1');
    expect(await numbers('-r', path)).to.equal('1 2 3');
    expect(await numbers(path, '--', 'less 20')).to.equal('');
  });

  it('filters by what is behind the headers of cooked captures, and leaves out links that it cannot read', async () => {
    const loopback = Uint8Array.from([2, 0, 0, 0, ...ipPacket().bytes()]);
    const path = saved('null.pcap', pcap([{ ...AT, data: loopback }], 0));
    expect((await run(['dump', '-r', path, 'udp port 53 and len = 32'])).stdout).to.include('1111 > 10.0.0.2.53');
    const other = saved('other.pcap', pcap([{ ...AT, data: loopback }], 148));
    expect((await run(['dump', '-r', other, 'not arp'])).stdout).to.equal('');
    expect((await run(['dump', '-r', other])).stdout).to.include('link type 148');
  });

  it('says where an expression is wrong', async () => {
    const { code, stderr } = await run(['dump', '-r', 'x.pcap', 'tcp', 'prot', '80']);
    expect(code).to.equal(2);
    expect(stderr).to.include('the expression "tcp prot 80": column 5: expected and, or, or the end, not "prot"');
  });

  it('prints JSON with the keys of the documentation, and those that apply', async () => {
    const file = new Gathered();
    const writer = new PcapngWriter(file);
    writer.addInterface({ name: 'tap0' });
    writer.write({ ...AT, data: etherPacket(), originalLength: 100, direction: 'inbound', comment: 'hi' });
    const { stdout } = await run(['dump', '--json', '--hex', saved('a.pcapng', file.bytes)]);
    const [object] = lines(stdout);
    expect(object).to.deep.include({
      n: 1,
      time: '2023-11-14T22:13:20.123456789Z',
      length: 100,
      captured: 46,
      layers: ['eth', 'ipv4', 'udp'],
      src: '10.0.0.1',
      dst: '10.0.0.2',
      sport: 1111,
      dport: 53,
      interface: 'tap0',
      direction: 'inbound',
      comment: 'hi',
      hex: Buffer.from(etherPacket()).toString('hex'),
    });
    expect(object).to.have.nested.property('checksums.ipv4', 'good');
    expect(Object.keys(object ?? {})).not.to.include('malformed');
    const plain = lines((await run(['dump', '--json', saved('a.pcap', three())])).stdout)[0];
    expect(plain).not.to.have.any.keys('captured', 'interface', 'direction', 'comment', 'hex', 'file');
  });

  it('prints no comment that a terminal would obey', async () => {
    const file = new Gathered();
    const writer = new PcapngWriter(file);
    writer.addInterface();
    writer.write({ ...AT, data: etherPacket(), comment: 'a\x1b[2J\x1b]0;x\x07\r\n\x7f\x9bé\u2028z' });
    const { stdout } = await run(['dump', saved('c.pcapng', file.bytes)]);
    expect(stdout).to.match(/: UDP, length 4 # a \[2J \]0;x {5}é z\n$/);
  });

  it('reads raw IP, loopback and cooked captures, and says what else there is', async () => {
    const ip = ipPacket().bytes();
    const at = async (linkType: number, data: Uint8Array) => {
      const { stdout, code } = await run(['dump', '--json', saved('l.pcap', pcap([{ ...AT, data }], linkType))]);
      expect(code).to.equal(0);
      return lines(stdout)[0];
    };
    for (const [linkType, header] of [
      [101, 0],
      [228, 0],
      [0, 4],
      [108, 4],
      [113, 16],
      [276, 20],
    ] as const) {
      const described = await at(linkType, concat(new Uint8Array(header), ip));
      expect(described, `link type ${linkType}`).to.deep.include({
        layers: ['ipv4', 'udp'],
        length: header + ip.length,
      });
      expect(described).not.to.have.property('malformed');
    }
    expect(await at(113, new Uint8Array(3))).to.deep.include({ layers: [], linkType: 113, length: 3 });
    const { stdout } = await run(['dump', saved('l.pcap', pcap([{ ...AT, data: ip }], 148))]);
    expect(stdout).to.match(/link type 148, length 32/);
  });

  it('adds a hexdump with --hex', async () => {
    const { stdout } = await run(['dump', '--hex', '--count', '1', saved('a.pcap', three())]);
    expect(stdout.split('\n')[1]).to.equal('\t0x0000:  0200 0000 0002 0200 0000 0001 0800 4500  ..............E.');
  });

  it('stops after --count packets, over all files', async () => {
    const [a, b] = [saved('a.pcap', three()), saved('b.pcap', three())];
    const { stdout, code } = await run(['dump', '--json', '-c', '4', a, b]);
    expect(code).to.equal(0);
    expect(lines(stdout).map(({ n, file }) => [n, file])).to.deep.equal([
      [1, a],
      [2, a],
      [3, a],
      [1, b],
    ]);
    expect((await run(['dump', a, b])).stdout).to.match(/^.*a\.pcap:\n1 [^]*\n.*b\.pcap:\n1 /);
  });

  it('stops within a chunk that is broken behind the last packet wanted', async () => {
    const bytes = concat(three(), new Uint8Array(16).fill(0xff));
    expect(await run(['dump', '-c', '3', saved('c.pcap', bytes)])).to.include({ code: 0, stderr: '' });
  });

  it('reads standard input, in chunks of any size', async () => {
    const stdin = new PassThrough();
    for (const byte of three()) stdin.write(Uint8Array.of(byte));
    stdin.end();
    const { stdout, code } = await run(['dump', '-'], { stdin });
    expect([code, stdout.split('\n').length]).to.deep.equal([0, 4]);
  });

  it('says of a file that is cut short or broken what it is, after the packets before, and goes on with the next', async () => {
    const good = saved('good.pcap', three());
    const cut = saved('cut.pcap', three().subarray(0, -1));
    const bad = saved('bad.pcap', concat(three(), new Uint8Array(16).fill(0xff)));
    const empty = saved('empty.pcap', new Uint8Array(0));
    const none = join(directory, 'none');
    const { code, stdout, stderr } = await run(['dump', '--json', cut, bad, empty, none, directory, good]);
    expect(code).to.equal(1);
    expect(lines(stdout).length).to.equal(8);
    expect(stderr.split('\n')).to.deep.equal([
      `rx-netstack dump: ${cut}: the file is cut short`,
      `rx-netstack dump: ${bad}: bad capture at offset 218: a packet of 4294967295 bytes is longer than 262144`,
      `rx-netstack dump: ${empty}: empty or cut short: not a capture`,
      `rx-netstack dump: ${none}: no such file or directory (ENOENT)`,
      `rx-netstack dump: ${directory}: illegal operation on a directory (EISDIR)`,
      '',
    ]);
  });

  it('ends in an exit code on any bytes', async () => {
    const seeds = [three(), new Uint8Array(0)];
    const file = new Gathered();
    new PcapngWriter(file).addInterface({ name: 'x' });
    seeds.push(file.bytes);
    if (existsSync(CAPTURES)) {
      for (const name of readdirSync(CAPTURES))
        if (/\.pcap(ng)?$/.test(name)) seeds.push(readFileSync(CAPTURES + name));
    }
    const mutated = fc
      .tuple(
        fc.constantFrom(...seeds),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 8 }),
        fc.nat(),
        fc.boolean(),
      )
      .map(([bytes, changes, end, cut]) => {
        const copy = Uint8Array.from(cut ? bytes.subarray(0, end % (bytes.length + 1)) : bytes);
        for (const [at, value] of changes) if (copy.length > 0) copy[at % Math.min(copy.length, 300)] = value;
        return copy;
      });
    const bytes = fc.oneof(
      { weight: 4, arbitrary: mutated },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }) },
    );
    await fc.assert(
      fc.asyncProperty(bytes, fc.subarray(['--json', '--hex']), async (stdin, options) => {
        const { code, stderr } = await run(['dump', '-', ...options], { stdin });
        expect(code).to.be.oneOf([0, 1]);
        expect(stderr.split('\n').length).to.equal(code === 0 ? 1 : 2);
      }),
      { numRuns: 150 },
    );
  });

  it('waits for a slow reader, and prints everything', async () => {
    const many = pcap(Array.from({ length: 1000 }, () => ({ ...AT, data: etherPacket() })));
    const { stdout } = await run(['dump', '--json', saved('many.pcap', many)], { highWaterMark: 1 });
    expect(lines(stdout).map(({ n }) => n)).to.deep.equal(Array.from({ length: 1000 }, (_, i) => i + 1));
  });

  it('ends when it is told to, also while it waits for input', async () => {
    const ending = new AbortController();
    const stdin = new PassThrough();
    stdin.write(three());
    const outcome = await run(['dump', '-'], { stdin, signal: ending.signal, onWrite: () => ending.abort() });
    expect(outcome).to.include({ code: 0, stderr: '' });
    expect(outcome.stdout.split('\n').length).to.equal(4);
  });

  it('agrees with tshark on number, length and time of the packets of real captures', async function () {
    if (!existsSync(CAPTURES)) {
      console.warn('SKIPPED: ../shared/captures is not there');
      this.skip();
    }
    for (const name of readdirSync(CAPTURES).filter((each) => /\.pcap(ng)?$/.test(each))) {
      const truth = JSON.parse(readFileSync(`${CAPTURES}${name}.truth.json`, 'utf8')) as {
        frames: { n: number; len: number; t: string }[];
      };
      const { stdout } = await run(['dump', '--json', CAPTURES + name]);
      const seen = stdout === '' ? [] : lines(stdout);
      expect(
        seen.map(({ n, length }) => [n, length]),
        name,
      ).to.deep.equal(truth.frames.map(({ n, len }) => [n, len]));
      const since = seen.map(({ time }) => (Date.parse(String(time)) - Date.parse(String(seen[0]?.['time']))) / 1000);
      since.forEach((t, i) => expect(t, name).to.be.closeTo(Number(truth.frames[i]?.t), 0.002));
    }
  });

  const wrong: readonly [string[], RegExp][] = [
    [['dump'], /name a FILE/],
    [['dump', '--tap', 'x', '-r', 'file'], /not both/],
    [['dump', '--tap', 'x', 'file'], /the expression "file": column 1/],
    [['dump', '-', '-'], /only once/],
    [['dump', '--count', '0', 'x'], /--count N: must be a whole number from 1/],
    [['dump', '--nope'], /Unknown option '--nope' \(see rx-netstack dump --help\)/],
    [['nope'], /unknown command "nope"/],
    [['constructor'], /unknown command "constructor"/],
    [['help', 'nope'], /unknown command "nope"/],
  ];
  for (const [args, message] of wrong) {
    it(`refuses "${args.join(' ')}" with one line and exit code 2`, async () => {
      const { code, stdout, stderr } = await run(args);
      expect([code, stdout]).to.deep.equal([2, '']);
      expect(stderr)
        .to.match(message)
        .and.match(/^[^\n]+\n$/);
    });
  }

  it('explains itself, and the program explains all commands', async () => {
    for (const args of [
      ['dump', '--help'],
      ['dump', 'x', '-h'],
      ['help', 'dump'],
    ]) {
      const { code, stdout } = await run(args);
      expect(code).to.equal(0);
      expect(stdout)
        .to.match(/Usage:\n {2}rx-netstack dump FILE/)
        .and.match(/--count N/)
        .and.match(/Examples:/);
    }
    const { code, stdout } = await run(['--help']);
    expect(code).to.equal(0);
    expect(stdout).to.match(/\n {2}dump +Print/);
  });

  it('says why an interface cannot be opened', async () => {
    const { code, stderr } = await run(['dump', '--tap', 'not/a name']);
    expect(code).to.equal(1);
    expect(stderr).to.match(/^rx-netstack dump: cannot open not\/a name: .*\n$/);
  });

  it('writes times with the digits of the file, whatever the time', () => {
    expect(isoTime(0, 5, 9)).to.equal('1970-01-01T00:00:00.000000005Z');
    expect(isoTime(1, 5_000_999, 6)).to.equal('1970-01-01T00:00:01.005000Z');
    expect(isoTime(1, 5, 0)).to.equal('1970-01-01T00:00:01Z');
    expect(isoTime(-1, 5, 9)).to.equal('1969-12-31T23:59:59.000000005Z');
    expect(isoTime(2 ** 60, 5, 3)).to.equal(`@${2 ** 60}.000`);
  });

  describe('as a process', function () {
    this.timeout(20_000);
    const node = ['--import=tsx', MAIN];

    it('reads a pipe and exits with 1 and a message where it is broken', () => {
      const input = concat(three(), new Uint8Array(16).fill(0xff));
      const { status, stdout, stderr } = spawnSync(process.execPath, [...node, 'dump', '-'], {
        input,
        encoding: 'utf8',
      });
      expect(status).to.equal(1);
      expect(stdout.split('\n').length).to.equal(4);
      expect(stderr).to.match(/^rx-netstack dump: standard input: bad capture at offset 218: [^\n]*\n$/);
    });

    it('ends quietly when nobody reads on (| head)', async () => {
      const many = pcap(Array.from({ length: 50_000 }, () => ({ ...AT, data: etherPacket() })));
      const child = spawn(process.execPath, [...node, 'dump', saved('many.pcap', many)], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let complaints = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => (complaints += text));
      child.stdout.once('data', () => child.stdout.destroy());
      const code = await new Promise((done) => child.once('close', done));
      expect([code, complaints]).to.deep.equal([0, '']);
    });
  });
});
