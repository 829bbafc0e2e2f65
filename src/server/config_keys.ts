// The settings of a node, declared once: section, name, type, default, range and meaning. Reading,
// the type `Sections` and every message about a setting come from this table. The section `[kafka]`
// is not here: its names are Kafka's and are declared in core/cluster.

import { requestBytesMax, segmentBytesMin, stagingBytes } from "../core/base/limits.ts";

/** A value that came from TOML or, as text, from the environment or the command line. */
export type Read<T> =
  | { readonly kind: "value"; readonly value: T }
  /** What the setting takes instead, to be read after "must be". */
  | { readonly kind: "wrong"; readonly wanted: string };

export interface Key<T> {
  readonly default: T;
  readonly documentation: string;
  /** May change while the node runs. */
  readonly reloadable: boolean;
  /** Why setting it changes nothing; null for a setting that works. */
  readonly inert: string | null;
  /** JSON schema of its value in the file, for editors. */
  readonly schema: Readonly<Record<string, unknown>>;
  read(value: unknown): Read<T>;
  /** The TOML value that a text stands for. */
  ofText(text: string): unknown;
}

interface About {
  readonly reloadable?: boolean;
  readonly inert?: string;
  readonly schema?: Readonly<Record<string, unknown>>;
}

function key<T>(
  fallback: T,
  documentation: string,
  about: About,
  read: (value: unknown) => Read<T>,
  ofText: (text: string) => unknown = (text) => text,
): Key<T> {
  const { reloadable = false, inert = null, schema = { type: "string" } } = about;
  return { default: fallback, documentation, reloadable, inert, schema, read, ofText };
}

function value<T>(it: T): Read<T> {
  return { kind: "value", value: it };
}

function wrong(wanted: string): { readonly kind: "wrong"; readonly wanted: string } {
  return { kind: "wrong", wanted };
}

interface Range {
  readonly min: number;
  readonly max: number;
  /** The value is a multiple of this. */
  readonly step?: number;
}

function readInteger(range: Range, given: unknown): Read<number> {
  const { min, max, step = 1 } = range;
  const multiple = step === 1 ? "" : `, a multiple of ${step}`;
  const wanted = wrong(`a whole number from ${min} to ${max}${multiple}`);
  if (typeof given !== "number" || !Number.isSafeInteger(given)) return wanted;
  return given < min || given > max || given % step !== 0 ? wanted : value(given);
}

function integerSchema({ min, max, step }: Range): Readonly<Record<string, unknown>> {
  const multiple = step === undefined ? {} : { multipleOf: step };
  return { type: "integer", minimum: min, maximum: max, ...multiple };
}

function integerOfText(text: string): unknown {
  return /^[+-]?[0-9]+(_[0-9]+)*$/.test(text) ? Number(text.replaceAll("_", "")) : text;
}

function integer(
  fallback: number,
  range: Range,
  documentation: string,
  about: About = {},
): Key<number> {
  const read = (given: unknown): Read<number> => readInteger(range, given);
  const schema = integerSchema(range);
  return key(fallback, documentation, { ...about, schema }, read, integerOfText);
}

/** Null until it is set. */
function optionalInteger(
  range: Range,
  documentation: string,
  about: About = {},
): Key<number | null> {
  const read = (given: unknown): Read<number | null> => readInteger(range, given);
  const schema = integerSchema(range);
  return key<number | null>(null, documentation, { ...about, schema }, read, integerOfText);
}

function boolean(fallback: boolean, documentation: string, about: About = {}): Key<boolean> {
  return key(
    fallback,
    documentation,
    { ...about, schema: { type: "boolean" } },
    (given) => (typeof given === "boolean" ? value(given) : wrong("true or false")),
    (text) => (text === "true" ? true : text === "false" ? false : text),
  );
}

function choice<const T extends string>(
  fallback: T,
  values: readonly T[],
  documentation: string,
  about: About = {},
): Key<T> {
  return key(fallback, documentation, { ...about, schema: { enum: values } }, (given) => {
    const found = values.find((each) => each === given);
    return found === undefined
      ? wrong(values.map((each) => `"${each}"`).join(" or "))
      : value(found);
  });
}

/** `host:port`, an IPv6 host in brackets. */
function isAddress(text: string): boolean {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^\s:[\]]+):([0-9]{1,5})$/.exec(text);
  return match !== null && Number(match[2]) <= 65_535;
}

