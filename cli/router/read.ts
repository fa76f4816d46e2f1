/** Reads a router's configuration, YAML 1.2 or JSON, which is the same thing written otherwise (YAML 1.2.2 1.2). */

import {
  type Document,
  isCollection,
  isMap,
  isPair,
  isScalar,
  LineCounter,
  type Node,
  parseDocument,
  Scalar,
} from 'yaml';
import type { z } from 'zod';
import { checkConfiguration } from './check.js';
import type { RouterConfiguration } from './configuration.js';
import { ConfigurationError, type Path, type Position, type Problem } from './problem.js';
import { CONFIGURATION } from './schema.js';

/** How often aliases may repeat what they stand for, before it is a bomb rather than a configuration. */
const MOST_ALIASES = 100;
const START: Position = { line: 1, column: 1 };

/**
 * Reads and checks a configuration.
 *
 * @param file what the text is called in messages
 * @throws ConfigurationError `ERR_BAD_CONFIGURATION`, with all that is wrong
 */
export function readConfiguration(text: string, file: string): RouterConfiguration {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const source = new Source(text, document, lines);
  const syntax = [...document.errors, ...document.warnings].map(({ message, pos }) => ({
    path: [],
    message,
    ...source.position(pos[0]),
  }));
  if (syntax.length > 0) throw new ConfigurationError(file, syntax);
  const found = CONFIGURATION.safeParse(valueOf(document, file));
  const problems = found.success ? checkConfiguration(found.data) : found.error.issues.flatMap((issue) => told(issue));
  if (problems.length > 0) {
    throw new ConfigurationError(
      file,
      problems.map((problem) => ({ ...problem, ...source.placeOf(problem) })),
    );
  }
  if (!found.success) throw new TypeError('a configuration with nothing wrong that does not pass');
  return found.data;
}

function valueOf(document: Document, file: string): unknown {
  try {
    return document.toJS({ maxAliasCount: MOST_ALIASES });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new ConfigurationError(file, [{ path: [], message, ...START }]);
  }
}

/** What the schema found, in our words. */
function told(issue: z.core.$ZodIssue, from: Path = []): Problem[] {
  const path = [...from, ...issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part))];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: [...path, key], message: 'there is no such key', atKey: true }));
  }
  if (issue.code === 'invalid_key') return [{ path, message: issue.issues[0]?.message ?? issue.message, atKey: true }];
  if (issue.code === 'invalid_union') {
    // The alternative that was meant is the one that goes wrong deeper inside.
    const meant = issue.errors.find((errors) =>
      errors.some((one) => one.path.length > 0 || one.code === 'unrecognized_keys'),
    );
    if (meant !== undefined) return meant.flatMap((one) => told(one, path));
  }
  return [{ path, message: issue.message.replace(/^Invalid (input|option): /, '') }];
}

/** The text that a configuration was read from, to say where things stand in it. */
class Source {
  private readonly text: string;
  private readonly document: Document;
  private readonly lines: LineCounter;

  constructor(text: string, document: Document, lines: LineCounter) {
    this.text = text;
    this.document = document;
    this.lines = lines;
  }

  position(offset: number): Position {
    const { line, col } = this.lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  }

  placeOf({ path, atKey = false, within }: Problem): Position {
    const node = this.find(path, atKey);
    const start = node?.range?.[0];
    if (start === undefined) return START;
    return within === undefined ? this.position(start) : this.inside(node, start, within);
  }

  /** The node of a path, or the nearest one around it. */
  private find(path: Path, atKey: boolean): Node | undefined {
    let node: Node | null = this.document.contents;
    for (const [depth, part] of path.entries()) {
      if (!isCollection(node)) break;
      const pair = isMap(node)
        ? node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part))
        : undefined;
      const wantsKey = atKey && depth === path.length - 1;
      const next = isPair(pair) && wantsKey ? pair.key : node.get(part, true);
      if (next === undefined || next === null) break;
      node = next as Node;
    }
    return node ?? undefined;
  }

  /** A place in a text that is a value. */
  private inside(node: Node | undefined, start: number, { line, column }: Position): Position {
    const first = this.position(start);
    const isBlock = isScalar(node) && (node.type === Scalar.BLOCK_LITERAL || node.type === Scalar.BLOCK_FOLDED);
    if (!isBlock) return first;
    const content = this.text.split('\n')[first.line + line - 1] ?? '';
    const indent = /^ */.exec(this.text.split('\n')[first.line] ?? '')?.[0].length ?? 0;
    return { line: first.line + line, column: Math.min(column + indent, content.length + 1) };
  }
}
