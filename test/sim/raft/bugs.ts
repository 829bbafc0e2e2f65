// Bugs to plant in copies of the sources, and in how many seeds each has to be found: the measure of
// the simulator of the Raft. Each is a mistake that some Raft had, or that this one could have.

import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../../bench/tools.ts";
import type { Knobs } from "./world.ts";

export interface RaftBug {
  readonly name: string;
  /** Below src/core/raft. */
  readonly file: string;
  readonly right: string;
  readonly wrong: string;
  /** What the simulator says. */
  readonly found: RegExp;
  readonly seeds: number;
  /** Settings under which what it needs is common. */
  readonly knobs?: Partial<Omit<Knobs, "limits">>;
}

export const bugs: readonly RaftBug[] = [
  {
    name: "ack_before_sync",
    file: "journal.ts",
    right: "Math.max(this.stateTicket, this.#ticketOf(reach))",
    wrong: "this.stateTicket",
    found: /unsynced: \w+ says that it has/,
    seeds: 20,
  },
  {
    name: "vote_not_synced",
    file: "journal.ts",
    right: "Math.max(this.stateTicket, this.#ticketOf(reach))",
    wrong: "this.#ticketOf(reach)",
    found: /unsynced/,
    seeds: 20,
  },
  {
    name: "votes_twice",
    file: "election.ts",
    right: "wanted === raft.term && (raft.vote === null || raft.vote === request.from)",
    wrong: "wanted === raft.term",
    found: /not durable|election safety/,
    seeds: 20,
  },
  {
    name: "no_log_check",
    file: "election.ts",
    right: "return request.lastIndex >= log.last;",
    wrong: "return true;",
    found: /leader completeness|append-only|never|not replaced|state machine safety/,
    seeds: 20,
  },
  {
    name: "truncate_on_every_append",
    file: "replication.ts",
    right: "if (here.term === entry.term || here.index <= commit) return false;",
    wrong: "if (here.index <= commit) return false;",
    found: /./,
    seeds: 20,
  },
  {
    name: "old_term_commit",
    file: "replication.ts",
    right: "if (reached > raft.commit && log.termAt(reached) === raft.term)",
    wrong: "if (reached > raft.commit)",
    found: /figure 8/,
    seeds: 20,
  },
  {
    name: "own_disk_not_counted",
    file: "replication.ts",
    right: "member === raft.self ? journal.stable",
    wrong: "member === raft.self ? log.last",
    found: /durable on/,
    seeds: 20,
  },
  {
    name: "match_from_next",
    file: "replication.ts",
    right: "progress.accepted(reply.index);",
    wrong: "progress.accepted(progress.next - 1);",
    found: /durable on|liveness/,
    seeds: 20,
  },
  {
    name: "commit_past_last_new_entry",
    file: "replication.ts",
    right: "Math.min(message.commit, matches)",
    wrong: "Math.min(message.commit, log.whole)",
    found: /state machine safety/,
    seeds: 1000,
  },
  {
    name: "heartbeat_commits_anything",
    file: "replication.ts",
    right: "const commit = Math.min(raft.commit, progress.match);",
    wrong: "const { commit } = raft;",
    found: /state machine safety/,
    seeds: 20,
  },
  {
    name: "no_check_quorum",
    file: "election.ts",
    right: "if (!heard) raft.toFollower(raft.term, null);\n  return heard;",
    wrong: "return true;",
    found: /leads on without a quorum/,
    seeds: 20,
    knobs: { members: 3, cuts: 4, crashes: 0, transfers: 0, changes: 0 },
  },
  {
    name: "no_prevote",
    file: "election.ts",
    right: "return campaign(raft, true, false);",
    wrong: "return campaign(raft, false, false);",
    found: /terms rise|without a fault/,
    seeds: 100,
  },
  {
    name: "prevote_of_older_term_ignored",
    file: "election.ts",
    right: "return message.pre;",
    wrong: "return false;",
    found: /liveness/,
    seeds: 200,
    knobs: { members: 3, changes: 12, crashes: 4, cuts: 4, safetyMs: 2000 },
  },
  {
    name: "removed_never_campaigns",
    file: "election.ts",
    right: "return log.configurationIndex > commit && isVoter(log.configurationAt(commit), self);",
    wrong: "return log.configurationIndex < commit && isVoter(log.configurationAt(commit), self);",
    found: /liveness/,
    seeds: 1000,
    knobs: { members: 3, changes: 40, crashes: 10, cuts: 0, transfers: 0, safetyMs: 1500 },
  },
  {
    name: "hung_disk_leads",
    file: "election.ts",
    right: "if (raft.diskStalls && !raft.alone) {",
    wrong: "if (raft.diskStalls && raft.now < 0) {",
    found: /disk that hangs/,
    seeds: 20,
  },
  {
    name: "no_inflight_window",
    file: "replication.ts",
    right: "while (hasRoom(raft, progress) && progress.next",
    wrong: "while (progress.next",
    found: /the window is bounded/,
    seeds: 20,
  },
  {
    name: "two_changes_in_flight",
    file: "membership.ts",
    right: "commit >= leading.firstIndex && log.configurationIndex <= commit",
    wrong: "commit >= leading.firstIndex",
    found: /two changes/,
    seeds: 20,
    knobs: { members: 3, changes: 12, crashes: 4, cuts: 4, safetyMs: 2000 },
  },
  {
    name: "change_before_own_term_commit",
    file: "membership.ts",
    right: "commit >= leading.firstIndex && log.configurationIndex <= commit",
    wrong: "log.configurationIndex <= commit",
    found: /before anything of its term/,
    seeds: 20,
  },
  {
    name: "joint_counts_the_new_only",
    file: "quorum.ts",
    right: "return Math.min(incoming, majorityReached(configuration.outgoing, reached));",
    wrong: "return incoming;",
    found: /durable on/,
    seeds: 100,
  },
  {
    name: "learners_count",
    file: "quorum.ts",
    right: "const incoming = majorityReached(configuration.voters, reached);",
    wrong:
      "const incoming = majorityReached([...configuration.voters, ...configuration.learners], reached);",
    found: /durable on/,
    seeds: 20,
  },
  {
    name: "configuration_survives_its_cut",
    file: "log.ts",
    right: "this.configurations = this.configurations.filter((each) => each.index < index);",
    wrong: "",
    found: /./,
    seeds: 200,
    knobs: { members: 3, changes: 12, crashes: 4, cuts: 4, safetyMs: 2000 },
  },
  {
    name: "removed_member_returns",
    file: "membership.ts",
    right: "all.some((member) => removed.includes(member))",
    wrong: "all.some((member) => removed.length < 0 && removed.includes(member))",
    found: /removed member is back/,
    seeds: 20,
  },
  {
    name: "transfer_without_end",
    file: "transfer.ts",
    right: "raft.now >= deadline || ",
    wrong: "deadline < 0 || ",
    found: /liveness/,
    seeds: 50,
    knobs: { members: 3, transfers: 10, cuts: 4, crashes: 2, safetyMs: 2000 },
  },
  {
    name: "read_without_quorum",
    file: "reads.ts",
    right: "if (!confirmed(raft, leading, each.round)) break;",
    wrong: "",
    found: /stale read/,
    seeds: 200,
  },
  {
    name: "read_before_own_term_commit",
    file: "reads.ts",
    right: "leading.earlyReads.length > 0 && raft.commit >= leading.firstIndex",
    wrong: "leading.earlyReads.length > 0",
    found: /stale read/,
    seeds: 20,
  },
  {
    name: "pending_answered_after_step_down",
    file: "machine.ts",
    right: 'const unknown = { kind: "refused", refusal: "unknown", leader: null } as const;',
    wrong: 'const unknown = { kind: "refused", refusal: "not-leader", leader: null } as const;',
    found: /refused/,
    seeds: 20,
  },
  {
    name: "snapshot_over_newer_log",
    file: "snapshots.ts",
    right: "if (here === snapshot.term || here === unknownTerm) {",
    wrong: "if (here === snapshot.term && snapshot.index < 0) {",
    found: /./,
    seeds: 20,
  },
  {
    name: "chunk_of_unsynced_term",
    file: "snapshots.ts",
    right: "if (!raft.journal.stateDurable) return;",
    wrong: "",
    found: /unsynced: \w+ says term/,
    seeds: 20,
  },
  {
    name: "damage_taken_for_a_torn_tail",
    file: "log.ts",
    right: "if (entry.index > snapshot.index) log.append(entry);",
    wrong:
      'if (entry.kind === "damaged") break;\n    else if (entry.index > snapshot.index) log.append(entry);',
    found: /./,
    seeds: 20,
  },
  {
    name: "damage_leads",
    file: "election.ts",
    right: "mayBeNeeded(raft) && raft.log.damaged.length === 0",
    wrong: "mayBeNeeded(raft)",
    found: /a whole log|damaged/,
    seeds: 20,
    knobs: { members: 3, damage: 40, crashes: 8, safetyMs: 2000 },
  },
  {
    name: "damage_acknowledged",
    file: "replication.ts",
    right: "if (log.termAt(prevIndex) !== message.prevTerm || prevIndex > log.whole)",
    wrong: "if (log.termAt(prevIndex) !== message.prevTerm)",
    found: /./,
    seeds: 100,
    knobs: { members: 3, damage: 40, crashes: 8, safetyMs: 2000 },
  },
  {
    name: "damage_cut_when_one_lacks_it",
    file: "repair.ts",
    right:
      "if (!decides(voters, (member) => (lacking.get(member) ?? 0) <= bound)) return cut(raft, index);",
    wrong: "if (raft.now >= 0) return cut(raft, index);",
    found: /./,
    seeds: 20,
    knobs: { members: 3, damage: 40, crashes: 8, safetyMs: 2000 },
  },
  {
    name: "committed_entry_behind_another",
    file: "repair.ts",
    right: "return prevTerm === log.termAt(index - 1);",
    wrong: "return true;",
    found: /log matching/,
    seeds: 100,
    knobs: { members: 3, damage: 40, crashes: 8, safetyMs: 2000 },
  },
  {
    name: "repair_not_synced",
    file: "journal.ts",
    right: "this.stable = Math.min(this.stable, entry.index - 1);\n    for",
    wrong: "for",
    found: /damaged/,
    seeds: 20,
  },
];

