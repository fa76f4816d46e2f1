/**
 * What can be wrong with data in the postcard encoding (its specification, version 1), in which ergot writes headers and messages: integers of
 * more than a byte as varints of seven bits each, lowest first, signed ones in zig-zag; lengths and variants as such varints; no field names.
 */

/** Codes of {@link PostcardError}. */
export type PostcardCode =
  /** It ends within a value, or states a length that is more than is there. */
  | 'ERR_POSTCARD_END'
  /** A varint of more bytes or bits than its type has. */
  | 'ERR_POSTCARD_VARINT'
  /** A `bool` other than 0 and 1. */
  | 'ERR_POSTCARD_BOOL'
  /** The first byte of an option is neither 0 nor 1. */
  | 'ERR_POSTCARD_OPTION'
  /** A `char` that is not one Unicode scalar value. */
  | 'ERR_POSTCARD_CHAR'
  /** A string that is no UTF-8. */
  | 'ERR_POSTCARD_UTF8'
  /** A value that its type does not have, though the encoding has it: a string too long for its room, 0 where none may be. */
  | 'ERR_POSTCARD_RANGE'
  /** A variant that its enum does not have. */
  | 'ERR_POSTCARD_VARIANT'
  /** More items without bytes than {@link MAX_EMPTY_ITEMS}. */
  | 'ERR_POSTCARD_COUNT'
  /** Bytes after the value. */
  | 'ERR_POSTCARD_TRAILING';

/** Items that take no bytes, in sequences and maps, that one message may hold: their number is not bounded by its length. */
export const MAX_EMPTY_ITEMS = 4096;

/** Data that cannot be decoded; `offset` is where in it. */
export class PostcardError extends Error {
  readonly code: PostcardCode;
  /** Bytes from the start of the data. */
  readonly offset: number;

  constructor(code: PostcardCode, offset: number) {
    super(`bad postcard data at byte ${offset}: ${code}`);
    this.name = 'PostcardError';
    this.code = code;
    this.offset = offset;
  }
}
