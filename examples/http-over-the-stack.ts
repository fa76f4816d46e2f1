/** Node's own http, server and client, over the stack: two hosts and a cable in memory that loses one frame in a hundred. */
import http from 'node:http';
import { link } from '../drivers/index.js';
import { agent, environment, host, serveHttp } from '../operators/main.js';

const cable = link({ impair: { delay: 5, loss: 0.01 } }, environment());
const [left, right] = cable.ends;

const server = host({ device: left, addresses: ['10.0.0.1/24'] }, environment());
const client = host({ device: right, addresses: ['10.0.0.2/24'] }, environment());
left.frames$.pipe(server).subscribe(left.sink);
right.frames$.pipe(client).subscribe(right.sink);

const web = http.createServer((request, response) => {
  response.end(`${request.method} ${request.url} from ${request.socket.remoteAddress}\n`);
});
serveHttp(web, { tcp: server.tcp, port: 80 });

const request = http.request('http://10.0.0.1/hello', { method: 'POST', agent: agent(client.tcp) });
request.on('response', (response) => {
  console.log(response.statusCode, response.headers.date !== undefined);
  response.pipe(process.stdout);
  response.on('end', () => void cable.close());
});
request.end('good day');
