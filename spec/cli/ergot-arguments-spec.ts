import { expect } from 'chai';
import { socketPlace } from '../../cli/ergot/place.js';
import { run } from './command-run.js';

/** Command lines that can never work, by command, and what is said of them. */
const WRONG: Readonly<Record<string, readonly (readonly [what: string, args: readonly string[], says: RegExp])[]>> = {
  node: [
    ['no link', [], /name one link: --tcp, --udp or --tap/],
    ['two links', ['--tcp', '2025', '--udp', '2025'], /name one link/],
    ['a port of nobody', ['--tcp', '0'], /--tcp: nobody listens at port 0/],
    ['a port that is none', ['--udp', 'host:65536'], /--udp \[HOST:\]PORT: .*not "host:65536"/],
    ['a host without a port', ['--tcp', 'host'], /--tcp \[HOST:\]PORT: must be HOST:PORT/],
    ['an argument too many', ['--tcp', '2025', 'now'], /what is "now"/],
    ['a name that is too long', ['--tcp', '1', '--name', 'é'.repeat(9)], /--name TEXT: must have 1 to 16 bytes.* 18/],
    ['a description of nothing', ['--tcp', '1', '--description', ''], /--description TEXT: must have 1 to 32 bytes/],
    ['an id that is none', ['--tcp', '1', '--id', '0x10000000000000000'], /--id N: must be a number of 64 bits/],
    ['an unknown option', ['--tcp', '1', '--mtu', '9'], /--mtu/],
  ],
  router: [
    ['nowhere to listen', [], /say where to listen: --tcp, --udp or --tap/],
    ['a bridge to nowhere', ['--tcp', '0', '--upstream', 'host:2025'], /--upstream LINK: must be tcp:HOST:PORT/],
    ['a bridge to nobody', ['--tcp', '0', '--upstream', 'tcp:host:0'], /--upstream LINK: nobody listens at port 0/],
    ['a bridge to a bad port', ['--tcp', '0', '--upstream', 'udp:host:x'], /--upstream LINK: must be HOST:PORT/],
  ],
  ping: [
    ['no node', ['--tcp', '2025'], /name a node, as 1\.2 or 1\.2:3/],
    ['two nodes', ['1.2', '1.3', '--tcp', '2025'], /one node only: what is "1\.3"/],
    ['what is no node', ['1.256', '--tcp', '2025'], /"1\.256" is no node/],
    ['no link', ['1.2'], /name one link/],
    ['no requests', ['1.2', '--tcp', '1', '-c', '0'], /--count N: /],
  ],
  discover: [
    ['no link', [], /name one link/],
    ['an argument', ['1.2', '--tcp', '1'], /what is "1\.2"/],
    ['no time', ['--tcp', '1', '--timeout', '0'], /--timeout SECONDS: /],
  ],
  sniff: [
    ['nothing to read', [], /name a FILE, or an interface with --tap/],
    ['two sources', ['x', '--tap', 'y'], /either files or --tap/],
    ['standard input twice', ['-', '-'], /only once/],
    ['a port that is none', ['x', '--port', '0'], /--port N: /],
  ],
};

for (const [command, wrong] of Object.entries(WRONG)) {
  describe(`rx-netstack ergot ${command}`, () => {
    for (const [what, args, says] of wrong) {
      it(`refuses ${what} in one line`, async () => {
        const { code, stdout, stderr } = await run(['ergot', command, ...args]);
        const see = `\\(see rx-netstack ergot ${command} --help\\)`;
        expect(stderr).to.match(new RegExp(`^rx-netstack ergot ${command}: .*${see}\\n$`));
        expect(stderr).to.match(says);
        expect({ code, stdout }).to.deep.equal({ code: 2, stdout: '' });
      });
    }

    it('explains itself, with examples', async () => {
      const { code, stdout } = await run(['ergot', command, '--help']);
      for (const word of ['Usage:', `rx-netstack ergot ${command} `, '--tap NAME', '--json', 'Examples:']) {
        expect(stdout).to.contain(word);
      }
      expect(code).to.equal(0);
      expect((await run(['help', 'ergot', command])).stdout).to.equal(stdout);
    });

    it('is in the list of its commands', async () => {
      expect((await run(['ergot', '--help'])).stdout).to.match(new RegExp(`^ {2}${command} +\\S`, 'm'));
    });
  });
}

describe('rx-netstack ergot', () => {
  it('says which commands there are', async () => {
    for (const [args, says] of [
      [[], /^rx-netstack ergot: name a command: there are node, router, ping, discover, sniff \(see/],
      [['nope'], /^rx-netstack ergot: unknown command "nope": there are node/],
      [['constructor'], /^rx-netstack ergot: unknown command "constructor"/],
    ] as const) {
      const { code, stderr } = await run(['ergot', ...args]);
      expect(stderr).to.match(says);
      expect(code).to.equal(2);
    }
  });

  it('is in the list of commands', async () => {
    expect((await run(['--help'])).stdout).to.match(/^ {2}ergot +\S/m);
  });

  it('reads hosts and ports', () => {
    const read = ['2025', ':2025', 'host:1', '10.0.0.1:2', '[fe80::1%eth0]:3'].map(socketPlace);
    expect(read.map(({ host, port }) => `${host} ${port}`)).to.deep.equal([
      '127.0.0.1 2025',
      '127.0.0.1 2025',
      'host 1',
      '10.0.0.1 2',
      'fe80::1%eth0 3',
    ]);
    for (const wrong of ['', 'host', 'host:', 'fe80::1:3', '[x:3', '1:2:3', '123456']) {
      expect(() => socketPlace(wrong), wrong).to.throw(/must be HOST:PORT/);
    }
  });
});
