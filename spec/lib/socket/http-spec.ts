import { expect } from 'chai';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { agent, serveHttp, type StackAgent } from '../../../lib/socket/http.js';
import { nodeNet } from '../../../lib/socket/net.js';
import type { Server } from '../../../lib/socket/server.js';
import type { Socket } from '../../../lib/socket/socket.js';
import type { TcpSockets } from '../../../lib/l4/tcp/api.js';
import { FACTS, VERSIONS, type VersionFacts } from '../../both-versions.js';
import { until } from '../../until.js';
import { FakeNetwork } from './fake-tcp.js';
import { RealNetwork } from './real-tcp.js';

const sha256 = (data: Buffer) => createHash('sha256').update(data).digest('hex');

async function body(message: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

for (const [kind, Network] of [
  ['connections in memory', FakeNetwork],
  ['the TCP of the stack', RealNetwork],
] as const)
  for (const version of VERSIONS) suite(`${kind} and IPv${version}`, FACTS[version], () => new Network());

function suite(kind: string, facts: VersionFacts, makeNetwork: () => FakeNetwork | RealNetwork): void {
  describe(`Node's http over ${kind}`, () => {
    const [HERE, SERVER] = [facts.a, facts.b].map(String) as [string, string];
    let network: FakeNetwork | RealNetwork;
    let client: TcpSockets;
    let web: http.Server;
    let server: Server;
    let pool: StackAgent;
    let accepted: Socket[];
    const rejections: unknown[] = [];
    const onRejection = (reason: unknown) => rejections.push(reason);

    before(() => process.on('unhandledRejection', onRejection));
    after(() => {
      process.off('unhandledRejection', onRejection);
      expect(rejections).to.deep.equal([]);
    });

    const open = async (listener: http.RequestListener, options: http.ServerOptions = {}) => {
      network = makeNetwork();
      client = network.host(HERE);
      web = http.createServer(options, listener);
      server = serveHttp(web, { tcp: network.host(SERVER), port: 80 });
      accepted = [];
      server.on('connection', (socket: Socket) => accepted.push(socket));
      pool = agent(client, { keepAlive: true });
      await once(web, 'listening');
    };

    const request = (path: string, options: http.RequestOptions = {}) =>
      http.request({ host: SERVER, port: 80, path, agent: pool, ...options });

    const fetchBody = async (path: string, options: http.RequestOptions = {}, upload?: Buffer | string) => {
      const sent = request(path, options);
      sent.end(upload);
      const [response] = (await once(sent, 'response')) as [http.IncomingMessage];
      return { response, data: await body(response) };
    };

    afterEach(async () => {
      pool.destroy();
      await new Promise<void>((resolve, reject) => server.close((error) => (error ? reject(error) : resolve())));
      await until(() => network.connections === 0);
      if (network instanceof RealNetwork) expect(network.env.pool.outstanding, 'frames left behind').to.equal(0);
      expect(accepted.every((socket) => socket.destroyed)).to.equal(true);
    });

    it('GET', async () => {
      await open((req, res) => res.setHeader('x-from', `${req.socket.remoteAddress}`).end(`you asked for ${req.url}`));
      const { response, data } = await fetchBody('/page');
      expect(response.statusCode).to.equal(200);
      // The server listens on both versions, and Node's way to speak of IPv4 ends is then this.
      expect(response.headers['x-from']).to.equal(facts.version === 4 ? `::ffff:${HERE}` : HERE);
      expect(data.toString()).to.equal('you asked for /page');
    });

    it('GET of a URL', async () => {
      await open((req, res) => res.end(`${req.headers.host} ${req.url}`));
      const sent = http.get(`http://${facts.url(facts.b)}/page?x=1`, { agent: pool });
      const [response] = (await once(sent, 'response')) as [http.IncomingMessage];
      expect((await body(response)).toString()).to.equal(`${facts.url(facts.b)} /page?x=1`);
    });

    it('100 requests over one kept connection', async () => {
      await open((req, res) => res.end(req.url));
      for (let i = 0; i < 100; i++) expect((await fetchBody(`/${i}`)).data.toString()).to.equal(`/${i}`);
      expect(accepted.length).to.equal(1);
      for (const event of ['data', 'end', 'close', 'error', 'timeout', 'drain', 'connect']) {
        expect(accepted[0]?.listenerCount(event), event).to.be.at.most(3);
      }
    });

    it('uploads and downloads of 5 MiB, at once, with back-pressure', async () => {
      const data = Buffer.alloc(5 << 20, 'some bytes, again and again ');
      await open(async (req, res) => {
        if (req.method === 'GET') res.end(data);
        else res.end(sha256(await body(req)));
      });
      const [up, down] = await Promise.all([fetchBody('/', { method: 'POST' }, data), fetchBody('/')]);
      expect(up.data.toString()).to.equal(sha256(data));
      expect(sha256(down.data)).to.equal(sha256(data));
    });

    it('64 requests in parallel', async () => {
      await open((req, res) => res.end(req.url?.repeat(1000)));
      const paths = Array.from({ length: 64 }, (_, i) => `/${i}`);
      const all = await Promise.all(paths.map((path) => fetchBody(path)));
      expect(all.map(({ data }) => data.toString())).to.deep.equal(paths.map((path) => path.repeat(1000)));
    });

    it('Expect: 100-continue', async () => {
      await open(async (req, res) => res.end(await body(req)));
      let continued = false;
      const sent = request('/', { method: 'PUT', headers: { Expect: '100-continue', 'Content-Length': 4 } });
      sent.on('continue', () => {
        continued = true;
        sent.end('body');
      });
      sent.flushHeaders();
      const [response] = (await once(sent, 'response')) as [http.IncomingMessage];
      expect((await body(response)).toString()).to.equal('body');
      expect(continued).to.equal(true);
    });

    it('pipelined requests are answered in order', async () => {
      await open((req, res) => void setTimeout(() => res.end(req.url), req.url === '/1' ? 15 : 0));
      const socket = nodeNet(client).connect(80, SERVER);
      socket.write(['/1', '/2', '/3'].map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''));
      let text = '';
      socket.setEncoding('latin1').on('data', (data: string) => (text += data));
      await until(() => text.endsWith('/3'));
      socket.destroy();
      expect(text.match(/\/\d(?=HTTP|$)/g)).to.deep.equal(['/1', '/2', '/3']);
    });

    it('upgrade hands the socket over', async () => {
      await open(() => undefined);
      web.on('upgrade', (_req, socket) => {
        socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n');
        socket.pipe(socket);
      });
      const sent = request('/', { headers: { Connection: 'Upgrade', Upgrade: 'echo' } });
      sent.end();
      const [, socket] = (await once(sent, 'upgrade')) as [http.IncomingMessage, Socket];
      socket.write('raw');
      const [data] = await once(socket, 'data');
      expect(String(data)).to.equal('raw');
      socket.end();
      await once(socket, 'close');
    });

    it('a request aborted by its signal frees both ends', async () => {
      const told: string[] = [];
      await open((req, res) => {
        res.on('close', () => told.push(`response ${res.writableFinished}`));
        req.on('close', () => told.push('request'));
        res.write('begin');
      });
      const controller = new AbortController();
      const sent = request('/', { signal: controller.signal });
      sent.end();
      await once(sent, 'response');
      const failed = new Promise((resolve) => sent.once('close', resolve));
      sent.on('error', () => undefined);
      controller.abort();
      await failed;
      await until(() => told.includes('response false'));
      expect(told).to.include('response false');
    });

    it('an upload aborted mid-way is seen by the server', async () => {
      let seen: NodeJS.ErrnoException | undefined;
      let received = 0;
      await open((req) => req.on('error', (error) => (seen = error)).on('data', (data) => (received += data.length)));
      const sent = request('/', { method: 'POST', headers: { 'Content-Length': 1 << 20 } });
      sent.on('error', () => undefined);
      sent.write(Buffer.alloc(100_000));
      await until(() => received > 0);
      sent.destroy();
      await until(() => seen !== undefined);
      expect(seen?.code).to.equal('ECONNRESET');
    });

    it('a server that hangs up mid-answer errors the response', async () => {
      await open((_req, res) => {
        res.writeHead(200, { 'Content-Length': 1000 });
        res.write('part');
        setTimeout(() => res.destroy(), 5);
      });
      const sent = request('/');
      sent.end();
      const [response] = (await once(sent, 'response')) as [http.IncomingMessage];
      const error = await body(response).catch((thrown: unknown) => thrown);
      expect(error).to.include({ code: 'ECONNRESET' });
    });

    it('a request timeout fires', async () => {
      await open(() => undefined);
      const sent = request('/', { timeout: 20 });
      sent.on('error', () => undefined);
      sent.end();
      await once(sent, 'timeout');
      sent.destroy();
    });

    it("the server's own header timeout fires", async () => {
      await open(() => undefined, { headersTimeout: 20, requestTimeout: 30, connectionsCheckingInterval: 10 });
      const socket = nodeNet(client).connect(80, SERVER);
      socket.write('GET / HTTP/1.1\r\nHo');
      const closed = once(socket, 'close');
      const [answer] = await once(socket, 'data');
      expect(String(answer)).to.match(/^HTTP\/1.1 408 /);
      await closed;
    });

    it('connection refused', async () => {
      await open(() => undefined);
      const sent = request('/', { port: 81 });
      sent.end();
      const error = await new Promise<NodeJS.ErrnoException>((resolve) => sent.once('error', resolve));
      expect(error).to.include({ code: 'ECONNREFUSED', address: SERVER, port: 81 });
    });

    it('tells the same about both ends as the kernel', async () => {
      const shape = async (req: http.IncomingMessage) => [
        typeof req.socket.remotePort,
        req.socket.localPort !== undefined,
      ];
      await open(async (req, res) => res.end(JSON.stringify(await shape(req))));
      const real = http
        .createServer(async (req, res) => res.end(JSON.stringify(await shape(req))))
        .listen(0, '127.0.0.1');
      await once(real, 'listening');
      const got = await fetch(`http://127.0.0.1:${(real.address() as AddressInfo).port}`);
      const text = await got.text();
      real.close();
      real.closeAllConnections();
      expect((await fetchBody('/')).data.toString()).to.equal(text);
    });

    it('closing the http server closes the port', async () => {
      await open((_req, res) => res.end('x'));
      await fetchBody('/');
      web.close();
      await once(server, 'close');
      server.listen(80); // so that the common end of the tests has something to close
      await once(server, 'listening');
    });
  });
}
