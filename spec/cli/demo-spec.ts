import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { CaptureReader } from '../../lib/capture/reader.js';
import { Frame } from '../../lib/core/frame.js';
import { describe as describePacket } from '../../lib/text/describe.js';
import { run } from './command-run.js';

/** Time and speaker of each printed line: what does not depend on the time of day. */
function course(stdout: string): readonly string[] {
  return stdout.split('\n').flatMap((line) => /^ *\d+\.\d{3} {2}\w+/.exec(line)?.[0] ?? []);
}

describe('rx-netstack demo', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'rx-demo-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('fetches the page over a bad cable, prints the packets, and leaves nothing', async () => {
    const { code, stdout, stderr } = await run(['demo', '--pcap', join(directory, 'a.pcapng')]);
    expect(stderr).to.equal('');
    expect(stdout).to.match(/client {2}ARP, Request who-has 10\.0\.0\.2 tell 10\.0\.0\.1\n/);
    expect(stdout).to.match(/server {2}IP 10\.0\.0\.2\.80 > 10\.0\.0\.1\.\d+: Flags \[S\.\]/);
    expect(stdout).to.match(/cable {3}link-loss, from (client|server)\n/);
    expect(stdout).to.match(/\npage +[\d,]+ bytes, right to the last one\n/);
    expect(stdout).to.contain('left over  no connection, no frame, no timer\n');
    expect(stdout).to.contain(`capture    ${join(directory, 'a.pcapng')} `);
    expect(code).to.equal(0);
  });

  it('keeps what the client sent and received in a capture', async () => {
    const path = join(directory, 'b.pcapng');
    const { stdout } = await run(['demo', '--pcap', path]);
    const reader = new CaptureReader();
    reader.push(readFileSync(path));
    const directions = { inbound: 0, outbound: 0, none: 0 };
    let segments = 0;
    for (let record = reader.next(); record !== undefined; record = reader.next()) {
      directions[record.direction ?? 'none']++;
      if (describePacket(Frame.from(record.data)).layers.includes('tcp')) segments++;
    }
    expect(reader.end()).to.equal('complete');
    const [, sent, received] = /client +sent (\d+) packets \(\d+ again\), received (\d+)/.exec(stdout) ?? [];
    expect(directions).to.deep.equal({ inbound: Number(received), outbound: Number(sent), none: 0 });
    expect(segments).to.be.above(20);
  });

  it('takes the same course for the same seed, and another for another', async () => {
    const courseOf = async (seed: string) =>
      course((await run(['demo', '--seed', seed, '--pcap', join(directory, 'c.pcapng')])).stdout);
    const first = await courseOf('3');
    expect(first).to.have.length.above(20);
    expect(await courseOf('3')).to.deep.equal(first);
    expect(await courseOf('4')).to.not.deep.equal(first);
  });

  it('succeeds where the page came through right, and only there', async () => {
    const codes = new Set<number>();
    for (let seed = 1; seed <= 30; seed++) {
      const args = ['demo', '--loss', '40', '--seed', String(seed), '--pcap', join(directory, 'd.pcapng')];
      const { code, stdout } = await run(args);
      const right = /\npage +[\d,]+ bytes, right to the last one\n/.test(stdout);
      expect(stdout).to.contain('left over  no connection, no frame, no timer\n');
      if (!right) expect(stdout).to.match(/\npage +did not come: \S/);
      expect(code, stdout).to.equal(right ? 0 : 1);
      codes.add(code);
    }
    expect([...codes]).to.have.members([0, 1]);
  });

  it('runs where no command is named', async () => {
    const { code, stdout } = await run(['--pcap', join(directory, 'e.pcapng')]);
    expect(stdout).to.match(/^Two hosts/);
    expect(code).to.equal(0);
  });

  it('says in one line what it cannot do', async () => {
    const missing = join(directory, 'no', 'f.pcapng');
    expect(await run(['demo', '--pcap', missing])).to.deep.equal({
      code: 1,
      stdout: '',
      stderr: `rx-netstack demo: cannot write ${missing}: no such file or directory (ENOENT)\n`,
    });
    for (const args of [['--loss', '41'], ['--seed', '-1'], ['now'], ['--fast']]) {
      const { code, stderr } = await run(['demo', ...args]);
      expect(stderr).to.match(/^rx-netstack demo: .*\(see rx-netstack demo --help\)\n$/);
      expect(code).to.equal(2);
    }
  });
});
