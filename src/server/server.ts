// One node: opens the data directory, starts the control thread, then the doors; and stops in the
// reverse order.

import { mkdirSync, readFileSync, statfsSync } from "node:fs";
import { resolve } from "node:path";
import { nodeId, type Slot } from "../core/base/ids.ts";
import { connectionsMax } from "../core/base/limits.ts";
import type { Settings } from "../core/base/settings.ts";
import {
  type Completion,
  Directory,
  type Opened,
  type OpenFailure,
  resolveLibrary,
} from "../storage/storage.ts";
import { type Config, ConfigError, loadConfig } from "./config.ts";
import type { FromControl, ToControl } from "./control_messages.ts";
import { damageFields } from "./disk/damage.ts";
import { Disk } from "./disk/disk.ts";
import { ExitCode, FatalError } from "./exit.ts";
import { type ControlPort, Host } from "./host.ts";
import { createLog, type Log } from "./log.ts";
import type { HttpListener } from "./http/listener.ts";
import type { Watch, Watched } from "./http/watch.ts";
import type { Metrics } from "./metrics.ts";
import { Pace } from "./pace.ts";
import { newBeats, Pulse } from "./pulse.ts";
import { KafkaListener } from "./tcp/listener.ts";

export interface ServeOptions {
  readonly configFile: string | null;
  readonly set: readonly string[];
  readonly version: string;
}

/** Idle and slow connections are looked for this often. */
const sweepMs = 1000;
/** A stop waits so long for the disk and for clients that take their answers. */
const finishMsMax = 5000;

/** Runs a node until it is told to stop; returns the exit code. */
export async function serve(options: ServeOptions): Promise<number> {
  const started = Bun.nanoseconds();
  let config: Config;
  try {
    config = loadConfig({
      file: options.configFile,
      set: options.set,
      env: process.env,
      readFile: (path) => readFileSync(path, "utf8"),
      warn: (line) => process.stderr.write(`pyralog: warning: ${line}\n`),
    });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`pyralog: ${error.message}\n`);
    return ExitCode.usage;
  }
  const log = createLog(config.observability.log_level);
  try {
    const node = await Node.start(config, options.version, log);
    node.announce((Bun.nanoseconds() - started) / 1e6);
    return await node.stopped;
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    process.stderr.write(`pyralog: ${error.message}\n`);
    return error.code;
  }
}

class Node {
  readonly stopped: Promise<number>;
  readonly #config: Config;
  readonly #version: string;
  readonly #log: Log;
  readonly #directory: Directory;
  readonly #host: Host;
  readonly #control: ControlThread;
  /** Null until the metadata is there: before that no request could be answered right. */
  #listener: KafkaListener | null = null;
  #http: HttpListener | null = null;
  #watch: Watch | null = null;
  #metrics: Promise<Metrics> | null = null;
  readonly #pulse: Pulse;
  readonly #pace: Pace;
  #stop: (code: number) => void = () => {};
  #stopping = false;
  #sweptAt = 0;

  static async start(config: Config, version: string, log: Log): Promise<Node> {
    const libraryPath = loadLibrary(config);
    probePorts(config);
    const directory = openDirectory(config, libraryPath);
    const { opened } = directory;
    const orderly = opened.bootKind === "first" || opened.bootKind === "clean";
    if (!orderly || opened.damagedRanges > 0) {
      log.warn("recovered", {
        boot: opened.bootKind,
        tornBytes: opened.tornBytes,
        damagedRanges: opened.damagedRanges,
      });
    }
    const settings = settingsOf(config, version, opened);
    // What the core decides by chance can be repeated from these four numbers.
    log.info("starting", { seed: settings.seed.join(","), starts: settings.starts });
    const control = new ControlThread(log);
    const disk = new Disk(directory.log);
    const host = new Host(settings, disk, control, log);
    const watched = config.observability.metrics_port !== null || config.server.http_addr !== null;
    const beats = watched ? { data: newBeats(), control: newBeats() } : null;
    const pulse = new Pulse(beats?.data ?? null);
    const node = new Node(config, version, log, directory, host, control, disk, pulse);
    await control.start(
      {
        kind: "start",
        libraryPath,
        store: directory.meta.handle,
        settings,
        beats: beats?.control ?? null,
        register: {
          node: settings.nodeId,
          host: hostOf(config.server.bind_addr),
          port: portOf(config.server.bind_addr),
          diskId: opened.diskId,
          starts: opened.starts,
          ticket: opened.logTail,
        },
      },
      host,
      (message) => node.#fatal(new FatalError(ExitCode.diskFailed, message)),
    );
    node.#listener = listen(config, host);
    if (beats !== null) await node.#serve(beats);
    return node;
  }

