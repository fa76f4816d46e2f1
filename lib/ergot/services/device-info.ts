/** What a device says of itself, and the question who is there: device information and discovery of ergot 0.12. */

import type { Env } from '../../core/env.js';
import type { ErgotError } from '../error.js';
import type { Incoming, NetStackApi, OpenSocket } from '../net-stack-api.js';
import { encode } from '../schema.js';
import { deviceInfoInterrogationTopic, type DeviceInfoMessage, deviceInfoTopic } from './descriptors.js';
import { gather, type GatherOptions } from './gather.js';

/** A device, as its owner describes it. */
export interface DeviceInfo {
  /** Up to 16 bytes of UTF-8. */
  readonly name?: string | undefined;
  /** Up to 32 bytes of UTF-8. */
  readonly description?: string | undefined;
  /** What no other device has: 64 bits, unsigned. */
  readonly id: bigint;
}

/** A device that was found. */
export interface FoundDevice<A> extends DeviceInfo {
  /** Its node, with port 0. */
  readonly address: A;
}

/** Who is told of devices. */
export interface DiscoveryEvents<A> {
  found(device: FoundDevice<A>): void;
  /** The time is over, or the question could not leave. Called once, unless it was given up before. */
  done(error?: ErgotError): void;
}

/**
 * Says what this device is, to whoever asks.
 *
 * @throws UsageError `ERR_BAD_MESSAGE` for a name or a description that is too long, or an id that is none; `ErgotError`
 */
export function serveDeviceInfo<A>(stack: NetStackApi<A>, info: DeviceInfo): OpenSocket {
  const { name, description, id } = info;
  const message: DeviceInfoMessage = { name, description, unique_id: id };
  encode(deviceInfoTopic.message, message);
  return stack.subscribe(deviceInfoInterrogationTopic, ({ source }) => stack.publish(deviceInfoTopic, source, message));
}

/**
 * Asks who is there, and hears of each device that says so in time; the function that is returned gives it up.
 *
 * @throws UsageError `ERR_INVALID_OPTION`; `ErgotError` `ERR_ERGOT_NO_PORT`, `ERR_ERGOT_CLOSED`
 */
export function discoverDevices<A>(
  stack: NetStackApi<A>,
  options: GatherOptions<A>,
  events: DiscoveryEvents<A>,
  env: Env,
): () => void {
  const answers = {
    answer({ source, value }: Incoming<DeviceInfoMessage, A>): void {
      const { name, description, unique_id: id } = value;
      events.found({ address: stack.addressing.withPort(source, 0), name, description, id });
    },
    done: (error?: ErgotError) => events.done(error),
  };
  return gather(stack, deviceInfoInterrogationTopic, undefined, deviceInfoTopic, options, answers, env);
}
