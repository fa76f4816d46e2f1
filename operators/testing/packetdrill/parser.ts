/** Parses scripts: options, commands, events. What it does not know is an error at its place, never passed over. */

import type { Token } from '../../../lib/text/notation-lexer.js';
import { ScriptCursor } from './cursor.js';
import { parseExpression, parseItems } from './expression.js';
import { type Defines, lex } from './lexer.js';
import { parsePacket } from './parse-packet.js';
import { parseCode } from './python-parser.js';
import type { Action, CallLine, CallResult, EventTime, Script, ScriptEvent } from './script.js';
import { isSystemCall } from './system-calls.js';

/** Options that have a meaning here, or none that matters to a stack in virtual time; and whether they have a value. */
const OPTIONS: Readonly<Record<string, boolean>> = {
  tolerance_usecs: true,
  tolerance_percent: true,
  mss: true,
  mtu: true,
  ip_version: true,
  tcp_ts_tick_usecs: true,
  local_ip: true,
  remote_ip: true,
  gateway_ip: true,
  netmask_ip: true,
  local_linkaddr: true,
  remote_linkaddr: true,
  speed: true,
  bind_port: true,
  connect_port: true,
  send_omit_free: false,
  strict_segments: false,
  code_command: true,
  code_format: true,
  code_sockopt: true,
  non_fatal: true,
  init_scripts: true,
  verbose: false,
  debug: false,
  dry_run: false,
  is_anyip: false,
  tcp_ts_ecr_scaled: false,
  define: true,
  so_filename: true,
  so_flags: true,
  tun_dev: true,
  persistent_tun_dev: false,
  wire_client: false,
  wire_server: false,
  wire_client_dev: true,
  wire_server_at: true,
  wire_server_dev: true,
  wire_server_ip: true,
  wire_server_port: true,
};

/** A script's name and the words that the user defines. */
export interface ParseOptions {
  /** Default `script`. */
  readonly name?: string;
  readonly defines?: Defines;
}

/** Parses a script. @throws ScriptError with file, line and column */
export function parseScript(text: string, { name = 'script', defines = {} }: ParseOptions = {}): Script {
  return new Parser(text, name, defines).script();
}

class Parser {
  private readonly text: string;
  private readonly name: string;
  private readonly cursor: ScriptCursor;
  private readonly offsets: readonly number[];
  private last = 0;

  constructor(text: string, name: string, defines: Defines) {
    this.text = text;
    this.name = name;
    this.cursor = new ScriptCursor(lex(text, name, defines), name);
    this.offsets = lineOffsets(text);
  }

  script(): Script {
    const { cursor } = this;
    const options = this.options();
    const init: string[] = [];
    while (cursor.peek().kind === 'command') init.push(cursor.take().text);
    const events: ScriptEvent[] = [];
    let cleanup: string | undefined;
    while (!cursor.done) {
      if (cursor.peek().kind === 'command' && events.length > 0) {
        cleanup = cursor.take().text;
        if (!cursor.done) throw cursor.error('expected the end after the command that cleans up');
      } else events.push(this.event(events.length === 0));
    }
    if (events.length === 0) throw cursor.error('expected an event');
    return { name: this.name, options, init, events, cleanup };
  }

  private options(): Map<string, string> {
    const { cursor } = this;
    const found = new Map<string, string>();
    while (cursor.peek().kind === 'option') {
      const token = cursor.take();
      const name = token.text.slice(2);
      const valued = Object.hasOwn(OPTIONS, name) ? OPTIONS[name] : undefined;
      if (valued === undefined) throw cursor.errorAt(`unknown option --${name}`, token);
      found.set(name, cursor.accept('=') ? this.optionValue() : '');
      if (valued && found.get(name) === '') throw cursor.errorAt(`--${name} needs a value`, token);
      this.checkOption(name, found.get(name) ?? '', token);
    }
    return found;
  }

  private optionValue(): string {
    const token = this.cursor.take();
    if (['end', 'punctuation', 'option'].includes(token.kind)) throw this.cursor.errorAt('expected a value', token);
    let value = token.text;
    while (this.cursor.peek().adjacent && ['word', 'integer', 'punctuation'].includes(this.cursor.peek().kind)) {
      value += this.cursor.take().text;
    }
    return value;
  }

  private checkOption(name: string, value: string, token: Token): void {
    const numeric = ['tolerance_usecs', 'mtu', 'tcp_ts_tick_usecs', 'bind_port', 'connect_port', 'mss'].includes(name);
    if (numeric && !/^\d+$/.test(value)) throw this.cursor.errorAt(`--${name} needs a number, not '${value}'`, token);
    if (['bind_port', 'connect_port'].includes(name) && Number(value) > 0xffff) {
      throw this.cursor.errorAt(`--${name} is at most 65535, not ${value}`, token);
    }
    if (name === 'tolerance_percent' && !/^\d*\.?\d+$/.test(value)) {
      throw this.cursor.errorAt(`--${name} needs a number, not '${value}'`, token);
    }
    if (name === 'ip_version' && !['ipv4', 'ipv6', 'ipv4-mapped-ipv6'].includes(value)) {
      throw this.cursor.errorAt(`--ip_version is ipv4, ipv6 or ipv4-mapped-ipv6, not '${value}'`, token);
    }
  }

