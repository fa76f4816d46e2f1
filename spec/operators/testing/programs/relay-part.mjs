export const started = Date.now();
const console = { log: (text) => process.stderr.write(`${text}\n`) };
console.log('part');
export const greeting = `hello at ${new Date(60_000).toISOString()}`;
