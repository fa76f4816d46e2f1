import { expect } from 'chai';
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
