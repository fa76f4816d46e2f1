/** Values of messages as short text for people. */

const LONGEST = 200;
/** Control characters that JSON leaves as they are, and that terminals obey. */
// eslint-disable-next-line no-control-regex -- it is these that must not reach a terminal
const CONTROLS = /[\u007f-\u009f\u2028\u2029]/g;

/**
 * A value of a schema: fields that are there and variants by their names, bytes in hexadecimal, strings quoted. One line, however the value was
 * made, of 200 characters at most.
 */
export function valueText(value: unknown): string {
  const text = textOf(value);
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST - 1)}…`;
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  if (typeof value !== 'object' || value === null) return String(value);
  if (value instanceof Uint8Array) return Array.from(value, (byte) => byte.toString(16).padStart(2, '0')).join('');
  if (Array.isArray(value)) return `[${value.map(textOf).join(', ')}]`;
  if (value instanceof Map) return `{${[...value].map(([key, one]) => `${textOf(key)}: ${textOf(one)}`).join(', ')}}`;
  if ('kind' in value && typeof value.kind === 'string') return variantText(value.kind, value);
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return `{${fields.map(([name, field]) => `${name}: ${textOf(field)}`).join(', ')}}`;
}

function variantText(kind: string, value: object): string {
  return 'value' in value && value.value !== undefined ? `${kind}(${textOf(value.value)})` : kind;
}

function quoted(text: string): string {
  return JSON.stringify(text).replace(CONTROLS, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
