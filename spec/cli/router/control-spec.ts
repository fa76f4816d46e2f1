import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { ControlSocket } from '../../../cli/router/control.js';
import type { RunningRouter } from '../../../cli/router/running-router.js';

/** Nothing is asked of it here but its configuration. */
const ROUTER = { configuration: { source: 'devices: {}\n' } } as unknown as RunningRouter;

describe('the control socket of a router', () => {
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'rx-control-'));
    path = join(directory, 'control');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const ask = (question: string): Promise<string> => {
    const socket = connect(path);
    socket.write(question);
    return text(socket);
  };
  const refusal = (): Promise<string> =>
    ControlSocket.listen(path, ROUTER).then(
      () => 'none',
      (error: unknown) => String(error),
    );

  it('answers a question, and is gone at the end', async () => {
    const control = await ControlSocket.listen(path, ROUTER);
    expect(statSync(path).mode & 0o777).to.equal(0o600);
    expect(JSON.parse(await ask('{"show":"config"}\n'))).to.deep.equal({ configuration: 'devices: {}\n' });
    await control.close();
    expect(existsSync(path)).to.equal(false);
  });

  for (const [what, question, said] of [
    ['no JSON', 'routes\n', 'a question is one line of JSON'],
    ['no question', '{"see":1}\n', 'a question says what to show'],
    ['what there is not', '{"show":"constructor"}\n', 'nothing is called constructor'],
    ['more than a question can be', 'x'.repeat(5000), 'a question is one line of JSON'],
  ] as const) {
    it(`says what is wrong: ${what}`, async () => {
      const control = await ControlSocket.listen(path, ROUTER);
      expect(JSON.parse(await ask(question))).to.deep.equal({ error: said });
      await control.close();
    });
  }

  it('answers a question whose end is the end of the connection, too', async () => {
    const control = await ControlSocket.listen(path, ROUTER);
    for (const [question, answer] of [
      ['{"show":"config"}', { configuration: 'devices: {}\n' }],
      ['{"show":', { error: 'a question is one line of JSON' }],
      ['', { error: 'a question is one line of JSON' }],
    ] as const) {
      const socket = connect(path).end(question);
      expect(JSON.parse(await text(socket)), question).to.deep.equal(answer);
    }
    await control.close();
  });

  it('takes the place of one that was left behind, not of one that answers', async () => {
    const control = await ControlSocket.listen(path, ROUTER);
    expect(await refusal()).to.contain('somebody answers');
    await control.close();
    // One that is killed leaves its file.
    const program = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', program]);
    expect(statSync(path).isSocket()).to.equal(true);
    const again = await ControlSocket.listen(path, ROUTER);
    await again.close();
  });

  it('leaves a file alone that is no socket', async () => {
    writeFileSync(path, 'precious');
    expect(await refusal()).to.contain('is no socket');
    expect(readFileSync(path, 'utf8')).to.equal('precious');
  });
});
