/** Schemas of types that have fewer values than their encoding. To their descriptions, and so to keys, the bounds are nothing. */

import { UsageError } from '../core/errors.js';
import { type Schema, string, u32 } from './schema.js';

const encoder = new TextEncoder();

/** A string of at most `most` bytes in UTF-8, as devices have it that set room aside. */
export function boundedString(most: number): Schema<string> {
  return {
    signature: string.signature,
    least: string.least,
    write(writer, value) {
      if (encoder.encode(value).length > most) {
        throw new UsageError('ERR_BAD_MESSAGE', `${JSON.stringify(value)} is of more than ${most} bytes`);
      }
      string.write(writer, value);
    },
    read(reader) {
      const from = reader.at;
      const value = string.read(reader);
      // The varint of its length is there, too.
      if (reader.at - from > most && encoder.encode(value).length > most) reader.fail('ERR_POSTCARD_RANGE');
      return value;
    },
  };
}

/** A `u32` other than 0. */
export const nonZeroU32: Schema<number> = {
  signature: u32.signature,
  least: u32.least,
  write(writer, value) {
    if (value === 0) throw new UsageError('ERR_BAD_MESSAGE', '0 where none may be');
    u32.write(writer, value);
  },
  read(reader) {
    const value = u32.read(reader);
    if (value === 0) reader.fail('ERR_POSTCARD_RANGE');
    return value;
  },
};
