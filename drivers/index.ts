/** The drivers that need nothing native; TAP and TUN are entry points of their own. */

export * from './bridge.js';
export * from './compliance.js';
export * from './file-sink.js';
export * from './link.js';
export * from './pcap-file.js';
export * from './port.js';
export * from './translator.js';
export * from './tuntap2.js';
export * from './vlan.js';
export * from './vxlan.js';
