// Records as server-sent events (WHATWG HTML 9.2). Each event's id is the position behind it in all
// partitions, so that a client that comes back with its last id loses nothing and sees nothing twice.

import { partitionIndex } from "../../core/base/ids.ts";
import { eventPingMs, httpRecordsMax, httpStreamsMax } from "../../core/base/limits.ts";
import type { Topic } from "../../core/cluster/cluster.ts";
import type { Bridge } from "./bridge.ts";
import { Poll, type Positions, textOfPositions } from "./poll.ts";
import { busy, Problem } from "./problems.ts";
import { type Formats, viewOf } from "./record_view.ts";

interface Asked {
  readonly positions: Positions;
  readonly maxBytes: number;
  readonly clamp: boolean;
  /** All partitions, those that are added later among them. */
  readonly whole: boolean;
  readonly formats: Formats;
}

const encoder = new TextEncoder();

export function streamEvents(bridge: Bridge, topic: Topic, asked: Asked): Response {
  if (bridge.streams.size >= httpStreamsMax) throw busy();
  const { positions } = asked;
  const poll = new Poll(bridge, topic, positions, asked.maxBytes, asked.clamp);
  // Pings find out whether the client is there.
  const running = { end: () => poll.stop(), lastActive: null, giveUp: () => poll.stop() };
  bridge.streams.add(running);
  const over = (): void => {
    bridge.streams.delete(running);
    poll.stop();
  };
  // The position is told before anything comes, so that a client that saw no record yet can come back.
  let first = true;
  const body = new ReadableStream({
    async pull(controller) {
      const say = (text: string): void => controller.enqueue(encoder.encode(text));
      if (first) {
        first = false;
        return say(`event: position\nid: ${textOfPositions(positions)}\ndata: {}\n\n`);
      }
      try {
        if (asked.whole) follow(bridge, topic, positions);
        const text = await events(poll, asked.formats);
        say(text === "" ? "event: ping\ndata: {}\n\n" : text);
      } catch (error) {
        over();
        // The node stops, or the client left: it comes back with its last id.
        if (error instanceof Problem && error.slug !== "shutting-down")
          say(`event: error\ndata: ${JSON.stringify(error.body())}\n\n`);
        controller.close();
        if (!(error instanceof Problem)) throw error;
      }
    },
    cancel: over,
  });
  return new Response(body, {
    headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
  });
}

/** Partitions that came since are read from their beginning. */
function follow(bridge: Bridge, topic: Topic, positions: Positions): void {
  const now = bridge.topic(topic.name);
  if (now === undefined || now.id !== topic.id) return;
  for (let i = positions.size; i < now.slots.length; i += 1) positions.set(partitionIndex(i), 0);
}

async function events(poll: Poll, formats: Formats): Promise<string> {
  let text = "";
  await poll.next(httpRecordsMax, eventPingMs, (partition, record) => {
    const id = textOfPositions(poll.positions);
    text += `event: record\nid: ${id}\ndata: ${viewOf(partition, record, formats)}\n\n`;
  });
  return text;
}
