import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { run } from './command-run.js';

const GOOD = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 32792 <mss 1000>
+0 > S. 0:0(0) ack 1 <mss 1460>
`;

describe('rx-netstack packetdrill', () => {
  let directory = '';

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'packetdrill-'));
    mkdirSync(join(directory, 'sub'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  function file(name: string, text: string): string {
    const path = join(directory, name);
    writeFileSync(path, text);
    return path;
  }

  it('runs the scripts of a directory, over both versions', async () => {
    file('sub/good.pkt', GOOD);
    file('sub/other.txt', 'not a script');
    const { code, stdout, stderr } = await run(['packetdrill', directory]);
    expect(stdout).to.equal(
      `ok ${directory}/sub/good.pkt [ipv4]\nok ${directory}/sub/good.pkt [ipv6]\n2 passed, 0 failed\n`,
    );
    expect({ code, stderr }).to.deep.equal({ code: 0, stderr: '' });
  });

  it('says what failed and where, and fails', async () => {
    const path = file('bad.pkt', GOOD.replace('ack 1 <mss 1460>', 'ack 2 <mss 1460>'));
    const { code, stdout } = await run(['packetdrill', path, '--ip-version', 'ipv4']);
    expect(code).to.equal(1);
    expect(stdout.split('\n')).to.deep.equal([
      `not ok ${path} [ipv4]`,
      `    ${path}:5: other acknowledgment number (at 0.000000)`,
      '    script    > S. 0:0(0) ack 2 <mss 1460>',
      '    expected  > S. 0:0(0) ack 2 <mss 1460>',
      '    actual    > S. 0:0(0) ack 1 win 65535 <mss 1460>',
      '0 passed, 1 failed',
      '',
    ]);
  });

  it('tells what is no script, and goes on with the others', async () => {
    const [bad, good] = [file('a.pkt', '0 nonsense'), file('b.pkt', GOOD)];
    const { code, stdout } = await run(['packetdrill', bad, good, '--ip-version', 'ipv6']);
    expect(code).to.equal(2);
    expect(stdout).to.contain(`not ok ${bad}\n    ${bad}:1:3: expected a packet`);
    expect(stdout).to.contain(`ok ${good} [ipv6]\n1 passed, 0 failed, 1 could not be read\n`);
    expect((await run(['packetdrill', join(directory, 'missing.pkt')])).code).to.equal(2);
  });

  it('takes a script that asserts nothing for an error', async () => {
    const path = file('nothing.pkt', '0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3');
    const { code, stdout } = await run(['packetdrill', path]);
    expect(code).to.equal(2);
    expect(stdout).to.contain('asserts nothing');
  });

  it('prints JSON, a line a run', async () => {
    const { stdout } = await run(['packetdrill', '--json', file('good.pkt', GOOD)]);
    const runs = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(runs.map(({ mode, ok, asserted }) => ({ mode, ok, asserted }))).to.deep.equal([
      { mode: 'ipv4', ok: true, asserted: 1 },
      { mode: 'ipv6', ok: true, asserted: 1 },
    ]);
  });

  it('prints each event when asked to, and writes the packets', async () => {
    const path = file('good.pkt', GOOD);
    const pcap = join(directory, 'run.pcapng');
    const { stdout } = await run(['packetdrill', '-v', path, '--pcap', pcap, '--ip-version', 'all']);
    expect(stdout).to.contain('     5    0.000000 ok: > S. 0:0(0) ack 1 <mss 1460>');
    expect(readdirSync(directory).filter((name) => name.endsWith('.pcapng'))).to.deep.equal([
      'run.good.ipv4-mapped-ipv6.pcapng',
      'run.good.ipv4.pcapng',
      'run.good.ipv6.pcapng',
    ]);
  });

  it('writes the packets of each script to a file of its own, whatever the scripts are called', async () => {
    mkdirSync(join(directory, 'sub/other'));
    const paths = ['same.pkt', 'sub/same.pkt', 'sub/other/same.pkt', 'sub/other-same.pkt'].map((name) =>
      file(name, GOOD),
    );
    const pcap = join(directory, 'run.pcapng');
    const written = () => readdirSync(directory).filter((name) => name.endsWith('.pcapng'));
    const options = ['--pcap', pcap, '--ip-version', 'ipv4'];
    expect((await run(['packetdrill', directory, ...options])).code).to.equal(0);
    const names = ['run.same.ipv4', 'run.sub-other-same-2.ipv4', 'run.sub-other-same.ipv4', 'run.sub-same.ipv4'];
    expect(written()).to.deep.equal(names.map((name) => `${name}.pcapng`));
    for (const name of written()) rmSync(join(directory, name));
    expect((await run(['packetdrill', ...paths.slice(1, 3), ...options])).code).to.equal(0);
    expect(written()).to.deep.equal(['run.other-same.ipv4.pcapng', 'run.same.ipv4.pcapng']);
  });

  it('says which file it cannot write', async () => {
    const pcap = join(directory, 'missing', 'run.pcapng');
    const { code, stderr } = await run(['packetdrill', file('good.pkt', GOOD), '--pcap', pcap, '--ip-version', 'ipv4']);
    expect(stderr).to.equal(`rx-netstack packetdrill: cannot write ${pcap}: no such file or directory (ENOENT)\n`);
    expect(code).to.equal(1);
  });

  it('complains where there is nothing to run', async () => {
    file('sub/other.txt', 'not a script');
    for (const more of [[], [file('good.pkt', GOOD)]]) {
      const { code, stdout, stderr } = await run(['packetdrill', join(directory, 'sub'), ...more]);
      expect(stderr).to.equal(`rx-netstack packetdrill: ${join(directory, 'sub')}: no .pkt file is in it\n`);
      expect(stdout).to.contain(`${2 * more.length} passed, 0 failed, 1 could not be read\n`);
      expect(code).to.equal(2);
    }
  });

  it('puts in words, takes a profile, and is strict when told to', async () => {
    const path = file('words.pkt', GOOD.replace('mss 1460', 'mss MSS'));
    expect((await run(['packetdrill', path, '-D', 'MSS=1460', '--strict', '--profile', 'freebsd'])).code).to.equal(0);
    expect((await run(['packetdrill', path])).code).to.equal(2);
  });

  it('refuses a command line that is wrong', async () => {
    for (const args of [
      [],
      ['--profile', 'bsd', 'x'],
      ['-D', 'X', 'x'],
      ['--ip-version', 'ipv5', 'x'],
      ['--nonsense', 'x'],
    ]) {
      expect((await run(['packetdrill', ...args])).code, args.join(' ')).to.equal(2);
    }
  });
});
