// A damaged entry is neither there nor absent. Its member does not lead, grants votes only to logs
// that reach as far as its own did, acknowledges nothing behind the damage, and gets the entry back
// from whoever has it (protocol-aware recovery, Alagappan et al., FAST 2018).
//
//   a leader is known    it sends the entry again, or a snapshot
//   none is known        everybody is asked, and the entry is taken that must be the same,
//                        or a snapshot that holds it
//   too many have none   in a term above that of the entry, so that no majority can have it: it was
//                        never committed and never will be, and is cut with all behind it
//
// What is known to be committed is never cut.

import type { Entry, Index, RepairReply, RepairRequest, Term } from "./contract.ts";
import { unknownTerm } from "./contract.ts";
import type { Machine } from "./machine.ts";
import { decides, membersOf } from "./quorum.ts";
import { sayChunk } from "./snapshots.ts";

export function repairTick(raft: Machine): void {
  const [index] = raft.log.damaged;
  if (index === undefined || raft.now < raft.repairAt) return;
  raft.repairAt = raft.now + raft.settings.heartbeatMs;
  const entryTerm = raft.log.termAt(index) ?? unknownTerm;
  const asked = raft.leader === null ? membersOf(raft.log.configuration) : [raft.leader];
  for (const to of asked) {
    if (to === raft.self) continue;
    raft.send({ kind: "repair-request", ...raft.head(to), index, entryTerm });
  }
}

/**
 * Puts a leader's entry where a damaged one is. Where the term is lost, the next entry whose term is
 * known has to be compared as well, so that nothing is left that belongs to another entry.
 */
export function mend(raft: Machine, entry: Entry, entries: readonly Entry[]): boolean {
  const { log } = raft;
  if (entry.index !== log.whole + 1) return false;
  const here = log.termAt(entry.index);
  if (here !== entry.term) {
    if (here !== unknownTerm) return false;
    let proof = entry.index + 1;
    while (log.termAt(proof) === unknownTerm) proof += 1;
    if (proof > log.last) return false;
    if (!entries.some((each) => each.index === proof)) return false;
  }
  put(raft, entry);
  return true;
}

function put(raft: Machine, entry: Entry): void {
  raft.log.repair(entry);
  raft.journal.mended(entry);
  raft.followMembers();
}

/** For members that do not lead. */
export function onRepairRequest(raft: Machine, request: RepairRequest): void {
  const { from, index, entryTerm } = request;
  const { log } = raft;
  const here = log.at(index);
  const known = entryTerm !== unknownTerm;
  const head = { kind: "repair-reply", ...raft.head(from), index, entryTerm } as const;
  if (here !== undefined && (!known || here.term === entryTerm)) {
    if (here.kind === "damaged") return;
    const prevTerm = Math.max(0, log.termAt(index - 1) ?? 0);
    const nextTerm = Math.max(0, log.termAt(index + 1) ?? 0);
    const committed = index <= raft.commit;
    return raft.send({ ...head, entry: here, prevTerm, nextTerm, committed }, index);
  }
  if (index <= log.base) return sayChunk(raft, from, 0);
  if (raft.hearsLeader || here?.term === unknownTerm) return;
  raft.send({ ...head, entry: null, prevTerm: 0, nextTerm: 0, committed: false });
}

export function onRepairReply(raft: Machine, reply: RepairReply): void {
  const { log } = raft;
  const { index, entryTerm, entry, from } = reply;
  if (log.damaged[0] !== index || log.termAt(index) !== entryTerm) return;
  if (entry !== null) {
    if (entry.index !== index || entry.kind === "damaged" || !isSame(raft, entry, reply)) return;
    put(raft, entry);
    return raft.applyCommitted();
  }
  if (raft.lackingIndex !== index) raft.lacking.clear();
  raft.lackingIndex = index;
  raft.lacking.set(from, reply.term);
  if (index > raft.commit && !raft.hearsLeader)
    judge(raft, index, entryTerm === unknownTerm ? raft.termAtStart : entryTerm);
}

/**
 * The entry is the one that was here: it has its term; or both are committed; or the entry behind it
 * is the same in both logs (log matching). An uncommitted last one may be another: then a committed
 * one belongs here, if it follows the same entry.
 */
function isSame({ log, commit }: Machine, entry: Entry, reply: RepairReply): boolean {
  const { index, entryTerm, prevTerm, nextTerm, committed } = reply;
  if (entryTerm !== unknownTerm) return entry.term === entryTerm;
  if (committed && index <= commit) return true;
  if (committed && index === log.last) return prevTerm === log.termAt(index - 1);
  return nextTerm > 0 && nextTerm === log.termAt(index + 1);
}

/**
 * Whether the entry can be committed is asked of the voters as they were when it was appended: later
 * ones decide only after a majority of those has everything up to the change. `bound` = the highest
 * term that the entry can have.
 */
function judge(raft: Machine, index: Index, bound: Term): void {
  const { lacking, log } = raft;
  const voters = { ...log.configurationAt(index - 1), outgoing: [] };
  // Nothing is known of those who decide.
  if (voters.voters.length === 0) return;
  if (!decides(voters, (member) => (lacking.get(member) ?? 0) <= bound)) return cut(raft, index);
  // In that term the entry may still be on its way to them: ask again in a higher one.
  if (raft.term <= bound && !decides(voters, (member) => !lacking.has(member)))
    raft.toFollower(bound + 1, null);
}

function cut(raft: Machine, index: Index): void {
  raft.out.log("warn", "raft-damage-cut", { index });
  raft.log.cutFrom(index);
  raft.journal.changed(index);
}
