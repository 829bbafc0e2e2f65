// Sends records: one and its place, then many, which share batches.
//
//   bun produce.ts 127.0.0.1:9092

import { Client, KafkaError } from "../client.ts";

const [address = "127.0.0.1:9092"] = process.argv.slice(2);
await using client = new Client({ bootstrap: [address] });

try {
  await client.admin.createTopic({ name: "orders", partitions: 3 });
} catch (error) {
  // Somebody made it before.
  if (!(error instanceof KafkaError && error.codeName === "TOPIC_ALREADY_EXISTS")) throw error;
}

const producer = client.producer({ compression: "zstd" });
const order = { id: 1, item: "tea" };
const { partition, offset } = await producer.send({
  topic: "orders",
  key: "customer-42",
  value: JSON.stringify(order),
  headers: Object.entries({ source: "example" }),
});
console.log(`order 1 is record ${offset} of partition ${partition}`);

let refused = 0;
for (let id = 2; id <= 1000; id += 1) {
  const value = JSON.stringify({ id, item: "tea" });
  producer.enqueue({ topic: "orders", key: `customer-${id % 100}`, value }, (error) => {
    if (error !== null) refused += 1;
  });
  await producer.room();
}
await producer.flush();
console.log(`999 more, ${refused} of them refused`);
