// How this product is started for a test: the compiled executable where there is one, else the
// sources under Bun. PYRALOG_BIN names another executable.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../bench/tools.ts";
import type { Prepared, ServerKind, ServerOptions } from "./server.ts";

/** Command line of the node without arguments. */
export function nodeCommand(): readonly string[] {
  const named = process.env["PYRALOG_BIN"];
  if (named !== undefined) {
    if (!existsSync(named)) throw new Error(`PYRALOG_BIN names ${named}, which does not exist`);
    return [named];
  }
  const compiled = join(root, "dist", "pyralog");
  if (existsSync(compiled)) return [compiled];
  const source = join(root, "src", "main.ts");
  if (existsSync(source)) return [process.execPath, source];
  throw new Error(`neither ${compiled} nor ${source} exists; build with: bun run build`);
}

function settings(options: ServerOptions): string[] {
  const all: string[] = [];
  for (const [name, value] of Object.entries(options.kafka ?? {})) {
    all.push("--set", `kafka.${name.replaceAll(".", "_")}=${value}`);
  }
  for (const [name, value] of Object.entries(options.node ?? {})) {
    all.push("--set", `${name}=${value}`);
  }
  return all;
}

export const node: ServerKind = {
  name: "pyralog",
  async prepare(options: ServerOptions, _folder: string, dataDir: string): Promise<Prepared> {
    const command = nodeCommand();
    return {
      command: async (port) => [
        ...command,
        ...["--set", `server.bind_addr=127.0.0.1:${port}`],
        ...["--set", "server.http_addr=127.0.0.1:0"],
        ...["--set", `server.data_dir=${dataDir}`],
        ...settings(options),
      ],
      async ready(log) {
        if (!/ready in [\d.]+ m?s/.test(log)) return undefined;
        return /Kafka\s+(\S+:\d+)/.exec(log)?.[1];
      },
      cleanExits: [0],
    };
  },
};
