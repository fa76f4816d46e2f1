import { expect } from 'chai';
import { text } from 'node:stream/consumers';
import { captureTime, LinkType } from '../../../lib/capture/capture.js';
import { PcapWriter, type PcapWriterOptions } from '../../../lib/capture/pcap.js';
import { CaptureReader } from '../../../lib/capture/reader.js';
import { nodeNet } from '../../../lib/socket/index.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import { fold, sum16 } from '../../../lib/wire/checksum.js';
import { IpProtocol } from '../../../lib/wire/ip.js';
import { Ipv4Packet, ipv4PseudoHeaderSum } from '../../../lib/wire/ipv4.js';
import {
  type Network,
  network,
  recordTcp,
  seriesOfCapture,
  type TcpSeries,
  throughput,
  toCsv,
  toJson,
  toSvg,
} from '../../../operators/testing/index.js';
import { frameOf } from '../../lib/wire/frames.js';

const LENGTH = 400_000;

interface Run {
  readonly net: Network<'a' | 'b', 'lan'>;
  readonly series: readonly TcpSeries[];
}

/** A transfer from b to a over a path that loses, recorded at b; or not recorded at all. */
async function transfer(record = true, version: 4 | 6 = 4): Promise<Run> {
  const net = network({
    seed: 3,
    hosts: { a: ['10.0.0.1/24', 'fd00::1/64'], b: ['10.0.0.2/24', 'fd00::2/64'] },
    links: { lan: { capture: true, impair: { delay: 20, rate: 10e6, queueFrames: 40, loss: 0.01 } } },
  });
  const recording = record ? recordTcp(net, 'b') : undefined;
  nodeNet(net.hosts.b.tcp, { timers: net.hosts.b.env.timers })
    .createServer((socket) => socket.end(Buffer.alloc(LENGTH, 'x')))
    .listen(80);
  const { connect } = nodeNet(net.hosts.a.tcp, { timers: net.hosts.a.env.timers });
  const received = await net.runUntilSettled(text(connect(80, version === 4 ? '10.0.0.2' : 'fd00::2')));
  expect(received).to.have.length(LENGTH);
  net.run();
  recording?.stop();
  net.assertIdle();
  return { net, series: recording?.series ?? [] };
}

function only(series: readonly TcpSeries[]): TcpSeries {
  expect(series).to.have.length(1);
  return series[0] as TcpSeries;
}

/** The packets of one interface of a capture, as a file that does not say which way they went. */
function undirected(file: Uint8Array, interfaceName: string): Uint8Array {
  const chunks: Uint8Array[] = [];
  const writer = new PcapWriter({ write: (bytes) => void chunks.push(bytes) }, { precision: 'ns' });
  const reader = new CaptureReader();
  reader.push(file);
  for (let record = reader.next(); record !== undefined; record = reader.next()) {
    if (reader.interfaces[record.interfaceId]?.name === interfaceName) writer.write(record);
  }
  return Buffer.concat(chunks);
}

/** A pcap file of packets between 10.0.0.1 port 1000 (`>`) and 10.0.0.2 port 80 (`<`), one each second. */
function pcapOf(lines: readonly string[]): Uint8Array {
  const notation = new PacketNotation(ENDS);
  return pcapWith(lines.map((line) => notation.build(line).bytes()));
}

/** A pcap file of packets, one each second. */
function pcapWith(packets: readonly Uint8Array[], options: PcapWriterOptions = {}): Uint8Array {
  const chunks: Uint8Array[] = [];
  const writer = new PcapWriter({ write: (bytes) => void chunks.push(bytes) }, options);
  for (const [i, data] of packets.entries()) writer.write({ ...captureTime(1000 * i), data });
  return Buffer.concat(chunks);
}

/** A TCP segment in an IPv4 packet, its header from the fifth word on as hex; its checksum is good. */
function segmentOf(words: string): Uint8Array {
  const frame = frameOf(`03e80050 00000001 00000001 ${words}`);
  const { view } = frame.slab;
  const [source, destination] = [0x0a00_0001, 0x0a00_0002];
  const sum = ipv4PseudoHeaderSum(source, destination, IpProtocol.Tcp, frame.length);
  view.setUint16(frame.start + 16, ~fold(sum16(view, frame.start, frame.end, sum)) & 0xffff);
  Ipv4Packet.emit(frame, { source, destination, protocol: IpProtocol.Tcp });
  return frame.bytes();
}

