/** Runs every program and script of the guides, and holds what they print against what the guides say. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { expect } from 'chai';
import { packetdrill, resultText } from '../operators/testing/index.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const { resolve } = createRequire(import.meta.url);
/** The guides, and the languages of what they have to run. */
const GUIDES: Readonly<Record<string, readonly string[]>> = {
  'docs/TESTING.md': ['ts', 'packetdrill', 'text'],
  'docs/ERGOT.md': ['ts', 'text'],
};

/** Where the entry points of the package are in the tree. */
const ENTRY_POINTS: Readonly<Record<string, string>> = {
  'rx-netstack': 'operators/main.ts',
  'rx-netstack/operators': 'operators/index.ts',
  'rx-netstack/drivers': 'drivers/index.ts',
  'rx-netstack/ergot': 'operators/ergot/index.ts',
  'rx-netstack/testing': 'operators/testing/index.ts',
};

interface Block {
  readonly language: string;
  readonly text: string;
  readonly line: number;
}

function blocksOf(markdown: string): readonly Block[] {
  return [...markdown.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].map(({ index, 1: language = '', 2: text = '' }) => ({
    language,
    text,
    line: markdown.slice(0, index).split('\n').length,
  }));
}

/** Runs a program in this process, with the entry points of this tree; returns what it printed. */
async function run(directory: string, { text, line }: Block): Promise<string> {
  const source = text.replace(/from '([^']*)'/g, (_, name: string) => {
    const path = ENTRY_POINTS[name];
    const file = path === undefined ? resolve(name) : join(ROOT, path);
    return `from '${file.startsWith('node:') ? file : pathToFileURL(file).href}'`;
  });
  const file = join(directory, `line-${line}.mjs`);
  writeFileSync(file, source);
  let printed = '';
  const { log } = console;
  console.log = (...values: unknown[]) => {
    printed += `${values.map((value) => (typeof value === 'string' ? value : inspect(value))).join(' ')}\n`;
  };
  try {
    await import(pathToFileURL(file).href);
  } finally {
    console.log = log;
  }
  return printed;
}

for (const [guide, languages] of Object.entries(GUIDES))
  describe(guide, () => {
    const blocks = blocksOf(readFileSync(join(ROOT, guide), 'utf8'));
    const directory = mkdtempSync(join(tmpdir(), 'rx-guide-'));
    after(() => rmSync(directory, { recursive: true }));

    it('has programs and scripts, and says of each program what it prints', () => {
      expect(blocks.map(({ language }) => language)).to.include.members(languages);
      for (const [i, block] of blocks.entries()) {
        if (block.language === 'ts') expect(blocks[i + 1]?.language, `after line ${block.line}`).to.equal('text');
      }
    });

    for (const [i, block] of blocks.entries()) {
      if (block.language === 'ts') {
        it(`the program of line ${block.line} prints what the guide says`, async () => {
          expect(await run(directory, block)).to.equal(blocks[i + 1]?.text);
        }).timeout(30_000);
      } else if (block.language === 'packetdrill') {
        it(`the script of line ${block.line} passes`, () => {
          for (const result of packetdrill(block.text)) expect(result.ok, resultText(result)).to.equal(true);
        });
      }
    }
  });
