// Consumer groups over HTTP: which there are, who is in them, how far they have read and how far that
// is from the end.

import { type Static, Type } from "@sinclair/typebox";
import { ErrorCode } from "../../core/base/error_code.ts";
import { none, noTopicId, offset, partitionIndex } from "../../core/base/ids.ts";
import type { OffsetFetchResponse } from "../../../proto/kafka/09_offset_fetch.ts";
import { assignmentOf } from "../../wire/assignment.ts";
import { jsonBody } from "./body.ts";
import type { Bridge } from "./bridge.ts";
import { Problem, problemOf } from "./problems.ts";
import { exactly, json, noQuery, param, type Route, route } from "./routes.ts";
import { offsetSchema, paged, pageOf, pageQuery, partitionSchema } from "./schemas.ts";
import { Shape } from "./shape.ts";
import { latest, offsetsAt } from "./topics.ts";

const tag = "Groups";

const groupRow = Type.Object({
  group: Type.String(),
  state: Type.String({ examples: ["Stable"] }),
  type: Type.String({ examples: ["classic"] }),
  protocol: Type.String({ examples: ["consumer"] }),
});
const placeSchema = Type.Object({ topic: Type.String(), partition: partitionSchema });
const describedGroup = Type.Object({
  group: Type.String(),
  state: Type.String(),
  protocol: Type.String(),
  assignor: Type.String(),
  members: Type.Array(
    Type.Object({
      memberId: Type.String(),
      instanceId: Type.Union([Type.String(), Type.Null()]),
      clientId: Type.String(),
      host: Type.String(),
      assigned: Type.Array(placeSchema),
    }),
  ),
});
const lagRow = Type.Object({
  ...placeSchema.properties,
  committed: offsetSchema,
  end: offsetSchema,
  lag: offsetSchema,
});
const lagSchema = Type.Object({
  group: Type.String(),
  lag: offsetSchema,
  items: Type.Array(lagRow),
});
const seek = new Shape(
  exactly({
    offsets: Type.Array(
      exactly({ topic: Type.String(), partition: partitionSchema, offset: offsetSchema }),
      { minItems: 1, maxItems: 10_000 },
    ),
  }),
);

type Lag = Static<typeof lagRow>;

function check(code: number, group: string, words: string | null = null): void {
  if (code === ErrorCode.NONE) return;
  if (code === ErrorCode.GROUP_ID_NOT_FOUND) throw problemOf(code, `there is no group "${group}"`);
  throw problemOf(code, words ?? `group "${group}" does not answer`);
}

/** Makes the topic of all groups where nobody has used one yet: before, no node coordinates any. */
async function findCoordinator(bridge: Bridge, group: string): Promise<void> {
  const { coordinators } = await bridge.ask("FindCoordinator", {
    key: "",
    keyType: 0,
    coordinatorKeys: [group],
  });
  check(coordinators[0]?.errorCode ?? ErrorCode.UNKNOWN_SERVER_ERROR, group);
}

