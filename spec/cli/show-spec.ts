import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { until } from '../until.js';
import { run } from './command-run.js';

const PACKET = '{"hook":"forward","text":"icmp\\n","trace":{}}\n';

describe('rx-netstack show', () => {
  let directory: string;
  let path: string;
  let server: Server;
  let asked: string[];

  /** Serves what a router would say to any question. */
  async function serve(answer: (socket: Socket) => void): Promise<void> {
    server = createServer((socket) => {
      socket.setEncoding('utf8').on('data', (text: string) => {
        asked.push(text);
        answer(socket);
      });
    });
    await once(server.listen(path), 'listening');
  }

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'rx-show-'));
    path = join(directory, 'control');
    asked = [];
  });
  afterEach(() => {
    server.close();
    rmSync(directory, { recursive: true });
  });

  it('prints an answer as a table, and as JSON', async () => {
    const rows = [{ name: 'lan', packets: 1234 }];
    await serve((socket) => socket.end(`${JSON.stringify({ rows })}\n`));
    expect(await run(['show', 'interfaces', '--socket', path])).to.deep.equal({
      code: 0,
      stdout: 'name  packets\nlan     1,234\n',
      stderr: '',
    });
    const { stdout } = await run(['show', 'interfaces', '--socket', path, '--json']);
    expect(JSON.parse(stdout)).to.deep.equal({ rows });
    expect(asked).to.deep.equal(Array(2).fill('{"show":"interfaces"}\n'));
  });

  it('follows packets until it is to end: while it waits for one, prints one, and at once', async () => {
    await serve((socket) => void socket.write(PACKET));
    const trace = ['show', 'trace', 'icmp', '--socket', path];
    const printing = new AbortController();
    const printed = await run(trace, { signal: printing.signal, onWrite: () => printing.abort() });
    expect(printed).to.deep.equal({ code: 0, stdout: 'forward: icmp\n', stderr: '' });

    const waiting = new AbortController();
    const said: string[] = [];
    const waited = run(trace, { signal: waiting.signal, onWrite: (text) => said.push(text) });
    await until(() => said.length > 0);
    setImmediate(() => waiting.abort());
    expect(await waited).to.deep.equal(printed);

    expect(await run(trace, { signal: AbortSignal.abort() })).to.deep.equal({ ...printed, stdout: '' });
    expect(asked).to.deep.equal(Array(2).fill('{"show":"trace","filter":"icmp"}\n'));
  });

  it('says that the router is gone in the middle of an answer', async () => {
    await serve((socket) => socket.end(PACKET.slice(0, 9)));
    const { code, stdout, stderr } = await run(['show', 'trace', '--socket', path]);
    expect(stderr).to.match(/^rx-netstack show: .*control: .*JSON/);
    expect({ code, stdout }).to.deep.equal({ code: 1, stdout: '' });
  });
});
