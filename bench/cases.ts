// The cases by name, with what each may be held against.

import { benchDensity } from "./cases/density.ts";
import { benchFetch } from "./cases/fetch.ts";
import { benchIdle } from "./cases/idle.ts";
import { benchLatency } from "./cases/latency.ts";
import { benchMemory } from "./cases/memory.ts";
import { benchDurability, benchProduce } from "./cases/produce.ts";
import { benchRecovery } from "./cases/recovery.ts";
import { benchStartup } from "./cases/startup.ts";
import { benchSyscalls } from "./cases/syscalls.ts";
import type { Defaults, Options } from "./options.ts";
import type { SideName } from "./peers/peers.ts";
import { type ShapeName, shapeNames } from "./shapes.ts";

export interface Case extends Defaults {
  readonly what: string;
  readonly run: (options: Options, command: string) => Promise<void>;
  /** What `--vs` may name. */
  readonly sides: readonly SideName[];
  /** What `--shape` may name. */
  readonly shapes: readonly ShapeName[];
}

const pairs = 9;

export const cases: Readonly<Record<string, Case>> = {
  produce: {
    what: "records/s and CPU of acknowledged records",
    run: benchProduce,
    sides: ["null", "kafka", "os", "pyralog", "floor", "fio"],
    shapes: shapeNames,
    ...{ vs: "null", defaultShapes: ["B1"], pairs },
  },
  fetch: {
    what: "records/s and CPU of one consumer, and what it reads from memory near the tail",
    run: benchFetch,
    sides: ["null", "kafka", "os", "nats", "floor"],
    shapes: ["B1", "S5"],
    ...{ vs: "null", defaultShapes: ["B1"], pairs },
  },
  latency: {
    what: "latency of single-record requests at a fixed rate, open loop",
    run: benchLatency,
    sides: ["null", "kafka", "os", "nats", "fdatasync"],
    shapes: ["S6"],
    ...{ vs: "null", defaultShapes: ["S6"], pairs },
  },
  durability: {
    what: "the price of the sync: our node at fsync beside itself at os",
    run: benchDurability,
    sides: ["os"],
    shapes: ["B1", "B2", "S1", "S2", "S3", "S4"],
    ...{ vs: "os", defaultShapes: ["S1", "S2"], pairs },
  },
  startup: {
    what: "from exec to the first acknowledged record",
    run: benchStartup,
    sides: ["null", "kafka", "os"],
    shapes: ["B1"],
    ...{ vs: "null", defaultShapes: ["B1"], pairs },
  },
  recovery: {
    what: "from exec to the first acknowledged record, after kill -9 under load with much data",
    run: benchRecovery,
    sides: [],
    shapes: ["B1"],
    ...{ vs: "none", defaultShapes: ["B1"], pairs: 6 },
  },
  density: {
    what: "100,000 partitions in one process: memory, descriptors, latency, restart",
    run: benchDensity,
    sides: [],
    shapes: ["S8"],
    ...{ vs: "none", defaultShapes: ["S8"], pairs },
  },
  memory: {
    what: "resident bytes, idle and under load",
    run: benchMemory,
    sides: ["null", "kafka", "os"],
    shapes: ["S1", "S2", "B1", "B2"],
    ...{ vs: "none", defaultShapes: ["S1"], pairs: 3 },
  },
  idle: {
    what: "CPU and disk writes of a node with 10,000 partitions and nothing to do",
    run: benchIdle,
    sides: ["os"],
    shapes: ["B1"],
    ...{ vs: "none", defaultShapes: ["B1"], pairs: 3 },
  },
  syscalls: {
    what: "system calls per batch under strace",
    run: benchSyscalls,
    sides: [],
    shapes: ["B1", "B2", "S1", "S2"],
    ...{ vs: "none", defaultShapes: ["B2"], pairs: 1 },
  },
};
