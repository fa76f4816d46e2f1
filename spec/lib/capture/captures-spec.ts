/** Our reader against tshark's account of real files, and tshark as the reader of ours. */

import { type ExecFileSyncOptionsWithStringEncoding, execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { PcapWriter } from '../../../lib/capture/pcap.js';
import { PcapngWriter } from '../../../lib/capture/pcapng-writer.js';
import { Gathered, readOut } from './capture-bytes.js';

const CAPTURES = new URL('../../../../shared/captures/', import.meta.url).pathname;

interface Truth {
  readonly truncatedAt: number | null;
  readonly frames: readonly { readonly t: string; readonly len: number; readonly cap: number }[];
}

function captures(): string[] {
  return readdirSync(CAPTURES).filter((name) => /\.pcap(ng)?$/.test(name));
}

describe('captures of real traffic', () => {
  before(function () {
    if (existsSync(CAPTURES)) return;
    console.warn('SKIPPED: ../shared/captures is not there');
    this.skip();
  });

  it('are read as tshark reads them: count, lengths, times', () => {
    for (const name of captures()) {
      const truth = JSON.parse(readFileSync(`${CAPTURES}${name}.truth.json`, 'utf8')) as Truth;
      const { records, end } = readOut(readFileSync(CAPTURES + name), 1000);
      const origin = records[0];
      const seen = records.map(({ seconds, nanoseconds, capturedLength, originalLength }) => {
        const since =
          BigInt(seconds - (origin?.seconds ?? 0)) * 10n ** 9n + BigInt(nanoseconds - (origin?.nanoseconds ?? 0));
        return { t: decimal(since), len: originalLength, cap: capturedLength };
      });
      expect(seen, name).to.deep.equal(truth.frames.map(({ t, len, cap }) => ({ t, len, cap })));
      expect(end, name).to.equal(truth.truncatedAt === null ? 'complete' : end);
    }
  });

  it('never make the reader throw anything else when bytes of them are changed', () => {
    let seed = 1;
    const random = (below: number) => (seed = (seed * 48_271) % 0x7fff_ffff) % below;
    for (const name of captures()) {
      const bytes = Uint8Array.from(readFileSync(CAPTURES + name));
      for (let i = 0; i < 5; i++) bytes[random(Math.min(bytes.length, 400))] = random(256);
      readOut(bytes, 1 + random(5000));
    }
  });
});

/** Nanoseconds as tshark prints relative times. */
function decimal(nanoseconds: bigint): string {
  const magnitude = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  const text = `${magnitude / 10n ** 9n}.${String(magnitude % 10n ** 9n).padStart(9, '0')}`;
  return nanoseconds < 0n ? `-${text}` : text;
}

describe('tshark and capinfos', () => {
  const packets = [
    { seconds: 1_700_000_000, nanoseconds: 123_456_000, data: Uint8Array.from({ length: 60 }, (_, i) => i) },
    { seconds: 1_700_000_001, nanoseconds: 1000, data: new Uint8Array(14), originalLength: 99 },
  ];
  const fields = [
    'frame.time_epoch',
    'frame.len',
    'frame.cap_len',
    'frame.interface_name',
    'frame.packet_flags_direction',
    'frame.comment',
  ];
  let directory = '';

  before(function () {
    this.timeout(20_000);
    if (spawnSync('tshark', ['-v']).status !== 0 || spawnSync('capinfos', ['-v']).status !== 0) {
      console.warn('SKIPPED: tshark and capinfos are not installed');
      this.skip();
    }
    directory = mkdtempSync(join(tmpdir(), 'rx-netstack-capture-'));
  });
  after(() => {
    if (directory !== '') rmSync(directory, { recursive: true });
  });

  function tshark(bytes: Uint8Array): { lines: string[]; info: string } {
    const file = join(directory, 'x');
    writeFileSync(file, bytes);
    const options: ExecFileSyncOptionsWithStringEncoding = { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] };
    const out = execFileSync(
      'tshark',
      ['-r', file, '-T', 'fields', ...fields.flatMap((name) => ['-e', name])],
      options,
    );
    return {
      lines: out.replace(/\n$/, '').split('\n'),
      info: execFileSync('capinfos', ['-t', '-E', '-c', file], options),
    };
  }

  it('read our pcap, in every byte order and precision', function () {
    this.timeout(30_000);
    for (const [littleEndian, precision] of [
      [true, 'us'],
      [false, 'ns'],
    ] as const) {
      const file = new Gathered();
      const writer = new PcapWriter(file, { littleEndian, precision });
      for (const packet of packets) writer.write(packet);
      const { lines, info } = tshark(file.bytes);
      expect(lines.map((line) => line.split('\t').slice(0, 3))).to.deep.equal([
        ['1700000000.123456000', '60', '60'],
        ['1700000001.000001000', '99', '14'],
      ]);
      expect(info)
        .to.match(/Ethernet/)
        .and.match(/Number of packets.*2/);
    }
  });

  it('read our pcapng: names, directions, comments, nanoseconds', function () {
    this.timeout(30_000);
    for (const littleEndian of [true, false]) {
      const file = new Gathered();
      const writer = new PcapngWriter(file, { littleEndian, comment: 'spec', application: 'rx-netstack' });
      writer.addInterface({ name: 'left' });
      writer.addInterface({ name: 'right', description: 'the other end' });
      const [first, second] = packets;
      if (first === undefined || second === undefined) throw new Error('two packets');
      writer.write({ ...first, nanoseconds: 123_456_789, direction: 'inbound', comment: 'dropped: ipv4-bad-checksum' });
      writer.write({ ...second, interfaceId: 1, direction: 'outbound' });
      const { lines, info } = tshark(file.bytes);
      expect(lines.map((line) => line.split('\t'))).to.deep.equal([
        ['1700000000.123456789', '60', '60', 'left', '0x00000001', 'dropped: ipv4-bad-checksum'],
        ['1700000001.000001000', '99', '14', 'right', '0x00000002', ''],
      ]);
      expect(info)
        .to.match(/pcapng/)
        .and.match(/Number of packets.*2/);
    }
  });
});
