// What operators and their tools ask a running node for: metrics, and whether it lives and is ready.
// The HTTP listener answers it, and so does a port of its own where that is set.

import { Elysia } from "elysia";
import type { Metrics } from "../metrics.ts";

export interface Watch {
  readonly address: string;
  stop(): void;
}

export interface Watched {
  /** Made at the first scrape: it would cost the start of every node. */
  readonly metrics: () => Promise<Metrics>;
  /** Why the node is not ready; empty = it is. */
  readonly unready: () => readonly string[];
}

export async function metricsAnswer(watched: Watched): Promise<Response> {
  const metrics = await watched.metrics();
  const headers = { "content-type": metrics.contentType };
  return new Response(await metrics.scrape(), { headers });
}

export function healthAnswer(): Response {
  return Response.json({ status: "alive" });
}

export function readyAnswer(watched: Watched): Response {
  const reasons = watched.unready();
  return reasons.length === 0
    ? Response.json({ status: "ready" })
    : Response.json({ status: "unready", reasons }, { status: 503 });
}

export function startWatch(watched: Watched, hostname: string, port: number): Watch {
  const app = new Elysia({ normalize: false })
    .get("/metrics", () => metricsAnswer(watched))
    .get("/healthz", () => healthAnswer())
    .get("/readyz", () => readyAnswer(watched))
    // Otherwise a second node would share the port in silence, and either could answer.
    .listen({ hostname, port, reusePort: false });
  const { server } = app;
  if (server === null) throw new Error("the server did not start");
  return { address: `${hostname}:${server.port}`, stop: () => void app.stop(true) };
}
