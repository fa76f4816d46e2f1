/** What an endpoint is: a request and its answer, of a type each, under one path. */

import { Key } from './key.js';
import type { Schema } from './schema.js';

/** An endpoint's description: both ends make the same one. */
export interface Endpoint<Request, Response> {
  readonly path: string;
  readonly request: Schema<Request>;
  readonly response: Schema<Response>;
  /** By this key servers are found: of the path and the request's type. */
  readonly requestKey: Key;
  /** Of the path and the answer's type. */
  readonly responseKey: Key;
}

/**
 * Describes an endpoint, once for servers and clients.
 *
 * @example
 * const ping = endpoint('ergot/.well-known/ping', u32, u32);
 */
export function endpoint<Request, Response>(
  path: string,
  request: Schema<Request>,
  response: Schema<Response>,
): Endpoint<Request, Response> {
  return {
    path,
    request,
    response,
    requestKey: Key.of(path, request.signature),
    responseKey: Key.of(path, response.signature),
  };
}
