/** Bytes as `tcpdump -X` shows them: offset, eight groups of two bytes, and the printable characters. */

const PER_LINE = 16;
const GROUPS_WIDTH = 39;

/**
 * The bytes as lines of sixteen, without a newline at the end; empty for no bytes.
 *
 * @param indent put in front of each line; `tcpdump` uses a tab
 * @example
 * hexdump(frame.bytes()); // 0x0000:  4500 0021 1234 4000 4011 1496 0a00 0002  E..!.4@.@.......
 */
export function hexdump(bytes: Uint8Array, indent = ''): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += PER_LINE) {
    lines.push(indent + hexdumpLine(at, bytes.subarray(at, at + PER_LINE)));
  }
  return lines.join('\n');
}

function hexdumpLine(offset: number, bytes: Uint8Array): string {
  let groups = '';
  let text = '';
  bytes.forEach((byte, index) => {
    groups += (index > 0 && index % 2 === 0 ? ' ' : '') + byte.toString(16).padStart(2, '0');
    text += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.';
  });
  return `0x${offset.toString(16).padStart(4, '0')}:  ${groups.padEnd(GROUPS_WIDTH)}  ${text}`;
}
