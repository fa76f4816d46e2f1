#!/usr/bin/env node
// An ES module, with a part of its own, a CommonJS one, and names of globals that it declares itself.
import http, { createServer } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import process from 'node:process';
import { greeting, started } from './relay-part.mjs';
import part, { shout } from './relay-part.cjs';

const [port, origin] = process.argv.slice(2);
console.log(basename(fileURLToPath(import.meta.url)), started, Date.now(), part.when, shout('up'));
await setTimeout(5000);
console.log('after', performance.now(), globalThis.Date === Date, typeof globalThis.setTimeout);

createServer(async (request, response) => {
  await setTimeout(1000);
  http.get(`http://${origin}${request.url}`, (answer) => {
    response.setHeader('x-greeting', greeting);
    answer.pipe(response);
  });
}).listen(Number(port));
