/** All that is well known, for those who look at frames. */

import type { Endpoint } from '../endpoint.js';
import type { Topic } from '../topic.js';
import * as descriptors from './descriptors.js';

/** An endpoint or a topic, of whatever types. */
export type AnyDescriptor = Endpoint<unknown, unknown> | Topic<unknown>;

/** Endpoints and topics that are recognised by their keys. */
export const WELL_KNOWN_SOCKETS: readonly AnyDescriptor[] = [
  descriptors.pingEndpoint,
  descriptors.deviceInfoInterrogationTopic,
  descriptors.deviceInfoTopic,
  descriptors.socketQueryTopic,
  descriptors.socketQueryResponseTopic,
  descriptors.logTopic,
  descriptors.defmtTopic,
  descriptors.pathMtuEndpoint,
];
