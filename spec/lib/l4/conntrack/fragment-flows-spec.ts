import { expect } from 'chai';
import type { Frame } from '../../../../lib/core/frame.js';
import { ipOffset } from '../../../../lib/wire/network-offset.js';
import { forBothVersions } from '../../../both-versions.js';
import { isInvalid, stateOf, Tracked } from './tracked.js';

forBothVersions('Fragments in the tracking of flows', (facts) => {
  let tracked: Tracked;
  beforeEach(() => {
    tracked = new Tracked(facts);
  });

  it('follow the first of their packet', () => {
    tracked.run('new < udp 5 > 53 (3000) frag 0:1480+ ipid 9');
    const { flow } = tracked;
    for (const rest of ['frag 1480:2960+ ipid 9', 'frag 2960:3008 ipid 9']) {
      expect(tracked.send(`< udp 5 > 53 (3000) ${rest}`).flow).to.equal(flow);
    }
    tracked.run(`
      established  > udp 53 > 5 (3000) frag 0:1480+ ipid 9
      established  > udp 53 > 5 (3000) frag 1480:3008 ipid 9
      new          < ${facts.icmp} echo_request id 7 seq 1 (3000) frag 0:1480+ ipid 10
      new          < ${facts.icmp} echo_request id 7 seq 1 (3000) frag 1480:3008 ipid 10`);
    expect(tracked.tracker.table.size).to.equal(2);
  });

  if (facts.version === 6)
    it('follow it where they name another header that comes next (RFC 8200 4.5)', () => {
      const DESTINATION_OPTIONS = 60;
      const send = (line: string, change: (frame: Frame, fragment: number) => void) => {
        const frame = tracked.notation.build(line);
        change(frame, ipOffset(frame) + 40);
        tracked.pass(frame);
        return frame;
      };
      const first = send('< udp 5 > 53 (3000) frag 0:1480+ ipid 9', (frame, at) => {
        const { view, bytes } = frame.slab;
        frame.put(8);
        bytes.copyWithin(at + 16, at + 8, frame.end - 8);
        view.setUint8(at, DESTINATION_OPTIONS);
        view.setUint32(at + 8, 0x1100_0104);
        view.setUint32(at + 12, 0);
        view.setUint16(at - 36, view.getUint16(at - 36) + 8);
      });
      expect([stateOf(first), first.flow === 0]).to.deep.equal(['new', false]);
      const later = send('< udp 5 > 53 (3000) frag 1488:3008 ipid 9', ({ slab }, at) => {
        slab.view.setUint8(at, DESTINATION_OPTIONS);
      });
      expect([stateOf(later), later.flow]).to.deep.equal(['new', first.flow]);
    });

  if (facts.version === 4)
    it('of other protocols of IPv4 are those of other packets (RFC 791)', () => {
      tracked.run(`
        new          < udp 5 > 53 (3000) frag 0:1480+ ipid 9
        invalid      < ${facts.icmp} echo_request id 7 seq 1 (3000) frag 1480:3008 ipid 9`);
    });

  it('belong to nobody without the first, of another packet, too late, or of a flow that is gone', () => {
    tracked.run('new < udp 5 > 53 (3000) frag 0:1480+ ipid 9');
    const rest = '< udp 5 > 53 (3000) frag 1480:3008';
    expect(isInvalid(tracked.send(`${rest} ipid 8`))).to.equal(true);
    expect(isInvalid(tracked.send(`${rest} ipid 9 from ${facts.c.toString()}`))).to.equal(true);
    expect(isInvalid(tracked.send(`${rest} ipid 9`))).to.equal(false);
    tracked.scheduler.runFor(60_000);
    expect(isInvalid(tracked.send(`${rest} ipid 9`))).to.equal(true);
    tracked.run('new < udp 6 > 53 (3000) frag 0:1480+ ipid 10');
    tracked.tracker.table.delete(tracked.flow);
    expect(isInvalid(tracked.send('< udp 6 > 53 (3000) frag 1480:3008 ipid 10'))).to.equal(true);
  });

  it('of TCP belong to nobody', () => {
    tracked.run(`
      new          < S 0:0(0) win 1000
      established  > S. 0:0(0) ack 1 win 1000
      established  < . 1:1(0) ack 1 win 1000
      invalid      < . 1:801(800) ack 1 win 1000 frag 0:400+ ipid 9
      invalid      < . 1:801(800) ack 1 win 1000 frag 400:820 ipid 9`);
  });
});
