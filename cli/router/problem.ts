/** What is wrong with a configuration, and where it says so. */

/** The way to a value: keys of maps and indices of lists. */
export type Path = readonly (string | number)[];

/** One thing that is wrong. */
export interface Problem {
  readonly path: Path;
  readonly message: string;
  /** It is about the key, not about what stands behind it. */
  readonly atKey?: boolean;
  /** Lines and columns from where the value begins, for values that are a language of their own. */
  readonly within?: { readonly line: number; readonly column: number };
}

/** A place in a text, from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** The configuration cannot be used: one line for each problem, with its place and what was expected. */
export class ConfigurationError extends Error {
  readonly code = 'ERR_BAD_CONFIGURATION';
  readonly problems: readonly (Problem & Position)[];

  constructor(file: string, problems: readonly (Problem & Position)[]) {
    const lines = problems.map(({ line, column, path, message }) => {
      const where = path.length === 0 ? '' : `${pathText(path)}: `;
      return `${file}:${line}:${column}: ${where}${message.replaceAll('\n', ' ')}`;
    });
    super(lines.join('\n'));
    this.problems = problems;
  }
}

/** A path as people write it, e.g. `routes[2].via`. */
export function pathText(path: Path): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? part : `${text}.${part}`;
  }, '');
}
