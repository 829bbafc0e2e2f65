// From a command to records: judges it against the image and decides, and mutates nothing. The
// image holds everything that was appended before, so that commands planned one after the other
// agree without waiting for the disk.

import { assert, assertNever } from "../base/assert.ts";
import type { Command, OutcomeOf } from "../base/commands.ts";
import { ErrorCode } from "../base/error_code.ts";
import { keyedProducerIdMin, ticket, type TopicId } from "../base/ids.ts";
import { sealsPerCommandMax } from "../base/limits.ts";
import type { Random } from "../base/random.ts";
import type { MetadataRecord } from "../../../proto/records/metadata.ts";
import type { ClusterImage } from "./image.ts";
import { planConfigs } from "./plan_configs.ts";
import { planCreatePartitions, planCreateTopics, planDeleteTopics } from "./plan_topics.ts";
import { done, type Plan } from "./verdicts.ts";

/** What this version may write and read. */
export const featureLevelMax = 1;

export function plan(image: ClusterImage, command: Command, random: Random): Plan {
  switch (command.kind) {
    case "register":
      return planRegister(image, command);
    case "create-topics":
      return planCreateTopics(image, command, random);
    case "delete-topics":
      return planDeleteTopics(image, command);
    case "create-partitions":
      return planCreatePartitions(image, command, random);
    case "alter-configs":
      return planConfigs(image, command);
    case "allocate-producer-ids":
      return planProducerIds(image, command);
    case "commit-seals":
      return planSeals(command);
    case "trim":
      return planTrims(command);
    default:
      return assertNever(command);
  }
}

type CommandOf<K extends Command["kind"]> = Extract<Command, { kind: K }>;

function planRegister(
  image: ClusterImage,
  command: CommandOf<"register">,
): Plan<OutcomeOf<CommandOf<"register">>> {
  if (image.clusterId !== "" && image.clusterId !== command.clusterId) {
    return refusedRegistration(
      `the metadata belongs to cluster ${image.clusterId}, the node to ${command.clusterId}`,
    );
  }
  const records: MetadataRecord[] = [];
  if (image.clusterId === "") {
    records.push({ kind: "cluster", clusterId: command.clusterId });
    records.push({ kind: "feature-level", level: featureLevelMax });
  }
  const { node, host, port, diskId, starts } = command;
  records.push({
    kind: "register",
    node,
    host,
    port,
    rack: null,
    diskId,
    starts,
    ticket: ticket(command.ticket),
  });
  const message = rolledBack(image, command);
  return { records, outcome: { kind: "register", verdict: { code: ErrorCode.NONE, message } } };
}

function refusedRegistration(message: string): Plan<OutcomeOf<CommandOf<"register">>> {
  const verdict = { code: ErrorCode.INVALID_REQUEST, message };
  return { records: [], outcome: { kind: "register", verdict } };
}

/**
 * A disk that was started less often, or holds less, than the metadata knows was put back to an
 * older state: nothing on the disk itself can tell. The node goes on with what it has and says so.
 */
function rolledBack(image: ClusterImage, command: CommandOf<"register">): string | null {
  const known = image.nodeOf(command.node);
  if (known === undefined || known.diskId !== command.diskId) return null;
  if (command.starts > known.starts && command.ticket >= known.ticket) return null;
  const starts = `start ${command.starts} after start ${known.starts}`;
  const tickets = `ticket ${command.ticket} after ticket ${known.ticket}`;
  return `the disk was put back to an older state: ${starts}, ${tickets}`;
}

function planProducerIds(
  image: ClusterImage,
  command: CommandOf<"allocate-producer-ids">,
): Plan<OutcomeOf<CommandOf<"allocate-producer-ids">>> {
  assert(command.count > 0, "a block of producer ids is not empty");
  const first = image.nextProducerId;
  if (first + command.count > keyedProducerIdMin) {
    const verdict = {
      code: ErrorCode.UNKNOWN_SERVER_ERROR,
      message: "all producer ids have been handed out",
    };
    return {
      records: [],
      outcome: { kind: "allocate-producer-ids", verdict, first: -1, count: 0 },
    };
  }
  return {
    records: [{ kind: "producer-ids", first, count: command.count }],
    outcome: { kind: "allocate-producer-ids", verdict: done, first, count: command.count },
  };
}

/**
 * Groups what belongs to a topic, in the order of first mention. The guards are judged where the
 * record is applied.
 */
function grouped<T extends { readonly topic: TopicId }, P>(
  all: readonly T[],
  partitionOf: (of: T) => P,
): { topicId: TopicId; partitions: P[] }[] {
  const byTopic = new Map<TopicId, P[]>();
  for (const each of all) {
    const partitions = byTopic.get(each.topic);
    if (partitions === undefined) byTopic.set(each.topic, [partitionOf(each)]);
    else partitions.push(partitionOf(each));
  }
  return [...byTopic].map(([topicId, partitions]) => ({ topicId, partitions }));
}

function planSeals(command: CommandOf<"commit-seals">): Plan<{ readonly kind: "commit-seals" }> {
  assert(command.seals.length <= sealsPerCommandMax, "seals of one command are bounded");
  const topics = grouped(command.seals, ({ partition, epoch, end }) => ({ partition, epoch, end }));
  const records: MetadataRecord[] = topics.length === 0 ? [] : [{ kind: "seals", topics }];
  return { records, outcome: { kind: "commit-seals" } };
}

function planTrims(command: CommandOf<"trim">): Plan<{ readonly kind: "trim" }> {
  assert(command.trims.length <= sealsPerCommandMax, "trims of one command are bounded");
  const topics = grouped(command.trims, ({ partition, offset }) => ({ partition, offset }));
  const records: MetadataRecord[] = topics.length === 0 ? [] : [{ kind: "trims", topics }];
  return { records, outcome: { kind: "trim" } };
}
