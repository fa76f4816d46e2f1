/** A request that a handler was given, and whether it may still be answered. */

import type { ErgotError } from './error.js';

/** What counts the requests that are not answered yet. */
export interface Asking {
  unanswered: number;
}

/** One request. */
export class Asked<Response> {
  private readonly socket: Asking;
  private readonly send: (response: Response) => ErgotError | undefined;
  private waiting = true;

  /** @param send sends an answer, or says why it did not leave; it throws where the answer is not what it should be */
  constructor(socket: Asking, send: (response: Response) => ErgotError | undefined) {
    this.socket = socket;
    this.send = send;
    socket.unanswered++;
  }

  /** Calls the handler. What it throws is thrown on, and then it has nothing to answer any more. */
  ask(handler: (answer: (response: Response) => ErgotError | undefined) => void): void {
    try {
      handler((response) => this.answer(response));
    } catch (error) {
      this.end();
      throw error;
    }
  }

  private answer(response: Response): ErgotError | undefined {
    if (!this.waiting) return undefined;
    // Whoever hears the answer at once may come back here.
    this.waiting = false;
    try {
      const error = this.send(response);
      this.socket.unanswered--;
      return error;
    } catch (error) {
      // A value that the schema does not have may be followed by one that it has.
      this.waiting = true;
      throw error;
    }
  }

  private end(): void {
    if (this.waiting) this.socket.unanswered--;
    this.waiting = false;
  }
}
