/** Endpoints and topics that every ergot node knows by the same path and types: `well_known` of ergot 0.12. */

import { type Endpoint, endpoint } from '../endpoint.js';
import { bool, string, type Schema, u8, u8Seq, u16, u32, u64, unit } from '../schema.js';
import { boundedString, nonZeroU32 } from '../schema-bounded.js';
import { option, struct, u8Array } from '../schema-compound.js';
import { enumeration, newtypeVariant, unitVariant } from '../schema-enum.js';
import { type Topic, topic } from '../topic.js';

/** What all their paths begin with. */
export const WELL_KNOWN = 'ergot/.well-known/';

/** Bytes of UTF-8 that devices have room for. */
export const MAX_DEVICE_NAME = 16;
export const MAX_DEVICE_DESCRIPTION = 32;

/** Gives back what it is given. */
export const pingEndpoint: Endpoint<number, number> = endpoint(`${WELL_KNOWN}ping`, u32, u32);

/** What a device says of itself, as it is on the wire. */
export interface DeviceInfoMessage {
  readonly name: string | undefined;
  readonly description: string | undefined;
  readonly unique_id: bigint;
}

/** What a device says of itself, to whoever asked under {@link deviceInfoInterrogationTopic}, at the port that asked. */
export const deviceInfoTopic: Topic<DeviceInfoMessage> = topic(
  `${WELL_KNOWN}device-info`,
  struct({
    name: option(boundedString(MAX_DEVICE_NAME)),
    description: option(boundedString(MAX_DEVICE_DESCRIPTION)),
    unique_id: u64,
  }),
);

/** Who is there? */
export const deviceInfoInterrogationTopic: Topic<undefined> = topic(`${WELL_KNOWN}device-info/interrogation`, unit);

/** The hash of a socket's name: unsigned, and never 0. */
export interface NameHashMessage {
  readonly hash: number;
}

const nameHashSchema: Schema<NameHashMessage> = struct({ hash: nonZeroU32 });

/** Which sockets are asked for, as it is on the wire. */
export interface SocketQueryMessage {
  readonly key: Uint8Array;
  readonly nash_req:
    | { readonly kind: 'None' | 'Any'; readonly value?: undefined }
    | { readonly kind: 'Specific'; readonly value: NameHashMessage };
  readonly frame_kind: number;
  /** Whether they listen with all others, at port 255. */
  readonly broadcast: boolean;
}

/** Who has a socket like this? Answered under {@link socketQueryResponseTopic}, at the port that asked. */
export const socketQueryTopic: Topic<SocketQueryMessage> = topic(
  `${WELL_KNOWN}socket/query`,
  struct({
    key: u8Array(8),
    nash_req: enumeration({ None: unitVariant, Any: unitVariant, Specific: newtypeVariant(nameHashSchema) }),
    frame_kind: u8,
    broadcast: bool,
  }),
);

/** A socket that was asked for, as it is on the wire. */
export interface SocketResponseMessage {
  readonly name: NameHashMessage | undefined;
  readonly port: number;
}

/** A socket that was asked for. */
export const socketQueryResponseTopic: Topic<SocketResponseMessage> = topic(
  `${WELL_KNOWN}socket/query/response`,
  struct({ name: option(nameHashSchema), port: u8 }),
);

/** A line of a log, as it is on the wire. */
export interface LogMessage {
  readonly level: { readonly kind: 'Error' | 'Warn' | 'Info' | 'Debug' | 'Trace'; readonly value?: undefined };
  readonly inner: string;
}

/** A line of a log. */
export const logTopic: Topic<LogMessage> = topic(
  `${WELL_KNOWN}fmt`,
  struct({
    level: enumeration({
      Error: unitVariant,
      Warn: unitVariant,
      Info: unitVariant,
      Debug: unitVariant,
      Trace: unitVariant,
    }),
    inner: string,
  }),
);

/** A line of a log in the encoding of defmt, which only who has the device's program can read. */
export const defmtTopic: Topic<{ readonly frame: Uint8Array }> = topic(`${WELL_KNOWN}defmt`, struct({ frame: u8Seq }));

/** An MTU, 0 to 65535. */
export interface PathMtuMessage {
  readonly path_mtu: number;
}

/**
 * The smallest MTU on a path. Its types are known, and nobody serves it: no router on the way looks into the request, so that the answer would be
 * made up. Who sends too much is told by `IsePacketTooBig`.
 */
export const pathMtuEndpoint: Endpoint<PathMtuMessage, PathMtuMessage> = endpoint(
  `${WELL_KNOWN}path-mtu`,
  struct({ path_mtu: u16 }),
  struct({ path_mtu: u16 }),
);
