/** What we say that we are to peers, which look at it only to know which version's ways to expect. */
export const VERSION = 'rx-netstack 3.12';