  /** Doors that are loaded only where they are asked for: they would cost the start of every node. */
  async #serve(beats: Record<"data" | "control", Float64Array>): Promise<void> {
    const { server, observability } = this.#config;
    const watched: Watched = {
      metrics: () => (this.#metrics ??= this.#gather(beats)),
      unready: () => this.#unready(),
    };
    if (server.http_addr !== null) this.#http = await this.#listenHttp(server.http_addr, watched);
    if (observability.metrics_port === null) return;
    const { startWatch } = await import("./http/watch.ts");
    try {
      this.#watch = startWatch(watched, watchHost, observability.metrics_port);
    } catch (error) {
      throw bindFailure(`${watchHost}:${observability.metrics_port}`, error, metricsSetting);
    }
  }

  async #listenHttp(address: string, watched: Watched): Promise<HttpListener> {
    const [{ HttpListener }, { Bridge }] = await Promise.all([
      import("./http/listener.ts"),
      import("./http/bridge.ts"),
    ]);
    const kafka = this.#listener?.told ?? { host: "", port: 0 };
    try {
      return new HttpListener({
        hostname: hostOf(address),
        port: portOf(address),
        http2: this.#config.server.http2,
        bridge: new Bridge(this.#host, kafka),
        idleMsMax: this.#config.kafka.connections_max_idle_ms,
        watched,
      });
    } catch (error) {
      throw bindFailure(address, error, httpSetting);
    }
  }

