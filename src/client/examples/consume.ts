// Reads a topic from its first record to the end that it has now.
//
//   bun consume.ts 127.0.0.1:9092

import { Client } from "../client.ts";

const [address = "127.0.0.1:9092"] = process.argv.slice(2);
await using client = new Client({ bootstrap: [address] });

const decoder = new TextDecoder();
let count = 0;
for await (const batch of client.consumer([{ topic: "orders" }], { untilEnd: true })) {
  count += batch.records.length;
  const [first] = batch.records;
  const text = first?.value ? decoder.decode(first.value) : "";
  console.log(`${batch.partition}@${first?.offset} ${text}`);
}
console.log(`${count} records`);
