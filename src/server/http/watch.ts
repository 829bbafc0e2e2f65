// What operators and their tools ask a running node for, on a port of its own: metrics, and whether
// it lives and is ready.

import { Elysia } from "elysia";
import type { Metrics } from "../metrics.ts";

export interface Watch {
  readonly address: string;
  stop(): void;
}

export interface WatchOptions {
  readonly hostname: string;
  readonly port: number;
  readonly metrics: Metrics;
  /** Why the node is not ready; empty = it is. */
  readonly unready: () => readonly string[];
}

export function startWatch({ hostname, port, metrics, unready }: WatchOptions): Watch {
  const app = new Elysia({ normalize: false })
    .get("/metrics", async ({ set }) => {
      set.headers["content-type"] = metrics.contentType;
      return metrics.scrape();
    })
    .get("/healthz", () => ({ status: "alive" }))
    .get("/readyz", ({ status }) => {
      const reasons = unready();
      return reasons.length === 0
        ? { status: "ready" }
        : status(503, { status: "unready", reasons });
    })
    // Otherwise a second node would share the port in silence, and either could answer.
    .listen({ hostname, port, reusePort: false });
  const { server } = app;
  if (server === null) throw new Error("the server did not start");
  return { address: `${hostname}:${server.port}`, stop: () => void app.stop(true) };
}
