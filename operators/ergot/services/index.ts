/** Services of ergot nodes as Observables. */

export { discover } from './discover.js';
export { findSockets } from './find-sockets.js';
export { logs } from './logs.js';
export { type ErgotPingObservableOptions, ping } from './ping.js';
export { services, type ServicesOptions } from './services.js';