function readAddress(given: unknown): Read<string> {
  if (typeof given === "string" && isAddress(given)) return value(given);
  return wrong('an address such as "127.0.0.1:9092" or "[::1]:9092"');
}

function address(fallback: string, documentation: string, about: About = {}): Key<string> {
  return key(fallback, documentation, about, readAddress);
}

/** The address, or null where nothing shall listen. */
function addressOrOff(fallback: string, documentation: string): Key<string | null> {
  const read = (given: unknown): Read<string | null> => {
    if (given === "off") return value(null);
    const found = readAddress(given);
    return found.kind === "value" ? found : wrong(`${found.wanted}, or "off"`);
  };
  return key<string | null>(fallback, documentation, {}, read);
}

function optionalAddress(documentation: string, about: About = {}): Key<string | null> {
  return key<string | null>(null, documentation, about, readAddress);
}

/** Null until it is set. Clients come back to it, so it names a machine and a port. */
function advertisedAddress(documentation: string): Key<string | null> {
  return key<string | null>(null, documentation, {}, (given) => {
    const read = readAddress(given);
    if (read.kind === "wrong" || !/^(0\.0\.0\.0|\[[0:]+\]):|:0+$/.test(read.value)) return read;
    return wrong("an address that clients can reach, which neither 0.0.0.0 nor port 0 is");
  });
}

function path(fallback: string, documentation: string): Key<string> {
  return key(fallback, documentation, {}, (given) => {
    const usable = typeof given === "string" && given !== "" && !given.includes("\0");
    return usable ? value(given) : wrong("the path of a directory");
  });
}

function optionalText(documentation: string, about: About = {}): Key<string | null> {
  return key<string | null>(null, documentation, about, (given) =>
    typeof given === "string" ? value(given) : wrong("a text"),
  );
}

/** In the environment and on the command line the elements stand between commas. */
function list(
  documentation: string,
  isElement: (text: string) => boolean,
  wanted: string,
  about: About = {},
): Key<readonly string[]> {
  return key<readonly string[]>(
    [],
    documentation,
    { ...about, schema: { type: "array", items: { type: "string" } } },
    (given) => {
      if (!Array.isArray(given)) return wrong(wanted);
      const texts = given.filter((each) => typeof each === "string");
      const usable = texts.length === given.length && texts.every(isElement);
      return usable ? value(texts) : wrong(wanted);
    },
    (text) => {
      const inside = text.trim().replace(/^\[(.*)\]$/s, "$1");
      if (inside.trim() === "") return [];
      return inside.split(",").map((each) => each.trim().replace(/^"(.*)"$/, "$1"));
    },
  );
}

const oneNode = "this version runs a single node";
const port: Range = { min: 0, max: 65_535 };
const listeners = ["kafka", "http", "peer", "metrics"];

