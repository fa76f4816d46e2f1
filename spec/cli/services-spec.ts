import { createHash } from 'node:crypto';
import { get, type IncomingMessage, request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { expect } from 'chai';
import { bytesOf } from '../../cli/http-service.js';
import { type RunningServices, SERVICE_NAMES, startServices } from '../../cli/services.js';
import type { UdpMessage } from '../../lib/l4/udp-api.js';
import { agent } from '../../lib/socket/http.js';
import { type NodeNet, nodeNet } from '../../lib/socket/net.js';
import { anyEndpoint } from '../../lib/l4/udp.js';
import { forBothVersions } from '../both-versions.js';
import { type Network, network } from '../../operators/testing/index.js';

/** Of `openssl enc -aes-128-ctr -K 0...0 -iv 0...00100000 -in /dev/zero | head -c 1048576 | sha256sum`. */
const MEBIBYTE = '8025e8ea3abdfc526ea731f7b6559db12c920a84f9ace053e1115a88e726b878';

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

forBothVersions('services of rx-netstack host', ({ version, a, b, c, cidr }) => {
  const SERVER = a.toString();
  let net: Network<'server' | 'client'>;
  let services: RunningServices;
  let client: NodeNet;

  beforeEach(() => {
    net = network({
      hosts: { server: cidr(a), client: cidr(b) },
      links: { lan: { impair: { delay: 1 } } },
    });
    services = startServices(SERVICE_NAMES, net.hosts.server, () => ({ drops: {}, answer: 42 }));
    client = nodeNet(net.hosts.client.tcp);
  });
  afterEach(async () => {
    await net.runUntilSettled(services.close());
    await net.advance(Infinity);
    net.assertIdle();
    net.dispose();
  });

  /** Sends bytes, ends, and gathers what comes back. */
  function converse(port: number, bytes: Uint8Array | string): Promise<Buffer> {
    const socket = client.connect(port, SERVER);
    socket.end(bytes);
    return net.runUntilSettled(buffer(socket));
  }

  async function http(path: string, options: { method?: string; body?: Uint8Array } = {}) {
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      const { method = 'GET', body } = options;
      const how = { host: SERVER, path, method, agent: agent(net.hosts.client.tcp) };
      request(how, resolve).on('error', reject).end(body);
    });
    const response = await net.runUntilSettled(answered);
    const body = await net.runUntilSettled(buffer(response));
    return { status: response.statusCode, headers: response.headers, body };
  }

  /** Datagrams that come back within a second. */
  function datagrams(port: number, from: number, ...sent: readonly string[]): readonly string[] {
    const received: UdpMessage[] = [];
    const handler = { message: (message: UdpMessage) => received.push(message), error: () => undefined };
    const socket = net.hosts.client.udp.bind(anyEndpoint(version, from), handler);
    for (const text of sent) socket.send(Buffer.from(text), { address: a, port });
    net.runFor(1000);
    socket.close();
    return received.map(({ data }) => Buffer.from(data).toString());
  }

  it('echo: what is sent comes back, to the end', async () => {
    const bytes = Buffer.concat([...bytesOf(300_000)]);
    expect((await converse(7, bytes)).equals(bytes)).to.equal(true);
    expect(datagrams(7, 5000, 'one', '', 'three')).to.deep.equal(['one', '', 'three']);
  });

  it('discard: nothing comes back, and the end does', async () => {
    expect(await converse(9, Buffer.alloc(100_000))).to.have.length(0);
    expect(datagrams(9, 5000, 'one')).to.deep.equal([]);
  });

  it('chargen: the pattern of RFC 864, until the peer ends', async () => {
    const socket = client.connect(19, SERVER);
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
      if (text.length > 1_000_000) socket.end();
    });
    await net.runUntilSettled(new Promise((resolve) => socket.on('error', resolve).on('close', resolve)));
    const lines = text.split('\r\n');
    expect(lines[0]).to.equal(' !"#$%&\'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg');
    expect(lines[1]).to.equal('!"#$%&\'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefgh');
    expect(lines[94]?.slice(0, 3)).to.equal('~ !');
    expect(lines[95]).to.equal(lines[0]);
    const [datagram = ''] = datagrams(19, 5000, '');
    expect(datagram).to.have.length(512);
    expect(text.startsWith(datagram)).to.equal(true);
  });

  it('UDP services do not answer ports of services, which would answer back', () => {
    expect(datagrams(7, 19, 'one')).to.deep.equal([]);
    expect(datagrams(19, 1023, 'one')).to.deep.equal([]);
    expect(datagrams(7, 1024, 'one')).to.deep.equal(['one']);
  });

  it('UDP services answer from the address that they were asked at, whatever it is', () => {
    const two = network({ hosts: { server: [cidr(a), cidr(c)], client: cidr(b) }, links: { lan: {} } });
    const running = startServices(['echo', 'chargen'], two.hosts.server, () => ({}));
    for (const address of [a, c]) {
      const heard: string[] = [];
      const { udp } = two.hosts.client;
      const message = ({ data, source }: UdpMessage) =>
        heard.push(`${source.address.toString()} ${source.port} ${data.length}`);
      const sockets = [7, 19].map((port) => {
        const socket = udp.bind(anyEndpoint(version, 0), { message, error: () => undefined });
        socket.connect({ address, port });
        return socket;
      });
      for (const socket of sockets) for (const text of ['one', 'three']) socket.send(Buffer.from(text));
      two.runFor(1000);
      const from = address.toString();
      expect(heard).to.deep.equal([`${from} 7 3`, `${from} 7 5`, `${from} 19 512`, `${from} 19 512`]);
      for (const socket of sockets) socket.close();
    }
    expect(two.hosts.server.udp.size).to.equal(2);
    void running.close();
    expect(two.hosts.server.udp.size).to.equal(0);
    two.dispose();
  });

  it('GET /bytes/N: the same bytes as any AES-CTR makes', async () => {
    const { status, headers, body } = await http('/bytes/1048576');
    expect([status, headers['content-length'], sha256(body)]).to.deep.equal([200, '1048576', MEBIBYTE]);
    expect((await http('/bytes/0')).body).to.have.length(0);
    expect((await http('/bytes/1')).body).to.have.length(1);
    expect((await http('/bytes/70000')).body).to.have.length(70_000);
  });

  it('POST /sha256: the digest of the body', async () => {
    const body = Buffer.concat([...bytesOf(1_000_001)]);
    const answer = await http('/sha256', { method: 'POST', body });
    expect(answer.body.toString()).to.equal(`${sha256(body)}\n`);
    expect((await http('/sha256', { method: 'POST' })).body.toString()).to.equal(`${sha256(Buffer.alloc(0))}\n`);
  });

  it('GET /, GET /stats, and what there is not', async () => {
    const page = await http('/');
    expect([page.status, page.headers['content-type']]).to.deep.equal([200, 'text/html; charset=utf-8']);
    expect(page.body.toString()).to.contain('It works');
    expect(JSON.parse((await http('/stats')).body.toString())).to.deep.equal({ drops: {}, answer: 42 });
    expect((await http('/stats?pretty')).status).to.equal(200);
    const head = await http('/bytes/1000', { method: 'HEAD' });
    expect([head.status, head.headers['content-length'], head.body.length]).to.deep.equal([200, '1000', 0]);
    for (const path of ['/nothing', '//', '/bytes/', '/bytes/-1', '/bytes/1e3', '/bytes/9999999999999'])
      expect((await http(path)).status, path).to.equal(404);
    expect((await http('/', { method: 'DELETE' })).status).to.equal(405);
    expect((await http('/bytes/5', { method: 'POST' })).status).to.equal(405);
  });

  it('close: what is open ends, keep-alive connections and transfers too', async () => {
    const { tcp } = net.hosts.client;
    const alive = agent(tcp, { keepAlive: true });
    const ended: string[] = [];
    get({ host: SERVER, path: '/', agent: alive }, (response) => response.resume()).on('error', () => undefined);
    client
      .connect(7, SERVER)
      .on('close', () => ended.push('echo'))
      .on('error', () => undefined);
    get({ host: SERVER, path: '/bytes/1000000000', agent: agent(tcp) }, (response) => {
      response
        .on('error', () => undefined)
        .on('close', () => ended.push('http'))
        .resume();
    }).on('error', () => undefined);
    await net.advance(200);
    expect(net.hosts.server.tcp.size).to.equal(3);
    await net.runUntilSettled(services.close());
    await net.advance(1000);
    expect(ended.sort()).to.deep.equal(['echo', 'http']);
    expect(Object.keys(net.hosts.server.stats().connections)).to.not.include('ESTABLISHED');
    expect(net.hosts.server.udp.size).to.equal(0);
    alive.destroy();
  });

  it('refuses a service that there is not', () => {
    expect(() => startServices(['echo', 'gopher'], net.hosts.server, () => ({})))
      .to.throw('no such service: gopher (there are echo, discard, chargen, http)')
      .with.property('code', 'ERR_INVALID_OPTION');
  });
});
