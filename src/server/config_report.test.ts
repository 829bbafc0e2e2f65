import { expect, test } from "bun:test";
import { loadConfig } from "./config.ts";
import { keyByPath } from "./config_keys.ts";
import { origins, template } from "./config_report.ts";

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
