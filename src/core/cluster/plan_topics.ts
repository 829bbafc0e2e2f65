// Topics come, grow and go. Checks stand in Kafka's order (ReplicationControlManager of Kafka 4.4),
// so that a request with several faults gets the code that Kafka would give it.

import type { Command, CreatedTopic, OutcomeOf, TopicToCreate, Verdict } from "../base/commands.ts";
import { ErrorCode } from "../base/error_code.ts";
import { topicId, type TopicId } from "../base/ids.ts";
import { partitionsMax, partitionsPerCommandMax } from "../base/limits.ts";
import type { Random } from "../base/random.ts";
import type { MetadataRecord } from "../../../proto/records/metadata.ts";
import type { ClusterImage } from "./image.ts";
import { assignmentProblem, bad, leadersOf, spreadLeaders, tooFewNodes } from "./placement.ts";
import { canCollide, collisionKey, isInternalTopic, topicNameProblem } from "./topic_names.ts";
import { done, type Plan } from "./verdicts.ts";

type CommandOf<K extends Command["kind"]> = Extract<Command, { kind: K }>;

const defaultCount = -1;

/** Names that this command has taken so far. */
class Taken {
  readonly #names = new Set<string>();
  readonly #keys = new Map<string, string>();

  has(name: string): boolean {
    return this.#names.has(name);
  }
  collisionOf(name: string): string | undefined {
    return canCollide(name) ? this.#keys.get(collisionKey(name)) : undefined;
  }
  add(name: string): void {
    this.#names.add(name);
    if (canCollide(name)) this.#keys.set(collisionKey(name), name);
  }
}

export function planCreateTopics(
  image: ClusterImage,
  command: CommandOf<"create-topics">,
  random: Random,
): Plan<OutcomeOf<CommandOf<"create-topics">>> {
  const records: MetadataRecord[] = [];
  const topics: CreatedTopic[] = [];
  const taken = new Taken();
  const tooMany = tooManyPartitions(image, askedPartitions(image, command.topics));
  for (const topic of command.topics) {
    const verdict = tooMany ?? judgeNewTopic(image, topic, taken);
    if (verdict !== null) {
      topics.push({
        ...verdict,
        name: topic.name,
        id: null,
        partitions: -1,
        replicationFactor: -1,
      });
      continue;
    }
    taken.add(topic.name);
    const record = topicRecord(image, topic, random);
    if (!command.validateOnly) records.push(record);
    topics.push({
      ...done,
      name: topic.name,
      id: command.validateOnly ? null : record.topicId,
      partitions: record.partitions,
      replicationFactor: record.replicationFactor,
    });
  }
  return { records, outcome: { kind: "create-topics", topics } };
}

function askedPartitions(image: ClusterImage, topics: readonly TopicToCreate[]): number {
  let count = 0;
  for (const topic of topics) count += partitionCountOf(image, topic);
  return count;
}

function partitionCountOf(image: ClusterImage, topic: TopicToCreate): number {
  if (topic.assignments.length > 0) return topic.assignments.length;
  if (topic.partitions === defaultCount) return image.configs.brokerNumber("num.partitions");
  return Math.max(0, topic.partitions);
}

function replicationFactorOf(image: ClusterImage, topic: TopicToCreate): number {
  const first = topic.assignments[0];
  if (first !== undefined) return first.nodes.length;
  if (topic.replicationFactor !== defaultCount) return topic.replicationFactor;
  return image.configs.brokerNumber("default.replication.factor");
}

function tooManyPartitions(image: ClusterImage, added: number): Verdict | null {
  if (added > partitionsPerCommandMax) {
    return {
      code: ErrorCode.POLICY_VIOLATION,
      message: `a command adds at most ${partitionsPerCommandMax} partitions`,
    };
  }
  if (image.partitionCount + added > partitionsMax) {
    const message = `the cluster has ${image.partitionCount} of ${partitionsMax} partitions`;
    return { code: ErrorCode.POLICY_VIOLATION, message };
  }
  return null;
}

