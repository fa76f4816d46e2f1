/** All that is well known, for those who look at frames. */

import type { Endpoint } from '../endpoint.js';
import * as phone from '../phone/messages.js';
import { siblingHello } from '../phone-patterns/sibling-hello.js';
import * as profiles from '../profiles/messages.js';
import type { Topic } from '../topic.js';
import * as services from './descriptors.js';

/** An endpoint or a topic, of whatever types. */
export type AnyDescriptor = Endpoint<unknown, unknown> | Topic<unknown>;

/** Endpoints and topics that are recognised by their keys. */
export const WELL_KNOWN_SOCKETS: readonly AnyDescriptor[] = [
  services.pingEndpoint,
  services.deviceInfoInterrogationTopic,
  services.deviceInfoTopic,
  services.socketQueryTopic,
  services.socketQueryResponseTopic,
  services.logTopic,
  services.defmtTopic,
  services.pathMtuEndpoint,
  profiles.seedRequest,
  profiles.seedRefresh,
  profiles.seedRelease,
  profiles.addressClaim,
  profiles.addressRefresh,
  phone.allocAddresses,
  phone.refreshAddresses,
  phone.releaseAddresses,
  phone.subscribeMulticast,
  phone.unsubscribeMulticast,
  phone.publishPrefix,
  siblingHello,
];
