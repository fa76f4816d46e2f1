const { setInterval } = require('node:timers/promises');
const { name } = require('./part.json');

module.exports = async () => {
  let ticks = 0;
  for await (const value of setInterval(1000, 2)) {
    ticks += value;
    if (ticks === 10) break;
  }
  return `${name} ${ticks} ${require.main === module} ${typeof require.cache}`;
};
