import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { lastValueFrom, toArray } from 'rxjs';
import { DropReason } from '../../../lib/core/drops.js';
import { nodeNet } from '../../../lib/socket/net.js';
import { traceRoute } from '../../../operators/l7/trace-route.js';
import { forBothVersions } from '../../both-versions.js';
import { pair, pinged, PLACES } from './router-networks.js';

forBothVersions('a router between two hosts', ({ version }) => {
  const { a: from, b: to, left, nobody, nowhere } = PLACES[version];

  it('takes pings from one to the other, one hop further', async () => {
    const { net, router } = pair();
    const [first] = await pinged(net, net.hosts.a, to);
    expect(first).to.include({ kind: 'reply', hopLimit: 63 });
    const [device] = router.tables.addresses.list();
    expect(device && router.forwarded(device.device)).to.include({ received: 1, sent: 1 });
    net.run();
    net.assertIdle();
    net.dispose();
  });

  it('is a host itself: answers pings at either address', async () => {
    const { net, router } = pair();
    for (const at of [left, PLACES[version].right]) {
      expect((await pinged(net, net.hosts.a, at))[0], at).to.include({ kind: 'reply', hopLimit: 64 });
    }
    const [answer] = await net.runUntilSettled(
      lastValueFrom(traceRoute(router, from, { probes: 'icmp', maxHops: 3, queries: 1 }, router.env).pipe(toArray())),
    );
    expect(answer?.from?.toString()).to.equal(from);
    net.run();
    net.assertIdle();
    net.dispose();
  });

  it('appears on the way that hosts trace', async () => {
    const { net } = pair();
    const { a } = net.hosts;
    const probes = await net.runUntilSettled(
      lastValueFrom(traceRoute(a, to, { maxHops: 5, queries: 1 }, a.env).pipe(toArray())),
    );
    expect(probes.map(({ hop, from: at }) => `${hop} ${at?.toString()}`)).to.deep.equal([`1 ${left}`, `2 ${to}`]);
    net.dispose();
  });

  it('carries a megabyte of TCP, to the byte', async () => {
    const { net, router } = pair({ links: { left: { impair: { delay: 5 } } } });
    const data = Buffer.alloc(1 << 20, 'there and back again. ');
    const hash = createHash('sha256');
    nodeNet(net.hosts.b.tcp)
      .createServer((socket) => socket.pipe(socket))
      .listen(7);
    const socket = nodeNet(net.hosts.a.tcp).connect(7, to);
    const done = new Promise<void>((resolve) => {
      socket.on('data', (chunk: Buffer) => hash.update(chunk));
      socket.on('end', resolve);
    });
    socket.end(data);
    await net.runUntilSettled(done);
    expect(hash.digest('hex')).to.equal(createHash('sha256').update(data).digest('hex'));
    // What hosts tell of their groups.
    expect(Object.keys(router.env.drops.toJSON())).to.deep.equal(['ethernet-not-for-us']);
    net.dispose();
  });

  it('tells that it knows no way, and that nobody is there', async () => {
    const { net, router } = pair();
    const [lost] = await pinged(net, net.hosts.a, nowhere);
    expect(lost).to.include({ kind: 'error', error: 'net-unreachable' });
    const [absent] = await pinged(net, net.hosts.a, nobody, { timeout: 5000 });
    expect(absent).to.include({ kind: 'error', error: 'host-unreachable' });
    expect(router.env.drops.count(DropReason.IpNoRoute)).to.equal(1);
    expect(router.env.drops.count(DropReason.NeighbourUnreachable)).to.equal(1);
    net.run();
    net.assertIdle();
    net.dispose();
  });

  it('takes nothing further from an interface that is not to forward', async () => {
    const { net, router } = pair({ left: { forwarding: false } });
    expect((await pinged(net, net.hosts.a, to, { timeout: 100 }))[0]).to.include({ kind: 'timeout' });
    expect((await pinged(net, net.hosts.a, left))[0]).to.include({ kind: 'reply' });
    const reason = version === 4 ? DropReason.Ipv4NotForUs : DropReason.Ipv6NotForUs;
    expect(router.env.drops.count(reason)).to.equal(1);
    net.dispose();
  });
});
