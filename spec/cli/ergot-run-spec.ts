import { spawn } from 'node:child_process';
import { expect } from 'chai';
import { filter, firstValueFrom } from 'rxjs';
import { wallEnvironment } from '../../cli/wall-environment.js';
import { ergotOverTcp } from '../../drivers/ergot/tcp.js';
import { edgeProfile, publishLog } from '../../lib/ergot/index.js';
import { ergot } from '../../operators/ergot/ergot.js';
import { keeper } from '../drivers/ergot/rigs.js';
import { type Outcome, run } from './command-run.js';

const MAIN = new URL('../../cli/main.ts', import.meta.url).pathname;

/** A command that runs as a process of its own until it is told to end. */
class Running {
  readonly ended: Promise<Outcome>;
  private stdout = '';
  private stderr = '';
  private readonly child;

  constructor(...args: readonly string[]) {
    const child = spawn(process.execPath, ['--import=tsx', MAIN, 'ergot', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    child.stdout.on('data', (chunk) => (this.stdout += String(chunk)));
    child.stderr.on('data', (chunk) => (this.stderr += String(chunk)));
    this.ended = new Promise((resolve) => {
      child.on('close', (code) => resolve({ code: code ?? -1, stdout: this.stdout, stderr: this.stderr }));
    });
  }

  /** What it said on standard error, as soon as that matches. */
  async says(pattern: RegExp): Promise<string> {
    for (let i = 0; i < 400; i++) {
      const [said] = pattern.exec(this.stderr) ?? [];
      if (said !== undefined) return said;
      await new Promise((resume) => setTimeout(resume, 50));
    }
    throw new Error(`no ${String(pattern)} in: ${this.stderr}`);
  }

  /** What it printed so far. */
  get printed(): string {
    return this.stdout;
  }

  end(): Promise<Outcome> {
    this.child.kill('SIGTERM');
    return this.ended;
  }
}

describe('rx-netstack ergot, in processes of its own', function () {
  this.timeout(60_000);
  const keep = keeper();
  const running: Running[] = [];
  const start = (...args: readonly string[]): Running => {
    const one = new Running(...args);
    running.push(one);
    return one;
  };
  afterEach(async () => {
    await Promise.all(running.splice(0).map((one) => one.end()));
  });

  const place = async (router: Running, kind: 'tcp' | 'udp'): Promise<string> =>
    await router.says(new RegExp(`(?<=${kind}:)127\\.0\\.0\\.1:\\d+`));

  it('routes, pings and discovers over TCP and UDP on this machine', async () => {
    const router = start('router', '--tcp', '0', '--udp', '0', '--name', 'root', '--id', '1');
    const [tcp, udp] = [await place(router, 'tcp'), await place(router, 'udp')];
    const lamp = start('node', '--tcp', tcp, '--name', 'lamp', '--description', 'in the "hall"', '--id', '0x7');
    const fan = start('node', '--udp', udp, '--id', String(2n ** 64n - 1n), '--json');
    const lampAddress = await lamp.says(/(?<=address: )\d+\.2(?= at tcp)/);
    const fanAddress = await fan.says(/(?<="address":")\d+\.2(?=","link":"udp)/);

    const all = await run(['ergot', 'discover', '--udp', udp, '--json']);
    const devices = all.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, string>);
    const byId = new Map(devices.map(({ id, ...rest }) => [id, rest]));
    expect(byId.get('7')).to.deep.equal({ address: lampAddress, name: 'lamp', description: 'in the "hall"' });
    expect(byId.get('18446744073709551615')).to.deep.equal({ address: fanAddress });
    expect(byId.get('1')).to.include({ name: 'root' });
    expect({ code: all.code, devices: devices.length }).to.deep.equal({ code: 0, devices: 3 });
    const text = await run(['ergot', 'discover', '--tcp', tcp]);
    expect(text.stdout).to.match(new RegExp(`^${lampAddress} +7 "lamp" "in the \\\\"hall\\\\""$`, 'm'));

    const ping = await run(['ergot', 'ping', fanAddress, '--tcp', tcp, '-c', '2', '-i', '0.05']);
    expect(ping.stdout).to.match(new RegExp(`^answer from ${fanAddress}:\\d+: seq=1 time=[\\d.]+ ms$`, 'm'));
    expect(ping.stdout).to.match(/^2 packets transmitted, 2 received, 0% packet loss/m);
    expect(ping.code).to.equal(0);

    const nobody = await run(['ergot', 'ping', '999.2', '--udp', udp, '-c', '1', '--json']);
    expect(nobody.code).to.equal(1);
    expect(JSON.parse(nobody.stdout.split('\n')[0] ?? '')).to.deep.equal({
      kind: 'error',
      sequence: 1,
      code: 'ERR_ERGOT_PROTOCOL',
      error: 'IseNoRouteToDest',
    });
    for (const one of [lamp, fan, router]) {
      const { code, stderr } = await one.end();
      expect(stderr).not.to.match(/unexpected|\n {4}at /);
      expect(code).to.equal(0);
    }
  });

  it('finds its router again when that was started anew', async () => {
    const first = start('router', '--tcp', '0');
    const tcp = await place(first, 'tcp');
    const node = start('node', '--tcp', tcp, '--name', 'lamp');
    await node.says(/address: 1\.2/);
    await first.end();
    const second = start('router', '--tcp', tcp);
    await place(second, 'tcp');
    for (let i = 0; i < 50; i++) {
      const { stdout } = await run(['ergot', 'discover', '--tcp', tcp, '--timeout', '0.3']);
      if (stdout.includes('"lamp"')) return;
    }
    throw new Error('it was not found again');
  });

  it('bridges to networks further down, and prints what is said in logs', async () => {
    const root = start('router', '--tcp', '0', '--logs');
    const above = await place(root, 'tcp');
    const bridge = start('router', '--upstream', `tcp:${above}`, '--udp', '0', '--name', 'bridge');
    const below = await place(bridge, 'udp');
    const lamp = start('node', '--udp', below, '--name', 'lamp');
    const address = await lamp.says(/(?<=address: )\d+\.2/);
    const { code, stdout } = await run(['ergot', 'ping', address, '--tcp', above, '-c', '1']);
    expect(stdout).to.contain(`answer from ${address}:`);
    expect(code).to.equal(0);

    const env = wallEnvironment();
    const node = ergot(edgeProfile(), {}, env);
    const link = keep(ergotOverTcp({ port: Number(above.split(':')[1]) }, env));
    node.plug(link);
    await firstValueFrom(link.connected$.pipe(filter((connected) => connected)));
    publishLog(node.stack, 'warn', 'hot\u001b[31m');
    for (let i = 0; i < 100 && !root.printed.includes('hot'); i++)
      await new Promise((resume) => setTimeout(resume, 50));
    expect(root.printed).to.match(/^warn \d+\.2:0 "hot\\u001b\[31m"\n$/);
    node.dispose();
  });

  it('says in one line that nobody is there, and where it cannot listen', async () => {
    const router = start('router', '--tcp', '0');
    const tcp = await place(router, 'tcp');
    expect(await run(['ergot', 'router', '--tcp', tcp])).to.deep.equal({
      code: 1,
      stdout: '',
      stderr: `rx-netstack ergot router: cannot listen at tcp:${tcp}: listen EADDRINUSE: address already in use ${tcp}\n`,
    });
    await router.end();
    const refused = await run(['ergot', 'ping', '0.1', '--tcp', tcp]);
    expect(refused.code).to.equal(2);
    expect(refused.stderr).to.match(/^rx-netstack ergot ping: tcp:\S+: connect ECONNREFUSED \S+\n$/);
    const silent = await run(['ergot', 'discover', '--udp', tcp]);
    expect(silent.code).to.equal(1);
    expect(silent.stderr).to.match(/^rx-netstack ergot discover: udp:\S+: no router answers \(ERR_ERGOT_TIMEOUT\)\n$/);
  });

  it('ends when the user wants it to, at any time', async () => {
    for (const args of [
      ['node', '--tcp', '1'],
      ['router', '--tcp', '0'],
      ['discover', '--udp', '9'],
      ['ping', '0.1', '--udp', '9'],
    ]) {
      const { code, stderr } = await run(['ergot', ...args], { signal: AbortSignal.timeout(300) });
      expect(stderr).not.to.match(/ERR_/);
      expect(code, args[0]).to.equal(args[0] === 'node' || args[0] === 'router' ? 0 : 1);
    }
  });
});
