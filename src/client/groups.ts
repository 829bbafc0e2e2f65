// Consumer groups from outside: which there are, who is in them, how far they have read, and how far
// that is from the end. Joining one is not part of this library.

import { ErrorCode } from "../core/base/error_code.ts";
import { noTopicId, none, offset as offsetId, partitionIndex } from "../core/base/ids.ts";
import { apis } from "../wire/apis.ts";
import { assignmentOf } from "../wire/assignment.ts";
import { check, only } from "./answers.ts";
import { KafkaError } from "./failures.ts";
import type { Network } from "./network.ts";
import { keyOf, listOffsets, type PartitionId, Time } from "./offsets.ts";

export interface GroupSummary {
  readonly group: string;
  /** "Stable", "Empty", ... */
  readonly state: string;
  /** "classic", "consumer", ...; empty where the node does not say. */
  readonly type: string;
  /** "consumer" for groups that read topics. */
  readonly protocol: string;
}

export interface GroupMember {
  readonly memberId: string;
  readonly clientId: string;
  readonly host: string;
  readonly assigned: readonly PartitionId[];
}

export interface GroupDescription extends GroupSummary {
  /** The assignor in use; empty unless the group is stable. */
  readonly assignor: string;
  readonly members: readonly GroupMember[];
}

export interface CommittedOffset extends PartitionId {
  /** The next offset that the group will read. */
  readonly offset: number;
  readonly metadata: string;
}

export interface GroupLag extends CommittedOffset {
  /** Where the partition ends. */
  readonly end: number;
  readonly lag: number;
}

export class Groups {
  readonly #network: Network;

  constructor(network: Network) {
    this.#network = network;
  }

  /** All groups of all nodes. */
  async list(): Promise<readonly GroupSummary[]> {
    await this.#network.cluster([]);
    const each = this.#network.nodes.map(({ id }) =>
      this.#network.patiently(async () => {
        const connection = await this.#network.node(id);
        const version = connection.versionOf(apis.ListGroups);
        const answer = await connection.request(apis.ListGroups, version, {
          statesFilter: [],
          typesFilter: [],
        });
        check(answer.errorCode, `groups of node ${id}`);
        return answer.groups.map(({ groupId, protocolType, groupState, groupType }) => ({
          group: groupId,
          state: groupState,
          type: groupType,
          protocol: protocolType,
        }));
      }),
    );
    const all = (await Promise.all(each)).flat();
    return all.sort((a, b) => (a.group < b.group ? -1 : 1));
  }

  /** @throws KafkaError GROUP_ID_NOT_FOUND */
  async describe(group: string): Promise<GroupDescription> {
    return this.#network.atCoordinator(group, async (connection) => {
      const version = connection.versionOf(apis.DescribeGroups);
      const answer = await connection.request(apis.DescribeGroups, version, {
        groups: [group],
        includeAuthorizedOperations: false,
      });
      const found = only(answer.groups, `group ${group}`);
      check(found.errorCode, `group ${group}`, found.errorMessage);
      if (found.groupState === "Dead") {
        throw new KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, `group ${group}`);
      }
      return {
        group,
        state: found.groupState,
        type: "classic",
        protocol: found.protocolType,
        assignor: found.protocolData,
        members: found.members.map(({ memberId, clientId, clientHost, memberAssignment }) => ({
          memberId,
          clientId,
          host: clientHost.replace(/^\//, ""),
          assigned: found.protocolType === "consumer" ? assignmentOf(memberAssignment) : [],
        })),
      };
    });
  }

  /** Everything that the group has committed. */
  async offsets(group: string): Promise<readonly CommittedOffset[]> {
    return this.#network.atCoordinator(group, async (connection) => {
      const version = connection.versionOf(apis.OffsetFetch, 9);
      const single = version < 8;
      const answer = await connection.request(apis.OffsetFetch, version, {
        groupId: single ? group : "",
        topics: single ? null : [],
        groups: single ? [] : [{ groupId: group, memberId: null, memberEpoch: -1, topics: null }],
        requireStable: false,
      });
      const found = single ? answer : only(answer.groups, `group ${group}`);
      check(found.errorCode, `group ${group}`);
      return found.topics.flatMap(({ name, partitions }) =>
        partitions
          .filter(({ errorCode, committedOffset }) => errorCode === 0 && committedOffset >= 0)
          .map(({ partitionIndex: partition, committedOffset, metadata }) => ({
            topic: name,
            partition,
            offset: committedOffset,
            metadata: metadata ?? "",
          })),
      );
    });
  }

  /** As `offsets`, with how far the end is. Topics that are gone are left out. */
  async lag(group: string): Promise<readonly GroupLag[]> {
    const committed = await this.offsets(group);
    const { topics } = await this.#network.cluster([
      ...new Set(committed.map((each) => each.topic)),
    ]);
    const there = new Map(topics.map(({ name, partitions }) => [name, partitions.length]));
    const readable = committed.filter(
      ({ topic, partition }) => partition < (there.get(topic) ?? 0),
    );
    const ends = await listOffsets(
      this.#network,
      readable.map(({ topic, partition }) => ({ topic, partition, timestamp: Time.latest })),
    );
    return readable
      .map((each, index) => {
        const end = ends[index]?.offset ?? each.offset;
        return { ...each, end, lag: Math.max(0, end - each.offset) };
      })
      .sort((a, b) =>
        a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1,
      );
  }

  /** Commits for a group without members. @throws KafkaError UNKNOWN_MEMBER_ID when it has some. */
  async commit(
    group: string,
    offsets: readonly (PartitionId & { readonly offset: number })[],
  ): Promise<void> {
    await this.#network.atCoordinator(group, async (connection) => {
      const version = connection.versionOf(apis.OffsetCommit, 9);
      const byTopic = Map.groupBy(offsets, ({ topic }) => topic);
      const answer = await connection.request(apis.OffsetCommit, version, {
        groupId: group,
        generationIdOrMemberEpoch: -1,
        memberId: "",
        groupInstanceId: null,
        retentionTimeMs: -1,
        topics: [...byTopic].map(([name, each]) => ({
          name,
          topicId: noTopicId,
          partitions: each.map(({ partition, offset }) => ({
            partitionIndex: partitionIndex(partition),
            committedOffset: offsetId(offset),
            committedLeaderEpoch: none,
            committedMetadata: "",
          })),
        })),
      });
      for (const { name, partitions } of answer.topics) {
        for (const { partitionIndex: partition, errorCode } of partitions) {
          check(errorCode, `group ${group}, ${keyOf({ topic: name, partition })}`);
        }
      }
    });
  }

  /** Forgets an empty group with its offsets. */
  async delete(group: string): Promise<void> {
    await this.#network.atCoordinator(group, async (connection) => {
      const version = connection.versionOf(apis.DeleteGroups);
      const answer = await connection.request(apis.DeleteGroups, version, { groupsNames: [group] });
      const gone = only(answer.results, `group ${group}`);
      check(gone.errorCode, `group ${group}`, gone.errorMessage);
    });
  }
}
