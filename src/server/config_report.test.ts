import { expect, test } from "bun:test";
import { loadConfig } from "./config.ts";
import { keyByPath } from "./config_keys.ts";
import { origins, schema, template } from "./config_report.ts";

function load(text: string) {
  const warnings: string[] = [];
  const config = loadConfig({
    file: "t.toml",
    set: [],
    env: {},
    readFile: () => text,
    warn: (line) => warnings.push(line),
  });
  return { config, warnings };
}

test("server: the written configuration is the defaults, and says every key", () => {
  const none = load("");
  const written = load(template());
  expect(written).toEqual(none);
  for (const path of keyByPath.keys()) {
    expect(template()).toContain(`# ${path.slice(path.lastIndexOf(".") + 1)} =`);
  }
});

test("server: with its comments taken away it still is the defaults", () => {
  const bare = template().replace(/^# ([\w]+ = .+)$/gm, "$1");
  const { config } = load(bare);
  const { kafkaSettings: _, ...given } = config;
  const { kafkaSettings: __, ...expected } = load("").config;
  expect(given).toEqual(expected);
});

test("server: every key has an origin", () => {
  const all = origins(null, ["server.node_id=3"], () => {});
  expect(all.find(({ path }) => path === "server.node_id")).toEqual({
    path: "server.node_id",
    value: 3,
    origin: "--set",
  });
  expect(all.length).toBeGreaterThan(keyByPath.size);
});

test("server: the schema has every key where the file has it, with its range and default", () => {
  const at = (path: string): Record<string, unknown> => {
    let found: unknown = schema();
    for (const name of path.split(".")) {
      found = (found as { properties: Record<string, unknown> }).properties[name];
    }
    return found as Record<string, unknown>;
  };
  for (const [path, key] of keyByPath) {
    expect(at(path)["description"]).toStartWith(key.documentation);
    expect<unknown>(at(path)["default"] ?? null).toEqual(key.default);
  }
  expect(at("server.node_id")).toMatchObject({ type: "integer", minimum: 0, maximum: 2147483647 });
  expect(at("storage.segment_max_size")).toMatchObject({ multipleOf: 4096 });
  expect(at("replication.durability")).toMatchObject({ enum: ["fsync", "os"] });
  expect(at("security.insecure_listeners")).toMatchObject({ type: "array" });
  expect(at("server")).toMatchObject({ type: "object", additionalProperties: false });
  expect(at("kafka.num_partitions")["default"]).toBe(1);
});
