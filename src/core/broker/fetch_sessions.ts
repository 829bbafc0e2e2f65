// Fetch sessions (KIP-227): the partitions that a client fetches again and again, remembered so that
// it names only what changed.
//
// A session belongs to no connection and outlives the one that made it, as in Kafka: a client may go
// on with it over another one. What the sessions hold is bounded by their number and by partitions;
// where there is no room, the client goes on without a session, and one that was idle for two
// minutes makes room.

import { noTopicId, type PartitionIndex, type TopicId } from "../base/ids.ts";
import {
  fetchSessionIdleMs,
  fetchSessionPartitionsMax,
  fetchSessionsPartitionsMax,
  topicNameMax,
} from "../base/limits.ts";
import type { Random } from "../base/random.ts";

/** One partition of a fetch; in a session it lives as long as the session. */
export class FetchPart {
  readonly name: string;
  readonly id: TopicId;
  readonly partition: PartitionIndex;
  fetchOffset = 0;
  bytesMax = 0;
  currentLeaderEpoch = -1;
  lastFetchedEpoch = -1;
  /** -1 = unknown topic or partition. */
  slot = -1;
  code = 0;
  highWatermark = -1;
  logStart = -1;
  divergingEpoch = -1;
  divergingEnd = -1;
  /** Set from a read to the end of its step. */
  records: Uint8Array | null = null;
  /** What a session told last; -2 = nothing yet. */
  toldHighWatermark = -2;
  toldLogStart = -2;

  constructor(name: string, id: TopicId, partition: PartitionIndex) {
    this.name = name;
    this.id = id;
    this.partition = partition;
  }
}

export function partKey(name: string, id: TopicId, partition: PartitionIndex): string {
  return id === noTopicId ? `${partition}/${name}` : `${partition}#${id}`;
}

export class FetchSession {
  readonly id: number;
  epoch = 1;
  lastUsed = 0;
  /** A fetch of it is under way and writes what it finds into the parts. */
  busy = false;
  readonly parts = new Map<string, FetchPart>();
  constructor(id: number) {
    this.id = id;
  }

  /** Partitions that had records go to the end, so that a byte limit starves nobody. */
  rotate(parts: readonly FetchPart[]): void {
    for (const part of parts) {
      if (part.records === null || part.records.byteLength === 0) continue;
      const key = partKey(part.name, part.id, part.partition);
      if (this.parts.delete(key)) this.parts.set(key, part);
    }
  }
}

export class FetchSessions {
  readonly #random: Random;
  readonly #slots: number;
  /** The one that was not used for longest comes first. */
  readonly #sessions = new Map<number, FetchSession>();
  /** Of all sessions. */
  #partitions = 0;

  constructor(random: Random, slots: number) {
    this.#random = random;
    this.#slots = slots;
  }

  get partitions(): number {
    return this.#partitions;
  }

  get(id: number): FetchSession | undefined {
    return this.#sessions.get(id);
  }

  /** A new session, or null where there is no room: the client then goes on without one. */
  open(parts: readonly FetchPart[], now: number): FetchSession | null {
    if (parts.length === 0 || parts.length > fetchSessionPartitionsMax) return null;
    // Only a topic that cannot exist has a longer name.
    if (parts.some((part) => part.name.length > topicNameMax)) return null;
    while (this.#isFull(parts.length)) if (!this.#evict(now)) return null;
    let id = 0;
    while (id === 0 || this.#sessions.has(id)) id = this.#random.below(0x7fffffff);
    const session = new FetchSession(id);
    for (const part of parts) session.parts.set(partKey(part.name, part.id, part.partition), part);
    session.lastUsed = now;
    this.#sessions.set(id, session);
    this.#partitions += parts.length;
    return session;
  }

  /**
   * The next fetch of the session begins: `change` adds and removes partitions. False: they have
   * become more than there is room for, and the session is gone.
   */
  advance(session: FetchSession, now: number, change: (session: FetchSession) => boolean): boolean {
    session.epoch = session.epoch === 0x7fffffff ? 1 : session.epoch + 1;
    session.lastUsed = now;
    this.#sessions.delete(session.id);
    this.#partitions -= session.parts.size;
    const count = change(session) ? session.parts.size : Number.MAX_SAFE_INTEGER;
    if (count > fetchSessionPartitionsMax) return false;
    while (this.#isFull(count)) if (!this.#evict(now)) return false;
    this.#sessions.set(session.id, session);
    this.#partitions += count;
    return true;
  }

  close(id: number): void {
    const session = this.#sessions.get(id);
    if (session === undefined) return;
    this.#sessions.delete(id);
    this.#partitions -= session.parts.size;
  }

  /** No room for one more session of so many partitions. */
  #isFull(partitions: number): boolean {
    return (
      this.#sessions.size >= this.#slots ||
      this.#partitions + partitions > fetchSessionsPartitionsMax
    );
  }

  #evict(now: number): boolean {
    for (const session of this.#sessions.values()) {
      if (now - session.lastUsed < fetchSessionIdleMs) return false;
      this.close(session.id);
      return true;
    }
    return false;
  }
}
