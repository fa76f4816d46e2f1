// A chat: the first argument says whether this is the server or somebody's name.
const net = require('net');
const readline = require('readline');

const [role, host] = process.argv.slice(2);
if (role === 'server') {
  const people = new Set();
  net
    .createServer((socket) => {
      people.add(socket);
      readline.createInterface({ input: socket }).on('line', (line) => {
        for (const other of people) if (other !== socket) other.write(`${line}\n`);
      });
      socket.on('close', () => {
        people.delete(socket);
        if (people.size === 0) process.exit(0);
      });
    })
    .listen({ port: 6667, host: '0.0.0.0' });
} else {
  const socket = net.connect({ port: 6667, host });
  socket.setKeepAlive(true);
  readline.createInterface({ input: socket }).on('line', (line) => console.log(line));
  socket.on('connect', () => {
    let said = 0;
    const saying = setInterval(() => {
      socket.write(`${role}: ${++said}\n`);
      if (said === 3) {
        clearInterval(saying);
        setTimeout(() => socket.end(), 10_000);
      }
    }, 1000 + role.length);
  });
}
