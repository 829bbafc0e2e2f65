// The configuration: order of sources, every kind of mistake with its place and its way out.

import { expect, test } from "bun:test";
import { type Config, ConfigError, loadConfig } from "./config.ts";
import { configKeys, keyByPath } from "./config_keys.ts";

interface Given {
  readonly toml?: string;
  readonly set?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

function load(given: Given): { readonly config: Config; readonly warnings: readonly string[] } {
  const warnings: string[] = [];
  const config = loadConfig({
    file: given.toml === undefined ? null : "node.toml",
    set: given.set ?? [],
    env: given.env ?? {},
    readFile: () => given.toml ?? "",
    warn: (line) => warnings.push(line),
  });
  return { config, warnings };
}

function problem(given: Given): ConfigError {
  try {
    load(given);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("the configuration was accepted");
}

test("server: without any configuration a node has its defaults", () => {
  const { config, warnings } = load({});
  expect(config.server).toEqual({
    node_id: 1,
    bind_addr: "127.0.0.1:9092",
    http_addr: "127.0.0.1:8080",
    http2: true,
    peer_addr: null,
    data_dir: "./pyralog-data",
    advertised_addr: null,
  });
  expect(config.storage.segment_max_size).toBe(268_435_456);
  expect(config.storage.cache.max_size).toBe(67_108_864);
  expect(config.replication.durability).toBe("fsync");
  expect(config.kafka.connections_max_idle_ms).toBe(600_000);
  expect(config.kafkaSettings.has("num.partitions")).toBe(false);
  expect(config.kafkaSettings.get("listeners")).toBe("PLAINTEXT://127.0.0.1:9092");
  expect(warnings).toEqual([]);
});

test("server: every default of the table is a value that its key accepts", () => {
  for (const [path, key] of keyByPath) {
    if (key.default === null) continue;
    expect({ path, read: key.read(key.default) }).toEqual({
      path,
      read: { kind: "value", value: key.default },
    });
  }
  expect(keyByPath.get("storage.cache.max_size")).toBe(configKeys.storage.cache.max_size);
});

test("server: file, environment and --set override each other in this order", () => {
  const toml = "[server]\nnode_id = 2\n[storage.cache]\nflush_interval_ms = 20\n";
  const env = { PYRALOG_SERVER_NODE_ID: "3", PYRALOG_STORAGE_CACHE_FLUSH_INTERVAL_MS: "30" };
  expect(load({ toml }).config.server.node_id).toBe(2);
  expect(load({ toml, env }).config.server.node_id).toBe(3);
  const { config } = load({ toml, env, set: ["server.node_id=4", "server.node_id=5"] });
  expect(config.server.node_id).toBe(5);
  expect(config.storage.cache.flush_interval_ms).toBe(30);
  expect(load({ env: { PYRALOG_NODE_ID: "7" } }).config.server.node_id).toBe(7);
});

test("server: Kafka's settings keep every digit and Kafka's names", () => {
  const toml =
    "[kafka]\nlog_flush_interval_messages = 9223372036854775807\nauto_create_topics_enable = false\n" +
    'log_cleanup_policy = ["delete", "compact"]\n';
  const { config } = load({ toml, set: ["kafka.num_partitions=4"] });
  expect(config.kafkaSettings.get("log.flush.interval.messages")).toBe("9223372036854775807");
  expect(config.kafkaSettings.get("auto.create.topics.enable")).toBe("false");
  expect(config.kafkaSettings.get("log.cleanup.policy")).toBe("delete,compact");
  expect(config.kafkaSettings.get("num.partitions")).toBe("4");
  const idle = load({ set: ["kafka.connections_max_idle_ms=1000"] }).config;
  expect(idle.kafka.connections_max_idle_ms).toBe(1000);
});

test("server: Kafka's names for our settings set ours, the later wins", () => {
  const toml = "[kafka]\nmin_insync_replicas = 1\ndefault_replication_factor = 1\n";
  expect(load({ toml }).config.replication.write_quorum).toBe(1);
  expect(problem({ set: ["kafka.default_replication_factor=3"] }).message).toContain(
    "needs 3 nodes",
  );
  expect(problem({ set: ["kafka.log_dirs=elsewhere"] }).message).toBe(
    "--set: kafka.log_dirs is set by server.data_dir here",
  );
});

test("server: an unknown key is refused with place and suggestion", () => {
  const error = problem({ toml: "# a node\n[server]\n\nnod_id = 1\n" });
  expect(error.message).toBe(
    'node.toml:4:1: unknown setting "server.nod_id"; did you mean "server.node_id"?',
  );
  expect([error.file, error.line, error.column]).toEqual(["node.toml", 4, 1]);
});

test("server: an unknown key is found behind values of several lines and in inline tables", () => {
  const several = '[cluster]\nname = """\nserver.nod_id\n"""\nbootstrap_servers = [\n]\nnmae = 1\n';
  expect(problem({ toml: several }).message).toStartWith("node.toml:7:1: ");
  const inline = "[storage]\n  cache = { max_sise = 1 }\n";
  expect(problem({ toml: inline }).message).toBe(
    'node.toml:2:13: unknown setting "storage.cache.max_sise"; did you mean "storage.cache.max_size"?',
  );
});

test("server: a key of another section is found there", () => {
  expect(problem({ toml: '[storage]\ndurability = "os"\n' }).message).toBe(
    'node.toml:2:1: unknown setting "storage.durability"; did you mean "replication.durability"?',
  );
});

test("server: an empty unknown section is refused too, an empty known one is not", () => {
  expect(problem({ toml: "[sevrer]\n" }).message).toBe(
    'node.toml:1:2: unknown setting "sevrer"; did you mean "server"?',
  );
  expect(load({ toml: "[server]\n[storage]\n[storage.cache]\n[kafka]\n" }).warnings).toEqual([]);
});

test("server: Kafka's own spelling with dots gets the spelling of the file", () => {
  expect(problem({ toml: "[kafka]\nnum.partitions = 4\n" }).message).toBe(
    'node.toml:2:5: unknown setting "kafka.num.partitions"; did you mean "kafka.num_partitions"?',
  );
  expect(problem({ set: ["kafka.num.partitions=4"] }).message).toContain('"kafka.num_partitions"');
});

test("server: a value of the wrong type or out of range says what is wanted", () => {
  expect(problem({ toml: '[server]\nnode_id = "one"\n' }).message).toBe(
    'node.toml:2:1: server.node_id must be a whole number from 0 to 2147483647, not "one"',
  );
  expect(problem({ set: ["storage.segment_max_size=1000"] }).message).toBe(
    '--set: storage.segment_max_size must be a whole number from 16777216 to 2147483648, a multiple of 4096, not "1000"',
  );
  expect(problem({ env: { PYRALOG_STORAGE_ENABLE_MMAP: "yes" } }).message).toBe(
    'PYRALOG_STORAGE_ENABLE_MMAP: storage.enable_mmap must be true or false, not "yes"',
  );
  expect(problem({ set: ["server.bind_addr=9092"] }).message).toContain('such as "127.0.0.1:9092"');
  expect(problem({ set: ["server.bind_addr=127.0.0.1:65536"] }).message).toContain("must be");
  expect(problem({ set: ["replication.durability=none"] }).message).toContain('"fsync" or "os"');
  expect(problem({ set: ["kafka.num_partitions=0"] }).message).toContain("num.partitions");
  expect(problem({ set: ["server.node_id"] }).message).toContain("say section.key=value");
});

test("server: broken TOML shows the place, the line and what is wrong with it", () => {
  const error = problem({ toml: '[server]\ndata_dir = "abc\n' });
  expect(error.message).toStartWith("node.toml:2:");
  expect(error.message).toContain("Unterminated string");
  expect(error.message).toContain('data_dir = "abc');
});

test("server: a file that is not there is named", () => {
  const error = new Error("no");
  Object.assign(error, { code: "ENOENT" });
  expect(() =>
    loadConfig({
      file: "absent.toml",
      set: [],
      env: {},
      readFile: () => {
        throw error;
      },
      warn: () => {},
    }),
  ).toThrow("cannot read the configuration absent.toml: there is no such file");
});

test("server: an unknown variable is a warning with a suggestion, our other variables are not", () => {
  const env = {
    PYRALOG_SERVER_NOD_ID: "3",
    PYRALOG_NATIVE_LIB: "x",
    PYRALOG_SERVER_DATA_DIR: "",
    HOME: "y",
  };
  const { config, warnings } = load({ env });
  expect(warnings).toEqual([
    "PYRALOG_SERVER_NOD_ID is no setting; did you mean PYRALOG_SERVER_NODE_ID?",
  ]);
  expect(config.server.data_dir).toBe("./pyralog-data");
});

test("server: a setting that changes nothing is accepted with a warning", () => {
  const { config, warnings } = load({ toml: "[storage.cache]\nmax_records = 10\n" });
  expect(config.storage.cache.max_records).toBe(10);
  expect(warnings).toEqual([
    "storage.cache.max_records (node.toml) changes nothing: storage.cache.max_size bounds the cache",
  ]);
});

test("server: a listener beyond loopback needs to be named, and the error says how", () => {
  for (const host of ["0.0.0.0", "[::]", "node1.example.net", "128.0.0.1"]) {
    const error = problem({ set: [`server.bind_addr=${host}:9092`] });
    expect(error.message).toContain('bind_addr = "127.0.0.1:9092"');
    expect(error.message).toContain('insecure_listeners = ["kafka"]');
  }
  for (const host of ["localhost", "[::1]", "127.8.0.1"])
    load({ set: [`server.bind_addr=${host}:0`] });
  const toml = '[server]\nbind_addr = "0.0.0.0:9092"\n[security]\ninsecure_listeners = ["kafka"]\n';
  expect(load({ toml }).config.server.bind_addr).toBe("0.0.0.0:9092");
  const set = ["server.bind_addr=0.0.0.0:9092", "security.insecure_listeners=http"];
  expect(problem({ set }).message).toContain("everybody on the network");
  expect(problem({ set: ["security.insecure_listeners=kafak"] }).message).toContain('"kafka"');
  const both = ["server.bind_addr=0.0.0.0:9092", 'security.insecure_listeners=["http", "kafka"]'];
  expect(load({ set: both }).config.security.insecure_listeners).toEqual(["http", "kafka"]);
});

test("server: clients are sent to no address that is none", () => {
  for (const address of ["0.0.0.0:9092", "[::]:9092", "[0:0::0]:9092", "node1:0", "node1:00"]) {
    const error = problem({ set: [`server.advertised_addr=${address}`] });
    expect(error.message).toContain("an address that clients can reach");
  }
  for (const address of ["10.0.0.0:90", "[::1]:9092", "node1:9000"]) {
    const { config } = load({ set: [`server.advertised_addr=${address}`] });
    expect(config.server.advertised_addr).toBe(address);
  }
});

test("server: what one node cannot do is refused", () => {
  expect(problem({ set: ["cluster.bootstrap_servers=a:7070,b:7070"] }).message).toContain(
    "single node",
  );
  expect(problem({ set: ["replication.replication_factor=3"] }).message).toContain("needs 3 nodes");
  expect(problem({ set: ["kafka.min_insync_replicas=2"] }).message).toContain("can never be met");
  expect(problem({ set: ["replication.read_quorum=2"] }).message).toContain("is 1, not 2");
  expect(load({ set: ["replication.read_quorum=1"] }).warnings).toEqual([]);
});
