import * as chai from 'chai';
import { chaiPackets, PacketNotation } from '../../../operators/testing/index.js';

const { expect } = chai.use(chaiPackets);

describe('chaiPackets', () => {
  const notation = new PacketNotation({ local: '10.0.0.1', remote: '10.0.0.2' });
  const frame = notation.build('> . 1:1(0) ack 1 win 7');

  it('accepts a frame that says what the line says', () => {
    expect(frame).to.be.packet('> . 1:1(0) ack 1', notation);
    expect(frame).to.not.be.packet('> . 1:1(0) ack 2', notation);
    expect(new PacketNotation().build('> udp 1 > 2 (3)')).to.be.packet('udp 1 > 2 (3)');
  });

  it('shows both lines and the bytes of one that does not', () => {
    expect(() => expect(frame).to.be.packet('> . 1:1(0) ack 2', notation)).to.throw(
      /expected packet > \. 1:1\(0\) ack 2\n +but got > \. 1:1\(0\) ack 1\nIP 10\.0\.0\.1\.8080 > .*\n\t0x0000: /,
    );
    expect(() => expect(frame).to.not.be.packet('> . 1:1(0) ack 1', notation)).to.throw(/a packet other than/);
  });

  it('shows a packet without link header as one', () => {
    const bare = new PacketNotation({ linkType: 'ip' }).build('> udp 1 > 2 (3)');
    expect(bare).to.be.packet('> udp 1 > 2 (3)');
    expect(() => expect(bare).to.be.packet('> udp 1 > 3 (3)')).to.throw(
      /\nIP 192\.168\.0\.1\.1 > 192\.0\.2\.1\.2: UDP, /,
    );
  });
});
