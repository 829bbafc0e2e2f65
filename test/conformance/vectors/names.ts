// Where our tables name a field otherwise than Kafka does, so that the oracles can be compared: the
// name of every other field is Kafka's with a small first letter.

/** Path of a member in our table -> Kafka's name. */
const otherwise: Readonly<Record<string, string>> = {
  "ProduceRequest.topics": "topicData",
  "ProduceRequest.topics.partitions": "partitionData",
  "ProduceResponse.topics": "responses",
  "ProduceResponse.topics.partitions": "partitionResponses",
  "ProduceResponse.topics.partitions.recordErrors.message": "batchIndexErrorMessage",
};

/** `path`: the message's name and the members down to this one, with dots. */
export function kafkaName(path: string): string {
  return otherwise[path] ?? path.slice(path.lastIndexOf(".") + 1);
}

/** Name of Kafka's class behind a message of ours. */
export function kafkaClass(message: string): string {
  if (/^(OffsetCommit|GroupMetadata)(Key|Value)$/.test(message)) {
    return `org.apache.kafka.coordinator.group.generated.${message}`;
  }
  const suffix = message.endsWith("Request") || message.endsWith("Response") ? "Data" : "";
  return `org.apache.kafka.common.message.${message}${suffix}`;
}
