import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { LinkType } from '../../lib/capture/capture.js';
import { PcapngWriter } from '../../lib/capture/pcapng-writer.js';
import { Frame } from '../../lib/core/frame.js';
import { ERGOT_ETHER_TYPE, pushErgotShim } from '../../lib/ergot/index.js';
import { EthernetFrame, EtherType } from '../../lib/wire/ethernet.js';
import { IpProtocol } from '../../lib/wire/ip.js';
import { Ipv4Packet } from '../../lib/wire/ipv4.js';
import { UdpDatagram } from '../../lib/wire/udp.js';
import { Gathered } from '../lib/capture/capture-bytes.js';
import { unhex } from '../lib/ergot/bytes.js';
import { run } from './command-run.js';

const PING = unhex('8104800200010f595266702593fff0002a');
const ADDRESS = 0x02_00_00_00_00_01;
const LINE = 'ergot 0.2:1 > 0.1:0: request ergot/.well-known/ping (42), seq 0, ttl 15, length 1';

function overEthernet(): Uint8Array {
  const frame = Frame.from(PING);
  pushErgotShim(frame);
  EthernetFrame.emit(frame, ADDRESS, ADDRESS, ERGOT_ETHER_TYPE);
  return frame.bytes();
}

function overUdp(port: number): Uint8Array {
  const frame = Frame.from(PING);
  UdpDatagram.emit(frame, 1111, port, 0);
  frame.slab.view.setUint16(frame.start + 6, 0);
  Ipv4Packet.emit(frame, { source: 0x0a000001, destination: 0x0a000002, protocol: IpProtocol.Udp });
  EthernetFrame.emit(frame, ADDRESS, ADDRESS, EtherType.Ipv4);
  return frame.bytes();
}

describe('rx-netstack ergot sniff', () => {
  let directory = '';
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'rx-netstack-sniff-'));
  });
  after(() => rmSync(directory, { recursive: true }));

  /** A capture with frames of ergot on all that can carry them, and with others. */
  function saved(): string {
    const file = new Gathered();
    const writer = new PcapngWriter(file);
    const ethernet = writer.addInterface({ name: 'eth', linkType: LinkType.Ethernet });
    const ergot = writer.addInterface({ name: 'link', linkType: LinkType.Ergot });
    const at = { seconds: 1_700_000_000, nanoseconds: 0 };
    for (const data of [overEthernet(), overUdp(2025), overUdp(53)]) {
      writer.write({ ...at, interfaceId: ethernet, data });
    }
    for (const data of [PING, PING.subarray(0, 3)]) writer.write({ ...at, interfaceId: ergot, data });
    const path = join(directory, 'mixed.pcapng');
    writeFileSync(path, file.bytes);
    return path;
  }

  it('prints the frames in whatever carries them, with the numbers that they have, and why some are malformed', async () => {
    const { code, stdout, stderr } = await run(['ergot', 'sniff', saved()]);
    expect({ code, stderr }).to.deep.equal({ code: 0, stderr: '' });
    expect(stdout.replaceAll(/ 2023\S+/g, '')).to.equal(
      `1 ${LINE}\n2 IP 10.0.0.1.1111 > 10.0.0.2.2025: ${LINE}\n4 ${LINE}\n5 ergot, length 3 [ergot-truncated]\n`,
    );
  });

  it('reads other ports and other addresses if it is told to', async () => {
    const numbers = async (...args: string[]): Promise<string> => {
      const { stdout } = await run(['ergot', 'sniff', saved(), ...args]);
      return stdout.replaceAll(/ .*\n/g, ' ').trim();
    };
    expect(await numbers()).to.equal('1 2 4 5');
    expect(await numbers('--port', '53')).to.equal('1 3 4 5');
    expect(await numbers('--count', '2')).to.equal('1 2');
    const { stdout } = await run(['ergot', 'sniff', '--phone', saved()]);
    expect(stdout).to.contain('[ergot-bad-header]').and.not.contain('0.2:1');
  });

  it('prints JSON with what the frame says', async () => {
    const { stdout } = await run(['ergot', 'sniff', '--json', saved()]);
    const objects = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(objects.map(({ layers }) => layers)).to.deep.equal([
      ['eth', 'ergot'],
      ['eth', 'ipv4', 'udp', 'ergot'],
      ['ergot'],
      ['ergot'],
    ]);
    expect(objects[2]).to.have.nested.property('ergot.path', 'ergot/.well-known/ping');
    expect(objects[2]).to.include({ n: 4, interface: 'link', length: 17 });
    expect(objects[3]).to.include({ malformed: 'ergot-truncated' });
  });

  it('says what is wrong with a file', async () => {
    const { code, stderr } = await run(['ergot', 'sniff', join(directory, 'none')]);
    expect(code).to.equal(1);
    expect(stderr).to.match(/^rx-netstack ergot sniff: .*none: no such file or directory \(ENOENT\)\n$/);
  });
});
