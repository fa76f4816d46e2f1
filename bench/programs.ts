/** The programs of the benchmarks on the wire: those in TypeScript, and those in C and Go, which are compiled when they are wanted. */

import { execFileSync, type ExecFileSyncOptions } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { INLINING } from '../cli/inlining.js';
import { build } from '../packaging/build.js';
import { removeAtExit, removed } from './leavings.js';
import { PORTS } from './ports.js';

/** How to start a program. */
export interface Program {
  readonly command: string;
  readonly args: readonly string[];
}

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PEERS = fileURLToPath(new URL('peers/', import.meta.url));
/** Where Debian has the sources of its Go libraries. */
const GO_PATH = '/usr/share/gocode';

const C_FLAGS = ['-O2', '-Wall', '-Wextra'];
/** What a compiler says is shown. */
const ERRORS: ExecFileSyncOptions = { stdio: ['ignore', 2, 2] };

/** A program of this directory, as it is. */
export function node(file: string): Program {
  return { command: process.execPath, args: ['--import=tsx', fileURLToPath(new URL(file, import.meta.url))] };
}

/** A first line of what a command prints, or `undefined` if there is no such command, or it fails. */
export function said(command: string, args: readonly string[]): string | undefined {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: 'pipe' }).split('\n')[0]?.trim();
  } catch {
    return undefined;
  }
}

/** Compiles into a directory of its own, which {@link remove} removes. */
export class Workshop {
  private readonly directory: string = mkdtempSync(join(tmpdir(), 'rxns-bench-'));
  private readonly made = new Map<string, Program | undefined>();

  constructor() {
    removeAtExit(this);
  }

  /**
   * Compiles `peers/NAME.c`; `undefined` if there is no C compiler.
   *
   * @throws Error if it does not compile
   */
  c(name: string, flags: readonly string[] = []): Program | undefined {
    return this.once(name, (command) => {
      if (said('gcc', ['--version']) === undefined) return undefined;
      const ports = Object.entries(PORTS).map(([port, number]) => `-D${port.toUpperCase()}_PORT=${number}`);
      execFileSync('gcc', [...C_FLAGS, ...ports, '-o', command, join(PEERS, `${name}.c`), ...flags], ERRORS);
      return { command, args: [] };
    });
  }

  /** lwIP's peer, with the version of the library; `undefined` if the library or the compiler is not installed. */
  lwip(): Program | undefined {
    const flags = said('pkg-config', ['--cflags', '--libs', 'lwip']);
    return flags === undefined ? undefined : this.c('lwip', flags.split(' '));
  }

  /**
   * gVisor's peer; `undefined` if the library or Go is not installed.
   *
   * @throws Error if it does not compile
   */
  gvisor(): Program | undefined {
    return this.once('gvisor', (command) => {
      if (said('go', ['version']) === undefined || !existsSync(`${GO_PATH}/src/gvisor.dev/gvisor`)) return undefined;
      const env = { ...process.env, GO111MODULE: 'off', GOFLAGS: '', GOPATH: GO_PATH, GOCACHE: `${command}-cache` };
      execFileSync('go', ['build', '-o', command, join(PEERS, 'gvisor.go')], { ...ERRORS, env });
      return { command, args: [] };
    });
  }

  /** `NAME.ts` of this directory, a program on our stack, as the package is published: compiled as `npm run build` does it, not by a loader on the way. */
  stack(name: string): Program {
    return this.once(name, (outDir) => {
      const config = `${outDir}.json`;
      const typeRoots = [join(ROOT, 'node_modules/@types')];
      const compilerOptions = { noEmit: false, rootDir: ROOT, typeRoots };
      const files = [join(ROOT, `bench/${name}.ts`)];
      const extended = join(ROOT, 'tsconfig.json');
      writeFileSync(config, JSON.stringify({ extends: extended, compilerOptions, files, include: [] }));
      build(config, outDir);
      writeFileSync(join(outDir, 'package.json'), '{"type":"module"}');
      symlinkSync(join(ROOT, 'node_modules'), join(outDir, 'node_modules'));
      return { command: process.execPath, args: [INLINING, join(outDir, `bench/${name}.js`)] };
    });
  }

  /** What `make` makes at a path of ours, made once. */
  private once<P extends Program | undefined>(name: string, make: (path: string) => P): P {
    if (!this.made.has(name)) this.made.set(name, make(join(this.directory, name)));
    return this.made.get(name) as P;
  }

  /** Removes all that was compiled. */
  remove(): void {
    rmSync(this.directory, { recursive: true });
    removed(this);
  }
}
