const http = require('node:http');

const [, , ...urls] = process.argv;
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
for (const url of urls) {
  const started = Date.now();
  http
    .get(url, { agent }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
      response.on('end', () => {
        console.log(response.statusCode, response.headers.date, text.trim(), Date.now() - started, 'ms');
      });
    })
    .on('error', (error) => console.error(error.code));
}
