// InitProducerId (22): a producer id, fresh or with its epoch bumped (KIP-98, KIP-360). v2
// flexible; v3 the producer says which id and epoch it has; v4 error 90. v6 (two-phase commit,
// KIP-939) is unstable in Kafka 4.4 and not spoken.

import {
  type RequestOf,
  type ResponseOf,
  api,
  int16,
  int32,
  producerId,
  string,
} from "../schema.ts";

export const InitProducerId = api("InitProducerId", {
  key: 22,
  versions: [0, 5],
  flexible: 2,
  request: {
    /** Null: idempotent only. */
    transactionalId: string.nullable(),
    /** An idle transaction is aborted after it; means nothing without a transactional id. */
    transactionTimeoutMs: int32,
    /** The id that the producer has; -1 = none. */
    producerId: producerId.since(3).default(-1),
    /** The epoch that the producer has; -1 = none. */
    producerEpoch: int16.since(3).default(-1),
  },
  response: {
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32,
    /**
     * 0, or: 14, 15, 16 coordinator loading, absent, elsewhere; 31, 53 not authorised; 35
     * transactions not served; 42 id without epoch or the reverse; 47, 90 the epoch is stale (90
     * from v4 on); 49 the id is another's; 50 timeout out of range; 51 an older transaction is
     * still ending.
     */
    errorCode: int16,
    /** -1 on error. */
    producerId: producerId.default(-1),
    /** -1 on error. */
    producerEpoch: int16,
  },
});
export type InitProducerIdRequest = RequestOf<typeof InitProducerId>;
export type InitProducerIdResponse = ResponseOf<typeof InitProducerId>;
