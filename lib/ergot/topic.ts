/** What a topic is: messages of one type under one path. */

import { Key } from './key.js';
import type { Schema } from './schema.js';

/** A topic's description: publishers and subscribers make the same one. */
export interface Topic<T> {
  readonly path: string;
  readonly message: Schema<T>;
  readonly key: Key;
}

/**
 * Describes a topic, once for publishers and subscribers.
 *
 * @example
 * const yeet = topic('topic/yeet', u64);
 */
export function topic<T>(path: string, message: Schema<T>): Topic<T> {
  return { path, message, key: Key.of(path, message.signature) };
}
