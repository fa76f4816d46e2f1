/**
 * What a host of ours puts on the wire, recorded, and judged by tshark: no malformed packet, and every checksum verified and good.
 * The kernel that received it is asked as well: it counts bad checksums and bad headers of all frames, also of those left out here.
 *
 * Verifying needs whole packets, so a long transfer is not cut to a snapshot length, but thinned.
 */

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import type { MonoTypeOperatorFunction } from 'rxjs';
import { FileSink } from '../../drivers/file-sink.js';
import { PcapngWriter } from '../../lib/capture/pcapng-writer.js';
import type { Env } from '../../lib/core/env.js';
import type { RxFrame, TxFrame } from '../../lib/core/frame.js';
import { capture } from '../../operators/observe/capture.js';
import type { Namespace } from './namespace.js';

const execute = promisify(execFile);

/** Of each host: all frames up to this many, then one in so many. */
const WHOLE = 2000;
const ONE_IN = 61;

const FIELDS = [
  'frame.number',
  'frame.packet_flags_direction',
  'ip.checksum.status',
  'tcp.checksum.status',
  'udp.checksum.status',
  'icmp.checksum.status',
  'icmpv6.checksum.status',
  '_ws.malformed',
  'frame.protocols',
] as const;
// frame.packet_flags_direction and *.checksum.status as tshark prints them.
const OUTBOUND = 2;
const BAD = '0';
const GOOD = '1';
/** Whose checksums are counted. */
const CHECKED = ['ip', 'tcp', 'udp', 'icmp', 'icmpv6'] as const;

/** What tshark says about the frames that were sent. */
export interface Verdict {
  /** How many frames were judged. */
  readonly frames: number;
  /** How many had a checksum of this protocol that is verified to be good. */
  readonly good: Readonly<Record<(typeof CHECKED)[number], number>>;
  /** One line per frame that is malformed or has a bad checksum. */
  readonly wrong: readonly string[];
}

/** A capture file that any number of hosts record into. */
export class Recording {
  readonly path: string;
  private readonly directory: string;
  private readonly file: FileSink;
  private readonly writer: PcapngWriter;

  constructor() {
    this.directory = mkdtempSync(join(tmpdir(), 'rxns-'));
    this.path = join(this.directory, 'wire.pcapng');
    this.file = new FileSink(this.path);
    this.writer = new PcapngWriter(this.file);
  }

  /** Records what is sent; to stand behind the host, and before anything that spoils frames on purpose. */
  outgoing(env: Env): MonoTypeOperatorFunction<TxFrame> {
    return capture<TxFrame>(this.writer, { direction: 'outbound', filter: thinned() }, env);
  }

  /** Records what is received, for tests that look at both directions. */
  incoming(env: Env): MonoTypeOperatorFunction<RxFrame> {
    return capture<RxFrame>(this.writer, { direction: 'inbound', filter: thinned() }, env);
  }

  /** Lines of tshark for the frames that a display filter lets through. */
  async tshark(filter: string, ...options: readonly string[]): Promise<string[]> {
    this.file.flush();
    const checks = ['ip', 'tcp', 'udp'].flatMap((name) => ['-o', `${name}.check_checksum:TRUE`]);
    // Each packet is judged by itself: with frames left out, tshark's own stream reassembly finds faults that nobody sent.
    const settings = [...checks, '-o', 'tcp.desegment_tcp_streams:FALSE'];
    const { stdout } = await execute('tshark', ['-n', '-r', this.path, ...settings, '-Y', filter, ...options], {
      maxBuffer: 256 * 1024 * 1024,
      timeout: 60_000,
    });
    return stdout.split('\n').filter((line) => line !== '');
  }

  /** Asks tshark about everything that was sent. */
  async judge(): Promise<Verdict> {
    const fields = ['-T', 'fields', ...FIELDS.flatMap((field) => ['-e', field])];
    // A segment in the middle of a stream may look like the bad beginning of any protocol; a query and its answer by TCP are whole.
    const contents = ['-d', 'tcp.port==1-65535,data', '-d', 'tcp.port==53,dns'];
    const lines = await this.tshark(`frame.packet_flags_direction == ${OUTBOUND}`, ...contents, ...fields);
    const good = { ip: 0, tcp: 0, udp: 0, icmp: 0, icmpv6: 0 };
    const wrong: string[] = [];
    for (const line of lines) {
      const [, , ip = '', tcp = '', udp = '', icmp = '', icmpv6 = '', malformed = '', protocols = ''] =
        line.split('\t');
      const statuses = { ip, tcp, udp, icmp, icmpv6 };
      // Behind the first there is what an ICMP error quotes.
      for (const name of CHECKED) if (statuses[name].startsWith(GOOD)) good[name]++;
      const bad = Object.values(statuses).some((status) => status.split(',').includes(BAD));
      const unverified = protocols.split(':').includes('ip') && !ip.startsWith(GOOD);
      if (bad || unverified || malformed !== '') wrong.push(line);
    }
    return { frames: lines.length, good, wrong };
  }

  /** Holds that tshark finds nothing wrong, and removes the file; where it does find something, the file stays. */
  async expectSound(least: Partial<Verdict['good']> & { readonly frames?: number } = {}): Promise<void> {
    const { frames, good, wrong } = await this.judge();
    expect(wrong, `see ${this.path}`).to.deep.equal([]);
    expect(frames).to.be.at.least(least.frames ?? 1);
    for (const name of CHECKED) {
      expect(good[name], `verified ${name} checksums`).to.be.at.least(least[name] ?? 0);
    }
    this.remove();
  }

  /** Closes and removes the file. */
  remove(): void {
    this.file.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function thinned(): () => boolean {
  let index = 0;
  return () => index++ < WHOLE || index % ONE_IN === 0;
}

// Counters of /proc/net/snmp and snmp6 that say: what you sent was broken. Tcp.InErrs is not among them: it also counts a SYN-ACK that was sent
// again because the kernel's ACK was lost.
const COMPLAINTS = [
  'Ip.InHdrErrors',
  'Icmp.InErrors',
  'Icmp.InCsumErrors',
  'Tcp.InCsumErrors',
  'Udp.InErrors',
  'Udp.InCsumErrors',
  'Ip6InHdrErrors',
  'Icmp6InErrors',
  'Icmp6InCsumErrors',
  'Udp6InErrors',
  'Udp6InCsumErrors',
] as const;

/** What the kernel of a namespace counted as broken, by counter; empty if nothing was. */
export async function complaints(namespace: Namespace): Promise<Record<string, number>> {
  const { stdout } = await namespace.run('cat', ['/proc/net/snmp']);
  const { stdout: version6 } = await namespace.run('cat', ['/proc/net/snmp6']);
  const lines = stdout.trim().split('\n');
  const counters = new Map<string, number>();
  for (let i = 0; i + 1 < lines.length; i += 2) {
    const names = lines[i]?.split(' ') ?? [];
    const values = lines[i + 1]?.split(' ') ?? [];
    names.slice(1).forEach((name, at) => counters.set(`${names[0]?.replace(':', '.')}${name}`, Number(values[at + 1])));
  }
  for (const line of version6.trim().split('\n')) {
    const [name = '', value] = line.split(/\s+/);
    counters.set(name, Number(value));
  }
  const found: Record<string, number> = {};
  for (const name of COMPLAINTS) {
    const value = counters.get(name);
    if (value === undefined) throw new Error(`the kernel does not count ${name}`);
    if (value > 0) found[name] = value;
  }
  return found;
}
