import { expect } from 'chai';
import { table } from '../../bench/report.js';
import { goalTable } from '../../bench/tap-goals.js';
import { COLUMNS, figureTable, ratioTable, type TapReport } from '../../bench/tap-report.js';

const figures = (value: number) =>
  Object.fromEntries(COLUMNS.map(({ key }) => [key, { value, range: [value, value] as const }]));

const REPORT: TapReport = {
  date: '2026-01-01',
  machine: {},
  rounds: 1,
  seconds: 1,
  peers: [
    { name: 'ours', against: ['other', 'missing'], figures: figures(200) },
    { name: 'other', against: [], figures: figures(100) },
  ],
  skipped: [{ name: 'missing', missing: 'a compiler' }],
};

const cells = (text: string) => text.split('\n').map((line) => line.split('|').map((cell) => cell.trim()));

describe('the tables of the TAP benchmark', () => {
  it('have a row for each peer, or for those that are asked for', () => {
    expect(cells(figureTable(REPORT)).map(([, name]) => name)).to.include.members(['ours', 'other']);
    expect(figureTable(REPORT, ['other'])).not.to.include('ours');
  });

  it('say how many times as good we are: twice as much, and half of a cost', () => {
    const [heading = [], , ratios = [], ...rest] = cells(ratioTable(REPORT));
    expect(rest).to.deep.equal([]);
    expect(ratios[1]).to.equal('ours : other');
    for (const { title, isCost } of COLUMNS)
      expect(ratios[heading.indexOf(title)], title).to.equal(isCost === true ? '0.5' : '2');
  });

  it('have a dash for what was not measured', () => {
    const { send: _, ...rest } = figures(100);
    const peers = REPORT.peers.map((peer) => (peer.name === 'other' ? { ...peer, figures: rest } : peer));
    const [heading = [], , , row = []] = cells(figureTable({ ...REPORT, peers }));
    expect(row[1]).to.equal('other');
    expect(row[heading.indexOf('send, Gbit/s')]).to.equal('–');
    const [, , ratios = []] = cells(ratioTable({ ...REPORT, peers }));
    expect(ratios[heading.indexOf('send, Gbit/s')]).to.equal('–');
    expect(ratios[heading.indexOf('recv, Gbit/s')]).to.equal('2');
  });

  it('set what was measured beside the goals, as they stand and in proportion to whom they were set by', () => {
    const [name, by] = ['rx-netstack, no offload', 'lwIP, TAP, no offload'];
    const peers = [
      { name, against: [], figures: figures(12) },
      { name: by, against: [], figures: figures(5.8) },
    ];
    const [, , first = [], ...rest] = cells(goalTable({ ...REPORT, peers }));
    expect(first.slice(1, -1)).to.deep.equal([`${name}: send, Gbit/s`, '6', '12', '2', by, '2.9', '5.8', '1']);
    expect(rest.find((row) => row[1]?.startsWith('rx-netstack, offloads:'))).to.include('–');
  });

  it('are aligned', () => {
    const text = table(['a', 'long heading'], [['longer than that', '1']]);
    expect(text.split('\n')).to.deep.equal([
      '| a                | long heading |',
      '| ---------------- | -----------: |',
      '| longer than that |            1 |',
    ]);
  });
});
