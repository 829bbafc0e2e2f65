// How far every consumer group is behind.
//
//   bun lag.ts 127.0.0.1:9092

import { Client } from "../client.ts";

const [address = "127.0.0.1:9092"] = process.argv.slice(2);
await using client = new Client({ bootstrap: [address] });

const { nodes, topics } = await client.admin.cluster();
console.log(`${nodes.length} nodes, ${topics.filter(({ internal }) => !internal).length} topics`);
for (const { group, state } of await client.admin.groups.list()) {
  const partitions = await client.admin.groups.lag(group);
  const behind = partitions.reduce((sum, { lag }) => sum + lag, 0);
  console.log(`${group} (${state}) is ${behind} records behind`);
}
