const { performance } = require('perf_hooks');
const { promisify } = require('util');
const helper = require('./clock-part.cjs');

const wait = promisify(setTimeout);
async function main() {
  console.log(new Date().toISOString(), Date.now(), performance.now(), process.uptime());
  await wait(3_600_000);
  console.log(new Date().toISOString(), Date.now(), performance.now(), process.uptime());
  const [seconds] = process.hrtime();
  console.log(
    seconds,
    typeof process.hrtime.bigint(),
    new Date(5).getTime(),
    new Date() instanceof Date,
    typeof Date(),
  );
  const order = [];
  setImmediate(() => order.push('immediate'));
  setTimeout(() => order.push('timeout'), 0);
  process.nextTick(() => order.push('tick'));
  queueMicrotask(() => order.push('microtask'));
  await wait(5);
  console.log(order.join(' '));
  const never = setTimeout(() => console.log('never'), 1000);
  setInterval(() => console.log('never either'), 10_000).unref();
  clearTimeout(+never);
  console.log(await helper(), globalThis.setTimeout === setTimeout, global.Date === Date);
  const refreshed = setTimeout(() => console.log('refreshed', performance.now()), 100);
  setTimeout(() => refreshed.refresh(), 60);
  process.exitCode = 3;
}
process.on('beforeExit', () => console.error('before exit'));
process.on('exit', (code) => console.error('exit', code));
void main();
