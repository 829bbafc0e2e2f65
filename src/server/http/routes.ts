// A route: what it takes and gives, for the OpenAPI document, and the function that answers it.

import type { Static, TSchema } from "@sinclair/typebox";
import { Shape } from "./shape.ts";
import { Type } from "@sinclair/typebox";

export type Method = "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";

/** What Bun's socket is to us. */
export interface Peer {
  /** -1: it is queued, and the client has to read first; 0: it is lost. */
  send(text: string): number;
  close(code?: number, reason?: string): void;
}

/** Handlers of one socket, which the listener calls. */
export interface SocketHandlers {
  open(peer: Peer): void;
  message(peer: Peer, message: string | Buffer): void;
  drain(): void;
  close(): void;
}

export interface Exchange<Q = unknown> {
  readonly request: Request;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Q;
  /** The client may be silent for as long as it wants. */
  patient(): void;
  /** Makes a WebSocket of the request; null where that cannot be. */
  upgrade(handlers: SocketHandlers): Response | null;
}

export interface Answer {
  readonly description: string;
  /** Media type -> schema. */
  readonly content?: Readonly<Record<string, TSchema>>;
}

export interface RouteDocument {
  /** Groups the page; null: the document leaves the route out. */
  readonly tag: string | null;
  readonly summary: string;
  readonly description?: string;
  readonly headers?: Readonly<Record<string, TSchema>>;
  /** Media type -> schema. */
  readonly body?: Readonly<Record<string, TSchema>>;
  readonly answers: Readonly<Record<number, Answer>>;
  /** Statuses of the problems that it may answer with, beside those of every route. */
  readonly problems?: readonly number[];
}

export interface Route extends RouteDocument {
  readonly method: Method;
  /** In Elysia's form: `/v1/topics/:topic`. */
  readonly path: string;
  readonly query: Shape<TSchema>;
  answer(exchange: Exchange): Response | Promise<Response>;
}

export function route<Q extends TSchema>(
  method: Method,
  path: string,
  query: Shape<Q>,
  document: RouteDocument,
  answer: (exchange: Exchange<Static<Q>>) => Response | Promise<Response>,
): Route {
  return {
    ...document,
    method,
    path,
    query,
    answer: (exchange) => answer(exchange as Exchange<Static<Q>>), // proof: the query was read by that shape
  };
}

export const noQuery = new Shape(Type.Object({}, { additionalProperties: false }));

/** An object that takes no other members. */
export function exactly<P extends Record<string, TSchema>>(properties: P) {
  return Type.Object(properties, { additionalProperties: false });
}

export function json(value: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(value), {
    status,
    headers: { "content-type": "application/json", ...headers },
  });
}

/** A parameter of the path, as the client meant it. */
export function param(exchange: Exchange, name: string): string {
  return exchange.params[name] ?? "";
}
