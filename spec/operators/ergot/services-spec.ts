import { expect } from 'chai';
import type { Observable } from 'rxjs';
import { link } from '../../../drivers/link.js';
import { FramePool } from '../../../lib/core/frame.js';
import * as e from '../../../lib/ergot/index.js';
import { ergot, type ErgotNode, type ErgotOptions } from '../../../operators/ergot/ergot.js';
import { discover, findSockets, logs, ping, services } from '../../../operators/ergot/services/index.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';
import { FlatProfile } from '../../lib/ergot/flat-profile.js';

/** Node 1 in the middle, with a cable to each of nodes 2 and 3. */
class Net {
  readonly scheduler = new SimulationScheduler();
  readonly env = environment({ scheduler: this.scheduler, seed: 1, pool: new FramePool({ poison: true }) });
  readonly said: string[] = [];
  readonly nodes: readonly ErgotNode<number>[];

  constructor(options: ErgotOptions = {}, delay = 10) {
    const [a, b, c] = [1, 2, 3].map((number) => ergot(new FlatProfile(number), options, this.env));
    if (a === undefined || b === undefined || c === undefined) throw new Error('three nodes');
    for (const other of [b, c]) {
      const { ends } = link({ medium: 'ergot', impair: { delay } }, this.env);
      a.plug(ends[0]);
      other.plug(ends[1]);
    }
    this.nodes = [a, b, c];
  }

  get a(): ErgotNode<number> {
    return this.node(0);
  }

  node(index: number): ErgotNode<number> {
    const node = this.nodes[index];
    if (node === undefined) throw new Error(`no node ${index}`);
    return node;
  }

  /** Writes down what is heard, and when. */
  hear<T>(source$: Observable<T>, text: (value: T) => string): { unsubscribe(): void } {
    const say = (what: string): void => void this.said.push(`${this.scheduler.now()} ${what}`);
    return source$.subscribe({
      next: (value) => say(text(value)),
      complete: () => say('done'),
      error: (error: Error) => say(`error ${error.message}`),
    });
  }

  /** Ends all, and holds them to having left nothing behind. */
  end(): void {
    for (const node of this.nodes) node.dispose();
    this.scheduler.run();
    expect(this.env.pool.outstanding).to.equal(0);
    expect(this.scheduler.pending).to.equal(0);
  }
}

function pingText(event: e.ErgotPingEvent<number>): string {
  if (event.kind === 'timeout') return `timeout ${event.sequence}`;
  if (event.kind === 'error') return `error ${event.sequence} ${event.error.message}`;
  return `reply ${event.sequence} from ${e.netAddressText(event.from)} in ${event.rtt}${event.intact ? '' : ' damaged'}`;
}

const deviceText = ({ address, name, description, id }: e.FoundDevice<number>): string =>
  `${e.netAddressText(address)} ${name} ${description} ${id}`;

const socketText = ({ address, name }: e.FoundSocket<number>): string =>
  `${e.netAddressText(address)}${name === undefined ? '' : ` ${name.toString(16)}`}`;

