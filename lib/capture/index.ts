export * from './capture.js';
export * from './pcap.js';
export * from './pcapng.js';
export * from './pcapng-writer.js';
export * from './reader.js';
