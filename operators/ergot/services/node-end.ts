import { concat, ignoreElements, type Observable, of } from 'rxjs';
import type { ErgotNode } from '../ergot.js';

/** Emits once, when a node ends. */
export function nodeEnd<A>(node: ErgotNode<A>): Observable<unknown> {
  return concat(node.links$.pipe(ignoreElements()), of(undefined));
}

/** An address of the node's kind, or what its text says. @throws UsageError `ERR_INVALID_ADDRESS` */
export function addressOf<A>({ stack }: ErgotNode<A>, address: A | string): A {
  return typeof address === 'string' ? stack.addressing.parse(address) : address;
}
