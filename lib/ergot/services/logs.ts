/** Lines of a log, said and heard across the network: the topic of formatted text of ergot 0.12. */

import type { NetStackApi, OpenSocket } from '../net-stack-api.js';
import { logTopic } from './descriptors.js';

/** How much a line matters, the most first. */
export type LogLevel = 'error' | 'warn' | 'info' | 'debug' | 'trace';

/** A line that somebody said. */
export interface LogLine<A> {
  readonly level: LogLevel;
  readonly text: string;
  readonly source: A;
}

const WIRE_LEVELS = { error: 'Error', warn: 'Warn', info: 'Info', debug: 'Debug', trace: 'Trace' } as const;
const LEVELS = { Error: 'error', Warn: 'warn', Info: 'info', Debug: 'debug', Trace: 'trace' } as const;

/** Says a line, to everyone if it is not said to whom. @throws ErgotError why it did not leave: nobody is there, say, or it is too long */
export function publishLog<A>(
  stack: NetStackApi<A>,
  level: LogLevel,
  text: string,
  to: A = stack.addressing.everyone,
): void {
  stack.publish(logTopic, to, { level: { kind: WIRE_LEVELS[level] }, inner: text });
}

/** Hears what others say, and what is said here to everyone. */
export function subscribeLogs<A>(stack: NetStackApi<A>, heard: (line: LogLine<A>) => void): OpenSocket {
  return stack.subscribe(logTopic, ({ value, source }) => {
    heard({ level: LEVELS[value.level.kind], text: value.inner, source });
  });
}
