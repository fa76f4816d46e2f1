/** Opens the devices that a configuration names, each behind those that it stands on; all or none. */

import type { Device } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import { EtherType } from '../../lib/wire/ethernet.js';
import { bridgeDevice } from '../../drivers/bridge.js';
import { openTap } from '../../drivers/tap.js';
import { openTun } from '../../drivers/tun.js';
import { vlanDevice } from '../../drivers/vlan.js';
import { type VxlanDevice, vxlanDevice } from '../../drivers/vxlan.js';
import { CommandError, messageOf } from '../command.js';
import { inOrder, kindOf } from './check.js';
import type { DeviceConfiguration, RouterConfiguration } from './configuration.js';

/** Devices by name, in an order in which those that carry others come first. */
export interface OpenDevices {
  readonly byName: ReadonlyMap<string, Device>;
  /** Those that have to be attached to the router, once it is there. */
  readonly tunnels: readonly VxlanDevice[];
  close(): Promise<void>;
}

/** @throws CommandError that says which device cannot be opened; the others are closed again */
export async function openDevices(configuration: RouterConfiguration, env: Env): Promise<OpenDevices> {
  const byName = new Map<string, Device>();
  const tunnels: VxlanDevice[] = [];
  // Those that stand on others go first.
  const close = async () => {
    for (const device of [...byName.values()].toReversed()) await device.close();
  };
  for (const name of inOrder(configuration.devices)) {
    try {
      const device = open(name, configuration.devices[name] ?? {}, byName, env);
      byName.set(name, device);
      if ('attach' in device) tunnels.push(device as VxlanDevice);
    } catch (error) {
      await close();
      throw new CommandError(`device ${name}: ${messageOf(error)}`);
    }
  }
  return { byName, tunnels, close };
}

function open(name: string, device: DeviceConfiguration, others: ReadonlyMap<string, Device>, env: Env): Device {
  const { mtu, mac, peer = [], offload, io, busyPoll, wakeLatency, receiveProcessors, vlan, bridge, vxlan } = device;
  const own = { name, ...(mtu === undefined ? {} : { mtu }) };
  const ethernet = { ...own, ...(mac === undefined ? {} : { mac }) };
  const other = (wanted: string): Device => {
    const found = others.get(wanted);
    if (found === undefined) throw new CommandError(`there is no device ${wanted}`);
    return found;
  };
  const kind = kindOf(device);
  if (vlan !== undefined && kind === 'vlan') {
    const protocol = vlan.protocol === '802.1ad' ? EtherType.QinQ : EtherType.Vlan;
    const { parent, id: vid, priority = 0 } = vlan;
    return vlanDevice(other(parent), { ...ethernet, vid, priority, protocol }, env);
  }
  if (bridge !== undefined && kind === 'bridge') {
    const ageing = bridge.ageing === undefined ? {} : { ageing: bridge.ageing * 1000 };
    return bridgeDevice(bridge.ports.map(other), { ...ethernet, ...ageing }, env);
  }
  if (vxlan !== undefined && kind === 'vxlan') {
    const { id: vni, local, peers, port } = vxlan;
    const options = { ...ethernet, vni, local, ...(peers && { peers }), ...(port !== undefined && { port }) };
    return vxlanDevice(options, env);
  }
  const settings = {
    peer,
    ...(offload === undefined ? {} : { offload }),
    ...(io === undefined ? {} : { io }),
    ...(busyPoll === undefined ? {} : { busyPoll }),
    ...(wakeLatency === undefined ? {} : { wakeLatency }),
    ...(receiveProcessors === undefined ? {} : { receiveProcessors }),
  };
  return kind === 'tun' ? openTun({ ...own, ...settings }, env) : openTap({ ...ethernet, ...settings }, env);
}
