/** What RFC 9293 asks of a host as a whole, over both IP versions: segments in, segments out, and what the application is told. */

import { expect } from 'chai';
import { ipOf } from '../../../lib/core/address.js';
import type { NetError } from '../../../lib/core/errors.js';
import type { TcpConnection, TcpHandler } from '../../../lib/l4/tcp/api.js';
import type { TcpOptions } from '../../../lib/l4/tcp/options.js';
import { anyEndpoint } from '../../../lib/l4/udp.js';
import { type Host, host } from '../../../operators/stack/host.js';
import { net, type NetHelpers } from '../../../operators/testing/index.js';
import { forBothVersions } from '../../both-versions.js';

/** Notes what it is told. */
class App implements TcpHandler {
  readonly events: string[] = [];
  connected(): void {
    this.events.push('connected');
  }
  readable(): void {}
  writable(): void {}
  flushed(): void {}
  closed(error: NetError | undefined): void {
    this.events.push(error === undefined ? 'closed' : `closed ${error.code}`);
  }
}

type Legend = Readonly<Record<string, string>>;

/** A conversation that the peer began: from 4 ms on it is established, and the diagrams say how it goes on. */
interface Talk {
  /** What comes in from 4 ms on. */
  readonly input?: string;
  /** What goes out from 4 ms on. */
  readonly sent: string;
  readonly legend?: Legend;
  /** What the application does at 4 ms. */
  readonly act?: (connection: TcpConnection, app: App, me: Host, helpers: NetHelpers) => void;
  readonly syn?: string;
  readonly synAck?: string;
  readonly window?: number;
  readonly tcp?: TcpOptions;
}

