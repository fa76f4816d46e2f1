export * from './describe.js';
export * from './dissect.js';
export * from './hexdump.js';
export { NotationError } from './notation-lexer.js';
export * from './notation.js';
export { NotationContext, type NotationOptions, SequenceMap } from './notation-context.js';
export * from './packet-spec.js';
export * from './pretty.js';
export * from './tcp-option-list.js';
