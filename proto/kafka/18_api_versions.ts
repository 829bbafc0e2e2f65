// ApiVersions (18): what this node speaks; comes before everything else. v3 flexible, client name,
// features; v5 the client says whom it wants to reach (KIP-1242). Its response header is always v0,
// and an unknown version is answered in v0 form with error 35 and the ranges.

import {
  type RequestOf,
  type ResponseOf,
  api,
  array,
  bool,
  int16,
  int32,
  int64,
  nodeId,
  string,
} from "../schema.ts";

export const ApiVersions = api("ApiVersions", {
  key: 18,
  versions: [0, 5],
  flexible: 3,
  request: {
    /** Letters, digits, "-" and "."; starts and ends with a letter or digit. */
    clientSoftwareName: string.since(3).ignorable(),
    clientSoftwareVersion: string.since(3).ignorable(),
    /**
     * The cluster that the client wants; null = any. Given together with `nodeId` or not at all.
     */
    clusterId: string.since(5).nullable(5).ignorable(),
    /** The node that the client wants; -1 = any. */
    nodeId: nodeId.since(5).default(-1).ignorable(),
  },
  response: {
    /** 0, or: 35 version unknown; 42 bad client name, or half of v5's pair; 129 not us. */
    errorCode: int16,
    apiKeys: array({ apiKey: int16, minVersion: int16, maxVersion: int16 }),
    /** How long the client is muted for its quota. */
    throttleTimeMs: int32.since(1).ignorable(),
    /** Features that this node can do. Below v4 none of minimum 0: old Java parsers throw. */
    supportedFeatures: array({ name: string, minVersion: int16, maxVersion: int16 })
      .since(3)
      .tag(0)
      .ignorable(),
    /** Grows with every change of the finalized features; -1 = unknown. */
    finalizedFeaturesEpoch: int64.since(3).default(-1).tag(1).ignorable(),
    /** Features that the whole cluster uses. */
    finalizedFeatures: array({ name: string, maxVersionLevel: int16, minVersionLevel: int16 })
      .since(3)
      .tag(2)
      .ignorable(),
    /** Always false: there is no ZooKeeper to move from. */
    zkMigrationReady: bool.since(3).tag(3).ignorable(),
  },
});
export type ApiVersionsRequest = RequestOf<typeof ApiVersions>;
export type ApiVersionsResponse = ResponseOf<typeof ApiVersions>;
