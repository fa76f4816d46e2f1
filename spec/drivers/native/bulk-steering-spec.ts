import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { BulkSteering } from '../../../drivers/native/bulk-steering.js';
import { processorsOf } from '../../../drivers/native/receive-steering.js';
import { checkOptions } from '../../../drivers/native/tun-options.js';

describe('BulkSteering', () => {
  let directory: string;
  let file: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'rx-steering-'));
    file = join(directory, 'rps_cpus');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  /** On the first of three processors. */
  const make = (online: readonly number[] = [0, 1, 35]) => {
    const place = { processor: 0 };
    const fd = openSync(file, 'a');
    return { place, steering: new BulkSteering('tap0', { fd, online }, () => place.processor) };
  };
  /** The last that was written, if anything was. */
  const steered = () => {
    const mask = readFileSync(file, 'latin1').split('\n').at(-2);
    return mask === undefined ? undefined : processorsOf(mask);
  };

  // A megabyte in frames of full size, and acknowledgments.
  const received = { turns: 12, received: 700, sent: 350, bytes: 1_075_000 };
  const sent = { turns: 12, received: 350, sent: 700, bytes: 1_075_000 };
  const requests = { turns: 40, received: 2000, sent: 2000, bytes: 500_000 };
  // Of datagrams that nobody acknowledges, but for a few.
  const oneWay = { turns: 12, received: 15, sent: 1000, bytes: 1_500_000 };
  const few = { turns: 12, received: 12, sent: 12, bytes: 18_000 };
  const nothing = { turns: 0, received: 0, sent: 0, bytes: 0 };

  for (const [way, bulk] of [
    ['in', received],
    ['out', sent],
  ] as const) {
    it(`has other processors while there is bulk ${way}, and none when all is quiet`, () => {
      const { steering } = make();
      expect(steered()).to.equal(undefined);
      steering.look(bulk);
      expect(steered()).to.deep.equal([1, 35]);
      steering.look(nothing);
      expect(steered()).to.deep.equal([]);
      steering.look(bulk);
      expect(steered()).to.deep.equal([1, 35]);
      steering.close();
      expect(steered()).to.deep.equal([]);
    });
  }

  it('has none for requests and answers, however many, nor for what goes one way, nor for little', () => {
    const { steering } = make();
    for (let i = 0; i < 50; i++) for (const traffic of [requests, oneWay, few, nothing]) steering.look(traffic);
    expect(steered()).to.equal(undefined);
    steering.close();
  });

  it('is not put off by a pause in bulk, but by a tenth of a second without', () => {
    const { steering } = make();
    steering.look(received);
    for (let i = 0; i < 9; i++) steering.look(requests);
    expect(steered()).to.deep.equal([1, 35]);
    steering.look(received);
    for (let i = 0; i < 9; i++) steering.look(few);
    expect(steered()).to.deep.equal([1, 35]);
    steering.look(few);
    expect(steered()).to.deep.equal([]);
    steering.close();
  });

  it('spares the processor that this thread is on', () => {
    const { steering, place } = make();
    steering.look(received);
    place.processor = 35;
    steering.look(received);
    expect(steered()).to.deep.equal([0, 1]);
    steering.close();
  });

  it('has none where there is but one', () => {
    const { steering } = make([0]);
    steering.look(received);
    expect(steered()).to.deep.equal([]);
    steering.close();
  });

  it('goes on where the interface is gone', () => {
    // What cannot be written to.
    const steering = new BulkSteering('tap0', { fd: openSync('/dev/null', 'r'), online: [0, 1] }, () => 0);
    expect(() => {
      steering.look(received);
      steering.look(nothing);
      steering.close();
    }).not.to.throw();
  });

  it('is for interfaces with one queue', () => {
    checkOptions({ receiveProcessors: 'adaptive' });
    expect(() => checkOptions({ receiveProcessors: 'adaptive', multiQueue: true }))
      .to.throw(/one queue/)
      .with.property('code', 'ERR_INVALID_OPTION');
  });
});