async function describe(bridge: Bridge, group: string): Promise<Static<typeof describedGroup>> {
  await findCoordinator(bridge, group);
  const { groups } = await bridge.ask("DescribeGroups", {
    groups: [group],
    includeAuthorizedOperations: false,
  });
  const found = groups[0];
  if (found === undefined) throw problemOf(ErrorCode.GROUP_ID_NOT_FOUND, "");
  check(found.errorCode, group, found.errorMessage);
  return {
    group,
    state: found.groupState,
    protocol: found.protocolType,
    assignor: found.protocolData,
    members: found.members.map((member) => ({
      memberId: member.memberId,
      instanceId: member.groupInstanceId,
      clientId: member.clientId,
      host: member.clientHost.replace(/^\//, ""),
      assigned: found.protocolType === "consumer" ? [...assignmentOf(member.memberAssignment)] : [],
    })),
  };
}

type Committed = OffsetFetchResponse["groups"][number]["topics"];

async function committedOf(bridge: Bridge, group: string): Promise<Committed> {
  const { groups } = await bridge.ask("OffsetFetch", {
    groupId: "",
    topics: [],
    groups: [{ groupId: group, memberId: null, memberEpoch: none, topics: null }],
    requireStable: false,
  });
  check(groups[0]?.errorCode ?? ErrorCode.UNKNOWN_SERVER_ERROR, group);
  return groups[0]?.topics ?? [];
}

/** Topics that are gone are left out. */
async function lagOf(bridge: Bridge, group: string): Promise<Static<typeof lagSchema>> {
  const items: Lag[] = [];
  for (const { topicId, partitions } of await committedOf(bridge, group)) {
    const topic = bridge.host.node.broker.image.topicById(topicId);
    if (topic === undefined) continue;
    const ends = await offsetsAt(bridge, topic, latest);
    for (const { partitionIndex: partition, committedOffset, errorCode } of partitions) {
      const end = ends[partition];
      if (errorCode !== ErrorCode.NONE || committedOffset < 0 || end === undefined) continue;
      const lag = Math.max(0, end - committedOffset);
      items.push({ topic: topic.name, partition, committed: committedOffset, end, lag });
    }
  }
  const lag = items.reduce((sum, each) => sum + each.lag, 0);
  return { group, lag, items };
}

async function commit(
  bridge: Bridge,
  group: string,
  offsets: Static<typeof seek.schema>["offsets"],
): Promise<void> {
  const byTopic = Map.groupBy(offsets, ({ topic }) => topic);
  for (const { topic, partition } of offsets)
    bridge.knownPartition(bridge.knownTopic(topic), partition);
  const { topics } = await bridge.ask("OffsetCommit", {
    groupId: group,
    generationIdOrMemberEpoch: none,
    memberId: "",
    groupInstanceId: null,
    retentionTimeMs: -1,
    topics: [...byTopic].map(([name, each]) => ({
      name,
      topicId: bridge.topic(name)?.id ?? noTopicId,
      partitions: each.map((one) => ({
        partitionIndex: partitionIndex(one.partition),
        committedOffset: offset(one.offset),
        committedLeaderEpoch: none,
        committedMetadata: null,
      })),
    })),
  });
  for (const { partitions } of topics) {
    for (const { errorCode } of partitions) {
      if (errorCode === ErrorCode.UNKNOWN_MEMBER_ID) {
        const next = "Stop its members first.";
        const words = `group "${group}" has members, which would not notice. ${next}`;
        throw new Problem("group-not-empty", words, { kafkaCode: errorCode });
      }
      check(errorCode, group);
    }
  }
}

const answers = (schema: typeof lagSchema | typeof describedGroup, description: string) => ({
  200: { description, content: { "application/json": schema } },
});

export function groupRoutes(bridge: Bridge): readonly Route[] {
  return [
    route(
      "GET",
      "/v1/groups",
      new Shape(exactly(pageQuery)),
      {
        tag,
        summary: "List consumer groups",
        answers: {
          200: {
            description: "A page of groups.",
            content: { "application/json": pageOf(groupRow) },
          },
        },
      },
      async ({ query }) => {
        const answer = await bridge.ask("ListGroups", { statesFilter: [], typesFilter: [] });
        check(answer.errorCode, "");
        const rows = answer.groups.map(({ groupId, groupState, groupType, protocolType }) => ({
          group: groupId,
          state: groupState,
          type: groupType,
          protocol: protocolType,
        }));
        return json(paged(rows, ({ group }) => group, query));
      },
    ),
    route(
      "GET",
      "/v1/groups/:group",
      noQuery,
      {
        tag,
        summary: "Describe a group and its members",
        answers: answers(describedGroup, "The group."),
        problems: [404],
      },
      async (exchange) => json(await describe(bridge, param(exchange, "group"))),
    ),
    route(
      "GET",
      "/v1/groups/:group/lag",
      noQuery,
      {
        tag,
        summary: "How far a group is behind",
        answers: answers(lagSchema, "The lag, in records, of each partition and of all."),
        problems: [404],
      },
      async (exchange) => {
        const { group } = await describe(bridge, param(exchange, "group"));
        return json(await lagOf(bridge, group));
      },
    ),
    route(
      "PUT",
      "/v1/groups/:group/offsets",
      noQuery,
      {
        tag,
        summary: "Set where a group without members goes on",
        body: { "application/json": seek.schema },
        answers: answers(lagSchema, "The lag from there."),
        problems: [404, 409, 413, 415],
      },
      async (exchange) => {
        const group = param(exchange, "group");
        const { offsets } = seek.read(await jsonBody(bridge.memory, exchange.request), "the body");
        await findCoordinator(bridge, group);
        await commit(bridge, group, offsets);
        return json(await lagOf(bridge, group));
      },
    ),
    route(
      "DELETE",
      "/v1/groups/:group",
      noQuery,
      {
        tag,
        summary: "Delete a group without members",
        answers: { 204: { description: "It is gone." } },
        problems: [404, 409],
      },
      async (exchange) => {
        const group = param(exchange, "group");
        await findCoordinator(bridge, group);
        const { results } = await bridge.ask("DeleteGroups", { groupsNames: [group] });
        const { errorCode = ErrorCode.UNKNOWN_SERVER_ERROR, errorMessage = null } =
          results[0] ?? {};
        check(errorCode, group, errorMessage);
        return new Response(null, { status: 204 });
      },
    ),
  ];
}
