// Health, readiness and metrics as routes of the HTTP listener.

import { Type } from "@sinclair/typebox";
import { noQuery, type Route, route } from "./routes.ts";
import { healthAnswer, metricsAnswer, readyAnswer, type Watched } from "./watch.ts";

const tag = "Watching";

export function watchRoutes(watched: Watched): readonly Route[] {
  const alive = Type.Object({ status: Type.String() });
  const unready = Type.Object({ status: Type.String(), reasons: Type.Array(Type.String()) });
  return [
    route(
      "GET",
      "/healthz",
      noQuery,
      {
        tag,
        summary: "Does the process live?",
        answers: { 200: { description: "It does.", content: { "application/json": alive } } },
      },
      () => healthAnswer(),
    ),
    route(
      "GET",
      "/readyz",
      noQuery,
      {
        tag,
        summary: "Does the node take writes?",
        answers: {
          200: { description: "It does.", content: { "application/json": alive } },
          503: { description: "Why not.", content: { "application/json": unready } },
        },
      },
      () => readyAnswer(watched),
    ),
    route(
      "GET",
      "/metrics",
      noQuery,
      {
        tag,
        summary: "Metrics for Prometheus",
        answers: {
          200: { description: "The exposition.", content: { "text/plain": Type.String() } },
        },
      },
      () => metricsAnswer(watched),
    ),
  ];
}