forBothVersions('a host, by RFC 9293', ({ version }) => {
  const local = version === 4 ? '192.168.0.1' : 'fd3d:a0b:17d6::1';
  const remote = ipOf(version === 4 ? '192.0.2.1' : 'fd3d:fa7b:d17d::1');
  const second = version === 4 ? '192.168.7.7' : 'fd3d:a0b:17d6::77';
  const prefix = version === 4 ? '/16' : '/64';
  const addresses = [`${local}${prefix}`];
  const gateway = version === 4 ? '192.168.0.9' : 'fd3d:a0b:17d6::9';
  const mss = version === 4 ? 1460 : 1440;
  const multicast = { silent: true };
  const notation = { version, linkType: 'ip' } as const;

  function talk({ input = '-', sent, legend = {}, act, syn, synAck, window = 65_535, tcp = {} }: Talk): string[] {
    const app = new App();
    net((helpers) => {
      const { rx, expectTx, env, device } = helpers;
      const me = host({ device: device(), addresses, gateway, tcp, multicast }, env);
      const listener = me.tcp.listen(anyEndpoint(version, 8080));
      env.scheduler.schedule(() => {
        const connection = listener.accept();
        if (connection === undefined) throw new Error('there is no connection');
        connection.handler = app;
        act?.(connection, app, me, helpers);
      }, 4);
      const in$ = rx(`-0-1${input}`, {
        0: syn ?? `< S 0:0(0) win 65535 <mss ${mss}>`,
        1: `< . 1:1(0) ack 1 win ${window}`,
        ...Object.fromEntries(Object.entries(legend).filter(([, line]) => line.startsWith('<'))),
      });
      expectTx(in$.pipe(me)).toBe(`-2--${sent}`, { 2: synAck ?? '> S. 0:0(0) ack 1 <...>', ...legend });
    }, notation);
    return app.events;
  }

  /** A conversation that we begin at 1 ms. */
  function call(body: (helpers: NetHelpers, me: Host, app: App) => void, options: { until?: number } = {}): string[] {
    const app = new App();
    net(
      (helpers) => {
        const me = host({ device: helpers.device(), addresses, gateway, multicast }, helpers.env);
        body(helpers, me, app);
      },
      { ...notation, ...options },
    );
    return app.events;
  }

  describe('data', () => {
    it('are not kept back for ever, with PSH on their last segment (MUST-60, MUST-61)', () => {
      talk({
        act: (connection) => [3, 3].forEach((length) => connection.write(new Uint8Array(length))),
        input: '--k',
        sent: 'a-b',
        legend: { k: '< . 1:1(0) ack 4 win 65535', a: '> P. 1:4(3) ack 1', b: '> P. 4:7(3) ack 1' },
      });
    });
    it('fit the segment size of the peer, without an option of ours in them (MUST-14, MUST-4, MUST-65, SHLD-5, MAY-3)', () => {
      talk({
        syn: '< S 0:0(0) win 65535 <nop,mss 1000,eol>',
        synAck: `> S. 0:0(0) ack 1 <mss ${mss}>`,
        act: (connection) => connection.write(new Uint8Array(1_500)),
        sent: '(ab)',
        legend: { a: '> . 1:1001(1000) ack 1', b: '> P. 1001:1501(500) ack 1' },
      });
    });
    it('fit what every host takes, where the peer does not say (MUST-15)', () => {
      const least = version === 4 ? 536 : 1220;
      talk({
        syn: '< S 0:0(0) win 65535',
        act: (connection) => connection.write(new Uint8Array(least + 1)),
        sent: '(ab)',
        legend: { a: `> . 1:${1 + least}(${least}) ack 1`, b: `> P. ${1 + least}:${2 + least}(1) ack 1` },
      });
    });
    it('fill a window with its highest bit set, and no more (MUST-1, 5681-1)', () => {
      // What is more than half of the window is pushed, as with Linux.
      const line = (i: number) => `> ${i < 31 ? '.' : 'P.'} ${1 + i * 1_024}:${1 + (i + 1) * 1_024}(1024) ack 1`;
      const lines = Array.from({ length: 32 }, (_, i) => line(i));
      const letters = 'abcdefghijlmnopqrtuvwxyzABCDEFGH'.slice(0, 32);
      talk({
        syn: '< S 0:0(0) win 65535 <mss 1024>',
        window: 32_768,
        tcp: { initialWindow: 100 },
        act: (connection) => connection.write(new Uint8Array(65_535)),
        sent: `(${letters})`,
        legend: Object.fromEntries(lines.map((line, i) => [letters[i], line])),
      });
    });
    it('that come out of order are kept, and acknowledged at once (SHLD-31, MAY-13)', () => {
      talk({
        input: '-b-a',
        sent: '-d-e',
        legend: {
          a: '< P. 1:11(10) ack 1 win 65535',
          b: '< P. 11:21(10) ack 1 win 65535',
          d: '> . 1:1(0) ack 1',
          e: '> . 1:1(0) ack 21',
        },
      });
    });
    it('are acknowledged a little later, if nothing is said meanwhile (SHLD-18)', () => {
      talk({
        tcp: { quickAcks: 0 },
        input: '-a 60ms -',
        sent: '- 40ms k',
        legend: { a: '< P. 1:11(10) ack 1 win 65535', k: '> . 1:1(0) ack 11' },
      });
    });
    it('go as far as the window that is scaled reaches (7323-2)', () => {
      const sizes: number[] = [];
      talk({
        syn: `< S 0:0(0) win 65535 <mss ${mss},nop,wscale 7>`,
        window: 1_000,
        tcp: { initialWindow: 1_000 },
        act: (connection) => sizes.push(connection.write(new Uint8Array(mss * 2)), connection.unacknowledgedBytes),
        sent: '(ab)',
        legend: { a: `> . 1:${1 + mss}(${mss}) ack 1`, b: `> P. ${1 + mss}:${1 + 2 * mss}(${mss}) ack 1` },
      });
      expect(sizes).to.deep.equal([mss * 2, mss * 2]);
    });
  });

  describe('listening', () => {
    const heard = (line: string, answer?: string) =>
      call(({ rx, expectTx }, me) => {
        me.tcp.listen(anyEndpoint(version, 8080));
        const out$ = rx('-x-', { x: line }).pipe(me);
        if (answer === undefined) expectTx(out$).toBe('---');
        else expectTx(out$).toBe('-a-', { a: answer });
      });

    it('ignores RST, resets ACK, answers SYN, drops the rest (E-02)', () => {
      heard('< R 5:5(0) win 0');
      heard('< R. 5:5(0) ack 9 win 0');
      heard('< . 5:5(0) ack 9 win 100', '> R 9:9(0) win 0');
      heard('< S. 5:5(0) ack 9 win 100', '> R 9:9(0) win 0');
      heard('< S 0:0(0) win 100', '> S. 0:0(0) ack 1 <...>');
      heard('< - 5:5(0) win 100');
      heard('< F 5:5(0) win 100');
    });
    it('changes nothing about connections that there are (MUST-41)', () => {
      talk({
        act: (connection, _app, me) => {
          me.tcp.listen(anyEndpoint(version, 8081));
          expect(() => me.tcp.listen(anyEndpoint(version, 8080))).to.throw();
          connection.write(new Uint8Array(3));
        },
        input: '-s',
        sent: 'ad',
        legend: {
          s: `< 40000 > 8081 S 0:0(0) win 65535 <mss ${mss}>`,
          a: '> P. 1:4(3) ack 1',
          d: '> 8081 > 40000 S. 0:0(0) ack 1 <...>',
        },
      });
    });
  });

  describe('the end', () => {
    const fin = '< F. 1:1(0) ack 1 win 65535';

    it('is told from an abort (MUST-12, MUST-47)', () => {
      const ended = talk({
        input: '-f---k',
        act: (connection) => connection.end(),
        sent: 'FA',
        legend: {
          f: '< F. 1:1(0) ack 2 win 65535',
          F: '> F. 1:1(0) ack 1',
          A: '> . 2:2(0) ack 2',
          k: '< . 2:2(0) ack 2 win 1',
        },
      });
      expect(ended).to.deep.equal(['closed']);
      expect(talk({ input: '-r', sent: '--', legend: { r: '< R. 1:1(0) ack 1 win 0' } })).to.deep.equal([
        'closed ECONNRESET',
      ]);
    });
    it('of one direction leaves the other as it is (MAY-1)', () => {
      talk({
        input: '-f',
        act: (connection, _app, _me, { env }) => {
          env.scheduler.schedule(() => connection.write(new Uint8Array(5)), 3);
        },
        sent: '-A-b',
        legend: { f: fin, A: '> . 1:1(0) ack 2', b: '> P. 1:6(5) ack 2' },
      });
    });
    it('comes by a RST in the window, in every state (E-06)', () => {
      const reset = { r: '< R. 1:1(0) ack 1 win 0', R: '< R. 2:2(0) ack 2 win 0', f: fin };
      const F = '> F. 1:1(0) ack 1';
      // ESTABLISHED, CLOSE-WAIT, FIN-WAIT-1, LAST-ACK: afterwards nobody is there.
      const late = { l: '< . 2:2(0) ack 9 win 1', L: '> R 9:9(0) win 0' };
      expect(talk({ input: '-r-l', sent: '---L', legend: { ...reset, ...late } })).to.deep.equal(['closed ECONNRESET']);
      const closeWait = { ...reset, ...late, A: '> . 1:1(0) ack 2' };
      expect(talk({ input: '-fR-l', sent: '-A--L', legend: closeWait })).to.deep.equal(['closed ECONNRESET']);
      const end = (connection: TcpConnection) => connection.end();
      const finWait = { ...reset, ...late, F };
      expect(talk({ input: '-r-l', sent: 'F--L', legend: finWait, act: end })).to.deep.equal(['closed ECONNRESET']);
    });
  });

  describe('connecting', () => {
    it('comes from the address that the route says, or the one that was asked for, and keeps it (MUST-43..45)', () => {
      for (const [localAddress, from] of [
        [undefined, ''],
        [ipOf(second), ` from ${second}`],
      ] as const) {
        call(({ rx, expectTx, env }, me, app) => {
          const [own] = version === 4 ? me.tables.addresses.list() : me.tables.addresses6.list();
          if (own === undefined) throw new Error('there is no address');
          me.tables.addAddress(own.device, `${second}${prefix}`);
          env.scheduler.schedule(() => {
            const options = { localPort: 8080, ...(localAddress === undefined ? {} : { localAddress }) };
            me.tcp.connect({ address: remote, port: 40_000 }, app, options);
          }, 1);
          const later = version === 4 ? '192.168.5.5/32' : 'fd3d:a0b:17d6::5/128';
          env.scheduler.schedule(() => me.tables.addAddress(own.device, later), 500);
          expectTx(rx('1010ms -').pipe(me)).toBe('-s 999ms s', { s: `> S 0:0(0) <...>${from}` });
        });
      }
    });
    it('draws numbers and timestamps that nobody can compute who does not know the host’s secret (MUST-9, 7323-8)', () => {
      const numbers = new Set<number>();
      const stamps = new Set<number>();
      for (const seed of [1, 2, 3, 4]) {
        net(
          ({ rx, env, device }) => {
            const me = host({ device: device(), addresses, gateway, multicast }, env);
            const seen = rx('---')
              .pipe(me)
              .subscribe((frame) => {
                const tcp = frame.start + (version === 4 ? 20 : 40);
                numbers.add(frame.slab.view.getUint32(tcp + 4));
                stamps.add(frame.slab.view.getUint32(tcp + 20 + 8));
                frame.release();
              });
            for (const localPort of [8080, 8081]) {
              env.scheduler.schedule(
                () => me.tcp.connect({ address: remote, port: 40_000 }, new App(), { localPort }),
                1,
              );
            }
            env.scheduler.schedule(() => seen.unsubscribe(), 2);
          },
          { ...notation, seed },
        );
      }
      expect([numbers.size, stamps.size]).to.deep.equal([8, 8]);
    });
    it('fails at once where an ICMP error quotes its SYN, and only then (MUST-54, MUST-47, SHLD-26)', () => {
      const quoted = (ports: string, at: number) =>
        `< ${version === 4 ? 'icmp' : 'icmpv6'} unreachable port [${ports} ${at}:${at}(0)]`;
      const told = call(({ rx, expectTx, env }, me, app) => {
        env.scheduler.schedule(() => me.tcp.connect({ address: remote, port: 40_000 }, app, { localPort: 8080 }), 1);
        const in$ = rx('--abc-', {
          a: quoted('tcp 8081 > 40000', 0),
          b: quoted('tcp 8080 > 40000', 1_000_000),
          c: quoted('tcp 8080 > 40000', 0),
        });
        env.scheduler.schedule(() => app.events.push('4 ms'), 3.5);
        expectTx(in$.pipe(me)).toBe('-s----', { s: '> S 0:0(0) <...>' });
      });
      expect(told).to.deep.equal(['4 ms', 'closed ECONNREFUSED']);
    });
  });
});
