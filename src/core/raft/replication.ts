// How the log gets from the leader to the others, and what is committed: appends, their replies,
// heartbeats.
//
// A leader counts what a member says is durable there, its own disk included, and commits by
// counting entries of its own term only (Raft, figure 8).

import { assert } from "../base/assert.ts";
import type { MemberId } from "../base/ids.ts";
import {
  type Append,
  type AppendReply,
  type Entry,
  type Heartbeat,
  type HeartbeatReply,
  type Index,
  unknownTerm,
} from "./contract.ts";
import { entryBytes } from "./log.ts";
import { type Leading, type Machine, waitingOf } from "./machine.ts";
import type { Progress } from "./progress.ts";
import { reachedByQuorum } from "./quorum.ts";
import { mend } from "./repair.ts";
import { continueSnapshot, startSnapshot } from "./snapshots.ts";

/** A new leader's entry commits what it found. */
export function leadFirst(raft: Machine): void {
  raft.appendOwn({ kind: "no-op", index: raft.log.last + 1, term: raft.term });
  heartbeatAll(raft);
}

export function propose(raft: Machine, request: number, payload: Uint8Array): void {
  const { leading, log, settings } = raft;
  if (leading === null) return raft.refuse(request, "not-leader");
  if (leading.transfer !== null) return raft.refuse(request, "transfer");
  const entry: Entry = { kind: "command", index: log.last + 1, term: raft.term, payload };
  const { requestsMax, uncommittedBytesMax } = settings.limits;
  const full = leading.uncommittedBytes + entryBytes(entry) > uncommittedBytesMax;
  if (waitingOf(leading) >= requestsMax || (full && leading.uncommittedBytes > 0))
    return raft.refuse(request, "busy");
  leading.requests.set(entry.index, request);
  raft.appendOwn(entry);
}

/** To every member what it has room for, and word of what is committed. */
export function sendAll(raft: Machine, leading: Leading): void {
  for (const [member, progress] of leading.progress) {
    sendTo(raft, member, progress);
    const idle = progress.state === "replicate" && progress.match === raft.log.last;
    if (idle && progress.told < raft.commit) sendAppend(raft, member, progress, false);
  }
}

function sendTo(raft: Machine, member: MemberId, progress: Progress): void {
  switch (progress.state) {
    case "snapshot":
      return;
    case "probe":
      if (!progress.waits) progress.waits = sendAppend(raft, member, progress, true);
      return;
    case "replicate":
      while (hasRoom(raft, progress) && progress.next <= raft.log.last)
        if (!sendAppend(raft, member, progress, true)) return;
      return;
  }
}

function hasRoom(raft: Machine, progress: Progress): boolean {
  const { inflightMax, inflightBytesMax } = raft.settings.limits;
  return progress.inFlight.length < inflightMax && progress.inFlightBytes < inflightBytesMax;
}

/** False: the log does not reach back so far, and a snapshot goes instead. */
function sendAppend(raft: Machine, to: MemberId, progress: Progress, full: boolean): boolean {
  const entries = full ? raft.log.slice(progress.next, raft.settings.limits.appendBytes) : [];
  if (!sayAppend(raft, to, progress.next, entries)) {
    startSnapshot(raft, to, progress);
    return false;
  }
  progress.told = raft.commit;
  const last = entries[entries.length - 1];
  if (progress.state === "replicate" && last !== undefined) {
    let bytes = 0;
    for (const entry of entries) bytes += entryBytes(entry);
    progress.sent(last.index, bytes);
  }
  return true;
}

/** False: nothing is known of the entry before. */
function sayAppend(raft: Machine, to: MemberId, next: Index, entries: readonly Entry[]): boolean {
  const prevTerm = raft.log.termAt(next - 1);
  if (prevTerm === undefined) return false;
  const places = { prevIndex: next - 1, prevTerm, commit: raft.commit };
  raft.send({ kind: "append", ...raft.head(to), ...places, entries });
  return true;
}

/** A member asks for an entry that is damaged there: it comes with what proves it. */
export function resend(raft: Machine, to: MemberId, index: Index): void {
  const progress = raft.leading?.progress.get(to);
  if (progress === undefined || index > raft.log.last) return;
  const entries = raft.log.slice(index, raft.settings.limits.appendBytes);
  if (!sayAppend(raft, to, index, entries) && progress.state !== "snapshot")
    startSnapshot(raft, to, progress);
}

export function onAppend(raft: Machine, message: Append): void {
  const { log } = raft;
  const { from, prevIndex, entries } = message;
  // What is committed is as the leader has it.
  if (prevIndex < log.base) return accept(raft, from, Math.min(raft.commit, log.whole));
  if (log.termAt(prevIndex) !== message.prevTerm || prevIndex > log.whole)
    return refuse(raft, message);
  const matches = take(raft, prevIndex, entries);
  accept(raft, from, matches);
  raft.commitTo(Math.max(raft.commit, Math.min(message.commit, matches)));
}

