// How Apache Kafka is started for a test: one KRaft node on loopback that keeps its data directory
// and port over restarts.

import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../bench/child.ts";
import { answers } from "../../bench/kafka_client.ts";
import { kafkaLibs } from "../../bench/peers/kafka.ts";
import { needJava, run } from "../../bench/tools.ts";
import type { Prepared, ServerKind, ServerOptions } from "./server.ts";

/** Any 16 bytes in base64url will do as a cluster id; a fixed one saves starting a JVM for it. */
const clusterId = "cHlyYWxvZy10ZXN0cy0xMg";

function properties(
  options: ServerOptions,
  dataDir: string,
  port: number,
  controllerPort: number,
): string {
  const settings = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.quorum.voters": `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    "advertised.listeners": `PLAINTEXT://127.0.0.1:${port}`,
    "inter.broker.listener.name": "PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "log.dirs": dataDir,
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    ...options.kafka,
    ...options.broker,
  };
  return Object.entries(settings)
    .map(([key, value]) => `${key}=${value}\n`)
    .join("");
}

export const broker: ServerKind = {
  name: "kafka",
  async prepare(options: ServerOptions, folder: string, dataDir: string): Promise<Prepared> {
    const libs = kafkaLibs();
    const java = needJava(17);
    const config = join(folder, "server.properties");
    const controllerPort = freePort();
    const firstPort = freePort();
    const java17 = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", `${libs}/*`];
    return {
      async command(port) {
        writeFileSync(config, properties(options, dataDir, port || firstPort, controllerPort));
        // A data directory is formatted once; a later start must find it as it was.
        if (!existsSync(join(dataDir, "meta.properties"))) {
          const format = ["kafka.tools.StorageTool", "format", "-t", clusterId, "-c", config];
          run([java, "-Xmx256M", ...java17, ...format], folder);
        }
        return [java, "-Xms512M", "-Xmx512M", "-XX:+UseG1GC", ...java17, "kafka.Kafka", config];
      },
      async ready(_log, port) {
        const address = `127.0.0.1:${port || firstPort}`;
        return (await answers(address)) ? address : undefined;
      },
      cleanExits: [0, 143],
    };
  },
};
