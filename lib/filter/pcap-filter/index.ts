export type * from './ast.js';
export type { PcapLinkType } from './layout.js';
export { PcapFilterError } from './lexer.js';
export { parsePcapFilter } from './parser.js';
export * from './pcap-filter.js';
export { printPcapFilter } from './printer.js';
