import { expect } from 'chai';
import * as fc from 'fast-check';
import { Cidr, Ipv4Address, MacAddress } from '../../../lib/core/address.js';
import { UsageError } from '../../../lib/core/errors.js';
import { type DhcpMessage, dhcpMessage, DhcpType, emitDhcp, parseDhcp } from '../../../lib/wire/dhcpv4.js';
import type { DhcpOptions } from '../../../lib/wire/dhcpv4-options.js';

const ip = (text: string) => Ipv4Address.parse(text);
const mac = MacAddress.parse('02:00:00:00:00:07');
const withOptions = (options: DhcpOptions): DhcpMessage =>
  dhcpMessage({ request: false, xid: 1, mac, options: { messageType: DhcpType.Ack, ...options } });
const route = (destination: string, gateway: string) => {
  const { address, length } = Cidr.parse(destination);
  return { destination: new Cidr<4>(address as Ipv4Address, length), gateway: ip(gateway) };
};

/** A message written by hand, with these bytes for fields and options. */
function handMade(options: string, fields: { file?: string; sname?: string; cookie?: string } = {}): Uint8Array {
  const { file = '', sname = '', cookie = '63825363' } = fields;
  const zero = '00000000';
  const head = `020106000000000100008000${zero}0a000007${zero}${zero}020000000007`;
  return Uint8Array.from(
    Buffer.from(
      head.padEnd(88, '0') + sname.padEnd(128, '0') + file.padEnd(256, '0') + cookie + options.replaceAll(' ', ''),
      'hex',
    ),
  );
}

function outcome(bytes: Uint8Array): DhcpMessage | string {
  try {
    return parseDhcp(bytes);
  } catch (error) {
    if (error instanceof UsageError) return error.code;
    throw error;
  }
}