const ENDS = { local: '10.0.0.1', localPort: 1000, remote: '10.0.0.2', remotePort: 80 };
const CLIENT = '10.0.0.1:1000';
const SERVER = '10.0.0.2:80';

/** Who is the local end of each connection of a capture, and what was sent, received and acknowledged. */
function flowsOf(lines: readonly string[]) {
  const ranges = (all: TcpSeries['received']) => all.map(({ from, to }) => [from, to]);
  return seriesOfCapture(pcapOf(lines)).map(({ local, sent, received, acked }) => ({
    local,
    sent: ranges(sent),
    received: ranges(received),
    acked: acked.map(({ value }) => value),
  }));
}

describe('TCP series', () => {
  let run: Run;
  let one: TcpSeries;
  before(async () => {
    run = await transfer();
    one = only(run.series);
  });

  it('say what was sent, sent again and acknowledged, in bytes of the stream', () => {
    expect(one.name).to.equal('b');
    expect([one.local, one.remote]).to.satisfy(
      ([local, remote]: string[]) => local === '10.0.0.2:80' && remote?.startsWith('10.0.0.1:'),
    );
    const fresh = one.sent.filter(({ again }) => !again);
    // What was new covers the stream, without a gap.
    expect(fresh[0]?.from).to.equal(0);
    for (const [i, { from }] of fresh.entries()) if (i > 0) expect(from).to.equal(fresh[i - 1]?.to);
    expect(fresh.at(-1)?.to).to.equal(LENGTH);
    expect(one.sent.length - fresh.length).to.equal(run.net.hosts.b.tcp.counters.retransmits);
    expect(one.sent.length).to.be.greaterThan(fresh.length);
    // The FIN takes a number, too.
    expect(one.acked.at(-1)?.value).to.equal(LENGTH + 1);
    for (const [i, { value, time }] of one.acked.entries()) {
      expect(value).to.be.greaterThan(one.acked[i - 1]?.value ?? 0);
      expect(time).to.be.at.least(one.acked[i - 1]?.time ?? 0);
    }
    for (const { from, to } of one.sacked) expect(from).to.be.below(to).and.at.least(0);
    expect(one.windowEdge.every(({ value }, i) => value >= (one.acked[i]?.value ?? 0) || i > 0)).to.equal(true);
    expect(one.received).to.deep.equal([]);
  });

  it('say what the connection believed, whenever that changed', () => {
    const { states } = one;
    const established = states.filter(({ srtt }) => srtt > 0);
    expect(established.length).to.be.greaterThan(50);
    expect(
      established.some(({ cwnd }, i) => cwnd < (established[i - 1]?.cwnd ?? 0)),
      'window shrank',
    ).to.equal(true);
    expect(established[0]?.ssthresh).to.equal(-1);
    expect(established.at(-1)?.ssthresh).to.be.greaterThan(0);
    for (const { inFlight, srtt, rto } of established) {
      expect(inFlight).to.be.within(0, LENGTH);
      expect(srtt).to.be.within(40, 150);
      expect(rto).to.be.greaterThan(srtt);
    }
    for (const [i, { time, ...rest }] of states.entries()) {
      const { time: before = 0, ...last } = states[i - 1] ?? {};
      expect(time).to.be.at.least(before);
      expect(rest).to.not.deep.equal(last);
    }
  });

  it('see the same in a capture of the link, without the states', () => {
    const [captured] = seriesOfCapture(run.net.links.lan.pcapng(), 'b.lan');
    const { name, states, ...rest } = captured as TcpSeries;
    const { name: _, states: __, ...live } = one;
    expect(name).to.equal('b.lan');
    expect(states).to.deep.equal([]);
    // A capture's times are in whole nanoseconds.
    const round = (key: string, value: unknown) =>
      key === 'time' || key === 'start' ? Number(Number(value).toFixed(4)) : value;
    const plain = (series: object): unknown => JSON.parse(toJson([{ name, states, ...series } as TcpSeries]), round);
    expect(plain(rest)).to.deep.equal(plain(live));
    const received = seriesOfCapture(run.net.links.lan.pcapng(), 'a.lan')[0]?.received ?? [];
    // The other end received what the link did not lose.
    expect(received.length).to.be.within(one.sent.length * 0.9, one.sent.length);
  });

  it('see both directions where a capture does not say them: what was heard first went out', () => {
    const file = run.net.links.lan.pcapng();
    const seen = only(seriesOfCapture(undirected(file, 'a.lan')));
    const { name, ...rest } = only(seriesOfCapture(file, 'a.lan'));
    expect({ ...seen, name }).to.deep.equal({ name, ...rest });
    expect(seen.received.length).to.be.greaterThan(100);
    expect(seen.windowEdge).to.not.deep.equal([]);
  });

  it('begin anew with a SYN that is another than before, whatever else it says, and whoever sends it', () => {
    const first = [
      '> S 0:0(0)',
      '> S 0:0(0)',
      '< S. 0:0(0) ack 1',
      '> . 1:1(0) ack 1',
      '> P. 1:11(10) ack 1',
      '< P. 1:6(5) ack 11',
      '< R. 6:6(0) ack 11',
    ];
    const one = { local: CLIENT, sent: [[0, 10]], received: [[0, 5]], acked: [10] };
    expect(flowsOf(first)).to.deep.equal([one]);
    const again = ['> SEW 5000:5000(0)', '< SE. 7000:7000(0) ack 5001', '> P. 5001:5004(3) ack 7001'];
    const two = { local: CLIENT, sent: [[0, 3]], received: [], acked: [] };
    expect(flowsOf([...first, ...again])).to.deep.equal([one, two]);
    const back = ['< S 7000:7000(0)', '> S. 5000:5000(0) ack 7001', '< P. 7001:7004(3) ack 5001'];
    expect(flowsOf([...first, ...back])).to.deep.equal([one, { ...two, local: SERVER }]);
    expect(flowsOf([...first, ...back, '> S 9000:9000(0)']).map(({ local }) => local)).to.deep.equal([
      CLIENT,
      SERVER,
      CLIENT,
    ]);
    // Nothing came of the first.
    expect(flowsOf(['> S 0:0(0)', '< R. 0:0(0) ack 1', ...again]).map(({ sent }) => sent)).to.deep.equal([
      [],
      [[0, 3]],
    ]);
  });

  it('are of one connection where both ends opened it, or where its beginning is missing', () => {
    const open = ['> S 0:0(0)', '< S 0:0(0)', '> S. 0:0(0) ack 1', '< S. 0:0(0) ack 1'];
    const data = ['> P. 1:11(10) ack 1', '< P. 1:6(5) ack 11'];
    const one = { local: CLIENT, sent: [[0, 10]], received: [[0, 5]], acked: [10] };
    expect(flowsOf([...open, ...data])).to.deep.equal([one]);
    expect(flowsOf(data)).to.deep.equal([one]);
    expect(flowsOf(['< S. 0:0(0) ack 1', '> S 0:0(0)', ...data])).to.deep.equal([
      { local: SERVER, sent: [[0, 5]], received: [[0, 10]], acked: [] },
    ]);
  });

  it('are of captures that cut packets, too: what was kept of the options counts', () => {
    const notation = new PacketNotation(ENDS);
    const lines = [
      '> S 0:0(0) <mss 1460,nop,wscale 7>',
      '< S. 0:0(0) ack 1 <mss 1460,nop,wscale 7>',
      '> P. 1:1001(1000) ack 1 <nop,nop,TS val 1 ecr 2>',
      '< . 1:1(0) ack 1001 win 100 <nop,nop,TS val 2 ecr 1>',
    ];
    const packets = lines.map((line) => notation.build(line).bytes());
    for (let snapLength = 62; snapLength <= 66; snapLength++) {
      const { sent, acked, windowEdge } = only(seriesOfCapture(pcapWith(packets, { snapLength })));
      expect(sent, `${snapLength} bytes`).to.deep.equal([{ time: 2000, from: 0, to: 1000, again: false }]);
      expect(acked).to.deep.equal([{ time: 3000, value: 1000 }]);
      expect(windowEdge.at(-1)?.value).to.equal(1000 + 100 * 128);
    }
    for (let snapLength = 1; snapLength < 62; snapLength++) seriesOfCapture(pcapWith(packets, { snapLength }));
  });

  it('count data that come with a SYN from its first byte, whoever sends them', () => {
    const lines = ['> S 0:5(5)', '< S. 0:3(3) ack 6', '> . 6:6(0) ack 4', '< P. 4:8(4) ack 6'];
    const [flow] = flowsOf(lines);
    expect(flow?.sent).to.deep.equal([[0, 5]]);
    expect(flow?.received).to.deep.equal([
      [0, 3],
      [3, 7],
    ]);
  });

  it('have nothing of segments whose headers lie about their length', () => {
    const options = { linkType: LinkType.RawIp };
    const sound = segmentOf('50100100 00000000 01020304');
    expect(only(seriesOfCapture(pcapWith([sound], options))).sent).to.deep.equal([
      { time: 0, from: 0, to: 4, again: false },
    ]);
    for (const words of ['f0100100 00000000', 'f0100100 00000000 01020304', '40100100 00000000 01020304']) {
      expect(seriesOfCapture(pcapWith([segmentOf(words)], options)), words).to.deep.equal([]);
    }
  });

  it('are of captures of loopback and of all devices at once, but of no link that we know nothing of', () => {
    const packet = segmentOf('50100100 00000000 01020304');
    for (const [linkType, header] of [
      [LinkType.Null, 4],
      [108, 4],
      [113, 16],
      [276, 20],
    ] as const) {
      const cooked = new Uint8Array([...new Uint8Array(header), ...packet]);
      const { local, sent } = only(seriesOfCapture(pcapWith([cooked], { linkType })));
      expect([local, sent.length], String(linkType)).to.deep.equal([CLIENT, 1]);
    }
    expect(seriesOfCapture(pcapWith([packet], { linkType: 148 }))).to.deep.equal([]);
  });

  it('have what is whole of a capture that is cut short', () => {
    const file = pcapOf(['> S 0:0(0)', '> P. 1:11(10) ack 1', '> P. 11:21(10) ack 1']);
    expect(only(seriesOfCapture(file.subarray(0, -1))).sent).to.have.length(1);
  });

  it('stay in the order in which connections were first seen', () => {
    const other = '> 1001 > 80 S 0:0(0)';
    const lines = ['> S 0:0(0)', '< S. 0:0(0) ack 1', other, '> S 5000:5000(0)'];
    expect(flowsOf(lines).map(({ local }) => local)).to.deep.equal([CLIENT, '10.0.0.1:1001', CLIENT]);
  });

  it('are the same for IPv6, and for every run', async () => {
    const six = only((await transfer(true, 6)).series);
    expect(six.local).to.equal('[fd00::2]:80');
    expect(six.acked.at(-1)?.value).to.equal(LENGTH + 1);
    expect(six.states.length).to.be.greaterThan(50);
    const again = await transfer();
    expect(toCsv(again.series)).to.equal(toCsv(run.series));
  });

  it('do not change what they look at', async () => {
    const unseen = await transfer(false);
    expect(unseen.net.traceHash()).to.equal(run.net.traceHash());
  });

  it('add up to throughput', () => {
    const points = throughput(one, 100);
    const bits = points.reduce((sum, { value }) => sum + value / 10, 0);
    expect(bits).to.be.closeTo((LENGTH + 1) * 8, 1);
    for (const { value } of points) expect(value).to.be.within(0, 12e6);
    expect(throughput({ ...one, acked: [] }, 100)).to.deep.equal([]);
    for (const width of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      const refused = (make: () => unknown) => expect(make).to.throw().with.property('code', 'ERR_INVALID_OPTION');
      refused(() => throughput(one, width));
      refused(() => toSvg([one], { kind: 'throughput', bin: width }));
    }
  });

  it('are exported as JSON and as CSV', () => {
    const [parsed] = JSON.parse(toJson(run.series)) as TcpSeries[];
    expect(parsed?.acked).to.deep.equal(one.acked);
    expect(parsed?.states).to.deep.equal(one.states);
    const lines = toCsv(run.series).split('\r\n');
    const [header = '', first = ''] = lines;
    expect(header).to.match(/^connection,time,event,from,to,state,cwnd,ssthresh,/);
    expect(first.split(',')).to.have.length(header.split(',').length);
    expect(lines).to.have.length(
      2 + one.sent.length + one.acked.length + one.sacked.length + one.windowEdge.length + one.states.length,
    );
    const times = lines.slice(1, -1).map((line) => Number(line.split(',')[1]));
    expect(times).to.deep.equal([...times].sort((x, y) => x - y));
    expect(toCsv([{ ...one, name: 'a, "b"' }])).to.contain('"a, ""b"" 10.0.0.2:80 > ');
  });

  it('are drawn', () => {
    for (const kind of ['time-sequence', 'cwnd', 'rtt', 'throughput'] as const) {
      const svg = toSvg(run.series, { kind });
      expect(svg)
        .to.match(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" viewBox="0 0 960 480"/)
        .and.match(/<\/svg>\n$/);
      // Every number is one, and every element is closed.
      expect(svg).to.not.match(/NaN|Infinity|undefined/);
      expect(svg.match(/<(text|svg|title)\b/g)?.length).to.equal(svg.match(/<\/(text|svg|title)>/g)?.length);
      expect(svg).to.contain('>time (s)<').and.contain('b: 10.0.0.2:80 to 10.0.0.1:');
      expect(svg.length, kind).to.be.below(100_000);
    }
    const sequence = toSvg(run.series, { kind: 'time-sequence', title: 'a < b & "c"', width: 800, height: 300 });
    expect(sequence).to.contain('a &lt; b &amp; &quot;c&quot;').and.contain('>sent again<');
    // The stream is 400 kB long, and so is the axis.
    expect(sequence).to.contain('>400 k<');
  });

  it('are drawn together, one curve of each', () => {
    const other = { ...one, local: '10.0.0.9:1' };
    const svg = toSvg([one, other], { kind: 'cwnd' });
    expect(svg).to.contain('>2 connections<').and.contain('>10.0.0.9:1 &gt; ');
    expect(svg.match(/stroke-linejoin/g)).to.have.length(2);
  });

  it('are drawn where there is next to nothing', () => {
    const empty = { ...one, sent: [], acked: [], sacked: [], windowEdge: [], states: [] };
    for (const kind of ['time-sequence', 'cwnd', 'rtt', 'throughput'] as const) {
      expect(toSvg([empty], { kind })).to.not.match(/NaN|Infinity|undefined/);
    }
    const refused = (make: () => unknown) => expect(make).to.throw().with.property('code', 'ERR_INVALID_OPTION');
    refused(() => toSvg([], { kind: 'cwnd' }));
    refused(() => toSvg([one], { kind: 'pie' as 'cwnd' }));
    refused(() => run.net.observe('nobody', { frame: () => undefined }));
  });

  it('tell connections apart that use the same ends one after the other', async () => {
    const net = network({ hosts: { a: '10.0.0.1/24', b: '10.0.0.2/24' } });
    const recording = recordTcp(net, 'a');
    nodeNet(net.hosts.b.tcp)
      .createServer((socket) => socket.resume().end('hello'))
      .listen(80);
    const { connect } = nodeNet(net.hosts.a.tcp);
    for (let i = 0; i < 2; i++) {
      const socket = connect({ port: 80, host: '10.0.0.2', localPort: 1000 });
      expect(await net.runUntilSettled(text(socket))).to.equal('hello');
      socket.end();
      net.run();
      await net.advance(200_000);
    }
    expect(recording.series.map(({ received }) => received.map(({ from, to }) => [from, to]))).to.deep.equal([
      [[0, 5]],
      [[0, 5]],
    ]);
    net.dispose();
  });
});
