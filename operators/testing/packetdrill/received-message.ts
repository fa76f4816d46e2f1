/** What a script says of the message that `recvmsg` fills in, besides its buffers. */

import { expressionText, isAsked, numberOf } from './constants.js';
import type { Expression } from './expression.js';
import type { Call } from './sockets.js';

/** Flags are compared: reading from a stream sets none. What belongs to the message beside its bytes, the stack does not tell. */
export function messageQuestions(message: Expression | undefined): Pick<Call, 'check' | 'untold'> {
  if (message?.kind !== 'struct') return {};
  const control = isAsked(message.fields.get('msg_control')) ? ['msg_control'] : [];
  const flags = message.fields.get('msg_flags');
  if (flags === undefined || !isAsked(flags)) return { untold: control };
  const text = expressionText(flags);
  const expected = numberOf(flags);
  if (expected === undefined) return { untold: [...control, `msg_flags ${text}`] };
  const differs = { field: 'msg_flags', expected: text, got: '0' };
  return { untold: control, check: ({ value }) => (value < 0 || expected === 0 ? undefined : differs) };
}
