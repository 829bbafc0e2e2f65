// Heartbeat (12), v0-4: a member of a classic group is alive, and learns of a rebalance.
//
// Refusals: 14, 15, 16, 22 wrong generation, 24 group id empty, 25 unknown member, 27 join again, 82
// fenced static member.

import type { HeartbeatRequest, HeartbeatResponse } from "../../../proto/kafka/12_heartbeat.ts";
import type { Call } from "../base/node_contract.ts";
import { type Broker, entry } from "./broker.ts";

function plan(broker: Broker, call: Call<HeartbeatRequest, HeartbeatResponse>): void {
  const { groupId, generationId, memberId, groupInstanceId } = call.request;
  const heartbeat = { groupId, generation: generationId, memberId, instanceId: groupInstanceId };
  broker.groups.ask(
    groupId,
    (shard, turn) => shard.heartbeat(turn, heartbeat),
    (code, answer) => broker.reply(call, { throttleTimeMs: 0, errorCode: answer ?? code }),
  );
}

export const heartbeat = entry<HeartbeatRequest, HeartbeatResponse>("Heartbeat", plan);
