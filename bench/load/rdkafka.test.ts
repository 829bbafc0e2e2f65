import { describe, expect, test } from "bun:test";
import { consumedIn } from "./rdkafka.ts";

describe("rdkafka_performance", () => {
  test("rdkafka_performance: the newest interval line counts, before the first nothing is read", () => {
    expect(consumedIn("% Waiting for group rebalance\n")).toEqual({ records: 0, seconds: 0 });
    const log = [
      "% 82820 messages (8282000 bytes) consumed in 3247ms: 25503 msgs/s (2.55 MB/s)",
      "% 100000 messages (10000000 bytes) consumed in 6131ms: 16310 msgs/s (1.63 MB/s)",
    ];
    expect(consumedIn(log.join("\n"))).toEqual({ records: 100_000, seconds: 6.131 });
  });
});
