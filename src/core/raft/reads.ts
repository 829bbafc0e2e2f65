// Linearisable reads without a write (Raft thesis, 6.4): the state holds everything that was
// committed when the read came, and a quorum says afterwards that nobody else leads.
//
// Until an entry of its own term is committed, a leader does not know what is: reads wait for that.

import type { Leading, Machine } from "./machine.ts";

export function read(raft: Machine, request: number): void {
  const { leading } = raft;
  if (leading === null) return raft.refuseRead(request, "not-leader");
  if (leading.reads.length + leading.earlyReads.length >= raft.settings.limits.readsMax)
    return raft.refuseRead(request, "busy");
  leading.earlyReads.push(request);
}

/** True: a round of heartbeats is wanted now. One at a time is on its way. */
export function followReads(raft: Machine, leading: Leading): boolean {
  if (leading.earlyReads.length > 0 && raft.commit >= leading.firstIndex) {
    for (const request of leading.earlyReads)
      leading.reads.push({ request, index: raft.commit, round: leading.round + 1 });
    leading.earlyReads = [];
  }
  const reached = confirmed(raft, leading, leading.round);
  const wanted = leading.reads.some((each) => each.round > leading.round);
  answer(raft, leading);
  return wanted && reached;
}

function confirmed(raft: Machine, leading: Leading, round: number): boolean {
  return raft.quorumSays(
    (member) => member === raft.self || (leading.progress.get(member)?.round ?? 0) >= round,
  );
}

function answer(raft: Machine, leading: Leading): void {
  let count = 0;
  for (const each of leading.reads) {
    if (each.round > leading.round || each.index > raft.applied) break;
    if (!confirmed(raft, leading, each.round)) break;
    raft.out.readable(each.request, each.index);
    count += 1;
  }
  leading.reads.splice(0, count);
}
