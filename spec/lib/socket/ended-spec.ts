/** Connections that had ended before anybody owned them: their owners read what came, and then learn how it ended. */

import { expect } from 'chai';
import { once } from 'node:events';
import type { Endpoint, TcpConnection, TcpHandler } from '../../../lib/l4/tcp/api.js';
import { TcpStream } from '../../../lib/socket/iterate.js';
import { Socket } from '../../../lib/socket/socket.js';
import { webStreams } from '../../../lib/socket/web-streams.js';
import { forBothVersions } from '../../both-versions.js';
import { until } from '../../until.js';
import { RealNetwork } from './real-tcp.js';

const nothing = (): void => undefined;
const failure = (promise: Promise<unknown>) => promise.then(nothing, ({ code }: { code?: string }) => code);

forBothVersions('a connection that ended before it was owned', ({ a, b, any }) => {
  const local: Endpoint = { address: any, port: 7 };
  let network: RealNetwork;

  beforeEach(() => {
    network = new RealNetwork();
  });
  afterEach(async () => {
    await until(() => network.connections === 0);
    expect(network.env.pool.outstanding).to.equal(0);
  });

  /** A connection that brought three bytes, and was ended then: while it waited to be accepted, or after it was accepted. */
  async function ended(how: 'reset' | 'end', when: 'before' | 'after'): Promise<TcpConnection> {
    const client = network.host(a.toString());
    const server = network.host(b.toString());
    const listener = server.listen(local, { acceptEnded: true });
    const handler: TcpHandler = {
      connected: () => void connection.write(Uint8Array.of(1, 2, 3)),
      flushed: () => (how === 'reset' ? connection.abort() : connection.close()),
      readable: nothing,
      writable: nothing,
      closed: nothing,
    };
    const connection = client.connect({ address: b, port: 7 }, handler);
    let accepted: TcpConnection | undefined;
    if (when === 'after') await until(() => (accepted = listener.accept()) !== undefined);
    await until(() => (how === 'reset' ? network.connections === 0 : connection.state === 'FIN-WAIT-2'));
    accepted ??= listener.accept();
    listener.close();
    if (accepted === undefined) throw new Error('nobody came');
    // It is closed from both sides, and all is told, before anybody owns it.
    if (how === 'end') accepted.end();
    await until(() => accepted?.state === 'CLOSED');
    return accepted;
  }

  for (const when of ['before', 'after'] as const) {
    it(`tells promises, ${when} it was accepted`, async () => {
      const reset = new TcpStream(await ended('reset', when));
      expect(await reset.read()).to.deep.equal(Uint8Array.of(1, 2, 3));
      expect(await failure(reset.read())).to.equal('ECONNRESET');
      expect(await failure(reset.closed())).to.equal('ECONNRESET');
      const regular = new TcpStream(await ended('end', when));
      expect(await regular.read()).to.deep.equal(Uint8Array.of(1, 2, 3));
      expect(await regular.read()).to.equal(undefined);
      await regular.closed();
    });

    it(`tells WHATWG streams, ${when} it was accepted`, async () => {
      const { readable, closed } = webStreams(await ended('reset', when));
      const reader = readable.getReader();
      expect((await reader.read()).value).to.deep.equal(Uint8Array.of(1, 2, 3));
      expect(await failure(reader.read())).to.equal('ECONNRESET');
      expect(await failure(closed)).to.equal('ECONNRESET');
    });

    it(`tells Node sockets, ${when} it was accepted`, async () => {
      const reset = new Socket({ tcp: network.host(b.toString()), connection: await ended('reset', when) }).resume();
      const [error] = (await once(reset, 'error')) as [{ code?: string }];
      expect(error.code).to.equal('ECONNRESET');
      const regular = new Socket({ tcp: network.host(b.toString()), connection: await ended('end', when) }).resume();
      expect(await once(regular, 'close')).to.deep.equal([false]);
      expect(regular.bytesRead).to.equal(3);
    });
  }
});
