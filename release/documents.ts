// `bun run docs` writes what documents say about the code from the code: the table of Kafka APIs in
// the README and docs/operating/configuration.md. House laws compare them with what it would write.

import { join } from "node:path";
import { ranges } from "../src/core/broker/apis.ts";
import { brokerConfigByName } from "../src/core/cluster/cluster.ts";
import { kafkaPaths, ownSettings } from "../src/server/config.ts";
import { keyByPath } from "../src/server/config_keys.ts";
import { apis } from "../src/wire/apis.ts";
import { root, say } from "./progress.ts";

const start = "<!-- apis: written by `bun run docs` -->\n";
const end = "<!-- apis end -->\n";

/** Versions below the table's own are advertised for clients that look at the range only. */
function versionsOf(key: number, [min, max]: readonly [number, number]): string {
  const advertised = ranges.find(({ apiKey }) => apiKey === key)?.minVersion ?? min;
  const spoken = min === max ? `${min}` : `${min}-${max}`;
  return advertised === min ? spoken : `${spoken} (advertised from ${advertised})`;
}

export function supportTable(): string {
  const rows = Object.entries(apis)
    .map(([name, { key, versions }]) => ({ name, key, versions: versionsOf(key, versions) }))
    .sort((a, b) => a.key - b.key)
    .map(({ name, key, versions }) => `| ${key} | ${name} | ${versions} |\n`);
  return `| key | API | versions |\n|--:|:--|:--|\n${rows.join("")}`;
}

/** What stands between the marks; null where a mark is missing. */
export function tableIn(readme: string): string | null {
  const from = readme.indexOf(start);
  const to = readme.indexOf(end);
  return from < 0 || to < from ? null : readme.slice(from + start.length, to);
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

function sectionTables(): string {
  const bySection = Map.groupBy(keyByPath, ([path]) => path.slice(0, path.lastIndexOf(".")));
  return [...bySection]
    .map(([section, keys]) => {
      const rows = keys.map(([path, key]) => {
        const name = path.slice(section.length + 1);
        const unset = key.default === null || JSON.stringify(key.default) === "[]";
        const value = unset ? "not set" : `\`${JSON.stringify(key.default)}\``;
        const inert = key.inert === null ? "" : ` Changes nothing: ${key.inert}.`;
        return `| \`${name}\` | ${value} | ${cell(key.documentation + inert)} |\n`;
      });
      return `### [${section}]\n\n| key | default | meaning |\n|:--|:--|:--|\n${rows.join("")}`;
    })
    .join("\n");
}

function kafkaTable(): string {
  const rows = [...kafkaPaths]
    .filter(([, name]) => !ownSettings.has(name))
    .map(([path, name]) => {
      const spec = brokerConfigByName.get(name);
      const value = spec?.default ?? null;
      const shown = value === null ? "not set" : `\`${value}\``;
      return `| \`${path.slice("kafka.".length)}\` | ${shown} | ${cell(spec?.documentation ?? "")} |\n`;
    });
  return `| key | default | meaning |\n|:--|:--|:--|\n${rows.join("")}`;
}

export function configurationDocument(): string {
  return `# Configuration

Written by \`bun run docs\` from the tables that the node reads its configuration by.

\`pyralog --config node.toml\` reads a file. Every key can also be given as \`PYRALOG_SECTION_KEY\` in the environment (\`[storage.cache] max_size\` is \`PYRALOG_STORAGE_CACHE_MAX_SIZE\`) and as \`--set section.key=value\`. Defaults are overridden by the file, the file by the environment, the environment by \`--set\`.

An unknown key stops the start with the place and the nearest known name; the exit code is 2. An unknown \`PYRALOG_\` variable is a warning.

## Sections

${sectionTables()}
## [kafka]

Kafka's broker settings under Kafka's names with \`_\` for \`.\`, and Kafka's defaults. DescribeConfigs shows them with Kafka's names.

${kafkaTable()}`;
}

export const configurationPath = "docs/operating/configuration.md";

if (import.meta.main) {
  const path = join(root, "README.md");
  const readme = await Bun.file(path).text();
  const old = tableIn(readme);
  if (old === null) throw new Error("README.md has lost the marks of its API table");
  await Bun.write(path, readme.replace(start + old + end, start + supportTable() + end));
  await Bun.write(join(root, configurationPath), configurationDocument());
  say(`written: README.md, ${configurationPath}`);
}
