/**
 * How much of other functions V8 may put into one that it compiles. A packet's way leads through a hundred small functions; with V8's own limit most of them
 * are called. This brings up to a tenth more of round trips (docs/PERFORMANCE.md).
 */
export const INLINING = '--max-inlined-bytecode-size-cumulative=4000';