  private event(first: boolean): ScriptEvent {
    const { cursor } = this;
    const begin = cursor.peek();
    const { time, end } = this.time();
    if (first && !(time.kind === 'at' && time.from === 0))
      throw cursor.errorAt('the first event must be at time 0', begin);
    const { line, column } = cursor.peek();
    const place = { line, column };
    const action = this.action(end);
    if (time.kind === 'any' && action.kind !== 'outbound') {
      throw cursor.errorAt('only packets that go out may do so at any time', begin);
    }
    if (time.kind === 'at' && time.from !== time.to && action.kind !== 'outbound') {
      throw cursor.errorAt('only packets that go out have a range of times', begin);
    }
    if (end !== undefined && action.kind !== 'call') throw cursor.errorAt('only system calls have an end', begin);
    const from = this.offset(place);
    const to = this.endOffset();
    const text = this.text.slice(from, to).replaceAll(/\s+/g, ' ').trim();
    return { place, text, start: this.offset(begin), end: to, time, action };
  }

  /** `0.5`, `+.1`, `*`, `1~2`, `+.1~+.2`; and the end of a blocking call: `+0...0.2`. */
  private time(): { readonly time: EventTime; readonly end: number | undefined } {
    const { cursor } = this;
    const begin = cursor.peek();
    if (cursor.accept('*')) return { time: { kind: 'any' }, end: undefined };
    const relative = cursor.accept('+');
    const from = this.seconds();
    if (!relative) {
      if (from < this.last) throw cursor.errorAt('the time is before that of an event before', begin);
      this.last = from;
    }
    let to = from;
    let end: number | undefined;
    if (cursor.accept('~')) {
      if (cursor.accept('+') !== relative) throw cursor.error('both ends of a range are relative, or neither');
      to = this.seconds();
      if (to < from) throw cursor.errorAt('the range ends before it begins', begin);
    } else if (cursor.accept('...')) {
      if (cursor.accept('+') && !relative) throw cursor.error('the end is relative only where the start is');
      end = this.seconds();
      if (end < from) throw cursor.errorAt('the call returns before it begins', begin);
    }
    return { time: { kind: 'at', relative, from, to }, end };
  }

  /** A number of seconds, in microseconds. */
  private seconds(): number {
    const token = this.cursor.peek();
    const value = token.kind === 'integer' || token.kind === 'float' ? Number(token.text) : Number.NaN;
    if (!(value >= 0 && value < 1e9)) throw this.cursor.error('expected a time');
    this.cursor.take();
    return Math.round(value * 1e6);
  }

  private action(end: number | undefined): Action {
    const { cursor } = this;
    const token = cursor.peek();
    if (cursor.at('<') || cursor.at('>')) return parsePacket(cursor);
    if (token.kind === 'code') {
      cursor.take();
      return { kind: 'code', code: parseCode(token, cursor.file) };
    }
    if (token.kind === 'command') return { kind: 'command', command: cursor.take().text };
    if (token.kind === 'word' && cursor.at('(', 1)) return { kind: 'call', call: this.call(end) };
    throw cursor.error('expected a packet, a system call, code or a command');
  }

  /** `name(args) = result [ERRNO] [(note)]`. */
  private call(end: number | undefined): CallLine {
    const { cursor } = this;
    const name = cursor.take();
    if (!isSystemCall(name.text)) throw cursor.errorAt(`unknown system call '${name.text}'`, name);
    cursor.expect('(');
    const args = parseItems(cursor, ')');
    cursor.expect('=');
    return { name: name.text, args, result: this.result(), end };
  }

  private result(): CallResult {
    const { cursor } = this;
    if (cursor.accept('...')) return { value: undefined, errno: undefined };
    const value = parseExpression(cursor);
    let errno: string | undefined;
    const word = cursor.peek();
    if (word.kind === 'word') {
      if (!/^E[A-Z0-9]+$/.test(word.text)) throw cursor.error('expected an error number');
      if (value.kind !== 'number' || value.value !== -1) throw cursor.error('an error number only comes with -1');
      errno = cursor.take().text;
    }
    while (cursor.at('(')) this.note();
    return { value, errno };
  }

  /** Words in parentheses, for people. */
  private note(): void {
    const open = this.cursor.expect('(');
    for (let depth = 1; depth > 0; ) {
      if (this.cursor.done) throw this.cursor.errorAt('the note does not end', open);
      const { text, kind } = this.cursor.take();
      if (kind !== 'punctuation') continue;
      if (text === '(') depth++;
      if (text === ')') depth--;
    }
  }

  private offset({ line, column }: { readonly line: number; readonly column: number }): number {
    return (this.offsets[line - 1] ?? 0) + column - 1;
  }

  /** Where the last token ends. */
  private endOffset(): number {
    const token = this.cursor.peek(-1);
    const quotes = token.kind === 'code' ? 4 : token.kind === 'command' || token.kind === 'string' ? 2 : 0;
    const at = this.offset(token);
    const next = this.offset(this.cursor.peek());
    return Math.min(at + token.text.length + quotes, Math.max(next, at + 1));
  }
}

function lineOffsets(text: string): number[] {
  const offsets = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) offsets.push(at + 1);
  return offsets;
}
