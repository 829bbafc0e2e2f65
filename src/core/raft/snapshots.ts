// Snapshots: forgetting the log behind one's own, sending it in chunks to whoever is too far
// behind, and starting over from a received one.
//
// A snapshot is durable before the log forgets what it holds, and a received one before the log is
// emptied for it; a start between the two finds the snapshot and judges the log by it.

import { assert } from "../base/assert.ts";
import type { MemberId } from "../base/ids.ts";
import {
  type Index,
  type SnapshotChunk,
  type SnapshotMark,
  type SnapshotReply,
  unknownTerm,
} from "./contract.ts";
import type { Incoming, Machine } from "./machine.ts";
import type { Progress } from "./progress.ts";

/** The state as of `index` is durable. */
export function snapshotSaved(raft: Machine, index: Index, bytes: number): void {
  const { log } = raft;
  if (index <= log.snapshot.index) return;
  assert(index <= raft.applied, "a snapshot holds what was applied");
  assert(bytes > 0, "a snapshot has bytes");
  const term = log.termAt(index);
  assert(term !== undefined, "what was applied since the last snapshot is in memory");
  log.snapshot = { index, term, configuration: log.configurationAt(index), bytes };
  forget(raft);
}

/** Keeps some of the log for members that are a little behind. */
function forget(raft: Machine): void {
  const { log, settings } = raft;
  let upTo = log.snapshot.index;
  for (let bytes = 0; upTo > log.base; upTo -= 1) {
    bytes += raft.bytesAt(upTo);
    if (bytes > settings.limits.keptBytes) break;
  }
  log.compact(upTo);
  raft.out.trim(log.base);
}

export function startSnapshot(raft: Machine, to: MemberId, progress: Progress): void {
  progress.toSnapshot(raft.log.snapshot.index);
  sendChunk(raft, to, progress);
}

function sendChunk(raft: Machine, to: MemberId, progress: Progress): void {
  progress.chunkSentAt = raft.now;
  sayChunk(raft, to, progress.position);
}

/** Anybody may: what a snapshot holds is committed. It goes again when it is asked for again. */
export function sayChunk(raft: Machine, to: MemberId, position: number): void {
  const { snapshot } = raft.log;
  if (!raft.journal.stateDurable) return;
  assert(snapshot.index > 0, "whoever is behind the log is behind a snapshot");
  const chunk = { kind: "snapshot-chunk", ...raft.head(to), snapshot, position } as const;
  raft.out.sendChunk(chunk, raft.settings.limits.chunkBytes);
}

/** With every heartbeat: a chunk that was lost goes again, a newer snapshot starts over. */
export function continueSnapshot(raft: Machine, to: MemberId, progress: Progress): void {
  if (progress.snapshotIndex !== raft.log.snapshot.index) return startSnapshot(raft, to, progress);
  const { electionTimeoutMs } = raft.settings;
  if (raft.now - progress.chunkSentAt >= electionTimeoutMs) sendChunk(raft, to, progress);
}

export function onSnapshotReply(raft: Machine, reply: SnapshotReply): void {
  if (raft.leading === null) {
    const { snapshot } = raft.log;
    const more = snapshot.index === reply.index && reply.position < snapshot.bytes;
    return more ? sayChunk(raft, reply.from, reply.position) : undefined;
  }
  const progress = raft.leading.progress.get(reply.from);
  if (progress === undefined) return;
  if (progress.state !== "snapshot" || progress.snapshotIndex !== reply.index) return;
  if (reply.index !== raft.log.snapshot.index) return startSnapshot(raft, reply.from, progress);
  if (reply.position === progress.position) return;
  progress.position = Math.min(reply.position, raft.log.snapshot.bytes);
  // The last reply is followed by an append-reply, when the snapshot is durable there.
  if (progress.position < raft.log.snapshot.bytes) sendChunk(raft, reply.from, progress);
}

export function onSnapshotChunk(raft: Machine, message: SnapshotChunk): void {
  const { snapshot, chunk, from } = message;
  if (hasAll(raft, snapshot)) return reached(raft, from, snapshot.index);
  const incoming = incomingFor(raft, message);
  if (incoming === null) return;
  const wanted = message.position === incoming.position && chunk.byteLength > 0;
  if (wanted && incoming.position + chunk.byteLength <= snapshot.bytes) {
    incoming.position += chunk.byteLength;
    raft.out.takeChunk(snapshot, message.position, chunk);
  }
  const { position } = incoming;
  raft.send({ kind: "snapshot-reply", ...raft.head(from), index: snapshot.index, position });
}

/** Null: another one is coming in, and its sender has not fallen silent. */
function incomingFor(raft: Machine, { snapshot, from }: SnapshotChunk): Incoming | null {
  const { incoming, now } = raft;
  if (incoming !== null) {
    if (incoming.from === from && incoming.snapshot.index === snapshot.index) {
      incoming.heardAt = now;
      return incoming;
    }
    if (incoming.position === incoming.snapshot.bytes) return null;
    const silent = now - incoming.heardAt >= raft.settings.electionTimeoutMs;
    if (from !== incoming.from && from !== raft.leader && !silent) return null;
  }
  raft.incoming = { snapshot, from, position: 0, heardAt: now };
  return raft.incoming;
}

/** The log has what the snapshot has: then that much is committed. */
function hasAll(raft: Machine, snapshot: SnapshotMark): boolean {
  if (snapshot.index <= raft.applied) return true;
  const { log } = raft;
  if (snapshot.index > log.whole || log.termAt(snapshot.index) !== snapshot.term) return false;
  raft.commitTo(Math.max(raft.commit, snapshot.index));
  return true;
}

function reached(raft: Machine, to: MemberId, index: Index): void {
  const reply = { accepted: true, index, hintIndex: 0, hintTerm: 0 };
  raft.send({ kind: "append-reply", ...raft.head(to), ...reply }, index);
}

/** The received snapshot is durable as a whole. */
export function snapshotInstalled(raft: Machine, index: Index): void {
  const { incoming } = raft;
  if (incoming === null || incoming.snapshot.index !== index) return;
  assert(incoming.position === incoming.snapshot.bytes, "what is installed is whole");
  raft.incoming = null;
  const { snapshot } = incoming;
  if (snapshot.index <= raft.log.snapshot.index) return;
  if (snapshot.index <= raft.applied) raft.log.snapshot = snapshot;
  else startOver(raft, snapshot);
  forget(raft);
  if (raft.leader !== null && raft.leader !== raft.self) reached(raft, raft.leader, snapshot.index);
}

/** The carrier found that the received snapshot is no good. */
export function snapshotRefused(raft: Machine, index: Index): void {
  if (raft.incoming?.snapshot.index === index) raft.incoming = null;
}

function startOver(raft: Machine, snapshot: SnapshotMark): void {
  const { log, journal } = raft;
  if (raft.role !== "follower") raft.toFollower(raft.term, null);
  const here = log.termAt(snapshot.index);
  if (here === snapshot.term || here === unknownTerm) {
    // What lies behind may be acknowledged, and stays.
    if (here === unknownTerm) log.doubt(snapshot.index + 1);
    log.snapshot = snapshot;
    log.compact(snapshot.index);
    log.baseTerm = snapshot.term;
    journal.covered(snapshot.index);
  } else {
    log.reset(snapshot);
    journal.emptied(snapshot.index, snapshot.term);
  }
  raft.commit = Math.max(raft.commit, snapshot.index);
  raft.applied = snapshot.index;
  raft.out.restore(snapshot);
  raft.applyCommitted();
}
