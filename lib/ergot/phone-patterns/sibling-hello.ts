/** What sibling routers say to each other on the wire: a topic, on each link between two of them, that goes no further than the other end. */

import { publishPrefix } from '../phone/messages.js';
import { bool, i32, type Schema, u8 } from '../schema.js';
import { option, seq, struct } from '../schema-compound.js';
import { type Topic, topic } from '../topic.js';
import { isSibling, type SiblingRecord } from './sibling-mesh.js';

/** Who speaks, and what is known of each router, its own record first. */
export interface SiblingHello {
  readonly id: number;
  readonly records: readonly SiblingRecord[];
}

const record: Schema<SiblingRecord> = struct({
  id: u8,
  sequence: i32,
  hears: u8,
  parent: bool,
  prefix: option(publishPrefix.message),
});

/** Where sibling routers hear each other. */
export const siblingHello: Topic<SiblingHello> = topic(
  'ergot/.well-known/pna/sibling',
  struct({ id: u8, records: seq(record) }),
);

/** The records of a hello that are of routers; what they say of the prefix is looked at when it is used. */
export function soundRecords(hello: SiblingHello): SiblingRecord[] {
  return hello.records.filter(({ id }) => isSibling(id));
}