  async #gather(beats: Record<"data" | "control", Float64Array>): Promise<Metrics> {
    const { Metrics } = await import("./metrics.ts");
    return new Metrics({
      version: this.#version,
      host: this.#host,
      log: this.#directory.log,
      connections: () => this.#listener?.connectionCount ?? 0,
      beats,
    });
  }

  #unready(): readonly string[] {
    const reasons: string[] = [];
    if (!this.#host.node.broker.takesWrites) reasons.push("the disk is full");
    if (this.#stopping) reasons.push("the node stops");
    return reasons;
  }

  private constructor(
    config: Config,
    version: string,
    log: Log,
    directory: Directory,
    host: Host,
    control: ControlThread,
    disk: Disk,
    pulse: Pulse,
  ) {
    this.#config = config;
    this.#pulse = pulse;
    this.#version = version;
    this.#log = log;
    this.#directory = directory;
    this.#host = host;
    this.#control = control;
    this.stopped = new Promise((resolve) => {
      this.#stop = resolve;
    });
    disk.attach({
      input: (input) => host.input(input),
      space: (takesWrites) => this.#space(takesWrites),
      progressed: () => host.progressed(),
      failed: (number) =>
        this.#fatal(new FatalError(ExitCode.diskFailed, diskFailure(config, number))),
      damaged: (completion, slot) => this.#damaged(completion, slot),
    });
    this.#pace = new Pace(
      (now, intervalMs) => this.#tick(now, intervalMs),
      () => host.node.broker.opensInBackground,
    );
    host.work = () => this.#pace.touch();
    this.#pace.start();
    process.once("SIGTERM", () => void this.stop());
    process.once("SIGINT", () => void this.stop());
  }

  announce(readyMs: number): void {
    const { server } = this.#config;
    const address = this.#listener?.address ?? "";
    process.stderr.write(
      `  Pyralog ${this.#version} · node ${server.node_id} · data in ${server.data_dir}\n\n` +
        `  Kafka     ${address}        any Kafka client, no auth\n` +
        (this.#http === null
          ? ""
          : `  HTTP      http://${this.#http.address}   API, /docs for the page\n`) +
        (this.#watch === null ? "" : `  Metrics   http://${this.#watch.address}/metrics\n`) +
        `  ready in ${readyMs.toFixed(0)} ms · Ctrl-C stops it\n`,
    );
    this.#log.info("ready", { address, ms: Math.round(readyMs) });
  }

  /**
   * A clean stop: no new work, what is staged becomes durable and is answered, then the clean mark. A
   * produce that was taken and not answered would be sent again, and stored twice.
   */
  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#listener?.stopAccepting();
    this.#http?.stopAccepting();
    const deadline = Bun.nanoseconds() + finishMsMax * 1e6;
    while (!this.#finished() && Bun.nanoseconds() < deadline) await Bun.sleep(1);
    this.#listener?.closeAll();
    this.#http?.closeAll();
    this.#watch?.stop();
    this.#pace.stop();
    await this.#control.stop();
    this.#directory.close(true);
    this.#log.info("stopped", {});
    this.#stop(ExitCode.ok);
  }

  #finished(): boolean {
    const kafka = this.#listener?.finish() ?? true;
    const http = this.#http?.finish() ?? true;
    return kafka && http;
  }

  #tick(now: number, intervalMs: number): void {
    this.#pulse.beat(now, intervalMs);
    this.#host.input({ kind: "tick", now: Math.floor(now), wall: Date.now() });
    this.#host.flush();
    if (now < this.#sweptAt + sweepMs) return;
    this.#sweptAt = now;
    this.#listener?.sweep(this.#host.now());
    this.#http?.sweep(this.#host.now());
  }

  #space(takesWrites: boolean): void {
    const dataDir = resolve(this.#config.server.data_dir);
    const freeBytes = freeBytesOf(dataDir);
    // By free space, or by a segment that holds nothing any more: then little may be free.
    if (takesWrites) return this.#log.info("disk-recovered", { dataDir, freeBytes });
    this.#log.warn("disk-full", {
      dataDir,
      freeBytes,
      neededBytes: this.#directory.log.stats()["space_least"] ?? 0,
      refused: "writes, with KAFKA_STORAGE_ERROR; reads and deletions go on",
      remedy: "free space there, or delete topics or records; writes go on by themselves",
    });
  }

  #damaged(at: Completion, slot: Slot | null): void {
    const { image } = this.#host.node.broker;
    this.#log.error("damaged", {
      topic: (slot === null ? undefined : image.slotTopic(slot)?.name) ?? "",
      partition: slot === null ? -1 : image.slotPartition(slot),
      ...damageFields("log", at),
    });
  }

  /** Nothing more may be acknowledged: leave at once, without a clean mark. */
  #fatal(error: FatalError): void {
    process.stderr.write(`pyralog: ${error.message}\n`);
    process.exit(error.code);
  }
}

/** The Worker that runs the metadata: slow data never looks like a dead node, nor the reverse. */
class ControlThread implements ControlPort {
  readonly #log: Log;
  #worker: Worker | null = null;
  #stopped: () => void = () => {};

  constructor(log: Log) {
    this.#log = log;
  }

