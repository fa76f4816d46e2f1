import { expect } from 'chai';
import { parseArguments } from '../../cli/args.js';
import { Configuration, type ConfigurationNews } from '../../cli/configuration.js';
import { HOST_OPTIONS } from '../../cli/host-options.js';
import { network } from '../../operators/testing/index.js';
import { TestServer6 } from '../operators/l7/dhcpv6-server.js';

/** A host that is configured by a server of DHCPv6 where routers say so. `run` lets some time pass, in which only these routers speak. */
function make() {
  const router = (managed: boolean, other: boolean) => ({ advertise: { maxInterval: 4000, managed, other } });
  const hosts = {
    me: { slaac: true },
    server: 'fe80::1/64',
    silent: router(false, false),
    settings: router(false, true),
    addresses: router(true, false),
  };
  const net = network({ hosts, links: { lan: { impair: { delay: 1 } } } });
  const { me } = net.hosts;
  const device = net.links.lan.end('me');
  const server = new TestServer6(net.hosts.server);
  const routers = ['silent', 'settings', 'addresses'] as const;
  const run = (...speaking: readonly (typeof routers)[number][]) => {
    for (const one of routers) {
      const six = net.hosts[one].autoconf.interface6(net.links.lan.end(one));
      if (speaking.includes(one)) six?.startAdvertising();
      else six?.stopAdvertising();
    }
    net.runFor(10_000);
  };
  // All are heard of once, this one last.
  run('silent');
  const { values } = parseArguments(['--tap', 'rxnone', '--dhcp', '--slaac'], { ...HOST_OPTIONS });
  const news: string[] = [];
  const told = ({ by, event, addresses }: ConfigurationNews) => {
    if (by === 'dhcpv6') news.push([event, ...addresses].join(' '));
  };
  const warn = (message: string) => expect.fail(message);
  const configuration = new Configuration({ me, device, values, news: told, warn }, me.env);
  const finish = () => {
    configuration.stop();
    net.runFor(2000);
    server.close();
    net.dispose();
  };
  return { run, finish, news, heard: server.heard };
}

describe('how the host of a command is configured by DHCPv6', () => {
  it('asks for nothing as long as no router says that there is something', () => {
    const { run, finish, heard } = make();
    run('silent');
    expect(heard).to.deep.equal([]);
    finish();
  });

  it('asks for settings where there are no more, once', () => {
    const { run, finish, heard, news } = make();
    run('settings');
    run('silent');
    run('settings');
    expect(heard).to.deep.equal(['informationrequest']);
    finish();
    expect(news).to.deep.equal([]);
  });

  it('asks for addresses as soon as a router says that there are some, whatever was said before, and keeps them (RFC 4861 4.2)', () => {
    const { run, finish, heard, news } = make();
    run('settings');
    run('settings', 'addresses');
    run('settings');
    expect(heard).to.deep.equal(['informationrequest', 'solicit', 'request']);
    expect(news).to.deep.equal(['bound 2001:db8::50']);
    finish();
    expect(heard.at(-1)).to.equal('release');
  });
});