describe('DHCPv4 messages', () => {
  it('reads the fields where RFC 2131 has them', () => {
    const message = parseDhcp(handMade('350102330400000e10ff'));
    expect(message).to.deep.include({ request: false, xid: 1, broadcast: true, yiaddr: ip('10.0.0.7') });
    expect(message.mac.toString()).to.equal('02:00:00:00:00:07');
    expect(message.options).to.deep.equal({ messageType: 2, leaseTime: 3600 });
  });

  it('writes no option with nothing in it, which none may have', () => {
    const nothing = { routers: [], dnsServers: [], domainName: '', domainSearch: [], classlessRoutes: [] };
    const bytes = emitDhcp(withOptions({ ...nothing, leaseTime: 3600 }));
    expect(bytes).to.deep.equal(emitDhcp(withOptions({ leaseTime: 3600 })));
  });

  it('gives back every option that it wrote', () => {
    const message: DhcpMessage = {
      request: true,
      hops: 1,
      xid: 0xdeadbeef,
      secs: 7,
      broadcast: true,
      ciaddr: ip('10.0.0.1'),
      yiaddr: ip('10.0.0.2'),
      siaddr: ip('10.0.0.3'),
      giaddr: ip('10.0.0.4'),
      mac,
      options: {
        messageType: DhcpType.Request,
        serverId: ip('10.0.0.5'),
        leaseTime: 0xffffffff,
        renewalTime: 1,
        rebindingTime: 2,
        requestedAddress: ip('10.0.0.6'),
        clientId: Uint8Array.of(1, 2, 3),
        maxMessageSize: 1500,
        parameterList: [1, 3, 6],
        subnetMask: ip('255.255.255.0'),
        classlessRoutes: [
          route('0.0.0.0/0', '10.0.0.1'),
          route('10.17.0.0/16', '10.0.0.9'),
          route('10.1.2.3/32', '0.0.0.0'),
        ],
        routers: [ip('10.0.0.1')],
        dnsServers: [ip('10.0.0.53'), ip('10.0.0.54')],
        broadcast: ip('10.0.0.255'),
        mtu: 1400,
        hostName: 'printer',
        domainName: 'example.test',
        domainSearch: ['example.test', 'lab.example.test'],
        vendorClass: 'rx',
        tftpServer: 'boot',
        bootfile: 'image',
        message: 'hello',
        others: new Map([[82, Uint8Array.of(1, 1, 0)]]),
      },
    };
    expect(parseDhcp(emitDhcp(message))).to.deep.equal(message);
  });

  it('pads to what BOOTP had, and fits what every client takes', () => {
    expect(emitDhcp(withOptions({}))).to.have.length(300);
    expect(emitDhcp(withOptions({ hostName: 'x'.repeat(280) })).length).to.be.at.most(548);
  });

  it('RFC 3396: puts the parts of an option together, and splits what is too long', () => {
    const message = parseDhcp(handMade('3501020c036162630006040a0000350c0364656606040a000036ff'));
    expect(message.options.hostName).to.equal('abcdef');
    expect(message.options.dnsServers?.map(String)).to.deep.equal(['10.0.0.53', '10.0.0.54']);
    const long = withOptions({ message: 'y'.repeat(600) });
    expect(parseDhcp(emitDhcp(long, 1472)).options.message).to.equal('y'.repeat(600));
  });

  it('RFC 2132 9.3: goes on in file and sname where options do not fit', () => {
    const read = parseDhcp(handMade('350102 340103 ff', { file: '0c03616263ff', sname: '0f0178ff' }));
    expect(read.options).to.deep.include({ hostName: 'abc', domainName: 'x' });
    expect(
      parseDhcp(handMade('350102340101ff', { file: '0c03616263ff', sname: '0f0178ff' })).options.domainName,
    ).to.equal(undefined);
    const much: DhcpOptions = {
      hostName: 'a'.repeat(120),
      domainName: 'b'.repeat(120),
      message: 'c'.repeat(50),
      bootfile: 'd'.repeat(100),
    };
    const written = emitDhcp(withOptions(much));
    expect(written.length).to.be.at.most(548);
    expect(parseDhcp(written).options).to.deep.equal({ messageType: DhcpType.Ack, ...much });
    expect(() => emitDhcp(withOptions({ message: 'c'.repeat(600) }))).to.throw(UsageError, 'do not fit');
  });

  it('RFC 3442: reads routes with as few bytes of the prefix as they have', () => {
    const { options } = parseDhcp(handMade('350102790d000a00000118c0a8010a000002ff'));
    expect(
      options.classlessRoutes?.map(({ destination, gateway }) => `${destination.toString()} ${gateway.toString()}`),
    ).to.deep.equal(['0.0.0.0/0 10.0.0.1', '192.168.1.0/24 10.0.0.2']);
  });

  it('RFC 3397: reads search lists with compressed names', () => {
    const { options } = parseDhcp(handMade('350102 7709 0161016200 03 0163c0 ff'));
    // Wrong on purpose: a label that runs out of the option makes it as good as absent.
    expect(options.domainSearch).to.equal(undefined);
    const good = parseDhcp(handMade('350102 770a 0161 016200 0163c002 00 ff'));
    expect(good.options.domainSearch).to.deep.equal(['a.b', 'c.b', '.']);
  });

  it('takes an option with impossible contents for absent, and the rest as it is', () => {
    const { options } = parseDhcp(handMade('350102 03050a00000101 06040a000035 ff'));
    expect(options).to.deep.equal({ messageType: 2, dnsServers: [ip('10.0.0.53')] });
  });

  it('refuses BOOTP, other links, a missing type, and options that end early', () => {
    const good = handMade('350102ff');
    expect(outcome(handMade('350102ff', { cookie: '00000000' }))).to.equal('ERR_BAD_MESSAGE');
    expect(outcome(handMade('ff'))).to.equal('ERR_BAD_MESSAGE');
    expect(outcome(handMade('3501020c'))).to.equal('ERR_BAD_MESSAGE');
    expect(outcome(handMade('3501020c0561'))).to.equal('ERR_BAD_MESSAGE');
    for (const [at, value] of [
      [0, 3],
      [1, 6],
      [2, 8],
    ] as const) {
      const bad = good.slice();
      bad[at] = value;
      expect(outcome(bad), `byte ${at}`).to.equal('ERR_BAD_MESSAGE');
    }
    for (let length = 0; length < 243; length++) expect(outcome(good.slice(0, length))).to.equal('ERR_BAD_MESSAGE');
  });

  it('reads any bytes as a message or as ERR_BAD_MESSAGE, and what it read it can write', () => {
    const options = fc.uint8Array({ maxLength: 120 });
    const fields = handMade('350102');
    let read = 0;
    fc.assert(
      fc.property(options, fc.nat(3), (tail, overload) => {
        const data = Uint8Array.of(...fields, 52, 1, overload, ...tail);
        const message = outcome(data);
        if (typeof message === 'string') {
          expect(message).to.equal('ERR_BAD_MESSAGE');
          return;
        }
        read++;
        expect(parseDhcp(emitDhcp(message, 1472))).to.deep.equal(message);
      }),
      { numRuns: 1000 },
    );
    expect(read).to.be.greaterThan(20);
  });
});
