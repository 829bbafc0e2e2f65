// Every maximum of the TypeScript side, by name, with the relations that the code relies on.

import { assert } from "./assert.ts";

/** Largest request frame after the connection is known to be good (Kafka: socket.request.max.bytes). */
export const requestBytesMax = 16 * 1024 * 1024;
/** Largest frame before authentication, where authentication is on. */
export const requestBytesBeforeAuthMax = 8 * 1024;
/** The largest max.message.bytes that a topic may ask for; its default is Kafka's 1,048,588. */
export const batchBytesMax = 8 * 1024 * 1024;
export const segmentBytesMin = 16 * 1024 * 1024;
export const stagingBytes = 64 * 1024 * 1024;
/** Requests, and their bytes, that one connection may have in flight before its reads pause. */
export const connectionRequestsMax = 16;
export const connectionBytesInFlightMax = 32 * 1024 * 1024;
/** Tagged fields of one structure; unknown ones are skipped. */
export const taggedFieldsMax = 64;
/** Nesting of a decoded message. */
export const nestingMax = 16;
/** Bytes of a string in a message (Kafka: Short.MAX_VALUE). */
export const stringBytesMax = 32_767;
/** Elements of all arrays of one request together; each becomes an object or a number. */
export const requestElementsMax = 500_000;
/** Partitions that one request may name. */
export const requestPartitionsMax = 100_000;
/** Largest answer to one Fetch, whatever the client asks for (Kafka: fetch.max.bytes). */
export const fetchBytesMax = 57_671_680;
export const topicNameMax = 249;
/** Idempotent producers remembered per partition; the oldest idle one expires first. */
export const producersPerPartitionMax = 10_000;
/** Batches remembered per producer and partition (Kafka keeps 5). */
export const producerBatchesKept = 5;
/** Unknown producers per partition whose refused batch has to come first; the oldest goes first. */
export const refusedProducersMax = 1000;

assert(batchBytesMax < requestBytesMax, "a batch fits in a request");
assert(batchBytesMax * 2 <= segmentBytesMin, "a batch fits in a segment");
assert(requestPartitionsMax * 4 < requestElementsMax, "a request can name all its partitions");
assert(requestBytesMax * 2 <= stagingBytes, "two requests fit in the staging ring");
/** Longest long poll: whoever asks for more is answered then, and asks again. */
export const fetchWaitMsMax = 300_000;
/** Fetch sessions kept; Kafka's max.incremental.fetch.session.cache.slots may ask for fewer. */
export const fetchSessionsMax = 10_000;
/** Partitions of one fetch session; a client with more fetches without a session. */
export const fetchSessionPartitionsMax = 100_000;
/** Partitions of all fetch sessions together, at some 400 bytes each. */
export const fetchSessionsPartitionsMax = 250_000;
assert(fetchSessionPartitionsMax <= fetchSessionsPartitionsMax, "the largest session has room");
/** A session that was idle this long may be evicted for a new one. */
export const fetchSessionIdleMs = 120_000;
/** Output that a connection may owe before its requests wait. */
export const connectionOutputBytesMax = 8 * 1024 * 1024;
/** Connections of the Kafka listener. */
export const connectionsMax = 16_384;
/** A frame is whole this long after its first byte. */
export const frameMsMax = 30_000;
/** Output of opening one compressed batch, in bytes and as a multiple of the input. */
export const inspectedBytesMax = 64 * 1024 * 1024;
export const inspectedRatioMax = 100;
/** Allowed whatever the ratio: honest batches of equal records pack to almost nothing. */
export const inspectedBytesMin = 2 * batchBytesMax;
/** Groups that one partition of `__consumer_offsets` takes; more are refused with a retriable code. */
export const groupsPerShardMax = 100_000;
/** Member ids given out by one group and not used yet. */
export const pendingMembersPerGroupMax = 10_000;
/** Committed offsets that a look for expired ones visits in one tick. */
export const retentionOffsetsPerTick = 10_000;
/** Partitions that one command may add (Kafka: 10,000 per CreateTopics or CreatePartitions). */
export const partitionsPerCommandMax = 10_000;
/** Partitions of the cluster: what every image, and one registration, has to go through. */
export const partitionsMax = 1_000_000;
/** Partitions that one CommitSeal or Trim entry may name. */
export const sealsPerCommandMax = 100_000;
/** Producer ids that a node reserves at a time (Kafka: blocks of 1000). */
export const producerIdBlock = 1000;
/** Bytes of metadata log after which a snapshot is written. */
export const snapshotAfterBytes = 16 * 1024 * 1024;
/** Proposals that wait for the metadata log; more are refused. */
export const proposalsMax = 4096;
/** Characters of one setting's value, at most 3 bytes each: it must fit in a string on the wire. */
export const configTextMax = 10_000;
/** Settings that one resource may have. */
export const configsPerResourceMax = 1000;
/** Groups and metrics subscriptions that may have settings of their own. */
export const configuredResourcesMax = 10_000;
assert(configTextMax * 3 <= stringBytesMax, "a setting's value fits in a string");
/** How long a proposal waits for room in the metadata log before it is refused. */
export const proposalWaitMs = 15_000;
/** What an append costs in the log beside its bytes: the frame's header, and padding to 8 bytes. */
export const frameOverheadBytes = 64 + 8;
/** UTF-16 units of a client or instance id that a member id begins with. */
export const memberIdPrefixMax = 1024;
assert((memberIdPrefixMax + 64) * 3 <= stringBytesMax, "a member id fits in a string");
/** Requests that wait for a shard of groups to be loaded; more get a retriable code. */
export const groupRequestsParkedMax = 10_000;
/** Batches of a shard that wait for the disk or for their commit; more requests get a retriable code. */
export const groupAppendsMax = 1024;
/** A shard's records are cut into batches of about this size. */
export const groupBatchBytes = 256 * 1024;
/** The metadata of one group, which is one record. */
export const groupMetadataBytesMax = 4 * 1024 * 1024;
/** One read while a shard is loaded. */
export const groupLoadBytes = 1024 * 1024;
/** A shard's log may grow by so much, or by what is alive in it, before its live records are rewritten. */
export const groupLogGrowthMax = 16 * 1024 * 1024;

