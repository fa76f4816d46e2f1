import { expect } from 'chai';
import { IperfPrinter } from '../../cli/iperf3-printer.js';
import { parseIp } from '../../lib/core/address.js';
import { NOTHING } from '../../lib/l7/iperf3/account.js';
import { MAX_MESSAGE, MAX_RESULTS } from '../../lib/l7/iperf3/messages.js';
import { DEFAULT_PARAMETERS } from '../../lib/l7/iperf3/parameters.js';
import { run } from './command-run.js';

const PLACE = ['--tap', 'tap0', '--address', '10.77.0.2/24'];

describe('rx-netstack iperf3, its command line', () => {
  const wrong = async (...args: readonly string[]) => {
    const { code, stderr, stdout } = await run(['iperf3', ...args]);
    expect(code, stderr).to.equal(2);
    expect(stdout).to.equal('');
    return stderr;
  };

  it('is a server or a client, of one interface', async () => {
    expect(await wrong(...PLACE)).to.contain('say --server or --client HOST');
    expect(await wrong('-s', '-c', '10.77.0.1', ...PLACE)).to.contain('not both');
    expect(await wrong('-s')).to.contain('--tap');
    expect(await wrong('-s', 'more', ...PLACE)).to.contain('what is "more"?');
    expect(await wrong('-c', 'fd00::1', '-4', ...PLACE)).to.contain('asks for IPv4');
  });

  it('refuses what does not go together', async () => {
    const client = ['-c', '10.77.0.1', ...PLACE];
    expect(await wrong('-s', '-R', ...PLACE)).to.contain('--reverse is for the client to say');
    expect(await wrong('-s', '-t', '3', ...PLACE)).to.contain('--time is for the client to say');
    for (const option of [
      ['--omit', '1'],
      ['--window', '1M'],
      ['--set-mss', '500'],
      ['--no-delay'],
      ['--tos', '4'],
      ['--fq-rate', '1M'],
      ['--udp-counters-64bit'],
      ['--dont-fragment'],
      ['--get-server-output'],
      ['--extra-data', 'x'],
    ])
      expect(await wrong('-s', ...option, ...PLACE)).to.contain(`${option[0]} is for the client to say`);
    for (const role of [['-s'], ['-c', '10.77.0.1']])
      expect(await wrong(...role, '-4', '-6', ...PLACE)).to.contain('either -4 or -6, not both');
    expect(await wrong('-1', ...client)).to.contain('--one-off is for the server');
    expect(await wrong('-t', '1', '-n', '1M', ...client)).to.contain('not more');
    expect(await wrong('-R', '--bidir', ...client)).to.contain('not both');
  });

  it('refuses what is out of range', async () => {
    const client = ['-c', '10.77.0.1', ...PLACE];
    for (const option of [
      ['-P', '129'],
      ['-P', '0'],
      ['-l', '2M'],
      ['-l', '-1'],
      ['-t', '100000'],
      ['-O', '601'],
      ['-M', '20'],
      ['-w', '1G'],
      ['-b', 'fast'],
      ['-b', '1M/2/3'],
      ['-b', '1M/1001'],
      ['-S', '256'],
      ['-p', '0'],
      ['-f', 'x'],
      ['-u', '-l', '10'],
      ['-u', '-l', '70000'],
    ])
      expect(await wrong(...option, ...client), option.join(' ')).to.match(/^rx-netstack iperf3: .*\n$/);
  });

  it('explains itself', async () => {
    const { code, stdout } = await run(['iperf3', '--help']);
    expect(code).to.equal(0);
    expect(stdout).to.contain('rx-netstack iperf3 --server').and.to.contain('-P, --parallel N');
    expect((await run(['--help'])).stdout).to.contain('  iperf3 ');
  });
});

describe('rx-netstack iperf3, what a server prints', () => {
  const peer = { address: parseIp('10.77.0.1'), port: 40_000 };
  const stream = { id: 1, socket: 5, sends: false, local: peer, remote: peer };

  /** What there is to hand over behind so many intervals, and how much was printed. */
  const after = (intervals: number, serverOutput: boolean, json = false) => {
    let printed = 0;
    const printer = new IperfPrinter({ json, format: undefined, title: undefined }, (text) => {
      printed += text.length;
    });
    const parameters = { ...DEFAULT_PARAMETERS, serverOutput };
    printer.started({ role: 'server', parameters, cookie: '', peer, segmentSize: 1460, streams: [stream] });
    const streams = [{ count: NOTHING, jitter: 0, retransmits: undefined, path: undefined }];
    for (let start = 0; start < intervals; start++)
      printer.interval({ start, end: start + 1, omitted: false, streams });
    return { output: printer.output(), printed };
  };

  it('is kept for a client that asked for it', () => {
    const { output, printed } = after(3, true);
    expect(output).to.match(/^Accepted connection from 10\.77\.0\.1, port 40000\n/);
    expect(output).to.have.length(printed);
  });

  it('is kept for nobody else', () => {
    const { output, printed } = after(3, false);
    expect(output).to.equal('');
    expect(printed).to.be.above(200);
  });

  it('is not kept beyond what can be handed over', () => {
    const { output, printed } = after(200_000, true);
    expect(printed).to.be.above(MAX_RESULTS);
    expect(JSON.stringify(output).length).to.be.within(MAX_RESULTS - MAX_MESSAGE - 1000, MAX_RESULTS - MAX_MESSAGE);
    expect(output).to.match(/\n$/);
  });

  it('is as JSON not kept without end', () => {
    const most = after(100_000, false, true).output;
    expect(most).to.have.property('intervals').of.length(100_000);
    expect(most).not.to.have.property('intervals_left_out');
    const more = after(100_007, false, true).output;
    expect(more).to.have.property('intervals').of.length(100_000);
    expect(more).to.have.property('intervals_left_out', 7);
  });
});
