// The cluster and its nodes over HTTP.

import { type Static, Type } from "@sinclair/typebox";
import type { DescribeClusterResponse } from "../../../proto/kafka/60_describe_cluster.ts";
import type { Bridge } from "./bridge.ts";
import { Problem } from "./problems.ts";
import { json, noQuery, param, type Route, route } from "./routes.ts";
import { nodeSchema } from "./schemas.ts";

const tag = "Cluster";
const brokers = 1;

const nodeRow = Type.Object({
  node: nodeSchema,
  host: Type.String(),
  port: Type.Integer({ description: "Where Kafka clients find it." }),
  rack: Type.Union([Type.String(), Type.Null()]),
  fenced: Type.Boolean(),
});
const clusterSchema = Type.Object({
  clusterId: Type.String(),
  version: Type.String(),
  controller: nodeSchema,
  nodes: Type.Integer(),
  topics: Type.Integer(),
  partitions: Type.Integer(),
  metadataIndex: Type.Integer({ description: "Position in the metadata log." }),
});

function describe(bridge: Bridge): Promise<DescribeClusterResponse> {
  return bridge.ask("DescribeCluster", {
    includeClusterAuthorizedOperations: false,
    endpointType: brokers,
    includeFencedBrokers: true,
  });
}

function rowsOf(cluster: DescribeClusterResponse): readonly Static<typeof nodeRow>[] {
  return cluster.brokers.map(({ brokerId, host, port, rack, isFenced }) => ({
    node: brokerId,
    host,
    port,
    rack,
    fenced: isFenced,
  }));
}

export function clusterRoutes(bridge: Bridge): readonly Route[] {
  return [
    route(
      "GET",
      "/v1/cluster",
      noQuery,
      {
        tag,
        summary: "Describe the cluster",
        answers: {
          200: { description: "The cluster.", content: { "application/json": clusterSchema } },
        },
      },
      async () => {
        const cluster = await describe(bridge);
        const { image, settings } = bridge.host.node.broker;
        return json({
          clusterId: cluster.clusterId,
          version: settings.version,
          controller: cluster.controllerId,
          nodes: cluster.brokers.length,
          topics: image.topicCount,
          partitions: image.partitionCount,
          metadataIndex: image.index,
        });
      },
    ),
    route(
      "GET",
      "/v1/nodes",
      noQuery,
      {
        tag,
        summary: "List the nodes",
        answers: {
          200: {
            description: "The nodes.",
            content: { "application/json": Type.Object({ items: Type.Array(nodeRow) }) },
          },
        },
      },
      async () => json({ items: rowsOf(await describe(bridge)) }),
    ),
    route(
      "GET",
      "/v1/nodes/:node",
      noQuery,
      {
        tag,
        summary: "Describe a node",
        answers: { 200: { description: "The node.", content: { "application/json": nodeRow } } },
        problems: [404],
      },
      async (exchange) => {
        const asked = param(exchange, "node");
        const found = rowsOf(await describe(bridge)).find(({ node }) => String(node) === asked);
        if (found !== undefined) return json(found);
        throw new Problem("not-found", `there is no node ${asked}. GET /v1/nodes lists them.`);
      },
    ),
  ];
}
