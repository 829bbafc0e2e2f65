// The HTTP listener: HTTP/1.1 and HTTP/2 in the clear on one port. Elysia finds the route; what a
// route takes is judged here, and every no becomes a problem document.

import { Elysia } from "elysia";
import type { Bridge } from "./bridge.ts";
import { clusterRoutes } from "./cluster.ts";
import { consumeRoutes } from "./consume.ts";
import { groupRoutes } from "./groups.ts";
import { pageRoutes } from "./pages.ts";
import { Problem, stopped } from "./problems.ts";
import { produceRoutes } from "./produce.ts";
import type { Route, SocketHandlers } from "./routes.ts";
import { queryOf } from "./shape.ts";
import { socketRoutes } from "./socket.ts";
import { topicRoutes } from "./topics.ts";
import type { Watched } from "./watch.ts";
import { watchRoutes } from "./watch_routes.ts";

export interface HttpListenerOptions {
  readonly hostname: string;
  readonly port: number;
  readonly http2: boolean;
  readonly bridge: Bridge;
  /** A client that keeps a stream open and shows no sign of life is given up after so long. */
  readonly idleMsMax: number;
  readonly watched: Watched;
}

/** A connection that sends nothing, and a handler that is silent, are given up after so long. */
const idleSeconds = 60;

type Server = NonNullable<Elysia["server"]>;

export class HttpListener {
  readonly #bridge: Bridge;
  readonly #hostname: string;
  readonly #routes: readonly Route[];
  readonly #server: Server;
  /** Requests without an answer; a stream that has begun is answered. */
  #active = 0;
  #draining = false;
  readonly #idleMsMax: number;

  constructor(options: HttpListenerOptions) {
    const { bridge, hostname, port, http2, watched } = options;
    this.#bridge = bridge;
    this.#idleMsMax = options.idleMsMax;
    this.#hostname = hostname;
    this.#routes = [
      ...produceRoutes(bridge),
      ...consumeRoutes(bridge),
      ...socketRoutes(bridge),
      ...topicRoutes(bridge),
      ...groupRoutes(bridge),
      ...clusterRoutes(bridge),
      ...watchRoutes(watched),
      ...pageRoutes(() => this.#routes, bridge.host.node.broker.settings.version),
    ];
    const app = new Elysia({ normalize: false, serve: { http2 } });
    for (const route of this.#routes) {
      app.route(
        route.method,
        route.path,
        ({ request, params, server }) => this.#run(route, request, params, server),
        { parse: "none" },
      );
    }
    app.onError(({ code, error, request }) => this.#failed(code, error, request));
    app.listen({
      hostname,
      port,
      idleTimeout: idleSeconds,
      // Every route bounds its body by itself.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      // Otherwise a second node would share the port in silence, and either could answer.
      reusePort: false,
    });
    if (app.server === null) throw new Error("the server did not start");
    this.#server = app.server;
  }

  get address(): string {
    return `${this.#hostname}:${this.#server.port}`;
  }

  /** Called about once a second. */
  sweep(now: number): void {
    this.#bridge.sweep(now, this.#idleMsMax);
  }

  /** No new connections and no new requests. */
  stopAccepting(): void {
    this.#draining = true;
    this.#bridge.endWaits();
  }

  /** True once every request that was taken is answered. */
  finish(): boolean {
    return this.#active === 0 && this.#bridge.idle;
  }

  closeAll(): void {
    this.#bridge.stop();
    void this.#server.stop(true);
  }

  async #run(
    route: Route,
    request: Request,
    params: Readonly<Record<string, string>>,
    server: Server | null,
  ): Promise<Response> {
    this.#active += 1;
    try {
      if (this.#draining) throw stopped();
      const query = queryOf(route.query, request.url);
      const patient = (): void => server?.timeout(request, 0);
      const upgrade = (handlers: SocketHandlers): Response | null =>
        server?.upgrade(request, { data: handlers }) === true ? switched() : null;
      return await route.answer({ request, params, query, patient, upgrade });
    } catch (error) {
      return this.#refusal(error, request);
    } finally {
      this.#active -= 1;
    }
  }

  #refusal(error: unknown, request: Request): Response {
    const path = pathOf(request.url);
    if (error instanceof Problem) return error.response(path);
    // The client went away while it sent its body: nobody reads this.
    if (error instanceof Error && error.name === "AbortError")
      return new Problem("bad-parameter", "the request ended early. Send it again.").response(path);
    const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#bridge.host.log("error", "http-bug", { path, words });
    return new Problem(
      "internal-error",
      "the node met a bug. Its log has the place; please report it.",
    ).response(path);
  }

  #failed(code: string | number, error: unknown, request: Request): Response {
    if (code !== "NOT_FOUND") return this.#refusal(error, request);
    const path = pathOf(request.url);
    const methods = this.#routes.filter((each) => matches(each.path, path));
    if (methods.length === 0)
      return new Problem(
        "not-found",
        "nothing is at this path. See /docs for what there is.",
      ).response(path);
    const allow = methods.map(({ method }) => method).join(", ");
    return new Problem(
      "method-not-allowed",
      `${path} does not take ${request.method}. Use ${allow}.`,
      {},
      { allow },
    ).response(path);
  }
}

/** What Bun makes of a request that became a socket; it never leaves. */
function switched(): Response {
  return new Response(null);
}

function pathOf(url: string): string {
  const from = url.indexOf("/", url.indexOf("://") + 3);
  const to = url.indexOf("?", from);
  return from < 0 ? "/" : url.slice(from, to < 0 ? undefined : to);
}

function matches(pattern: string, path: string): boolean {
  const wanted = pattern.split("/");
  const given = path.split("/");
  return (
    wanted.length === given.length &&
    wanted.every((part, at) => (part.startsWith(":") ? given[at] !== "" : part === given[at]))
  );
}
