/** Runs CommonJS modules: the program's and all that it requires have the program's globals and built-in modules, in this realm. */

import { readFileSync } from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import { dirname, extname } from 'node:path';
import { compileFunction } from 'node:vm';
import type { Builtins } from './modules.js';

interface Module {
  readonly id: string;
  readonly filename: string;
  exports: unknown;
  loaded: boolean;
  readonly children: Module[];
  require: (name: string) => unknown;
}

type Wrapper = (...args: unknown[]) => void;

const WRAPPED = ['exports', 'require', 'module', '__filename', '__dirname'];

/** Modules of one program. */
export class CommonJs {
  private readonly builtins: Builtins;
  private readonly globals: Readonly<Record<string, unknown>>;
  private readonly cache: Record<string, Module> = {};
  private main: Module | undefined = undefined;

  constructor(builtins: Builtins, globals: Readonly<Record<string, unknown>>) {
    this.builtins = builtins;
    this.globals = globals;
  }

  /** Runs the main module. @param source its text, if that is not in the file */
  run(file: string, source?: string): void {
    this.load(file, source);
  }

  /** A module that an ES module of the program imports. */
  require(file: string): unknown {
    return (this.cache[file] ?? this.load(file, undefined)).exports;
  }

  private load(file: string, source: string | undefined): Module {
    const module: Module = {
      id: this.main === undefined ? '.' : file,
      filename: file,
      exports: {},
      loaded: false,
      children: [],
      require: () => undefined,
    };
    this.main ??= module;
    module.require = this.requireOf(module);
    this.cache[file] = module;
    try {
      if (extname(file) === '.json') module.exports = JSON.parse(readFileSync(file, 'utf8'));
      else this.evaluate(module, source ?? readFileSync(file, 'utf8'));
    } catch (error) {
      delete this.cache[file];
      throw error;
    }
    module.loaded = true;
    return module;
  }

  private evaluate(module: Module, source: string): void {
    const { filename, exports, require } = module;
    // A line that starts with #! is for the shell.
    const text = source.replace(/^#!.*/, '');
    // Around the module rather than in it: it may declare these names itself.
    const wrapper = compileFunction(text, WRAPPED, { filename, contextExtensions: [this.globals] }) as Wrapper;
    const values = [exports, require, module, filename, dirname(filename)];
    Reflect.apply(wrapper, exports, values);
  }

  private requireOf(parent: Module): Module['require'] {
    const { resolve } = createRequire(parent.filename);
    const require = (name: string): unknown => {
      if (isBuiltin(name)) return this.builtins(name);
      const file = resolve(name);
      const cached = this.cache[file];
      if (cached !== undefined) return cached.exports;
      // Native code has no globals to be given.
      if (extname(file) === '.node') return createRequire(parent.filename)(file) as unknown;
      const module = this.load(file, undefined);
      parent.children.push(module);
      return module.exports;
    };
    return Object.assign(require, { resolve, cache: this.cache, main: this.main ?? parent });
  }
}
