#!/usr/bin/env node
'use strict';
const http = require('http');
const { setTimeout: sleep } = require('timers/promises');

let requests = 0;
const server = http.createServer(async (request, response) => {
  requests++;
  if (request.url === '/slow') await sleep(60_000);
  if (request.method === 'POST') {
    response.writeHead(201, { 'content-type': 'text/plain' });
    request.pipe(response);
    return;
  }
  response.end(`${request.url} for ${request.socket.remoteAddress}\n`);
});
server.listen(Number(process.argv[2]), () => console.log('listening on', server.address().port));
process.on('SIGTERM', () => server.close());
setTimeout(() => server.close(() => console.log('closed after', requests, 'requests')), 3_600_000);