assert(
  groupMetadataBytesMax + groupBatchBytes < batchBytesMax,
  "a group's metadata fits in a batch",
);
/** Segments that a shard of groups may hold back before its live records are appended again. */
export const groupLogSegmentsMax = 4;
/** Records that one refusal names. */
export const recordErrorsMax = 10_000;
/** Partitions whose producers are loaded at a time; batches for others wait. */
export const producerLoadsMax = 8;
/** A partition whose load has failed refuses idempotent batches for so long before it is tried again. */
export const producerLoadRetryMs = 1000;
/**
 * A partition's producers are written to its log again when so many bytes were appended to it since,
 * and so many times the bytes that it takes to write them.
 */
export const sidecarEveryBytes = 8 * 1024 * 1024;
export const sidecarEveryTimes = 50;
/** What a sidecar costs in the log beside its bytes and the frame: the head of its payload. */
export const sidecarOverheadBytes = 16;

/** Bytes of one message of any kind: its length is an int32 on the wire. */
export const messageBytesMax = 2 ** 31 - 1;
/** One answer, whatever was asked; a connection that asks for more is closed. */
export const responseBytesMax = 96 * 1024 * 1024;
/** What a partition that is its topic's only one costs in the answer to a Fetch beside its records. */
export const fetchPartitionBytes = topicNameMax + 100;
assert(
  fetchBytesMax + requestPartitionsMax * fetchPartitionBytes < responseBytesMax,
  "the largest Fetch fits in an answer",
);
assert(partitionsMax * 100 < responseBytesMax, "an answer can list the partitions of the cluster");
/** Settings, and values behind them, in one answer: each is an object until it is encoded. */
export const responseRowsMax = 500_000;
/** Reads and look-ups that wait for a reader of the disk; more are answered "failed": retriable. */
export const diskRequestsQueuedMax = 100_000;
assert(requestPartitionsMax <= diskRequestsQueuedMax, "one request can ask for all its partitions");
/**
 * Look-ups between their request to the disk and their answer, each with a batch in memory; the
 * others wait. A part of the disk's 64 reader slots, so that there are always some for reads.
 */
export const lookupsAtOnceMax = 16;
/**
 * Memory of answers that sockets have not taken, of all connections together. A read brings half of
 * what is left of it.
 */
export const outputBytesMax = 64 * 1024 * 1024;
/** What a read may bring however little of that is left; a first batch may be larger. */
export const readBytesMin = 64 * 1024;
/** Beyond that memory, a connection that has taken nothing for so long is closed. */
export const outputStallMs = 10_000;

assert(
  (batchBytesMax + connectionOutputBytesMax) * 2 <= outputBytesMax,
  "a connection that reads is not slowed down while few do not",
);

