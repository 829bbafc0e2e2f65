// The null broker as a peer: the ceiling of the client and the machine.

import { join } from "node:path";
import { freePort, scratchDir } from "../child.ts";
import { type Peer, type Prepared, startPrepared } from "./peer.ts";

export function prepare(): Prepared {
  const port = freePort();
  return {
    name: "null",
    version: `Bun ${Bun.version}`,
    config: "parses and acknowledges",
    topicConfigs: {},
    dataDir: "",
    command: [process.execPath, join(import.meta.dir, "null_server.ts"), String(port)],
    folder: scratchDir("null"),
    address: `127.0.0.1:${port}`,
  };
}

export function start(): Promise<Peer> {
  return startPrepared(prepare(), 10_000);
}
