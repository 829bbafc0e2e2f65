// Handing leadership over (Raft thesis, 3.10): the leader takes no proposals until the target has
// everything, and tells it to campaign. Should nothing come of it within an election timeout, the
// leader goes on.

import type { MemberId } from "../base/ids.ts";
import type { Leading, Machine } from "./machine.ts";

export function transfer(raft: Machine, to: MemberId): void {
  const { leading } = raft;
  if (leading === null || to === raft.self || leading.transfer !== null) return;
  if (!raft.log.configuration.voters.includes(to)) return;
  leading.transfer = { to, deadline: raft.now + raft.settings.electionTimeoutMs, told: false };
}

export function followTransfer(raft: Machine, leading: Leading): void {
  const { transfer: wanted } = leading;
  if (wanted === null) return;
  const { to, deadline, told } = wanted;
  if (raft.now >= deadline || !leading.progress.has(to)) {
    leading.transfer = null;
    return;
  }
  if (told || leading.progress.get(to)?.match !== raft.log.last) return;
  sayTimeoutNow(raft, to);
  leading.transfer = { to, deadline, told: true };
}

export function sayTimeoutNow(raft: Machine, to: MemberId): void {
  raft.send({ kind: "timeout-now", ...raft.head(to) });
}

/** The voter that has most of the log. */
export function best(raft: Machine, leading: Leading): MemberId | null {
  let found: MemberId | null = null;
  let match = -1;
  for (const voter of raft.log.configuration.voters) {
    const has = leading.progress.get(voter)?.match ?? -1;
    if (has <= match) continue;
    match = has;
    found = voter;
  }
  return found;
}
