// InitProducerId (22), v0-5: a producer id for the idempotent producer. As in Kafka every call gets
// a new id at epoch 0, whatever id the producer names: without a transactional id nobody could be
// fenced by an epoch. Transactions are not offered yet, and the code says so.
//
// Refusals: 14 no block of ids in time (retriable), 35 with a transactional id, 42 one of producer
// id and epoch without the other.

import type {
  InitProducerIdRequest,
  InitProducerIdResponse,
} from "../../../proto/kafka/22_init_producer_id.ts";
import { ErrorCode } from "../base/error_code.ts";
import { none, type None, type ProducerId } from "../base/ids.ts";
import type { Call } from "../base/node_contract.ts";
import { type Broker, entry } from "./broker.ts";
import { producerIdsOf } from "./producer_ids.ts";

const noEpoch = -1;

function plan(broker: Broker, call: Call<InitProducerIdRequest, InitProducerIdResponse>): void {
  const reply = (errorCode: number, producerId: ProducerId | None, producerEpoch: number): void => {
    broker.reply(call, { throttleTimeMs: 0, errorCode, producerId, producerEpoch });
  };
  const { transactionalId, producerId, producerEpoch } = call.request;
  if (transactionalId === "") return reply(ErrorCode.INVALID_REQUEST, none, noEpoch);
  if (transactionalId !== null) return reply(ErrorCode.UNSUPPORTED_VERSION, none, noEpoch);
  if (producerId < 0 !== producerEpoch < 0) return reply(ErrorCode.INVALID_REQUEST, none, noEpoch);
  producerIdsOf(broker).take((id) => {
    if (id === null) return reply(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, none, noEpoch);
    reply(ErrorCode.NONE, id, 0);
  });
}

export const initProducerId = entry("InitProducerId", plan);
