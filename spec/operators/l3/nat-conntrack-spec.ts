import { expect } from 'chai';
import { Subject } from 'rxjs';
import { FlowState, type Frame } from '../../../lib/core/frame.js';
import type { NatRule } from '../../../lib/l4/nat/rules.js';
import { PacketFields } from '../../../lib/wire/packet-fields.js';
import { conntrack } from '../../../operators/filter/conntrack.js';
import { nat } from '../../../operators/l3/nat.js';
import { fakeDevice, virtualEnv } from '../../lib/l2/fake-device.js';
import { plainFrame, type PlainPacket } from '../../lib/wire/plain-packets.js';
import { ACK, echo, echoReply, endsOf, segment, SYN, SYN_ACK, udp } from './nat-rig.js';

const empty = new Uint8Array(0);
const SYN_SEGMENT: PlainPacket = { ...segment(SYN), body: empty, sequence: 100 };
const SYN_ACK_SEGMENT: PlainPacket = { ...segment(SYN_ACK), body: empty, sequence: 500, acknowledgment: 101 };
const ACK_SEGMENT: PlainPacket = { ...segment(ACK), body: empty, sequence: 101, acknowledgment: 501 };
const RULES: readonly NatRule[] = [
  { kind: 'source', from: '10.0.0.0/8', out: 'wan', to: '198.51.100.1' },
  { kind: 'forward', protocol: 'tcp', address: '198.51.100.1', ports: 80, to: '10.0.0.80' },
];

/** A way on which flows are tracked, in front of the translator or between its operators. */
function way(order: 'in front' | 'between') {
  const env = virtualEnv();
  const [lan, wan] = [fakeDevice(env, { name: 'lan' }), fakeDevice(env, { name: 'wan' })];
  const tracking = conntrack({}, env);
  const translator = nat(RULES, order === 'in front' ? { conntrack: tracking } : {}, env);
  const { prerouting, postrouting } = translator;
  const input = new Subject<Frame>();
  const before$ = order === 'in front' ? input.pipe(tracking, prerouting) : input.pipe(prerouting, tracking);
  const out$ = before$;
  const seen: { state: number; reply: boolean; flow: number }[] = [];
  const fields = new PacketFields();
  const post = new Subject<Frame>();
  const left$ =
    order === 'in front' ? post.pipe(postrouting, tracking.confirm) : post.pipe(tracking.confirm, postrouting);
  let port = 0;
  left$.subscribe((frame) => {
    seen.push({ state: frame.flowState, reply: frame.flowReply, flow: frame.flow });
    fields.read(frame, frame.start);
    port = fields.icmpType < 0 ? fields.sourcePort : fields.icmpIdentifier;
  });
  out$.subscribe((frame) => post.next(frame));
  return {
    /** What was found out about a packet, and the port that it left from. */
    send(from: 'lan' | 'wan', packet: PlainPacket, source: string, destination: string) {
      const frame = env.pool.copy(plainFrame(packet, endsOf(source, destination)));
      frame.network = frame.start;
      [frame.device, frame.output] = from === 'lan' ? [lan, wan] : [wan, lan];
      input.next(frame);
      frame.release();
      const last = seen.pop();
      return { state: last?.state, reply: last?.reply, flow: last?.flow, port };
    },
    flows: () => tracking.table.size,
    end() {
      input.complete();
      post.complete();
      tracking.dispose();
      expect(env.scheduler.pending).to.equal(0);
      expect(env.pool.outstanding).to.equal(0);
    },
  };
}

describe('nat and conntrack', () => {
  for (const order of ['between', 'in front'] as const) {
    it(`knows both directions of translated flows for one, tracked ${order}`, () => {
      const it = way(order);
      const first = it.send('lan', SYN_SEGMENT, '10.0.0.5:4000', '192.0.2.9:80');
      expect(first).to.include({ state: FlowState.New, reply: false });
      const external = `198.51.100.1:${first.port}`;
      const second = it.send('wan', SYN_ACK_SEGMENT, '192.0.2.9:80', external);
      expect(second).to.include({ state: FlowState.Established, reply: true, flow: first.flow });
      expect(it.send('lan', ACK_SEGMENT, '10.0.0.5:4000', '192.0.2.9:80')).to.include({
        state: FlowState.Established,
        reply: false,
        flow: first.flow,
      });
      for (const [query, answer] of [
        [udp, udp],
        [echo, echoReply],
      ] as const) {
        const asked = it.send('lan', query, '10.0.0.5:4000', '192.0.2.9:53');
        const back = answer === udp ? '192.0.2.9:53' : `192.0.2.9:${asked.port}`;
        const answered = it.send('wan', answer, back, `198.51.100.1:${asked.port}`);
        expect(answered).to.include({ state: FlowState.Established, reply: true, flow: asked.flow });
      }
      const knock = it.send('wan', SYN_SEGMENT, '203.0.113.1:7', '198.51.100.1:80');
      expect(knock).to.include({ state: FlowState.New, reply: false });
      expect(it.send('lan', SYN_ACK_SEGMENT, '10.0.0.80:80', '203.0.113.1:7')).to.include({
        state: FlowState.Established,
        reply: true,
        flow: knock.flow,
      });
      expect(it.flows()).to.equal(4);
      it.end();
    });
  }
});
