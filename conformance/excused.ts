/** What is not implemented, or not wholly, and so has no test: each excuse points to a row of the README's table "not implemented". */

/** Why requirements have no test. */
export interface Excuse {
  readonly ids: readonly string[];
  /** Words that the first cell of a row of the README's table has. */
  readonly row: string;
  readonly reason: string;
  /** There are tests, but not of all that the requirement says. Default false. */
  readonly partly?: boolean;
}

const ROUTER = 'router';

export const EXCUSES: readonly Excuse[] = [
  {
    ids: ['1812-2', '1812-3', '1812-6', '1812-8', '1812-9', '1812-10', '1812-11', '7126'],
    row: ROUTER,
    reason: 'there is no forwarding: what is not for us is dropped',
  },
  {
    ids: ['8200-7'],
    row: ROUTER,
    reason: 'hop limits are not decremented, since nothing is forwarded',
    partly: true,
  },
  {
    ids: ['1122-I5'],
    row: 'source routing',
    reason:
      'options are checked and passed over: applications do not see them, and no source route is followed or answered',
    partly: true,
  },
];
