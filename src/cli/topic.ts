// `pyralog topic ...`: list, create, describe, config, add-partitions, trim, delete.

import { type Client, type PartitionId, Time, type TopicMetadata } from "../client/client.ts";
import { type Target, withClient } from "./connect.ts";
import { CommandError, CommandExit, usageError } from "./failure.ts";
import { bytes, parseCount, parsePair } from "./format.ts";
import { confirm, type Format, show, talk } from "./terminal.ts";

interface Summary {
  readonly name: string;
  readonly partitions: number;
  readonly replicas: number;
  readonly records: number;
  readonly bytes: number;
  readonly id: string;
  readonly internal: boolean;
}

function key({ topic, partition }: PartitionId): string {
  return `${topic}/${partition}`;
}

/** First and next offset of every partition of the topics. */
async function ranges(
  client: Client,
  topics: readonly TopicMetadata[],
): Promise<ReadonlyMap<string, { readonly start: number; readonly end: number }>> {
  const ids = topics.flatMap(({ name, partitions }) =>
    partitions.map(({ partition }) => ({ topic: name, partition })),
  );
  const at = (timestamp: number) => client.admin.offsets(ids.map((id) => ({ ...id, timestamp })));
  const [starts, ends] = await Promise.all([at(Time.earliest), at(Time.latest)]);
  return new Map(
    ids.map((id, index) => [
      key(id),
      { start: starts[index]?.offset ?? 0, end: ends[index]?.offset ?? 0 },
    ]),
  );
}

export async function list(
  target: Target,
  format: Format,
  { internal }: { readonly internal?: boolean },
): Promise<void> {
  await withClient(target, async (client) => {
    const { topics } = await client.admin.cluster();
    const chosen = topics
      .filter((each) => internal === true || !each.internal)
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
    const [offsets, sizes] = await Promise.all([ranges(client, chosen), client.admin.sizes()]);
    const rows = chosen.map(({ name, partitions, topicId, internal: own }): Summary => {
      const counted = partitions.map(({ partition }) =>
        offsets.get(key({ topic: name, partition })),
      );
      return {
        name,
        partitions: partitions.length,
        replicas: partitions[0]?.replicas.length ?? 0,
        records: counted.reduce((sum, range) => sum + (range ? range.end - range.start : 0), 0),
        bytes: sizes.reduce((sum, each) => sum + (each.topic === name ? each.bytes : 0), 0),
        id: topicId,
        internal: own,
      };
    });
    await show(format, rows, rows, [
      { head: "TOPIC", value: ({ name }) => name },
      { head: "PARTITIONS", value: ({ partitions }) => partitions },
      { head: "REPLICAS", value: ({ replicas }) => replicas },
      { head: "RECORDS", value: ({ records }) => records },
      { head: "SIZE", value: (row) => bytes(row.bytes) },
      { head: "ID", value: ({ id }) => id, wide: true },
      { head: "INTERNAL", value: (row) => String(row.internal), wide: true },
    ]);
  });
}

export interface CreateOptions {
  readonly partitions?: string;
  readonly replicas?: string;
  readonly config: readonly string[];
  readonly dryRun?: boolean;
}

export async function create(
  target: Target,
  format: Format,
  names: readonly string[],
  options: CreateOptions,
): Promise<void> {
  const partitions = options.partitions;
  const replicas = options.replicas;
  const configs = Object.fromEntries(options.config.map((text) => parsePair(text, "-c")));
  const wanted = {
    configs,
    dryRun: options.dryRun ?? false,
    ...(partitions === undefined ? {} : { partitions: parseCount(partitions, "-p", 1) }),
    ...(replicas === undefined ? {} : { replicas: parseCount(replicas, "-r", 1) }),
  };
  await withClient(target, async (client) => {
    const rows = [];
    for (const name of names) {
      const made = await client.admin.createTopic({ name, ...wanted });
      rows.push({ ...made, status: wanted.dryRun ? "would be created" : "created" });
    }
    await show(format, rows, rows, [
      { head: "TOPIC", value: ({ name }) => name },
      { head: "PARTITIONS", value: (row) => row.partitions },
      { head: "REPLICAS", value: (row) => row.replicas },
      { head: "STATUS", value: ({ status }) => status },
      { head: "ID", value: ({ topicId }) => topicId, wide: true },
    ]);
  });
}