/**
 * Takes what is new, and says up to where the log is whole and as the leader has it. Only a conflict
 * cuts: an append may be late, and shorter than the log.
 */
function take(raft: Machine, prevIndex: Index, entries: readonly Entry[]): Index {
  const { log, journal } = raft;
  let matches = prevIndex;
  for (const entry of entries) {
    const { index } = entry;
    if (index !== matches + 1) return matches;
    const here = log.at(index);
    if (here === undefined || conflicts(raft, here, entry)) {
      if (here !== undefined) log.cutFrom(index);
      log.append(entry);
      journal.changed(index);
    } else if (here.kind === "damaged" ? !mend(raft, entry, entries) : here.term !== entry.term) {
      return matches;
    }
    matches = index;
  }
  return matches;
}

/** A damaged entry of a lost term conflicts with nothing, unless nothing lies behind it. */
function conflicts({ log, commit }: Machine, here: Entry, entry: Entry): boolean {
  if (here.term === entry.term || here.index <= commit) return false;
  return here.term !== unknownTerm || here.index === log.last;
}

function accept(raft: Machine, to: MemberId, index: Index): void {
  const reply = { accepted: true, index, hintIndex: 0, hintTerm: 0 };
  raft.send({ kind: "append-reply", ...raft.head(to), ...reply }, index);
}

function refuse(raft: Machine, { from, prevIndex, prevTerm }: Append): void {
  const { log } = raft;
  const hint = log.agreement(Math.min(prevIndex, log.whole), prevTerm);
  const reply = { accepted: false, index: prevIndex, hintIndex: hint.index, hintTerm: hint.term };
  raft.send({ kind: "append-reply", ...raft.head(from), ...reply });
}

export function onAppendReply(raft: Machine, reply: AppendReply): void {
  const progress = heard(raft, reply.from);
  if (progress === null || reply.index > raft.log.last) return;
  if (!reply.accepted) return refused(raft, reply, progress);
  progress.accepted(reply.index);
  if (progress.state === "probe") progress.toReplicate();
  if (progress.state === "snapshot" && progress.match >= raft.log.base) progress.toProbe();
  advance(raft);
}

function refused(raft: Machine, reply: AppendReply, progress: Progress): void {
  // Late; or it is damaged there, and the member asks for it by itself.
  if (reply.index <= progress.match) return;
  switch (progress.state) {
    case "snapshot":
      return;
    case "replicate":
      return progress.toProbe();
    case "probe": {
      if (reply.index !== progress.next - 1) return;
      const { hintIndex, hintTerm } = reply;
      const { index } = raft.log.agreement(hintIndex, hintTerm);
      progress.next = Math.max(progress.match, Math.min(index, hintIndex, reply.index - 1)) + 1;
      progress.waits = false;
    }
  }
}

/** Notes that a member lives. Null: this is no leader, or that is no member. */
export function heard(raft: Machine, from: MemberId): Progress | null {
  const progress = raft.leading?.progress.get(from) ?? null;
  if (progress !== null) progress.active = true;
  return progress;
}

/** Commits what a quorum has, its own disk counted like any other. */
export function advance(raft: Machine): void {
  const { leading, log, journal } = raft;
  if (leading === null) return;
  const reached = reachedByQuorum(log.configuration, (member) =>
    member === raft.self ? journal.stable : (leading.progress.get(member)?.match ?? 0),
  );
  if (reached > raft.commit && log.termAt(reached) === raft.term) raft.commitTo(reached);
}

export function heartbeatAll(raft: Machine): void {
  const { leading } = raft;
  assert(leading !== null, "a leader sends heartbeats");
  leading.round += 1;
  leading.heartbeatAt = raft.now + raft.settings.heartbeatMs;
  const { round } = leading;
  for (const [to, progress] of leading.progress) {
    const commit = Math.min(raft.commit, progress.match);
    raft.send({ kind: "heartbeat", ...raft.head(to), commit, round });
    if (progress.state === "snapshot") continueSnapshot(raft, to, progress);
  }
}

export function onHeartbeat(raft: Machine, message: Heartbeat): void {
  const { from, commit, round } = message;
  raft.commitTo(Math.max(raft.commit, Math.min(commit, raft.log.whole)));
  raft.send({ kind: "heartbeat-reply", ...raft.head(from), round });
}

export function onHeartbeatReply(raft: Machine, reply: HeartbeatReply): void {
  const progress = heard(raft, reply.from);
  if (progress === null) return;
  progress.round = Math.max(progress.round, reply.round);
  progress.waits = false;
  // What was on its way may be lost: an empty append finds out.
  if (progress.state === "replicate" && progress.match < raft.log.last)
    sendAppend(raft, reply.from, progress, false);
}