describe('ping of ergot nodes (row 68)', () => {
  it('tells of each reply, and completes', () => {
    const net = new Net();
    services(net.node(1));
    const sent: number[] = [];
    net.hear(ping(net.a, '1.2:0', { count: 3, interval: 100, onSent: (sequence) => sent.push(sequence) }), pingText);
    net.scheduler.run();
    expect(net.said).to.deep.equal([
      '20 reply 1 from 1.2:1 in 20',
      '120 reply 2 from 1.2:1 in 20',
      '220 reply 3 from 1.2:1 in 20',
      '220 done',
    ]);
    expect(sent).to.deep.equal([1, 2, 3]);
    net.end();
  });

  it('tells of who does not answer, in the order of the requests', () => {
    const net = new Net({}, 300);
    services(net.node(1));
    net.hear(ping(net.a, '1.2:0', { count: 2, interval: 100, timeout: 500 }), pingText);
    net.scheduler.run();
    expect(net.said).to.deep.equal(['500 timeout 1', '600 timeout 2', '600 done']);
    net.end();
  });

  it('tells why a node refuses', () => {
    const net = new Net();
    net.hear(ping(net.a, '1.2:9', { count: 1 }), pingText);
    net.scheduler.run();
    expect(net.said).to.deep.equal(['20 error 1 NsseNoRoute', '20 done']);
    net.end();
  });

  it('tells of numbers that came back other than they went', () => {
    const net = new Net();
    net
      .node(1)
      .serve(e.pingEndpoint)
      .subscribe((request) => request.answer(request.value ^ 1));
    net.hear(ping(net.a, e.parseNetAddress('1.2:0'), { count: 1 }), pingText);
    net.scheduler.run();
    expect(net.said).to.deep.equal(['20 reply 1 from 1.2:1 in 20 damaged', '20 done']);
    net.end();
  });

  it('pings itself', () => {
    const net = new Net();
    services(net.a);
    net.hear(ping(net.a, '0.0:0', { count: 1 }), pingText);
    net.scheduler.run();
    expect(net.said.join()).to.match(/reply 1 from 0\.0:1 in 0,0 done$/);
    net.end();
  });

  it('leaves nothing when it is unsubscribed, or the node ends', () => {
    for (const end of ['unsubscribe', 'dispose'] as const) {
      const net = new Net({}, 50);
      services(net.node(1));
      const subscription = net.hear(ping(net.a, '1.2:0', { interval: 100 }), pingText);
      net.scheduler.schedule(() => (end === 'dispose' ? net.a.dispose() : subscription.unsubscribe()), 130);
      net.scheduler.run();
      expect(net.said).to.deep.equal(['100 reply 1 from 1.2:1 in 100', ...(end === 'dispose' ? ['130 done'] : [])]);
      net.end();
    }
  });

  it('refuses what makes no sense', () => {
    const net = new Net();
    for (const options of [{ count: 0 }, { interval: -1 }, { timeout: Number.NaN }]) {
      net.hear(ping(net.a, '1.2:0', options), pingText);
    }
    net.hear(ping(net.a, '1.2', {}), pingText);
    net.scheduler.run();
    expect(net.said.map((line) => line.slice(0, 28))).to.deep.equal([
      ...Array.from({ length: 3 }, () => '0 error ping needs a count, '),
      '0 error no address: 1.2',
    ]);
    net.end();
  });
});

describe('discover (row 68)', () => {
  const device = { name: 'lamp', description: 'in the hall', id: 2n ** 64n - 1n };

  it('finds the devices that say what they are, itself among them', () => {
    const net = new Net();
    services(net.node(1), { device });
    services(net.node(2), { device: { id: 3n } });
    services(net.a, { device: { name: 'me', id: 1n } });
    net.hear(discover(net.a, { timeout: 500 }), deviceText);
    net.scheduler.run();
    expect(net.said).to.deep.equal([
      '0 0.0:0 me undefined 1',
      '20 1.2:0 lamp in the hall 18446744073709551615',
      '20 1.3:0 undefined undefined 3',
      '500 done',
    ]);
    net.end();
  });

  it('finds those only that answer in time, and asks anew for each subscription', () => {
    const net = new Net({}, 300);
    services(net.node(1), { device });
    const devices$ = discover(net.a, { timeout: 500 });
    net.hear(devices$, deviceText);
    net.scheduler.run();
    net.hear(discover(net.a, { timeout: 700 }), deviceText);
    net.scheduler.run();
    expect(net.said).to.deep.equal(['500 done', '1500 1.2:0 lamp in the hall 18446744073709551615', '1600 done']);
    net.end();
  });

  it('asks one node only, if it is told which', () => {
    const net = new Net();
    services(net.node(1), { device });
    services(net.node(2), { device });
    net.hear(discover(net.a, { timeout: 100, to: e.parseNetAddress('1.3:255') }), deviceText);
    net.scheduler.run();
    expect(net.said.map((line) => line.split(' ')[1])).to.include('1.3:0');
    net.end();
  });

  it('says why it could not ask', () => {
    const net = new Net();
    const profile = new FlatProfile(9);
    profile.refusal = e.ProtocolError.IseInternalError;
    const alone = ergot(profile, {}, net.env);
    net.hear(discover(alone), deviceText);
    expect(net.said).to.deep.equal([]);
    net.scheduler.run();
    expect(net.said).to.deep.equal(['0 error NsseNoRoute']);
    alone.dispose();
    net.hear(discover(alone), deviceText);
    net.hear(discover(net.a, { timeout: -1 }), deviceText);
    net.scheduler.run();
    expect(net.said.slice(1)).to.deep.equal(['0 done', '0 error no time to wait: -1']);
    net.end();
  });

  it('leaves nothing when it is unsubscribed, or the node ends', () => {
    const net = new Net();
    services(net.node(1), { device });
    net.hear(discover(net.a), deviceText).unsubscribe();
    net.hear(discover(net.a), deviceText);
    net.a.dispose();
    expect(net.said).to.deep.equal(['0 done']);
    net.end();
  });

  it('refuses a name that devices have no room for, and serves nothing then', () => {
    const net = new Net();
    const attempt = () => services(net.a, { device: { name: 'seventeen letters', id: 1n } });
    expect(attempt).to.throw().with.property('code', 'ERR_BAD_MESSAGE');
    expect([...net.a.stack.sockets()]).to.deep.equal([]);
    net.end();
  });

  it('ends with the subscription of its services', () => {
    const net = new Net();
    const serving = services(net.node(1), { device });
    expect([...net.node(1).stack.sockets()].length).to.equal(3);
    serving.unsubscribe();
    expect([...net.node(1).stack.sockets()].length).to.equal(0);
    net.end();
  });
});