  start(message: ToControl, host: Host, failed: (message: string) => void): Promise<void> {
    const worker = new Worker(new URL("./control.ts", import.meta.url).href);
    this.#worker = worker;
    return new Promise((resolve) => {
      worker.onmessage = (event: MessageEvent<FromControl>) => {
        const told = event.data;
        host.work();
        switch (told.kind) {
          case "ready":
            return resolve();
          case "metadata":
            host.input({ kind: "metadata", batches: told.batches });
            return host.flush();
          case "outcome":
            host.proposed(told.request, told.outcome);
            return host.flush();
          case "log":
            return this.#log[told.level](told.event, told.fields);
          case "failed":
            return failed(told.message);
          case "stopped":
            return this.#stopped();
        }
      };
      // An uncaught error in the Worker is a bug: the metadata of this process cannot be trusted.
      worker.onerror = (event) => {
        process.stderr.write(`pyralog: bug in the control thread: ${event.message}\n`);
        process.exit(ExitCode.bug);
      };
      worker.postMessage(message);
    });
  }

  propose(request: number, command: Parameters<ControlPort["propose"]>[1]): void {
    this.#worker?.postMessage({ kind: "propose", request, command } satisfies ToControl);
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.#stopped = resolve;
      this.#worker?.postMessage({ kind: "stop" } satisfies ToControl);
    });
  }
}

function loadLibrary(config: Config): string {
  const resolved = resolveLibrary(config.server.data_dir);
  if (resolved.kind === "found") return resolved.path;
  throw new FatalError(
    ExitCode.library,
    `the storage library could not be loaded:\n${resolved.tried.map((line) => `  ${line}`).join("\n")}`,
  );
}

function openDirectory(config: Config, libraryPath: string): Directory {
  const { storage } = config;
  makeDirectory(config.server.data_dir);
  const opened = Directory.open(libraryPath, config.server.data_dir, {
    segmentBytes: storage.segment_max_size,
    ringBytes: storage.cache.max_size,
    indexInterval: storage.index_interval,
    enableMmap: storage.enable_mmap,
    flushIntervalMs: storage.cache.flush_interval_ms,
    retentionCheckMs: Number(config.kafka.log_retention_check_interval_ms),
    scrubBytesPerSecond: storage.scrub_rate,
  });
  if (opened instanceof Directory) return opened;
  throw openFailure(config, opened);
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o750 });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : "";
    if (code === "EEXIST" || code === "ENOTDIR") {
      const what = code === "EEXIST" ? "is a file" : "lies below a file";
      throw new FatalError(
        ExitCode.usage,
        `server.data_dir ${path} ${what}. Name a directory, or a path where one can be made.`,
      );
    }
    const words = error instanceof Error ? error.message : String(error);
    throw new FatalError(
      ExitCode.readOnly,
      `data directory ${path} cannot be made: ${words}. Give the user of this process write permission, or set another server.data_dir.`,
    );
  }
}

function openFailure(config: Config, failure: OpenFailure): FatalError {
  const path = config.server.data_dir;
  switch (failure.status) {
    case "locked":
      return new FatalError(
        ExitCode.locked,
        `data directory ${path} is in use by process ${failure.lockPid}. Stop that process, or give this node another server.data_dir.`,
      );
    case "format":
    case "damaged_directory":
      return new FatalError(
        ExitCode.format,
        `data directory ${path} ${failure.words}. Nothing was changed. Start the version that wrote it, or give this node another server.data_dir.`,
      );
    case "read_only":
    case "access":
      return new FatalError(
        ExitCode.readOnly,
        `data directory ${path} cannot be written (${failure.words}). Mount it read-write and give the user of this process write permission.`,
      );
    case "disk_full":
      return new FatalError(
        ExitCode.diskFull,
        `no room in ${path} for what a start has to write. Free space there; a first start needs room for two segments of storage.segment_max_size and two of 16 MiB.`,
      );
    default:
      return new FatalError(
        ExitCode.diskFailed,
        `data directory ${path} could not be opened: ${failure.words}. Check the disk and its kernel log.`,
      );
  }
}

/** -1 when the system does not say. */
function freeBytesOf(path: string): number {
  try {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize;
  } catch {
    return -1;
  }
}

function diskFailure(config: Config, number: number): string {
  return `a write or sync of the log in ${config.server.data_dir} failed (error ${number}). Nothing after the last durable position was acknowledged. Check the disk; the next start re-validates the log.`;
}

