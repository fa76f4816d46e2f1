/** A question to all nodes in one topic, and their answers in another, for a time: what discovery and socket queries have in common. */

import type { Env } from '../../core/env.js';
import { UsageError } from '../../core/errors.js';
import { ErgotError } from '../error.js';
import type { Incoming, NetStackApi } from '../net-stack-api.js';
import type { Topic } from '../topic.js';

const DEFAULT_TIMEOUT = 1000;

/** Options of a question to many. */
export interface GatherOptions<A> {
  /** Milliseconds that answers are waited for. Default 1,000. */
  readonly timeout?: number;
  /** Whom to ask. Default: everyone, this node too. */
  readonly to?: A;
}

/** Who is told. */
export interface GatherEvents<T, A> {
  answer(answer: Incoming<T, A>): void;
  /** The time is over, or the question could not leave. Called once, unless it was given up before. */
  done(error?: ErgotError): void;
}

/**
 * Asks, and hears each answer. The function that is returned gives it up. Answers are heard at a port of their own, which the question says is
 * where it comes from.
 *
 * @throws UsageError `ERR_INVALID_OPTION`; `ErgotError` `ERR_ERGOT_NO_PORT`, `ERR_ERGOT_CLOSED`
 */
export function gather<Question, Answer, A>(
  stack: NetStackApi<A>,
  question: Topic<Question>,
  value: Question,
  answers: Topic<Answer>,
  { timeout = DEFAULT_TIMEOUT, to = stack.addressing.everyone }: GatherOptions<A>,
  events: GatherEvents<Answer, A>,
  env: Env,
): () => void {
  if (!(timeout >= 0)) throw new UsageError('ERR_INVALID_OPTION', `no time to wait: ${timeout}`);
  const socket = stack.subscribe(answers, (answer) => events.answer(answer), { own: true, hidden: true });
  const end = (): void => {
    over.cancel();
    socket.close();
  };
  let failure: ErgotError | undefined;
  const over = env.timers.timer(() => {
    socket.close();
    events.done(failure);
  });
  over.arm(env.timers.now() + timeout);
  try {
    stack.publish(question, to, value, { from: socket.port });
  } catch (error) {
    if (!(error instanceof ErgotError)) {
      end();
      throw error;
    }
    // Told like everything else: not within this call.
    failure = error;
    over.arm(env.timers.now());
  }
  return end;
}
