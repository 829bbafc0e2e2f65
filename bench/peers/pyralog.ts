// Our own node as a peer: the compiled executable when there is one, else the sources under Bun. It
// chooses its port and says on stderr where it listens.

import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { scratchDir } from "../child.ts";
import { root } from "../tools.ts";
import { type Durability, type Peer, type Prepared, startPrepared } from "./peer.ts";

export interface PyralogOptions {
  /** Default: fsync, as in the node itself. */
  readonly durability?: Durability;
  /** 0 = the node chooses. */
  readonly port?: number;
  /** Further `section.key=value` settings. */
  readonly settings?: readonly string[];
}

/** The executable of `bun run build`, else the entry file of the sources. */
function nodeCommand(): { readonly command: readonly string[]; readonly version: string } {
  const executable = join(root, "dist/pyralog");
  const main = join(root, "src/main.ts");
  if (existsSync(executable)) {
    if (newestMillis(join(root, "src")) > statSync(executable).mtimeMs) {
      console.error("dist/pyralog is older than src/: `bun run build` makes a new one");
    }
    return { command: [executable], version: "dist/pyralog" };
  }
  if (!existsSync(main))
    throw new Error(`there is no node to start: neither ${executable} nor ${main}`);
  return { command: [process.execPath, main], version: "src/main.ts" };
}

function newestMillis(folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .reduce((newest, name) => Math.max(newest, statSync(join(folder, name)).mtimeMs), 0);
}

export function prepare(options: PyralogOptions = {}): Prepared {
  const { command, version } = nodeCommand();
  const folder = scratchDir("node");
  const dataDir = join(folder, "log");
  const port = options.port ?? 0;
  const durability = options.durability ?? "fsync";
  const settings = [
    `server.bind_addr=127.0.0.1:${port}`,
    "server.http_addr=off",
    `server.data_dir=${dataDir}`,
    `replication.durability=${durability}`,
    ...(options.settings ?? []),
  ];
  return {
    name: "pyralog",
    version,
    config: [`durability=${durability}`, ...(options.settings ?? [])].join(" "),
    topicConfigs: {},
    dataDir,
    command: [...command, ...settings.flatMap((setting) => ["--set", setting])],
    folder,
    address: port === 0 ? undefined : `127.0.0.1:${port}`,
    addressIn: /Kafka\s+(\S+:\d+)/,
  };
}

export function start(options: PyralogOptions = {}): Promise<Peer> {
  return startPrepared(prepare(options), 30_000);
}
