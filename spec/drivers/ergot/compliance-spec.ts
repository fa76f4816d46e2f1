import { compliance } from '../../../drivers/compliance.js';
import { ergotOverEthernet } from '../../../drivers/ergot/ethernet.js';
import { popErgotShim, pushErgotShim } from '../../../lib/ergot/ethernet-shim.js';
import { ETHERNET_HEADER, EthernetFrame } from '../../../lib/wire/ethernet.js';
import { virtualRig } from '../virtual-rigs.js';
import { acceptedRig, streamRig, tcpRig, udpPeerRig, udpRig, webStreamRig } from './rigs.js';

const TYPE = 0x88b5;
const FAR = 0x02_00_00_00_00_09;

function ethernetRig(peer?: string): ReturnType<typeof virtualRig> {
  let near = 0;
  const make: Parameters<typeof virtualRig>[0] = (end, env) => {
    near = end.mac.value;
    return ergotOverEthernet(end, peer === undefined ? {} : { peer }, env);
  };
  return virtualRig(make, {
    wrap(frame) {
      pushErgotShim(frame);
      EthernetFrame.emit(frame, near, FAR, TYPE);
      frame.pad(60);
    },
    unwrap(frame) {
      frame.start += ETHERNET_HEADER;
      return popErgotShim(frame) === undefined;
    },
  });
}

compliance('ergot over a stream', streamRig, { describe, it });
compliance('ergot over a stream of the web', webStreamRig, { describe, it });
compliance('ergot over TCP', tcpRig, { describe, it });
compliance('ergot over TCP, accepted', acceptedRig, { describe, it });
compliance('ergot over UDP', udpRig, { describe, it });
compliance('ergot over UDP, a peer of a listener', udpPeerRig, { describe, it });
compliance('ergot over Ethernet', () => ethernetRig(), { describe, it });
compliance('ergot over Ethernet, a bus', () => ethernetRig('everybody'), { describe, it });
