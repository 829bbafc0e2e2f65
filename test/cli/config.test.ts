// `pyralog config`: the file that it writes starts a node, a check says what a start would say, and
// every value is told with where it comes from.

import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { removeScratchDir, scratchDir } from "../../bench/child.ts";
import { type CliOptions, cli } from "../harness/cli.ts";

const folder = scratchDir("cli-config");
afterAll(() => removeScratchDir(folder));

const run = (args: readonly string[], options: CliOptions = {}) =>
  cli(args, { cwd: folder, ...options });

test("cli: config init writes a file that checks, and never over another one", async () => {
  const made = await run(["config", "init", "node.toml"]);
  expect(made).toMatchObject({ code: 0, out: "" });
  expect(made.err).toContain("pyralog --config node.toml");
  const again = await run(["config", "init", "node.toml"]);
  expect(again.code).toBe(1);
  expect(again.err).toContain("--force");
  expect((await run(["config", "init", "node.toml", "--force"])).code).toBe(0);
  const printed = await run(["config", "init", "-"]);
  expect(printed.out).toBe(await Bun.file(join(folder, "node.toml")).text());
  const checked = await run(["config", "check", "node.toml"]);
  expect(checked).toEqual({ code: 0, out: "", err: "node.toml is good\n" });
});

test("cli: config show tells each value with its file and line, variable or argument", async () => {
  await Bun.write(
    join(folder, "some.toml"),
    "[server]\nnode_id = 7\n\n[kafka]\nnum_partitions = 5\nmin_insync_replicas = 1\n\n[storage.cache]\nflush_interval_ms = 99\n",
  );
  const args = ["config", "show", "some.toml", "--origin", "-o", "json"];
  const shown = await run([...args, "--set", "observability.log_level=warn"], {
    env: { PYRALOG_SERVER_DATA_DIR: "elsewhere", PYRALOG_BOOTSTRAP: "127.0.0.1:1" },
  });
  expect(shown).toMatchObject({ code: 0, err: "" });
  const values = JSON.parse(shown.out);
  expect(values["server.node_id"]).toEqual({ value: 7, origin: "some.toml:2" });
  expect(values["kafka.num_partitions"]).toEqual({ value: 5, origin: "some.toml:5" });
  expect(values["replication.write_quorum"]).toEqual({ value: 1, origin: "some.toml:6" });
  expect(values["storage.cache.flush_interval_ms"]).toEqual({ value: 99, origin: "some.toml:9" });
  expect(values["server.data_dir"]).toEqual({
    value: "elsewhere",
    origin: "PYRALOG_SERVER_DATA_DIR",
  });
  expect(values["observability.log_level"]).toEqual({ value: "warn", origin: "--set" });
  expect(values["server.bind_addr"]).toEqual({ value: "127.0.0.1:9092", origin: "default" });
  const changed = await run(["config", "show", "some.toml", "--changed", "-o", "yaml"]);
  expect(Bun.YAML.parse(changed.out)).toEqual({
    "server.node_id": 7,
    "kafka.num_partitions": 5,
    "replication.write_quorum": 1,
    "storage.cache.flush_interval_ms": 99,
  });
});

test("cli: a check says what a start would say, also as --check-config", async () => {
  await Bun.write(join(folder, "wrong.toml"), "[storage]\nsegment_max_sise = 1\n");
  const checked = await run(["config", "check", "wrong.toml"]);
  const started = await run(["--config", "wrong.toml"]);
  const flagged = await run(["--config", "wrong.toml", "--check-config"]);
  expect(checked.err).toContain('wrong.toml:2:1: unknown setting "storage.segment_max_sise"');
  expect(started).toEqual(checked);
  expect(flagged).toEqual(checked);
  expect(checked.code).toBe(2);
});

test("cli: config schema is JSON on standard output", async () => {
  const printed = await run(["config", "schema"]);
  expect(printed).toMatchObject({ code: 0, err: "" });
  expect(JSON.parse(printed.out).properties.server.properties.bind_addr.default).toBe(
    "127.0.0.1:9092",
  );
});

test("cli: what changes nothing is a warning of a check", async () => {
  const checked = await run(["config", "check", "--set", "cluster.name=x"]);
  expect(checked.code).toBe(0);
  expect(checked.err).toContain("warning: cluster.name (--set) changes nothing");
});
