/** Prints how many bytes of the heap a round trip of 64 bytes takes in a whole host whose application writes what it is shown. */

import { Exchange } from '../../bench/micro/tcp-exchange.js';
import { allocated } from './heap.js';

const CONNECTIONS = 64;
const TURNS = 50;

const exchange = new Exchange(CONNECTIONS);
exchange.open();
exchange.ask();
const work = (): void => {
  for (let i = 0; i < TURNS; i++) exchange.roundTrip();
};
process.stdout.write(String(allocated(work, CONNECTIONS * TURNS)));
exchange.end();