/** Voters of the metadata log. */
export const raftVotersMax = 7;
/** Voters and learners. */
export const raftMembersMax = 1000;
/** Members that were removed and may not come back; beyond it the oldest is forgotten. */
export const raftRemovedMax = 1024;
/** Bytes of entries in one append, which has two of them whatever their size. */
export const raftAppendBytes = 1024 * 1024;
/** Appends, and their bytes, on their way to one member. */
export const raftInflightMax = 64;
export const raftInflightBytesMax = 16 * 1024 * 1024;
/** Bytes of entries that a leader has appended and not committed; more are refused. */
export const raftUncommittedBytesMax = 64 * 1024 * 1024;
/** Messages that wait for the disk; the oldest is dropped, as a network may. */
export const raftHeldMax = 1024;
/** Reads that wait for a round of heartbeats; more are refused. */
export const raftReadsMax = 4096;
/** Bytes of a snapshot in one message. */
export const raftChunkBytes = 256 * 1024;
/** Bytes of entries that stay in memory below a snapshot for members that are behind. */
export const raftKeptBytes = 16 * 1024 * 1024;
/** A learner may become a voter when so few entries are missing. */
export const raftPromotionLagMax = 128;

assert(raftAppendBytes <= raftInflightBytesMax, "an append fits in the window");
assert(batchBytesMax <= raftUncommittedBytesMax, "the largest entry fits among the uncommitted");

/** Blocks that a leader may have begun beyond the one of its high watermark: what a seal has to cover. */
export const blocksInFlightMax = 4;
/** Batches, and their bytes, of one partition that are sent and not committed. */
export const replicationBatchesMax = 2048;
export const replicationBytesMax = 32 * 1024 * 1024;
/** A member that lacks so much that is committed, or for so long, is fed no more: it pulls later. */
export const laggingBytesMax = 8 * 1024 * 1024;
export const laggingMs = 500;
/** A batch that a member has not answered is sent again. */
export const resendMs = 100;
/** The high watermark is sent alone when no batch has carried it for so long. */
export const releaseMs = 5;
/** A question or proposal of a recovery, a repair or a frozen leader is repeated. */
export const askAgainMs = 100;
/** A leader that commits nothing for so long, with batches in flight, gives up its role. */
export const leaderBelowWMs = 1000;
/** Batches, and their bytes, that wait while a partition has no open epoch or no room in flight. */
export const parkedBatchesMax = 4096;
export const parkedBytesMax = 8 * 1024 * 1024;
/** Messages of epochs that this node has not learned yet. */
export const earlyMessagesMax = 1024;
/** Batches that a repair asks for at a time. */
export const repairsInFlightMax = 16;

assert(batchBytesMax <= parkedBytesMax, "a batch can wait for its epoch");
assert(batchBytesMax <= replicationBytesMax, "a batch can be in flight");

/** Producers whose id is made of a key, remembered per partition beside the others; oldest first. */
export const keyedProducersPerPartitionMax = 10_000;
/** Requests of HTTP clients that the node has not answered; more are refused (503). */
export const httpRequestsMax = 16_384;
/** Bytes of produces of HTTP clients that wait for the disk; more are refused (503). */
export const httpWaitingBytesMax = 64 * 1024 * 1024;
/** Bytes of bodies of HTTP requests in memory, of all together; more are refused (503). */
export const httpBodiesBytesMax = 64 * 1024 * 1024;
/** One JSON body, and one line of NDJSON. */
export const jsonBytesMax = 1024 * 1024;
/** Nesting of a JSON text. */
export const jsonDepthMax = 32;
/** Records of one JSON body. */
export const jsonRecordsMax = 10_000;
/** A body that is too large is read on for so many times its limit: HTTP/2 shows no answer before. */
export const bodyDrainTimes = 16;
/** Bytes of records of one stream that wait for their answer before its body is read no further. */
export const streamBytesInFlightMax = 4 * 1024 * 1024;
/** Lines of one stream that wait for their answer. */
export const streamLinesInFlightMax = 50_000;
/** Records that a request over HTTP may be answered with. */
export const httpRecordsMax = 10_000;
/** Longest wait of a request over HTTP for records. */
export const httpWaitMsMax = 60_000;
/** Rows of one page of a list. */
export const httpPageMax = 1000;
/** Produces of one WebSocket without an answer, and subscriptions that it has. */
export const socketProducesMax = 1024;
export const socketSubscriptionsMax = 16;
/** A silent stream of events says that it is alive so often. */
export const eventPingMs = 15_000;
/** Streams of events, and WebSockets, at a time. */
export const httpStreamsMax = 1024;
assert(jsonBytesMax < batchBytesMax, "the record of a JSON body fits in a batch");
