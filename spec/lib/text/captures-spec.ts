/** Every capture of the shared collection, against what tshark says of it. Skipped where the collection is missing. */

import { expect } from 'chai';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readCapture } from '../../../lib/capture/index.js';
import { Frame } from '../../../lib/core/frame.js';
import { describe as describePacket, type PacketDescription } from '../../../lib/text/describe.js';
import { pretty } from '../../../lib/text/pretty.js';

const FOLDER = fileURLToPath(new URL('../../../../shared/captures/', import.meta.url));

interface Truth {
  readonly frames: readonly (Readonly<Record<string, unknown>> & { readonly n: number; readonly protos: string })[];
}

/** The outermost of a field's values. */
function first(value: unknown): string | undefined {
  const outermost: unknown = Array.isArray(value) ? value[0] : value;
  return typeof outermost === 'string' ? outermost : undefined;
}

/** What tshark says, in our words: only of the outermost headers that we decode. */
function expected(truth: Truth['frames'][number], ours: PacketDescription): Record<string, unknown> {
  const protocols = truth.protos.split(':').filter((name) => name !== 'ethertype' && name !== 'vlan');
  const told: Record<string, unknown> = {};
  if (ours.layers.includes('vxlan')) {
    told['vni'] = Number(first(truth['vxlanVni']));
    told['inner'] = innermost(truth, protocols[1]);
  }
  if (truth['ipSrc'] !== undefined && protocols[1] === 'ip') {
    told['src'] = first(truth['ipSrc']);
    told['dst'] = first(truth['ipDst']);
    told['ipv4'] = first(truth['ipCk']);
  } else if (protocols[1] === 'ipv6') {
    told['src'] = first(truth['ip6Src']);
    told['dst'] = first(truth['ip6Dst']);
  } else if (protocols[1] === 'arp') {
    told['src'] = first(truth['arpSip']);
    told['dst'] = first(truth['arpTip']);
  }
  const behind = protocols.slice(2);
  if (protocols[1] === 'ipv6') {
    const carried = behind.findIndex((name) => EXTENSIONS[name] === undefined);
    const chain = behind.splice(0, carried < 0 ? behind.length : carried);
    told['extensions'] = chain.map((name) => EXTENSIONS[name]);
    if (truth['ip6FragOff'] !== undefined && chain.includes('ipv6.fraghdr') && ours.fragment !== undefined) {
      told['fragment'] = {
        offset: 8 * Number(first(truth['ip6FragOff'])),
        more: /1|true/i.test(`${first(truth['ip6FragMore'])}`),
      };
    }
  } else if (protocols[1] !== 'ip') return told;
  if (ours.fragment !== undefined) return told;
  for (const [layer, port, checksum] of [
    ['tcp', 'tcpSp', 'tcpCk'],
    ['udp', 'udpSp', 'udpCk'],
    ['icmp', '', 'icmpCk'],
    ['icmpv6', '', 'icmp6Ck'],
  ] as const) {
    if (behind[0] !== layer) continue;
    if (port !== '' && truth[port] !== undefined) {
      told['sport'] = Number(first(truth[port]));
      told['dport'] = Number(first(truth[port.replace('S', 'D')]));
    }
    // tshark reads a home address of which the option says that it is not there, and believes it.
    if (JSON.stringify(truth['warn'] ?? '').includes('Home Address: Invalid length')) continue;
    if (truth[checksum] !== undefined) told[layer] = first(truth[checksum]);
  }
  return told;
}

/** What tshark says of the frame in a virtual network: of a field the second value, or the first where the outer frame has none. */
function innermost(truth: Truth['frames'][number], outer: string | undefined): Record<string, unknown> {
  const within = truth.protos.split(':vxlan:')[1]?.split(':')[2];
  const of = (field: string, protocol: string): unknown => [truth[field]].flat()[protocol === outer ? 1 : 0];
  const [prefix, source, destination] =
    within === 'arp' ? ['arp', 'Sip', 'Tip'] : [within === 'ip' ? 'ip' : 'ip6', 'Src', 'Dst'];
  return {
    linkSrc: of('ethSrc', `${outer}`),
    linkDst: of('ethDst', `${outer}`),
    src: of(`${prefix}${source}`, `${within}`),
    dst: of(`${prefix}${destination}`, `${within}`),
  };
}

/** tshark's names of extension headers, and ours. */
const EXTENSIONS: Readonly<Record<string, string>> = {
  'ipv6.hopopts': 'hopopts',
  'ipv6.dstopts': 'dstopts',
  'ipv6.routing': 'routing',
  'ipv6.fraghdr': 'fragment',
  ah: 'ah',
};

function project(ours: PacketDescription, keys: readonly string[]): Record<string, unknown> {
  const extensions = ours.layers.filter((layer) => Object.values(EXTENSIONS).includes(layer));
  const { fragment } = ours;
  const flat: Record<string, unknown> = {
    ...ours,
    ...ours.checksums,
    extensions,
    ...(ours.inner === undefined ? {} : { inner: ends(ours.inner) }),
    ...(fragment === undefined ? {} : { fragment: { offset: fragment.offset, more: fragment.more } }),
  };
  return Object.fromEntries(keys.map((key) => [key, flat[key]]));
}

function ends({ linkSrc, linkDst, src, dst }: PacketDescription): Record<string, unknown> {
  return { linkSrc, linkDst, src, dst };
}

describe('every shared capture', () => {
  const names = existsSync(FOLDER) ? readdirSync(FOLDER).filter((name) => name.endsWith('.truth.json')) : [];
  if (names.length === 0) {
    it('SKIPPED: ../shared/captures is not there, so nothing was compared with tshark');
    return;
  }
  for (const name of names) {
    it(`is described as tshark does: ${name.replace('.truth.json', '')}`, () => {
      const truth = JSON.parse(readFileSync(FOLDER + name, 'utf8')) as Truth;
      const records = readCapture(readFileSync(FOLDER + name.replace('.truth.json', '')));
      let index = 0;
      for (const record of records) {
        const facts = truth.frames[index++];
        if (facts === undefined) break;
        const frame = Frame.from(record.data);
        const ours = describePacket(frame, { wireLength: record.originalLength });
        expect(pretty(frame, { wireLength: record.originalLength })).to.not.match(/undefined|NaN/);
        const told = expected(facts, ours);
        expect(project(ours, Object.keys(told)), `frame ${facts.n}: ${facts.protos}`).to.deep.equal(told);
      }
      expect(index, 'frames compared').to.equal(truth.frames.length);
    });
  }
});