function judgeNewTopic(image: ClusterImage, topic: TopicToCreate, taken: Taken): Verdict | null {
  return (
    judgeName(image, topic, taken) ??
    judgeNewConfigs(image, topic) ??
    (topic.assignments.length > 0 ? judgeAssignments(image, topic) : judgeCounts(image, topic))
  );
}

function judgeName(image: ClusterImage, topic: TopicToCreate, taken: Taken): Verdict | null {
  const { name } = topic;
  if (image.topicByName(name) !== undefined || taken.has(name)) {
    return { code: ErrorCode.TOPIC_ALREADY_EXISTS, message: `topic ${name} exists` };
  }
  const problem = topicNameProblem(name);
  if (problem !== null) return { code: ErrorCode.INVALID_TOPIC_EXCEPTION, message: problem };
  const other = image.collisionOf(name) ?? taken.collisionOf(name);
  if (other !== undefined) {
    const message = `${name} differs from topic ${other} in "." and "_" only`;
    return { code: ErrorCode.INVALID_TOPIC_EXCEPTION, message };
  }
  if (isInternalTopic(name) && !topic.internal) {
    const message = `topic ${name} is internal: the cluster creates it when it needs it`;
    return { code: ErrorCode.INVALID_TOPIC_EXCEPTION, message };
  }
  return null;
}

function judgeNewConfigs(image: ClusterImage, topic: TopicToCreate): Verdict | null {
  const texts = new Map<string, string>();
  const nulls: string[] = [];
  for (const { name, value } of topic.configs) {
    if (value === null) nulls.push(name);
    else texts.set(name, value);
  }
  if (nulls.length > 0) {
    const message = `a setting cannot be null: ${nulls.join(", ")}`;
    return { code: ErrorCode.INVALID_CONFIG, message };
  }
  const problem = image.configs.topicProblem(texts);
  return problem === null ? null : { code: ErrorCode.INVALID_CONFIG, message: problem };
}

function judgeAssignments(image: ClusterImage, topic: TopicToCreate): Verdict | null {
  const invalid = ErrorCode.INVALID_REQUEST;
  if (topic.replicationFactor !== defaultCount) {
    const message = "beside an assignment the replication factor is -1";
    return { code: invalid, message };
  }
  if (topic.partitions !== defaultCount) {
    const message = "beside an assignment the number of partitions is -1";
    return { code: invalid, message };
  }
  const expected = topic.assignments[0]?.nodes.length ?? 0;
  const seen = new Set<number>();
  for (const { partition, nodes } of topic.assignments) {
    if (seen.has(partition)) return bad(`partition ${partition} is assigned twice`);
    seen.add(partition);
    const problem = assignmentProblem(image, nodes, seen.size === 1 ? -1 : expected);
    if (problem !== null) return problem;
  }
  for (let i = 0; i < topic.assignments.length; i += 1) {
    if (!seen.has(i)) return bad("assigned partitions are numbered from 0 without a gap");
  }
  return null;
}

function judgeCounts(image: ClusterImage, topic: TopicToCreate): Verdict | null {
  if (topic.replicationFactor < defaultCount || topic.replicationFactor === 0) {
    const message = "the replication factor is above 0, or -1 for the default";
    return { code: ErrorCode.INVALID_REPLICATION_FACTOR, message };
  }
  if (topic.partitions < defaultCount || topic.partitions === 0) {
    const message = "the number of partitions is above 0, or -1 for the default";
    return { code: ErrorCode.INVALID_PARTITIONS, message };
  }
  return tooFewNodes(image, replicationFactorOf(image, topic));
}

function topicRecord(
  image: ClusterImage,
  topic: TopicToCreate,
  random: Random,
): Extract<MetadataRecord, { kind: "topic" }> {
  const partitions = partitionCountOf(image, topic);
  const sorted = [...topic.assignments].sort((a, b) => a.partition - b.partition);
  const leaders =
    sorted.length > 0
      ? leadersOf(sorted.map((each) => each.nodes))
      : spreadLeaders(image, partitions, random);
  return {
    kind: "topic",
    topicId: freshId(image, random),
    name: topic.name,
    partitions,
    replicationFactor: replicationFactorOf(image, topic),
    leaders,
    configs: topic.configs.map(({ name, value }) => ({ name, value: value ?? "" })),
  };
}

