import { expect } from 'chai';
import * as fc from 'fast-check';
import { Ports } from '../../../lib/ergot/sockets-ports.js';

/** Ports as ergot 0.12 gives them out, as a list of what is taken. */
class NaivePorts {
  private readonly taken = new Set<number>();
  private window = 0;
  private readonly last: number;

  constructor(last: number) {
    this.last = last;
  }

  allocate(): number | undefined {
    const windows = [this.window, ...Array.from({ length: 8 }, (_, i) => i)];
    for (const window of windows) {
      for (let port = Math.max(1, 32 * window); port < 32 * (window + 1) && port <= this.last; port++) {
        if (this.taken.has(port)) continue;
        this.window = window;
        this.taken.add(port);
        return port;
      }
    }
    return undefined;
  }

  take(port: number): boolean {
    if (port < 1 || port > this.last || this.taken.has(port)) return false;
    this.taken.add(port);
    return true;
  }

  free(port: number): void {
    this.taken.delete(port);
  }
}

describe('ports of ergot sockets', () => {
  it('are given out lowest first, 1 to 254, each once', () => {
    const ports = new Ports(254);
    const given = Array.from({ length: 254 }, () => ports.allocate());
    expect(given).to.deep.equal(Array.from({ length: 254 }, (_, i) => i + 1));
    expect(() => ports.allocate())
      .to.throw()
      .with.property('code', 'ERR_ERGOT_NO_PORT');
    ports.free(100);
    expect(ports.allocate()).to.equal(100);
    expect(() => ports.allocate())
      .to.throw()
      .with.property('code', 'ERR_ERGOT_NO_PORT');
  });

  it('stay in a window of 32 until it is full, and then take the lowest with room', () => {
    const ports = new Ports(254);
    for (let i = 1; i <= 40; i++) ports.allocate();
    ports.free(3);
    ports.free(35);
    expect([ports.allocate(), ports.allocate()]).to.deep.equal([35, 41]);
    for (let port = 42; port < 64; port++) ports.allocate();
    expect([ports.allocate(), ports.allocate()]).to.deep.equal([3, 64]);
  });

  it('may be chosen, if they are free and there are such', () => {
    const ports = new Ports(254);
    expect([ports.take(1), ports.take(1), ports.take(254)]).to.deep.equal([true, false, true]);
    for (const port of [0, 255, 256, -1, 1.5, Number.NaN, 2 ** 32 + 7])
      expect(ports.take(port), `${port}`).to.equal(false);
    expect(ports.allocate()).to.equal(2);
  });

  it('are as many as a profile has', () => {
    for (const last of [1, 30, 31, 32, 63, 64, 127, 300]) {
      const ports = new Ports(last);
      expect(Array.from({ length: last }, () => ports.allocate()).at(-1)).to.equal(last);
      expect(() => ports.allocate()).to.throw();
    }
    expect(new Ports(2 ** 31).last).to.equal(65_535);
  });

  it('agree with a naive account of them', () => {
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.constant({ what: 'allocate' as const, port: 0 }) },
      {
        weight: 2,
        arbitrary: fc.record({ what: fc.constant('free' as const), port: fc.integer({ min: 1, max: 254 }) }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ what: fc.constant('take' as const), port: fc.integer({ min: 0, max: 300 }) }),
      },
    );
    fc.assert(
      fc.property(fc.integer({ min: 40, max: 254 }), fc.array(step, { maxLength: 400 }), (last, steps) => {
        const ports = new Ports(last);
        const naive = new NaivePorts(last);
        for (const { what, port } of steps) {
          if (what === 'take') expect(ports.take(port)).to.equal(naive.take(port));
          else if (what === 'free') {
            if (port <= last) ports.free(port);
            naive.free(port);
          } else {
            const expected = naive.allocate();
            if (expected === undefined) expect(() => ports.allocate()).to.throw();
            else expect(ports.allocate()).to.equal(expected);
          }
        }
      }),
    );
  });
});