export async function describe(target: Target, format: Format, name: string): Promise<void> {
  await withClient(target, async (client) => {
    const topic = await client.admin.topic(name);
    const [offsets, sizes, configs] = await Promise.all([
      ranges(client, [topic]),
      client.admin.sizes(name),
      client.admin.topicConfigs(name),
    ]);
    const partitions = topic.partitions.map((each) => ({
      ...each,
      ...(offsets.get(key({ topic: name, partition: each.partition })) ?? { start: 0, end: 0 }),
      bytes: sizes.find(({ partition }) => partition === each.partition)?.bytes ?? 0,
    }));
    const set = configs.filter(({ source }) => source === "topic");
    const data = {
      name,
      id: topic.topicId,
      internal: topic.internal,
      partitions,
      configs: Object.fromEntries(set.map((each) => [each.name, each.value])),
    };
    if (format === "table" || format === "wide") {
      talk(`${name} · id ${topic.topicId} · ${partitions.length} partitions`);
      for (const each of set) talk(`  ${each.name} = ${each.value ?? ""}`);
    }
    await show(format, data, partitions, [
      { head: "PARTITION", value: ({ partition }) => partition },
      { head: "LEADER", value: ({ leader }) => leader },
      { head: "START", value: ({ start }) => start },
      { head: "END", value: ({ end }) => end },
      { head: "RECORDS", value: ({ start, end }) => end - start },
      { head: "SIZE", value: (row) => bytes(row.bytes) },
      { head: "EPOCH", value: ({ leaderEpoch }) => leaderEpoch, wide: true },
      { head: "REPLICAS", value: ({ replicas }) => replicas.join(","), wide: true },
      { head: "IN SYNC", value: ({ inSync }) => inSync.join(","), wide: true },
    ]);
  });
}

export interface ConfigOptions {
  readonly set: readonly string[];
  readonly unset: readonly string[];
  readonly all?: boolean;
}

export async function config(
  target: Target,
  format: Format,
  name: string,
  options: ConfigOptions,
): Promise<void> {
  const changes: Record<string, string | null> = Object.fromEntries(
    options.set.map((text) => parsePair(text, "--set")),
  );
  for (const each of options.unset) changes[each] = null;
  await withClient(target, async (client) => {
    if (Object.keys(changes).length > 0) {
      await client.admin.configureTopic(name, changes);
      for (const [setting, value] of Object.entries(changes)) {
        talk(`${name}: ${setting} ${value === null ? "is the default again" : `= ${value}`}`);
      }
    }
    const settings = await client.admin.topicConfigs(name);
    const changed = Object.keys(changes);
    const shown = settings.filter(
      (each) => changed.length === 0 || options.all === true || changed.includes(each.name),
    );
    await show(format, shown, shown, [
      { head: "SETTING", value: (row) => row.name },
      { head: "VALUE", value: ({ value }) => value ?? "" },
      { head: "SOURCE", value: ({ source }) => source },
      { head: "MEANING", value: ({ documentation }) => documentation ?? "", wide: true },
    ]);
  });
}

export async function addPartitions(target: Target, name: string, text: string): Promise<void> {
  const wanted = parseCount(text, "the number of partitions", 1);
  await withClient(target, async (client) => {
    const before = (await client.admin.topic(name)).partitions.length;
    if (wanted <= before) {
      throw usageError(
        `topic "${name}" has ${before} partitions; ${wanted} are not more`,
        `say the number afterwards: pyralog topic add-partitions ${name} ${before + 1}`,
      );
    }
    await client.admin.addPartitions(name, wanted);
    talk(
      `${name}: ${before} -> ${wanted} partitions; keys may lie in other partitions from here on`,
    );
  });
}

export interface TrimOptions {
  readonly partition?: string;
  readonly before: string;
  readonly yes?: boolean;
}

/** Deletes records below an offset, or all that are there. */
export async function trim(
  target: Target,
  format: Format,
  name: string,
  options: TrimOptions,
): Promise<void> {
  const before = options.before === "end" ? -1 : parseCount(options.before, "--before");
  await withClient(target, async (client) => {
    const { partitions } = await client.admin.topic(name);
    const chosen =
      options.partition === undefined
        ? partitions.map(({ partition }) => partition)
        : [parseCount(options.partition, "-p")];
    for (const each of chosen) needPartition(name, partitions.length, each);
    const what = before < 0 ? "every record" : `every record below offset ${before}`;
    const where = options.partition === undefined ? name : `${name}/${options.partition}`;
    await confirm(`Delete ${what} of ${where}?`, options.yes ?? false);
    const rows = [];
    for (const partition of chosen) {
      const start = await client.admin.deleteRecords(name, partition, before);
      rows.push({ topic: name, partition, start });
    }
    await show(format, rows, rows, [
      { head: "TOPIC", value: ({ topic }) => topic },
      { head: "PARTITION", value: ({ partition }) => partition },
      { head: "START", value: ({ start }) => start },
    ]);
  });
}

export function needPartition(topic: string, count: number, partition: number): void {
  if (partition < count) return;
  throw new CommandError(
    CommandExit.notFound,
    `topic "${topic}" has partitions 0 to ${count - 1}, not ${partition}`,
    `see them: pyralog topic describe ${topic}`,
  );
}

export async function remove(
  target: Target,
  names: readonly string[],
  { yes }: { readonly yes?: boolean },
): Promise<void> {
  await withClient(target, async (client) => {
    for (const name of names) await client.admin.topic(name);
    await confirm(`Delete ${names.join(", ")} with all records?`, yes ?? false);
    for (const name of names) {
      await client.admin.deleteTopic(name);
      talk(`topic ${name} is deleted`);
    }
  });
}
