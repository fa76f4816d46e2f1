import { expect } from 'chai';
import { traceText } from '../../cli/trace-text.js';
import type { PacketTrace } from '../../operators/flow/pipeline-trace.js';

describe('the text of a trace', () => {
  it('has a line for each stage, and under it what changed', () => {
    const bytes = (...list: number[]) => Uint8Array.from(list);
    const trace: PacketTrace = {
      time: 12_250,
      text: 'S 0:0(0) win 65535',
      verdict: 'dropped',
      reason: 'rate-limited',
      steps: [
        { stage: 'firewall', verdict: 'passed', changes: [], notes: ['mark 0 -> 5', 'flow 0 -> 12'] },
        {
          stage: 'nat/source',
          verdict: 'passed',
          changes: [
            { offset: 8, before: bytes(64), after: bytes(63) },
            { offset: 12, before: bytes(10, 0, 0, 2), after: bytes(198, 51, 100, 1) },
            { offset: 20, before: bytes(), after: new Uint8Array(20) },
            { offset: 30, before: bytes(1, 2), after: bytes() },
          ],
          notes: [],
          text: 'S 0:0(0) win 65535 from 198.51.100.1',
        },
        { stage: 'quiet', verdict: 'passed', changes: [], notes: [] },
        { stage: 'limit', verdict: 'dropped', reason: 'rate-limited', changes: [], notes: [] },
      ],
    };
    expect(traceText(trace).split('\n')).to.deep.equal([
      '12.250 S 0:0(0) win 65535',
      '  firewall    passed   mark 0 -> 5',
      '                       flow 0 -> 12',
      '  nat/source  passed   8: 40 -> 3f',
      '                       12-15: 0a 00 00 02 -> c6 33 64 01',
      '                       20: 20 bytes put in: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ...',
      '                       30-31: 2 bytes cut off: 01 02',
      '                       S 0:0(0) win 65535 from 198.51.100.1',
      '  quiet       passed',
      '  limit       dropped  rate-limited',
      '  dropped: rate-limited',
      '',
    ]);
    expect(traceText({ ...trace, from: 'nat', steps: [], verdict: 'none' })).to.equal(
      '12.250 S 0:0(0) win 65535 (from stage nat on)\n  lost without a verdict: rate-limited\n',
    );
    expect(traceText({ time: 0, text: 'x', from: '', steps: [], verdict: 'passed' })).to.equal(
      '0.000 x (behind the last stage)\n  passed\n',
    );
  });
});
