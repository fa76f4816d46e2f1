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

export const EXCUSES: readonly Excuse[] = [
  {
    ids: ['1122-I5', '1122-U2'],
    row: 'source routing',
    reason:
      'options are checked and passed over: applications do not see them, and no source route is followed or reversed',
    partly: true,
  },
  {
    ids: ['MUST-51', 'MUST-52', 'MUST-53', 'SHLD-24', 'MAY-10', 'MAY-11'],
    row: 'source routing',
    reason: 'no IP option is sent, and none is answered',
  },
  {
    ids: ['MAY-4'],
    row: 'repeating IP identifications',
    reason: 'each packet has one of its own, as RFC 6864 4.3 wants of what may be fragmented',
  },
  {
    ids: ['MAY-6'],
    row: 'keep-alives with a byte',
    reason: 'they are empty, which every host of today answers',
  },
  {
    ids: ['MAY-9', 'MAY-14', 'MAY-17'],
    row: 'PSH, flush and the traffic class',
    reason: 'sockets have no place for them; neither have those of Linux, for PSH and flush',
  },
  {
    ids: ['5482-1'],
    row: 'user timeout option',
    reason: 'it is passed over; the timeout is the application’s own business',
  },
];
