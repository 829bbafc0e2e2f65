// The cluster room: the metadata that all nodes share (nodes, topics, settings, epochs, trim
// points, producer ids), as a machine of two pure halves.
//
//   plan(image, command, random)  decides: returns records and the outcome, mutates nothing
//   image.apply(record, index)    mutates: takes one record, decides nothing
//
// Records are appended to the metadata log between the two. Every node applies the same records in
// the same order and so holds an equal image; `snapshotRecords` says an image as records.
//
// Slots are numbers of this image only: dense, given in the order of apply, never used again. They
// index everybody's columns and are never written to a log.
//
// A sequencer never resumes an epoch. The registration of a node moves every partition that it
// leads to its next epoch, in recovery; `commit-seals` ends the former epoch where recovery found
// its end and opens the new one there.

export {
  booleanOf,
  type ConfigSpec,
  type ConfigType,
  configTypeCodes,
  listOf,
  numberOf,
} from "./config_spec.ts";
export { brokerConfigByName, brokerConfigs } from "./broker_configs.ts";
export {
  ConfigResource,
  Configs,
  ConfigSource,
  kafkaSettingNames,
  kafkaSettingProblem,
  type SourcedText,
  specOf,
  specsOf,
  type TopicConfigs,
} from "./configs.ts";
export { type Candidate, generateTable, type TableRequest } from "./copyset_tables.ts";
export {
  type Applied,
  ClusterImage,
  type MetadataChange,
  type Node,
  type OnChange,
} from "./image.ts";
export type { EpochEnd, EpochStart, PartitionPlace } from "./partition_table.ts";
export { featureLevelMax, plan } from "./plan.ts";
export { snapshotRecords } from "./snapshot.ts";
export { topicConfigByName, topicConfigs } from "./topic_configs.ts";
export { isInternalTopic, topicNameProblem } from "./topic_names.ts";
export { Topic } from "./topics.ts";
export type { Plan } from "./verdicts.ts";
