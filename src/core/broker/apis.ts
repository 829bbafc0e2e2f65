// Every API that this node answers: registering a file here is what advertises it.

import { type AnyApi, apis } from "../../wire/apis.ts";
import { produce } from "./00_produce.ts";
import { fetchApi } from "./01_fetch.ts";
import { listOffsets } from "./02_list_offsets.ts";
import { metadata } from "./03_metadata.ts";
import { offsetCommit } from "./08_offset_commit.ts";
import { offsetFetch } from "./09_offset_fetch.ts";
import { findCoordinator } from "./10_find_coordinator.ts";
import { joinGroup } from "./11_join_group.ts";
import { heartbeat } from "./12_heartbeat.ts";
import { leaveGroup } from "./13_leave_group.ts";
import { syncGroup } from "./14_sync_group.ts";
import { describeGroups } from "./15_describe_groups.ts";
import { listGroups } from "./16_list_groups.ts";
import { apiVersions } from "./18_api_versions.ts";
import { createTopics } from "./19_create_topics.ts";
import { deleteTopics } from "./20_delete_topics.ts";
import { deleteRecords } from "./21_delete_records.ts";
import { initProducerId } from "./22_init_producer_id.ts";
import { offsetForLeaderEpoch } from "./23_offset_for_leader_epoch.ts";
import { describeConfigs } from "./32_describe_configs.ts";
import { alterConfigs } from "./33_alter_configs.ts";
import { describeLogDirs } from "./35_describe_log_dirs.ts";
import { createPartitions } from "./37_create_partitions.ts";
import { deleteGroups } from "./42_delete_groups.ts";
import { incrementalAlterConfigs } from "./44_incremental_alter_configs.ts";
import { offsetDelete } from "./47_offset_delete.ts";
import { describeCluster } from "./60_describe_cluster.ts";
import { listConfigResources } from "./74_list_config_resources.ts";
import { describeTopicPartitions } from "./75_describe_topic_partitions.ts";
import type { ApiEntry, ApiRange } from "./broker.ts";

export const entries: readonly ApiEntry[] = [
  produce,
  fetchApi,
  listOffsets,
  metadata,
  offsetCommit,
  offsetFetch,
  findCoordinator,
  joinGroup,
  heartbeat,
  leaveGroup,
  syncGroup,
  describeGroups,
  listGroups,
  apiVersions,
  createTopics,
  deleteTopics,
  deleteRecords,
  initProducerId,
  offsetForLeaderEpoch,
  describeConfigs,
  alterConfigs,
  describeLogDirs,
  createPartitions,
  deleteGroups,
  incrementalAlterConfigs,
  offsetDelete,
  describeCluster,
  listConfigResources,
  describeTopicPartitions,
];

/**
 * Produce is advertised from 0, because clients on librdkafka up to 2.11.0 compress only where the
 * range contains it (KAFKA-18659); v0-2 are refused when they come.
 */
const advertisedMin = new Map([["Produce", 0]]);

function tableOf(entry: ApiEntry): AnyApi {
  return apis[entry.name];
}

/** By API key; undefined = not spoken here. */
export const entryByKey: readonly (ApiEntry | undefined)[] = (() => {
  const byKey: (ApiEntry | undefined)[] = [];
  for (const entry of entries) byKey[tableOf(entry).key] = entry;
  return byKey;
})();

/** What ApiVersions answers. */
export const ranges: readonly ApiRange[] = entries.map((entry) => {
  const table = tableOf(entry);
  return {
    apiKey: table.key,
    minVersion: advertisedMin.get(entry.name) ?? table.versions[0],
    maxVersion: table.versions[1],
  };
});
