// FindCoordinator (10), v0-6: which node coordinates a group. v4+ many keys at once. The first one
// creates the topic that keeps the groups, and waits for it. Key type 0 = group, 1 = transactional id,
// 2 = share group (v6); types 1 and 2 are features that are off.
//
// Refusals per key: 15 the topic cannot be created now; 35 a feature that is off; 42 unknown key type.

import type {
  FindCoordinatorRequest,
  FindCoordinatorResponse,
} from "../../../proto/kafka/10_find_coordinator.ts";
import { ErrorCode } from "../base/error_code.ts";
import { none, nodeId, type NodeId, type None } from "../base/ids.ts";
import type { Call } from "../base/node_contract.ts";
import { type Broker, entry } from "./broker.ts";

const manyKeysSince = 4;
const shareGroupsSince = 6;
/** What the field holds in versions that lack it. */
const absentNode = nodeId(0);
const KeyType = { group: 0, transaction: 1, share: 2 } as const;

type FindCall = Call<FindCoordinatorRequest, FindCoordinatorResponse>;
type Answer = FindCoordinatorResponse["coordinators"][number];

function plan(broker: Broker, call: FindCall): void {
  // A key that is named twice is answered once: the answer to one is much longer than the key.
  const keys =
    call.version >= manyKeysSince ? [...new Set(call.request.coordinatorKeys)] : [call.request.key];
  const reply = (answers: readonly Answer[]): void =>
    broker.reply(call, response(call.version, answers));
  const refusal = keyTypeRefusal(call);
  if (refusal !== null)
    return reply(keys.map((key) => refused(key, refusal.code, refusal.message)));
  broker.groups.whenTopicExists((code) => {
    reply(
      keys.map((key) =>
        code === ErrorCode.NONE
          ? find(broker, call, key)
          : refused(key, code, "the topic of the groups is not there yet"),
      ),
    );
  });
}

function keyTypeRefusal(
  call: FindCall,
): { readonly code: number; readonly message: string } | null {
  switch (call.request.keyType) {
    case KeyType.group:
      return null;
    case KeyType.transaction:
      return { code: ErrorCode.UNSUPPORTED_VERSION, message: "transactions are not enabled" };
    case KeyType.share:
      if (call.version >= shareGroupsSince)
        return { code: ErrorCode.UNSUPPORTED_VERSION, message: "share groups are not enabled" };
      break;
    default:
      break;
  }
  return { code: ErrorCode.INVALID_REQUEST, message: "unknown key type" };
}

/** The leader of the partition that keeps the group, under the address that the client can use. */
function find(broker: Broker, call: FindCall, key: string): Answer {
  const slot = broker.groups.slotOf(key);
  const leader = slot === undefined ? undefined : broker.image.leaderOf(slot);
  if (leader === undefined)
    return refused(key, ErrorCode.COORDINATOR_NOT_AVAILABLE, "the group has no coordinator now");
  if (leader === broker.settings.nodeId)
    return answer(key, leader, call.host, call.port, ErrorCode.NONE, null);
  const node = broker.image.nodeOf(leader);
  if (node === undefined)
    return refused(key, ErrorCode.COORDINATOR_NOT_AVAILABLE, "the group has no coordinator now");
  return answer(key, leader, node.host, node.port, ErrorCode.NONE, null);
}

function refused(key: string, code: number, message: string): Answer {
  return answer(key, none, "", -1, code, message);
}

function answer(
  key: string,
  node: NodeId | None,
  host: string,
  port: number,
  errorCode: number,
  errorMessage: string | null,
): Answer {
  return { key, nodeId: node, host, port, errorCode, errorMessage };
}

function response(version: number, answers: readonly Answer[]): FindCoordinatorResponse {
  const [first] = answers;
  const many = version >= manyKeysSince;
  return {
    throttleTimeMs: 0,
    errorCode: many ? ErrorCode.NONE : (first?.errorCode ?? ErrorCode.NONE),
    errorMessage: many ? null : (first?.errorMessage ?? null),
    nodeId: many ? absentNode : (first?.nodeId ?? none),
    host: many ? "" : (first?.host ?? ""),
    port: many ? 0 : (first?.port ?? 0),
    coordinators: many ? answers : [],
  };
}

export const findCoordinator = entry<FindCoordinatorRequest, FindCoordinatorResponse>(
  "FindCoordinator",
  plan,
);
