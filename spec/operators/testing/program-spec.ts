import { expect } from 'chai';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readCapture } from '../../../lib/capture/index.js';
import { type Network, network, type NetworkProgram, type ProgramOptions } from '../../../operators/testing/index.js';

const TWO = { a: '10.0.0.1/24', b: ['10.0.0.2/24', 'fd00::2/64'] } as const;
const file = (name: string) => new URL(`./programs/${name}.cjs`, import.meta.url);

function lan(seed = 1): Network<'a' | 'b'> {
  return network({ seed, hosts: TWO, links: { lan: { capture: true, impair: { delay: 10 } } } });
}

/** Runs one program to its end. */
async function run(options: ProgramOptions | string): Promise<NetworkProgram> {
  const net = lan();
  const program = net.program('a', typeof options === 'string' ? { source: options } : options);
  await net.runUntilSettled(program.exited);
  await net.advance(Infinity);
  net.assertIdle();
  net.dispose();
  return program;
}

describe('programs', () => {
  it('serve and ask by HTTP, unmodified, and find hosts by name', async () => {
    const net = lan();
    const web = net.program('b', { file: file('web'), args: ['8080'] });
    const browser = net.program('a', {
      file: file('browse'),
      args: ['http://b:8080/x', 'http://10.0.0.2:8080/slow', 'http://b:99/'],
    });
    expect(await net.runUntilSettled(browser.exited)).to.equal(0);
    expect(browser.stderr).to.equal('ECONNREFUSED\n');
    expect(browser.stdout).to.equal(
      '200 Thu, 01 Jan 1970 00:00:00 GMT /x for ::ffff:10.0.0.1 60 ms\n' +
        '200 Thu, 01 Jan 1970 00:01:00 GMT /slow for ::ffff:10.0.0.1 60060 ms\n',
    );
    expect(browser.output.map(({ time, stream }) => [time, stream])).to.deep.equal([
      [40, 'stderr'],
      [60, 'stdout'],
      [60_060, 'stdout'],
    ]);
    expect(web.exitCode).to.equal(undefined);
    expect(await net.runUntilSettled(web.exited)).to.equal(0);
    expect(web.output.map(({ time, text }) => [time, text])).to.deep.equal([
      [0, 'listening on 8080\n'],
      [3_600_000, 'closed after 2 requests\n'],
    ]);
    await net.advance(Infinity);
    net.assertIdle();
    net.dispose();
  });

  it('talk by net, several on a host, and end when nothing is left to do', async () => {
    const net = lan();
    const server = net.program('b', { file: file('chat'), args: ['server'] });
    const people = (['anne', 'bert', 'cleo'] as const).map((name) =>
      net.program(name === 'cleo' ? 'b' : 'a', { file: file('chat'), args: [name, '10.0.0.2'] }),
    );
    expect(await net.runUntilSettled(Promise.all(people.map(({ exited }) => exited)))).to.deep.equal([0, 0, 0]);
    expect(await net.runUntilSettled(server.exited)).to.equal(0);
    const heard = (names: readonly string[]) =>
      [1, 2, 3].flatMap((n) => names.map((name) => `${name}: ${n}\n`)).join('');
    expect(people.map(({ stdout }) => stdout)).to.have.members([
      heard(['cleo', 'bert']),
      heard(['cleo', 'anne']),
      heard(['anne', 'bert']),
    ]);
    expect(net.now).to.be.within(13_000, 14_000);
    await net.advance(Infinity);
    net.assertIdle();
    net.dispose();
  });

  it('may be ES modules, which import each other, CommonJS and what is built in', async () => {
    const net = lan();
    net.program('b', { file: file('web'), args: ['80'] });
    const relay = net.program('b', {
      file: new URL('./programs/relay.mjs', import.meta.url),
      args: ['8080', '10.0.0.2'],
    });
    const early = net.program('a', { file: file('browse'), args: ['http://b:8080/early'] });
    expect(await net.runUntilSettled(early.exited)).to.equal(0);
    expect(early.stderr).to.equal('ECONNREFUSED\n');
    await net.advance(6000);
    expect(relay.stdout).to.equal('relay.mjs 0 0 0 UP\nafter 5000 true function\n');
    expect(relay.stderr).to.equal('part\n');
    const browser = net.program('a', { file: file('browse'), args: ['http://b:8080/late'] });
    expect(await net.runUntilSettled(browser.exited)).to.equal(0);
    expect(browser.stdout).to.contain('/late for ::ffff:10.0.0.2 1040 ms');
    expect(relay.exitCode).to.equal(undefined);
    net.dispose();
    net.assertIdle();
  });

  for (const [name, text] of Object.entries({
    'thrown at once': `throw new Error('boom');`,
    'thrown by a timer': `setTimeout(() => { throw new Error('boom'); }, 5);`,
    'an import that is not there': `import './boom.mjs';`,
    'a syntax error': `const boom = (;`,
    'declared twice': `const boom = 1; const boom = 2;`,
    'rejected after a wait': `import { setTimeout } from 'timers/promises'; await setTimeout(5); throw new Error('boom');`,
    'what leaves the simulation': `import { get } from 'https'; get('https://boom');`,
  })) {
    it(`end by an error in an ES module: ${name}`, async () => {
      const directory = mkdtempSync(join(tmpdir(), 'rx-program-'));
      try {
        writeFileSync(join(directory, 'main.mjs'), text);
        const program = await run({ file: join(directory, 'main.mjs') });
        expect(program.exitCode).to.equal(1);
        expect(program.stderr).to.match(/^Uncaught [^]*Error/);
        if (!name.includes('syntax')) expect(program.stderr).to.match(/boom|https/);
      } finally {
        rmSync(directory, { recursive: true });
      }
    });
  }

  it('live by the clock of the simulation, whatever they read it from', async () => {
    const program = await run({ file: file('clock') });
    expect(program.stderr).to.equal('before exit\nexit 3\n');
    expect(program.stdout.split('\n')).to.deep.equal([
      '1970-01-01T00:00:00.000Z 0 0 0',
      '1970-01-01T01:00:00.000Z 3600000 3600000 3600',
      '3600 bigint 5 true string',
      'microtask tick immediate timeout',
      'part 10 false object true true',
      'refreshed 3605165',
      '',
    ]);
    expect(program.stderr).to.equal('before exit\nexit 3\n');
    expect(program.exitCode).to.equal(3);
  });

  it('send and receive datagrams', async () => {
    const net = lan();
    const echo = net.program('b', {
      source: `const socket = require('dgram').createSocket('udp4');
        socket.on('message', (data, from) => socket.send(data + '!', from.port, from.address, () => socket.close()));
        socket.bind(7);`,
    });
    const asker = net.program('a', {
      source: `const socket = require('node:dgram').createSocket('udp4');
        socket.send('hello', 7, 'b');
        socket.once('message', (data) => { console.log(String(data)); socket.close(); });`,
    });
    expect(await net.runUntilSettled(Promise.all([echo.exited, asker.exited]))).to.deep.equal([0, 0]);
    expect(asker.stdout).to.equal('hello!\n');
    net.dispose();
  });

  it('ask for names by dns', async () => {
    const program = await run(`const dns = require('dns');
      dns.lookup('b', (error, address, family) => console.log(error, address, family));
      dns.lookup('b', { all: true }, (error, all) => console.log(all.map(({ address }) => address).join()));
      dns.promises.lookup('b', { family: 6 }).then(({ address }) => console.log(address));
      require('dns/promises').resolve4('b').then((all) => console.log(all.join()));
      dns.lookup('nobody', (error) => console.log(error.code));`);
    expect(program.stdout.trimEnd().split('\n')).to.have.members([
      'null 10.0.0.2 4',
      '10.0.0.2,fd00::2',
      'fd00::2',
      '10.0.0.2',
      'EAI_AGAIN',
    ]);
    expect(program.exitCode).to.equal(0);
  });

  const deaths: Readonly<Record<string, string>> = {
    'thrown by the main module': `throw new Error('boom')`,
    'thrown by a timer': `setTimeout(() => { throw new Error('boom') }, 10)`,
    'thrown in a tick': `process.nextTick(() => { throw new Error('boom') })`,
    'thrown in a microtask': `queueMicrotask(() => { throw new Error('boom') })`,
    'a rejection that nobody handles': `Promise.reject(new Error('boom'))`,
    'a rejection after a wait': `require('timers/promises').setTimeout(5).then(() => { throw new Error('boom') })`,
    'thrown by a listener of a socket': `require('net').connect(99, '10.0.0.2').on('error', () => { throw new Error('boom') })`,
    'an error event that nobody listens to': `require('events').prototype.emit.call(require('net').connect(99, 'b'), 'error', new Error('boom'))`,
    'thrown by a server': `const net = require('net');
      net.createServer(() => { throw new Error('boom') }).listen(7, () => net.connect(7, '127.0.0.1'))`,
    'a syntax error': `const boom = (;`,
    'a module that is not there': `require('./boom.cjs')`,
    'thrown by http': `require('http').get('http://b/').on('error', () => { throw new Error('boom') })`,
  };
  for (const [name, source] of Object.entries(deaths)) {
    it(`end by an error, and nobody else does: ${name}`, async () => {
      const program = await run(`process.on('exit', (code) => console.log('exit', code)); ${source}`);
      expect(program.exitCode).to.equal(1);
      if (name !== 'a syntax error') expect(program.stdout).to.equal('exit 1\n');
      expect(program.stderr)
        .to.match(/^Uncaught [^]*Error/)
        .and.contain(name === 'a syntax error' ? 'token' : 'boom');
      expect(program.error).to.be.instanceOf(Error);
    });
  }

  it('catch their own uncaught errors and rejections if they want to', async () => {
    const program = await run(`process.on('uncaughtException', (error, origin) => console.log(origin, error.message));
      process.on('unhandledRejection', (error) => console.log('rejected', error.message));
      Promise.reject(new Error('one'));
      setTimeout(() => { throw new Error('two') }, 5);
      setTimeout(() => { throw new Error('three') }, 6);`);
    expect(program.stdout).to.equal('rejected one\nuncaughtException two\nuncaughtException three\n');
    expect(program.exitCode).to.equal(0);
  });

  it('catch one uncaught error if they want to hear of one only', async () => {
    for (const listen of [
      `process.once('uncaughtException', hear);`,
      `process.on('uncaughtException', function once(error) { process.off('uncaughtException', once); hear(error); });`,
    ]) {
      const program = await run(`const hear = ({ message }) => console.log(message);
        ${listen}
        setTimeout(() => { throw new Error('one') }, 5);
        setTimeout(() => { throw new Error('two') }, 6);`);
      expect([program.stdout, program.exitCode], listen).to.deep.equal(['one\n', 1]);
      expect(program.stderr).to.match(/^Uncaught Error: two/);
    }
  });

  it('end by process.exit, wherever they are, and leave nothing behind', async () => {
    for (const exit of [
      'process.exit(7)',
      'setTimeout(() => process.exit(7), 100)',
      '(async () => process.exit(7))()',
    ]) {
      const program = await run(`const net = require('net');
        net.createServer().listen(7);
        require('dgram').createSocket('udp4').bind(9);
        net.connect(7, '127.0.0.1').on('close', () => console.log('not any more'));
        setInterval(() => undefined, 10);
        ${exit}`);
      expect(program.exitCode, exit).to.equal(7);
      expect(program.output).to.deep.equal([]);
    }
  });

  it('end with all that they opened, also where some of it is closed already or is not to be closed', async () => {
    for (const end of [
      `socket.close(); process.exit(3);`,
      `socket.close = () => { throw new Error('never') }; process.exit(3);`,
    ]) {
      const program = await run(`const socket = require('dgram').createSocket('udp4');
        require('net').createServer().listen(7);
        socket.bind(9, () => { require('net').createServer().listen(8); ${end} });`);
      expect([program.exitCode, program.error], end).to.deep.equal([3, undefined]);
    }
    const net = lan();
    const { exited } = net.program('a', { source: `require('dgram').createSocket('udp4').close = () => null.x` });
    const open = net.program('a', {
      source: `const socket = require('dgram').createSocket('udp4');
        socket.bind(9, () => { socket.close = () => { throw new Error('never') }; });`,
    });
    expect(await net.runUntilSettled(exited)).to.equal(0);
    net.dispose();
    expect(await open.exited).to.equal(137);
  });

  it('tell listeners of their exit once, which may choose another code', async () => {
    for (const [source, code] of [
      [`process.on('exit', () => { console.log('bye'); process.exit(4); });`, 4],
      [`process.on('exit', () => { console.log('bye'); process.exit(); }); process.exit(6);`, 6],
      [`process.on('exit', () => { console.log('bye'); process.exitCode = 5; }); process.exit(6);`, 5],
      [
        `process.on('exit', (code) => console.log(code === 0 ? 'bye' : code)); process.exitCode = 2; process.exit(0);`,
        0,
      ],
    ] as const) {
      const program = await run(source);
      expect([program.stdout, program.exitCode], source).to.deep.equal(['bye\n', code]);
    }
  });

  it('do not run because of what could not be bound, and end where nobody hears of that', async () => {
    const taken = (listener: string) =>
      run(`const net = require('net'), dgram = require('dgram');
      net.createServer().listen(7).unref();
      dgram.createSocket('udp4').bind(9, () => { ${listener} }).unref();
      setTimeout(() => console.log('never'), 60_000).unref();`);
    for (const [what, call] of [
      ['net.createServer()', 'listen(7)'],
      [`require('http').createServer()`, 'listen(7)'],
      [`dgram.createSocket('udp4')`, 'bind(9)'],
    ]) {
      const unheard = await taken(`${what}.${call}`);
      expect([unheard.exitCode, unheard.stdout], what).to.deep.equal([1, '']);
      expect(unheard.stderr).to.match(/^Uncaught .*: (listen|bind) EADDRINUSE/);
      const heard = await taken(`${what}.on('error', ({ code }) => console.log(code)).${call}`);
      expect([heard.exitCode, heard.stdout], what).to.deep.equal([0, 'EADDRINUSE\n']);
    }
    // An error of a socket that is bound is not its end.
    const bound = await run(`const socket = require('dgram').createSocket('udp4').bind(9, () => {
        socket.on('error', () => setTimeout(() => { console.log('here'); socket.close(); }, 10).unref());
        socket.emit('error', new Error('passing'));
      });`);
    expect(bound.stdout).to.equal('here\n');
  });

  it('are killed, like other processes, and the network says who is running', async () => {
    const net = lan();
    const server = net.program('b', {
      source: `require('net').createServer().listen(80); setInterval(() => console.log('alive'), 1000)`,
    });
    await net.advance(2500);
    expect(() => net.assertIdle()).to.throw('b: a program is running');
    server.kill();
    await net.advance(10_000);
    net.assertIdle();
    expect(server.stdout).to.equal('alive\nalive\n');
    expect(await server.exited).to.equal(137);
    net.dispose();
  });

  it('read their arguments, environment and input, and nothing of the tester', async () => {
    const program = await run({
      source: `process.stdin.setEncoding('utf8').on('data', (text) => console.log(text));
        console.log(process.argv.slice(2).join(), JSON.stringify(process.env), typeof process.pid, __filename.endsWith('program.cjs'));
        setTimeout = undefined; globalThis.leaked = 1; console.log(typeof leaked, typeof globalThis.leaked)`,
      args: ['x', 'y'],
      env: { HOME: '/' },
      input: 'typed',
    });
    expect(program.stdout).to.equal('x,y {"HOME":"/"} number true\nundefined number\ntyped\n');
    expect(globalThis).to.not.have.property('leaked');
    expect(setTimeout).to.be.a('function');
  });

  it('cannot leave the simulation by the modules that would', async () => {
    const uses = {
      https: 'm.get("https://b/")',
      'node:tls': 'm.connect(443, "b")',
      http2: 'm.connect("http://b/")',
      child_process: 'm.execSync("true")',
      worker_threads: 'new m.Worker("x.js")',
      cluster: 'm.fork()',
    };
    for (const [name, use] of Object.entries(uses)) {
      // Libraries may ask for it, and derive from it.
      const program = await run(`const m = require('${name}'); class Own extends (m.Agent ?? Object) {}
        try { ${use} } catch (error) { console.log(error.code) }`);
      expect(program.stdout, name).to.equal('ERR_NOT_SIMULATED\n');
    }
    const program = await run(`try { fetch('http://b/') } catch (error) { console.log(error.code) }`);
    expect(program.stdout).to.equal('ERR_NOT_SIMULATED\n');
  });

  it('draw chance from the seed, by whatever function', async () => {
    const source = `const crypto = require('crypto');
      console.log(Math.random(), crypto.randomInt(5, 7), crypto.randomUUID(), globalThis.crypto.randomUUID());
      console.log(crypto.randomBytes(4).toString('hex'), crypto.getRandomValues(new Uint16Array(2)).join());
      crypto.randomBytes(4, (error, bytes) => console.log(error, bytes.toString('hex')));
      console.log(crypto.randomFillSync(Buffer.alloc(6), 2, 2).toString('hex'), crypto.webcrypto === globalThis.crypto);
      console.log(crypto.createHash('sha256').update('x').digest('hex').length, typeof globalThis.crypto.subtle.digest);`;
    const [first, again] = [await run(source), await run(source)];
    expect(again.stdout).to.equal(first.stdout);
    const uuid = '[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}';
    expect(first.stdout).to.match(
      new RegExp(
        `^0\\.\\d+ [56] (${uuid}) (?!\\1)${uuid}\n[0-9a-f]{8} \\d+,\\d+\n0000[0-9a-f]{4}0000 true\n64 function\nnull [0-9a-f]{8}\n$`,
      ),
    );
  });

  it('leave the process as it was', async () => {
    const before = process.listeners('unhandledRejection');
    await run(`setTimeout(() => { throw new Error('boom') }, 10)`);
    expect(process.listeners('unhandledRejection')).to.deep.equal(before);
    expect(process.hasUncaughtExceptionCaptureCallback()).to.equal(false);
  });

  it('do the same for the same seed, byte for byte, over links that queue and lose', async () => {
    const once = async (seed: number) => {
      const impair = { delay: 20, rate: 2e6, loss: 0.02, reorder: 0.02, queue: { kind: 'red', ecn: true } } as const;
      const net = network({ seed, hosts: TWO, links: { lan: { capture: true, impair } } });
      net.program('b', { file: file('web'), args: ['80'] });
      const poster = net.program('a', {
        source: `const http = require('http');
          const request = http.request({ host: 'b', method: 'POST' }, (response) => {
            let length = 0;
            response.on('data', (chunk) => (length += chunk.length));
            response.on('end', () => console.log(response.statusCode, length, Math.random()));
          });
          request.end(Buffer.alloc(200_000, 'x'));`,
      });
      expect(await net.runUntilSettled(poster.exited)).to.equal(0);
      const result = { hash: net.traceHash(), pcapng: Buffer.from(net.links.lan.pcapng()), text: poster.stdout };
      net.dispose();
      return result;
    };
    const [first, again, other] = [await once(3), await once(3), await once(4)];
    expect(first.text).to.match(/^201 200000 0\.\d+\n$/);
    expect(again).to.deep.equal(first);
    expect([...readCapture(first.pcapng)].length).to.be.greaterThan(300);
    expect(other.hash).to.not.equal(first.hash);
    expect(other.text).to.not.equal(first.text);
  });

  it('run for hours: three of them with requests and keepalives', async () => {
    const net = lan();
    const web = net.program('b', { file: file('web'), args: ['80'] });
    web.kill();
    net.program('b', {
      source: `require('http').createServer({ keepAliveTimeout: 0 }, (request, response) => {
        request.socket.setKeepAlive(true, 30_000);
        response.end(String(Date.now()));
      }).listen(80);`,
    });
    const poll = net.program('a', {
      source: `const http = require('http');
        const agent = new http.Agent({ keepAlive: true });
        let answers = 0;
        const sockets = new Set();
        const ask = () => http.get({ host: 'b', agent }, (response) => {
          sockets.add(response.socket);
          response.resume().on('end', () => {
            if (++answers === 180) console.log(answers, sockets.size, Date.now()), agent.destroy();
            else setTimeout(ask, 60_000);
          });
        });
        ask();`,
    });
    expect(await net.runUntilSettled(poll.exited)).to.equal(0);
    // A minute and a round trip each, and one more for the address and for the handshake.
    expect(poll.stdout).to.equal(`180 1 ${179 * 60_020 + 60}\n`);
    expect(net.now).to.be.within(10_743_640, 10_744_000);
    net.dispose();
    net.assertIdle();
  });

  it('are refused where they cannot be', () => {
    const net = lan();
    const refused = (options: ProgramOptions, host: 'a' | 'b' = 'a') =>
      expect(() => net.program(host, options))
        .to.throw()
        .with.property('code', 'ERR_INVALID_OPTION');
    refused({});
    refused({ file: 'x.cjs', source: '' });
    refused({ source: '' }, 'c' as 'a');
    net.dispose();
  });
});