/** Copies what a simulation runs into `folder`. */
export function copySources(folder: string): void {
  for (const part of ["src/core/base", "src/core/raft", "src/wire", "proto", "test/sim"])
    cpSync(join(root, part), join(folder, part), { recursive: true });
  for (const part of ["bench/tools.ts", "bench/child.ts", "package.json", "tsconfig.json"])
    cpSync(join(root, part), join(folder, part));
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
}

/** What the simulator says of the bug, with the seed that finds it; null: it was not found. */
export async function hunt(bug: RaftBug, folder: string, seeds: number): Promise<string | null> {
  const knobs = JSON.stringify(bug.knobs ?? {});
  return huntBy(bug, folder, ["run.ts", "--seeds", String(seeds), "--knobs", knobs]);
}

/** The same with the explorer: which runs, and how many states at most. */
export async function huntByExplorer(
  bug: RaftBug,
  folder: string,
  bounds: readonly string[],
): Promise<string | null> {
  return huntBy(bug, folder, ["explore.ts", ...bounds]);
}

async function huntBy(
  bug: RaftBug,
  folder: string,
  [script = "", ...rest]: readonly string[],
): Promise<string | null> {
  const path = join("src/core/raft", bug.file);
  const source = readFileSync(join(root, path), "utf8");
  if (!source.includes(bug.right)) throw new Error(`${bug.name}: ${path} has no such line`);
  writeFileSync(join(folder, path), source.replace(bug.right, bug.wrong));
  try {
    const command = [process.execPath, `test/sim/raft/${script}`, ...rest];
    const run = Bun.spawn(command, { cwd: folder, stdout: "ignore", stderr: "pipe" });
    const said = await new Response(run.stderr).text();
    if ((await run.exited) === 0) return null;
    return /error: (.*)/.exec(said)?.[1] ?? said;
  } finally {
    writeFileSync(join(folder, path), source);
  }
}
