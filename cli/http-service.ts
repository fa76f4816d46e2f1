/** The HTTP service of `rx-netstack host`: Node's own `http`, to be served over our sockets. */

import { createCipheriv, createHash } from 'node:crypto';
import { type IncomingMessage, type ServerResponse, createServer, type Server } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

const CHUNK = 65_536;
const MAX_BYTES = 2 ** 40;

/**
 * The bytes of `GET /bytes/N`: the AES-128-CTR key stream of the zero key from the counter block N, so that any other tool can
 * compute them too (`openssl enc -aes-128-ctr -K 0… -iv N… -in /dev/zero | head -c N`).
 */
export function* bytesOf(length: number): Generator<Uint8Array> {
  const counter = Buffer.alloc(16);
  counter.writeBigUInt64BE(BigInt(length), 8);
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16), counter);
  const zeros = Buffer.alloc(CHUNK);
  for (let left = length; left > 0; left -= CHUNK) {
    yield cipher.update(left < CHUNK ? zeros.subarray(0, left) : zeros);
  }
}

const PAGE = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>rx-netstack</title></head>
<body><h1>It works</h1><p>This page came to you through a TCP/IP stack written in TypeScript.</p>
<ul><li><a href="/bytes/1048576">1 MiB of bytes</a></li><li><a href="/stats">statistics</a></li></ul></body></html>
`;

/** A Node HTTP server that answers `/`, `/bytes/N`, `/sha256` and `/stats`; it does not listen. */
export function httpService(stats: () => unknown): Server {
  return createServer((request, response) => {
    answer(request, response, stats).catch((error: unknown) => {
      // The peer left in the middle: there is nobody to tell.
      if (!response.headersSent) reply(response, 500, 'text/plain', `${String(error)}\n`);
      else response.destroy();
    });
  });
}

async function answer(request: IncomingMessage, response: ServerResponse, stats: () => unknown): Promise<void> {
  const pathname = pathOf(request.url ?? '/');
  const isGet = request.method === 'GET' || request.method === 'HEAD';
  if (request.method === 'POST' && pathname === '/sha256') return digest(request, response);
  if (!isGet) return reply(response, 405, 'text/plain', 'method not allowed\n');
  if (pathname === '/') return reply(response, 200, 'text/html; charset=utf-8', PAGE);
  if (pathname === '/stats')
    return reply(response, 200, 'application/json', `${JSON.stringify(stats(), undefined, 2)}\n`);
  const wanted = /^\/bytes\/(\d{1,13})$/.exec(pathname)?.[1];
  if (wanted === undefined || Number(wanted) > MAX_BYTES) return reply(response, 404, 'text/plain', 'not found\n');
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': Number(wanted) });
  if (request.method === 'HEAD') {
    response.end();
    return undefined;
  }
  return pipeline(Readable.from(bytesOf(Number(wanted)), { objectMode: false, highWaterMark: CHUNK }), response);
}

/** The path of a request's target, without its query; a proxy's absolute form is understood, too. */
function pathOf(target: string): string {
  const [path = ''] = target.replace(/^https?:\/\/[^/?#]*/i, '').split(/[?#]/);
  return path === '' ? '/' : path;
}

async function digest(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const hash = createHash('sha256');
  for await (const chunk of request as AsyncIterable<Uint8Array>) hash.update(chunk);
  reply(response, 200, 'text/plain', `${hash.digest('hex')}\n`);
}

function reply(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