/** Random and unused. Ids that Kafka reserves (0 and 1) are as unlikely as any other. */
function freshId(image: ClusterImage, random: Random): TopicId {
  let id = topicId(random.id());
  while (image.topicById(id) !== undefined || id.startsWith("AAAAAAAAAAAAAAAAAAAA"))
    id = topicId(random.id());
  return id;
}

export function planDeleteTopics(
  image: ClusterImage,
  command: CommandOf<"delete-topics">,
): Plan<OutcomeOf<CommandOf<"delete-topics">>> {
  const records: MetadataRecord[] = [];
  const topics: Verdict[] = [];
  const gone = new Set<TopicId>();
  for (const id of command.topics) {
    const topic = gone.has(id) ? undefined : image.topicById(id);
    if (topic === undefined) {
      topics.push({
        code: ErrorCode.UNKNOWN_TOPIC_ID,
        message: "there is no topic with this id",
      });
    } else if (topic.internal) {
      const message = `topic ${topic.name} is internal and stays`;
      topics.push({ code: ErrorCode.INVALID_TOPIC_EXCEPTION, message });
    } else {
      gone.add(id);
      records.push({ kind: "delete-topic", topicId: id });
      topics.push(done);
    }
  }
  return { records, outcome: { kind: "delete-topics", topics } };
}

type Growth = CommandOf<"create-partitions">["topics"][number];

export function planCreatePartitions(
  image: ClusterImage,
  command: CommandOf<"create-partitions">,
  random: Random,
): Plan<OutcomeOf<CommandOf<"create-partitions">>> {
  const records: MetadataRecord[] = [];
  const topics: Verdict[] = [];
  let added = 0;
  for (const growth of command.topics) {
    added += Math.max(
      0,
      growth.count - (image.topicByName(growth.name)?.slots.length ?? growth.count),
    );
  }
  const tooMany = tooManyPartitions(image, added);
  for (const growth of command.topics) {
    const verdict = tooMany ?? judgeGrowth(image, growth);
    topics.push(verdict ?? done);
    const topic = image.topicByName(growth.name);
    if (verdict !== null || topic === undefined || command.validateOnly) continue;
    const count = growth.count - topic.slots.length;
    const leaders =
      growth.assignments === null
        ? spreadLeaders(image, count, random)
        : leadersOf(growth.assignments);
    records.push({ kind: "partitions", topicId: topic.id, count: growth.count, leaders });
  }
  return { records, outcome: { kind: "create-partitions", topics } };
}

function judgeGrowth(image: ClusterImage, growth: Growth): Verdict | null {
  const topic = image.topicByName(growth.name);
  if (topic === undefined) {
    const message = `there is no topic ${growth.name}`;
    return { code: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, message };
  }
  if (topic.internal) {
    const message = `topic ${topic.name} is internal: its partitions are fixed`;
    return { code: ErrorCode.INVALID_TOPIC_EXCEPTION, message };
  }
  const count = topic.slots.length;
  if (growth.count === count) {
    const message = `topic ${topic.name} has ${count} partitions already`;
    return { code: ErrorCode.INVALID_PARTITIONS, message };
  }
  if (growth.count < count) {
    const message = `topic ${topic.name} has ${count} partitions: ${growth.count} are no more`;
    return { code: ErrorCode.INVALID_PARTITIONS, message };
  }
  if (growth.assignments === null) return tooFewNodes(image, topic.replicationFactor);
  if (growth.assignments.length !== growth.count - count) {
    const assigned = growth.assignments.length;
    return bad(`${growth.count - count} partitions are added and ${assigned} assigned`);
  }
  for (const nodes of growth.assignments) {
    const problem = assignmentProblem(image, nodes, topic.replicationFactor);
    if (problem !== null) return problem;
  }
  return null;
}
