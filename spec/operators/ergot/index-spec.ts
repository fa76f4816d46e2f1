import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import * as entry from '../../../operators/ergot/index.js';

describe('rx-netstack/ergot', () => {
  it('is what the package says, and has nodes, profiles, services, codecs and links', () => {
    const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
    const { exports } = JSON.parse(text) as { readonly exports: Readonly<Record<string, { readonly types: string }>> };
    expect(exports['./ergot']?.types).to.equal('./dist/operators/ergot/index.d.ts');
    const functions = [
      'ergot',
      'nullProfile',
      'edgeProfile',
      'routerProfile',
      'bridgeProfile',
      'phoneProfile',
      'siblingProfile',
      'endpoint',
      'topic',
      'struct',
      'discover',
      'services',
      'ergotOverStream',
      'ergotOverTcp',
      'listenErgotTcp',
      'ergotOverUdp',
      'listenErgotUdp',
      'ergotOverEthernet',
    ];
    for (const name of functions) expect(entry, name).to.have.property(name).that.is.a('function');
  });
});
