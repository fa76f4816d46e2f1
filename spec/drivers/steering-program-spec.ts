import { expect } from 'chai';
import * as fc from 'fast-check';
import { closeProgram, loadProgram, runProgram } from '../../drivers/native/bpf.js';
import { steeringProgram } from '../../drivers/native/steering.js';
import { Frame } from '../../lib/core/frame.js';
import { FIRST_WORKER, Steering } from '../../lib/l4/steering.js';
import { TCP_AND_UDP, type Flow, frameOf } from '../lib/l4/flow-frames.js';

/** Why the kernel does not run programs for us, or `undefined`. */
function whyNoPrograms(): string | undefined {
  if (process.platform !== 'linux') return `needs Linux, this is ${process.platform}`;
  const fd = loadProgram(steeringProgram({ index: 0, of: 2, secret: 1 }));
  if (fd === undefined) return 'the kernel does not let us load programs';
  closeProgram(fd);
  return undefined;
}

const why = whyNoPrograms();
if (why !== undefined) console.warn(`SKIPPED: the steering program: ${why}`);

(why === undefined ? describe : describe.skip)('the steering program, run by the kernel', () => {
  /** What program and function say, worker by worker, about the same frame. */
  function compare(flow: Flow, of: number, secret: number): void {
    const bytes = frameOf(flow);
    const fd = loadProgram(steeringProgram({ index: 0, of, secret })) ?? -1;
    try {
      const ours = new Steering({ index: 0, of, secret }, 'ethernet').destination(Frame.from(bytes));
      expect(runProgram(fd, bytes)).to.equal(ours);
    } finally {
      closeProgram(fd);
    }
  }

  it('gives each segment and datagram to the worker that the function says', () => {
    const secret = fc.integer({ min: 0, max: 0xffff_ffff });
    fc.assert(fc.property(TCP_AND_UDP, fc.integer({ min: 1, max: 256 }), secret, compare), { numRuns: 500 });
  });

  it('gives what it does not understand to the first', () => {
    const fd = loadProgram(steeringProgram({ index: 0, of: 7, secret: 0 })) ?? -1;
    const flow: Flow = { version: 4, protocol: 6, source: [1, 2, 3, 4], localPort: 60_000, remotePort: 1, options: 0 };
    const whole = frameOf(flow);
    expect(runProgram(fd, whole)).to.equal(60_000 % 7);
    const changed = (at: number, value: number) => Uint8Array.from(whole, (byte, i) => (i === at ? value : byte));
    // A protocol that has no ports, a fragment, another version.
    for (const bytes of [changed(23, 1), changed(20, 0x20), changed(14, 0x75)]) {
      expect(runProgram(fd, bytes)).to.equal(FIRST_WORKER);
    }
    // Too short for ports.
    expect(runProgram(fd, whole.subarray(0, 14 + 20))).to.equal(FIRST_WORKER);
    closeProgram(fd);
  });
});
