// All message tables by key: what a request header names. That a table is here does not advertise
// it; the broker's registry does that.

import type { Api, Fields } from "../../proto/schema.ts";
import { Produce } from "../../proto/kafka/00_produce.ts";
import { Fetch } from "../../proto/kafka/01_fetch.ts";
import { ListOffsets } from "../../proto/kafka/02_list_offsets.ts";
import { Metadata } from "../../proto/kafka/03_metadata.ts";
import { OffsetCommit } from "../../proto/kafka/08_offset_commit.ts";
import { OffsetFetch } from "../../proto/kafka/09_offset_fetch.ts";
import { FindCoordinator } from "../../proto/kafka/10_find_coordinator.ts";
import { JoinGroup } from "../../proto/kafka/11_join_group.ts";
import { Heartbeat } from "../../proto/kafka/12_heartbeat.ts";
import { LeaveGroup } from "../../proto/kafka/13_leave_group.ts";
import { SyncGroup } from "../../proto/kafka/14_sync_group.ts";
import { DescribeGroups } from "../../proto/kafka/15_describe_groups.ts";
import { ListGroups } from "../../proto/kafka/16_list_groups.ts";
import { ApiVersions } from "../../proto/kafka/18_api_versions.ts";
import { CreateTopics } from "../../proto/kafka/19_create_topics.ts";
import { DeleteTopics } from "../../proto/kafka/20_delete_topics.ts";
import { DeleteRecords } from "../../proto/kafka/21_delete_records.ts";
import { InitProducerId } from "../../proto/kafka/22_init_producer_id.ts";
import { OffsetForLeaderEpoch } from "../../proto/kafka/23_offset_for_leader_epoch.ts";
import { DescribeConfigs } from "../../proto/kafka/32_describe_configs.ts";
import { AlterConfigs } from "../../proto/kafka/33_alter_configs.ts";
import { DescribeLogDirs } from "../../proto/kafka/35_describe_log_dirs.ts";
import { CreatePartitions } from "../../proto/kafka/37_create_partitions.ts";
import { DeleteGroups } from "../../proto/kafka/42_delete_groups.ts";
import { IncrementalAlterConfigs } from "../../proto/kafka/44_incremental_alter_configs.ts";
import { OffsetDelete } from "../../proto/kafka/47_offset_delete.ts";
import { DescribeCluster } from "../../proto/kafka/60_describe_cluster.ts";
import { ListConfigResources } from "../../proto/kafka/74_list_config_resources.ts";
import { DescribeTopicPartitions } from "../../proto/kafka/75_describe_topic_partitions.ts";

export type AnyApi = Api<Fields, Fields>;

export const apis = {
  Produce,
  Fetch,
  ListOffsets,
  Metadata,
  OffsetCommit,
  OffsetFetch,
  FindCoordinator,
  JoinGroup,
  Heartbeat,
  LeaveGroup,
  SyncGroup,
  DescribeGroups,
  ListGroups,
  ApiVersions,
  CreateTopics,
  DeleteTopics,
  DeleteRecords,
  InitProducerId,
  OffsetForLeaderEpoch,
  DescribeConfigs,
  AlterConfigs,
  DescribeLogDirs,
  CreatePartitions,
  DeleteGroups,
  IncrementalAlterConfigs,
  OffsetDelete,
  DescribeCluster,
  ListConfigResources,
  DescribeTopicPartitions,
} as const;
export type ApiName = keyof typeof apis;

const byKey = new Map<number, AnyApi>();
for (const api of Object.values(apis)) byKey.set(api.key, api);

/** Undefined: no table has this key. */
export function apiOf(key: number): AnyApi | undefined {
  return byKey.get(key);
}