const watchHost = "127.0.0.1";
const httpSetting = "server.http_addr=127.0.0.1:PORT";
const metricsSetting = "observability.metrics_port=PORT";

/** Before anything is made on the disk: a second node started by mistake leaves no trace. */
function probePorts(config: Config): void {
  const { bind_addr, http_addr } = config.server;
  const { metrics_port } = config.observability;
  const wanted: [address: string, setting: string][] = [
    [bind_addr, "server.bind_addr=127.0.0.1:PORT"],
  ];
  if (http_addr !== null) wanted.push([http_addr, `${httpSetting}, or none: server.http_addr=off`]);
  if (metrics_port !== null) wanted.push([`${watchHost}:${metrics_port}`, metricsSetting]);
  const held: { stop(closeAll: boolean): void }[] = [];
  try {
    // All at the same time, so that the same port for two of them is found out as well.
    for (const [address, setting] of wanted) held.push(probe(address, setting));
  } finally {
    for (const each of held) each.stop(true);
  }
}

function probe(address: string, setting: string): { stop(closeAll: boolean): void } {
  try {
    const socket = { data: () => {} };
    return Bun.listen({ hostname: hostOf(address), port: portOf(address), socket });
  } catch (error) {
    throw bindFailure(address, error, setting);
  }
}

function bindFailure(address: string, error: unknown, setting: string): FatalError {
  const code = error instanceof Error && "code" in error ? error.code : "";
  const choose = `choose another: --set ${setting}`;
  switch (code) {
    case "EADDRINUSE":
      return new FatalError(
        ExitCode.bind,
        `cannot listen on ${address}: another process uses the port. Stop it, or ${choose}`,
      );
    case "EADDRNOTAVAIL":
      return new FatalError(
        ExitCode.bind,
        `cannot listen on ${address}: this machine does not have that address. Set server.bind_addr to one that it has, or 0.0.0.0 for all.`,
      );
    case "EACCES":
      return new FatalError(
        ExitCode.bind,
        `cannot listen on ${address}: no permission; ports below 1024 need it. Grant it, or ${choose}`,
      );
    default: {
      const words = error instanceof Error ? error.message : String(error);
      return new FatalError(
        ExitCode.bind,
        `cannot listen on ${address}: ${words}. Check that the host has an address on this machine, or ${choose}`,
      );
    }
  }
}

function listen(config: Config, host: Host): KafkaListener {
  const { bind_addr, advertised_addr } = config.server;
  try {
    return new KafkaListener(host, {
      hostname: hostOf(bind_addr),
      port: portOf(bind_addr),
      advertised:
        advertised_addr === null
          ? null
          : { host: hostOf(advertised_addr), port: portOf(advertised_addr) },
      idleMsMax: config.kafka.connections_max_idle_ms,
      connectionsMax: Math.min(connectionsMax, config.kafka.max_connections),
      bytesMax: config.kafka.socket_request_max_bytes,
    });
  } catch (error) {
    throw bindFailure(bind_addr, error, "server.bind_addr=127.0.0.1:PORT");
  }
}

function settingsOf(config: Config, version: string, opened: Opened): Settings {
  const seed = crypto.getRandomValues(new Uint32Array(4));
  return {
    nodeId: nodeId(config.server.node_id),
    clusterId: opened.clusterId,
    version,
    starts: opened.starts,
    segmentBytes: config.storage.segment_max_size,
    durability: config.replication.durability,
    replicationFactor: config.replication.replication_factor,
    writeQuorum: config.replication.write_quorum,
    // DescribeLogDirs names the directory by the absolute path that tools expect.
    kafka: new Map([...config.kafkaSettings, ["log.dirs", resolve(config.server.data_dir)]]),
    seed: [seed[0] ?? 0, seed[1] ?? 0, seed[2] ?? 0, seed[3] ?? 0],
  };
}

function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(":")).replace(/^\[|\]$/g, "");
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}
