// Counters of our running node, by the names of its /metrics page.

import { freePort } from "./child.ts";

/** A free port, and the setting that makes the node serve its counters there. */
export function metricsPort(): { readonly port: number; readonly setting: string } {
  const port = freePort();
  return { port, setting: `observability.metrics_port=${port}` };
}

/** Lines `name value` without labels (Prometheus' text format). */
export function parseMetrics(text: string): ReadonlyMap<string, number> {
  const lines = [...text.matchAll(/^([a-zA-Z_:][\w:]*) (\S+)$/gm)];
  return new Map(lines.map(([, name = "", value]) => [name, Number(value)]));
}

/** The named counters; a name that the node does not have is an error, never 0. */
export async function readMetrics<Name extends string>(
  port: number,
  names: readonly Name[],
): Promise<(name: Name) => number> {
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
  if (!answer.ok) throw new Error(`/metrics answered ${answer.status}`);
  const found = parseMetrics(await answer.text());
  const missing = names.find((name) => !found.has(name));
  if (missing !== undefined) throw new Error(`/metrics has no ${missing}`);
  return (name) => found.get(name) ?? Number.NaN;
}