describe('findSockets (row 68)', () => {
  const sum = e.endpoint('app/sum', e.seq(e.u8), e.u32);
  const yeet = e.topic('topic/yeet', e.u64);

  /** What is found of a query. */
  function found(net: Net, query: e.SocketQuery): readonly string[] {
    net.said.length = 0;
    net.hear(findSockets(net.a, query, { timeout: 100 }), socketText);
    net.scheduler.run();
    expect(net.said.pop()).to.match(/done$/);
    return net.said.map((line) => line.slice(line.indexOf(' ') + 1));
  }

  it('finds sockets by their kind, key and name', () => {
    const net = new Net();
    const [, b, c] = net.nodes;
    for (const node of [b, c]) if (node !== undefined) services(node);
    b?.serve(sum, { name: 'a' }).subscribe();
    c?.serve(sum).subscribe();
    c?.topic(yeet).subscribe();
    b?.topic(yeet, { own: true }).subscribe();
    c?.serve(e.endpoint('app/hidden', e.u8, e.u8), { hidden: true }).subscribe();
    expect(found(net, e.serversOf(sum))).to.deep.equal(['1.2:2 e40c292c', '1.3:2']);
    expect(found(net, e.serversOf(sum, 'a'))).to.deep.equal(['1.2:2 e40c292c']);
    expect(found(net, e.serversOf(sum, 'b'))).to.deep.equal([]);
    expect(found(net, e.serversOf(sum, null))).to.deep.equal(['1.3:2']);
    expect(found(net, e.subscribersOf(yeet))).to.deep.equal(['1.3:255']);
    expect(found(net, e.subscribersOf(yeet, undefined, false))).to.deep.equal(['1.2:3']);
    expect(found(net, e.serversOf(e.endpoint('app/hidden', e.u8, e.u8)))).to.deep.equal([]);
    expect(found(net, e.serversOf(e.endpoint('app/sum', e.seq(e.i8), e.u32)))).to.deep.equal([]);
    net.end();
  });
});

describe('logs (row 68)', () => {
  it('hears what is said to everyone, here and elsewhere, until the node ends', () => {
    const net = new Net();
    net.hear(logs(net.a), ({ level, text, source }) => `${level} ${text} ${e.netAddressText(source)}`);
    e.publishLog(net.node(1).stack, 'warn', 'hot');
    e.publishLog(net.node(2).stack, 'trace', 'å');
    e.publishLog(net.a.stack, 'error', 'mine');
    net.scheduler.run();
    net.a.dispose();
    expect(net.said.map((line) => line.replace(/ \S+$/, ''))).to.deep.equal([
      '0 error mine',
      '10 warn hot',
      '10 trace å',
      '10',
    ]);
    net.end();
  });

  it('drops lines that nobody has time for, and counts them (row 69)', () => {
    const net = new Net({ queue: 2 });
    const heard: string[] = [];
    const socket = e.subscribeLogs(net.a.stack, ({ text }) => {
      heard.push(text);
      if (heard.length === 1) for (const line of ['2', '3', '4', '5']) e.publishLog(net.a.stack, 'info', line);
    });
    e.publishLog(net.a.stack, 'info', '1');
    net.scheduler.run();
    expect(heard).to.deep.equal(['1', '2', '3']);
    expect(socket.dropped).to.equal(2);
    net.end();
  });
});
