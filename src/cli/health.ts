// `pyralog health`: are all partitions led and copied. `pyralog doctor`: what on this machine or on
// the way to the nodes would keep a client from working, each finding with what to do.

import { lookup } from "node:dns/promises";
import { readFileSync, statfsSync } from "node:fs";
import { Client, type ClusterMetadata } from "../client/client.ts";
import { type Target, type Way, wayOf, withClient } from "./connect.ts";
import { CommandError, CommandExit } from "./failure.ts";
import { bytes, milliseconds } from "./format.ts";
import { failureOf } from "./outcome.ts";
import { type Format, paint, show, showOne } from "./terminal.ts";

function ailing({ topics }: ClusterMetadata): {
  readonly leaderless: readonly string[];
  readonly underReplicated: readonly string[];
} {
  const all = topics.flatMap(({ name, partitions }) =>
    partitions.map((each) => ({ ...each, place: `${name}/${each.partition}` })),
  );
  return {
    leaderless: all.filter(({ leader }) => leader < 0).map(({ place }) => place),
    underReplicated: all
      .filter(({ replicas, inSync }) => inSync.length < replicas.length)
      .map(({ place }) => place),
  };
}

export async function health(target: Target, format: Format): Promise<void> {
  await withClient(target, async (client) => {
    const startMs = performance.now();
    const cluster = await client.admin.cluster();
    const ms = performance.now() - startMs;
    const { leaderless, underReplicated } = ailing(cluster);
    const healthy = leaderless.length === 0 && underReplicated.length === 0;
    const partitions = cluster.topics.reduce((sum, topic) => sum + topic.partitions.length, 0);
    const data = {
      healthy,
      clusterId: cluster.clusterId,
      controller: cluster.controller,
      nodes: cluster.nodes,
      topics: cluster.topics.length,
      partitions,
      leaderless,
      underReplicated,
      answeredMs: ms,
    };
    await showOne(format, data, [
      ["health", healthy ? paint("green", "good") : paint("red", "bad")],
      ["cluster", cluster.clusterId ?? ""],
      ["nodes", cluster.nodes.map(({ id, address }) => `${id} at ${address}`).join(", ")],
      ["partitions", `${partitions} of ${cluster.topics.length} topics`],
      ["without a leader", leaderless.length === 0 ? "none" : leaderless.join(", ")],
      ["with too few copies", underReplicated.length === 0 ? "none" : underReplicated.join(", ")],
      ["answered in", `${milliseconds(ms)} ms`],
    ]);
    if (healthy) return;
    const words = `${leaderless.length} partitions without a leader, ${underReplicated.length} with too few copies`;
    throw new CommandError(CommandExit.failed, words, "pyralog doctor");
  });
}

interface Finding {
  readonly check: string;
  readonly status: "ok" | "warn" | "bad";
  readonly found: string;
  readonly next: string;
}

function ok(check: string, found: string): Finding {
  return { check, status: "ok", found, next: "" };
}

const descriptorsWanted = 16_384;
const freeBytesWanted = 1024 ** 3;

function descriptors(): Finding {
  const check = "open files";
  let limit = Number.NaN;
  try {
    limit = Number(/Max open files\s+(\d+)/.exec(readFileSync("/proc/self/limits", "utf8"))?.[1]);
  } catch (error) {
    // Only Linux says it in a file.
    return ok(check, `not known here (${error instanceof Error ? error.message : String(error)})`);
  }
  if (!(limit < descriptorsWanted)) return ok(check, `${limit} allowed`);
  const next = `raise it before starting a node: ulimit -n ${descriptorsWanted}`;
  return { check, status: "warn", found: `only ${limit} allowed`, next };
}

function disk(folder: string): Finding {
  const check = "disk";
  try {
    const { bavail, bsize, type } = statfsSync(folder);
    const free = bavail * bsize;
    const found = `${bytes(free)} free at ${folder}`;
    // tmpfs: nothing on it survives a power cut, whatever is synced.
    if (type === 0x01021994) {
      const next = "keep data on a disk: --set server.data_dir=DIR";
      return { check, status: "warn", found: `${folder} is memory (tmpfs)`, next };
    }
    if (free >= freeBytesWanted) return ok(check, found);
    return { check, status: "warn", found, next: "make room before a node writes there" };
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    return {
      check,
      status: "bad",
      found,
      next: "say the folder that the node uses: --data-dir DIR",
    };
  }
}

async function resolves(address: string): Promise<Finding> {
  const host = address.replace(/:[0-9]+$/, "").replace(/^\[(.*)\]$/, "$1");
  const check = `name ${host}`;
  try {
    const found = await lookup(host, { all: true });
    return ok(check, found.map((each) => each.address).join(", "));
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    return {
      check,
      status: "bad",
      found,
      next: "correct the name, or the resolver of this machine",
    };
  }
}

async function reaches(
  { tls }: Way,
  address: string,
  check: string,
  next: string,
): Promise<Finding> {
  const client = new Client({ bootstrap: [address], tls, connectTimeoutMs: 3000, retryMs: 0 });
  try {
    const startMs = performance.now();
    const { nodes } = await client.admin.cluster();
    const ms = milliseconds(performance.now() - startMs);
    return ok(check, `${nodes.length} node${nodes.length === 1 ? "" : "s"}, answered in ${ms} ms`);
  } catch (error) {
    const failure = failureOf(error);
    if (failure === null) throw error;
    return { check, status: "bad", found: failure.message, next };
  } finally {
    await client.close();
  }
}

async function cluster(target: Target, way: Way): Promise<readonly Finding[]> {
  return withClient(target, async (client) => {
    const metadata = await client.admin.cluster();
    const next = "set server.advertised_addr of that node to what clients can reach";
    const advertised = await Promise.all(
      metadata.nodes.map(({ id, address }) =>
        reaches(way, address, `node ${id} as advertised`, next),
      ),
    );
    const { leaderless, underReplicated } = ailing(metadata);
    const sick = leaderless.length + underReplicated.length;
    const partitions: Finding =
      sick === 0
        ? ok("partitions", "all led, all copies there")
        : {
            check: "partitions",
            status: "bad",
            found: `${leaderless.length} without a leader, ${underReplicated.length} with too few copies`,
            next: "pyralog health -o json names them",
          };
    return [...advertised, partitions];
  });
}

export async function doctor(
  target: Target,
  format: Format,
  { dataDir }: { readonly dataDir: string },
): Promise<void> {
  const way = wayOf(target);
  const { bootstrap } = way;
  const findings: Finding[] = [descriptors(), disk(dataDir)];
  findings.push(...(await Promise.all(bootstrap.map((address) => resolves(address)))));
  const next = "start a node: pyralog serve · or say where it is: -b HOST:PORT";
  const reached = await Promise.all(
    bootstrap.map((address) => reaches(way, address, `node at ${address}`, next)),
  );
  findings.push(...reached);
  const answering = reached.some(({ status }) => status === "ok");
  if (answering) findings.push(...(await cluster(target, way)));
  const colours = { ok: "green", warn: "yellow", bad: "red" } as const;
  await show(format, findings, findings, [
    { head: "CHECK", value: ({ check }) => check },
    { head: "STATUS", value: ({ status }) => paint(colours[status], status) },
    { head: "FOUND", value: ({ found }) => found },
    { head: "NEXT", value: (row) => row.next },
  ]);
  const bad = findings.filter(({ status }) => status === "bad").length;
  if (bad === 0) return;
  const code = answering ? CommandExit.failed : CommandExit.unreachable;
  throw new CommandError(code, `${bad} of ${findings.length} checks are bad`);
}
