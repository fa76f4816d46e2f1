import { expect } from 'chai';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { matrixOf, notImplemented, problemsOf, readSources, type Sources, statusOf } from '../conformance/matrix.js';
import { parseRequirements } from '../conformance/requirements.js';
import { titlesOf, wordsOf } from '../conformance/titles.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

describe('conformance', () => {
  it('each rule of the required families has a test or an excuse, and each excuse is true', () => {
    expect(problemsOf(readSources(ROOT))).to.deep.equal([]);
  });

  describe('titles', () => {
    const named = (source: string) => titlesOf(source, 'x-spec.ts').map(({ title, words }) => [title, ...words]);

    it('name ids that they begin with, and those in parentheses', () => {
      const cases: readonly (readonly [string, ...string[]])[] = [
        ['1122-I1: refuses a wrong version', '1122-I1'],
        ['GP-17 8200-2: an unknown option', 'GP-17', '8200-2'],
        ['8200-3 RFC 5095: refuses routes', '8200-3', '5095'],
        ['MUST-11, E-09: forgets', 'MUST-11', 'E-09'],
        ['GP-60 delivers to a socket', 'GP-60'],
        ['resets (GT-108, 5961-1; SHLD-2)', 'GT-108', '5961-1', 'SHLD-2'],
        ['draws numbers (6528) as it should (RFC 9293 3.4.1)', '6528', '9293'],
        ['arp-sec: creates none', 'arp-sec'],
        ['probes (MUST-9..11, GT-08..9)', 'MUST-9', 'MUST-10', 'MUST-11', 'GT-08', 'GT-09'],
        ['takes 1191 bytes, as 1122-I1 wants it'],
        ['is 3 s or 5 (after MUST-8 seconds)', 'MUST-8'],
      ];
      for (const [title, ...ids] of cases) expect(wordsOf(title), title).to.deep.equal(ids);
    });

    it('are those of tests, with the suites that they stand in', () => {
      // Ids of another stack’s tests: what is in this text counts where the whole project is read.
      const source = `
        describe('SM-01: a suite', () => {
          it('first', () => {});
          // it('SM-07: a comment', () => {});
          describeNetns('inner (SM-05)', () => {
            it(\`SM-11: \${name} ends the probe\`, () => {});
          });
          it.skip('SM-12: skipped', () => {});
          it(
            "it's last (SM-02)",
            () => {},
          );
        });
        describe.skip('SM-03: nothing', () => {
          it('in here', () => {});
        });
        for (const one of all) it('SM-13: in a loop', () => visit('SM-14: no test'));
        describe('SM-04: empty', () => {});
      `;
      expect(named(source)).to.deep.equal([
        ['first', 'SM-01'],
        ['SM-11: ${name} ends the probe', 'SM-01', 'SM-05', 'SM-11'],
        ["it's last (SM-02)", 'SM-01', 'SM-02'],
        ['SM-13: in a loop', 'SM-13'],
      ]);
    });

    it('are found in this very file', () => {
      const { titles } = readSources(ROOT);
      expect(titles.filter(({ file }) => file === 'spec/conformance-spec.ts')).to.have.length.above(3);
    });
  });

  describe('requirements', () => {
    it('are the rows of tables, whatever their columns’ widths', () => {
      const text =
        '# T\n\n## tcp: more\n\n| id | level | source | requirement |\n|:--|---|---|---|\n| E-01 |  MUST NOT | RFC 1 | a b |\n';
      expect(parseRequirements(text, 'x.md')).to.deep.equal([
        { id: 'E-01', family: 'tcp', level: 'MUST NOT', source: 'RFC 1', text: 'a b' },
      ]);
    });

    it('are refused without a level, a source or a text', () => {
      for (const row of ['| a | OUGHT | RFC 1 | t |', '| a | MUST |  | t |', '| a | MUST | RFC 1 |']) {
        expect(() => parseRequirements(`## f\n${row}\n`, 'x.md')).to.throw('x.md:2');
      }
    });
  });

  describe('the matrix', () => {
    const sources = (change: Partial<Sources> = {}): Sources => ({
      requirements: parseRequirements(
        '## ipv4\n| 1 | MUST | RFC 1 | a |\n| 2 | MAY | RFC 1 | b |\n| 3 | MUST | RFC 1 | c |\n## nat\n| 4 | MUST | RFC 1 | d |\n## udp\n| 5 | MAY | RFC 1 | e |\n',
        'x.md',
      ),
      titles: [{ file: 'a-spec.ts', line: 1, title: 't', words: new Set(['1', '3']) }],
      excuses: [
        { ids: ['2'], row: 'router', reason: 'there is none' },
        { ids: ['3'], row: 'router', reason: 'half of it', partly: true },
      ],
      readme: notImplemented('| not implemented | today |\n| --- | --- |\n| a router, NAT | no |\n\n| other |\n'),
      ...change,
    });

    it('says what is tested, excused, and neither', () => {
      expect(matrixOf(sources()).map(statusOf)).to.deep.equal([
        'tested',
        'not implemented',
        'partly tested',
        'no test',
        'no test',
      ]);
      expect(problemsOf(sources())).to.deep.equal([]);
    });

    it('has a problem with what is missing, what is excused without need, and what nobody knows', () => {
      const { titles, excuses } = sources();
      const broken: readonly (readonly [Partial<Sources>, ...string[]])[] = [
        [{ titles: [] }, '1 (MUST) has no test', '3 is excused in part only'],
        [{ excuses: [] }, '2 (MAY) has no test'],
        [
          {
            requirements: [
              ...sources().requirements,
              ...parseRequirements('## udp\n| 6 | MUST NOT | RFC 1 | f |', 'x'),
            ],
          },
          '6 (MUST NOT) has no test',
        ],
        [{ readme: ['NAT'] }, '2: the README', '3: the README'],
        [{ excuses: [...excuses, { ids: ['1'], row: 'NAT', reason: '' }] }, '1 is excused, but tested: a-spec.ts:1'],
        [{ excuses: [...excuses, { ids: ['9'], row: 'NAT', reason: '' }] }, '9 is excused, but there is no such'],
        [
          {
            titles: [...titles, { file: 'b-spec.ts', line: 7, title: 'u', words: new Set(['826-9', 'GP-01', '768']) }],
          },
          'b-spec.ts:7 names 826-9',
        ],
      ];
      for (const [change, ...starts] of broken) {
        const problems = problemsOf(sources(change));
        expect(problems).to.have.length(starts.length);
        starts.forEach((start, i) => expect(problems[i]).to.satisfy((line: string) => line.startsWith(start)));
      }
    });
  });

  describe('the command', () => {
    const run = (...args: string[]) => {
      const command = ['--import=tsx', 'conformance/main.ts', ...args];
      return spawnSync(process.execPath, command, { cwd: ROOT, encoding: 'utf8' });
    };

    it('prints rows for programs', () => {
      const { stdout, status } = run('arp', '--json');
      const rows = JSON.parse(stdout) as { id: string; family: string; status: string; tests: object[] }[];
      expect(new Set(rows.map(({ family }) => family))).to.deep.equal(new Set(['arp']));
      const [first] = rows;
      expect(first).to.include({ id: '826-1', status: 'tested' });
      expect(first?.tests[0]).to.have.keys('file', 'line', 'title');
      expect(status).to.equal(0);
    });

    it('explains itself, and refuses what it does not know', () => {
      expect(run('--help').stdout).to.match(/^Usage: npm run conformance/);
      const { status, stderr } = run('ipv5');
      expect([status, stderr.startsWith('conformance: there is no family ipv5')]).to.deep.equal([2, true]);
    });
  });
});
