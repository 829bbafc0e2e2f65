// ApiVersions (18), v0-5: the ranges of every API that has a table and a file here, before anything
// else and before authentication. A version that is not known is answered in v0 form with error 35
// and the range of ApiVersions itself (the server decodes such a request as v0).
//
// Refusals: 35; 42 a client name or version outside Kafka's pattern, or only one of cluster id and
// node id (KIP-1242); 129 the client wanted another cluster or node.

import type {
  ApiVersionsRequest,
  ApiVersionsResponse,
} from "../../../proto/kafka/18_api_versions.ts";
import { ErrorCode } from "../base/error_code.ts";
import { none } from "../base/ids.ts";
import type { Call } from "../base/node_contract.ts";
import { type Broker, entry } from "./broker.ts";

/** KIP-511: what a client may call itself. */
const softwareName = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/;
const newest = 5;

/** `version` above the newest: asked in a layout that we do not know. */
function plan(broker: Broker, call: Call<ApiVersionsRequest, ApiVersionsResponse>): void {
  const { ranges } = broker;
  if (call.version > newest) {
    return broker.reply(
      call,
      response(
        ErrorCode.UNSUPPORTED_VERSION,
        ranges.filter((range) => range.apiKey === 18),
      ),
    );
  }
  broker.reply(call, response(judge(broker, call), ranges));
}

function judge(broker: Broker, call: Call<ApiVersionsRequest, ApiVersionsResponse>): number {
  const { request, version } = call;
  if (version >= 3 && !softwareName.test(request.clientSoftwareName))
    return ErrorCode.INVALID_REQUEST;
  if (version >= 3 && !softwareName.test(request.clientSoftwareVersion))
    return ErrorCode.INVALID_REQUEST;
  if (version < 5) return ErrorCode.NONE;
  if ((request.clusterId === null) !== (request.nodeId === none)) return ErrorCode.INVALID_REQUEST;
  if (request.clusterId === null) return ErrorCode.NONE;
  const ours =
    request.clusterId === broker.settings.clusterId && request.nodeId === broker.settings.nodeId;
  return ours ? ErrorCode.NONE : ErrorCode.REBOOTSTRAP_REQUIRED;
}

function response(errorCode: number, apiKeys: ApiVersionsResponse["apiKeys"]): ApiVersionsResponse {
  return {
    errorCode,
    apiKeys,
    throttleTimeMs: 0,
    supportedFeatures: [],
    finalizedFeaturesEpoch: -1,
    finalizedFeatures: [],
    zkMigrationReady: false,
  };
}

export const apiVersions = entry<ApiVersionsRequest, ApiVersionsResponse>("ApiVersions", plan);
