// Apache Kafka as a peer: the jars come from Maven Central, one KRaft node (broker and controller in
// one) starts on loopback, and it counts as ready when it answers a client.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, scratchDir } from "../child.ts";
import { cached, needJava, needTool, run } from "../tools.ts";
import { type Peer, type Prepared, startPrepared } from "./peer.ts";

export const kafkaVersion = "4.4.0";

/** kafka-tools brings the command line tools; Kafka logs through slf4j 1.7, so does this back end. */
const artifacts = [
  ["org.apache.kafka", "kafka_2.13", kafkaVersion],
  ["org.apache.kafka", "kafka-tools", kafkaVersion],
  ["org.slf4j", "slf4j-simple", "1.7.36"],
] as const;

const quiet = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"];

/** Flags of Kafka's own start script, kafka-run-class.sh. */
const serverFlags = [
  "-server",
  "-XX:+UseG1GC",
  "-XX:MaxGCPauseMillis=20",
  "-XX:InitiatingHeapOccupancyPercent=35",
  "-XX:+ExplicitGCInvokesConcurrent",
  "-XX:MaxInlineLevel=15",
  "-Djava.awt.headless=true",
];

/** Any 16 bytes in base64url will do as a cluster id; a fixed one saves starting a JVM for it. */
const clusterId = "cHlyYWxvZy1iZW5jaC0xMg";

export interface KafkaOptions {
  /** Sync after every batch: the broker default becomes flush.messages=1. Default: page cache. */
  readonly flush?: boolean;
  /** Partitions of an auto-created topic. */
  readonly numPartitions?: number;
  /** Kafka's default is 3000; 0 here because most tests do not want to wait for it. */
  readonly groupInitialRebalanceDelayMs?: number;
  /** JVM heap, -Xms and -Xmx. Kafka's start script uses 1G. */
  readonly heap?: string;
  /** Further lines of server.properties; they win over the ones of the recipe. */
  readonly extra?: Readonly<Record<string, string>>;
}

/** Folder with the jars of the broker, its tools and the Java client. Fetched once. */
export function kafkaLibs(): string {
  return cached(`kafka-${kafkaVersion}/libs`, (scratch) => {
    needJava(17);
    const maven = needTool("mvn", "maven");
    console.error(`fetching Apache Kafka ${kafkaVersion} from Maven Central (54 MB) ...`);
    const dependencies = artifacts.map(
      ([group, artifact, version]) =>
        `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId>` +
        `<version>${version}</version></dependency>`,
    );
    writeFileSync(
      join(scratch, "pom.xml"),
      `<project><modelVersion>4.0.0</modelVersion><groupId>peers</groupId>` +
        `<artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>` +
        `<dependencies>${dependencies.join("")}</dependencies></project>`,
    );
    const libs = join(scratch, "libs");
    run([maven, "-q", "-B", "dependency:copy-dependencies", `-DoutputDirectory=${libs}`], scratch);
    return libs;
  });
}

/** A Java program of Kafka's jars as a command line, for its own tools. */
export function kafkaCommand(mainClass: string, ...args: readonly string[]): string[] {
  return [needJava(17), "-Xmx512M", ...quiet, "-cp", `${kafkaLibs()}/*`, mainClass, ...args];
}

function properties(options: KafkaOptions, dataDir: string, port: number): string {
  const controllerPort = freePort();
  const settings: Record<string, string> = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.quorum.voters": `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    "advertised.listeners": `PLAINTEXT://127.0.0.1:${port}`,
    "inter.broker.listener.name": "PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "log.dirs": dataDir,
    "num.partitions": String(options.numPartitions ?? 1),
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": String(options.groupInitialRebalanceDelayMs ?? 0),
    ...(options.flush ? { "log.flush.interval.messages": "1" } : {}),
    ...options.extra,
  };
  return Object.entries(settings)
    .map(([key, value]) => `${key}=${value}\n`)
    .join("");
}

/** A formatted folder and the command that starts the node on it, as often as wanted. */
export function prepare(options: KafkaOptions = {}): Prepared {
  const libs = kafkaLibs();
  const java = needJava(17);
  const folder = scratchDir("kafka");
  const dataDir = join(folder, "log");
  mkdirSync(dataDir);
  const port = freePort();
  const config = join(folder, "server.properties");
  writeFileSync(config, properties(options, dataDir, port));
  const classPath = ["-cp", `${libs}/*`];
  const format = ["kafka.tools.StorageTool", "format", "-t", clusterId, "-c", config];
  run([java, "-Xmx256M", ...quiet, ...classPath, ...format], folder);
  const heap = options.heap ?? "1G";
  const memory = [`-Xms${heap}`, `-Xmx${heap}`];
  const flush = options.flush ?? false;
  return {
    name: "kafka",
    version: kafkaVersion,
    config: flush ? "flush.messages=1" : "defaults (page cache)",
    topicConfigs: flush ? { "flush.messages": "1" } : {},
    command: [java, ...memory, ...serverFlags, ...quiet, ...classPath, "kafka.Kafka", config],
    folder,
    dataDir,
    address: `127.0.0.1:${port}`,
  };
}

export function start(options: KafkaOptions = {}): Promise<Peer> {
  return startPrepared(prepare(options), 90_000);
}