export const configKeys = {
  server: {
    node_id: integer(
      1,
      { min: 0, max: 2_147_483_647 },
      "Number of this node, unique in its cluster.",
    ),
    bind_addr: address("127.0.0.1:9092", "Where Kafka clients connect; port 0 takes a free one."),
    http_addr: addressOrOff(
      "127.0.0.1:8080",
      'Where HTTP clients connect; port 0 takes a free one, "off" serves no HTTP.',
    ),
    http2: boolean(true, "Speak HTTP/2 beside HTTP/1.1 on the same port."),
    peer_addr: optionalAddress("Where other nodes connect.", { inert: oneNode }),
    data_dir: path("./pyralog-data", "Directory of everything that the node keeps."),
    advertised_addr: advertisedAddress(
      "Address that clients are told to come back to; by default the one that they used.",
    ),
  },
  cluster: {
    name: optionalText("Name of the cluster, for people.", { inert: "nothing shows it yet" }),
    bootstrap_servers: list(
      "Peer addresses of all nodes of the cluster; empty for a single node.",
      isAddress,
      'a list of addresses such as ["node1:7070"]',
    ),
  },
  storage: {
    segment_max_size: integer(
      268_435_456,
      { min: segmentBytesMin, max: 2_147_483_648, step: 4096 },
      "Bytes of one segment of the log that all partitions share.",
    ),
    index_interval: integer(
      4096,
      { min: 512, max: 1_048_576 },
      "Bytes of neighbouring frames of one partition that share an entry of the directory.",
    ),
    enable_mmap: boolean(
      false,
      "Read sealed segments through mmap: an I/O error is then a signal, not an error code.",
    ),
    io: choice("buffered", ["buffered"], "How segments are written: through the page cache."),
    scrub_rate: integer(
      8_388_608,
      { min: 0, max: 4_294_967_295 },
      "Bytes per second at which sealed segments are read again, once a day, to find rot; 0 = never.",
    ),
    cache: {
      max_size: integer(
        stagingBytes,
        { min: 2 * requestBytesMax, max: 4_294_967_296, step: 4096 },
        "Bytes of the staging ring: what waits for the disk, and the newest records for readers.",
      ),
      max_records: optionalInteger({ min: 0, max: Number.MAX_SAFE_INTEGER }, "Bounds nothing.", {
        inert: "storage.cache.max_size bounds the cache",
      }),
      flush_interval_ms: integer(
        1000,
        { min: 1, max: 3_600_000 },
        'Longest time until records of topics at durability "os" are synced.',
      ),
    },
  },
  replication: {
    replication_factor: integer(1, { min: 1, max: 9 }, "Copies of each record."),
    write_quorum: integer(
      1,
      { min: 1, max: 9 },
      "Durable copies that acks=all waits for; Kafka's min.insync.replicas.",
    ),
    read_quorum: optionalInteger(
      { min: 1, max: 9 },
      "Follows from the other two: replication_factor - write_quorum + 1.",
    ),
    copyset_strategy: choice(
      "per_partition",
      ["per_partition", "per_record_hybrid", "per_record_coordinator"],
      "How the nodes that hold a record are chosen.",
      { inert: oneNode },
    ),
    durability: choice(
      "fsync",
      ["fsync", "os"],
      'What an acknowledgement promises: "fsync" = on stable storage, "os" = in the page cache.',
    ),
  },
  raft: {
    election_timeout_ms: optionalInteger(
      { min: 1, max: 600_000 },
      "Silence after which another node stands for election.",
      { inert: oneNode },
    ),
    heartbeat_interval_ms: optionalInteger(
      { min: 1, max: 600_000 },
      "Pause between two signs of life of the leader.",
      { inert: oneNode },
    ),
  },
  observability: {
    metrics_port: optionalInteger(
      port,
      "Port on loopback for /metrics (Prometheus), /healthz and /readyz; 0 takes a free one.",
    ),
    tracing_endpoint: optionalText("Where traces are sent (OTLP over HTTP).", {
      inert: "this version sends no traces",
    }),
    log_level: choice("info", ["debug", "info", "warn", "error"], "Least level that is logged."),
  },
  security: {
    insecure_listeners: list(
      "Listeners that may be bound beyond loopback without authentication and TLS.",
      (text) => listeners.includes(text),
      `a list of ${listeners.map((each) => `"${each}"`).join(", ")}`,
    ),
  },
} as const;

type Values<T> = { readonly [K in keyof T]: T[K] extends Key<infer V> ? V : Values<T[K]> };
/** Every setting with its value, in the shape of the file. */
export type Sections = Values<typeof configKeys>;

interface Table {
  readonly [name: string]: Key<unknown> | Table;
}

function isKey(it: Key<unknown> | Table): it is Key<unknown> {
  return typeof it["read"] === "function";
}

function collect(table: Table, prefix: string, into: Map<string, Key<unknown>>): void {
  for (const [name, it] of Object.entries(table)) {
    if (isKey(it)) into.set(prefix + name, it);
    else collect(it, `${prefix}${name}.`, into);
  }
}

function flatten(): ReadonlyMap<string, Key<unknown>> {
  const flat = new Map<string, Key<unknown>>();
  collect(configKeys, "", flat);
  return flat;
}

/** "storage.cache.max_size" and so on, in the order of the table. */
export const keyByPath: ReadonlyMap<string, Key<unknown>> = flatten();

function build(table: Table, prefix: string, given: ReadonlyMap<string, unknown>): object {
  const entries = Object.entries(table).map(([name, it]): [string, unknown] => {
    if (!isKey(it)) return [name, build(it, `${prefix}${name}.`, given)];
    const path = prefix + name;
    return [name, given.has(path) ? given.get(path) : it.default];
  });
  return Object.freeze(Object.fromEntries<unknown>(entries));
}

/** `given` holds values that the `read` of their key returned. */
export function sectionsOf(given: ReadonlyMap<string, unknown>): Sections {
  return build(configKeys, "", given) as Sections; // proof: same table, values read by its keys
}
